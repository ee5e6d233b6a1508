/*
 * Acceptance.
 *
 * Happy path: the model exists → the idempotency key is free (or none was
 * sent) → produce → acknowledged → 202, or wait for the result and answer it.
 * With a key it waits only after the acknowledgement, when the claim is its
 * own for good; what comes before that is kept for it.
 *
 * Failure modes:
 * - with an idempotency key: keyed.c;
 * - the log does not take the record, or is known to be away: 503 at once,
 *   nothing happened;
 * - no acknowledgement in time: 503 with the id, and a cancel goes out as soon
 *   as the log answers, because the record may be there;
 * - the client leaves: before the produce nothing happened; after it the job is
 *   cancelled unless it has begun.
 */

#include "acceptance.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "figures.h"
#include "intake.h"
#include "job/id.h"
#include "kafka/envelope.h"
#include "kafka/producer.h"
#include "loop/loop.h"
#include "proto/topics.h"
#include "render.h"
#include "service/service.h"
#include "store/catalog.h"
#include "store/jobs.h"
#include "withdraw.h"

static const struct api_error accept_busy = {
	.status = 503, .code = "server_is_overloaded", .retry_after_s = 1
};

static void
accept_on_free(struct api_call *call)
{
	struct acceptance *acceptance = call->data;

	wait_stop(call->intake->waits, &acceptance->waiter);
	keyed_done(acceptance);
	synq_mem_free(acceptance);
}

void
accept_refuse_busy(struct api_call *call, const char *fmt, ...)
{
	struct synq_buf message;
	va_list args;

	synq_buf_init(&message, 1024);
	va_start(args, fmt);
	(void)synq_buf_vprintf(&message, fmt, args);
	va_end(args);
	api_refuse(
	    call, &accept_busy, "%.*s", (int)message.bytes, message.data);
	synq_buf_done(&message);
}

void
accept_withdraw(struct api_call *call, const struct synq_uuid *job_id,
    enum synq_cancel_reason reason)
{
	const struct synq_cancel cancel = {
		.job_id = *job_id,
		.organization_id = call->principal.organization_id,
		.reason = reason,
		.asked_at = synq_loop_wall_us(call->intake->loop),
	};

	withdraw_send(call->intake->withdrawals, &cancel, NULL, NULL);
}

/*
 * The client left while its synchronous answer was being made.  With an
 * idempotency key it means to come back for it.
 */
static void
accept_on_leave(struct api_call *call)
{
	struct acceptance *acceptance = call->data;

	wait_stop(call->intake->waits, &acceptance->waiter);
	if (synq_service_draining(call->intake->service))
		return; /* we leave, not the client */
	if (acceptance->plan.mode == ACCEPT_ANSWER_RESULT &&
	    acceptance->key == NULL &&
	    (call->stage == API_ACCEPTING || call->stage == API_WAITING))
		accept_withdraw(call, &call->job_id, SYNQ_CANCEL_GONE);
}

/* 202: the job is accepted; where it lies, and what it is. */
static void
accept_answer_202(struct api_call *call)
{
	struct acceptance *acceptance = call->data;
	struct synq_buf body;

	if (call->exchange == NULL)
		return;
	synq_buf_init(&body, RENDER_JOB_MAX_BYTES);
	(void)synq_buf_reserve(&body, RENDER_JOB_USUAL_BYTES);
	if (acceptance->same)
		render_brief(call, &body);
	else
		render_accepted(call, &acceptance->plan.job, &body);
	api_add_location(call);
	if (acceptance->plan.prefer_applied)
		synq_exchange_add_header(call->exchange, "preference-applied",
		    synq_slice_text("respond-async"));
	api_answer(call, 202, synq_buf_view(&body));
	synq_buf_done(&body);
}

/* The synchronous answer took too long; the job goes on. */
static void
accept_answer_504(struct api_call *call)
{
	const struct api_error error = {
		.status = 504, .code = "timeout", .never_retry = 1
	};

	api_add_location(call);
	api_refuse(call, &error,
	    "The answer is not there yet. The job goes on: fetch it from the "
	    "address in Location.");
}

static void
accept_on_result(void *ctx, const struct wait_result *result)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;

	if (result != NULL) {
		acceptance->ended = 1;
		render_result(call, result);
	} else if (call->stage == API_ACCEPTING) {
		acceptance->late = 1; /* not accepted yet: no promise */
	} else if (acceptance->plan.mode == ACCEPT_ANSWER_202) {
		accept_answer_202(call);
	} else {
		accept_answer_504(call);
	}
}

/* Wait for the result of call->job_id. */
static void
accept_wait(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	struct intake *intake = call->intake;
	const struct wait_request request = {
		.organization_id = call->principal.organization_id,
		.job_id = call->job_id,
		.limit_us = acceptance->wait_limit_us,
		.fn = accept_on_result,
		.ctx = acceptance,
	};

	wait_start(intake->waits, &acceptance->waiter, &request);
}

/* 1 if the answer is to be the result, now or a little later. */
static int
accept_waits(const struct acceptance *acceptance)
{
	return acceptance->plan.wait_us > 0;
}

void
accept_accepted(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;

	figures_accepted(call->intake->figures, acceptance->plan.job.endpoint);
	if (call->stage == API_ACCEPTING)
		call->stage = API_WAITING;
	if (acceptance->late)
		accept_on_result(acceptance, NULL);
	else if (!accept_waits(acceptance))
		accept_answer_202(call);
	else if (acceptance->key != NULL && call->exchange != NULL)
		accept_wait(acceptance);
}

void
accept_refuse_unsure(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	char id[SYNQ_JOB_ID_CHARS + 1];

	api_job_id(call, &call->job_id, id);
	accept_refuse_busy(call,
	    "The request %s was not acknowledged in time. It is withdrawn; "
	    "send it again.",
	    id);
}

static void
accept_on_ack(void *ctx, int rc, int64_t offset)
{
	struct api_call *call = ctx;
	struct acceptance *acceptance = call->data;

	(void)offset;
	log_answered(call->intake, rc);
	if (acceptance->key != NULL) {
		keyed_on_ack(acceptance, rc);
	} else if (rc == 0 || acceptance->ended) { /* a result tells as well */
		accept_accepted(acceptance);
	} else {
		wait_stop(call->intake->waits, &acceptance->waiter);
		if (rc == -SYNQ_E_UNCERTAIN)
			accept_withdraw(
			    call, &call->job_id, SYNQ_CANCEL_UNSURE);
		accept_refuse_unsure(acceptance);
	}
	api_release(call);
}

/*
 * The trace that the client is in (W3C trace context, version 00); empty if
 * what it sent is none, so that nothing else gets into the message.
 */
static struct synq_slice
accept_trace(const struct api_call *call)
{
	static const char form[] =
	    "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
	const struct synq_slice trace =
	    synq_exchange_header(call->exchange, "traceparent");
	size_t i;
	int hex;
	char c;

	if (trace.bytes != sizeof(form) - 1)
		return synq_slice_text(NULL);
	for (i = 0; i < trace.bytes; i++) {
		c = trace.data[i];
		hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
		if (form[i] == 'x' ? !hex : c != form[i])
			return synq_slice_text(NULL);
	}
	return trace;
}

/*
 * The message of ${acceptance} into the intake's scratch buffer; 0, or
 * TOO_LARGE if there is none that a reader would take.
 */
static int
accept_encode(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	struct intake *intake = call->intake;
	struct check_job *job = &acceptance->plan.job;
	const struct synq_config *config = synq_service_config(intake->service);
	const int64_t now_at = synq_loop_wall_us(intake->loop);
	struct synq_request request = {
		.job_id = call->job_id,
		.organization_id = call->principal.organization_id,
		.key_id = call->principal.key_row_id,
		.endpoint = job->endpoint,
		.priority = job->priority,
		.created_at = now_at,
		.max_attempts = job->max_attempts != 0
		                    ? job->max_attempts
		                    : (uint32_t)config->job_max_attempts,
		.model = job->request.model,
		.body = acceptance->plan.body,
		.metadata = job->metadata,
		.reply_to = synq_buf_view(&intake->reply_to),
		.request_id = synq_slice_text(call->request_id),
		.traceparent = accept_trace(call),
	};

	if (job->deadline_at == 0)
		job->deadline_at = now_at + config->job_deadline_s * 1000000;
	request.deadline_at = job->deadline_at;
	synq_buf_clear(&intake->scratch);
	synq_request_encode(&request, &intake->scratch);
	return intake->scratch.overflow ? -SYNQ_E_TOO_LARGE : 0;
}

/* Hand the request to the producer. */
static int
accept_send(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	struct intake *intake = call->intake;
	const struct synq_config *config = synq_service_config(intake->service);
	const struct synq_uuid *organization_id =
	    &call->principal.organization_id;
	struct synq_envelope envelope;
	struct synq_producer_record record;

	if (accept_encode(acceptance) != 0)
		return -SYNQ_E_TOO_LARGE;
	synq_envelope_init(
	    &envelope, "synq.request", "/synq-intake", &call->job_id);
	synq_envelope_add(&envelope, "traceparent", accept_trace(call));
	record = (struct synq_producer_record){
		.topic = acceptance->plan.job.priority == SYNQ_PRIORITY_BATCH
		             ? SYNQ_TOPIC_BATCH
		             : SYNQ_TOPIC_INTERACTIVE,
		.partition = synq_job_home(&intake->homes, organization_id,
		    (int32_t)config->kafka_partitions),
		.key = synq_uuid_slice(organization_id),
		.value = synq_buf_view(&intake->scratch),
		.headers = envelope.headers,
		.header_count = envelope.count,
		.ack = accept_on_ack,
		.ctx = call,
	};
	return log_send(intake, &record);
}

void
accept_produce(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	struct intake *intake = call->intake;

	if (!log_takes(intake)) {
		keyed_free(acceptance);
		accept_refuse_busy(call,
		    "Requests cannot be written down at the moment: nothing "
		    "was accepted. Try again in a second.");
		return;
	}
	acceptance->wait_limit_us =
	    synq_loop_now_us(intake->loop) + acceptance->plan.wait_us;
	if (accept_waits(acceptance) && acceptance->key == NULL)
		accept_wait(acceptance);
	else
		wait_expect(intake->waits, &call->principal.organization_id,
		    &call->job_id);
	api_hold(call);
	call->stage = API_ACCEPTING;
	if (accept_send(acceptance) == 0)
		return;
	wait_stop(intake->waits, &acceptance->waiter);
	keyed_free(acceptance);
	accept_refuse_busy(call,
	    "The request could not be written down: nothing was accepted. "
	    "Try again in a second.");
	api_release(call);
}

void
accept_same(struct acceptance *acceptance, const struct synq_uuid *job_id)
{
	struct api_call *call = acceptance->call;

	call->job_id = *job_id;
	acceptance->same = 1;
	acceptance->wait_limit_us =
	    synq_loop_now_us(call->intake->loop) + acceptance->plan.wait_us;
	if (accept_waits(acceptance))
		accept_wait(acceptance);
	else
		accept_answer_202(call);
}

void
accept_refuse(struct api_call *call, const struct check_fault *fault)
{
	const struct api_error error = {
		.status = fault->status,
		.code = fault->code,
		.param = fault->param[0] == '\0' ? NULL : fault->param,
	};

	api_refuse(call, &error, "%s", fault->message);
}

void
accept_job(struct api_call *call, const struct accept_plan *plan)
{
	const struct api_error unknown = { .status = 404,
		.code = "model_not_found",
		.param = plan->model_param };
	const struct synq_slice model = plan->job.request.model;
	struct acceptance *acceptance;

	if (synq_catalog_find(call->intake->catalog, model) == NULL) {
		api_refuse(call, &unknown,
		    "The model '%.*s' does not exist. GET /v1/models lists "
		    "those that do.",
		    (int)model.bytes, model.data);
		return;
	}
	acceptance = synq_mem_new(sizeof(*acceptance));
	acceptance->call = call;
	acceptance->plan = *plan;
	call->data = acceptance;
	call->on_free = accept_on_free;
	call->on_leave = accept_on_leave;
	call->job_id = synq_uuid_new(synq_loop_wall_us(call->intake->loop));
	if (keyed_read(acceptance) != 0)
		return;
	if (acceptance->key == NULL)
		accept_produce(acceptance);
	else
		keyed_accept(acceptance);
}
