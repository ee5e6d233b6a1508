/*
 * What is accepted and what is refused, where and why.  Texts lie at the end
 * of memory of exactly their size, so that the sanitizer sees a read behind.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "json/scan.h"

static int
parse(struct synq_slice text, struct synq_json_fault *fault)
{
	char *exact = synq_mem_resize(NULL, text.bytes);
	struct synq_json value = { SYNQ_JSON_NONE, { NULL, 0 } };

	if (text.bytes > 0)
		memcpy(exact, text.data, text.bytes);
	int rc =
	    synq_json_parse(synq_slice_of(exact, text.bytes), &value, fault);
	assert_true(rc == 0 ? value.type != SYNQ_JSON_NONE
			    : value.type == SYNQ_JSON_NONE);
	synq_mem_free(exact);
	return rc;
}

static void
assert_accepted(const char *text)
{
	struct synq_json_fault fault;

	if (parse(synq_slice_text(text), &fault))
		fail_msg("%s: %s at %d", text, fault.reason, (int)fault.offset);
}

static void
assert_refused(const char *text, size_t offset, const char *reason)
{
	struct synq_json_fault fault;

	if (parse(synq_slice_text(text), &fault) != -SYNQ_E_INVALID)
		fail_msg("%s is accepted", text);
	if (fault.offset != offset || !strstr(fault.reason, reason))
		fail_msg("%s: %s at %d", text, fault.reason, (int)fault.offset);
	assert_int_equal(synq_json_parse(synq_slice_text(text), NULL, NULL),
	    -SYNQ_E_INVALID);
}

static void
test_scan_takes_every_kind_of_value(void **state)
{
	(void)state;
	static const char *const texts[] = { "{}", "[]", "\"\"", "0", "-0",
		"-0.0e-0", "10", "1.50", "1e5", "1E+05", "1e400", "true",
		"false", "null", " \t\r\n[ ] \n", "[1,[2,{\"a\":[]}],\"x\"]",
		"{\"\":{\"\":{}}}", "{ \"a\" : 1 , \"b\" : 2 }",
		"123456789012345678901234567890", "\"\\\"\\\\\\/\\b\"",
		"\"\\u0001\\uD7FF\\uE000\\uFFFF\"",
		"\"\\uD800\\uDC00\\udbff\\udfff\"",
		"\"\xc2\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf\x7f\"" };

	for (size_t i = 0; i < SYNQ_COUNT(texts); i++)
		assert_accepted(texts[i]);
}

static void
test_scan_says_where_and_why_it_refuses(void **state)
{
	(void)state;

	assert_refused("", 0, "ends");
	assert_refused("  ", 2, "ends");
	assert_refused("\xef\xbb\xbf{}", 0, "value");
	assert_refused("{} {}", 3, "follows");
	assert_refused("1 2", 2, "follows");
	assert_refused("[1,]", 3, "value");
	assert_refused("[1 2]", 3, "comma or ]");
	assert_refused("[1}", 2, "comma or ]");
	assert_refused("[", 1, "ends");
	assert_refused("{\"a\":1,}", 7, "name");
	assert_refused("{\"a\" 1}", 5, "colon");
	assert_refused("{\"a\":}", 5, "value");
	assert_refused("{\"a\":1]", 6, "comma or }");
	assert_refused("{a:1}", 1, "name");
	assert_refused("{1:1}", 1, "name");
	assert_refused("{\"a\":1", 6, "ends");
	assert_refused("]", 0, "value");
	assert_refused("tru", 0, "value");
	assert_refused("True", 0, "value");
	assert_refused("NaN", 0, "value");
	assert_refused("truex", 4, "follows");
	assert_refused("/**/1", 0, "value");
}

static void
test_scan_refuses_bad_numbers(void **state)
{
	(void)state;

	assert_refused("01", 0, "begins with 0");
	assert_refused("-00", 1, "begins with 0");
	assert_refused("+1", 0, "value");
	assert_refused(".5", 0, "value");
	assert_refused("-", 1, "digit");
	assert_refused("-a", 1, "digit");
	assert_refused("1.", 2, "digit");
	assert_refused("1.e5", 2, "digit");
	assert_refused("1e", 2, "digit");
	assert_refused("1e+", 3, "digit");
	assert_refused("0x10", 1, "follows");
	assert_refused("1_000", 1, "follows");
}

static void
test_scan_refuses_bad_strings(void **state)
{
	(void)state;

	assert_refused("\"abc", 4, "ends");
	assert_refused("\"abc\\", 5, "ends");
	assert_refused("\"a\\x\"", 2, "escape");
	assert_refused("\"\\u12g4\"", 1, "escape");
	assert_refused("\"\\u123", 1, "escape");
	assert_refused("\"\\u0000\"", 1, "U+0000");
	assert_refused("\"\\ud800\"", 1, "surrogate");
	assert_refused("\"\\udc00\"", 1, "surrogate");
	assert_refused("\"\\ud800\\u0041\"", 1, "surrogate");
	assert_refused("\"\\ud800\\ud800\"", 1, "surrogate");
	assert_refused("\"\\ud800x\"", 1, "surrogate");
	assert_refused("\"a\nb\"", 2, "control");
	assert_refused("\"\x1f\"", 1, "control");
	assert_refused("{\"\\u0000\":1}", 2, "U+0000");
	assert_refused("'a'", 0, "value");
}

/* Each at every place of a block of 16 bytes. */
static void
test_scan_finds_one_bad_byte_anywhere(void **state)
{
	(void)state;
	static const char *const bad[] = { "\xff", "\x80", "\xc0\x80",
		"\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xbd",
		"\xc3", "\x01", "\t" };
	struct synq_json_fault fault;
	char text[128];

	for (size_t i = 0; i < SYNQ_COUNT(bad); i++) {
		for (size_t at = 1; at < 60; at++) {
			memset(text, 'x', sizeof(text));
			text[0] = '"';
			text[99] = '"';
			memcpy(text + at, bad[i], strlen(bad[i]));

			assert_int_equal(
			    parse(synq_slice_of(text, 100), &fault),
			    -SYNQ_E_INVALID);
			assert_int_equal(fault.offset, at);
		}
	}
}

static void
test_scan_refuses_nul_bytes(void **state)
{
	(void)state;
	struct synq_json_fault fault;

	assert_int_equal(
	    parse(synq_slice_of("[1]\0", 4), &fault), -SYNQ_E_INVALID);
	assert_int_equal(fault.offset, 3);
	assert_int_equal(
	    parse(synq_slice_of("\"a\0b\"", 5), &fault), -SYNQ_E_INVALID);
	assert_int_equal(
	    parse(synq_slice_of(NULL, 0), &fault), -SYNQ_E_INVALID);
}

static void
test_scan_counts_lines_and_columns(void **state)
{
	(void)state;
	struct synq_json_fault fault;

	assert_int_equal(parse(synq_slice_text("{\n \"a\": 1,\n  x"), &fault),
	    -SYNQ_E_INVALID);
	assert_int_equal(fault.offset, 13);
	assert_int_equal(fault.line, 3);
	assert_int_equal(fault.column, 3);
	assert_int_equal(parse(synq_slice_text("x"), &fault), -SYNQ_E_INVALID);
	assert_int_equal(fault.line, 1);
	assert_int_equal(fault.column, 1);
}

static void
test_scan_limits_depth(void **state)
{
	(void)state;
	char text[3000];
	struct synq_json_fault fault;

	for (size_t depth = 1; depth <= 1000; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		int rc = parse(synq_slice_of(text, 2 * depth), &fault);

		if (depth <= SYNQ_JSON_MAX_DEPTH) {
			assert_int_equal(rc, 0);
			continue;
		}
		assert_int_equal(rc, -SYNQ_E_INVALID);
		assert_int_equal(fault.offset, SYNQ_JSON_MAX_DEPTH);
	}
}

/* Which bracket is open must survive going in and out at every depth. */
static void
test_scan_knows_its_brackets_at_every_depth(void **state)
{
	(void)state;
	struct synq_buf text;

	synq_buf_init(&text, 10000);
	for (int i = 0; i < 31; i++)
		synq_buf_text(&text, "[{\"a\":");
	synq_buf_text(&text, "1");
	for (int i = 0; i < 31; i++)
		synq_buf_text(&text, ",\"b\":[{}],\"c\":[]},[],{}]");
	assert_accepted(text.data);
	text.data[text.bytes - 1] = '}';
	assert_refused(text.data, text.bytes - 1, "comma or ]");
	synq_buf_done(&text);
}

static void
test_scan_refuses_a_name_that_stands_twice(void **state)
{
	(void)state;

	assert_refused("{\"a\":1,\"a\":2}", 7, "twice");
	assert_refused("{\"\":1,\"\":2}", 6, "twice");
	assert_refused("{\"a\":1,\"b\":2,\"b\":3,\"a\":4}", 13, "twice");
	assert_refused("[[{\"x\":{\"a\":1,\"a\":2}}]]", 14, "twice");
	assert_refused("{\"model\":1,\"mod\\u0065l\":2}", 11, "twice");
	assert_refused("{\"\\u00e9\":1,\"\xc3\xa9\":2}", 12, "twice");
	assert_refused(
	    "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", 18, "twice");
	assert_refused("{\"\\/\":1,\"/\":2}", 8, "twice");
	assert_accepted("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}");
	assert_accepted("[{\"a\":1},{\"a\":1}]");
	assert_accepted("{\"a\":1,\"A\":2,\"aa\":3,\"\\\\u0061\":4}");
}

/* Write  members "n0" to "n<count - 1>" without brackets. */
static void
put_members(struct synq_buf *text, size_t count)
{
	for (size_t i = 0; i < count; i++)
		synq_buf_printf(text, "%s\"n%zu\":0", i ? "," : "", i);
}

/* At every size a duplicate of the first, of the last, escaped or not. */
static void
test_scan_finds_duplicates_among_any_number(void **state)
{
	(void)state;
	static const size_t counts[] = { 1, 2, 15, 16, 17, 18, 31, 32, 33, 64,
		255, 256, 257, 1000, 4095 };
	struct synq_buf text;

	synq_buf_init(&text, 1 << 20);
	for (size_t i = 0; i < SYNQ_COUNT(counts); i++) {
		size_t last = counts[i] - 1;

		for (int kind = 0; kind < 5; kind++) {
			synq_buf_clear(&text);
			synq_buf_char(&text, '{');
			put_members(&text, counts[i]);
			size_t end = text.bytes;
			switch (kind) {
			case 0:
				synq_buf_text(&text, ",\"n0\":1}");
				break;
			case 1:
				synq_buf_printf(&text, ",\"n%zu\":1}", last);
				break;
			case 2:
				synq_buf_printf(
				    &text, ",\"\\u006e%zu\":1}", last);
				break;
			case 3:
				synq_buf_printf(
				    &text, ",\"\\u006d%zu\":1}", last);
				break;
			default:
				synq_buf_text(&text, "}");
				break;
			}
			if (kind < 3)
				assert_refused(text.data, end + 1, "twice");
			else
				assert_accepted(text.data);
		}
	}
	synq_buf_done(&text);
}

/* Names around the size of the pieces in which they are hashed. */
static void
test_scan_finds_duplicates_of_long_names(void **state)
{
	(void)state;
	static char name[800];
	struct synq_buf text;

	synq_buf_init(&text, 1 << 20);
	memset(name, 'x', sizeof(name));
	for (int bytes = 240; bytes < 760; bytes++) {
		synq_buf_clear(&text);
		synq_buf_char(&text, '{');
		put_members(&text, 20);
		synq_buf_printf(&text, ",\"%.*s\":1", bytes, name);
		synq_buf_printf(&text, ",\"%.*s\":1", bytes + 1, name);
		synq_buf_printf(&text, ",\"%.*sy\":1", bytes, name);
		size_t end = text.bytes;
		synq_buf_char(&text, '}');
		assert_accepted(text.data);

		text.bytes--;
		synq_buf_printf(&text, ",\"\\u0078%.*s\":1}", bytes - 1, name);
		assert_refused(text.data, end + 1, "twice");
	}
	synq_buf_done(&text);
}

static void
test_scan_limits_members(void **state)
{
	(void)state;
	struct synq_buf text;

	synq_buf_init(&text, 1 << 20);
	synq_buf_char(&text, '{');
	put_members(&text, SYNQ_JSON_MAX_MEMBERS);
	size_t end = text.bytes;
	synq_buf_char(&text, '}');
	assert_accepted(text.data);
	text.bytes--;
	synq_buf_text(&text, ",\"m\":1}");
	assert_refused(text.data, end + 1, "one object");

	/* Two such objects open at one time fit, a third does not. */
	synq_buf_clear(&text);
	for (int i = 0; i < 3; i++) {
		synq_buf_char(&text, '{');
		put_members(&text, SYNQ_JSON_MAX_MEMBERS - 1);
		synq_buf_text(&text, ",\"m\":");
	}
	size_t third = text.bytes;
	synq_buf_text(&text, "1}}}");
	struct synq_json_fault fault;
	assert_int_equal(parse(synq_buf_view(&text), &fault), -SYNQ_E_INVALID);
	assert_non_null(strstr(fault.reason, "open objects"));
	assert_true(fault.offset < third);
	synq_buf_done(&text);

	/* One after the other they may be as many as they like. */
	synq_buf_init(&text, 1 << 20);
	synq_buf_char(&text, '[');
	for (int i = 0; i < 10; i++) {
		synq_buf_text(&text, i ? ",{" : "{");
		put_members(&text, SYNQ_JSON_MAX_MEMBERS);
		synq_buf_char(&text, '}');
	}
	synq_buf_char(&text, ']');
	assert_accepted(text.data);
	synq_buf_done(&text);
}

/* How long a megabyte of objects of  members takes, at least. */
static uint64_t
time_of_objects(size_t count)
{
	struct synq_json value;
	uint64_t best_us = UINT64_MAX;
	struct synq_buf text;

	synq_buf_init(&text, 2 << 20);
	synq_buf_char(&text, '[');
	while (text.bytes < 1 << 20) {
		synq_buf_text(&text, text.bytes > 1 ? ",{" : "{");
		put_members(&text, count);
		synq_buf_char(&text, '}');
	}
	synq_buf_char(&text, ']');
	for (int i = 0; i < 3; i++) {
		uint64_t start_us = synq_clock_mono_us();

		assert_int_equal(
		    synq_json_parse(synq_buf_view(&text), &value, NULL), 0);
		uint64_t took_us = synq_clock_mono_us() - start_us;
		best_us = took_us < best_us ? took_us : best_us;
	}
	synq_buf_done(&text);
	return best_us;
}

/* 256 times as many members would take over 100 times as long. */
static void
test_scan_time_does_not_grow_with_members(void **state)
{
	(void)state;

	uint64_t few_us = time_of_objects(16);
	uint64_t many_us = time_of_objects(SYNQ_JSON_MAX_MEMBERS);

	assert_true(many_us < 20 * (few_us + 1000));
}

static void
test_scan_gives_the_value_without_space_around(void **state)
{
	(void)state;
	struct synq_json value;

	assert_int_equal(
	    synq_json_parse(synq_slice_text(" \n[1, 2]\t "), &value, NULL), 0);
	assert_int_equal(value.type, SYNQ_JSON_ARRAY);
	assert_true(synq_slice_is(value.raw, "[1, 2]"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan_takes_every_kind_of_value),
		cmocka_unit_test(test_scan_says_where_and_why_it_refuses),
		cmocka_unit_test(test_scan_refuses_bad_numbers),
		cmocka_unit_test(test_scan_refuses_bad_strings),
		cmocka_unit_test(test_scan_finds_one_bad_byte_anywhere),
		cmocka_unit_test(test_scan_refuses_nul_bytes),
		cmocka_unit_test(test_scan_counts_lines_and_columns),
		cmocka_unit_test(test_scan_limits_depth),
		cmocka_unit_test(test_scan_knows_its_brackets_at_every_depth),
		cmocka_unit_test(test_scan_refuses_a_name_that_stands_twice),
		cmocka_unit_test(test_scan_finds_duplicates_among_any_number),
		cmocka_unit_test(test_scan_finds_duplicates_of_long_names),
		cmocka_unit_test(test_scan_limits_members),
		cmocka_unit_test(test_scan_time_does_not_grow_with_members),
		cmocka_unit_test(
		    test_scan_gives_the_value_without_space_around),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
