/*
 * An attempt: from its turn to its end on the log.
 *
 * Happy path: begin (provider and gate found, attempt.started sent) → started
 * (acknowledged: the call goes out) → answered → ended (result acknowledged).
 *
 * Failure modes: the call fails and may be repeated → attempt.failed, wait,
 * again; the partition goes between begin and started → the call is not sent
 * and attempt.failed says so, so that the next owner need not wait for us.
 */

#include <string.h>

#include "base/arena.h"
#include "gate.h"
#include "partition.h"
#include "store/catalog.h"
#include "work.h"

/*
 * Attempts that died with their process are not the request's fault, but a
 * request that takes its process down each time must end somewhere.
 */
#define DEAD_ATTEMPTS_ALLOWED 5
/* How much clocks of intakes and ours may differ. */
#define CATALOG_SLACK_US 2000000
/* How long a load of the catalog is waited for before the next look. */
#define CATALOG_WAIT_US 200000
/* A usual call fits the first chunk, which is all that it holds while it is
 * out; its answer takes another.  The largest body and answer fit all. */
#define CALL_CHUNK_BYTES 2560
#define CALL_ARENA_MAX_BYTES (8U << 20)

static int64_t
attempt_now(const struct work *work)
{
	const struct core_config *config = &work->core->config;

	return config->io.now(config->io_ctx);
}

/* Let ${work} fail with what any log takes: its outcome is too large. */
static void
attempt_shrink(struct work *work)
{
	struct synq_outcome *outcome = &work->outcome;

	outcome->provider_model = synq_slice_text(NULL);
	if (outcome->kind == SYNQ_OUTCOME_STARTED)
		return;
	outcome->error_code = synq_slice_text("result_too_large");
	outcome->error = synq_slice_text("The result does not fit the log.");
	if (outcome->kind == SYNQ_OUTCOME_FAILED)
		return;
	outcome->state = SYNQ_JOB_FAILED;
	outcome->answer_status = 502;
	outcome->body = synq_slice_text(
	    "{\"error\":{\"message\":\"The result does not fit the log.\","
	    "\"type\":\"server_error\",\"param\":null,"
	    "\"code\":\"result_too_large\"}}");
}

/* Send ${work}->outcome; 0 if the log does not take it now. */
static int
attempt_send(struct work *work)
{
	const struct core_config *config = &work->core->config;
	int rc = config->io.send(config->io_ctx, work, &work->outcome);

	if (rc == -SYNQ_E_TOO_LARGE) { /* it would hold up all others */
		attempt_shrink(work);
		rc = config->io.send(config->io_ctx, work, &work->outcome);
	}
	if (rc != 0)
		return 0;
	work->unacked++;
	work->core->unacked++;
	return 1;
}

/* Send ${work}->outcome now or as soon as the log takes it. */
static void
attempt_send_or_keep(struct work *work)
{
	struct core *core = work->core;

	if (synq_list_first(&core->unsent) != NULL || !attempt_send(work))
		synq_list_push(&core->unsent, &work->side);
	else if (work->outcome.kind == SYNQ_OUTCOME_FAILED)
		work->attempt_id = (struct synq_uuid){ { 0 } };
}

/*
 * The log failed ${work}->outcome with ${rc}: it goes again with the next
 * core_room, not from inside the answer of a log that is in trouble.
 */
static void
attempt_keep(struct work *work, int rc)
{
	if (rc == -SYNQ_E_TOO_LARGE)
		attempt_shrink(work);
	synq_list_push(&work->core->unsent, &work->side);
}

int
work_resend(struct work *work)
{
	if (!attempt_send(work))
		return 0;
	synq_list_remove(&work->core->unsent, &work->side);
	if (work->outcome.kind == SYNQ_OUTCOME_FAILED)
		work->attempt_id = (struct synq_uuid){ { 0 } };
	return 1;
}

/* What every record about the attempt of ${work} says. */
static struct synq_outcome
attempt_outcome(const struct work *work, enum synq_outcome_kind kind)
{
	return (struct synq_outcome){
		.kind = kind,
		.source = work->source,
		.job_id = work->request.job_id,
		.organization_id = work->request.organization_id,
		.attempt_id = work->attempt_id,
		.attempt = work->attempt,
		.started_at = work->started_at,
		.call_deadline_at = work->call_deadline_at,
		.provider = synq_slice_text(work->provider),
		.provider_model = synq_slice_text(work->provider_model),
		.usage = { -1, -1, -1, -1 },
	};
}

/*
 * Choose the provider of ${work}: 1, or 0 if there is none: it ended, or waits
 * for a newer catalog.
 */
static int
attempt_route(struct work *work)
{
	struct core *core = work->core;
	const struct synq_catalog_model *model;

	model = synq_catalog_find(core->catalog, work->request.model);
	if (model == NULL &&
	    core->catalog_at <= work->request.created_at + CATALOG_SLACK_US) {
		/* The intake may know of a model that we do not yet. */
		core->config.io.reload(core->config.io_ctx);
		work_wait(work, attempt_now(work) + CATALOG_WAIT_US);
		return 0;
	}
	if (model == NULL) {
		work_refuse(work, 404, "model_not_found",
		    "The model is not offered any more.");
		return 0;
	}
	work->provider = synq_arena_text(work->arena, model->provider->name);
	work->provider_model =
	    synq_arena_text(work->arena, model->upstream_name);
	return 1;
}

/* Wait before the gate of its provider, no longer in flight. */
static void
attempt_park(struct work *work, struct provider_gate *gate)
{
	synq_fair_finish(work->core->fair, &work->fair);
	work->taken = 0;
	work->gate = gate;
	synq_heap_push(&work->core->timers, &work->timer,
	    (uint64_t)work->request.deadline_at);
}

/* Number, name and date the new attempt of ${work}. */
static void
attempt_number(struct work *work)
{
	const int64_t now_at = attempt_now(work);
	const int64_t limit_at =
	    now_at + (int64_t)work->core->config.call_limit_us;

	synq_arena_free(&work->call_arena);
	work->call_arena =
	    synq_arena_new(CALL_CHUNK_BYTES, CALL_ARENA_MAX_BYTES);
	work->attempt++;
	work->attempt_id = synq_uuid_new(now_at);
	work->started_at = now_at;
	work->call_deadline_at = limit_at < work->request.deadline_at
	                             ? limit_at
	                             : work->request.deadline_at;
}

int
work_begin(struct work *work)
{
	struct core *core = work->core;
	struct provider_gate *gate;

	work->state = WORK_STATES; /* popped: on no list */
	synq_heap_remove(&core->timers, &work->timer);
	if (work->request.deadline_at <= attempt_now(work)) {
		work_end(work, SYNQ_JOB_EXPIRED, NULL);
		return 1;
	}
	if (work->attempt >=
	    work->request.max_attempts + DEAD_ATTEMPTS_ALLOWED) {
		work_refuse(work, 502, "attempts_exhausted",
		    "The request was begun too often without an end.");
		return 1;
	}
	if (!attempt_route(work))
		return 1;
	gate = gate_find(core, work->provider);
	if (!gate_enter(gate, work)) {
		attempt_park(work, gate);
		return 1;
	}
	work->gate = gate;
	attempt_number(work);
	work->outcome = attempt_outcome(work, SYNQ_OUTCOME_STARTED);
	work->outcome.instance = synq_slice_text(core->config.instance);
	work->outcome.boot_id = core->config.boot_id;
	if (!attempt_send(work)) {
		work->attempt--;
		work->attempt_id = (struct synq_uuid){ { 0 } };
		work_requeue(work);
		return 0;
	}
	work_move(work, WORK_STARTING);
	return 1;
}

/* The attempt of ${work} ended as ${answer} says, and another will follow. */
static void
attempt_fail(
    struct work *work, const struct core_answer *answer, int64_t not_before_at)
{
	work->outcome = attempt_outcome(work, SYNQ_OUTCOME_FAILED);
	work->outcome.ended_at = attempt_now(work);
	work->outcome.http_status = answer->http_status;
	work->outcome.error_code = answer->error_code;
	work->outcome.error = answer->error;
	work->outcome.class = answer->class;
	work->outcome.usage = answer->usage;
	work->outcome.not_before_at = not_before_at;
	work->failures++;
	work->core->counts.retried++;
	if (work->partition != NULL) {
		work_wait(work, not_before_at);
	} else { /* an orphan: gone as soon as this is on the log */
		work_leave(work, NULL);
		work_move(work, WORK_WAITING);
	}
	attempt_send_or_keep(work);
}

/* The call of ${work} will not be made: let the next owner begin again. */
static void
attempt_give_up(struct work *work)
{
	const struct core_answer answer = {
		.class = SYNQ_RETRY_LATER,
		.error_code = synq_slice_text("not_sent"),
		.error = synq_slice_text("The partition moved before the "
					 "call was sent."),
		.usage = { -1, -1, -1, -1 },
		.retry_after_us = -1,
	};

	attempt_fail(work, &answer, attempt_now(work));
}

void
core_started(struct work *work, int rc, int64_t offset)
{
	struct core *core = work->core;

	if (work_acked(work))
		return;
	if (rc != 0) { /* not on the log: as if it had not begun */
		work->attempt--;
		work->attempt_id = (struct synq_uuid){ { 0 } };
		if (work->partition == NULL)
			work_free(work);
		else
			work_requeue(work);
		return;
	}
	core->counts.started++;
	if (work->first_outcome < 0)
		work->first_outcome = offset;
	if (work->partition == NULL) {
		attempt_give_up(work);
	} else if (work->cancelled) {
		work_end(work, SYNQ_JOB_CANCELLED, NULL);
	} else {
		work_move(work, WORK_CALLING);
		core->calling++;
		core->config.io.call(core->config.io_ctx, work);
	}
}

/* 1 and ${ret_at} if the failed ${work} may be tried again, else 0. */
static int
attempt_again(
    struct work *work, const struct core_answer *answer, int64_t *ret_at)
{
	struct core *core = work->core;
	uint64_t wait_us;

	if (answer->class == SYNQ_RETRY_NEVER ||
	    work->failures + 1 >= work->request.max_attempts)
		return 0;
	wait_us = synq_backoff_asked_us(&core->config.backoff,
	    work->failures + 1, answer->retry_after_us, &core->rand);
	*ret_at = attempt_now(work) + (int64_t)wait_us;
	return *ret_at < work->request.deadline_at;
}

void
core_answered(struct work *work, const struct core_answer *answer)
{
	struct core *core = work->core;
	int64_t again_at;

	work_leave(work, answer);
	if (answer->succeeded)
		work_end(work, SYNQ_JOB_SUCCEEDED, answer);
	else if (work->request.deadline_at <= attempt_now(work))
		work_end(work, SYNQ_JOB_EXPIRED, answer);
	else if (attempt_again(work, answer, &again_at))
		attempt_fail(work, answer, again_at);
	else
		work_end(work, SYNQ_JOB_FAILED, answer);
	core_pump(core);
}

/* An error of our own in OpenAI's shape; the texts need no escapes. */
static struct synq_slice
attempt_error(
    struct work *work, const char *type, const char *code, const char *text)
{
	return synq_slice_text(synq_arena_printf(work->arena,
	    "{\"error\":{\"message\":\"%s\",\"type\":\"%s\","
	    "\"param\":null,\"code\":\"%s\"}}",
	    text, type, code));
}

/* What the client gets when no provider's answer tells it. */
static void
attempt_own_answer(struct work *work, enum synq_job_state state)
{
	struct synq_outcome *outcome = &work->outcome;
	const char *text;

	switch (state) {
	case SYNQ_JOB_CANCELLED:
		outcome->answer_status = 409;
		outcome->error_code = synq_slice_text("job_cancelled");
		text = "The job was cancelled.";
		break;
	case SYNQ_JOB_EXPIRED:
		outcome->answer_status = 504;
		outcome->error_code = synq_slice_text("job_expired");
		text = "The job's deadline passed before it succeeded.";
		break;
	case SYNQ_JOB_ACCEPTED:
	case SYNQ_JOB_QUEUED:
	case SYNQ_JOB_RUNNING:
	case SYNQ_JOB_RETRYING:
	case SYNQ_JOB_SUCCEEDED:
	case SYNQ_JOB_FAILED:
	case SYNQ_JOB_STATES:
	default:
		outcome->answer_status = 500;
		outcome->error_code = synq_slice_text("internal_error");
		text = "The job ended without an answer.";
		break;
	}
	outcome->error = synq_slice_text(text);
	outcome->body = attempt_error(work,
	    state == SYNQ_JOB_CANCELLED ? "invalid_request_error"
					: "server_error",
	    outcome->error_code.data, text);
}

void
work_end(struct work *work, enum synq_job_state state,
    const struct core_answer *answer)
{
	const struct synq_request *request = &work->request;
	struct synq_outcome *outcome = &work->outcome;

	work_leave(work, answer);
	*outcome = attempt_outcome(work, SYNQ_OUTCOME_RESULT);
	outcome->state = state;
	outcome->ended_at = attempt_now(work);
	if (synq_uuid_is_nil(&work->attempt_id))
		outcome->started_at = 0;
	if (answer != NULL) {
		outcome->http_status = answer->http_status;
		outcome->answer_status = answer->answer_status;
		outcome->body = answer->body;
		outcome->error_code = answer->error_code;
		outcome->error = answer->error;
		outcome->usage = answer->usage;
	}
	if (answer == NULL || state == SYNQ_JOB_EXPIRED)
		attempt_own_answer(work, state);
	outcome->key_id = request->key_id;
	outcome->endpoint = request->endpoint;
	outcome->priority = request->priority;
	outcome->created_at = request->created_at;
	outcome->deadline_at = request->deadline_at;
	outcome->model = request->model;
	outcome->metadata = request->metadata;
	outcome->retry_of = request->retry_of;
	outcome->request_id = request->request_id;
	work_move(work, WORK_ENDING);
	attempt_send_or_keep(work);
}

void
work_refuse(
    struct work *work, int32_t status, const char *code, const char *text)
{
	const struct core_answer answer = {
		.answer_status = status,
		.class = SYNQ_RETRY_NEVER,
		.error_code = synq_slice_text(code),
		.error = synq_slice_text(text),
		.body =
		    attempt_error(work, "invalid_request_error", code, text),
		.usage = { -1, -1, -1, -1 },
		.retry_after_us = -1,
	};

	work_end(work, SYNQ_JOB_FAILED, &answer);
}

void
core_failed(struct work *work, int rc, int64_t offset)
{
	(void)offset;
	if (work_acked(work))
		return;
	/* Only the last one counts: another attempt may have begun since. */
	if (work->state != WORK_WAITING || work->unacked > 0 ||
	    synq_link_used(&work->side))
		return;
	if (rc != 0)
		attempt_keep(work, rc);
	else if (work->partition == NULL)
		work_free(work);
}

/* Count the end of ${work}. */
static void
attempt_count(struct core *core, enum synq_job_state state)
{
	core->counts.succeeded += state == SYNQ_JOB_SUCCEEDED;
	core->counts.failed += state == SYNQ_JOB_FAILED;
	core->counts.cancelled += state == SYNQ_JOB_CANCELLED;
	core->counts.expired += state == SYNQ_JOB_EXPIRED;
}

void
core_ended(struct work *work, int rc, int64_t offset)
{
	struct core *core = work->core;
	struct partition *partition = work->partition;

	(void)offset;
	if (work_acked(work))
		return;
	if (rc != 0) {
		attempt_keep(work, rc);
		return;
	}
	attempt_count(core, work->outcome.state);
	ended_add(&core->ended, &work->request.job_id);
	/* It may not be the first where a zombie has a part: let the row
	 * speak. */
	if (!work->lost && !work->doubted)
		core->config.io.reply(
		    core->config.io_ctx, work, &work->outcome);
	if (partition != NULL)
		partition_done(partition, work->source.offset);
	work_free(work);
	if (partition != NULL)
		partition_check_room(partition);
	core_pump(core);
}
