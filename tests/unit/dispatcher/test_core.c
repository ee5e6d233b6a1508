/*
 * The dispatcher's core under a made-up log, provider and clock.
 */

#include <stdio.h>
#include <string.h>

#include "consumers/dispatcher/work.h"
#include "world.h"

static void
test_core_calls_only_after_the_attempt_is_acknowledged(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);

	assert_int_equal(1, world->sent_count);
	assert_int_equal(SYNQ_OUTCOME_STARTED, world->sent[0].kind);
	assert_int_equal(0, world->call_count);
	world_ack(world);
	assert_int_equal(1, world->call_count);
}

static void
test_core_commits_only_after_the_result_is_acknowledged(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	assert_int_equal(SYNQ_OUTCOME_RESULT, world_last(world)->kind);
	partition_commit(world->partition);
	assert_int_equal(0, world->committed);

	world_ack(world);
	partition_commit(world->partition);

	assert_int_equal(1, world->committed);
	assert_int_equal(1, world->replies);
	assert_int_equal(1, world->core->counts.succeeded);
}

static void
test_core_repeats_what_may_be_repeated_until_attempts_are_used(void **state)
{
	struct world *world = *state;
	size_t i;

	world_read(world, 0, 1);
	for (i = 0; i < 3; i++) {
		world_ack(world);
		assert_int_equal(i + 1, world->call_count);
		world_answer(world, i, SYNQ_RETRY_LATER, 0);
		world_ack(world);
		world->now_at += 60LL * 1000000;
		(void)core_tick(world->core);
	}

	assert_int_equal(SYNQ_OUTCOME_RESULT, world_last(world)->kind);
	assert_int_equal(SYNQ_JOB_FAILED, world_last(world)->state);
	assert_int_equal(3, world_last(world)->attempt);
	assert_int_equal(3, world->call_count);
}

static void
test_core_never_repeats_what_was_refused(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 0);

	assert_int_equal(SYNQ_JOB_FAILED, world_last(world)->state);
	assert_int_equal(1, world->call_count);
}

static void
test_core_waits_for_the_log_to_take_records_again(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world->log_full = 1;
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_read(world, 1, 2); /* must not overtake the result */
	assert_int_equal(1, world->sent_count);

	world->log_full = 0;
	core_room(world->core);

	assert_int_equal(SYNQ_OUTCOME_RESULT, world->sent[1].kind);
	assert_int_equal(SYNQ_OUTCOME_STARTED, world->sent[2].kind);
}

static void
test_core_cancels_a_queued_job_without_a_call(void **state)
{
	struct world *world = *state;
	const struct synq_cancel cancel = { .job_id = world_id(1),
		.organization_id = world_id(200),
		.reason = SYNQ_CANCEL_GONE };

	(void)core_cancel(world->partition, &cancel); /* before it is read */
	world->log_full = 1;
	world_read(world, 0, 1);
	world->log_full = 0;
	core_room(world->core);

	assert_int_equal(SYNQ_JOB_CANCELLED, world_last(world)->state);
	assert_int_equal(0, world->call_count);
}

/* The same job id, kept before the request is read or applied after. */
static void
test_core_leaves_a_job_to_its_organization(void **state)
{
	struct world *world = *state;
	const struct synq_cancel cancel = { .job_id = world_id(1),
		.organization_id = world_id(201),
		.reason = SYNQ_CANCEL_ASKED };

	(void)core_cancel(world->partition, &cancel);
	world_read(world, 0, 1);
	(void)core_cancel(world->partition, &cancel);
	world_ack(world);

	assert_int_equal(1, world->call_count);
	assert_int_equal(0, world->aborted);
}

static void
test_core_aborts_a_running_call_when_asked_to(void **state)
{
	struct world *world = *state;
	struct synq_cancel cancel = { .job_id = world_id(1),
		.organization_id = world_id(200),
		.reason = SYNQ_CANCEL_GONE };

	world_read(world, 0, 1);
	world_ack(world);
	(void)core_cancel(world->partition, &cancel);
	assert_int_equal(0, world->aborted);
	cancel.reason = SYNQ_CANCEL_ASKED;
	(void)core_cancel(world->partition, &cancel);

	assert_int_equal(1, world->aborted);
	assert_int_equal(SYNQ_JOB_CANCELLED, world_last(world)->state);
}

static void
test_core_ignores_a_cancel_of_another_organization(void **state)
{
	struct world *world = *state;
	const struct synq_cancel cancel = { .job_id = world_id(1),
		.organization_id = world_id(99),
		.reason = SYNQ_CANCEL_ASKED };

	world_read(world, 0, 1);
	world_ack(world);
	(void)core_cancel(world->partition, &cancel);

	assert_int_equal(0, world->aborted);
}

static void
test_core_ends_a_job_whose_deadline_passed(void **state)
{
	struct world *world = *state;
	struct synq_request request = world_request(world, 1);

	request.deadline_at = world->now_at - 1;
	(void)world_put(world, 0, &request);

	assert_int_equal(SYNQ_JOB_EXPIRED, world_last(world)->state);
	assert_int_equal(0, world->call_count);
}

static void
test_core_refuses_a_model_that_went_away(void **state)
{
	struct world *world = *state;
	struct synq_request request = world_request(world, 1);

	world_model_gone = 1;
	request.created_at -= 60LL * 1000000; /* before the catalog */
	(void)world_put(world, 0, &request);

	assert_int_equal(SYNQ_JOB_FAILED, world_last(world)->state);
	assert_string_equal("model_not_found", world_last(world)->code);
}

/* The intake hears of a new model first: ours is the older picture. */
static void
test_core_asks_for_a_newer_catalog_before_it_refuses(void **state)
{
	struct world *world = *state;

	world_model_gone = 1;
	world_read(world, 0, 1);
	assert_int_equal(0, world->sent_count);
	assert_int_equal(1, world->reloads);

	world_model_gone = 0;
	world->now_at += 5LL * 1000000;
	(void)core_tick(world->core);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

static void
test_core_drops_a_second_record_of_a_job_in_hand(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_read(world, 1, 1);

	assert_int_equal(1, world->sent_count);
	assert_int_equal(1, world->core->counts.skipped_duplicate);
}

static void
test_core_puts_aside_what_does_not_decode(void **state)
{
	struct world *world = *state;

	(void)core_request(world->partition, 0, synq_slice_text("garbage"));
	partition_commit(world->partition);

	assert_int_equal(1, world->dead);
	assert_int_equal(1, world->committed);
}

static void
test_core_does_not_send_a_call_for_a_partition_that_moved(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	partition_free(&world->partition, 0);
	world_ack(world);

	assert_int_equal(0, world->call_count);
	assert_int_equal(SYNQ_OUTCOME_FAILED, world_last(world)->kind);
	assert_string_equal("not_sent", world_last(world)->code);
}

static void
test_core_publishes_the_result_of_a_call_whose_partition_moved(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	partition_free(&world->partition, 0);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(SYNQ_OUTCOME_RESULT, world_last(world)->kind);
	assert_int_equal(1, world->replies);
	assert_true(core_idle(world->core));
}

static void
test_core_repeats_at_once_what_an_earlier_life_had_out(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-1", 9);

	world_life(world, "dispatcher-1", 1);
	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
	assert_int_equal(2, world_last(world)->attempt);
	assert_int_equal(1, world->core->counts.repeated);
}

static void
test_core_holds_what_a_live_member_has_out(void **state)
{
	static const char *const members[] = { "dispatcher-2" };
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, members, 1);
	assert_int_equal(0, world->sent_count);

	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 8, &outcome);
	partition_commit(world->partition);

	assert_int_equal(0, world->sent_count);
	assert_int_equal(1, world->committed);
}

static void
test_core_repeats_what_a_member_that_died_had_out(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	/* The group of another topic says nothing about this one's. */
	core_members(world->core, SYNQ_SOURCE_BATCH, NULL, 0);
	assert_int_equal(0, world->sent_count);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, NULL, 0);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
	assert_int_equal(2, world_last(world)->attempt);
}

/* The group still shows the old client id of a member that started again. */
static void
test_core_repeats_what_another_member_lost_when_it_began_anew(void **state)
{
	static const char *const members[] = { "dispatcher-2" };
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, members, 1);
	assert_int_equal(0, world->sent_count);
	world_life(world, "dispatcher-2", 10);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

/*
 * A late attempt.started of the owner before, given up at once, says nothing
 * about the attempt that the next owner had begun meanwhile.
 */
static void
test_core_holds_until_every_open_attempt_has_ended(void **state)
{
	static const char *const members[] = { "dispatcher-2", "dispatcher-3" };
	struct world *world = *state;
	struct synq_outcome later = world_started_by(world, "dispatcher-2", 9);
	struct synq_outcome late = world_started_by(world, "dispatcher-3", 8);

	late.attempt_id = world_id(51);
	world_take_over(world);
	partition_outcome(world->partition, 7, &later);
	partition_outcome(world->partition, 8, &late);
	late.kind = SYNQ_OUTCOME_FAILED;
	late.error_code = synq_slice_text("not_sent");
	late.not_before_at = world->now_at;
	partition_outcome(world->partition, 9, &late);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, members, 2);
	partition_outcome(world->partition, 10, &late); /* said twice */
	(void)core_tick(world->core);
	assert_int_equal(0, world->sent_count);

	later.kind = SYNQ_OUTCOME_FAILED;
	later.not_before_at = world->now_at;
	partition_outcome(world->partition, 11, &later);
	(void)core_tick(world->core);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

static void
test_core_skips_what_has_its_result_but_no_commit(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 8, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);

	assert_int_equal(0, world->sent_count);
	assert_int_equal(1, world->core->counts.skipped_done);
}

static void
test_core_works_on_a_record_whose_result_is_of_another_job(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 8, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 2);

	assert_int_equal(1, world->sent_count);
}

static void
test_core_remembers_how_often_an_attempt_failed(void **state)
{
	struct world *world = *state;

	world_read_failed(world, world->now_at);
	assert_int_equal(0, world->sent_count);
	world->now_at += 6LL * 1000000;
	(void)core_tick(world->core);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
	assert_int_equal(2, world_last(world)->attempt);
}

/*
 * The map must not hide, from whoever takes over, the first record of a
 * request that is still open.
 */
static void
test_core_keeps_results_offset_below_open_requests(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world); /* started at 100 */
	world_read(world, 1, 2);
	world_ack(world); /* started at 101 */
	world_answer(world, 1, SYNQ_RETRY_NEVER, 1);
	world_ack(world); /* result at 102 */
	world_settle(world);
	partition_free(&world->partition, 1);

	world_assign(world, world->committed, world->metadata);

	assert_int_equal(0, world->committed);
	assert_int_equal(100, partition_reconcile_from(world->partition));
}

static void
test_core_drains_without_new_attempts(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	core_drain(world->core);
	world_read(world, 1, 2);
	assert_false(core_idle(world->core));
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_true(core_idle(world->core));
	assert_int_equal(1, world->call_count);
}

#define CORE_TEST(name)                                                        \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(
		    test_core_calls_only_after_the_attempt_is_acknowledged),
		CORE_TEST(
		    test_core_commits_only_after_the_result_is_acknowledged),
		CORE_TEST(
		    test_core_repeats_what_may_be_repeated_until_attempts_are_used),
		CORE_TEST(test_core_never_repeats_what_was_refused),
		CORE_TEST(test_core_waits_for_the_log_to_take_records_again),
		CORE_TEST(test_core_cancels_a_queued_job_without_a_call),
		CORE_TEST(test_core_leaves_a_job_to_its_organization),
		CORE_TEST(test_core_aborts_a_running_call_when_asked_to),
		CORE_TEST(test_core_ignores_a_cancel_of_another_organization),
		CORE_TEST(test_core_ends_a_job_whose_deadline_passed),
		CORE_TEST(test_core_refuses_a_model_that_went_away),
		CORE_TEST(test_core_asks_for_a_newer_catalog_before_it_refuses),
		CORE_TEST(test_core_drops_a_second_record_of_a_job_in_hand),
		CORE_TEST(test_core_puts_aside_what_does_not_decode),
		CORE_TEST(
		    test_core_does_not_send_a_call_for_a_partition_that_moved),
		CORE_TEST(
		    test_core_publishes_the_result_of_a_call_whose_partition_moved),
		CORE_TEST(
		    test_core_repeats_at_once_what_an_earlier_life_had_out),
		CORE_TEST(test_core_holds_what_a_live_member_has_out),
		CORE_TEST(test_core_repeats_what_a_member_that_died_had_out),
		CORE_TEST(
		    test_core_repeats_what_another_member_lost_when_it_began_anew),
		CORE_TEST(test_core_holds_until_every_open_attempt_has_ended),
		CORE_TEST(test_core_skips_what_has_its_result_but_no_commit),
		CORE_TEST(
		    test_core_works_on_a_record_whose_result_is_of_another_job),
		CORE_TEST(test_core_remembers_how_often_an_attempt_failed),
		CORE_TEST(test_core_keeps_results_offset_below_open_requests),
		CORE_TEST(test_core_drains_without_new_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
