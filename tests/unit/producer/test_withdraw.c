/*
 * Cancels that must reach the log.
 */

#include <stdio.h>
#include <string.h>

#include "job/id.h"
#include "producer/withdraw.h"
#include "proto/topics.h"
#include "world.h"

#define SECOND 1000000ULL

struct told {
	size_t calls;
	int rc;
};

static void
on_done(void *ctx, int rc)
{
	struct told *told = ctx;

	told->calls++;
	told->rc = rc;
}

static struct synq_uuid
withdraw(struct world *world, enum synq_cancel_reason reason, struct told *told)
{
	const struct synq_cancel cancel = {
		.job_id = world_id(1),
		.organization_id = world->organization_id,
		.reason = reason,
		.asked_at = WORLD_BEGIN_AT,
	};

	if (told != NULL)
		*told = (struct told){ .rc = 1 };
	withdraw_send(world->intake.withdrawals, &cancel,
	    told == NULL ? NULL : on_done, told);
	return cancel.job_id;
}

static size_t
open_count(const struct world *world)
{
	return withdrawals_count(world->intake.withdrawals);
}

static void
test_withdraw_writes_the_cancel_where_the_job_lies(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = withdraw(world, SYNQ_CANCEL_GONE, NULL);
	struct synq_cancel cancel;

	assert_int_equal(1, world->record_count);
	assert_string_equal(SYNQ_TOPIC_CANCELS, world->records[0].topic);
	assert_int_equal(
	    synq_job_partition(&world->organization_id, &job, 16, 1),
	    world->records[0].partition);
	assert_int_equal(
	    0, synq_cancel_decode(
		   synq_buf_view(&world->records[0].value), &cancel));
	assert_true(synq_uuid_equal(&job, &cancel.job_id));
	assert_true(
	    synq_uuid_equal(&world->organization_id, &cancel.organization_id));
	assert_int_equal(SYNQ_CANCEL_GONE, cancel.reason);
	assert_int_equal(WORLD_BEGIN_AT, cancel.asked_at);
}

static void
test_withdraw_is_done_when_it_is_acknowledged(void **state)
{
	struct world *world = *state;
	struct told told;

	(void)withdraw(world, SYNQ_CANCEL_ASKED, &told);
	assert_int_equal(0, told.calls);
	assert_int_equal(1, open_count(world));
	world_ack(world, 0, 0);

	assert_int_equal(1, told.calls);
	assert_int_equal(0, told.rc);
	assert_int_equal(0, open_count(world));
	world_pass(world, 10 * SECOND);
	assert_int_equal(1, world->record_count);
}

static void
test_withdraw_sends_again_until_it_is_acknowledged(void **state)
{
	static const enum synq_cancel_reason reasons[] = { SYNQ_CANCEL_GONE,
		SYNQ_CANCEL_UNSURE };
	struct world *world = *state;
	struct told told;
	size_t at;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(reasons); i++) {
		at = world->record_count;
		(void)withdraw(world, reasons[i], &told);
		world_ack(world, at, -SYNQ_E_UNCERTAIN);
		assert_int_equal(1, told.calls);
		assert_int_equal(-SYNQ_E_UNCERTAIN, told.rc);
		assert_int_equal(1, open_count(world));
		world_pass(world, 2 * SECOND);
		assert_int_equal(at + 2, world->record_count);
		world_ack(world, at + 1, -SYNQ_E_UNAVAILABLE);
		world_pass(world, 2 * SECOND);
		assert_int_equal(at + 3, world->record_count);
		world_ack(world, at + 2, 0);
		assert_int_equal(0, open_count(world));
		assert_int_equal(1, told.calls); /* once */
	}
}

/* Who asked is told and asks again: it is not done behind his back. */
static void
test_withdraw_gives_up_what_the_client_was_told_about(void **state)
{
	struct world *world = *state;
	struct told told;

	(void)withdraw(world, SYNQ_CANCEL_ASKED, &told);
	world_ack(world, 0, -SYNQ_E_UNCERTAIN);

	assert_int_equal(1, told.calls);
	assert_int_equal(-SYNQ_E_UNCERTAIN, told.rc);
	assert_int_equal(0, open_count(world));
	world_pass(world, 10 * SECOND);
	assert_int_equal(1, world->record_count);
}

static void
test_withdraw_says_from_the_loop_that_the_log_took_nothing(void **state)
{
	struct world *world = *state;
	struct told told;

	world->log_rc = -SYNQ_E_BUSY;
	(void)withdraw(world, SYNQ_CANCEL_ASKED, &told);
	assert_int_equal(0, told.calls);
	world_pass(world, SECOND / 10);

	assert_int_equal(1, told.calls);
	assert_true(told.rc < 0);
	assert_int_equal(0, open_count(world));
}

static void
test_withdraw_keeps_what_the_log_did_not_take(void **state)
{
	struct world *world = *state;

	world->log_rc = -SYNQ_E_BUSY;
	(void)withdraw(world, SYNQ_CANCEL_UNSURE, NULL);
	(void)withdraw(world, SYNQ_CANCEL_GONE, NULL);
	assert_int_equal(2, open_count(world));
	world_pass(world, 5 * SECOND);
	assert_int_equal(2, open_count(world));
	assert_int_equal(0, world->record_count);

	world->log_rc = 0;
	world_pass(world, 2 * SECOND);
	assert_int_equal(2, world->record_count);
	world_ack(world, 0, 0);
	world_ack(world, 1, 0);
	assert_int_equal(0, open_count(world));
}

static void
test_withdraw_keeps_10000_at_most(void **state)
{
	struct world *world = *state;
	size_t i;

	world->log_rc = -SYNQ_E_BUSY;
	for (i = 0; i < 10050; i++) {
		(void)withdraw(world, SYNQ_CANCEL_GONE, NULL);
		if (i % 50 == 0)
			world_pass(world, 10);
	}
	world_pass(world, SECOND / 2);

	assert_int_equal(10000, open_count(world));
}

/* What failed on the log counts as what the log never took. */
static void
test_withdraw_bounds_what_failed_as_well(void **state)
{
	struct world *world = *state;
	size_t i;

	world->log_rc = -SYNQ_E_BUSY;
	for (i = 0; i < 9990; i++) {
		(void)withdraw(world, SYNQ_CANCEL_GONE, NULL);
		if (i % 50 == 0)
			world_pass(world, 10);
	}
	world_pass(world, 10);
	world->log_rc = 0;
	for (i = 0; i < 20; i++)
		(void)withdraw(world, SYNQ_CANCEL_GONE, NULL);
	for (i = 0; i < 20; i++)
		world_ack(world, i, -SYNQ_E_UNAVAILABLE);

	assert_int_equal(10000, open_count(world));
}

static void
test_withdraw_can_be_freed_at_any_time(void **state)
{
	struct world *world = *state;
	struct told told;

	(void)withdraw(world, SYNQ_CANCEL_GONE, NULL);
	world->records[0].ack = NULL; /* the producer is freed before */
	world->log_rc = -SYNQ_E_BUSY;
	(void)withdraw(world, SYNQ_CANCEL_GONE, NULL);
	(void)withdraw(world, SYNQ_CANCEL_ASKED, &told);
	withdrawals_free(&world->intake.withdrawals);
	assert_null(world->intake.withdrawals);
	withdrawals_free(&world->intake.withdrawals);
	world_pass(world, 2 * SECOND);

	assert_int_equal(0, told.calls);
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_withdraw_writes_the_cancel_where_the_job_lies),
		TEST(test_withdraw_is_done_when_it_is_acknowledged),
		TEST(test_withdraw_sends_again_until_it_is_acknowledged),
		TEST(test_withdraw_gives_up_what_the_client_was_told_about),
		TEST(
		    test_withdraw_says_from_the_loop_that_the_log_took_nothing),
		TEST(test_withdraw_keeps_what_the_log_did_not_take),
		TEST(test_withdraw_keeps_10000_at_most),
		TEST(test_withdraw_bounds_what_failed_as_well),
		TEST(test_withdraw_can_be_freed_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
