#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "json/scan.h"

static struct synq_json
value_of(const char *text)
{
	struct synq_json value;

	if (synq_json_parse(synq_slice_text(text), &value, NULL))
		fail_msg("%s is refused", text);
	return value;
}

static const char chat[] =
    "{ \"model\" : \"gpt\", \"n\":-1, \"stop\":[\"}\",\"]\\\"\"],"
    " \"messages\":[ {\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]},"
    "{\"role\":\"x\"} ], \"\\u0061.b\":{\"0\":true}, \"none\":null }";

static void
test_read_finds_members(void **state)
{
	(void)state;
	struct synq_json root = value_of(chat);

	assert_true(synq_json_is(synq_json_member(root, "model"), "gpt"));
	assert_true(synq_slice_is(synq_json_member(root, "n").raw, "-1"));
	assert_true(synq_slice_is(
	    synq_json_member(root, "stop").raw, "[\"}\",\"]\\\"\"]"));
	assert_int_equal(synq_json_member(root, "none").type, SYNQ_JSON_NULL);
	assert_int_equal(synq_json_member(root, "a.b").type, SYNQ_JSON_OBJECT);
	assert_int_equal(synq_json_member(root, "absent").type, SYNQ_JSON_NONE);
	assert_int_equal(synq_json_member(root, "mode").type, SYNQ_JSON_NONE);
	assert_int_equal(synq_json_member(root, "role").type, SYNQ_JSON_NONE);
	assert_int_equal(
	    synq_json_member(value_of("[\"a\"]"), "a").type, SYNQ_JSON_NONE);
	assert_int_equal(
	    synq_json_member(value_of("\"a\""), "a").type, SYNQ_JSON_NONE);
	assert_int_equal(
	    synq_json_member(value_of("{\"\":1}"), "").type, SYNQ_JSON_NUMBER);
}

static void
test_read_follows_paths(void **state)
{
	(void)state;
	struct synq_json root = value_of(chat);
	static const char *const nowhere[] = { "messages.2", "messages.x",
		"messages.-1", "messages.0.content.0.text.0", "model.0",
		"messages.18446744073709551616", "messages..role", ".model",
		"absent.0", "messages.00x" };

	assert_true(synq_json_is(
	    synq_json_path(root, "messages.0.content.0.text"), "hi"));
	assert_true(synq_json_is(synq_json_path(root, "messages.1.role"), "x"));
	assert_int_equal(synq_json_path(root, "").type, SYNQ_JSON_OBJECT);
	assert_int_equal(
	    synq_json_path(value_of("{\"0\":{\"1\":true}}"), "0.1").type,
	    SYNQ_JSON_TRUE);
	for (size_t i = 0; i < SYNQ_COUNT(nowhere); i++)
		assert_int_equal(
		    synq_json_path(root, nowhere[i]).type, SYNQ_JSON_NONE);
}

static void
test_read_walks_in_order(void **state)
{
	(void)state;
	struct synq_json_cursor cursor =
	    synq_json_walk(value_of("{\"a\":1,\n\"b\" : [2,3] , \"c\":\"d\"}"));
	static const char *const names[] = { "\"a\"", "\"b\"", "\"c\"" };
	static const char *const values[] = { "1", "[2,3]", "\"d\"" };
	struct synq_slice name;
	struct synq_json value;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(synq_json_next(&cursor, &name, &value), 1);
		assert_true(synq_slice_is(name, names[i]));
		assert_true(synq_slice_is(value.raw, values[i]));
	}
	assert_int_equal(synq_json_next(&cursor, &name, &value), 0);
	assert_int_equal(synq_json_next(&cursor, NULL, &value), 0);

	cursor = synq_json_walk(value_of("[\"a\", true ]"));
	assert_int_equal(synq_json_next(&cursor, &name, &value), 1);
	assert_int_equal(name.bytes, 0);
	assert_int_equal(value.type, SYNQ_JSON_STRING);
	assert_int_equal(synq_json_next(&cursor, &name, &value), 1);
	assert_true(synq_slice_is(value.raw, "true"));
	assert_int_equal(synq_json_next(&cursor, &name, &value), 0);
}

static void
test_read_walks_nothing_in_scalars_and_none(void **state)
{
	(void)state;
	struct synq_json none = { SYNQ_JSON_NONE, { NULL, 0 } };

	assert_int_equal(synq_json_count(value_of("[]"), 9), 0);
	assert_int_equal(synq_json_count(value_of("{ }"), 9), 0);
	assert_int_equal(synq_json_count(value_of("1"), 9), 0);
	assert_int_equal(synq_json_count(value_of("\"a,b\""), 9), 0);
	assert_int_equal(synq_json_count(none, 9), 0);
	assert_int_equal(synq_json_count(value_of("[1,[2,3],4]"), 9), 3);
	assert_int_equal(synq_json_count(value_of("[1,[2,3],4]"), 2), 2);
	assert_int_equal(synq_json_count(value_of("{\"a\":1}"), 9), 1);
	assert_int_equal(synq_json_member(none, "a").type, SYNQ_JSON_NONE);
	assert_int_equal(synq_json_path(none, "a.0").type, SYNQ_JSON_NONE);
}

static void
test_read_unescapes_strings(void **state)
{
	(void)state;
	struct synq_buf text;

	synq_buf_init(&text, 100);
	assert_int_equal(
	    synq_json_string(
		value_of("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u4f60"
			 "\\ud83d\\ude00z\""),
		&text),
	    0);
	assert_string_equal(text.data,
	    "a\"\\/\b\f\n\r\tA\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80z");
	assert_int_equal(synq_json_string(value_of("\"+\""), &text), 0);
	assert_int_equal(text.data[text.bytes - 1], '+');
	assert_int_equal(
	    synq_json_string(value_of("1"), &text), -SYNQ_E_INVALID);
	synq_buf_done(&text);
}

static void
test_read_string_that_does_not_fit_adds_nothing(void **state)
{
	(void)state;
	struct synq_buf text;

	synq_buf_init(&text, 4);
	synq_buf_text(&text, "x");
	assert_int_equal(synq_json_string(value_of("\"ab\\ncd\""), &text),
	    -SYNQ_E_TOO_LARGE);
	assert_string_equal(text.data, "x");
	assert_int_equal(text.overflow, 1);
	assert_int_equal(synq_json_string(value_of("\"\\u0061bc\""), &text), 0);
	assert_string_equal(text.data, "xabc");
	synq_buf_done(&text);
}

static void
test_read_plain_only_without_escapes(void **state)
{
	(void)state;
	struct synq_slice inside;

	assert_int_equal(
	    synq_json_plain(value_of("\"a\xc3\xa9\""), &inside), 0);
	assert_true(synq_slice_is(inside, "a\xc3\xa9"));
	assert_int_equal(synq_json_plain(value_of("\"\""), &inside), 0);
	assert_int_equal(inside.bytes, 0);
	assert_int_equal(
	    synq_json_plain(value_of("\"a\\n\""), &inside), -SYNQ_E_INVALID);
	assert_int_equal(
	    synq_json_plain(value_of("null"), &inside), -SYNQ_E_INVALID);
}

static void
test_read_compares_unescaped(void **state)
{
	(void)state;

	assert_true(synq_json_is(value_of("\"t\\u0072ue\""), "true"));
	assert_false(synq_json_is(value_of("\"t\\u0072ue\""), "tru"));
	assert_false(synq_json_is(value_of("\"t\\u0072ue\""), "truer"));
	assert_false(synq_json_is(value_of("true"), "true"));
	assert_true(synq_json_is(value_of("\"\""), ""));
	assert_true(synq_json_is(value_of("\"\\u00e9\""), "\xc3\xa9"));
}

static void
test_read_int_takes_whole_numbers_that_fit(void **state)
{
	(void)state;
	static const char *const wrong[] = { "1.0", "1e3", "\"1\"", "true",
		"9223372036854775808", "-9223372036854775809",
		"18446744073709551617" };
	int64_t number = 5;

	for (size_t i = 0; i < SYNQ_COUNT(wrong); i++)
		assert_int_equal(synq_json_int(value_of(wrong[i]), &number),
		    -SYNQ_E_INVALID);
	assert_true(number == 5);
	assert_int_equal(
	    synq_json_int(value_of("9223372036854775807"), &number), 0);
	assert_true(number == INT64_MAX);
	assert_int_equal(
	    synq_json_int(value_of("-9223372036854775808"), &number), 0);
	assert_true(number == INT64_MIN);
	assert_int_equal(synq_json_int(value_of("-0"), &number), 0);
	assert_true(number == 0);
	assert_int_equal(synq_json_int(value_of("-42"), &number), 0);
	assert_true(number == -42);
}

static void
test_read_double_takes_what_a_double_can_hold(void **state)
{
	(void)state;
	char many[700];
	double number = 5;

	assert_int_equal(synq_json_double(value_of("-1.5e3"), &number), 0);
	assert_true(number == -1500);
	assert_int_equal(synq_json_double(value_of("1e-400"), &number), 0);
	assert_true(number == 0);
	assert_int_equal(synq_json_double(value_of("7"), &number), 0);
	assert_true(number == 7);
	assert_int_equal(
	    synq_json_double(value_of("1e400"), &number), -SYNQ_E_INVALID);
	assert_int_equal(
	    synq_json_double(value_of("\"1\""), &number), -SYNQ_E_INVALID);
	memset(many, '1', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	assert_int_equal(
	    synq_json_double(value_of(many), &number), -SYNQ_E_INVALID);
	assert_true(number == 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_finds_members),
		cmocka_unit_test(test_read_follows_paths),
		cmocka_unit_test(test_read_walks_in_order),
		cmocka_unit_test(test_read_walks_nothing_in_scalars_and_none),
		cmocka_unit_test(test_read_unescapes_strings),
		cmocka_unit_test(
		    test_read_string_that_does_not_fit_adds_nothing),
		cmocka_unit_test(test_read_plain_only_without_escapes),
		cmocka_unit_test(test_read_compares_unescaped),
		cmocka_unit_test(test_read_int_takes_whole_numbers_that_fit),
		cmocka_unit_test(test_read_double_takes_what_a_double_can_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
