/*
 * Building: the client's body goes out as it came; only the model is replaced
 * where the provider calls it otherwise.
 *
 * Judging: no answer at all, an answer of 2xx, or any other.
 *
 *	no answer	by the error of the HTTP client: LATER if nothing was
 *			sent, ASK if it may have been
 *	2xx		the body must be a JSON object and no error; then it is
 *			the client's answer as it is
 *	others		by the table of statuses; the provider's own error body
 *			goes to the client if it has OpenAI's shape, but never
 *			one about our account (401, 402, 403, 429): the client
 *			can do nothing about that, and must not read it
 */

#include "provider/openai.h"

#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "provider/provider.h"
#include "json/scan.h"
#include "json/write.h"

/* What is kept of a provider's texts, in bytes. */
#define MAX_MESSAGE 1000
#define MAX_CODE 100

/* So many halves of surrogate pairs and U+0000 are mended in an answer. */
#define MAX_MENDS 16

/* What a call needs in the arena besides the body. */
#define CALL_BYTES 8192

/* ---- building ----------------------------------------------------------- */

/* 1 if ${text} may stand in a header, else 0. */
static int
fits_header(struct synq_slice text)
{
	for (size_t i = 0; i < text.bytes; i++)
		if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
			return 0;
	return text.bytes <= 4096;
}

/* ${base_url} and ${path} in one, in ${arena}; "/v1" is in both. */
static const char *
join_url(const char *base_url, const char *path, struct synq_arena *arena)
{
	size_t bytes = strlen(base_url);

	while (bytes > 0 && base_url[bytes - 1] == '/')
		bytes--;
	if (strncmp(path, "/v1/", 4) == 0)
		path += 3;
	return synq_arena_printf(arena, "%.*s%s", (int)bytes, base_url, path);
}

static void
set_headers(const struct synq_provider_target *target, struct synq_arena *arena,
    struct synq_provider_call *ret)
{
	size_t n = 0;

	ret->headers[n++] = "Content-Type: application/json";
	ret->headers[n++] = "Accept: application/json";
	if (target->credential.bytes > 0)
		ret->headers[n++] =
		    synq_arena_printf(arena, "Authorization: Bearer %.*s",
			(int)target->credential.bytes, target->credential.data);
	if (target->job_id)
		ret->headers[n++] = synq_arena_printf(
		    arena, "x-synq-job-id: %s", target->job_id);
	if (target->attempt_id)
		ret->headers[n++] = synq_arena_printf(
		    arena, "x-synq-attempt-id: %s", target->attempt_id);
	if (target->attempt > 0)
		ret->headers[n++] = synq_arena_printf(
		    arena, "x-synq-attempt: %u", (unsigned)target->attempt);
	ret->headers[n] = NULL;
}

static int
openai_build(const struct synq_request *request,
    const struct synq_provider_target *target, struct synq_arena *arena,
    struct synq_provider_call *ret, struct synq_err *err)
{
	const char *path = synq_endpoint_path(request->endpoint);
	struct synq_slice model = target->upstream_model;

	if (!path)
		return synq_fail(err, SYNQ_E_INVALID,
		    "provider %s: no such endpoint", target->name);
	if (!target->base_url || strlen(target->base_url) > 2048)
		return synq_fail(err, SYNQ_E_INVALID,
		    "provider %s: no base URL, or too long", target->name);
	if (!fits_header(target->credential))
		return synq_fail(err, SYNQ_E_INVALID,
		    "provider %s: its key has control characters or is too "
		    "long",
		    target->name);
	if (!synq_arena_fits(
		arena, request->body.bytes + 6 * model.bytes + CALL_BYTES))
		return synq_fail(
		    err, SYNQ_E_TOO_LARGE, "provider %s: body", target->name);

	*ret = (struct synq_provider_call){ .body = request->body };
	ret->url = join_url(target->base_url, path, arena);
	set_headers(target, arena, ret);
	if (model.bytes > 0 && !synq_slice_equal(model, request->model))
		ret->body =
		    synq_provider_splice_model(request->body, model, arena);
	return 0;
}

/* ---- making an error ---------------------------------------------------- */

/* How the client is answered when a call failed. */
struct failure {
	enum synq_retry_class class;
	int32_t status; /* for the client */
	const char *type;
	const char *code;
	const char *text; /* where the provider's is not shown */
};

/* The front of ${text} that has at most ${max} bytes and whole characters. */
static struct synq_slice
cut(struct synq_slice text, size_t max)
{
	size_t bytes = 0;

	while (bytes < text.bytes) {
		size_t next =
		    synq_utf8_length(text.data + bytes, text.bytes - bytes);

		if (next == 0 || bytes + next > max)
			break;
		bytes += next;
	}
	return synq_slice_of(text.data, bytes);
}

/* The body of an error in OpenAI's shape, in ${arena}. */
static struct synq_slice
make_body(const struct failure *failure, struct synq_slice message,
    struct synq_slice code, struct synq_arena *arena)
{
	static const char plain[] =
	    "{\"error\":{\"message\":\"the provider did not answer well\","
	    "\"type\":\"server_error\",\"param\":null,\"code\":null}}";
	struct synq_json_writer writer;
	struct synq_slice made = synq_slice_text(plain);
	struct synq_buf text;

	synq_buf_init(&text, CALL_BYTES);
	synq_json_start(&writer, &text);
	synq_json_open(&writer, '{');
	synq_json_key(&writer, "error");
	synq_json_open(&writer, '{');
	synq_json_key(&writer, "message");
	synq_json_slice(&writer, message);
	synq_json_key(&writer, "type");
	synq_json_text(&writer, failure->type);
	synq_json_key(&writer, "param");
	synq_json_null(&writer);
	synq_json_key(&writer, "code");
	synq_json_slice(&writer, code);
	synq_json_close(&writer, '}');
	synq_json_close(&writer, '}');
	if (!text.overflow && synq_arena_fits(arena, text.bytes + 64))
		made = synq_arena_slice(arena, synq_buf_view(&text));
	synq_buf_done(&text);
	return made;
}

/* ${ret} fails as ${failure} says, with nothing of what the provider said. */
static void
fail_plainly(const struct failure *failure, struct synq_arena *arena,
    struct synq_provider_verdict *ret)
{
	ret->class = failure->class;
	ret->answer_status = failure->status;
	ret->error_code = synq_slice_text(failure->code);
	ret->error = synq_slice_text(failure->text);
	ret->body = make_body(failure, ret->error, ret->error_code, arena);
}

/* ---- reading the provider's error --------------------------------------- */

/* What the provider says about its error; NONE and empty if nothing. */
struct complaint {
	int is_shaped; /* as OpenAI's, with all four members */
	struct synq_slice message;
	struct synq_slice code;
};

/* The text of the string ${value}, at most ${max} bytes, in ${arena}. */
static struct synq_slice
text_of(struct synq_json value, size_t max, struct synq_arena *arena)
{
	struct synq_slice text = { NULL, 0 };
	struct synq_buf plain;

	if (value.type != SYNQ_JSON_STRING)
		return text;
	synq_buf_init(&plain, value.raw.bytes);
	if (synq_json_string(value, &plain) == 0 &&
	    synq_arena_fits(arena, max + 64))
		text = synq_arena_slice(arena, cut(synq_buf_view(&plain), max));
	synq_buf_done(&plain);
	return text;
}

static int
is_text_or_null(struct synq_json value)
{
	return value.type == SYNQ_JSON_STRING || value.type == SYNQ_JSON_NULL;
}

static struct complaint
read_complaint(struct synq_json root, struct synq_arena *arena)
{
	struct complaint ret = { .is_shaped = 0 };
	struct synq_json error = synq_json_member(root, "error");
	struct synq_json message = synq_json_member(error, "message");
	struct synq_json code = synq_json_member(error, "code");

	ret.is_shaped =
	    message.type == SYNQ_JSON_STRING &&
	    synq_json_member(error, "type").type == SYNQ_JSON_STRING &&
	    is_text_or_null(synq_json_member(error, "param")) &&
	    is_text_or_null(code);

	/* Others say {"error":"..."}, {"message":"..."}, {"detail":"..."}. */
	if (message.type != SYNQ_JSON_STRING)
		message = error;
	if (message.type != SYNQ_JSON_STRING)
		message = synq_json_member(root, "message");
	if (message.type != SYNQ_JSON_STRING)
		message = synq_json_member(root, "detail");
	ret.message = text_of(message, MAX_MESSAGE, arena);
	ret.code = text_of(code, MAX_CODE, arena);
	return ret;
}

/* ${ret} fails as ${failure} says, in the provider's words. */
static void
fail_quoting(const struct failure *failure, struct synq_slice body,
    struct complaint complaint, struct synq_arena *arena,
    struct synq_provider_verdict *ret)
{
	fail_plainly(failure, arena, ret);
	if (complaint.code.bytes > 0)
		ret->error_code = complaint.code;
	if (complaint.message.bytes > 0)
		ret->error = complaint.message;
	if (complaint.is_shaped)
		ret->body = body;
	else if (complaint.message.bytes > 0)
		ret->body =
		    make_body(failure, ret->error, ret->error_code, arena);
}

/* ---- answers that are not 2xx ------------------------------------------- */

static const struct failure no_credit = { SYNQ_RETRY_NEVER, 502, "server_error",
	"provider_quota_exhausted",
	"the provider's quota for this installation is used up" };
static const struct failure no_credential = { SYNQ_RETRY_NEVER, 502,
	"server_error", "provider_auth_failed",
	"the provider does not accept this installation's credential" };
static const struct failure timed_out = { SYNQ_RETRY_LATER, 504, "server_error",
	"provider_timeout", "the provider took too long" };
static const struct failure overloaded = { SYNQ_RETRY_LATER, 503,
	"server_error", "provider_overloaded", "the provider is overloaded" };
static const struct failure broken = { SYNQ_RETRY_LATER, 502, "server_error",
	"provider_error", "the provider failed" };
static const struct failure hopeless = { SYNQ_RETRY_NEVER, 502, "server_error",
	"provider_error",
	"the provider answered with a status that no request can mend" };
static const struct failure limited = { SYNQ_RETRY_LATER, 429,
	"rate_limit_error", "rate_limit_exceeded",
	"the provider's rate limit is reached" };

/* The failure that ${status} stands for; NULL = the client's own mistake. */
static const struct failure *
failure_of(int status)
{
	switch (status) {
	case 401:
	case 403:
	case 407:
		return &no_credential;
	case 402:
		return &no_credit;
	case 408:
	case 504:
		return &timed_out;
	case 409:
		return &broken;
	case 425:
	case 503:
	case 529:
		return &overloaded;
	case 429:
		return &limited;
	case 501:
	case 505:
		return &hopeless;
	default:
		if (status >= 500)
			return &broken;
		return status < 400 ? &hopeless : NULL;
	}
}

static void
judge_refusal(const struct synq_provider_answer *answer,
    struct synq_arena *arena, struct synq_provider_verdict *ret)
{
	const struct failure *failure = failure_of(answer->status);
	struct failure refused = { SYNQ_RETRY_NEVER, answer->status,
		"invalid_request_error", "provider_refused",
		"the provider refused the request" };
	struct complaint complaint = { .is_shaped = 0 };
	struct synq_json root;

	if (synq_json_parse(answer->body, &root, NULL) == 0)
		complaint = read_complaint(root, arena);
	if (failure == &limited &&
	    synq_slice_is(complaint.code, "insufficient_quota"))
		failure = &no_credit;

	if (failure == &no_credit || failure == &no_credential ||
	    failure == &limited)
		fail_plainly(failure, arena, ret);
	else
		fail_quoting(failure ? failure : &refused, answer->body,
		    complaint, arena, ret);
}

/* ---- no answer ---------------------------------------------------------- */

static void
judge_transport(
    int rc, struct synq_arena *arena, struct synq_provider_verdict *ret)
{
	static const struct failure too_large = { SYNQ_RETRY_NEVER, 502,
		"server_error", "result_too_large",
		"the provider's answer is larger than can be kept" };
	static const struct failure in_the_dark = { SYNQ_RETRY_ASK, 502,
		"server_error", "provider_no_answer",
		"the call was sent and its answer did not arrive" };
	static const struct failure not_reached = { SYNQ_RETRY_LATER, 503,
		"server_error", "provider_unavailable",
		"the provider cannot be reached" };
	struct failure failure = not_reached;

	if (rc == -SYNQ_E_TOO_LARGE)
		failure = too_large;
	else if (rc == -SYNQ_E_UNCERTAIN)
		failure = in_the_dark;
	else if (rc == -SYNQ_E_TIMEOUT)
		failure = timed_out;
	else
		failure.class = synq_err_retry(rc);
	fail_plainly(&failure, arena, ret);
}

/* ---- answers of 2xx ----------------------------------------------------- */

/* 1 if the 6 bytes at ${at} are an escape of four hexadecimal digits. */
static int
is_escape(const char *at)
{
	return at[0] == '\\' && at[1] == 'u' &&
	       strspn(at + 2, "0123456789abcdefABCDEF") >= 4;
}

/*
 * The value of ${body} into ${ret_root}.  Models do write half a surrogate
 * pair or U+0000, which is paid for and must not fail: in a copy in ${arena},
 * which *${body} then is, they become U+FFFD.  Error: INVALID.
 */
static int
parse_mending(struct synq_slice *body, struct synq_arena *arena,
    struct synq_json *ret_root)
{
	struct synq_json_fault fault;
	struct synq_slice copy;
	char *data;

	if (synq_json_parse(*body, ret_root, &fault) == 0)
		return 0;
	if (!synq_arena_fits(arena, body->bytes + 64))
		return -SYNQ_E_INVALID;
	data = synq_arena_raw(arena, body->bytes + 1);
	memcpy(data, body->data, body->bytes);
	data[body->bytes] = '\0';
	copy = synq_slice_of(data, body->bytes);

	for (int i = 0; i < MAX_MENDS; i++) {
		if (fault.offset + 6 > copy.bytes ||
		    !is_escape(data + fault.offset))
			break;
		memcpy(data + fault.offset, "\\ufffd", 6);
		if (synq_json_parse(copy, ret_root, &fault) == 0) {
			*body = copy;
			return 0;
		}
	}
	return -SYNQ_E_INVALID;
}

/* The count at ${path} in ${usage}; -1 if it is no whole number from 0 on. */
static int64_t
count_at(struct synq_json usage, const char *path)
{
	int64_t count;

	if (synq_json_int(synq_json_path(usage, path), &count) != 0 ||
	    count < 0)
		return -1;
	return count;
}

static void
read_usage(struct synq_json root, struct synq_usage *ret)
{
	struct synq_json usage = synq_json_member(root, "usage");

	ret->input_tokens = count_at(usage, "prompt_tokens");
	ret->output_tokens = count_at(usage, "completion_tokens");
	ret->cached_tokens =
	    count_at(usage, "prompt_tokens_details.cached_tokens");
	ret->reasoning_tokens =
	    count_at(usage, "completion_tokens_details.reasoning_tokens");
}

static void
judge_success(const struct synq_provider_answer *answer,
    struct synq_arena *arena, struct synq_provider_verdict *ret)
{
	static const struct failure invalid = { SYNQ_RETRY_LATER, 502,
		"server_error", "invalid_provider_response",
		"the provider's answer is not what its API promises" };
	struct synq_slice body = answer->body;
	struct synq_json root;

	if (parse_mending(&body, arena, &root) != 0 ||
	    root.type != SYNQ_JSON_OBJECT) {
		fail_plainly(&invalid, arena, ret);
		return;
	}
	read_usage(root, &ret->usage);
	/* Some put an error behind a 200. */
	if (synq_json_member(root, "error").type == SYNQ_JSON_OBJECT) {
		fail_quoting(
		    &broken, body, read_complaint(root, arena), arena, ret);
		return;
	}
	ret->succeeded = 1;
	ret->answer_status = 200;
	ret->body = body;
}

static void
openai_judge(const struct synq_request *request SYNQ_UNUSED,
    const struct synq_provider_answer *answer, int64_t now_at,
    struct synq_arena *arena, struct synq_provider_verdict *ret)
{
	*ret = (struct synq_provider_verdict){
		.class = SYNQ_RETRY_NEVER,
		.usage = { -1, -1, -1, -1 },
		.retry_after_us = synq_provider_retry_after(answer, now_at),
	};
	if (answer->rc != 0)
		judge_transport(answer->rc, arena, ret);
	else if (answer->status >= 200 && answer->status <= 299)
		judge_success(answer, arena, ret);
	else
		judge_refusal(answer, arena, ret);
}

const struct synq_dialect synq_dialect_openai = {
	.name = "openai",
	.build = openai_build,
	.judge = openai_judge,
};
