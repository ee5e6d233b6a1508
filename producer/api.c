/*
 * A call's way to its handler.
 *
 * Happy path: head → route → credential (usually from the cache) → body →
 * handler → answer.  Where the credential must be asked for, a body that comes
 * is read meanwhile, none is asked for, and the handler runs when both are
 * there.
 *
 * Failure modes: no such route, other method, bad credential, too much work
 * already: answered from the head, the body is thrown away.
 */

#include "api.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "codec/url.h"
#include "figures.h"
#include "intake.h"
#include "job/id.h"
#include "loop/loop.h"
#include "route.h"
#include "service/service.h"
#include "json/write.h"

static const char api_json_type[] = "application/json";

/*
 * Name a request in the headers of its answer, now, so that the name stands on
 * what the server itself answers too.
 */
static void
api_name(struct intake *intake, struct synq_exchange *exchange,
    char ret[API_REQUEST_ID_BYTES])
{
	struct synq_uuid id = synq_uuid_new(synq_loop_wall_us(intake->loop));

	memcpy(ret, "req_", 4);
	synq_uuid_format(&id, ret + 4);
	synq_exchange_add_header(
	    exchange, "x-request-id", synq_slice_of(ret, 4 + SYNQ_UUID_CHARS));
}

static struct api_call *
api_new(struct intake *intake, struct synq_exchange *exchange)
{
	struct api_call *call = synq_mem_new(sizeof(*call));

	call->intake = intake;
	call->exchange = exchange;
	call->job_state = SYNQ_JOB_QUEUED;
	call->holds = 1; /* the exchange's */
	intake->calls++;
	api_name(intake, exchange, call->request_id);
	return call;
}

void
api_hold(struct api_call *call)
{
	call->holds++;
}

void
api_release(struct api_call *call)
{
	call->holds--;
	if (call->holds > 0)
		return;
	if (call->on_free != NULL)
		call->on_free(call);
	call->intake->calls--;
	synq_mem_free(call);
}

void
api_answer(struct api_call *call, int status, struct synq_slice body)
{
	if (call->exchange == NULL || call->stage == API_ANSWERED)
		return;
	call->stage = API_ANSWERED;
	synq_exchange_answer(call->exchange, status,
	    body.data == NULL ? NULL : api_json_type, body);
}

static const char *
api_error_type(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 429:
		return "rate_limit_error";
	default:
		return status >= 500 ? "server_error" : "invalid_request_error";
	}
}

void
api_error_body(const struct api_error *error, struct synq_slice message,
    struct synq_buf *out)
{
	struct synq_json_writer json;

	synq_json_start(&json, out);
	synq_json_open(&json, '{');
	synq_json_key(&json, "error");
	synq_json_open(&json, '{');
	synq_json_key(&json, "message");
	synq_json_slice(&json, message);
	synq_json_key(&json, "type");
	synq_json_text(&json,
	    error->type != NULL ? error->type : api_error_type(error->status));
	synq_json_key(&json, "param");
	synq_json_text(&json, error->param);
	synq_json_key(&json, "code");
	synq_json_text(&json, error->code);
	synq_json_close(&json, '}');
	synq_json_close(&json, '}');
}

void
api_refuse(
    struct api_call *call, const struct api_error *error, const char *fmt, ...)
{
	struct synq_buf message;
	struct synq_buf body;
	char seconds[16];
	va_list args;

	if (call->exchange == NULL)
		return;
	synq_buf_init(&message, 2048);
	synq_buf_init(&body, 16384);
	va_start(args, fmt);
	(void)synq_buf_vprintf(&message, fmt, args);
	va_end(args);
	api_error_body(error, synq_buf_view(&message), &body);
	if (error->retry_after_s > 0) {
		(void)snprintf(
		    seconds, sizeof(seconds), "%d", error->retry_after_s);
		synq_exchange_add_header(
		    call->exchange, "retry-after", synq_slice_text(seconds));
	}
	if (error->never_retry)
		synq_exchange_add_header(
		    call->exchange, "x-should-retry", synq_slice_text("false"));
	api_answer(call, error->status, synq_buf_view(&body));
	synq_buf_done(&message);
	synq_buf_done(&body);
}

void
api_job_id(struct api_call *call, const struct synq_uuid *job, char ret[45])
{
	struct api_public_id *last = &call->public_id;

	if (!last->known || !synq_uuid_equal(&last->job_id, job)) {
		synq_job_id_format(call->intake->idkey, INTAKE_IDKEY_VERSION,
		    &call->principal.organization_id, job, last->text);
		last->job_id = *job;
		last->known = 1;
	}
	memcpy(ret, last->text, sizeof(last->text));
}

void
api_add_location(struct api_call *call)
{
	static const char path[] = "/v1/jobs/";
	char location[sizeof(path) + SYNQ_JOB_ID_CHARS];

	if (call->exchange == NULL)
		return;
	memcpy(location, path, sizeof(path));
	api_job_id(call, &call->job_id, location + sizeof(path) - 1);
	synq_exchange_add_header(call->exchange, "location",
	    synq_slice_of(location, sizeof(location) - 1));
}

/* Refuse ${call} because its credential is ${answer}. */
static void
api_refuse_credential(struct api_call *call, enum synq_auth_answer answer)
{
	const struct api_error denied = { .status = 401,
		.code = "invalid_api_key" };
	const struct api_error unable = {
		.status = 503, .code = "service_unavailable", .retry_after_s = 1
	};

	if (call->exchange != NULL && answer != SYNQ_AUTH_UNABLE)
		synq_exchange_add_header(call->exchange, "www-authenticate",
		    synq_slice_text("Bearer"));
	switch (answer) {
	case SYNQ_AUTH_MISSING:
		api_refuse(call, &denied,
		    "No API key was given. Send it as "
		    "'Authorization: Bearer synq_live_...'.");
		break;
	case SYNQ_AUTH_MALFORMED:
		api_refuse(call, &denied,
		    "The API key is not complete or has a typing error. A key "
		    "is 76 characters and starts with synq_live_ or "
		    "synq_test_.");
		break;
	case SYNQ_AUTH_REVOKED:
		api_refuse(call, &denied,
		    "The API key was revoked or has expired. Ask your "
		    "administrator for a new one.");
		break;
	case SYNQ_AUTH_UNABLE:
		api_refuse(call, &unable,
		    "The API key cannot be checked at the moment. Try again "
		    "in a second.");
		break;
	case SYNQ_AUTH_UNKNOWN:
	case SYNQ_AUTH_OK:
	default:
		api_refuse(call, &denied,
		    "The API key is not known. Check that it belongs to this "
		    "installation.");
		break;
	}
}

/* Run the handler once credential and body are there. */
static void
api_handle(struct api_call *call)
{
	if (!call->decided || !call->complete || call->exchange == NULL ||
	    call->stage != API_READING)
		return;
	call->stage = API_PREPARING;
	call->route->handler(call);
}

static void
api_on_auth(void *ctx, enum synq_auth_answer answer,
    const struct synq_principal *principal)
{
	struct api_call *call = ctx;

	call->decided = 1;
	call->credential = answer;
	if (answer != SYNQ_AUTH_OK) {
		api_refuse_credential(call, answer);
	} else {
		call->principal = *principal;
		if (call->exchange != NULL)
			synq_exchange_continue(call->exchange);
		api_handle(call);
	}
	api_release(call);
}

/* Decode the path's segment of ${call}; 0, or -1 if it is no text. */
static int
api_segment(struct api_call *call, struct synq_slice raw)
{
	struct synq_buf text;
	int rc;

	if (raw.bytes == 0)
		return 0;
	synq_buf_init(&text, 1024);
	rc = synq_url_decode(raw, &text);
	if (rc == 0)
		call->segment = synq_arena_slice(
		    synq_exchange_arena(call->exchange), synq_buf_view(&text));
	synq_buf_done(&text);
	return rc;
}

/* Answer ${call}, whose route was not found, ${status}. */
static void
api_refuse_route(struct api_call *call, int status, struct synq_slice allow)
{
	struct synq_exchange *exchange = call->exchange;
	const struct api_error unknown = { .status = 404,
		.code = "unknown_url" };
	const struct api_error other = { .status = 405,
		.code = "method_not_allowed" };
	const struct api_error strange = { .status = 501,
		.code = "method_not_implemented",
		.never_retry = 1 };
	const struct synq_slice method = synq_exchange_method(exchange);
	const struct synq_slice path = synq_exchange_path(exchange);

	if (status == 404) {
		api_refuse(call, &unknown,
		    "Unknown URL %.*s. The API lies under /v1, see "
		    "/openapi.json in the documentation.",
		    (int)(path.bytes > 200 ? 200 : path.bytes), path.data);
		return;
	}
	if (status == 501) {
		api_refuse(call, &strange, "There is no method %.*s.",
		    (int)method.bytes, method.data);
		return;
	}
	synq_exchange_add_header(exchange, "allow", allow);
	if (synq_slice_is(method, "OPTIONS"))
		api_answer(call, 204, synq_slice_text(NULL));
	else
		api_refuse(call, &other, "%.*s is not allowed here. Use %.*s.",
		    (int)method.bytes, method.data, (int)allow.bytes,
		    allow.data);
}

/* Find the route of ${call}; 0, or 1 if it was answered. */
static int
api_find_route(struct api_call *call)
{
	struct synq_slice raw = { NULL, 0 };
	struct synq_buf allow;
	int status;

	synq_buf_init(&allow, 256);
	status = route_find(synq_exchange_method(call->exchange),
	    synq_exchange_path(call->exchange), &call->route, &raw, &allow);
	if (status == 0 && api_segment(call, raw) != 0)
		status = 404;
	if (status != 0)
		api_refuse_route(call, status, synq_buf_view(&allow));
	synq_buf_done(&allow);
	return status != 0;
}

/* Ask who calls; 0, or 1 if ${call} was answered. */
static int
api_authenticate(struct api_call *call)
{
	struct synq_auth_result who = { 0 };

	if ((call->route->flags & ROUTE_OPEN) != 0) {
		call->decided = 1;
		return 0;
	}
	api_hold(call);
	if (!synq_auth_check(call->intake->auth,
		synq_exchange_header(call->exchange, "authorization"), &who,
		api_on_auth, call))
		return 0;
	call->credential = who.answer;
	call->principal = who.principal;
	api_release(call);
	call->decided = 1;
	if (call->credential == SYNQ_AUTH_OK)
		return 0;
	api_refuse_credential(call, call->credential);
	return 1;
}

/* 1 if the ${parameters} of a media type name no charset but UTF-8. */
static int
api_is_utf8(struct synq_slice parameters)
{
	while (parameters.bytes > 0) {
		const char *end =
		    memchr(parameters.data, ';', parameters.bytes);
		size_t n = end != NULL ? (size_t)(end - parameters.data)
		                       : parameters.bytes;
		struct synq_slice one =
		    synq_slice_trim(synq_slice_of(parameters.data, n));
		struct synq_slice name =
		    synq_slice_of(one.data, one.bytes < 8 ? 0 : 8);

		if (synq_slice_is_nocase(name, "charset=") &&
		    !synq_slice_is_nocase(one, "charset=utf-8") &&
		    !synq_slice_is_nocase(one, "charset=\"utf-8\""))
			return 0;
		n += end != NULL;
		parameters =
		    synq_slice_of(parameters.data + n, parameters.bytes - n);
	}
	return 1;
}

/* No type is taken for JSON (RFC 9110, 8.3): the scanner decides. */
static int
api_is_json(const struct synq_exchange *exchange)
{
	struct synq_slice type = synq_exchange_header(exchange, "content-type");
	struct synq_slice rest = { NULL, 0 };
	const char *end;

	if (type.data == NULL)
		return 1;
	end = memchr(type.data, ';', type.bytes);
	if (end != NULL) {
		rest = synq_slice_of(
		    end + 1, type.bytes - (size_t)(end + 1 - type.data));
		type.bytes = (size_t)(end - type.data);
	}
	return synq_slice_is_nocase(synq_slice_trim(type), api_json_type) &&
	       api_is_utf8(rest);
}

/* The head promises a body that can be read; 0, or 1 if it was answered. */
static int
api_check_body(struct api_call *call)
{
	struct synq_exchange *exchange = call->exchange;
	const struct api_error length = { .status = 411,
		.code = "length_required" };
	const struct api_error type = { .status = 415,
		.code = "unsupported_media_type" };
	const struct synq_slice coding =
	    synq_exchange_header(exchange, "content-encoding");

	if (!synq_exchange_says_length(exchange)) {
		api_refuse(call, &length,
		    "A body is needed here: send it with Content-Length or in "
		    "chunks.");
	} else if (!api_is_json(exchange)) {
		synq_exchange_add_header(
		    exchange, "accept", synq_slice_text(api_json_type));
		api_refuse(call, &type,
		    "The body must be JSON in UTF-8: send 'Content-Type: "
		    "application/json'.");
	} else if (coding.bytes > 0 &&
		   !synq_slice_is_nocase(coding, "identity")) {
		synq_exchange_add_header(
		    exchange, "accept-encoding", synq_slice_text("identity"));
		api_refuse(call, &type,
		    "The body must not be compressed: send it without "
		    "Content-Encoding.");
	} else {
		return 0;
	}
	return 1;
}

static enum synq_httpd_verdict
api_on_head(void *ctx, struct synq_exchange *exchange)
{
	struct intake *intake = ctx;
	const struct synq_config *config = synq_service_config(intake->service);
	const struct api_error busy = { .status = 503,
		.code = "server_is_overloaded",
		.retry_after_s = 1 };
	struct api_call *call = api_new(intake, exchange);

	synq_exchange_set(exchange, call);
	if (intake->calls > (size_t)config->intake_max_pending) {
		api_refuse(call, &busy,
		    "The server has too much to do. Try again in a second.");
		return SYNQ_HTTPD_ANSWERED;
	}
	if (api_find_route(call) || api_authenticate(call))
		return SYNQ_HTTPD_ANSWERED;
	if ((call->route->flags & ROUTE_BODY) != 0 && api_check_body(call))
		return SYNQ_HTTPD_ANSWERED;
	/* Nobody is asked for a body before it is known who they are. */
	return call->decided ? SYNQ_HTTPD_READ_BODY : SYNQ_HTTPD_READ_UNASKED;
}

static void
api_on_body(void *ctx, struct synq_exchange *exchange)
{
	struct api_call *call = synq_exchange_get(exchange);

	(void)ctx;
	call->complete = 1;
	api_handle(call);
}

static void
api_on_gone(void *ctx, struct synq_exchange *exchange, int answered)
{
	struct intake *intake = ctx;
	struct api_call *call = synq_exchange_get(exchange);
	const struct figures_answer answer = {
		.route = call->route,
		.method = synq_exchange_method(exchange),
		.status = synq_exchange_status(exchange),
		.took_us = (int64_t)(synq_loop_now_us(intake->loop) -
				     synq_exchange_start_us(exchange)),
	};

	if (answered)
		figures_answered(intake->figures, &answer);
	call->exchange = NULL;
	if (!answered && call->on_leave != NULL)
		call->on_leave(call);
	api_release(call);
}

static void
api_on_error(void *ctx, int status, const char *reason, struct synq_buf *out)
{
	const struct api_error error = { .status = status };

	(void)ctx;
	api_error_body(&error, synq_slice_text(reason), out);
}

static void
api_on_refuse(void *ctx, struct synq_exchange *exchange)
{
	struct intake *intake = ctx;
	char request_id[API_REQUEST_ID_BYTES];
	const struct figures_answer answer = {
		.method = synq_exchange_method(exchange),
		.status = synq_exchange_status(exchange),
		.took_us = -1,
	};

	api_name(intake, exchange, request_id);
	figures_answered(intake->figures, &answer);
}

struct synq_httpd_events
api_events(void)
{
	return (struct synq_httpd_events){
		.on_head = api_on_head,
		.on_body = api_on_body,
		.on_gone = api_on_gone,
		.on_error = api_on_error,
		.on_refuse = api_on_refuse,
	};
}
