#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "limit/fair.h"

struct work {
	struct synq_fair_item item;
	int tenant;
	int number;
};

static const struct synq_fair_config plain = {
	.quantum = 4,
	.tenant_in_flight = 0,
	.batch_every = 9,
};

static struct synq_uuid
uuid_of(int n)
{
	struct synq_uuid id = { { 0 } };

	memcpy(id.bytes, &n, sizeof(n));
	id.bytes[15] = 1;
	return id;
}

static void
push(struct synq_fair *fair, int tenant, struct work *work,
    enum synq_fair_class class, uint32_t cost)
{
	struct synq_uuid id = uuid_of(tenant);

	work->tenant = tenant;
	synq_fair_push(fair, &id, &work->item, class, cost);
}

/* ${count} plain requests of ${tenant}, of cost ${cost}, in ${works}. */
static void
push_many(struct synq_fair *fair, int tenant, struct work *works, int count,
    uint32_t cost)
{
	for (int i = 0; i < count; i++) {
		works[i].number = i;
		push(fair, tenant, &works[i], SYNQ_FAIR_INTERACTIVE, cost);
	}
}

static struct work *
pop(struct synq_fair *fair)
{
	struct synq_fair_item *item = synq_fair_pop(fair);

	return item ? SYNQ_CONTAINER(item, struct work, item) : NULL;
}

static void
finish(struct synq_fair *fair, struct work *work)
{
	synq_fair_finish(fair, &work->item);
}

static struct work works[60000];

static int
clear(void **state)
{
	(void)state;
	memset(works, 0, sizeof(works));
	return 0;
}

static void
test_fair_is_empty_at_first(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	struct synq_uuid id = uuid_of(1);

	assert_null(synq_fair_pop(fair));
	assert_int_equal(synq_fair_queued(fair), 0);
	assert_int_equal(synq_fair_tenant_queued(fair, &id), 0);
	synq_fair_free(&fair);
	assert_null(fair);
	synq_fair_free(&fair);
}

static void
test_fair_serves_one_tenant_in_order(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);

	push_many(fair, 1, works, 100, 1);
	for (int i = 0; i < 100; i++) {
		struct work *work = pop(fair);

		assert_ptr_equal(work, &works[i]);
		finish(fair, work);
	}
	assert_null(pop(fair));
	assert_int_equal(synq_fair_in_flight(fair), 0);
	synq_fair_free(&fair);
}

/* 50,000 of one, then 1 of another: at most the rest of one turn is between. */
static void
test_fair_quiet_tenant_waits_one_round_at_most(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	int waited = 0;

	push_many(fair, 1, works, 50000, 1);
	for (int i = 0; i < 1001; i++)
		finish(fair, pop(fair));
	push(fair, 2, &works[59999], SYNQ_FAIR_INTERACTIVE, 1);
	for (;; waited++) {
		struct work *work = pop(fair);

		finish(fair, work);
		if (work->tenant == 2)
			break;
	}
	assert_in_range(waited, 0, plain.quantum);
	synq_fair_free(&fair);
}

/* Whatever the backlogs, each of 50 is served alike. */
static void
test_fair_serves_equal_tenants_alike(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	int served[50] = { 0 };

	for (int t = 0; t < 50; t++)
		push_many(fair, t, &works[1000 * t], t == 0 ? 1000 : 500, 1);
	for (int i = 0; i < 50 * 400; i++) {
		struct work *work = pop(fair);

		served[work->tenant]++;
		finish(fair, work);
	}
	for (int t = 0; t < 50; t++)
		assert_int_equal(served[t], 400);
	synq_fair_free(&fair);
}

static void
test_fair_serves_by_weight(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	struct synq_uuid heavy = uuid_of(2);
	int served[3] = { 0 };

	synq_fair_weight(fair, &heavy, 3);
	push_many(fair, 1, works, 10000, 1);
	push_many(fair, 2, &works[10000], 10000, 1);
	for (int i = 0; i < 8000; i++) {
		struct work *work = pop(fair);

		served[work->tenant]++;
		finish(fair, work);
	}
	assert_int_equal(served[1], 2000);
	assert_int_equal(served[2], 6000);
	synq_fair_free(&fair);
}

/* A weight of 5,000 is one of 1,000, one of 0 is 1. */
static void
test_fair_keeps_weights_within_bounds(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	struct synq_uuid light = uuid_of(1), heavy = uuid_of(2);
	int served[3] = { 0 };

	synq_fair_weight(fair, &light, 0);
	synq_fair_weight(fair, &heavy, 5000);
	push_many(fair, 1, works, 10000, 1);
	push_many(fair, 2, &works[10000], 10000, 1);
	for (int i = 0; i < 8008; i++) {
		struct work *work = pop(fair);

		served[work->tenant]++;
		finish(fair, work);
	}
	assert_int_equal(served[1], 8);
	assert_int_equal(served[2], 8000);
	synq_fair_free(&fair);
}

/* Nothing a turn would serve nobody for ever. */
static void
test_fair_serves_without_settings(void **state)
{
	static const struct synq_fair_config none;

	(void)state;
	struct synq_fair *fair = synq_fair_new(&none);

	push(fair, 1, &works[0], SYNQ_FAIR_BATCH, 1);
	push(fair, 2, &works[1], SYNQ_FAIR_INTERACTIVE, 1);
	finish(fair, pop(fair));
	finish(fair, pop(fair));
	assert_null(pop(fair));
	synq_fair_free(&fair);
}

/* Ten units of one are as much as ten of cost 1. */
static void
test_fair_serves_by_cost(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	uint64_t units[3] = { 0 };

	push_many(fair, 1, works, 20000, 1);
	push_many(fair, 2, &works[20000], 2000, 10);
	for (int i = 0; i < 10000; i++) {
		struct work *work = pop(fair);

		units[work->tenant] += work->item.cost;
		finish(fair, work);
	}
	assert_in_range(units[1], units[2] - 20, units[2] + 20);
	synq_fair_free(&fair);
}

/* A cost of four billion at a quantum of 1 must not take as many turns. */
static void
test_fair_serves_an_enormous_cost_at_once(void **state)
{
	(void)state;
	struct synq_fair_config config = { 1, 0, 9 };
	struct synq_fair *fair = synq_fair_new(&config);

	push(fair, 1, &works[0], SYNQ_FAIR_INTERACTIVE, UINT32_MAX);
	push(fair, 2, &works[1], SYNQ_FAIR_INTERACTIVE, UINT32_MAX - 1);
	push(fair, 3, &works[2], SYNQ_FAIR_INTERACTIVE, UINT32_MAX - 7);
	assert_ptr_equal(pop(fair), &works[2]);
	assert_ptr_equal(pop(fair), &works[1]);
	assert_ptr_equal(pop(fair), &works[0]);
	for (int i = 0; i < 3; i++)
		finish(fair, &works[i]);
	synq_fair_free(&fair);
}

static void
test_fair_cost_of_zero_is_served(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);

	push_many(fair, 1, works, 20, 0);
	for (int i = 0; i < 20; i++)
		finish(fair, pop(fair));
	assert_null(pop(fair));
	synq_fair_free(&fair);
}

static void
test_fair_holds_a_tenant_at_its_cap(void **state)
{
	(void)state;
	struct synq_fair_config config = { 4, 3, 9 };
	struct synq_fair *fair = synq_fair_new(&config);
	struct work *out[4];

	push_many(fair, 1, works, 10, 1);
	for (int i = 0; i < 3; i++)
		out[i] = pop(fair);
	assert_non_null(out[2]);
	assert_null(pop(fair));
	assert_int_equal(synq_fair_in_flight(fair), 3);
	assert_int_equal(synq_fair_queued(fair), 7);

	/* The others go on, and what comes now waits, too. */
	push(fair, 2, &works[100], SYNQ_FAIR_INTERACTIVE, 1);
	push(fair, 1, &works[101], SYNQ_FAIR_BATCH, 1);
	out[3] = pop(fair);
	assert_int_equal(out[3]->tenant, 2);
	assert_null(pop(fair));

	finish(fair, out[0]);
	out[0] = pop(fair);
	assert_ptr_equal(out[0], &works[3]);
	assert_null(pop(fair));
	for (int i = 0; i < 4; i++)
		finish(fair, out[i]);
	synq_fair_free(&fair);
}

/* Turns are not saved up while at the cap. */
static void
test_fair_cap_does_not_save_turns(void **state)
{
	(void)state;
	struct synq_fair_config config = { 8, 1, 9 };
	struct synq_fair *fair = synq_fair_new(&config);
	struct work *last[3] = { NULL };
	int served[3] = { 0 };

	push_many(fair, 1, works, 1000, 1);
	push_many(fair, 2, &works[1000], 1000, 1);
	for (int i = 0; i < 1000; i++) {
		struct work *work = pop(fair);

		assert_non_null(work);
		served[work->tenant]++;
		if (last[work->tenant])
			fail();
		finish(fair, work);
	}
	assert_in_range(served[1], 499, 501);
	synq_fair_free(&fair);
}

static void
test_fair_serves_classes_8_to_1(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	int since = 0;

	for (int i = 0; i < 9000; i++) {
		push(fair, i % 7, &works[i], SYNQ_FAIR_INTERACTIVE, 1);
		push(fair, i % 5, &works[10000 + i], SYNQ_FAIR_BATCH, 1);
	}
	for (int i = 0; i < 9000; i++) {
		struct work *work = pop(fair);

		if (work->item.class == SYNQ_FAIR_BATCH) {
			assert_int_equal(since, 8);
			since = 0;
		} else {
			since++;
		}
		finish(fair, work);
	}
	synq_fair_free(&fair);
}

static void
test_fair_serves_batch_alone_without_waiting(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);

	for (int i = 0; i < 50; i++)
		push(fair, 1, &works[i], SYNQ_FAIR_BATCH, 1);
	for (int i = 0; i < 50; i++)
		finish(fair, pop(fair));
	push(fair, 1, &works[0], SYNQ_FAIR_INTERACTIVE, 1);
	assert_ptr_equal(pop(fair), &works[0]);
	finish(fair, &works[0]);
	synq_fair_free(&fair);
}

static void
test_fair_puts_a_due_retry_in_front(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	struct synq_uuid id = uuid_of(1);

	push_many(fair, 1, works, 3, 1);
	synq_fair_push_front(
	    fair, &id, &works[9].item, SYNQ_FAIR_INTERACTIVE, 1);
	assert_ptr_equal(pop(fair), &works[9]);
	assert_ptr_equal(pop(fair), &works[0]);
	finish(fair, &works[9]);
	finish(fair, &works[0]);
	synq_fair_free(&fair);
}

static void
test_fair_removes_from_anywhere(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);
	struct synq_uuid id = uuid_of(1);

	push_many(fair, 1, works, 3, 1);
	synq_fair_remove(fair, &works[1].item);
	assert_int_equal(synq_fair_tenant_queued(fair, &id), 2);
	assert_ptr_equal(pop(fair), &works[0]);
	synq_fair_remove(fair, &works[2].item);
	assert_null(pop(fair));
	assert_int_equal(synq_fair_queued(fair), 0);
	finish(fair, &works[0]);

	/* The last one of a tenant with nothing in flight. */
	push(fair, 3, &works[5], SYNQ_FAIR_BATCH, 1);
	synq_fair_remove(fair, &works[5].item);
	assert_null(pop(fair));
	push(fair, 3, &works[5], SYNQ_FAIR_BATCH, 1);
	assert_ptr_equal(pop(fair), &works[5]);
	finish(fair, &works[5]);
	synq_fair_free(&fair);
}

static void
test_fair_free_leaves_items_on_no_list(void **state)
{
	(void)state;
	struct synq_fair *fair = synq_fair_new(&plain);

	push_many(fair, 1, works, 3, 1);
	pop(fair);
	synq_fair_free(&fair);
	for (int i = 0; i < 3; i++)
		assert_false(synq_link_used(&works[i].item.link));
}

/* A million operations at random, all counts checked, and how fast. */
static void
test_fair_agrees_with_counters_for_a_million_operations(void **state)
{
	(void)state;
	enum { ITEMS = 4000, TENANTS = 200 };
	struct synq_fair_config config = { 3, 5, 9 };
	struct synq_fair *fair = synq_fair_new(&config);
	static int where[ITEMS]; /* 0 outside, 1 queued, 2 in flight */
	static int taken[TENANTS];
	size_t queued = 0;
	size_t in_flight = 0;
	uint64_t start_us = synq_clock_mono_us();
	struct synq_rand rand;

	memset(where, 0, sizeof(where));
	memset(taken, 0, sizeof(taken));
	synq_rand_init(&rand, 11);
	for (int i = 0; i < 1000000; i++) {
		int n = (int)synq_rand_below(&rand, ITEMS);
		struct work *work = &works[n];
		int what = (int)synq_rand_below(&rand, 8);

		if (where[n] == 0 && what < 7) {
			/* Few tenants have most of the work. */
			int t = (int)synq_rand_below(
			    &rand, 1 + synq_rand_below(&rand, TENANTS));
			push(fair, t, work,
			    what % 2 ? SYNQ_FAIR_BATCH : SYNQ_FAIR_INTERACTIVE,
			    (uint32_t)synq_rand_below(&rand, 20));
			where[n] = 1;
			queued++;
		} else if (where[n] == 1 && what == 0) {
			synq_fair_remove(fair, &work->item);
			where[n] = 0;
			queued--;
		} else if (where[n] == 2) {
			taken[work->tenant]--;
			finish(fair, work);
			where[n] = 0;
			in_flight--;
		} else if ((work = pop(fair))) {
			assert_int_equal(where[work - works], 1);
			where[work - works] = 2;
			assert_true(++taken[work->tenant] <= 5);
			queued--;
			in_flight++;
		}
		assert_int_equal(synq_fair_queued(fair), queued);
		assert_int_equal(synq_fair_in_flight(fair), in_flight);
	}

	/* A hundred times what it takes under the sanitizers. */
	assert_true(synq_clock_mono_us() - start_us < 20000000);
	synq_fair_free(&fair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fair_is_empty_at_first, clear),
		cmocka_unit_test_setup(
		    test_fair_serves_one_tenant_in_order, clear),
		cmocka_unit_test_setup(
		    test_fair_quiet_tenant_waits_one_round_at_most, clear),
		cmocka_unit_test_setup(
		    test_fair_serves_equal_tenants_alike, clear),
		cmocka_unit_test_setup(test_fair_serves_by_weight, clear),
		cmocka_unit_test_setup(
		    test_fair_keeps_weights_within_bounds, clear),
		cmocka_unit_test_setup(
		    test_fair_serves_without_settings, clear),
		cmocka_unit_test_setup(test_fair_serves_by_cost, clear),
		cmocka_unit_test_setup(
		    test_fair_serves_an_enormous_cost_at_once, clear),
		cmocka_unit_test_setup(test_fair_cost_of_zero_is_served, clear),
		cmocka_unit_test_setup(
		    test_fair_holds_a_tenant_at_its_cap, clear),
		cmocka_unit_test_setup(
		    test_fair_cap_does_not_save_turns, clear),
		cmocka_unit_test_setup(test_fair_serves_classes_8_to_1, clear),
		cmocka_unit_test_setup(
		    test_fair_serves_batch_alone_without_waiting, clear),
		cmocka_unit_test_setup(
		    test_fair_puts_a_due_retry_in_front, clear),
		cmocka_unit_test_setup(test_fair_removes_from_anywhere, clear),
		cmocka_unit_test_setup(
		    test_fair_free_leaves_items_on_no_list, clear),
		cmocka_unit_test_setup(
		    test_fair_agrees_with_counters_for_a_million_operations,
		    clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
