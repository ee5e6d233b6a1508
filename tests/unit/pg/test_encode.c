/* Parameters against bytes written by hand from the protocol's description. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pg/encode.h"

static void
expect(
    struct synq_pg_param param, uint32_t type, const void *bytes, size_t count)
{
	char seen[256];

	assert_int_equal(synq_pg_param_type(&param), type);
	assert_false(synq_pg_param_is_null(&param));
	assert_int_equal(synq_pg_param_bytes(&param), count);
	synq_pg_param_write(&param, seen);
	assert_memory_equal(seen, bytes, count);
}

static void
test_numbers_are_big_endian(void **state)
{
	(void)state;
	expect(synq_pg_int4(-2), 23, "\xFF\xFF\xFF\xFE", 4);
	expect(synq_pg_int4(INT32_MAX), 23, "\x7F\xFF\xFF\xFF", 4);
	expect(synq_pg_int8(0x0102030405060708), 20, "\1\2\3\4\5\6\7\10", 8);
	expect(synq_pg_int8(INT64_MIN), 20, "\x80\0\0\0\0\0\0\0", 8);
	expect(synq_pg_bool(17), 16, "\1", 1);
	expect(synq_pg_bool(0), 16, "\0", 1);
}

static void
test_time_starts_in_2000(void **state)
{
	(void)state;
	expect(synq_pg_time(INT64_C(946684800000000)), 1184, "\0\0\0\0\0\0\0\0",
	    8);
	expect(synq_pg_time(INT64_C(946684800000000) - 1), 1184,
	    "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8);
	expect(synq_pg_time(INT64_MAX), 1184,
	    "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8);
	expect(synq_pg_time(INT64_MIN), 1184, "\x80\0\0\0\0\0\0\0", 8);
	expect(synq_pg_time(INT64_MIN + 5), 1184, "\x80\0\0\0\0\0\0\0", 8);
}

static void
test_bytes_go_as_they_are(void **state)
{
	static const struct synq_uuid uuid = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
	    11, 12, 13, 14, 15, 16 } };

	(void)state;
	expect(synq_pg_text(synq_slice_text("abc")), 25, "abc", 3);
	expect(synq_pg_text(synq_slice_text("")), 25, "", 0);
	expect(synq_pg_bytes(synq_slice_of("a\0b", 3)), 17, "a\0b", 3);
	expect(synq_pg_uuid(&uuid), 2950, uuid.bytes, 16);
}

static void
test_null_keeps_its_type(void **state)
{
	const struct synq_slice none = { NULL, 0 };
	const struct synq_pg_param params[] = { synq_pg_null(),
		synq_pg_text(none), synq_pg_bytes(none), synq_pg_uuid(NULL),
		synq_pg_array(NULL) };
	const uint32_t types[] = { 0, 25, 17, 2950, 0 };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_true(synq_pg_param_is_null(&params[i]));
		assert_int_equal(synq_pg_param_type(&params[i]), types[i]);
		assert_int_equal(synq_pg_param_bytes(&params[i]), 0);
	}
}

static void
test_array_counts_and_marks_nulls(void **state)
{
	struct synq_pg_array *array = synq_pg_array_new(SYNQ_PG_INT4);
	static const char bytes[] = "\0\0\0\1"         /* one dimension */
				    "\0\0\0\1"         /* with NULLs */
				    "\0\0\0\x17"       /* of int4 */
				    "\0\0\0\3\0\0\0\1" /* 3, from 1 */
				    "\0\0\0\4\0\0\0\5"
				    "\xFF\xFF\xFF\xFF"
				    "\0\0\0\4\xFF\xFF\xFF\xFF";

	(void)state;
	synq_pg_array_add(array, synq_pg_int4(5));
	synq_pg_array_add(array, synq_pg_null());
	synq_pg_array_add(array, synq_pg_int4(-1));

	assert_int_equal(synq_pg_array_count(array), 3);
	expect(synq_pg_array(array), 1007, bytes, sizeof(bytes) - 1);
	synq_pg_array_free(&array);
	assert_null(array);
	synq_pg_array_free(&array);
}

static void
test_array_of_texts_tells_empty_from_null(void **state)
{
	struct synq_pg_array *array = synq_pg_array_new(SYNQ_PG_TEXT);
	const struct synq_slice none = { NULL, 0 };
	static const char bytes[] = "\0\0\0\1\0\0\0\1\0\0\0\x19"
				    "\0\0\0\3\0\0\0\1"
				    "\0\0\0\2hi"
				    "\0\0\0\0"
				    "\xFF\xFF\xFF\xFF";

	(void)state;
	synq_pg_array_add(array, synq_pg_text(synq_slice_text("hi")));
	synq_pg_array_add(array, synq_pg_text(synq_slice_text("")));
	synq_pg_array_add(array, synq_pg_text(none));
	expect(synq_pg_array(array), 1009, bytes, sizeof(bytes) - 1);
	synq_pg_array_free(&array);
}

static void
test_empty_array_has_no_dimension(void **state)
{
	struct synq_pg_array *array = synq_pg_array_new(SYNQ_PG_UUID);

	(void)state;
	expect(synq_pg_array(array), 2951, "\0\0\0\0\0\0\0\0\0\0\x0B\x86", 12);
	synq_pg_array_free(&array);
}

static void
test_cleared_array_is_as_new(void **state)
{
	struct synq_pg_array *array = synq_pg_array_new(SYNQ_PG_INT8);

	(void)state;
	synq_pg_array_add(array, synq_pg_null());
	synq_pg_array_clear(array);
	assert_int_equal(synq_pg_array_count(array), 0);
	synq_pg_array_add(array, synq_pg_int8(1));
	expect(synq_pg_array(array), 1016,
	    "\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\1\0\0\0\1\0\0\0\x8"
	    "\0\0\0\0\0\0\0\1",
	    32);
	synq_pg_array_free(&array);
}

static void
test_too_large_values_are_noticed(void **state)
{
	struct synq_pg_array *array = synq_pg_array_new(SYNQ_PG_BYTEA);
	/* Never read: only the length is looked at. */
	struct synq_pg_param large =
	    synq_pg_bytes(synq_slice_of("x", SYNQ_PG_MAX_VALUE_BYTES + 1));
	struct synq_pg_param param = synq_pg_array(array);

	(void)state;
	assert_true(synq_pg_param_bytes(&large) == SIZE_MAX);
	synq_pg_array_add(array, large);
	synq_pg_array_add(array, synq_pg_bytes(synq_slice_of("x", 1)));
	assert_true(synq_pg_param_bytes(&param) == SIZE_MAX);
	synq_pg_array_clear(array);
	assert_int_equal(synq_pg_param_bytes(&param), 12);
	synq_pg_array_free(&array);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_big_endian),
		cmocka_unit_test(test_time_starts_in_2000),
		cmocka_unit_test(test_bytes_go_as_they_are),
		cmocka_unit_test(test_null_keeps_its_type),
		cmocka_unit_test(test_array_counts_and_marks_nulls),
		cmocka_unit_test(test_array_of_texts_tells_empty_from_null),
		cmocka_unit_test(test_empty_array_has_no_dimension),
		cmocka_unit_test(test_cleared_array_is_as_new),
		cmocka_unit_test(test_too_large_values_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
