/*
 * Acceptance.
 *
 * Happy path: the model exists → the idempotency key is free (or none was
 * sent) → produce → acknowledged → 202, or wait for the result and answer it.
 *
 * Failure modes:
 * - the key names a job: that job is answered, nothing is produced;
 * - the log does not take the record, or is known to be away: 503 at once,
 *   nothing happened;
 * - no acknowledgement in time: 503 with the id, and a cancel goes out as soon
 *   as the log answers, because the record may be there;
 * - the client leaves: before the produce nothing happened; after it the job is
 *   cancelled unless it has begun.
 */

#include "accept.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
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
#include "store/keys.h"
#include "wait.h"
#include "withdraw.h"

#define KEY_MAX_BYTES 255
/* A word between two intakes by Redis takes far less. */
#define LOOK_AGAIN_US 50000

/* call->data of a call that is being accepted. */
struct acceptance {
	struct api_call *call;
	struct accept_plan plan;
	struct waiter waiter;
	struct synq_claim_request claim;
	char *key; /* owned copy of the idempotency key; NULL = none */
	int late;  /* the wait ended before the acknowledgement came */
	int same;  /* the job was made by an earlier request of this key */
	int ended; /* its result was answered */
	struct synq_timer *again; /* looks at the claim once more; or NULL */
};

static const struct api_error accept_busy = {
	.status = 503, .code = "server_is_overloaded", .retry_after_s = 1
};

static void
accept_on_free(struct api_call *call)
{
	struct acceptance *acceptance = call->data;

	wait_stop(call->intake->waits, &acceptance->waiter);
	synq_timer_free(&acceptance->again);
	synq_mem_free(acceptance->key);
	synq_mem_free(acceptance);
}

static void
accept_withdraw(struct api_call *call, enum synq_cancel_reason reason)
{
	const struct synq_cancel cancel = {
		.job_id = call->job_id,
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
		accept_withdraw(call, SYNQ_CANCEL_GONE);
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
		.limit_us =
		    synq_loop_now_us(intake->loop) + acceptance->plan.wait_us,
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

static void
accept_settle(struct acceptance *acceptance, int accepted)
{
	if (acceptance->key != NULL)
		synq_store_settle_claim(&acceptance->claim, accepted);
}

static void
accept_on_ack(void *ctx, int rc, int64_t offset)
{
	struct api_call *call = ctx;
	struct acceptance *acceptance = call->data;
	char id[SYNQ_JOB_ID_CHARS + 1];

	(void)offset;
	log_answered(call->intake, rc);
	if (rc == 0 || acceptance->ended) { /* a result tells as well */
		accept_settle(acceptance, 1);
		if (call->stage == API_ACCEPTING)
			call->stage = API_WAITING;
		if (acceptance->late)
			accept_on_result(acceptance, NULL);
		else if (!accept_waits(acceptance))
			accept_answer_202(call);
	} else {
		accept_settle(acceptance, 0);
		wait_stop(call->intake->waits, &acceptance->waiter);
		if (rc == -SYNQ_E_UNCERTAIN)
			accept_withdraw(call, SYNQ_CANCEL_UNSURE);
		api_job_id(call, &call->job_id, id);
		api_refuse(call, &accept_busy,
		    "The request %s was not acknowledged in time. It is "
		    "withdrawn; send it again.",
		    id);
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

/* Put the request on the log. */
static void
accept_produce(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	struct intake *intake = call->intake;

	if (!log_takes(intake)) {
		accept_settle(acceptance, 0);
		api_refuse(call, &accept_busy,
		    "Requests cannot be written down at the moment: nothing "
		    "was accepted. Try again in a second.");
		return;
	}
	if (accept_waits(acceptance))
		accept_wait(acceptance);
	else
		wait_expect(intake->waits, &call->principal.organization_id,
		    &call->job_id);
	api_hold(call);
	call->stage = API_ACCEPTING;
	if (accept_send(acceptance) == 0)
		return;
	wait_stop(intake->waits, &acceptance->waiter);
	accept_settle(acceptance, 0);
	api_refuse(call, &accept_busy,
	    "The request could not be written down: nothing was accepted. "
	    "Try again in a second.");
	api_release(call);
}

/* The key names ${job_id} already: answer that job. */
static void
accept_same(struct acceptance *acceptance, const struct synq_uuid *job_id)
{
	struct api_call *call = acceptance->call;

	call->job_id = *job_id;
	acceptance->same = 1;
	if (accept_waits(acceptance))
		accept_wait(acceptance);
	else
		accept_answer_202(call);
}

static void accept_on_claim(void *ctx, enum synq_claim claim,
    const struct synq_uuid *job_id, int accepted);

static void
accept_on_again(void *ctx)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;

	if (call->exchange != NULL)
		synq_store_claim(
		    &acceptance->claim, accept_on_claim, acceptance);
	else
		api_release(call);
}

/*
 * The first request of the key is being accepted, or was a moment ago and the
 * word of it is on its way: look once more before refusing.
 */
static void
accept_running(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	const struct api_error running = { .status = 409,
		.code = "idempotency_key_in_use",
		.retry_after_s = 1 };

	if (acceptance->again != NULL) {
		api_refuse(call, &running,
		    "The first request with this Idempotency-Key is still "
		    "being accepted. Try again in a second.");
		return;
	}
	acceptance->again =
	    synq_timer_new(call->intake->loop, accept_on_again, acceptance);
	synq_timer_start(acceptance->again, LOOK_AGAIN_US);
	api_hold(call);
}

/* The job of a stale claim: answer it if it is there, else make it now. */
static void
accept_on_stale_row(void *ctx, int rc, const struct synq_job_row *rows,
    size_t count, int64_t as_of)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;

	(void)rows;
	if (call->exchange == NULL) {
		/* Still stale for whoever comes next. */
	} else if (rc != 0 ||
		   (count == 0 && as_of <= synq_uuid_time_us(&call->job_id))) {
		api_refuse(call, &accept_busy,
		    "Whether this Idempotency-Key was used cannot be told at "
		    "the moment; nothing was accepted. Try again.");
	} else if (count == 0) {
		accept_produce(acceptance);
	} else {
		accept_settle(acceptance, 1);
		accept_same(acceptance, &acceptance->claim.job_id);
	}
	api_release(call);
}

/*
 * An intake died between claiming the key for ${job_id} and the end of the
 * acceptance: nobody knows whether the job is on the log.
 */
static void
accept_stale(struct acceptance *acceptance, const struct synq_uuid *job_id)
{
	struct api_call *call = acceptance->call;
	const struct synq_jobs_request request = {
		.organization_id = call->principal.organization_id,
		.ids = &call->job_id,
		.count = 1,
		.part = SYNQ_JOB_ROW_ONLY,
	};

	call->job_id = *job_id;
	acceptance->claim.job_id = *job_id;
	api_hold(call);
	if (synq_store_jobs(call->intake->pg, &request, accept_on_stale_row,
		acceptance) != 0)
		accept_on_stale_row(acceptance, -SYNQ_E_BUSY, NULL, 0, 0);
}

static void
accept_on_claim(void *ctx, enum synq_claim claim,
    const struct synq_uuid *job_id, int accepted)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;
	const struct api_error other = { .status = 422,
		.code = "idempotency_key_reused",
		.never_retry = 1 };

	if (call->exchange == NULL) {
		if (claim == SYNQ_CLAIM_MINE)
			accept_settle(acceptance, 0);
	} else if (claim == SYNQ_CLAIM_MINE) {
		accept_produce(acceptance);
	} else if (claim == SYNQ_CLAIM_STALE) {
		accept_stale(acceptance, job_id);
	} else if (claim == SYNQ_CLAIM_OTHER) {
		api_refuse(call, &other,
		    "This Idempotency-Key was used with another body within "
		    "the last 24 hours. Use a new key for a new request.");
	} else if (claim == SYNQ_CLAIM_UNKNOWN) {
		api_refuse(call, &accept_busy,
		    "Whether this Idempotency-Key was used cannot be told at "
		    "the moment; nothing was accepted. Try again.");
	} else if (!accepted) {
		accept_running(acceptance);
	} else {
		accept_same(acceptance, job_id);
	}
	api_release(call);
}

/* The idempotency key of ${call}, without quotes; 0, or -1 if it is bad. */
static int
accept_key(struct api_call *call, struct acceptance *acceptance)
{
	const struct api_error error = { .status = 400,
		.code = "invalid_value",
		.param = "Idempotency-Key" };
	struct synq_slice key = synq_slice_trim(
	    synq_exchange_header(call->exchange, "idempotency-key"));

	if (key.data == NULL)
		return 0;
	if (key.bytes >= 2 && key.data[0] == '"' &&
	    key.data[key.bytes - 1] == '"') {
		key.data++;
		key.bytes -= 2;
	}
	if (key.bytes == 0 || key.bytes > KEY_MAX_BYTES) {
		api_refuse(call, &error,
		    "Idempotency-Key must be 1 to %d characters long.",
		    KEY_MAX_BYTES);
		return -1;
	}
	acceptance->key = synq_mem_copy(key.data, key.bytes);
	acceptance->claim = (struct synq_claim_request){
		.redis = call->intake->redis,
		.pg = call->intake->pg,
		.organization_id = call->principal.organization_id,
		.method = synq_slice_text(call->route->method),
		.route = synq_slice_text(call->route->path),
		.key = synq_slice_of(acceptance->key, key.bytes),
		.body = synq_exchange_body(call->exchange),
		.job_id = call->job_id,
		.now_at = synq_loop_wall_us(call->intake->loop),
	};
	return 0;
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
	if (accept_key(call, acceptance) != 0)
		return;
	if (acceptance->key == NULL) {
		accept_produce(acceptance);
		return;
	}
	api_hold(call);
	synq_store_claim(&acceptance->claim, accept_on_claim, acceptance);
}
