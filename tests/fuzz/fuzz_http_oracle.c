/*
 * The request parser against llhttp, on everything that both accept: method,
 * target, version, fields, framing, the bytes of the body and where it ends
 * must be the same.  A request that one of them takes as complete and of which
 * the other waits for more is how requests are smuggled, so that is a finding
 * too.
 *
 * By design different, and so not compared (all of it we refuse; the table in
 * libsynq/httpd/parse.c has the reasons): methods that llhttp does not know;
 * lines that end with LF alone; a target that is no path; anything about
 * Transfer-Encoding but "chunked" alone; two Hosts, two lengths, no Host.
 * llhttp leaves HTTP/1.1 behind an Upgrade and a CONNECT: we never do.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of Debian's node-llhttp, which is no system header to the compiler. */
#include </usr/share/include/llhttp/llhttp.h>

#include "httpd/chunk.h"
#include "httpd/parse.h"

#define MAX_HEAD_BYTES 16384
#define MAX_BYTES 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What llhttp tells of a request. */
struct theirs {
	struct synq_buf target;
	struct synq_buf names;  /* a LF behind each */
	struct synq_buf values; /* as they come, a LF behind each */
	struct synq_buf body;
	size_t count;
	int has_head;
	int is_whole;
	int is_chunked;
	uint64_t length;
	int major;
	int minor;
};

static void
must(int truth)
{
	if (!truth)
		abort();
}

/* ---- theirs ---- */

static int
on_target(llhttp_t *parser, const char *at, size_t bytes)
{
	struct theirs *t = parser->data;

	synq_buf_add(&t->target, at, bytes);
	return 0;
}

static int
on_name(llhttp_t *parser, const char *at, size_t bytes)
{
	struct theirs *t = parser->data;

	if (!t->has_head)
		synq_buf_add(&t->names, at, bytes);
	return 0;
}

static int
on_name_end(llhttp_t *parser)
{
	struct theirs *t = parser->data;

	if (!t->has_head)
		synq_buf_char(&t->names, '\n');
	return 0;
}

static int
on_value(llhttp_t *parser, const char *at, size_t bytes)
{
	struct theirs *t = parser->data;

	if (!t->has_head)
		synq_buf_add(&t->values, at, bytes);
	return 0;
}

static int
on_value_end(llhttp_t *parser)
{
	struct theirs *t = parser->data;

	if (t->has_head)
		return 0;
	synq_buf_char(&t->values, '\n');
	t->count++;
	return 0;
}

static int
on_head(llhttp_t *parser)
{
	struct theirs *t = parser->data;

	t->has_head = 1;
	t->is_chunked = (parser->flags & F_CHUNKED) != 0;
	t->length = parser->content_length;
	t->major = parser->http_major;
	t->minor = parser->http_minor;
	return 0;
}

static int
on_body(llhttp_t *parser, const char *at, size_t bytes)
{
	struct theirs *t = parser->data;

	synq_buf_add(&t->body, at, bytes);
	return 0;
}

static int
on_whole(llhttp_t *parser)
{
	struct theirs *t = parser->data;

	t->is_whole = 1;
	return HPE_PAUSED;
}

/* ---- the comparison ---- */

/* Take the line at the front of ${rest} off it. */
static struct synq_slice
take_line(struct synq_slice *rest)
{
	const char *end = memchr(rest->data, '\n', rest->bytes);
	struct synq_slice line;

	must(end != NULL);
	line = synq_slice_of(rest->data, (size_t)(end - rest->data));
	*rest = synq_slice_of(end + 1, rest->bytes - line.bytes - 1);
	return line;
}

static void
compare_head(const llhttp_t *parser, const struct theirs *t,
    const struct synq_parse_head *head, struct synq_slice text)
{
	const size_t target_at = head->method.at + head->method.bytes + 1;
	const struct synq_slice target = synq_buf_view(&t->target);
	struct synq_slice names = synq_buf_view(&t->names);
	struct synq_slice values = synq_buf_view(&t->values);

	must(synq_slice_is(synq_parse_part(text, head->method),
	    llhttp_method_name((llhttp_method_t)parser->method)));
	must(target.bytes > 0 &&
	     memcmp(text.data + target_at, target.data, target.bytes) == 0);
	must(text.data[target_at + target.bytes] == ' ');
	must(t->major == 1 && t->minor == head->minor);
	must(t->count == head->count);
	for (size_t i = 0; i < t->count; i++) {
		must(synq_slice_equal(take_line(&names),
		    synq_parse_part(text, head->fields[i].name)));
		must(synq_slice_equal(synq_slice_trim(take_line(&values)),
		    synq_parse_part(text, head->fields[i].value)));
	}
	must(t->is_chunked == (head->framing == SYNQ_PARSE_CHUNKED));
	if (!t->is_chunked)
		must(t->length == head->length);
}

/*
 * The body that begins ${rest}: its verdict, its bytes into ${body}; what is
 * behind it stays in ${rest}.
 */
static enum synq_parse_verdict
our_body(const struct synq_parse_head *head, struct synq_slice *rest,
    struct synq_buf *body)
{
	enum synq_parse_verdict verdict = SYNQ_PARSE_MORE;
	struct synq_parse_chunks chunks;
	struct synq_slice piece;
	size_t n;

	if (head->framing == SYNQ_PARSE_CHUNKED) {
		synq_parse_chunks_init(&chunks);
		while (rest->bytes > 0 && verdict == SYNQ_PARSE_MORE) {
			verdict = synq_parse_chunks_feed(&chunks, rest, &piece);
			synq_buf_slice(body, piece);
		}
		return verdict;
	}
	n = head->length < rest->bytes ? (size_t)head->length : rest->bytes;
	synq_buf_add(body, rest->data, n);
	*rest = synq_slice_of(rest->data + n, rest->bytes - n);
	return n == head->length ? SYNQ_PARSE_DONE : SYNQ_PARSE_MORE;
}

static void
compare(llhttp_t *parser, const struct theirs *t, llhttp_errno_t rc,
    struct synq_slice text)
{
	static struct synq_parse_head head;
	enum synq_parse_verdict verdict;
	struct synq_slice rest;
	struct synq_buf body;

	synq_parse_head_init(&head, MAX_HEAD_BYTES);
	verdict = synq_parse_head_feed(&head, text);
	if (verdict != SYNQ_PARSE_DONE) {
		/* They may take what we refuse, but not what we wait for. */
		must(verdict == SYNQ_PARSE_REFUSED || !t->has_head);
		return;
	}
	if (!t->has_head) { /* refused by them: a method, say */
		must(rc != HPE_OK);
		return;
	}
	if (parser->upgrade)
		return;
	/* They know no "chunked" with a tab behind, and refuse the body. */
	if (head.framing == SYNQ_PARSE_CHUNKED && !t->is_chunked) {
		must(!t->is_whole && rc != HPE_OK);
		return;
	}
	compare_head(parser, t, &head, text);

	synq_buf_init(&body, MAX_BYTES);
	rest = synq_slice_of(text.data + head.bytes, text.bytes - head.bytes);
	verdict = our_body(&head, &rest, &body);
	if (verdict == SYNQ_PARSE_DONE)
		must(t->is_whole || rc != HPE_OK);
	else if (verdict == SYNQ_PARSE_MORE)
		must(!t->is_whole);
	if (verdict == SYNQ_PARSE_DONE && t->is_whole) {
		must(synq_slice_equal(
		    synq_buf_view(&body), synq_buf_view(&t->body)));
		must(llhttp_get_error_pos(parser) == rest.data);
	}
	synq_buf_done(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct synq_slice text = synq_slice_of(data, bytes);
	llhttp_settings_t settings;
	struct theirs t = { .count = 0 };
	llhttp_t parser;
	llhttp_errno_t rc;

	if (bytes == 0 || bytes > MAX_BYTES)
		return 0;
	llhttp_settings_init(&settings);
	settings.on_url = on_target;
	settings.on_header_field = on_name;
	settings.on_header_field_complete = on_name_end;
	settings.on_header_value = on_value;
	settings.on_header_value_complete = on_value_end;
	settings.on_headers_complete = on_head;
	settings.on_body = on_body;
	settings.on_message_complete = on_whole;
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = &t;
	synq_buf_init(&t.target, MAX_BYTES + 1);
	synq_buf_init(&t.names, 2 * MAX_BYTES);
	synq_buf_init(&t.values, 2 * MAX_BYTES);
	synq_buf_init(&t.body, MAX_BYTES);

	rc = llhttp_execute(&parser, text.data, text.bytes);
	compare(&parser, &t, rc, text);

	synq_buf_done(&t.target);
	synq_buf_done(&t.names);
	synq_buf_done(&t.values);
	synq_buf_done(&t.body);
	return 0;
}
