#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "retry/gate.h"

#define S UINT64_C(1000000)

/* Take all that go out at ${now_us}; how many. */
static unsigned
take_all(struct synq_gate *gate, uint64_t now_us)
{
	unsigned taken = 0;

	while (synq_gate_take(gate, now_us))
		taken++;
	return taken;
}

/* ${count} calls that were sent at ${sent_us} end as ${outcome} at ${now_us}.
 */
static void
give(struct synq_gate *gate, enum synq_gate_outcome outcome, unsigned count,
    uint64_t sent_us, uint64_t now_us)
{
	while (count-- > 0)
		synq_gate_give(gate, outcome, now_us - sent_us, -1, now_us);
}

static void
test_gate_starts_open_at_its_maximum(void **state)
{
	(void)state;
	struct synq_gate gate;

	synq_gate_init(&gate, 50);
	assert_int_equal(take_all(&gate, S), 50);
	give(&gate, SYNQ_GATE_GOOD, 50, S, 2 * S);
	assert_int_equal(take_all(&gate, 2 * S), 50);
}

/* 50 calls that were out together report one overload, not fifty. */
static void
test_gate_lowers_once_per_round_trip(void **state)
{
	(void)state;
	struct synq_gate gate;

	synq_gate_init(&gate, 50);
	take_all(&gate, S);
	give(&gate, SYNQ_GATE_OVERLOAD, 50, S, 2 * S);
	assert_int_equal(take_all(&gate, 2 * S), 45);
	give(&gate, SYNQ_GATE_OVERLOAD, 45, 2 * S, 3 * S);
	assert_int_equal(take_all(&gate, 3 * S), 40);
}

static void
test_gate_becomes_a_single_probe_and_no_less(void **state)
{
	(void)state;
	struct synq_gate gate;
	uint64_t now = S;

	synq_gate_init(&gate, 100);
	for (int i = 0; i < 100; i++, now += S) {
		unsigned taken = take_all(&gate, now);

		assert_true(taken >= 1);
		give(&gate, SYNQ_GATE_OVERLOAD, taken, now, now + S);
	}
	assert_int_equal(take_all(&gate, now), 1);
	assert_int_equal(synq_gate_take(&gate, now + 100 * S), 0);
}

static void
test_gate_raises_by_one_per_round_trip(void **state)
{
	(void)state;
	struct synq_gate gate;
	unsigned taken;

	synq_gate_init(&gate, 100);
	take_all(&gate, S);
	give(&gate, SYNQ_GATE_OVERLOAD, 100, S, 2 * S);
	taken = take_all(&gate, 2 * S);
	assert_int_equal(taken, 90);
	/* Each that ends makes room for the next, five times over. */
	for (unsigned i = 0; i < 5 * 90; i++) {
		synq_gate_give(&gate, SYNQ_GATE_GOOD, S, -1, 3 * S);
		taken += take_all(&gate, 3 * S) - 1;
	}
	assert_in_range(taken, 94, 95);
}

/* A provider that was down is in full use again soon, not one by one. */
static void
test_gate_recovers_fast_after_an_outage(void **state)
{
	(void)state;
	struct synq_gate gate;
	uint64_t now = S;
	int rounds = 0;

	synq_gate_init(&gate, 200);
	for (int i = 0; i < 80; i++, now += S)
		give(&gate, SYNQ_GATE_OVERLOAD, take_all(&gate, now), now,
		    now + S);
	now += 60 * S;
	for (unsigned taken = 0; taken < 200; rounds++, now += S) {
		taken = take_all(&gate, now);
		give(&gate, SYNQ_GATE_GOOD, taken, now, now + S);
	}
	assert_in_range(rounds, 5, 30);
}

static void
test_gate_does_not_learn_from_light_use(void **state)
{
	(void)state;
	struct synq_gate gate;

	synq_gate_init(&gate, 100);
	take_all(&gate, S);
	give(&gate, SYNQ_GATE_OVERLOAD, 100, S, 2 * S);
	for (uint64_t i = 2; i < 1000; i++) {
		assert_int_equal(synq_gate_take(&gate, i * S), 1);
		synq_gate_give(&gate, SYNQ_GATE_GOOD, 100, -1, i * S + 100);
	}
	assert_int_equal(take_all(&gate, 2000 * S), 90);
}

static void
test_gate_never_rises_above_its_maximum(void **state)
{
	(void)state;
	struct synq_gate gate;

	synq_gate_init(&gate, 7);
	for (uint64_t i = 1; i < 100; i++)
		give(&gate, SYNQ_GATE_GOOD, take_all(&gate, i * S), i * S,
		    i * S + 5);
	assert_int_equal(take_all(&gate, 200 * S), 7);
}

static void
test_gate_closes_as_long_as_asked(void **state)
{
	(void)state;
	struct synq_gate gate;

	synq_gate_init(&gate, 10);
	assert_int_equal(synq_gate_take(&gate, S), 1);
	assert_int_equal(synq_gate_opens_us(&gate, S), 0);
	synq_gate_give(&gate, SYNQ_GATE_OVERLOAD, S, 5000000, 2 * S);
	assert_int_equal(synq_gate_opens_us(&gate, 2 * S), 7 * S);
	assert_int_equal(synq_gate_take(&gate, 7 * S - 1), 0);
	assert_int_equal(synq_gate_opens_us(&gate, 7 * S), 0);
	assert_int_equal(synq_gate_take(&gate, 7 * S), 1);

	/* A shorter wish does not open it sooner; a success says nothing. */
	synq_gate_give(&gate, SYNQ_GATE_OVERLOAD, 1, 5000000, 7 * S);
	synq_gate_give(&gate, SYNQ_GATE_OVERLOAD, 1, 1000000, 7 * S);
	synq_gate_give(&gate, SYNQ_GATE_GOOD, 1, 90000000, 7 * S);
	assert_int_equal(synq_gate_opens_us(&gate, 7 * S), 12 * S);
}

/* "Retry-After: 9223372036854" must not end the provider for good. */
static void
test_gate_closes_for_ten_minutes_at_most(void **state)
{
	(void)state;
	struct synq_gate gate;

	synq_gate_init(&gate, 10);
	synq_gate_take(&gate, S);
	synq_gate_give(&gate, SYNQ_GATE_OVERLOAD, 0, INT64_MAX, S);
	assert_int_equal(synq_gate_opens_us(&gate, S), 601 * S);
}

static void
test_gate_neutral_only_gives_back(void **state)
{
	(void)state;
	struct synq_gate gate;

	synq_gate_init(&gate, 10);
	take_all(&gate, S);
	give(&gate, SYNQ_GATE_NEUTRAL, 10, S, 2 * S);
	assert_int_equal(take_all(&gate, 2 * S), 10);
}

/* Also when nothing was asked for, and never lowered: 0 stays 0. */
static void
test_gate_stays_closed_as_long_when_the_clock_is_set(void **state)
{
	(void)state;
	const uint64_t hour = 3600 * S;
	struct synq_gate gate;

	synq_gate_init(&gate, 10);
	synq_gate_stepped(&gate, -(int64_t)S);
	assert_int_equal(synq_gate_opens_us(&gate, 0), 0);
	assert_int_equal(synq_gate_take(&gate, 2 * hour), 1);
	synq_gate_give(
	    &gate, SYNQ_GATE_OVERLOAD, 10, (int64_t)(5 * S), 2 * hour);
	synq_gate_stepped(&gate, -(int64_t)hour);
	assert_int_equal(synq_gate_opens_us(&gate, hour), hour + 5 * S);
	assert_int_equal(synq_gate_take(&gate, hour + 4 * S), 0);
	assert_int_equal(synq_gate_take(&gate, hour + 5 * S), 1);
}

static void
test_gate_takes_absurd_settings(void **state)
{
	(void)state;
	struct synq_gate gate;

	synq_gate_init(&gate, 0);
	assert_int_equal(take_all(&gate, 0), 1);
	synq_gate_give(&gate, SYNQ_GATE_OVERLOAD, UINT64_MAX, -1, 0);
	synq_gate_give(&gate, SYNQ_GATE_OVERLOAD, UINT64_MAX, -1, 0);
	assert_int_equal(take_all(&gate, 0), 1);
	synq_gate_init(&gate, UINT32_MAX);
	assert_int_equal(synq_gate_take(&gate, 0), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate_starts_open_at_its_maximum),
		cmocka_unit_test(test_gate_lowers_once_per_round_trip),
		cmocka_unit_test(test_gate_becomes_a_single_probe_and_no_less),
		cmocka_unit_test(test_gate_raises_by_one_per_round_trip),
		cmocka_unit_test(test_gate_recovers_fast_after_an_outage),
		cmocka_unit_test(test_gate_does_not_learn_from_light_use),
		cmocka_unit_test(test_gate_never_rises_above_its_maximum),
		cmocka_unit_test(test_gate_closes_as_long_as_asked),
		cmocka_unit_test(test_gate_closes_for_ten_minutes_at_most),
		cmocka_unit_test(test_gate_neutral_only_gives_back),
		cmocka_unit_test(
		    test_gate_stays_closed_as_long_when_the_clock_is_set),
		cmocka_unit_test(test_gate_takes_absurd_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
