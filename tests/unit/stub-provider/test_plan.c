/*
 * Plans: what is read, what is refused, that what is drawn follows them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "compose/stub-provider/plan.h"

static int
reads(struct plan *plan, const char *text)
{
	return plan_read(plan, synq_slice_text(text), ',');
}

static void
test_plan_reads_every_word(SYNQ_UNUSED void **state)
{
	struct plan plan = plan_default();

	assert_int_equal(
	    reads(&plan, "lat=200,err=0.1,status=503,429=0.05,ra=7,stall=0.01,"
			 "cut=0.02,cutbody=0.03,slow=5,pad=100"),
	    0);
	assert_int_equal(plan.kind, PLAN_FIXED);
	assert_true(plan.latency_ms == 200);
	assert_true(plan.rates[PLAN_ERROR] == 0.1);
	assert_true(plan.rates[PLAN_CUT_BODY] == 0.03);
	assert_int_equal(plan.error_status, 503);
	assert_int_equal(plan.retry_after_s, 7);
	assert_int_equal(plan.slow_ms, 5);
	assert_int_equal(plan.pad_bytes, 100);
	assert_int_equal(reads(&plan, ""), 0);
	assert_int_equal(reads(&plan, "lat=10-20"), 0);
	assert_int_equal(plan.kind, PLAN_UNIFORM);
	assert_int_equal(reads(&plan, "lat=200~0.5"), 0);
	assert_int_equal(plan.kind, PLAN_LOGNORMAL);
	assert_int_equal(
	    plan_read(&plan, synq_slice_text("err=0:lat=1"), ':'), 0);
}

static void
test_wrong_plan_changes_nothing(SYNQ_UNUSED void **state)
{
	static const char *const wrong[] = { "lat", "lat=", "lat=-1", "lat=1x",
		"lat=20-10", "lat=1~", "err=1.1", "err=nan", "err=0x1",
		"err=1e-1", "err=0.6,429=0.6", "lat=5,foo=1", "=1", ",",
		"status=200", "status=600", "pad=99999999999" };

	for (size_t i = 0; i < SYNQ_COUNT(wrong); i++) {
		struct plan plan = plan_default();

		if (reads(&plan, wrong[i]) != -SYNQ_E_INVALID)
			print_error("accepted: row %zu\n", i);
		assert_int_equal(reads(&plan, wrong[i]), -SYNQ_E_INVALID);
		assert_true(plan.latency_ms == 0);
		assert_true(plan.rates[PLAN_ERROR] == 0);
	}
}

static void
test_outcomes_come_as_often_as_planned(SYNQ_UNUSED void **state)
{
	struct plan plan = plan_default();
	struct synq_rand rand;
	int seen[PLAN_OUTCOMES] = { 0 };

	synq_rand_init(&rand, 1);
	assert_int_equal(reads(&plan, "err=0.1,429=0.3,cut=0.05"), 0);
	for (int i = 0; i < 100000; i++)
		seen[plan_draw(&plan, &rand)]++;

	assert_in_range(seen[PLAN_ERROR], 9500, 10500);
	assert_in_range(seen[PLAN_LIMITED], 29000, 31000);
	assert_in_range(seen[PLAN_CUT], 4700, 5300);
	assert_in_range(seen[PLAN_OK], 54000, 56000);
	assert_int_equal(seen[PLAN_STALL], 0);
}

static void
test_same_seed_draws_the_same(SYNQ_UNUSED void **state)
{
	struct plan plan = plan_default();
	struct synq_rand a, b;

	assert_int_equal(reads(&plan, "lat=200~0.5,err=0.5"), 0);
	synq_rand_init(&a, 7);
	synq_rand_init(&b, 7);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(plan_draw(&plan, &a), plan_draw(&plan, &b));
		assert_int_equal(
		    plan_latency_us(&plan, &a), plan_latency_us(&plan, &b));
	}
}

static void
test_latency_follows_its_distribution(SYNQ_UNUSED void **state)
{
	struct plan plan = plan_default();
	struct synq_rand rand;
	int below = 0;

	synq_rand_init(&rand, 1);
	assert_int_equal(reads(&plan, "lat=10-20"), 0);
	for (int i = 0; i < 10000; i++)
		assert_in_range(plan_latency_us(&plan, &rand), 10000, 20000);
	assert_int_equal(reads(&plan, "lat=100~0.5"), 0);
	for (int i = 0; i < 10000; i++)
		below += plan_latency_us(&plan, &rand) < 100000;
	assert_in_range(below, 4800, 5200);
	assert_int_equal(reads(&plan, "lat=1.5"), 0);
	assert_int_equal(plan_latency_us(&plan, &rand), 1500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan_reads_every_word),
		cmocka_unit_test(test_wrong_plan_changes_nothing),
		cmocka_unit_test(test_outcomes_come_as_often_as_planned),
		cmocka_unit_test(test_same_seed_draws_the_same),
		cmocka_unit_test(test_latency_follows_its_distribution),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
