/*
 * Was it sent?  A paid call must not be made twice by mistake, so the outcome
 * tells "nothing was sent" only when curl has written no byte of the request
 * (CURLINFO_REQUEST_SIZE is 0); everything else that is not an answer is
 * UNCERTAIN.
 *
 * Curl itself repeats a request silently when a kept connection ends before
 * any byte of the answer came: usually the server closed an idle connection,
 * but it may as well have read the request and died, and then the provider
 * would be called and paid twice.  curl 7.88 has no option against that.  But
 * before each sending, also the repeated one, it runs the prerequest callback:
 * if by then bytes of this request have left, a request that is not GET or
 * HEAD is given up there as UNCERTAIN.  To make that rare, a connection idle
 * for MAX_IDLE_S is not used again, and curl looks whether a kept connection
 * was closed before it uses it.
 */

#include "http/call.h"

#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "http/multi.h"

#define CONNECT_LIMIT_MS 5000
#define MAX_HEADERS_BYTES 65536
#define MAX_REQUEST_HEADERS 64
/* Below the usual 60 s of servers and load balancers. */
#define MAX_IDLE_S 55L
/* Each call in flight has one; curl's usual 16 KiB would be most of it. */
#define READ_BYTES 3072L
#define KEPT_BYTES 65536

/* ---- what curl calls ---- */

static size_t
on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct synq_http_call *call = ctx;

	synq_http_call_heard(call);
	if (synq_buf_add(&call->body, data, size * count) != 0) {
		call->too_large = 1;
		return 0;
	}
	return size * count;
}

static size_t
on_header(char *data, size_t size, size_t count, void *ctx)
{
	struct synq_http_call *call = ctx;
	struct synq_slice line = synq_slice_of(data, size * count);

	synq_http_call_heard(call);
	/* Only the last answer counts, not a 100 before it. */
	if (synq_slice_starts(line, "HTTP/")) {
		synq_buf_clear(&call->headers);
		return line.bytes;
	}
	if (line.bytes > 2 && synq_buf_slice(&call->headers, line) != 0) {
		call->too_large = 1;
		return 0;
	}
	return line.bytes;
}

static long
sent_bytes(const struct synq_http_call *call)
{
	long sent = 0;

	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent;
}

static int
on_before_sending(void *ctx, SYNQ_UNUSED char *remote_ip,
    SYNQ_UNUSED char *local_ip, SYNQ_UNUSED int remote_port,
    SYNQ_UNUSED int local_port)
{
	struct synq_http_call *call = ctx;

	if (call->is_safe || sent_bytes(call) == 0)
		return CURL_PREREQFUNC_OK;
	call->resent = 1;
	return CURL_PREREQFUNC_ABORT;
}

/* ---- life ---- */

/* What is the same for every call of a handle. */
static void
set_constants(struct synq_http_call *call, const char *user_agent)
{
	struct synq_http_sockets *sockets = &call->multi->sockets;
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_before_sending);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
	curl_easy_setopt(
	    easy, CURLOPT_OPENSOCKETFUNCTION, synq_http_socket_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, sockets);
	curl_easy_setopt(
	    easy, CURLOPT_CLOSESOCKETFUNCTION, synq_http_socket_close);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sockets);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_BYTES);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/* HTTP/1.1; over TLS HTTP/2 if the server has it. */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, MAX_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_CURLU, call->url);
	if (user_agent)
		curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
}

struct synq_http_call *
synq_http_call_new(struct synq_http *client, struct synq_http_multi *multi,
    const char *user_agent)
{
	struct synq_http_call *call = synq_mem_new(sizeof(*call));

	call->client = client;
	call->multi = multi;
	call->easy = curl_easy_init();
	call->url = curl_url();
	synq_buf_init(&call->headers, MAX_HEADERS_BYTES);
	synq_buf_init(&call->body, 0);
	if (!call->easy || !call->url)
		synq_http_call_free(&call);
	else
		set_constants(call, user_agent);
	return call;
}

void
synq_http_call_free(struct synq_http_call **call_ptr)
{
	struct synq_http_call *call = *call_ptr;

	if (!call)
		return;
	curl_easy_cleanup(call->easy);
	curl_url_cleanup(call->url);
	synq_buf_done(&call->body);
	synq_buf_done(&call->headers);
	synq_mem_free(call);
	*call_ptr = NULL;
}

void
synq_http_call_clear(struct synq_http_call *call)
{
	/* Nothing of the request may be pointed to any longer. */
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, NULL);
	memset(&call->req, 0, sizeof(call->req));
	if (call->body.room > KEPT_BYTES)
		synq_buf_done(&call->body);
	synq_buf_clear(&call->body);
	synq_buf_clear(&call->headers);
	call->body.overflow = 0;
	call->headers.overflow = 0;
	call->last_byte_us = 0;
	call->is_safe = 0;
	call->too_large = 0;
	call->resent = 0;
	call->silent = 0;
	call->error[0] = '\0';
}

/* ---- the request ---- */

/* Curl's list wants char *, and only reads it. */
static char *
unconst(const char *text)
{
	union {
		const char *fixed;
		char *open;
	} cast = { .fixed = text };

	return cast.open;
}

static int
check_header(const char *header, struct synq_err *err)
{
	for (const char *c = header; *c; c++) {
		if ((*c > 0 && *c < ' ' && *c != '\t') || *c == 127)
			return synq_fail(err, SYNQ_E_INVALID,
			    "a header of the request holds a control byte");
	}
	return 0;
}

static int
is_header(const char *header, const char *name)
{
	size_t n = strlen(name);

	return strlen(header) > n && header[n] == ':' &&
	       synq_slice_is_nocase(synq_slice_of(header, n), name);
}

/* The nodes lie in the arena: no allocation for each header. */
static int
set_headers(struct synq_http_call *call, struct synq_err *err)
{
	const char *const *headers = call->req.headers;
	/* Without these two curl would add headers of its own choice. */
	const char *content_type = "Content-Type:";
	const char *expect = "Expect:";
	struct curl_slist *nodes;
	size_t count = 0, n = 0;

	while (headers && headers[count])
		count++;
	if (count > MAX_REQUEST_HEADERS ||
	    !synq_arena_fits(call->req.arena, (count + 2) * sizeof(*nodes)))
		return synq_fail(
		    err, SYNQ_E_INVALID, "the request has too many headers");
	nodes = synq_arena_alloc(call->req.arena, (count + 2) * sizeof(*nodes));
	for (; n < count; n++) {
		int rc = check_header(headers[n], err);

		if (rc != 0)
			return rc;
		nodes[n].data = unconst(headers[n]);
		nodes[n].next = &nodes[n + 1];
		if (is_header(headers[n], "content-type"))
			content_type = NULL;
	}
	nodes[n].data = unconst(expect);
	if (content_type) {
		nodes[n].next = &nodes[n + 1];
		nodes[n + 1].data = unconst(content_type);
	}
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, nodes);
	return 0;
}

static void
set_method(struct synq_http_call *call)
{
	const struct synq_http_request *req = &call->req;
	struct synq_slice method = synq_slice_text(req->method);
	int is_get = synq_slice_is(method, "GET");
	int is_head = synq_slice_is(method, "HEAD");

	call->is_safe = is_get || is_head;
	curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, NULL);
	curl_easy_setopt(call->easy, CURLOPT_NOBODY, 0L);
	curl_easy_setopt(call->easy, CURLOPT_HTTPGET, 1L);
	if (is_head)
		curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
	if (call->is_safe)
		return;
	curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)req->body.bytes);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS,
	    req->body.data ? req->body.data : "");
	if (!synq_slice_is(method, "POST"))
		curl_easy_setopt(
		    call->easy, CURLOPT_CUSTOMREQUEST, req->method);
}

static void
set_limits(struct synq_http_call *call, uint64_t now_us)
{
	const struct synq_http_request *req = &call->req;
	uint32_t connect_ms =
	    req->connect_limit_ms ? req->connect_limit_ms : CONNECT_LIMIT_MS;
	uint64_t left_ms = 0;

	if (req->deadline_us > now_us)
		left_ms = (req->deadline_us - now_us + 999) / 1000;
	else if (req->deadline_us > 0)
		left_ms = 1;
	if (left_ms > INT_MAX)
		left_ms = INT_MAX;
	curl_easy_setopt(
	    call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
	curl_easy_setopt(call->easy, CURLOPT_MAXFILESIZE_LARGE,
	    (curl_off_t)req->max_result_bytes);
	call->body.max_bytes = req->max_result_bytes;
}

int
synq_http_call_set(struct synq_http_call *call,
    const struct synq_http_request *req, uint64_t now_us, struct synq_err *err)
{
	struct synq_slice url = synq_slice_text(req->url);
	struct synq_slice front;
	CURLUcode code;

	front = synq_slice_of(url.data, url.bytes < 8 ? url.bytes : 8);
	if (!synq_slice_is_nocase(front, "https://")) {
		front.bytes = front.bytes < 7 ? front.bytes : 7;
		if (!synq_slice_is_nocase(front, "http://"))
			return synq_fail(err, SYNQ_E_INVALID,
			    "the URL begins with neither http:// nor https://");
	}
	code = curl_url_set(
	    call->url, CURLUPART_URL, req->url, CURLU_DISALLOW_USER);
	if (code != CURLUE_OK)
		return synq_fail(err, SYNQ_E_INVALID,
		    "the URL is not valid: %s", curl_url_strerror(code));
	call->req = *req;
	set_method(call);
	set_limits(call, now_us);
	return set_headers(call, err);
}

/* ---- the outcome ---- */

static int
rc_of(const struct synq_http_call *call, CURLcode code)
{
	if (call->too_large || code == CURLE_FILESIZE_EXCEEDED)
		return -SYNQ_E_TOO_LARGE;
	if (call->silent || call->resent || sent_bytes(call) > 0)
		return -SYNQ_E_UNCERTAIN;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return -SYNQ_E_TIMEOUT;
	if (code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT)
		return -SYNQ_E_SYSTEM;
	return -SYNQ_E_UNAVAILABLE;
}

static const char *
why(const struct synq_http_call *call, CURLcode code)
{
	if (call->too_large || code == CURLE_FILESIZE_EXCEEDED)
		return "the answer is too large";
	if (call->silent)
		return "the server fell silent in the middle of its answer";
	if (call->resent)
		return "the connection ended before an answer came";
	return call->error[0] ? call->error : curl_easy_strerror(code);
}

void
synq_http_call_result(struct synq_http_call *call, CURLcode code,
    struct synq_http_result *result, struct synq_err *err)
{
	struct synq_arena *arena = call->req.arena;
	curl_off_t first_us = 0, total_us = 0;
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(call->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
	curl_easy_getinfo(call->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	*result = (struct synq_http_result){ .status = (int)status,
		.first_byte_us = (uint64_t)first_us,
		.total_us = (uint64_t)total_us };
	if (code == CURLE_OK &&
	    !synq_arena_fits(
		arena, call->body.bytes + call->headers.bytes + 64))
		call->too_large = 1;
	if (code != CURLE_OK || call->too_large) {
		result->rc = rc_of(call, code);
		synq_fail(
		    err, (enum synq_code) - result->rc, "%s", why(call, code));
		result->err = err;
		return;
	}
	result->body = synq_arena_slice(arena, synq_buf_view(&call->body));
	result->headers =
	    synq_arena_slice(arena, synq_buf_view(&call->headers));
}
