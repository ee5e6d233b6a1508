/*
 * Chunked bodies by a table, each fed in pieces of every size.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "httpd/chunk.h"

struct chunk_case {
	const char *why;
	const char *text;
	int verdict;
	const char *data;
	size_t left; /* bytes behind the body */
};

static const struct chunk_case chunkeds[] = {
	{ "two chunks (9112 7.1)", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nXY",
	    SYNQ_PARSE_DONE, "abcde", 2 },
	{ "none", "0\r\n\r\n", SYNQ_PARSE_DONE, "", 0 },
	{ "zeros before", "0003\r\nabc\r\n000\r\n\r\n", SYNQ_PARSE_DONE, "abc",
	    0 },
	{ "hex in both cases",
	    "a\r\n0123456789\r\nB\r\n01234567890\r\n0\r\n\r\n", SYNQ_PARSE_DONE,
	    "012345678901234567890", 0 },
	{ "extension (7.1.1)", "3;a=\"b c\"\r\nabc\r\n0;x\r\n\r\n",
	    SYNQ_PARSE_DONE, "abc", 0 },
	{ "trailers (7.1.2)", "1\r\na\r\n0\r\nA: b\r\nCc:\r\n\r\nZ",
	    SYNQ_PARSE_DONE, "a", 1 },
	{ "incomplete", "3\r\nab", SYNQ_PARSE_MORE, "ab", 0 },
	{ "16 digits", "0000000000000001\r\na\r\n0\r\n\r\n", SYNQ_PARSE_DONE,
	    "a", 0 },
	{ "17 digits", "00000000000000001\r\na\r\n0\r\n\r\n",
	    SYNQ_PARSE_REFUSED, "", 0 },
	{ "largest size", "ffffffffffffffff\r\nab", SYNQ_PARSE_MORE, "ab", 0 },
	{ "no size", "\r\nabc", SYNQ_PARSE_REFUSED, "", 0 },
	{ "sign", "+3\r\nabc\r\n", SYNQ_PARSE_REFUSED, "", 0 },
	{ "0x", "0x3\r\nabc\r\n", SYNQ_PARSE_REFUSED, "", 0 },
	{ "space behind the size", "3 \r\nabc\r\n", SYNQ_PARSE_REFUSED, "", 0 },
	{ "bare LF behind the size", "3\nabc\r\n", SYNQ_PARSE_REFUSED, "", 0 },
	{ "CR alone behind the size", "3\rabc", SYNQ_PARSE_REFUSED, "", 0 },
	{ "bare LF in an extension", "3;a\nabc\r\n", SYNQ_PARSE_REFUSED, "",
	    0 },
	{ "extension without a name", "3;\r\nabc\r\n", SYNQ_PARSE_REFUSED, "",
	    0 },
	{ "extension behind a space", "3; a\r\nabc\r\n", SYNQ_PARSE_REFUSED, "",
	    0 },
	{ "bare LF behind the data", "3\r\nabc\n0\r\n\r\n", SYNQ_PARSE_REFUSED,
	    "abc", 0 },
	{ "more data than said", "3\r\nabcd\r\n", SYNQ_PARSE_REFUSED, "abc",
	    0 },
	{ "bare LF at the end", "0\r\n\n", SYNQ_PARSE_REFUSED, "", 0 },
	{ "CR alone at the end", "0\r\n\rX", SYNQ_PARSE_REFUSED, "", 0 },
	{ "folded trailer", "0\r\nA: b\r\n c\r\n\r\n", SYNQ_PARSE_REFUSED, "",
	    0 },
	{ "trailer without colon", "0\r\nabc\r\n\r\n", SYNQ_PARSE_REFUSED, "",
	    0 },
	{ "trailer without name", "0\r\n: b\r\n\r\n", SYNQ_PARSE_REFUSED, "",
	    0 },
	{ "space before the trailer's colon", "0\r\nA : b\r\n\r\n",
	    SYNQ_PARSE_REFUSED, "", 0 },
	{ "control byte in a trailer", "0\r\nA: \x01\r\n\r\n",
	    SYNQ_PARSE_REFUSED, "", 0 },
};

/* Feed ${text} in pieces of ${step}; the data is added to ${data}. */
static int
feed_chunks(
    struct synq_slice text, size_t step, struct synq_buf *data, size_t *left)
{
	struct synq_parse_chunks chunks;
	enum synq_parse_verdict verdict = SYNQ_PARSE_MORE;
	size_t at = 0;

	synq_parse_chunks_init(&chunks);
	while (at < text.bytes && verdict == SYNQ_PARSE_MORE) {
		size_t n = text.bytes - at < step ? text.bytes - at : step;
		struct synq_slice in = synq_slice_of(text.data + at, n);
		struct synq_slice piece;

		while (in.bytes > 0 && verdict == SYNQ_PARSE_MORE) {
			verdict = synq_parse_chunks_feed(&chunks, &in, &piece);
			synq_buf_slice(data, piece);
		}
		at += n - in.bytes;
	}
	*left = text.bytes - at;
	assert_int_equal(verdict == SYNQ_PARSE_REFUSED, chunks.reason != NULL);
	return (int)verdict;
}

static void
test_chunk_table_holds_in_any_pieces(SYNQ_UNUSED void **state)
{
	for (size_t i = 0; i < SYNQ_COUNT(chunkeds); i++) {
		const struct chunk_case *c = &chunkeds[i];

		for (size_t step = 1; step < 70; step++) {
			struct synq_buf data;
			size_t left;
			int got;

			synq_buf_init(&data, 1000);
			got = feed_chunks(
			    synq_slice_text(c->text), step, &data, &left);
			if (got != c->verdict)
				print_error("%s: %d\n", c->why, got);
			assert_int_equal(got, c->verdict);
			assert_true(
			    synq_slice_is(synq_buf_view(&data), c->data));
			if (got == SYNQ_PARSE_DONE)
				assert_int_equal(left, c->left);
			synq_buf_done(&data);
		}
	}
}

/* A body with ${bytes} of extension or trailer. */
static int
feed_extra(const char *before, size_t bytes, const char *after)
{
	struct synq_buf text, data;
	size_t left;
	int verdict;

	synq_buf_init(&text, 100000);
	synq_buf_init(&data, 100);
	synq_buf_text(&text, before);
	for (size_t i = 0; i < bytes; i++)
		synq_buf_char(&text, 'e');
	synq_buf_text(&text, after);
	verdict = feed_chunks(synq_buf_view(&text), 100000, &data, &left);
	synq_buf_done(&text);
	synq_buf_done(&data);
	return verdict;
}

static void
test_chunk_extension_and_trailer_are_limited(SYNQ_UNUSED void **state)
{
	const char *end = "\r\n\r\n";

	assert_int_equal(feed_extra("0;", 256, end), SYNQ_PARSE_DONE);
	assert_int_equal(feed_extra("0;", 257, end), SYNQ_PARSE_REFUSED);
	assert_int_equal(feed_extra("0\r\nA:", 8192 - 6, end), SYNQ_PARSE_DONE);
	assert_int_equal(feed_extra("0\r\nA:", 8192, end), SYNQ_PARSE_REFUSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunk_table_holds_in_any_pieces),
		cmocka_unit_test(test_chunk_extension_and_trailer_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
