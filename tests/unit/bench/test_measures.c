/*
 * What the benchmarks measure with: a percentile that is off, or bodies that
 * are all alike, would flatter every figure.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/histogram.h"
#include "tests/lib/texts.h"

static void
assert_near(uint64_t found, uint64_t wanted)
{
	uint64_t least = wanted - wanted / 100;

	assert_in_range(found, least, wanted + wanted / 100 + 1);
}

static void
test_histogram_tells_percentiles_within_one_percent(void **state)
{
	static struct histogram histogram;
	uint64_t i;

	(void)state;
	for (i = 1; i <= 100000; i++)
		histogram_add(&histogram, i * 977);

	assert_near(histogram_at(&histogram, 0.5), 50000 * 977);
	assert_near(histogram_at(&histogram, 0.99), 99000 * 977);
	assert_int_equal(histogram_at(&histogram, 1), 100000 * 977);
}

static void
test_histogram_takes_the_longest_time(void **state)
{
	static struct histogram histogram;

	(void)state;
	histogram_add(&histogram, UINT64_MAX);
	histogram_add(&histogram, 0);

	assert_int_equal(histogram_at(&histogram, 0), 0);
	assert_near(histogram_at(&histogram, 0.5), UINT64_MAX / 100 * 99);
	assert_int_equal(histogram_at(&histogram, 1), UINT64_MAX);
}

static void
test_histogram_is_zero_when_empty(void **state)
{
	static struct histogram histogram;

	(void)state;
	assert_int_equal(histogram_at(&histogram, 0.5), 0);
}

/* Each body is JSON of just that size, and no two are alike. */
static void
test_texts_are_valid_and_differ(void **state)
{
	const struct texts_order order = { .count = 50,
		.bytes = 2048,
		.model = "small",
		.job = 1,
		.seed = 3 };
	char *all = texts_new(&order);
	size_t i, j;

	(void)state;
	assert_non_null(all);
	for (i = 0; i < order.count; i++) {
		struct json_tokener *parser = json_tokener_new();
		struct json_object *json = json_tokener_parse_ex(
		    parser, all + i * order.bytes, (int)order.bytes);

		assert_non_null(json);
		assert_int_equal(
		    json_tokener_get_parse_end(parser), order.bytes);
		json_object_put(json);
		json_tokener_free(parser);
		for (j = 0; j < i; j++)
			assert_memory_not_equal(all + i * order.bytes,
			    all + j * order.bytes, order.bytes);
	}
	free(all);
}

static void
test_texts_refuse_a_size_without_room(void **state)
{
	const struct texts_order order = {
		.count = 1, .bytes = 64, .model = "small", .seed = 3
	};

	(void)state;
	assert_null(texts_new(&order));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_histogram_tells_percentiles_within_one_percent),
		cmocka_unit_test(test_histogram_takes_the_longest_time),
		cmocka_unit_test(test_histogram_is_zero_when_empty),
		cmocka_unit_test(test_texts_are_valid_and_differ),
		cmocka_unit_test(test_texts_refuse_a_size_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
