/*
 * The dispatcher's core when the log, the group and the calls go wrong at the
 * worst moment.
 */

#include <string.h>

#include "consumers/dispatcher/gate.h"
#include "consumers/dispatcher/work.h"
#include "world.h"

#define SECOND_US 1000000LL

/* The gate of the only provider. */
static struct synq_gate *
the_gate(const struct world *world)
{
	return &gate_find(world->core, "stub")->gate;
}

/* Fail the only call, and let the time of the next attempt come. */
static void
fail_and_come_again(struct world *world)
{
	world_answer(world, 0, SYNQ_RETRY_LATER, 0);
	world->now_at += 60 * SECOND_US;
	(void)core_tick(world->core);
}

/*
 * The first is behind a gap that the map cannot span; whatever is read before
 * it is taken would take its place.
 */
static void
test_core_reads_nothing_over_a_record_that_waits(void **state)
{
	struct world *world = *state;
	const struct synq_request second = world_request(world, 2);
	const struct synq_request third = world_request(world, 3);

	world_read(world, 0, 1);
	world_ack(world);
	assert_int_equal(1, world_put(world, 70000, &second));
	assert_int_equal(0, world->resumed);

	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);
	assert_int_equal(1, world->resumed);
	(void)world_put(world, 70001, &third);
	world_ack(world);
	assert_int_equal(3, world->call_count);
}

/*
 * attempt.failed is not acknowledged yet when the next attempt has begun and
 * the partition goes: its late acknowledgement must not end the orphan.
 */
static void
test_core_keeps_an_orphan_when_an_old_failure_is_acknowledged(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	fail_and_come_again(world);
	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
	partition_free(&world->partition, 0);
	world_ack_one(world, 1, 0); /* attempt.failed */
	world_ack_one(world, 2, 0); /* the second attempt.started */

	assert_int_equal(SYNQ_OUTCOME_FAILED, world_last(world)->kind);
	assert_string_equal("not_sent", world_last(world)->code);
	world_ack(world);
	assert_true(core_idle(world->core));
}

/* The same, but the call is out already: it is answered later. */
static void
test_core_keeps_the_call_of_an_orphan(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	fail_and_come_again(world);
	world_ack_one(world, 2, 0);
	assert_int_equal(2, world->call_count);
	partition_free(&world->partition, 0);
	world_ack_one(world, 1, 0);
	world_answer(world, 1, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(SYNQ_OUTCOME_RESULT, world_last(world)->kind);
	assert_int_equal(1, world->replies);
	assert_true(core_idle(world->core));
}

/* Two failures on their way: the first acknowledgement is not the last. */
static void
test_core_waits_for_all_failures_of_an_orphan(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	fail_and_come_again(world);
	world_ack_one(world, 2, 0);
	world->log_full = 1;
	world_answer(world, 1, SYNQ_RETRY_LATER, 0);
	partition_free(&world->partition, 0);
	world_ack_one(world, 1, 0);
	world->log_full = 0;
	core_room(world->core);
	world_ack(world);

	assert_int_equal(4, world->sent_count);
	assert_int_equal(SYNQ_OUTCOME_FAILED, world_last(world)->kind);
	assert_true(core_idle(world->core));
}

/*
 * A log that fails what it has is failing: it must not get the same again from
 * inside its answer, for ever.
 */
static void
test_core_sends_no_result_again_while_it_hears_of_a_failure(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack_one(world, 1, -SYNQ_E_UNAVAILABLE);
	assert_int_equal(2, world->sent_count);
	assert_false(core_idle(world->core));

	core_room(world->core);
	world_ack(world);
	assert_int_equal(3, world->sent_count);
	assert_int_equal(SYNQ_JOB_SUCCEEDED, world_last(world)->state);
	assert_int_equal(1, world->replies);
}

/* Else this one result would hold up every other for ever. */
static void
test_core_fails_a_job_whose_result_no_log_takes(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world->log_full = 1;
	world->log_rc = -SYNQ_E_TOO_LARGE;
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world->log_full = 0;
	core_room(world->core);

	assert_int_equal(SYNQ_OUTCOME_RESULT, world_last(world)->kind);
	assert_int_equal(SYNQ_JOB_FAILED, world_last(world)->state);
	assert_string_equal("result_too_large", world_last(world)->code);
}

static void
test_core_fails_a_job_whose_result_the_broker_refuses(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack_one(world, 1, -SYNQ_E_TOO_LARGE);
	core_room(world->core);

	assert_int_equal(SYNQ_JOB_FAILED, world_last(world)->state);
	assert_string_equal("result_too_large", world_last(world)->code);
	world_ack(world);
	assert_int_equal(1, world->core->counts.failed);
}

/* A call that was never sent says nothing about its provider. */
static void
test_core_learns_nothing_of_a_provider_from_a_call_not_sent(void **state)
{
	struct world *world = *state;

	the_gate(world)->limit = 1.0;
	world_read(world, 0, 1);
	partition_free(&world->partition, 0);
	world_ack(world);

	assert_true(the_gate(world)->limit < 1.5);
	assert_int_equal(0, the_gate(world)->in_flight);
}

static void
test_core_does_not_take_silence_for_a_good_answer(void **state)
{
	struct world *world = *state;
	const struct core_answer answer = { .class = SYNQ_RETRY_LATER,
		.retry_after_us = -1,
		.usage = { -1, -1, -1, -1 } };

	the_gate(world)->limit = 1.0;
	world_read(world, 0, 1);
	world_ack(world);
	core_answered(world->called[0], &answer);

	assert_true(the_gate(world)->limit < 1.5);
}

/* Read job 1, which ${instance} of life ${boot} has out. */
static void
read_held(struct world *world, const char *instance, uint8_t boot)
{
	struct synq_outcome outcome = world_started_by(world, instance, boot);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	assert_int_equal(0, world->sent_count);
}

/* Its call ends at its deadline, and what it came to is written after that. */
static void
test_core_gives_a_held_attempt_time_to_be_written_down(void **state)
{
	struct world *world = *state;

	read_held(world, "dispatcher-2", 9);
	world->now_at += 600 * SECOND_US;
	(void)core_tick(world->core);
	assert_int_equal(0, world->sent_count);

	world->now_at += 60 * SECOND_US;
	(void)core_tick(world->core);
	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

static void
set_clock(struct world *world, int64_t step_us)
{
	world->now_at += step_us;
	core_stepped(world->core, step_us);
}

static void
test_core_tries_again_in_time_though_the_clock_was_set_back(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_LATER, 0);
	world_ack(world);
	set_clock(world, -3600 * SECOND_US);
	world->now_at += 2 * SECOND_US;
	(void)core_tick(world->core);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
	assert_int_equal(2, world_last(world)->attempt);
}

static void
test_core_holds_an_attempt_as_long_when_the_clock_is_set(void **state)
{
	struct world *world = *state;

	read_held(world, "dispatcher-2", 9);
	set_clock(world, 3600 * SECOND_US);
	(void)core_tick(world->core);
	assert_int_equal(0, world->sent_count);

	set_clock(world, -7200 * SECOND_US);
	world->now_at += 660 * SECOND_US;
	(void)core_tick(world->core);
	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

static void
test_core_opens_a_gate_in_time_though_the_clock_was_set_back(void **state)
{
	struct world *world = *state;
	const struct core_answer busy = { .class = SYNQ_RETRY_LATER,
		.overload = 1,
		.http_status = 429,
		.retry_after_us = 5 * SECOND_US,
		.usage = { -1, -1, -1, -1 } };

	world_read(world, 0, 1);
	world_ack(world);
	core_answered(world->called[0], &busy);
	world_ack(world);
	world_read(world, 1, 2);
	assert_int_equal(SYNQ_OUTCOME_FAILED, world_last(world)->kind);
	set_clock(world, -3600 * SECOND_US);
	(void)core_tick(world->core);
	assert_int_equal(SYNQ_OUTCOME_FAILED, world_last(world)->kind);
	world->now_at += 6 * SECOND_US;
	(void)core_tick(world->core);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

/* It failed by the clock of another machine, which is an hour ahead. */
static void
test_core_does_not_wait_for_another_clock(void **state)
{
	struct world *world = *state;

	world_read_failed(world, world->now_at + 3600 * SECOND_US);
	assert_int_equal(0, world->sent_count);
	world->now_at += 6 * SECOND_US;
	(void)core_tick(world->core);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

/* The members were asked for while we were expelled. */
static void
test_core_holds_its_own_attempt_whoever_is_a_member(void **state)
{
	struct world *world = *state;

	read_held(world, "dispatcher-1", 1);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, NULL, 0);

	assert_int_equal(0, world->sent_count);
}

static void
test_core_lets_a_held_attempt_end_when_its_client_left(void **state)
{
	struct world *world = *state;
	const struct synq_cancel cancel = { .job_id = world_id(1),
		.organization_id = world_id(200),
		.reason = SYNQ_CANCEL_GONE };

	read_held(world, "dispatcher-2", 9);
	(void)core_cancel(world->partition, &cancel);
	assert_int_equal(0, world->sent_count);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, NULL, 0);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

/* Three attempts are three calls, however often the partition moves. */
static void
test_core_counts_no_failure_for_a_call_not_sent(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);
	size_t i;

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	outcome.kind = SYNQ_OUTCOME_FAILED;
	outcome.error_code = synq_slice_text("not_sent");
	outcome.not_before_at = world->now_at;
	partition_outcome(world->partition, 8, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	for (i = 0; i < 3; i++) {
		(void)core_tick(world->core);
		world_ack(world);
		assert_int_equal(i + 1, world->call_count);
		world_answer(world, i, SYNQ_RETRY_LATER, 0);
		world_ack(world);
		world->now_at += 60 * SECOND_US;
	}
	assert_int_equal(SYNQ_JOB_FAILED, world_last(world)->state);
}

/* What is known of a repeated record would else be waited for, for ever. */
static void
test_core_forgets_what_is_known_of_a_repeated_record(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	outcome.source.offset = 1;
	outcome.kind = SYNQ_OUTCOME_FAILED;
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	world_read(world, 1, 1);

	assert_int_equal(1, world->core->counts.skipped_duplicate);
	assert_int_equal(0, partition_held(world->partition));
}

#define FAULT_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(test_core_reads_nothing_over_a_record_that_waits),
		FAULT_TEST(
		    test_core_keeps_an_orphan_when_an_old_failure_is_acknowledged),
		FAULT_TEST(test_core_keeps_the_call_of_an_orphan),
		FAULT_TEST(test_core_waits_for_all_failures_of_an_orphan),
		FAULT_TEST(
		    test_core_sends_no_result_again_while_it_hears_of_a_failure),
		FAULT_TEST(test_core_fails_a_job_whose_result_no_log_takes),
		FAULT_TEST(
		    test_core_fails_a_job_whose_result_the_broker_refuses),
		FAULT_TEST(
		    test_core_learns_nothing_of_a_provider_from_a_call_not_sent),
		FAULT_TEST(test_core_does_not_take_silence_for_a_good_answer),
		FAULT_TEST(
		    test_core_tries_again_in_time_though_the_clock_was_set_back),
		FAULT_TEST(
		    test_core_holds_an_attempt_as_long_when_the_clock_is_set),
		FAULT_TEST(
		    test_core_opens_a_gate_in_time_though_the_clock_was_set_back),
		FAULT_TEST(test_core_does_not_wait_for_another_clock),
		FAULT_TEST(
		    test_core_gives_a_held_attempt_time_to_be_written_down),
		FAULT_TEST(test_core_holds_its_own_attempt_whoever_is_a_member),
		FAULT_TEST(
		    test_core_lets_a_held_attempt_end_when_its_client_left),
		FAULT_TEST(test_core_counts_no_failure_for_a_call_not_sent),
		FAULT_TEST(
		    test_core_forgets_what_is_known_of_a_repeated_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
