/*
 * Texts made at random from fixed seeds, half of them then damaged, compared
 * with json-c.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rand.h"
#include "tests/unit/json/oracle.h"
#include "json/scan.h"

#define TEXTS 30000

struct maker {
	struct synq_rand rand;
	struct synq_buf out;
};

static size_t
pick(struct maker *maker, size_t below)
{
	return synq_rand_below(&maker->rand, below);
}

static void
put_one_of(struct maker *maker, const char *const *texts, size_t count)
{
	synq_buf_text(&maker->out, texts[pick(maker, count)]);
}

static void
put_space(struct maker *maker)
{
	static const char *const spaces[] = { "", "", "", " ", "\n", "\t\r" };

	put_one_of(maker, spaces, SYNQ_COUNT(spaces));
}

static void
put_string(struct maker *maker)
{
	static const char *const pieces[] = {
		"a",
		"b",
		"model",
		"a longer run of plain characters",
		"\\n",
		"\\\"",
		"\\\\",
		"\\/",
		"\\b\\f\\r\\t",
		"\\u0041",
		"\\u00e9",
		"\\u4f60",
		"\\ud83d\\ude00",
		"\xc3\xa9",
		"\xe4\xbd\xa0\xe5\xa5\xbd",
		"\xe0\xa4\x85",
		"\xed\x9f\xbf",
		"\xf0\x9f\x98\x80",
		"\x7f",
		" ",
		"{[,:]}",
	};

	synq_buf_char(&maker->out, '"');
	for (size_t left = pick(maker, 5); left > 0; left--)
		put_one_of(maker, pieces, SYNQ_COUNT(pieces));
	synq_buf_char(&maker->out, '"');
}

static void
put_scalar(struct maker *maker)
{
	static const char *const scalars[] = { "0", "-0", "1", "-1", "0.5",
		"-1.25e3", "1E+2", "1e-2", "9223372036854775807",
		"-9223372036854775808", "9223372036854775808", "0e0",
		"18446744073709551616", "123456789012345678901234567890",
		"0.1000000000000000055511151231257827", "1e400", "-1e400",
		"1e-400", "2.2250738585072014e-308", "true", "false", "null" };

	if (pick(maker, 2))
		put_string(maker);
	else
		put_one_of(maker, scalars, SYNQ_COUNT(scalars));
}

/* Depth by depth; the deepest values are scalars. */
static void
put_value(struct maker *maker, int depth)
{
	size_t kind = depth > 0 ? pick(maker, 4) : 0;

	if (kind < 2) {
		put_scalar(maker);
		return;
	}
	synq_buf_char(&maker->out, kind == 2 ? '{' : '[');
	for (size_t left = pick(maker, 6); left > 0; left--) {
		put_space(maker);
		if (kind == 2) {
			put_string(maker);
			put_space(maker);
			synq_buf_char(&maker->out, ':');
			put_space(maker);
		}
		put_value(maker, depth - 1);
		put_space(maker);
		if (left > 1)
			synq_buf_char(&maker->out, ',');
	}
	synq_buf_char(&maker->out, kind == 2 ? '}' : ']');
}

/* Change, drop or repeat a few bytes; never to NUL. */
static void
damage(struct maker *maker)
{
	static const char likely[] = "\"\\{}[]:,0123456789.eE+-u \n\x80\xff";

	for (size_t left = 1 + pick(maker, 3); left > 0; left--) {
		char *data = maker->out.data;
		size_t at = pick(maker, maker->out.bytes);
		char new = likely[pick(maker, sizeof(likely) - 1)];

		switch (pick(maker, 3)) {
		case 0:
			data[at] = new;
			break;
		case 1:
			maker->out.bytes = at + 1;
			data[at + 1] = '\0';
			break;
		default:
			memmove(
			    data + at, data + at + 1, maker->out.bytes - at);
			maker->out.bytes--;
			break;
		}
		if (maker->out.bytes == 0)
			return;
	}
}

static void
test_scan_agrees_with_json_c(void **state)
{
	(void)state;
	struct maker maker;
	int accepted = 0;

	synq_buf_init(&maker.out, 1 << 20);
	for (uint64_t seed = 0; seed < TEXTS; seed++) {
		struct synq_json value;

		synq_rand_init(&maker.rand, seed);
		synq_buf_clear(&maker.out);
		put_space(&maker);
		put_value(&maker, 4);
		put_space(&maker);
		if (seed % 2)
			damage(&maker);
		struct synq_slice text = synq_buf_view(&maker.out);
		const char *wrong = oracle_compare(text);

		if (wrong)
			fail_msg(
			    "seed %d: %s: %s", (int)seed, wrong, text.data);
		accepted += synq_json_parse(text, &value, NULL) == 0;
	}
	synq_buf_done(&maker.out);

	/* Neither all refused nor all accepted, or it would prove little. */
	assert_in_range(accepted, TEXTS / 4, TEXTS * 3 / 4);
}

static void
test_scan_agrees_with_json_c_at_the_greatest_depth(void **state)
{
	(void)state;
	char text[2 * SYNQ_JSON_MAX_DEPTH + 1] = { 0 };

	memset(text, '[', SYNQ_JSON_MAX_DEPTH);
	memset(text + SYNQ_JSON_MAX_DEPTH, ']', SYNQ_JSON_MAX_DEPTH);

	assert_null(oracle_compare(synq_slice_text(text)));
}

/* Each row of oracle_stricter has its reason: json-c takes these. */
static void
test_scan_refuses_what_only_json_c_takes(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"\"\xed\xa0\x80\"",
		"\"\xc0\x80\"",
		"{\"a\":1,\"a\":2}",
		"\"\\u0000\"",
		"\"\\ud800\"",
		"\"a\nb\"",
		"NaN",
		"'a'",
		"{'a':1}",
		"-Infinity",
		"-1.",
		"02.5",
	};

	for (size_t i = 0; i < SYNQ_COUNT(texts); i++) {
		struct synq_slice text = synq_slice_text(texts[i]);
		struct synq_json value;

		assert_int_equal(
		    synq_json_parse(text, &value, NULL), -SYNQ_E_INVALID);
		assert_null(oracle_compare(text));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan_agrees_with_json_c),
		cmocka_unit_test(
		    test_scan_agrees_with_json_c_at_the_greatest_depth),
		cmocka_unit_test(test_scan_refuses_what_only_json_c_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
