/*
 * Happy path: a request is read -> its question is understood -> its plan is
 * the default, changed by the model's, by what stands behind ':' in the model's
 * name, and by the header x-stub -> outcome and latency are drawn -> it is
 * recorded -> after its latency it is answered.
 *
 * Calls wait in one heap under one timer, so that tens of thousands may.
 *
 * Failure modes: what the plan says; besides that 400 for a body that is not
 * valid, 401 for a wrong key, 404 for an unknown path or model.
 */

#include "serve.h"

#include <string.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/mem.h"
#include "codec/url.h"
#include "httpd/httpd.h"
#include "loop/loop.h"
#include "question.h"
#include "record.h"
#include "reply.h"
#include "json/write.h"

#define MAX_BODY_BYTES ((size_t)16 << 20)
#define MAX_REPLY_BYTES ((size_t)48 << 20)
#define MAX_PAD_BYTES ((uint32_t)16 << 20) /* of all choices together */
#define EVENT_OVERHEAD 16                  /* of a stream, times the text */
#define PIECES 10                          /* of a slow answer */
#define PIECE_BYTES 65536                  /* of one that is not slow */
#define RETRY_US 5000                      /* when the client reads slowly */
#define JSON "application/json"

struct stub {
	struct synq_loop *loop;
	struct stub_config config;
	struct synq_httpd *httpd;
	struct record *record;
	struct synq_rand rand;
	struct synq_heap waiting; /* struct call, by when they go on */
	struct synq_timer *timer;
	struct synq_buf reply; /* of the answer just made */
	uint64_t seq;
};

struct call {
	struct synq_heap_node node;
	struct stub *stub;
	struct synq_exchange *exchange;
	struct question question;
	struct plan plan;
	enum plan_outcome outcome;
	uint64_t seq;
	struct synq_slice rest; /* of an answer in pieces */
	size_t piece_bytes;
	int begun;   /* the answer in pieces has begun */
	int dropped; /* by us */
};

static void
answer_error(struct stub *stub, struct synq_exchange *exchange, int status,
    const char *message, const char *code)
{
	const char *type = status >= 500   ? "server_error"
	                   : status == 401 ? "authentication_error"
	                   : status == 429 ? "rate_limit_error"
	                                   : "invalid_request_error";

	synq_buf_clear(&stub->reply);
	reply_error(&stub->reply, message, type, code);
	synq_exchange_answer(
	    exchange, status, JSON, synq_buf_view(&stub->reply));
}

/* ---- calls that wait ---- */

static void
wait_us(struct call *call, uint64_t delay_us)
{
	struct stub *stub = call->stub;
	uint64_t at_us = synq_loop_now_us(stub->loop) + delay_us;

	synq_heap_push(&stub->waiting, &call->node, at_us);
	if (synq_heap_first(&stub->waiting) == &call->node)
		synq_timer_start(stub->timer, delay_us);
}

/* Make the whole answer, as JSON or as events, in stub->reply. */
static void
make_reply(struct call *call)
{
	struct stub *stub = call->stub;
	struct synq_arena *arena = synq_exchange_arena(call->exchange);
	int64_t now_s = synq_loop_wall_us(stub->loop) / 1000000;

	synq_buf_clear(&stub->reply);
	stub->reply.overflow = 0;
	if (call->question.is_stream)
		reply_stream(&call->question, call->plan.pad_bytes, now_s,
		    arena, &stub->reply);
	else
		reply_write(&call->question, call->plan.pad_bytes, now_s, arena,
		    &stub->reply);
}

static void
drop(struct call *call)
{
	call->dropped = 1;
	synq_exchange_drop(call->exchange);
}

/* Send the next piece. */
static void
go_on(struct call *call)
{
	struct synq_slice piece = call->rest;
	uint64_t pause_us = (uint64_t)call->plan.slow_ms * 1000;

	if (piece.bytes > call->piece_bytes)
		piece.bytes = call->piece_bytes;
	if (piece.bytes > 0 &&
	    synq_exchange_write(call->exchange, piece) != 0) {
		wait_us(call, RETRY_US);
		return;
	}
	call->rest = synq_slice_of(
	    call->rest.data + piece.bytes, call->rest.bytes - piece.bytes);
	if (call->rest.bytes > 0)
		wait_us(call, pause_us);
	else if (call->outcome == PLAN_CUT_BODY)
		drop(call);
	else
		synq_exchange_end(call->exchange);
}

static void
begin_pieces(struct call *call)
{
	struct synq_slice reply = synq_buf_view(&call->stub->reply);

	if (call->outcome == PLAN_CUT_BODY)
		reply.bytes /= 2;
	call->piece_bytes = call->plan.slow_ms
	                        ? (reply.bytes + PIECES - 1) / PIECES
	                        : PIECE_BYTES;
	/* In two pieces at least: with the last one the connection is cut,
	 * and what was written just before that is not sent. */
	if (call->outcome == PLAN_CUT_BODY && call->piece_bytes >= reply.bytes)
		call->piece_bytes = (reply.bytes + 1) / 2;
	call->rest =
	    synq_arena_slice(synq_exchange_arena(call->exchange), reply);
	call->begun = 1;
	synq_exchange_begin(call->exchange, 200,
	    call->question.is_stream ? "text/event-stream" : JSON);
	go_on(call);
}

static void
answer_ok(struct call *call)
{
	int in_pieces = call->question.is_stream || call->plan.slow_ms > 0 ||
	                call->outcome == PLAN_CUT_BODY;

	make_reply(call);
	if (call->stub->reply.overflow ||
	    !synq_arena_fits(synq_exchange_arena(call->exchange),
		call->stub->reply.bytes + 1))
		answer_error(call->stub, call->exchange, 500,
		    "The answer is too large", NULL);
	else if (in_pieces)
		begin_pieces(call);
	else
		synq_exchange_answer(call->exchange, 200, JSON,
		    synq_buf_view(&call->stub->reply));
}

static void
answer_limited(struct call *call)
{
	char seconds[16];
	struct synq_buf text;

	synq_buf_init(&text, sizeof(seconds));
	synq_buf_printf(&text, "%u", call->plan.retry_after_s);
	synq_exchange_add_header(
	    call->exchange, "Retry-After", synq_buf_view(&text));
	synq_buf_done(&text);
	answer_error(call->stub, call->exchange, 429,
	    "Rate limit reached, as planned", "rate_limit_exceeded");
}

/* The time of ${call} has come. */
static void
act(struct call *call)
{
	if (call->begun) {
		go_on(call);
		return;
	}
	switch (call->outcome) {
	case PLAN_OK:
	case PLAN_CUT_BODY:
		answer_ok(call);
		break;
	case PLAN_ERROR:
		answer_error(call->stub, call->exchange,
		    (int)call->plan.error_status, "Failed, as planned", NULL);
		break;
	case PLAN_LIMITED:
		answer_limited(call);
		break;
	case PLAN_CUT:
		drop(call);
		break;
	case PLAN_STALL:
	case PLAN_OUTCOMES:
		break;
	}
}

static void
on_timer(void *ctx)
{
	struct stub *stub = ctx;
	uint64_t now_us = synq_loop_now_us(stub->loop);
	struct synq_heap_node *node;

	while ((node = synq_heap_first(&stub->waiting)) != NULL &&
	       node->key <= now_us) {
		synq_heap_remove(&stub->waiting, node);
		act(SYNQ_CONTAINER(node, struct call, node));
	}
	if (node)
		synq_timer_start(stub->timer, node->key - now_us);
}

/* ---- a call ---- */

static int
make_plan(struct call *call, struct synq_err *err)
{
	const struct stub_config *config = &call->stub->config;
	const struct question *question = &call->question;
	struct synq_slice header =
	    synq_exchange_header(call->exchange, "x-stub");
	size_t texts = question->choices;
	int ours;

	call->plan = config->plan;
	for (size_t i = 0; i < config->model_count; i++) {
		if (synq_slice_is(question->model, config->models[i].name))
			call->plan = config->models[i].plan;
	}
	/* What stands behind a colon and is no plan belongs to the name. */
	ours = plan_read(&call->plan, question->plan, ':') == 0;
	if (plan_read(&call->plan, header, ',') != 0)
		return synq_fail(err, SYNQ_E_INVALID,
		    "the header x-stub is not valid%s",
		    ours ? "" : ", nor is the plan behind the model's name");
	if (question->inputs > 0)
		texts *= question->inputs;
	if (question->is_stream)
		texts *= EVENT_OVERHEAD;
	if (call->plan.pad_bytes > MAX_PAD_BYTES / texts)
		call->plan.pad_bytes = (uint32_t)(MAX_PAD_BYTES / texts);
	return 0;
}

static int
planned_status(const struct call *call)
{
	switch (call->outcome) {
	case PLAN_OK:
	case PLAN_CUT_BODY:
		return 200;
	case PLAN_ERROR:
		return (int)call->plan.error_status;
	case PLAN_LIMITED:
		return 429;
	case PLAN_CUT:
	case PLAN_STALL:
	case PLAN_OUTCOMES:
		break;
	}
	return 0;
}

static void
record_call(struct call *call, uint64_t latency_us)
{
	struct synq_exchange *exchange = call->exchange;
	int paid = call->outcome != PLAN_LIMITED && call->outcome != PLAN_ERROR;
	struct record_call seen = { .seq = call->seq,
		.path = synq_exchange_path(exchange),
		.model = call->question.model_full,
		.job_id = synq_exchange_header(exchange, "x-synq-job-id"),
		.attempt_id =
		    synq_exchange_header(exchange, "x-synq-attempt-id"),
		.attempt = synq_exchange_header(exchange, "x-synq-attempt"),
		.request_id = synq_exchange_header(exchange, "x-request-id"),
		.key = synq_exchange_header(exchange, "idempotency-key"),
		.outcome = call->outcome,
		.status = planned_status(call),
		.latency_us = latency_us };

	if (paid) {
		seen.prompt_tokens = call->question.prompt_tokens;
		seen.completion_tokens = reply_tokens(&call->question,
		    call->plan.pad_bytes, synq_exchange_arena(exchange));
	}
	record_arrived(call->stub->record, &seen);
}

static void
begin_call(
    struct stub *stub, struct synq_exchange *exchange, enum question_kind kind)
{
	struct synq_arena *arena = synq_exchange_arena(exchange);
	struct call *call = synq_arena_alloc(arena, sizeof(*call));
	uint64_t latency_us;
	struct synq_err err;

	call->stub = stub;
	call->exchange = exchange;
	if (question_read(&call->question, kind, synq_exchange_body(exchange),
		arena, &err) != 0 ||
	    make_plan(call, &err) != 0) {
		record_refused(stub->record);
		answer_error(stub, exchange, 400, err.text, NULL);
		return;
	}
	call->outcome = plan_draw(&call->plan, &stub->rand);
	latency_us = plan_latency_us(&call->plan, &stub->rand);
	call->seq = ++stub->seq;
	call->question.call = call->seq;
	record_call(call, latency_us);
	synq_exchange_set(exchange, call);
	if (call->outcome == PLAN_STALL)
		return;
	if (latency_us == 0)
		act(call);
	else
		wait_us(call, latency_us);
}

/* ---- other routes ---- */

static void
answer_models(struct stub *stub, struct synq_exchange *exchange)
{
	const struct stub_config *config = &stub->config;
	struct synq_buf *out = &stub->reply;

	synq_buf_clear(out);
	synq_buf_text(out, "{\"object\":\"list\",\"data\":[");
	reply_model(out, synq_slice_text("stub"));
	for (size_t i = 0; i < config->model_count; i++) {
		synq_buf_char(out, ',');
		reply_model(out, synq_slice_text(config->models[i].name));
	}
	synq_buf_text(out, "]}");
	synq_exchange_answer(exchange, 200, JSON, synq_buf_view(out));
}

/* One model: those of the list, and any name that begins with "stub". */
static void
answer_model(struct stub *stub, struct synq_exchange *exchange,
    struct synq_slice encoded)
{
	const struct stub_config *config = &stub->config;
	struct synq_buf id;
	int known;

	synq_buf_init(&id, encoded.bytes + 1);
	known = synq_url_decode(encoded, &id) == 0 &&
	        synq_slice_starts(synq_buf_view(&id), "stub");
	for (size_t i = 0; i < config->model_count; i++)
		known |=
		    synq_slice_is(synq_buf_view(&id), config->models[i].name);
	synq_buf_clear(&stub->reply);
	if (known) {
		reply_model(&stub->reply, synq_buf_view(&id));
		synq_exchange_answer(
		    exchange, 200, JSON, synq_buf_view(&stub->reply));
	} else {
		answer_error(stub, exchange, 404, "The model does not exist",
		    "model_not_found");
	}
	synq_buf_done(&id);
}

static void
answer_totals(struct stub *stub, struct synq_exchange *exchange)
{
	synq_buf_clear(&stub->reply);
	record_totals(stub->record, &stub->reply);
	synq_exchange_answer(exchange, 200, JSON, synq_buf_view(&stub->reply));
}

static void
answer_get(
    struct stub *stub, struct synq_exchange *exchange, struct synq_slice path)
{
	static const char models[] = "/v1/models/";
	size_t n = sizeof(models) - 1;

	if (synq_slice_is(path, "/v1/models")) {
		answer_models(stub, exchange);
	} else if (synq_slice_starts(path, models)) {
		answer_model(stub, exchange,
		    synq_slice_of(path.data + n, path.bytes - n));
	} else if (synq_slice_is(path, "/stub/calls")) {
		answer_totals(stub, exchange);
	} else if (synq_slice_is(path, "/stub/reset")) {
		record_reset(stub->record);
		answer_totals(stub, exchange);
	} else if (synq_slice_is(path, "/livez")) {
		synq_exchange_answer(
		    exchange, 200, "text/plain", synq_slice_text("ok\n"));
	} else {
		answer_error(stub, exchange, 404, "There is no such path",
		    "unknown_url");
	}
}

/* ---- events ---- */

static int
has_key(const struct stub *stub, const struct synq_exchange *exchange)
{
	struct synq_slice shown =
	    synq_exchange_header(exchange, "authorization");

	if (!stub->config.key)
		return 1;
	return synq_slice_starts(shown, "Bearer ") &&
	       synq_slice_is(synq_slice_of(shown.data + 7, shown.bytes - 7),
		   stub->config.key);
}

static enum synq_httpd_verdict
on_head(void *ctx, struct synq_exchange *exchange)
{
	struct stub *stub = ctx;

	if (!synq_slice_starts(synq_exchange_path(exchange), "/v1/") ||
	    has_key(stub, exchange))
		return SYNQ_HTTPD_READ_BODY;
	answer_error(
	    stub, exchange, 401, "Incorrect API key", "invalid_api_key");
	return SYNQ_HTTPD_ANSWERED;
}

static void
on_body(void *ctx, struct synq_exchange *exchange)
{
	struct stub *stub = ctx;
	struct synq_slice path = synq_exchange_path(exchange);
	struct synq_slice method = synq_exchange_method(exchange);

	if (synq_slice_is(method, "GET")) {
		answer_get(stub, exchange, path);
	} else if (!synq_slice_is(method, "POST")) {
		answer_error(stub, exchange, 405, "Only GET and POST", NULL);
	} else if (synq_slice_is(path, "/v1/chat/completions")) {
		begin_call(stub, exchange, QUESTION_CHAT);
	} else if (synq_slice_is(path, "/v1/completions")) {
		begin_call(stub, exchange, QUESTION_COMPLETION);
	} else if (synq_slice_is(path, "/v1/embeddings")) {
		begin_call(stub, exchange, QUESTION_EMBEDDING);
	} else {
		answer_get(stub, exchange, path);
	}
}

static void
on_gone(void *ctx, struct synq_exchange *exchange, int answered)
{
	struct stub *stub = ctx;
	struct call *call = synq_exchange_get(exchange);

	if (!call)
		return;
	synq_heap_remove(&stub->waiting, &call->node);
	record_ended(stub->record, call->seq, answered || call->dropped);
}

static void
on_error(
    SYNQ_UNUSED void *ctx, int status, const char *reason, struct synq_buf *out)
{
	reply_error(out, reason,
	    status < 500 ? "invalid_request_error" : "server_error", NULL);
}

/* ---- life ---- */

static int
listen_on(struct stub *stub, struct synq_err *err)
{
	const struct stub_config *config = &stub->config;
	const struct synq_httpd_config server = { .host = config->host,
		.port = config->port,
		.max_connections = config->max_connections,
		.max_body_bytes = MAX_BODY_BYTES,
		/* Clients keep connections for as long as they like. */
		.idle_limit_ms = 600000,
		.events = { .on_head = on_head,
		    .on_body = on_body,
		    .on_gone = on_gone,
		    .on_error = on_error },
		.ctx = stub };

	return synq_httpd_new(stub->loop, &server, &stub->httpd, err);
}

int
serve_new(struct synq_loop *loop, const struct stub_config *config,
    struct stub **ret, struct synq_err *err)
{
	struct stub *stub = synq_mem_new(sizeof(*stub));
	int rc;

	stub->loop = loop;
	stub->config = *config;
	synq_rand_init(&stub->rand, config->seed);
	synq_heap_init(&stub->waiting);
	synq_buf_init(&stub->reply, MAX_REPLY_BYTES);
	stub->timer = synq_timer_new(loop, on_timer, stub);
	rc = record_new(loop, config->record_path, &stub->record, err);
	if (rc == 0)
		rc = listen_on(stub, err);
	if (rc != 0)
		goto fail;
	*ret = stub;
	return 0;

fail:
	serve_free(&stub);
	return rc;
}

uint16_t
serve_port(const struct stub *stub)
{
	return synq_httpd_port(stub->httpd);
}

void
serve_free(struct stub **stub_ptr)
{
	struct stub *stub = *stub_ptr;

	if (!stub)
		return;
	synq_httpd_free(&stub->httpd);
	record_free(&stub->record);
	synq_timer_free(&stub->timer);
	synq_heap_done(&stub->waiting);
	synq_buf_done(&stub->reply);
	synq_mem_free(stub);
	*stub_ptr = NULL;
}
