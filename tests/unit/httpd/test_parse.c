/*
 * The parser by a table: what is accepted with which meaning, what is refused
 * with which status, each fed whole and byte by byte.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/mem.h"
#include "httpd/parse.h"

#define HOST "Host: a\r\n"

struct head_case {
	const char *why; /* the rule, with its section */
	const char *text;
	size_t bytes; /* 0 = strlen of text */
	int status;   /* 0 = accepted, -1 = incomplete */
};

static const struct head_case heads[] = {
	{ "plain (9112 3)", "GET / HTTP/1.1\r\n" HOST "\r\n", 0, 0 },
	{ "one empty line before (9112 2.2)",
	    "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, 0 },
	{ "two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0,
	    400 },
	{ "empty header value (9112 5)", "GET / HTTP/1.1\r\n" HOST "X:\r\n\r\n",
	    0, 0 },
	{ "tab and bytes above 127 in a value (9110 5.5)",
	    "GET / HTTP/1.1\r\n" HOST "X: a\tb\xc3\xa9\r\n\r\n", 0, 0 },
	{ "incomplete line", "GET / HT", 0, -1 },
	{ "incomplete head", "GET / HTTP/1.1\r\n" HOST, 0, -1 },
	{ "nothing", "", 0, -1 },

	{ "bare LF in the request line (9112 2.2)",
	    "GET / HTTP/1.1\n" HOST "\r\n", 0, 400 },
	{ "bare LF behind a header", "GET / HTTP/1.1\r\nHost: a\n\r\n", 0,
	    400 },
	{ "bare LF at the end", "GET / HTTP/1.1\r\n" HOST "\n", 0, 400 },
	{ "bare CR in a value hides a header (9112 2.2)",
	    "POST / HTTP/1.1\r\n" HOST
	    "X: a\rTransfer-Encoding: chunked\r\n\r\n",
	    0, 400 },
	{ "CR CR LF", "GET / HTTP/1.1\r\r\n" HOST "\r\n", 0, 400 },
	{ "CR inside the request line", "GET /\rX HTTP/1.1\r\n" HOST "\r\n", 0,
	    400 },
	{ "folded header (9112 5.2)",
	    "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 0, 400 },
	{ "folded first header", "GET / HTTP/1.1\r\n " HOST "\r\n", 0, 400 },
	{ "folded by a tab", "GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", 0,
	    400 },
	{ "space before the colon (9112 5.1)",
	    "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 0, 400 },
	{ "empty name", "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n", 0, 400 },
	{ "no colon", "GET / HTTP/1.1\r\n" HOST "Xyz\r\n\r\n", 0, 400 },
	{ "name with a parenthesis (9110 5.6.2)",
	    "GET / HTTP/1.1\r\n" HOST "X(: a\r\n\r\n", 0, 400 },
	{ "name above 127", "GET / HTTP/1.1\r\n" HOST "X\xc3: a\r\n\r\n", 0,
	    400 },
	{ "NUL in a value", "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n", 35,
	    400 },
	{ "NUL in a name", "GET / HTTP/1.1\r\n" HOST "X\0: ab\r\n\r\n", 35,
	    400 },
	{ "DEL in a value", "GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n", 0,
	    400 },
	{ "control byte in a value",
	    "GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n", 0, 400 },

	{ "no Host (9112 3.2)", "GET / HTTP/1.1\r\n\r\n", 0, 400 },
	{ "two Hosts", "GET / HTTP/1.1\r\n" HOST "host: a\r\n\r\n", 0, 400 },
	{ "no Host in 1.0", "GET / HTTP/1.0\r\n\r\n", 0, 0 },
	{ "two Hosts in 1.0", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", 0, 400 },
	{ "Host with a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 0, 400 },
	{ "Host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 0, 400 },
	{ "Host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, 400 },
	{ "Host of version 6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0,
	    0 },
	{ "Host of version 6 without port",
	    "GET / HTTP/1.1\r\nHost: [1::]\r\n\r\n", 0, 0 },
	{ "Host with an empty port (9110 4.2.3)",
	    "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 0, 0 },
	{ "empty Host (9110 4.2.1)", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0,
	    400 },
	{ "Host that is a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 0,
	    400 },
	{ "Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 0,
	    400 },
	{ "Host with a port that is no number",
	    "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 0, 400 },
	{ "Host of version 6, open", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 0,
	    400 },
	{ "Host of version 6, empty", "GET / HTTP/1.1\r\nHost: []\r\n\r\n", 0,
	    400 },
	{ "Host of version 6, more behind",
	    "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 0, 400 },
	{ "Host with a bracket inside", "GET / HTTP/1.1\r\nHost: a[b]\r\n\r\n",
	    0, 400 },
	{ "Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, 400 },
	{ "Host that is encoded", "GET / HTTP/1.1\r\nHost: a%41\r\n\r\n", 0,
	    400 },

	{ "both lengths (9112 6.1)",
	    "POST / HTTP/1.1\r\n" HOST
	    "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	    0, 400 },
	{ "both lengths, other order",
	    "POST / HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
	    0, 400 },
	{ "two equal lengths",
	    "POST / HTTP/1.1\r\n" HOST
	    "Content-Length: 1\r\ncontent-length: 1\r\n\r\n",
	    0, 400 },
	{ "list of lengths",
	    "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", 0, 400 },
	{ "plus sign", "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n",
	    0, 400 },
	{ "minus sign", "POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n",
	    0, 400 },
	{ "hex length",
	    "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", 0, 400 },
	{ "empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n",
	    0, 400 },
	{ "18 digits",
	    "POST / HTTP/1.1\r\n" HOST
	    "Content-Length: 999999999999999999\r\n\r\n",
	    0, 0 },
	{ "19 digits",
	    "POST / HTTP/1.1\r\n" HOST
	    "Content-Length: 0000000000000000001\r\n\r\n",
	    0, 400 },
	{ "chunked",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n", 0,
	    0 },
	{ "xchunked (9112 6.3)",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 0,
	    400 },
	{ "gzip behind chunked (9112 6.3)",
	    "POST / HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked, gzip\r\n\r\n",
	    0, 400 },
	{ "chunked twice in a list (9112 6.1)",
	    "POST / HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked, chunked\r\n\r\n",
	    0, 400 },
	{ "chunked in quotes",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n",
	    0, 400 },
	{ "chunked with a parameter",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;a=b\r\n\r\n",
	    0, 400 },
	{ "empty element behind chunked",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked,\r\n\r\n", 0,
	    400 },
	{ "empty element before chunked",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: ,chunked\r\n\r\n", 0,
	    400 },
	{ "empty coding",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 0, 400 },
	{ "gzip before chunked (9112 6.1)",
	    "POST / HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: gzip, chunked\r\n\r\n",
	    0, 501 },
	{ "identity",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 0,
	    400 },
	{ "chunked twice",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n",
	    0, 400 },
	{ "chunked with a vertical tab",
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
	    "chunked\r\n\r\n",
	    0, 400 },
	{ "chunked in 1.0 (9112 6.1)",
	    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400 },

	{ "100-continue (9110 10.1.1)",
	    "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n\r\n", 0, 0 },
	{ "other expectation",
	    "POST / HTTP/1.1\r\n" HOST "Expect: a-miracle\r\n\r\n", 0, 417 },

	{ "version 2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 0, 505 },
	{ "version 1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 0, 505 },
	{ "version 0.9", "GET / HTTP/0.9\r\n\r\n", 0, 505 },
	{ "no version", "GET /\r\n\r\n", 0, 400 },
	{ "lower case version", "GET / http/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "version with three digits", "GET / HTTP/1.11\r\n" HOST "\r\n", 0,
	    400 },
	{ "two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "space in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "space behind the version", "GET / HTTP/1.1 \r\n" HOST "\r\n", 0,
	    400 },
	{ "space before the method", " GET / HTTP/1.1\r\n" HOST "\r\n", 0,
	    400 },
	{ "tab instead of space", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "method with a slash", "G/T / HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "method of 33 (9112 3)",
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" HOST "\r\n", 0,
	    501 },
	{ "target that is no path", "GET a HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "target with fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "target above 127", "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 0,
	    400 },
	{ "absolute target (9112 3.2.2)",
	    "GET http://a:1/x HTTP/1.1\r\n" HOST "\r\n", 0, 0 },
	{ "absolute target without path (9110 4.2.3)",
	    "GET http://a HTTP/1.1\r\n" HOST "\r\n", 0, 0 },
	{ "absolute target with user (9110 4.2.4)",
	    "GET http://u@a/x HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "absolute target with two ports",
	    "GET http://a:1:2/x HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "absolute target that is a query",
	    "GET http://?x HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "absolute target without host",
	    "GET http:///x HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "other scheme", "GET ftp://a/x HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "authority (9112 3.2.3)", "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 0,
	    501 },
	{ "CONNECT of a path", "CONNECT /x HTTP/1.1\r\n" HOST "\r\n", 0, 501 },
	{ "authority of GET", "GET a:1 HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "asterisk (9112 3.2.4)", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, 0 },
	{ "asterisk of GET", "GET * HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "TLS hello", "\x16\x03\x01\x02\n\x01\x00\x01\xfc\x03\x03\r\n", 13,
	    400 },
	{ "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 505 },
};

static struct synq_slice
text_of(const struct head_case *c)
{
	return synq_slice_of(c->text, c->bytes ? c->bytes : strlen(c->text));
}

static int
outcome(enum synq_parse_verdict verdict, const struct synq_parse_head *head)
{
	if (verdict == SYNQ_PARSE_MORE)
		return -1;
	if (verdict == SYNQ_PARSE_DONE)
		return 0;
	assert_non_null(head->reason);
	return head->status;
}

/* Feed ${text} byte by byte until the parser has decided. */
static int
drip(struct synq_parse_head *head, struct synq_slice text, size_t max_bytes)
{
	enum synq_parse_verdict verdict = SYNQ_PARSE_MORE;

	synq_parse_head_init(head, max_bytes);
	for (size_t n = 1; n <= text.bytes && verdict == SYNQ_PARSE_MORE; n++)
		verdict =
		    synq_parse_head_feed(head, synq_slice_of(text.data, n));
	return outcome(verdict, head);
}

static int
gulp(struct synq_parse_head *head, struct synq_slice text, size_t max_bytes)
{
	synq_parse_head_init(head, max_bytes);
	return outcome(synq_parse_head_feed(head, text), head);
}

static void
assert_same(const struct synq_parse_head *a, const struct synq_parse_head *b)
{
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->status, b->status);
	assert_ptr_equal(a->reason, b->reason);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->framing, b->framing);
	assert_int_equal(a->length, b->length);
	assert_memory_equal(
	    a->fields, b->fields, a->count * sizeof(a->fields[0]));
}

static void
test_head_table_holds_whole_and_byte_by_byte(SYNQ_UNUSED void **state)
{
	static struct synq_parse_head whole, slow;

	for (size_t i = 0; i < SYNQ_COUNT(heads); i++) {
		struct synq_slice text = text_of(&heads[i]);
		/* In a block of its own, so that reading beyond is found. */
		char *copy = synq_mem_copy(text.data, text.bytes);
		int got;

		text.data = copy;
		got = gulp(&whole, text, 32768);
		if (got != heads[i].status)
			print_error("%s: %d\n", heads[i].why, got);
		assert_int_equal(got, heads[i].status);
		got = drip(&slow, text, 32768);
		if (got != heads[i].status)
			print_error("%s, dripped: %d\n", heads[i].why, got);
		assert_int_equal(got, heads[i].status);
		assert_same(&whole, &slow);
		synq_mem_free(copy);
	}
}

static void
test_head_gives_its_parts(SYNQ_UNUSED void **state)
{
	static struct synq_parse_head head;
	struct synq_slice text = synq_slice_text(
	    "POST /v1/jobs?a=b?c HTTP/1.1\r\nHost: h\r\n"
	    "Content-Length: 42\r\nX-Y:  \t va lue \t\r\n"
	    "Connection: x, Close\r\nExpect: 100-continue\r\n\r\nBODY");

	assert_int_equal(gulp(&head, text, 32768), 0);

	assert_int_equal(head.bytes, text.bytes - 4);
	assert_true(synq_slice_is(synq_parse_part(text, head.method), "POST"));
	assert_true(
	    synq_slice_is(synq_parse_part(text, head.path), "/v1/jobs"));
	assert_true(synq_slice_is(synq_parse_part(text, head.query), "a=b?c"));
	assert_int_equal(head.minor, 1);
	assert_int_equal(head.framing, SYNQ_PARSE_LENGTH);
	assert_int_equal(head.length, 42);
	assert_int_equal(head.count, 5);
	assert_true(
	    synq_slice_is(synq_parse_part(text, head.fields[2].name), "X-Y"));
	assert_true(synq_slice_is(
	    synq_parse_part(text, head.fields[2].value), "va lue"));
	assert_int_equal(head.wants_close, 1);
	assert_int_equal(head.wants_expect, 1);
}

static void
test_head_drops_the_authority_of_an_absolute_target(SYNQ_UNUSED void **state)
{
	static struct synq_parse_head head;
	struct synq_slice text = synq_slice_text(
	    "GET HTTPS://a.b:8080/x?y HTTP/1.1\r\nHost: h\r\n\r\n");

	assert_int_equal(gulp(&head, text, 32768), 0);

	assert_true(synq_slice_is(synq_parse_part(text, head.path), "/x"));
	assert_true(synq_slice_is(synq_parse_part(text, head.query), "y"));
}

/* RFC 9110, 4.2.3: an empty path is "/". */
static void
test_head_gives_an_absolute_target_its_path(SYNQ_UNUSED void **state)
{
	static struct synq_parse_head head;
	struct synq_slice bare =
	    synq_slice_text("GET http://a:8 HTTP/1.1\r\nHost: h\r\n\r\n");
	struct synq_slice query =
	    synq_slice_text("GET https://a?y HTTP/1.1\r\nHost: h\r\n\r\n");

	assert_int_equal(gulp(&head, bare, 32768), 0);
	assert_true(synq_slice_is(synq_parse_part(bare, head.path), "/"));
	assert_int_equal(head.query.bytes, 0);

	assert_int_equal(gulp(&head, query, 32768), 0);
	assert_true(synq_slice_is(synq_parse_part(query, head.path), "/"));
	assert_true(synq_slice_is(synq_parse_part(query, head.query), "y"));
}

static void
test_head_ignores_expect_of_http_1_0(SYNQ_UNUSED void **state)
{
	static struct synq_parse_head head;

	assert_int_equal(
	    gulp(&head,
		synq_slice_text("POST / HTTP/1.0\r\nContent-Length: 1\r\n"
				"Expect: 100-continue\r\n\r\n"),
		32768),
	    0);

	assert_int_equal(head.wants_expect, 0);
}

static void
test_zero_length_is_no_body(SYNQ_UNUSED void **state)
{
	static struct synq_parse_head head;

	assert_int_equal(gulp(&head,
			     synq_slice_text("POST / HTTP/1.1\r\n" HOST
					     "Content-Length: 0\r\n\r\n"),
			     32768),
	    0);

	assert_int_equal(head.framing, SYNQ_PARSE_NO_BODY);
}

/* 1 if a value of ${bytes} times 'v' with ${c} at ${at} is taken. */
static int
takes_value(size_t bytes, size_t at, int c)
{
	static struct synq_parse_head head;
	struct synq_buf text;
	size_t value_at;
	int status;

	synq_buf_init(&text, 1000);
	synq_buf_text(&text, "GET / HTTP/1.1\r\n" HOST "X:");
	value_at = text.bytes;
	for (size_t i = 0; i < bytes; i++)
		synq_buf_char(&text, i == at ? (char)c : 'v');
	synq_buf_text(&text, "\r\n\r\n");
	status = gulp(&head, synq_buf_view(&text), 32768);
	if (status == 0 && c != ' ' && c != '\t')
		assert_int_equal(head.fields[1].value.at, value_at);
	synq_buf_done(&text);
	return status == 0;
}

/* RFC 9110, 5.5, for every byte at every place of values of many lengths. */
static void
test_value_bytes_are_judged_wherever_they_stand(SYNQ_UNUSED void **state)
{
	for (size_t bytes = 1; bytes <= 20; bytes++) {
		for (size_t at = 0; at < bytes; at++) {
			for (int c = 0; c < 256; c++) {
				int good = c == '\t' || (c >= ' ' && c != 127);

				assert_int_equal(
				    takes_value(bytes, at, c), good);
			}
		}
	}
}

/* A head with one request line of ${line} bytes, CR LF included. */
static struct synq_buf
long_line(size_t line)
{
	struct synq_buf buf;

	synq_buf_init(&buf, 100000);
	synq_buf_text(&buf, "GET /");
	while (buf.bytes < line - 11)
		synq_buf_char(&buf, 'a');
	synq_buf_text(&buf, " HTTP/1.1\r\n" HOST "\r\n");
	return buf;
}

static void
check_long_line(size_t line, size_t max_bytes, int status)
{
	static struct synq_parse_head whole, slow;
	struct synq_buf buf = long_line(line);

	assert_int_equal(gulp(&whole, synq_buf_view(&buf), max_bytes), status);
	assert_int_equal(drip(&slow, synq_buf_view(&buf), max_bytes), status);
	assert_same(&whole, &slow);
	synq_buf_done(&buf);
}

static void
test_request_line_is_limited(SYNQ_UNUSED void **state)
{
	check_long_line(SYNQ_PARSE_MAX_LINE_BYTES, 32768, 0);
	check_long_line(SYNQ_PARSE_MAX_LINE_BYTES + 1, 32768, 414);
	check_long_line(50000, 32768, 414);
	check_long_line(500, 300, 414);
}

static void
test_head_size_is_limited(SYNQ_UNUSED void **state)
{
	static struct synq_parse_head whole, slow;
	struct synq_buf buf;

	synq_buf_init(&buf, 100000);
	synq_buf_text(&buf, "GET / HTTP/1.1\r\n" HOST "X: ");
	while (buf.bytes < 996)
		synq_buf_char(&buf, 'a');
	synq_buf_text(&buf, "\r\n\r\n");
	assert_int_equal(buf.bytes, 1000);

	assert_int_equal(gulp(&whole, synq_buf_view(&buf), 1000), 0);
	assert_int_equal(drip(&slow, synq_buf_view(&buf), 1000), 0);
	assert_int_equal(gulp(&whole, synq_buf_view(&buf), 999), 431);
	assert_int_equal(drip(&slow, synq_buf_view(&buf), 999), 431);
	assert_same(&whole, &slow);
	synq_buf_done(&buf);
}

static void
test_field_count_is_limited(SYNQ_UNUSED void **state)
{
	static struct synq_parse_head head;
	struct synq_buf buf;

	synq_buf_init(&buf, 100000);
	synq_buf_text(&buf, "GET / HTTP/1.1\r\n" HOST);
	for (int i = 1; i < SYNQ_PARSE_MAX_FIELDS; i++)
		synq_buf_text(&buf, "A: b\r\n");
	synq_buf_text(&buf, "\r\n");
	assert_int_equal(gulp(&head, synq_buf_view(&buf), 32768), 0);
	assert_int_equal(head.count, SYNQ_PARSE_MAX_FIELDS);

	buf.bytes -= 2;
	synq_buf_text(&buf, "A: b\r\n\r\n");
	assert_int_equal(gulp(&head, synq_buf_view(&buf), 32768), 431);
	assert_int_equal(drip(&head, synq_buf_view(&buf), 32768), 431);
	synq_buf_done(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head_table_holds_whole_and_byte_by_byte),
		cmocka_unit_test(test_head_gives_its_parts),
		cmocka_unit_test(
		    test_head_drops_the_authority_of_an_absolute_target),
		cmocka_unit_test(test_head_gives_an_absolute_target_its_path),
		cmocka_unit_test(test_head_ignores_expect_of_http_1_0),
		cmocka_unit_test(test_zero_length_is_no_body),
		cmocka_unit_test(
		    test_value_bytes_are_judged_wherever_they_stand),
		cmocka_unit_test(test_request_line_is_limited),
		cmocka_unit_test(test_head_size_is_limited),
		cmocka_unit_test(test_field_count_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
