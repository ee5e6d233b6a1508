#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limit/bucket.h"

#define S UINT64_C(1000000)

static void
test_bucket_gives_its_burst_at_once_and_no_more(void **state)
{
	(void)state;
	struct synq_bucket bucket;

	synq_bucket_init(&bucket, 10, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(synq_bucket_take(&bucket, 1, 50 * S), 0);
	assert_int_equal(synq_bucket_take(&bucket, 1, 50 * S), 100000);
}

/* A refusal costs nothing: the wait does not grow by asking. */
static void
test_bucket_refuses_without_taking(void **state)
{
	(void)state;
	struct synq_bucket bucket;

	synq_bucket_init(&bucket, 1, 1);
	assert_int_equal(synq_bucket_take(&bucket, 1, S), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(synq_bucket_take(&bucket, 1, S), S);
	assert_int_equal(synq_bucket_take(&bucket, 1, 2 * S - 1), 1);
	assert_int_equal(synq_bucket_take(&bucket, 1, 2 * S), 0);
}

static void
test_bucket_wait_is_exact(void **state)
{
	(void)state;
	struct synq_bucket bucket;
	uint64_t now = 7;

	synq_bucket_init(&bucket, 3, 4);
	for (int i = 0; i < 1000; i++) {
		uint64_t wait = synq_bucket_take(&bucket, 2, now);

		if (wait == 0)
			continue;
		assert_true(synq_bucket_take(&bucket, 2, now + wait - 1) > 0);
		now += wait;
		assert_int_equal(synq_bucket_take(&bucket, 2, now), 0);
	}
}

/* Asked every millisecond for 100 s: 100 * 7 and the burst. */
static void
test_bucket_gives_its_rate_over_time(void **state)
{
	(void)state;
	struct synq_bucket bucket;
	unsigned given = 0;

	synq_bucket_init(&bucket, 7, 3);
	for (uint64_t now = 0; now <= 100 * S; now += 1000)
		given += synq_bucket_take(&bucket, 1, now) == 0;
	assert_in_range(given, 700, 703);
}

static void
test_bucket_does_not_save_more_than_its_burst(void **state)
{
	(void)state;
	struct synq_bucket bucket;
	unsigned given = 0;

	synq_bucket_init(&bucket, 1000, 10);
	assert_int_equal(synq_bucket_take(&bucket, 1, 1), 0);
	while (synq_bucket_take(&bucket, 1, 3600 * S) == 0)
		given++;
	assert_int_equal(given, 10);
}

static void
test_bucket_never_gives_more_than_its_burst_at_once(void **state)
{
	(void)state;
	struct synq_bucket bucket;

	synq_bucket_init(&bucket, 5, 3);
	assert_true(synq_bucket_take(&bucket, 4, 9 * S) == UINT64_MAX);
	assert_true(synq_bucket_take(&bucket, UINT32_MAX, 9 * S) == UINT64_MAX);
	assert_int_equal(synq_bucket_take(&bucket, 3, 9 * S), 0);
}

static void
test_bucket_takes_absurd_settings(void **state)
{
	(void)state;
	struct synq_bucket bucket;

	synq_bucket_init(&bucket, 0, 0);
	assert_int_equal(synq_bucket_take(&bucket, 1, 0), 0);
	assert_int_equal(synq_bucket_take(&bucket, 1, 0), S);
	synq_bucket_init(&bucket, UINT32_MAX, UINT32_MAX);
	assert_int_equal(synq_bucket_take(&bucket, 1000, 0), 0);
	assert_int_equal(synq_bucket_take(&bucket, 0, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_bucket_gives_its_burst_at_once_and_no_more),
		cmocka_unit_test(test_bucket_refuses_without_taking),
		cmocka_unit_test(test_bucket_wait_is_exact),
		cmocka_unit_test(test_bucket_gives_its_rate_over_time),
		cmocka_unit_test(test_bucket_does_not_save_more_than_its_burst),
		cmocka_unit_test(
		    test_bucket_never_gives_more_than_its_burst_at_once),
		cmocka_unit_test(test_bucket_takes_absurd_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
