/*
 * The dispatcher's core where two may write the end of one job: a life that
 * seemed over goes on, or a record was written twice.  Whoever may not be the
 * first is silent, so that no client is told what the log contradicts.
 */

#include "consumers/dispatcher/ended.h"
#include "consumers/dispatcher/work.h"
#include "world.h"

#define SECOND_US 1000000LL

/* Take over, and read job 1, which dispatcher-2 has begun. */
static struct synq_outcome
read_begun(struct world *world)
{
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	assert_int_equal(0, world->sent_count);
	return outcome;
}

/* It was expelled in its sleep; its late result may be the first. */
static void
test_core_is_silent_where_a_dead_life_may_have_ended_the_job(void **state)
{
	struct world *world = *state;

	(void)read_begun(world);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, NULL, 0);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(1, world->core->counts.succeeded);
	assert_int_equal(0, world->replies);
}

static void
test_core_is_silent_when_the_hold_was_over(void **state)
{
	struct world *world = *state;

	(void)read_begun(world);
	world->now_at += 660 * SECOND_US;
	(void)core_tick(world->core);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(1, world->core->counts.succeeded);
	assert_int_equal(0, world->replies);
}

/* Seed 4565 of the simulator: its maker was cut off and came back later. */
static void
test_core_is_silent_when_a_held_job_expires(void **state)
{
	struct world *world = *state;

	(void)read_begun(world);
	world->now_at += 7 * 86400 * SECOND_US;
	(void)core_tick(world->core);
	world_ack(world);

	assert_int_equal(1, world->core->counts.expired);
	assert_int_equal(0, world->replies);
}

/* The same, known before the record is read, and an attempt of ours open. */
static void
test_core_stays_in_doubt_while_another_attempt_is_open(void **state)
{
	struct world *world = *state;
	struct synq_outcome dead = world_started_by(world, "dispatcher-2", 9);
	struct synq_outcome ours = world_started_by(world, "dispatcher-1", 1);

	ours.attempt_id = world_id(51);
	world_life(world, "dispatcher-2", 10);
	world_take_over(world);
	partition_outcome(world->partition, 7, &dead);
	partition_outcome(world->partition, 8, &ours);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	ours.kind = SYNQ_OUTCOME_FAILED;
	ours.not_before_at = world->now_at;
	partition_outcome(world->partition, 9, &ours);
	(void)core_tick(world->core);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(1, world->core->counts.succeeded);
	assert_int_equal(0, world->replies);
}

/* Results are read on, so that no further attempt is paid for. */
static void
test_core_tries_no_more_when_a_dead_life_ended_the_job(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = read_begun(world);

	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, NULL, 0);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_LATER, 0);
	world_ack(world);
	assert_int_equal(1, partition_held(world->partition));
	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 11, &outcome);
	world->now_at += 60 * SECOND_US;
	(void)core_tick(world->core);
	partition_commit(world->partition);

	assert_int_equal(1, world->call_count);
	assert_int_equal(0, partition_held(world->partition));
	assert_int_equal(1, world->committed);
}

/* What is out goes on: its call is paid for already. */
static void
test_core_ends_what_is_out_though_a_dead_life_ended_the_job(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = read_begun(world);

	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, NULL, 0);
	world_ack(world);
	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 11, &outcome);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(SYNQ_JOB_SUCCEEDED, world_last(world)->state);
	assert_int_equal(0, world->replies);
}

static void
ask_to_cancel(struct world *world)
{
	(void)world_cancel(world, world->partition, world_id(1));
}

/* Its maker lives, may succeed, and tells the client so. */
static void
test_core_leaves_the_end_of_a_held_attempt_to_its_maker(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = read_begun(world);

	ask_to_cancel(world);
	assert_int_equal(0, world->sent_count);
	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 11, &outcome);
	partition_commit(world->partition);

	assert_int_equal(0, world->sent_count);
	assert_int_equal(1, world->committed);
}

static void
test_core_cancels_when_a_held_attempt_failed(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = read_begun(world);

	ask_to_cancel(world);
	outcome.kind = SYNQ_OUTCOME_FAILED;
	partition_outcome(world->partition, 11, &outcome);
	world_ack(world);

	assert_int_equal(SYNQ_JOB_CANCELLED, world_last(world)->state);
	assert_int_equal(0, world->call_count);
	assert_int_equal(1, world->replies);
}

static void
test_core_cancels_when_the_maker_of_a_held_attempt_died(void **state)
{
	struct world *world = *state;

	(void)read_begun(world);
	ask_to_cancel(world);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, NULL, 0);
	world_ack(world);

	assert_int_equal(SYNQ_JOB_CANCELLED, world_last(world)->state);
	assert_int_equal(0, world->call_count);
}

/* An intake's producer was rebuilt; the call was faster than that. */
static void
test_core_drops_a_second_record_of_a_job_that_has_ended(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);
	world_read(world, 1, 1);
	partition_commit(world->partition);

	assert_int_equal(1, world->call_count);
	assert_int_equal(1, world->core->counts.skipped_duplicate);
	assert_int_equal(2, world->committed);
}

/* The same, where another wrote the result of the first. */
static void
test_core_drops_a_second_record_of_a_job_that_others_ended(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = read_begun(world);

	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 11, &outcome);
	world_read(world, 1, 1);

	assert_int_equal(0, world->sent_count);
	assert_int_equal(1, world->core->counts.skipped_duplicate);
}

static void
test_core_drops_a_second_record_of_a_job_known_to_have_ended(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = world_ended(world);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	world_read(world, 1, 1);

	assert_int_equal(0, world->sent_count);
}

/* The first ended, and is below what is committed, before the second is read.
 */
static void
test_core_drops_a_second_record_of_a_job_that_ended_before_it_took_over(
    void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = world_ended(world);

	partition_free(&world->partition, 1);
	world_assign(world, 150, "");
	outcome.source.offset = 100;
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 200, 1);
	world_ack(world);

	assert_int_equal(0, world->sent_count);
	assert_int_equal(0, world->call_count);
	assert_int_equal(1, world->core->counts.skipped_duplicate);
}

/* Whoever takes over must read the result, though nothing is open before it. */
static void
test_core_lets_results_be_read_while_a_record_may_be_written_again(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world); /* started at 100 */
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world); /* result at 101 */
	world_settle(world);
	world_read(world, 1, 2);
	world_ack(world);
	world_answer(world, 1, SYNQ_RETRY_NEVER, 1);
	world_ack(world); /* result at 103 */
	partition_commit(world->partition);
	partition_free(&world->partition, 1);
	world_assign(world, world->committed, world->metadata);
	assert_int_equal(2, world->committed);
	assert_int_equal(102, partition_reconcile_from(world->partition));

	partition_settle(world->partition);
	world_settle(world);
	world_settle(world);
	partition_free(&world->partition, 1);
	world_assign(world, world->committed, world->metadata);
	assert_int_equal(104, partition_reconcile_from(world->partition));
}

/* What a take-over reads of others is much, and nothing of it ended here. */
static void
test_core_forgets_nothing_of_its_own_for_what_it_reads_of_others(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);
	partition_commit(world->partition);
	partition_free(&world->partition, 0);
	world_assign(world, world->committed, world->metadata);
	outcome.kind = SYNQ_OUTCOME_RESULT;
	for (uint32_t i = 0; i <= ENDED_KEPT; i++) {
		outcome.job_id.bytes[0] = (uint8_t)(i >> 8 | 128);
		outcome.job_id.bytes[1] = (uint8_t)i;
		partition_outcome(world->partition, i, &outcome);
	}
	partition_settle(world->partition);
	world_read(world, 1, 1);

	assert_int_equal(1, world->call_count);
	assert_int_equal(1, world->core->counts.skipped_duplicate);
	assert_int_equal(ENDED_KEPT_OF_PARTITION,
	    synq_map_count(world->partition->ended.ids));
}

static void
test_core_forgets_the_oldest_of_the_jobs_that_ended(void **state)
{
	struct world *world = *state;
	struct synq_uuid id = world_id(1);
	const struct synq_uuid first = id;

	for (uint32_t i = 0; i <= ENDED_KEPT; i++) {
		ended_add(&world->core->ended, &id);
		ended_add(&world->core->ended, &id);
		id.bytes[0] = (uint8_t)(i >> 8 | 128);
		id.bytes[1] = (uint8_t)i;
	}

	assert_false(ended_has(&world->core->ended, &first));
	assert_int_equal(ENDED_KEPT, world->core->ended.order.count);
}

/*
 * Revoked in order, while its call is out; then the group expels the process,
 * which hears of its other partitions only.
 */
static void
test_core_is_silent_about_orphans_when_it_is_expelled(void **state)
{
	struct world *world = *state;
	struct partition *other;

	world_read(world, 0, 1);
	world_ack(world);
	other = partition_new(world->core, SYNQ_SOURCE_BATCH, 4);
	partition_free(&world->partition, 0);
	partition_free(&other, 1);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(1, world->core->counts.succeeded);
	assert_int_equal(0, world->replies);
}

/* The same, when it has no partition left that could tell. */
static void
test_core_is_silent_about_orphans_after_a_long_sleep(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	partition_free(&world->partition, 0);
	core_slept(world->core);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(1, world->core->counts.succeeded);
	assert_int_equal(0, world->replies);
}

/* Results were faster than synq.control. */
static void
test_core_holds_an_attempt_of_a_life_it_has_yet_to_hear_of(void **state)
{
	static const char *const members[] = { "dispatcher-2" };
	struct world *world = *state;

	world_life(world, "dispatcher-2", 8);
	(void)read_begun(world); /* of life 9 */
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, members, 1);
	assert_int_equal(0, world->sent_count);
	world_life(world, "dispatcher-2", 9);
	assert_int_equal(0, world->sent_count);

	world_life(world, "dispatcher-2", 10);
	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

/* A clock was set back: the order on synq.control counts. */
static void
test_core_knows_a_past_life_whatever_its_clock_said(void **state)
{
	struct world *world = *state;

	(void)read_begun(world); /* of life 9 */
	world_life(world, "dispatcher-2", 9);
	world_life(world, "dispatcher-2", 3);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
}

#define DOUBT_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DOUBT_TEST(
		    test_core_is_silent_where_a_dead_life_may_have_ended_the_job),
		DOUBT_TEST(test_core_is_silent_when_the_hold_was_over),
		DOUBT_TEST(test_core_is_silent_when_a_held_job_expires),
		DOUBT_TEST(
		    test_core_stays_in_doubt_while_another_attempt_is_open),
		DOUBT_TEST(
		    test_core_tries_no_more_when_a_dead_life_ended_the_job),
		DOUBT_TEST(
		    test_core_ends_what_is_out_though_a_dead_life_ended_the_job),
		DOUBT_TEST(
		    test_core_leaves_the_end_of_a_held_attempt_to_its_maker),
		DOUBT_TEST(test_core_cancels_when_a_held_attempt_failed),
		DOUBT_TEST(
		    test_core_cancels_when_the_maker_of_a_held_attempt_died),
		DOUBT_TEST(
		    test_core_drops_a_second_record_of_a_job_that_has_ended),
		DOUBT_TEST(
		    test_core_drops_a_second_record_of_a_job_that_others_ended),
		DOUBT_TEST(
		    test_core_drops_a_second_record_of_a_job_known_to_have_ended),
		DOUBT_TEST(
		    test_core_drops_a_second_record_of_a_job_that_ended_before_it_took_over),
		DOUBT_TEST(
		    test_core_lets_results_be_read_while_a_record_may_be_written_again),
		DOUBT_TEST(
		    test_core_forgets_nothing_of_its_own_for_what_it_reads_of_others),
		DOUBT_TEST(test_core_forgets_the_oldest_of_the_jobs_that_ended),
		DOUBT_TEST(
		    test_core_is_silent_about_orphans_when_it_is_expelled),
		DOUBT_TEST(
		    test_core_is_silent_about_orphans_after_a_long_sleep),
		DOUBT_TEST(
		    test_core_holds_an_attempt_of_a_life_it_has_yet_to_hear_of),
		DOUBT_TEST(test_core_knows_a_past_life_whatever_its_clock_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
