#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/attr.h"
#include "ctl/job/stats.h"

/*
 * Percentiles out of buckets.
 */

static void
test_nothing_counted_is_zero(SYNQ_UNUSED void **state)
{
	static struct stats stats;

	assert_int_equal(stats_at(&stats, 50), 0);
	assert_int_equal(stats_at(&stats, 100), 0);
}

static void
test_small_values_are_exact(SYNQ_UNUSED void **state)
{
	static struct stats stats;
	uint64_t i;

	for (i = 1; i <= 60; i++)
		stats_add(&stats, i);

	assert_int_equal(stats_at(&stats, 50), 30);
	assert_int_equal(stats_at(&stats, 95), 57);
	assert_int_equal(stats_at(&stats, 100), 60);
}

static void
test_large_values_are_a_64th_off_at_most(SYNQ_UNUSED void **state)
{
	static struct stats stats;
	uint64_t i;

	for (i = 1; i <= 100000; i++)
		stats_add(&stats, i * 1000);

	assert_in_range(stats_at(&stats, 50), 50000000, 50000000 / 64 * 65);
	assert_in_range(stats_at(&stats, 99), 99000000, 99000000 / 64 * 65);
	assert_int_equal(stats_at(&stats, 100), 100000000);
}

static void
test_values_of_every_size_have_a_bucket(SYNQ_UNUSED void **state)
{
	unsigned shift;

	for (shift = 0; shift < 64; shift++) {
		static struct stats stats;
		const uint64_t value = UINT64_C(1) << shift;

		stats = (struct stats){ .count = 0 };
		stats_add(&stats, value);
		stats_add(&stats, value - 1);
		assert_int_equal(stats_at(&stats, 100), value);
	}
}

static void
test_percentiles_never_exceed_the_maximum(SYNQ_UNUSED void **state)
{
	static struct stats stats;

	stats_add(&stats, 1000001);
	assert_int_equal(stats_at(&stats, 1), 1000001);
	assert_int_equal(stats_at(&stats, 99.9), 1000001);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_counted_is_zero),
		cmocka_unit_test(test_small_values_are_exact),
		cmocka_unit_test(test_large_values_are_a_64th_off_at_most),
		cmocka_unit_test(test_values_of_every_size_have_a_bucket),
		cmocka_unit_test(test_percentiles_never_exceed_the_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
