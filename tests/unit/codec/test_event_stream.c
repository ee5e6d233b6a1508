/*
 * Server-sent events.  A stream is shown as text: [type|id|retry|data] for each
 * event, "!" and the reason where it is refused; each is fed whole and in
 * pieces of one to four bytes, which must come to the same.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/event_stream.h"

#define MAX_LINE 40
#define MAX_DATA 64

static void
show(struct synq_buf *out, const struct synq_event *event)
{
	synq_buf_printf(out, "[%.*s|%.*s|%lld|", (int)event->type.bytes,
	    event->type.bytes ? event->type.data : "", (int)event->id.bytes,
	    event->id.bytes ? event->id.data : "", (long long)event->retry_ms);
	synq_buf_slice(out, event->data);
	synq_buf_char(out, ']');
}

static void
feed(struct synq_slice text, size_t step, struct synq_buf *out)
{
	static const struct synq_event_limits limits = { MAX_LINE, MAX_DATA };
	struct synq_event_reader *reader = synq_event_reader_new(&limits);
	enum synq_event_verdict verdict = SYNQ_EVENT_MORE;
	struct synq_event event;

	for (size_t at = 0; at < text.bytes && verdict != SYNQ_EVENT_REFUSED;
	     at += step) {
		size_t n = text.bytes - at < step ? text.bytes - at : step;
		struct synq_slice piece = synq_slice_of(text.data + at, n);

		while ((verdict = synq_event_read(reader, &piece, &event)) ==
		       SYNQ_EVENT_READY)
			show(out, &event);
	}
	if (verdict == SYNQ_EVENT_REFUSED)
		synq_buf_printf(out, "!%s", synq_event_reason(reader));
	else
		assert_null(synq_event_reason(reader));
	synq_event_reader_free(&reader);
	assert_null(reader);
}

static void
reads_bytes(const char *text, size_t bytes, const char *expected)
{
	for (size_t step = 1; step <= 5; step++) {
		struct synq_buf out;

		synq_buf_init(&out, 4096);
		feed(
		    synq_slice_of(text, bytes), step == 5 ? bytes : step, &out);
		assert_string_equal(out.data ? out.data : "", expected);
		synq_buf_done(&out);
	}
}

static void
reads(const char *text, const char *expected)
{
	reads_bytes(text, strlen(text), expected);
}

/* ---- reading ---- */

static void
test_the_standards_examples(void **state)
{
	(void)state;
	reads("data: This is the first message.\n\n"
	      "data: This is the second message, it\ndata: has two lines.\n\n",
	    "[message||-1|This is the first message.]"
	    "[message||-1|This is the second message, it\nhas two lines.]");
	reads("event: add\ndata: 73857293\n\n"
	      "event: remove\ndata: 2153\n\n",
	    "[add||-1|73857293][remove||-1|2153]");
	reads(
	    "data: YHOO\ndata: +2\ndata: 10\n\n", "[message||-1|YHOO\n+2\n10]");
	reads(": test stream\n\ndata: first event\nid: 1\n\n"
	      "data:second event\nid\n\ndata:  third event\n\n",
	    "[message|1|-1|first event][message||-1|second event]"
	    "[message||-1| third event]");
	reads("data\n\ndata\ndata\n\ndata:", "[message||-1|][message||-1|\n]");
	reads("data:test\n\ndata: test\n\n",
	    "[message||-1|test][message||-1|test]");
}

static void
test_every_line_end_is_one(void **state)
{
	(void)state;
	reads("data:a\r\rdata:b\n\ndata:c\r\n\r\n",
	    "[message||-1|a][message||-1|b][message||-1|c]");
	reads("data:a\r\ndata:b\rdata:c\ndata:d\r\n\n",
	    "[message||-1|a\nb\nc\nd]");
	reads("data:a\n\rdata:b\r\n\r", "[message||-1|a][message||-1|b]");
}

static void
test_an_event_is_ready_at_the_cr(void **state)
{
	static const struct synq_event_limits limits = { 40, 40 };
	struct synq_event_reader *reader = synq_event_reader_new(&limits);
	struct synq_slice text = synq_slice_text("data:a\r\n\r");
	struct synq_slice rest = synq_slice_text("\ndata:b\n\n");
	struct synq_event event;

	(void)state;
	assert_int_equal(
	    synq_event_read(reader, &text, &event), SYNQ_EVENT_READY);
	assert_int_equal(
	    synq_event_read(reader, &rest, &event), SYNQ_EVENT_READY);
	assert_true(synq_slice_is(event.data, "b"));
	synq_event_reader_free(&reader);
	synq_event_reader_free(&reader);
}

static void
test_only_a_bom_in_front_is_dropped(void **state)
{
	(void)state;
	reads("\xef\xbb\xbf"
	      "data:a\n\n",
	    "[message||-1|a]");
	reads("\n\xef\xbb\xbf"
	      "data:a\n\n",
	    "");
	reads("\xef\xbb\xbf\xef\xbb\xbf"
	      "data:a\n\n",
	    "");
	reads("data:\xef\xbb\xbf\n\n", "[message||-1|\xef\xbb\xbf]");
}

static void
test_unknown_fields_and_comments_are_ignored(void **state)
{
	(void)state;
	reads(":\n: data: x\nData: x\nfoo: x\ndata : x\n data: x\n\n", "");
	reads("foo\ndata:a\n:b\n\n", "[message||-1|a]");
	reads("event: x\n\ndata: a\n\n", "[message||-1|a]");
	reads("event: x\nevent\ndata: a\n\n", "[message||-1|a]");
}

static void
test_an_id_stays_until_another(void **state)
{
	(void)state;
	reads("id: 7\n\ndata:a\n\ndata:b\n\nid:8\ndata:c\n\n",
	    "[message|7|-1|a][message|7|-1|b][message|8|-1|c]");
	reads_bytes("id: 7\nid: 8\0\ndata:a\n\n", 21, "[message|7|-1|a]");
}

static void
test_a_retry_is_digits_only(void **state)
{
	(void)state;
	reads("retry: 3000\ndata:a\n\n", "[message||3000|a]");
	reads("retry: 1\nretry: -1\nretry: 1.5\nretry:  2\nretry\ndata:a\n\n",
	    "[message||1|a]");
	reads("retry: 99999999999999999999\ndata:a\n\n", "[message||-1|a]");
}

static void
test_what_is_not_finished_is_dropped(void **state)
{
	(void)state;
	reads("data:a\n\ndata:b\n", "[message||-1|a]");
	reads("data:a\n\ndata:b", "[message||-1|a]");
	reads("", "");
}

static void
test_a_nul_in_data_is_data(void **state)
{
	static const struct synq_event_limits limits = { 40, 40 };
	struct synq_event_reader *reader = synq_event_reader_new(&limits);
	struct synq_slice text = synq_slice_of("data:a\0b\n\n", 10);
	struct synq_event event;

	(void)state;
	assert_int_equal(
	    synq_event_read(reader, &text, &event), SYNQ_EVENT_READY);
	assert_int_equal(event.data.bytes, 3);
	assert_memory_equal(event.data.data, "a\0b", 3);
	synq_event_reader_free(&reader);
}

static void
test_bytes_that_are_not_utf8_are_refused(void **state)
{
	(void)state;
	reads("data:a\n\ndata:\xff\n\ndata:b\n\n",
	    "[message||-1|a]!a line is not valid UTF-8");
	reads(":\xc3\n", "!a line is not valid UTF-8");
}

/* ---- limits ---- */

static void
test_a_line_has_a_limit(void **state)
{
	char text[128];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "data:", 5);
	memcpy(text + MAX_LINE, "\n\n", 2);
	text[MAX_LINE + 2] = '\0';
	reads(text, "[message||-1|xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]");
	memcpy(text + MAX_LINE, "x\n\n", 4);
	reads(text, "!a line is too long");
	memset(text, 'x', sizeof(text));
	text[127] = '\0';
	reads(text, "!a line is too long");
	memcpy(text, "\xef\xbb\xbf:", 4);
	text[MAX_LINE + 3] = '\n';
	text[MAX_LINE + 4] = '\0';
	reads(text, "");
	text[MAX_LINE + 3] = 'x';
	text[MAX_LINE + 4] = '\n';
	text[MAX_LINE + 5] = '\0';
	reads(text, "!a line is too long");
}

static void
test_data_has_a_limit(void **state)
{
	(void)state;
	/* 32 and a LF and 31 are 64. */
	reads("data:01234567890123456789012345678901\n"
	      "data:0123456789012345678901234567890\n\ndata:a\n\n",
	    "[message||-1|01234567890123456789012345678901\n"
	    "0123456789012345678901234567890][message||-1|a]");
	reads("data:01234567890123456789012345678901\n"
	      "data:01234567890123456789012345678901\n\n",
	    "!the data of an event is too large");
}

static void
test_a_refused_reader_stays_so(void **state)
{
	static const struct synq_event_limits limits = { 6, 6 };
	struct synq_event_reader *reader = synq_event_reader_new(&limits);
	struct synq_slice text = synq_slice_text("data:ab\n\n");
	struct synq_slice more = synq_slice_text("data:a\n\n");
	struct synq_event event;

	(void)state;
	assert_int_equal(
	    synq_event_read(reader, &text, &event), SYNQ_EVENT_REFUSED);
	assert_int_equal(
	    synq_event_read(reader, &more, &event), SYNQ_EVENT_REFUSED);
	synq_event_reader_free(&reader);
}

/* ---- writing ---- */

static void
test_what_is_written_is_read_again(void **state)
{
	const struct synq_event event = {
		.type = synq_slice_text("job"),
		.data = synq_slice_text("a\r\nb\rc\n\nd"),
		.id = synq_slice_text("3-17"),
		.retry_ms = 2000,
	};
	const struct synq_event plain = {
		.type = synq_slice_text("message"),
		.data = synq_slice_text(" b"),
		.retry_ms = -1,
	};
	struct synq_buf out;

	(void)state;
	synq_buf_init(&out, 400);
	assert_int_equal(synq_event_write(&event, &out), 0);
	assert_int_equal(
	    synq_event_write_comment(synq_slice_text("x\ny"), &out), 0);
	assert_int_equal(synq_event_write(&plain, &out), 0);
	assert_string_equal(out.data,
	    "event: job\nid: 3-17\nretry: 2000\ndata: a\ndata: b\n"
	    "data: c\ndata: \ndata: d\n\n: x\n: y\ndata:  b\n\n");
	reads(out.data, "[job|3-17|2000|a\nb\nc\n\nd][message|3-17|2000| b]");
	synq_buf_done(&out);
}

static void
test_what_cannot_be_written_is_refused(void **state)
{
	static const struct synq_event events[] = {
		{ .type = { "a\nb", 3 }, .retry_ms = -1 },
		{ .type = { "a\rb", 3 }, .retry_ms = -1 },
		{ .id = { "a\nb", 3 }, .retry_ms = -1 },
		{ .id = { "a\0b", 3 }, .retry_ms = -1 },
		{ .type = { "\xff", 1 }, .retry_ms = -1 },
		{ .id = { "\xff", 1 }, .retry_ms = -1 },
		{ .data = { "\xff", 1 }, .retry_ms = -1 },
	};
	struct synq_buf out;

	(void)state;
	synq_buf_init(&out, 10);
	for (size_t i = 0; i < SYNQ_COUNT(events); i++) {
		assert_int_equal(
		    synq_event_write(&events[i], &out), -SYNQ_E_INVALID);
		assert_int_equal(out.bytes, 0);
	}
	assert_int_equal(
	    synq_event_write_comment(synq_slice_text("\xff"), &out),
	    -SYNQ_E_INVALID);
	assert_int_equal(
	    synq_event_write_comment(synq_slice_text("0123456789"), &out),
	    -SYNQ_E_TOO_LARGE);
	assert_true(out.overflow);
	synq_buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_standards_examples),
		cmocka_unit_test(test_every_line_end_is_one),
		cmocka_unit_test(test_an_event_is_ready_at_the_cr),
		cmocka_unit_test(test_only_a_bom_in_front_is_dropped),
		cmocka_unit_test(test_unknown_fields_and_comments_are_ignored),
		cmocka_unit_test(test_an_id_stays_until_another),
		cmocka_unit_test(test_a_retry_is_digits_only),
		cmocka_unit_test(test_what_is_not_finished_is_dropped),
		cmocka_unit_test(test_a_nul_in_data_is_data),
		cmocka_unit_test(test_bytes_that_are_not_utf8_are_refused),
		cmocka_unit_test(test_a_line_has_a_limit),
		cmocka_unit_test(test_data_has_a_limit),
		cmocka_unit_test(test_a_refused_reader_stays_so),
		cmocka_unit_test(test_what_is_written_is_read_again),
		cmocka_unit_test(test_what_cannot_be_written_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
