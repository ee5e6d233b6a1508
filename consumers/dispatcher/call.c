/*
 * One call.
 *
 * Happy path: find model and provider, let the dialect build the request,
 * start it, let the dialect judge the answer, hand it to the core.
 *
 * Failure modes: the provider is gone from the catalog since the attempt
 * began, the dialect cannot build it, the HTTP client refuses: each becomes an
 * answer like any other, given from the loop.
 */

#include "call.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "dispatcher.h"
#include "figures.h"
#include "http/http.h"
#include "loop/loop.h"
#include "provider/provider.h"
#include "service/service.h"
#include "store/catalog.h"
#include "work.h"

/* The largest answer that fits a result record (decisions 21). */
#define CALL_MAX_RESULT_BYTES 1900000

/* work->io while a call is out; in the attempt's arena. */
struct call {
	struct dispatcher *dispatcher;
	struct work *work; /* NULL = aborted */
	const struct synq_dialect *dialect;
	struct synq_http_call *http;
	struct synq_err err;
	int rc; /* why it could not be started */
};

static int
call_overloaded(const struct synq_provider_answer *answer)
{
	return answer->status == 429 || answer->status == 503 ||
	       answer->status == 529 || answer->rc == -SYNQ_E_TIMEOUT;
}

/* Give the core what the dialect makes of ${raw}. */
static void
call_judge(
    struct call *call, const struct synq_provider_answer *raw, uint64_t took_us)
{
	struct work *work = call->work;
	struct dispatcher *dispatcher = call->dispatcher;
	struct synq_provider_verdict verdict;
	struct core_answer answer;

	call->dialect->judge(&work->request, raw,
	    synq_loop_wall_us(dispatcher->loop), work->call_arena, &verdict);
	answer = (struct core_answer){
		.succeeded = verdict.succeeded,
		.overload = call_overloaded(raw),
		.class = verdict.class,
		.http_status = raw->rc == 0 ? raw->status : 0,
		.answer_status = verdict.answer_status,
		.body = verdict.body,
		.error_code = verdict.error_code,
		.error = verdict.error,
		.usage = verdict.usage,
		.retry_after_us = verdict.retry_after_us,
		.took_us = took_us,
	};
	work->io = NULL;
	figures_answered(dispatcher->figures, work, &answer);
	core_answered(work, &answer);
	dispatcher_wake(dispatcher);
}

static void
call_on_done(void *ctx, const struct synq_http_result *result)
{
	struct call *call = ctx;
	const struct synq_provider_answer raw = {
		.rc = result->rc,
		.status = result->status,
		.body = result->body,
		.retry_after = synq_http_header(result, "retry-after"),
		.retry_after_ms = synq_http_header(result, "retry-after-ms"),
		.content_type = synq_http_header(result, "content-type"),
	};

	if (result->rc != 0)
		synq_log(SYNQ_LOG_INFO, "call.failed",
		    SYNQ_F_UUID("job_id", &call->work->request.job_id),
		    SYNQ_F_UUID("org_id", &call->work->request.organization_id),
		    SYNQ_F_TEXT("provider", call->work->provider),
		    SYNQ_F_ERR(result->err), SYNQ_F_END);
	call->http = NULL;
	call_judge(call, &raw, result->total_us);
}

/* A call that could not be started is answered from the loop all the same. */
static void
call_not_started(void *ctx)
{
	struct call *call = ctx;
	const struct synq_provider_answer raw = { .rc = call->rc };

	if (call->work == NULL)
		return;
	synq_log(SYNQ_LOG_WARN, "call.not_started",
	    SYNQ_F_UUID("job_id", &call->work->request.job_id),
	    SYNQ_F_ERR(&call->err), SYNQ_F_END);
	call_judge(call, &raw, 0);
}

/* Let ${target} say where to call for ${work}. */
static void
call_target(const struct synq_catalog_model *model, struct work *work,
    struct synq_provider_target *ret)
{
	char job_id[SYNQ_UUID_CHARS + 1];
	char attempt_id[SYNQ_UUID_CHARS + 1];

	synq_uuid_format(&work->request.job_id, job_id);
	synq_uuid_format(&work->attempt_id, attempt_id);
	*ret = (struct synq_provider_target){
		.name = model->provider->name,
		.base_url = model->provider->base_url,
		.upstream_model = synq_slice_text(model->upstream_name),
		.job_id = synq_arena_text(work->call_arena, job_id),
		.attempt_id = synq_arena_text(work->call_arena, attempt_id),
		.attempt = work->attempt,
	};
	if (model->provider->credential != NULL)
		ret->credential = synq_secret_view(model->provider->credential);
}

/* When the call of ${work} must be over, monotonic. */
static uint64_t
call_deadline_us(const struct call *call)
{
	const struct synq_loop *loop = call->dispatcher->loop;
	const struct core_config *config = &call->work->core->config;
	const int64_t left_us =
	    call->work->call_deadline_at - config->io.now(config->io_ctx);

	return synq_loop_now_us(loop) + (left_us > 0 ? (uint64_t)left_us : 1);
}

/*
 * The model of ${work} at the provider that its attempt.started names; NULL if
 * the catalog says otherwise by now.
 */
static const struct synq_catalog_model *
call_model(const struct dispatcher *dispatcher, const struct work *work)
{
	const struct synq_catalog_model *model =
	    synq_catalog_find(dispatcher->core->catalog, work->request.model);

	if (model == NULL ||
	    strcmp(model->provider->name, work->provider) != 0 ||
	    strcmp(model->upstream_name, work->provider_model) != 0)
		return NULL;
	return model;
}

/* Build and send; 0, or an error that call_not_started answers with. */
static int
call_send(struct call *call)
{
	struct dispatcher *dispatcher = call->dispatcher;
	struct work *work = call->work;
	const struct synq_config *config =
	    synq_service_config(dispatcher->service);
	const struct synq_catalog_model *model;
	struct synq_provider_target target;
	struct synq_provider_call built;
	struct synq_http_request request;
	int rc;

	model = call_model(dispatcher, work);
	if (model == NULL)
		return synq_fail(&call->err, SYNQ_E_UNAVAILABLE,
		    "the model went while its attempt began");
	call->dialect = synq_dialect_find(model->provider->dialect);
	call_target(model, work, &target);
	rc = call->dialect->build(
	    &work->request, &target, work->call_arena, &built, &call->err);
	if (rc != 0)
		return rc;
	request = (struct synq_http_request){
		.method = "POST",
		.url = built.url,
		.headers = built.headers,
		.body = built.body,
		.max_result_bytes = CALL_MAX_RESULT_BYTES,
		.silence_limit_ms =
		    (uint32_t)config->dispatcher_silence_limit_ms,
		.deadline_us = call_deadline_us(call),
		.arena = work->call_arena,
		.done = call_on_done,
		.ctx = call,
	};
	return synq_http_start(
	    dispatcher->http, &request, &call->http, &call->err);
}

void
call_start(void *ctx, struct work *work)
{
	struct dispatcher *dispatcher = ctx;
	struct call *call = synq_arena_alloc(work->call_arena, sizeof(*call));

	call->dispatcher = dispatcher;
	call->work = work;
	call->dialect = synq_dialect_find("openai");
	work->io = call;
	call->rc = call_send(call);
	if (call->rc != 0)
		synq_loop_defer(dispatcher->loop, call_not_started, call);
}

void
call_abort(void *ctx, struct work *work)
{
	struct call *call = work->io;

	(void)ctx;
	if (call == NULL)
		return;
	synq_http_cancel(&call->http);
	call->work = NULL;
	work->io = NULL;
}
