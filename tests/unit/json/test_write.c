#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "json/scan.h"
#include "json/write.h"

static struct synq_buf out;
static struct synq_json_writer writer;

static int
begin(void **state)
{
	(void)state;
	synq_buf_init(&out, 4096);
	synq_json_start(&writer, &out);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	synq_buf_done(&out);
	return 0;
}

static void
test_write_puts_the_commas(void **state)
{
	(void)state;

	synq_json_open(&writer, '{');
	synq_json_key(&writer, "a");
	synq_json_i64(&writer, INT64_MIN);
	synq_json_key(&writer, "b");
	synq_json_open(&writer, '[');
	synq_json_open(&writer, '[');
	synq_json_close(&writer, ']');
	synq_json_open(&writer, '{');
	synq_json_close(&writer, '}');
	synq_json_truth(&writer, 1);
	synq_json_truth(&writer, 0);
	synq_json_null(&writer);
	synq_json_text(&writer, NULL);
	synq_json_close(&writer, ']');
	synq_json_key(&writer, "c\"");
	synq_json_raw(&writer, synq_slice_text("{ }"));
	synq_json_key(&writer, "d");
	synq_json_f64(&writer, -1.005, 1);
	synq_json_close(&writer, '}');

	assert_string_equal(out.data,
	    "{\"a\":-9223372036854775808,\"b\":[[],{},true,false,null,null],"
	    "\"c\\\"\":{ },\"d\":-1.0}");
}

static void
test_write_escapes_what_it_must(void **state)
{
	(void)state;

	synq_json_slice(
	    &writer, synq_slice_of("\"\\\b\f\n\r\t/\0\x1f\x7f\xc3\xa9", 13));

	assert_string_equal(
	    out.data, "\"\\\"\\\\\\b\\f\\n\\r\\t/\\u0000\\u001f\x7f\xc3\xa9\"");
}

static void
test_write_replaces_what_is_not_utf8(void **state)
{
	(void)state;

	synq_json_text(&writer, "a\xff"
				"b\xe4\xbd"
				"c\xed\xa0\x80");

	assert_string_equal(out.data,
	    "\"a\xef\xbf\xbd"
	    "b\xef\xbf\xbd\xef\xbf\xbd"
	    "c\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_true(synq_slice_utf8(synq_buf_view(&out)));
}

static void
test_write_empty_strings(void **state)
{
	(void)state;

	synq_json_slice(&writer, synq_slice_of(NULL, 0));
	synq_json_text(&writer, "");

	assert_string_equal(out.data, "\"\",\"\"");
}

static void
test_write_numbers_are_always_json(void **state)
{
	(void)state;
	static const double numbers[] = { 0, -0.0, 1e308, -1e308, 1e-308, 0.1,
		123456.789 };
	static const int decimals[] = { -1, 0, 3, 17, 1000 };

	for (size_t i = 0; i < SYNQ_COUNT(numbers); i++) {
		for (size_t k = 0; k < SYNQ_COUNT(decimals); k++) {
			struct synq_json value;

			begin(state);
			synq_json_f64(&writer, numbers[i], decimals[k]);
			assert_int_equal(
			    synq_json_parse(synq_buf_view(&out), &value, NULL),
			    0);
			assert_int_equal(value.type, SYNQ_JSON_NUMBER);
			end(state);
		}
	}
	begin(state);
	synq_json_f64(&writer, (double)NAN, 2);
	synq_json_f64(&writer, -(double)INFINITY, 2);
	assert_string_equal(out.data, "null,null");
}

static void
test_write_overflow_is_noted(void **state)
{
	(void)state;
	struct synq_buf small;

	synq_buf_init(&small, 3);
	synq_json_start(&writer, &small);
	synq_json_text(&writer, "ab");

	assert_int_equal(small.overflow, 1);
	synq_buf_done(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_write_puts_the_commas, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_write_escapes_what_it_must, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_write_replaces_what_is_not_utf8, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_write_empty_strings, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_write_numbers_are_always_json, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_write_overflow_is_noted, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
