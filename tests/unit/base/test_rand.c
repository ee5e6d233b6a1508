#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"

/* The first number of xoshiro256** from the state 1, 2, 3, 4, by hand. */
static void
test_rand_follows_the_published_algorithm(void **state)
{
	(void)state;
	struct synq_rand rand = { { 1, 2, 3, 4 } };

	assert_true(synq_rand_next(&rand) == 11520);
	assert_true(synq_rand_next(&rand) == 0);
	assert_true(synq_rand_next(&rand) == 1509978240);
}

static void
test_rand_same_seed_gives_same_numbers(void **state)
{
	(void)state;
	struct synq_rand a;
	struct synq_rand b;
	struct synq_rand other;
	int differs = 0;

	synq_rand_init(&a, 0);
	synq_rand_init(&b, 0);
	synq_rand_init(&other, 1);
	for (int i = 0; i < 100; i++) {
		uint64_t number = synq_rand_next(&a);

		assert_true(number == synq_rand_next(&b));
		differs += number != synq_rand_next(&other);
	}
	assert_int_equal(differs, 100);
}

static void
test_rand_below_is_fair_and_below(void **state)
{
	(void)state;
	struct synq_rand rand;
	int hits[5] = { 0 };

	synq_rand_init(&rand, 7);
	for (int i = 0; i < 50000; i++)
		hits[synq_rand_below(&rand, 5)]++;

	for (int i = 0; i < 5; i++)
		assert_in_range(hits[i], 9600, 10400);
	assert_true(synq_rand_below(&rand, 0) == 0);
	assert_true(synq_rand_below(&rand, 1) == 0);
	assert_true(synq_rand_below(&rand, UINT64_MAX - 1) < UINT64_MAX - 1);
}

static void
test_rand_system_fills_all_bytes(void **state)
{
	(void)state;
	unsigned char bytes[1000];
	int hits[4] = { 0 };

	/* 250 zeros in one quarter by chance is out of the question. */
	memset(bytes, 0, sizeof(bytes));
	synq_rand_system(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		hits[i / 250] += bytes[i] != 0;

	for (int i = 0; i < 4; i++)
		assert_true(hits[i] > 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rand_follows_the_published_algorithm),
		cmocka_unit_test(test_rand_same_seed_gives_same_numbers),
		cmocka_unit_test(test_rand_below_is_fair_and_below),
		cmocka_unit_test(test_rand_system_fills_all_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
