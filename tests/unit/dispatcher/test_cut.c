/*
 * A partition whose log came back with less than was committed: what is new in
 * it must be called, whatever the map says of the offsets that it took.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "consumers/dispatcher/core.h"
#include "consumers/dispatcher/partition.h"
#include "track/track.h"
#include "world.h"

/* The offsets 0 to 4 are read and all but 1 are done: 1 is committed. */
static void
read_five(struct world *world)
{
	int i;

	for (i = 0; i < 5; i++) {
		world_read(world, i, (uint8_t)(i + 1));
		world_ack(world);
	}
	for (i = 0; i < 5; i++) {
		if (i != 1)
			world_answer(world, (size_t)i, SYNQ_RETRY_NEVER, 1);
		world_ack(world);
	}
	world_settle(world);
	assert_int_equal(1, world->committed);
	partition_free(&world->partition, 1);
}

static void
test_whole_log_is_read_on_behind_what_is_done(void **state)
{
	struct world *world = *state;

	read_five(world);
	assert_int_equal(0, world_assign_cut(world, 1, world->metadata, 5));
	assert_int_equal(1, partition_start_at(world->partition));
	assert_int_equal(5, synq_track_next(world->partition->track));
}

/* In the window of the map: its bits are about other records. */
static void
test_log_cut_in_the_window_is_read_from_the_commit_on(void **state)
{
	struct world *world = *state;

	read_five(world);
	assert_int_equal(
	    -SYNQ_E_CORRUPT, world_assign_cut(world, 1, world->metadata, 4));
	assert_int_equal(1, partition_start_at(world->partition));
	assert_int_equal(1, synq_track_next(world->partition->track));
}

static void
test_log_cut_below_the_commit_is_read_from_there(void **state)
{
	struct world *world = *state;

	assert_int_equal(0, world_assign_cut(world, 100, "", 90));
	assert_int_equal(90, partition_start_at(world->partition));
	partition_free(&world->partition, 1);
	assert_int_equal(0, world_assign_cut(world, 100, "", 0));
	assert_int_equal(-1, partition_start_at(world->partition));
}

/* The commit says how young what was read could be at most. */
static void
test_commit_tells_until_when_records_were_read(void **state)
{
	struct world *world = *state;
	const char *map;

	world->partition->newest_at = 1700000000123456;
	read_five(world);
	map = strchr(world->metadata, '@');
	assert_non_null(map);
	assert_string_equal("@1700000001", map);
	assert_int_equal(1700000001000000,
	    partition_read_until(synq_slice_text(world->metadata)));

	/* Nothing younger is read: the next owner says the same. */
	world_assign(world, 1, world->metadata);
	partition_settle(world->partition);
	world_read(world, 1, 2);
	world_settle(world);
	assert_string_equal(map, strchr(world->metadata, '@'));
}

static void
test_commit_without_a_time_says_none(void **state)
{
	static const char *const texts[] = { "", "S1:AAAAAMdLZ0g", "@", "@x",
		"S1:AAAAAMdLZ0g@", "S1:AAAAAMdLZ0g@-1", "@99999999999999999999",
		"S1:AAAAAMdLZ0g@12@13" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(
		    -1, partition_read_until(synq_slice_text(texts[i])));
}

/* From where results are read when another takes over after five requests. */
static int64_t
results_from_after_five(struct world *world)
{
	read_five(world);
	world_assign(world, 1, world->metadata);
	return partition_reconcile_from(world->partition);
}

static void
test_results_that_end_early_are_read_from_their_end(void **state)
{
	struct world *world = *state;
	const int64_t from = results_from_after_five(world);

	assert_true(from > 50);
	partition_results_found(world->partition, from);
	assert_int_equal(from, partition_reconcile_from(world->partition));
	partition_results_found(world->partition, 50);
	assert_int_equal(50, partition_reconcile_from(world->partition));
}

static void
test_results_of_the_idle_are_not_read_again(void **state)
{
	struct world *world = *state;
	const int64_t from = results_from_after_five(world);

	partition_idle_until(world->partition, from + 100);
	assert_int_equal(
	    from + 100, partition_reconcile_from(world->partition));
	partition_idle_until(world->partition, from);
	assert_int_equal(
	    from + 100, partition_reconcile_from(world->partition));
}

/* What results say of the request that had this offset before is not of it. */
static void
test_two_lives_of_an_offset_are_told_apart(void **state)
{
	struct world *world = *state;
	const struct synq_outcome out =
	    world_started_by(world, "dispatcher-2", 9);
	struct synq_outcome before = out;

	before.kind = SYNQ_OUTCOME_RESULT;
	before.job_id.bytes[0] ^= 0xff;
	world_take_over(world);
	partition_outcome(world->partition, 7, &before);
	partition_outcome(world->partition, 8, &out);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	/* A live member has its call out. */
	assert_int_equal(0, world->sent_count);
	core_members(world->core, SYNQ_SOURCE_INTERACTIVE, NULL, 0);
	assert_int_equal(2, world_last(world)->attempt);
}

#define CUT_TEST(name)                                                         \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CUT_TEST(test_whole_log_is_read_on_behind_what_is_done),
		CUT_TEST(test_log_cut_in_the_window_is_read_from_the_commit_on),
		CUT_TEST(test_log_cut_below_the_commit_is_read_from_there),
		CUT_TEST(test_commit_tells_until_when_records_were_read),
		CUT_TEST(test_commit_without_a_time_says_none),
		CUT_TEST(test_results_that_end_early_are_read_from_their_end),
		CUT_TEST(test_results_of_the_idle_are_not_read_again),
		CUT_TEST(test_two_lives_of_an_offset_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
