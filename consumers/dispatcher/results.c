/*
 * Records out.
 *
 * An outcome goes to the results partition with the number of its request's
 * partition.  The producer re-sends for ever what is not acknowledged, so an
 * acknowledgement always comes, and the core never waits for a clock.
 */

#include "results.h"

#include <inttypes.h>
#include <stdio.h>

#include "assign.h"
#include "base/log.h"
#include "dispatcher.h"
#include "figures.h"
#include "kafka/envelope.h"
#include "kafka/producer.h"
#include "partition.h"
#include "store/reply.h"
#include "work.h"

const char *const results_topics[] = { SYNQ_TOPIC_RESULTS, SYNQ_TOPIC_DEAD,
	SYNQ_TOPIC_CONTROL, NULL };

static struct figures *
results_figures(const struct work *work)
{
	const struct dispatcher *dispatcher = work->core->config.io_ctx;

	return dispatcher->figures;
}

static void
results_on_started(void *ctx, int rc, int64_t offset)
{
	const struct work *work = ctx;

	if (rc == 0 && !work->dead)
		figures_started(results_figures(work), work);
	core_started(ctx, rc, offset);
}

static void
results_on_failed(void *ctx, int rc, int64_t offset)
{
	const struct work *work = ctx;

	/* Its outcome may be of the next attempt already. */
	if (rc == 0)
		figures_failed(results_figures(work), work);
	core_failed(ctx, rc, offset);
}

static void
results_on_ended(void *ctx, int rc, int64_t offset)
{
	const struct work *work = ctx;

	if (rc == 0 && !work->dead)
		figures_ended(results_figures(work), work);
	core_ended(ctx, rc, offset);
}

/* What depends on the kind of an outcome. */
static const struct {
	const char *type;
	synq_producer_ack_fn *ack;
} results_kinds[] = {
	[SYNQ_OUTCOME_STARTED] = { "synq.attempt.started", results_on_started },
	[SYNQ_OUTCOME_FAILED] = { "synq.attempt.failed", results_on_failed },
	[SYNQ_OUTCOME_RESULT] = { "synq.result", results_on_ended },
};

/* "interactive/7/1234": which record this belongs to, for people. */
static void
results_source(const struct synq_source *source, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s/%" PRId32 "/%" PRId64,
	    synq_source_name(source->topic), source->partition, source->offset);
}

int
results_send(void *ctx, struct work *work, const struct synq_outcome *outcome)
{
	struct dispatcher *dispatcher = ctx;
	struct synq_envelope envelope;
	struct synq_producer_record record;
	char source[96];

	synq_buf_clear(&dispatcher->scratch);
	synq_outcome_encode(outcome, &dispatcher->scratch);
	if (dispatcher->scratch.overflow)
		return -SYNQ_E_TOO_LARGE; /* nobody could read it */
	results_source(&work->source, source, sizeof(source));
	synq_envelope_init(&envelope, results_kinds[outcome->kind].type,
	    "/synq-dispatcher", &outcome->job_id);
	synq_envelope_add(&envelope, "synq-src", synq_slice_text(source));
	synq_envelope_add(&envelope, "traceparent", work->request.traceparent);
	record = (struct synq_producer_record){
		.topic = SYNQ_TOPIC_RESULTS,
		.partition = work->source.partition,
		.key = synq_uuid_slice(&outcome->organization_id),
		.value = synq_buf_view(&dispatcher->scratch),
		.headers = envelope.headers,
		.header_count = envelope.count,
		.ack = results_kinds[outcome->kind].ack,
		.ctx = work,
	};
	return synq_producer_send(dispatcher->producer, &record);
}

void
results_reply(void *ctx, struct work *work, const struct synq_outcome *outcome)
{
	struct dispatcher *dispatcher = ctx;
	const struct synq_reply reply = {
		.job_id = outcome->job_id,
		.state = outcome->state,
		.answer_status = outcome->answer_status,
		.has_body = outcome->body.bytes <= SYNQ_REPLY_MAX_BODY,
		.body = outcome->body.bytes <= SYNQ_REPLY_MAX_BODY
		            ? outcome->body
		            : synq_slice_text(NULL),
		.attempts = outcome->attempt,
		.provider = outcome->provider,
	};

	if (work->request.reply_to.bytes > 0)
		synq_reply_publish(
		    dispatcher->redis, work->request.reply_to, &reply);
}

void
results_dead(void *ctx, const struct partition *partition, int64_t offset,
    struct synq_slice value)
{
	struct dispatcher *dispatcher = ctx;
	const struct synq_source source = { .topic = partition->topic,
		.partition = partition->number,
		.offset = offset };
	const struct synq_uuid id = { { 0 } };
	struct synq_envelope envelope;
	struct synq_producer_record record;
	char text[96];

	results_source(&source, text, sizeof(text));
	synq_envelope_init(&envelope, "synq.dead", "/synq-dispatcher", &id);
	synq_envelope_add(&envelope, "synq-src", synq_slice_text(text));
	synq_envelope_add(
	    &envelope, "synq-error", synq_slice_text("does not decode"));
	record = (struct synq_producer_record){
		.topic = SYNQ_TOPIC_DEAD,
		.partition = partition->number,
		.value = value,
		.headers = envelope.headers,
		.header_count = envelope.count,
	};
	if (synq_producer_send(dispatcher->producer, &record) != 0)
		synq_log(SYNQ_LOG_ERROR, "request.dead_not_kept",
		    SYNQ_F_TEXT("source", text), SYNQ_F_END);
	synq_log(SYNQ_LOG_ERROR, "request.corrupt", SYNQ_F_TEXT("source", text),
	    SYNQ_F_END);
}

int64_t
results_acked(void *ctx, int32_t partition)
{
	const struct dispatcher *dispatcher = ctx;

	return synq_producer_acked(
	    dispatcher->producer, SYNQ_TOPIC_RESULTS, partition);
}
