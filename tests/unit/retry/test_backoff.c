#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "retry/backoff.h"

static const struct synq_backoff backoff = { 500000, 30000000 };

/* The largest of 2,000 waits after ${attempt} tries. */
static uint64_t
largest(uint32_t attempt)
{
	struct synq_rand rand;
	uint64_t most = 0;

	synq_rand_init(&rand, attempt);
	for (int i = 0; i < 2000; i++) {
		uint64_t wait = synq_backoff_us(&backoff, attempt, &rand);

		assert_true(wait >= 1000);
		if (wait > most)
			most = wait;
	}
	return most;
}

static void
test_backoff_doubles_up_to_its_maximum(void **state)
{
	(void)state;
	assert_in_range(largest(1), 480000, 500000);
	assert_in_range(largest(2), 960000, 1000000);
	assert_in_range(largest(4), 3840000, 4000000);
	assert_in_range(largest(7), 29000000, 30000000);
	assert_in_range(largest(1000), 29000000, 30000000);
	assert_in_range(largest(UINT32_MAX), 29000000, 30000000);
}

/* Full jitter: as many waits in each tenth of the range. */
static void
test_backoff_spreads_over_the_whole_range(void **state)
{
	(void)state;
	struct synq_rand rand;
	int tenths[10] = { 0 };

	synq_rand_init(&rand, 1);
	for (int i = 0; i < 10000; i++) {
		uint64_t wait = synq_backoff_us(&backoff, 3, &rand);

		tenths[wait >= 2000000 ? 9 : wait / 200000]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(tenths[i], 850, 1150);
}

static void
test_backoff_takes_absurd_settings(void **state)
{
	(void)state;
	struct synq_backoff none = { 0, 0 };
	struct synq_backoff huge = { UINT64_MAX, UINT64_MAX };
	struct synq_rand rand;

	synq_rand_init(&rand, 1);
	assert_int_equal(synq_backoff_us(&none, 0, &rand), 1000);
	assert_int_equal(synq_backoff_us(&none, 5, &rand), 1000);
	for (int i = 0; i < 100; i++)
		assert_true(synq_backoff_us(&huge, 200, &rand) >= 1000);
}

static void
test_backoff_is_never_sooner_than_asked(void **state)
{
	(void)state;
	struct synq_rand rand;

	synq_rand_init(&rand, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t wait =
		    synq_backoff_asked_us(&backoff, 1, 20000000, &rand);

		assert_in_range(wait, 20000000, 22000000);
	}
}

/* "Retry-After: 0" from all at once would bring all back at once. */
static void
test_backoff_counts_where_it_is_longer_than_asked(void **state)
{
	(void)state;
	struct synq_rand rand;
	uint64_t most[3] = { 0 };
	static const int64_t asked[] = { -1, 0, 1000 };

	synq_rand_init(&rand, 1);
	for (int i = 0; i < 3000; i++) {
		uint64_t wait =
		    synq_backoff_asked_us(&backoff, 2, asked[i % 3], &rand);

		if (wait > most[i % 3])
			most[i % 3] = wait;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(most[i], 900000, 1000000);
}

static void
test_backoff_asked_for_ever_does_not_overflow(void **state)
{
	(void)state;
	struct synq_rand rand;

	synq_rand_init(&rand, 1);
	for (int i = 0; i < 100; i++)
		assert_true(synq_backoff_asked_us(
				&backoff, 1, INT64_MAX, &rand) >= INT64_MAX);
}

/* Twice more than half of all numbers is no small one. */
static void
test_backoff_doubles_without_overflow(void **state)
{
	const struct synq_backoff longest = { UINT64_MAX / 2 + 1, UINT64_MAX };
	struct synq_rand rand;
	uint64_t most = 0;

	(void)state;
	synq_rand_init(&rand, 1);
	for (int i = 0; i < 100; i++) {
		uint64_t wait_us = synq_backoff_us(&longest, 2, &rand);

		if (wait_us > most)
			most = wait_us;
	}
	assert_true(most > UINT64_MAX / 4 * 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff_doubles_up_to_its_maximum),
		cmocka_unit_test(test_backoff_spreads_over_the_whole_range),
		cmocka_unit_test(test_backoff_takes_absurd_settings),
		cmocka_unit_test(test_backoff_is_never_sooner_than_asked),
		cmocka_unit_test(
		    test_backoff_counts_where_it_is_longer_than_asked),
		cmocka_unit_test(test_backoff_asked_for_ever_does_not_overflow),
		cmocka_unit_test(test_backoff_doubles_without_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
