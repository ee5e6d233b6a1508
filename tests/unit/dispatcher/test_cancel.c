/*
 * Cancels that the dispatcher's core keeps until their request is read: whose
 * room they take, and when they are forgotten.
 */

#include "consumers/dispatcher/cancel.h"
#include "consumers/dispatcher/work.h"
#include "world.h"

#define SECOND_US 1000000LL

/* The id of the job ${number} of many. */
static struct synq_uuid
many_id(uint32_t number)
{
	struct synq_uuid id = world_id(0);

	id.bytes[0] = 128;
	id.bytes[1] = (uint8_t)(number >> 16);
	id.bytes[2] = (uint8_t)(number >> 8);
	id.bytes[3] = (uint8_t)number;
	return id;
}

/* Ask ${partition} to cancel ${count} jobs that it never reads. */
static int
ask_many(struct world *world, struct partition *partition, uint32_t count)
{
	int forgotten = 0;

	for (uint32_t i = 0; i < count; i++)
		forgotten += world_cancel(world, partition, many_id(i));
	return forgotten;
}

static size_t
kept(const struct partition *partition)
{
	return synq_map_count(partition->cancels);
}

static void
test_cancel_outlives_the_many_of_another_partition(void **state)
{
	struct world *world = *state;
	struct partition *other =
	    partition_new(world->core, SYNQ_SOURCE_INTERACTIVE, 4);

	assert_int_equal(0, world_cancel(world, world->partition, world_id(1)));
	assert_int_equal(2, ask_many(world, other, CANCELS_KEPT + 2));
	assert_int_equal(CANCELS_KEPT, kept(other));
	partition_free(&other, 0);
	world_read(world, 0, 1);
	world_ack(world);

	assert_int_equal(SYNQ_JOB_CANCELLED, world_last(world)->state);
	assert_int_equal(0, world->call_count);
}

/* The oldest goes, and whoever asked is told that one did. */
static void
test_cancel_is_forgotten_for_a_newer_one_and_it_is_said(void **state)
{
	struct world *world = *state;

	(void)world_cancel(world, world->partition, world_id(1));
	(void)world_cancel(world, world->partition, world_id(2));
	assert_int_equal(
	    0, ask_many(world, world->partition, CANCELS_KEPT - 2));
	assert_int_equal(0, world_cancel(world, world->partition, world_id(1)));
	assert_int_equal(1, world_cancel(world, world->partition, world_id(3)));
	world_read(world, 0, 1);
	world_ack(world);
	assert_int_equal(1, world->call_count);
	world_read(world, 1, 2);
	world_ack(world);

	assert_int_equal(1, world->call_count);
	assert_int_equal(1, world->core->counts.cancelled);
}

static void
test_cancel_of_a_job_that_ended_here_takes_no_room(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);
	(void)world_cancel(world, world->partition, world_id(1));

	assert_int_equal(0, kept(world->partition));
}

/* Results and cancels are read at once: either may come first. */
static void
test_cancel_of_a_job_that_others_ended_takes_no_room(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = world_ended(world);

	partition_free(&world->partition, 1);
	world_assign(world, 150, "");
	outcome.source.offset = 100;
	(void)world_cancel(world, world->partition, world_id(1));
	assert_int_equal(1, kept(world->partition));
	partition_outcome(world->partition, 7, &outcome);
	assert_int_equal(0, kept(world->partition));
	(void)world_cancel(world, world->partition, world_id(1));

	assert_int_equal(0, kept(world->partition));
}

/* Both topics' partitions of one number read the same cancels. */
static void
test_cancel_of_the_other_topic_is_forgotten_when_its_job_ends(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = world_ended(world);

	outcome.source.topic = SYNQ_SOURCE_BATCH;
	(void)world_cancel(world, world->partition, world_id(1));
	(void)world_cancel(world, world->partition, world_id(2));
	partition_outcome(world->partition, 7, &outcome);

	assert_int_equal(1, kept(world->partition));
}

static void
test_cancel_stays_when_another_organization_ends_a_job_of_that_id(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = world_ended(world);

	outcome.source.topic = SYNQ_SOURCE_BATCH;
	outcome.organization_id = world_id(201);
	(void)world_cancel(world, world->partition, world_id(1));
	partition_outcome(world->partition, 7, &outcome);

	assert_int_equal(1, kept(world->partition));
}

/* Whatever it was for lies before what is read now, or nowhere. */
static void
test_cancel_is_forgotten_when_requests_are_read_that_are_much_younger(
    void **state)
{
	struct world *world = *state;

	(void)world_cancel(world, world->partition, world_id(2));
	world->now_at += 600 * SECOND_US;
	(void)world_cancel(world, world->partition, world_id(3));
	world_read(world, 0, 1);
	assert_int_equal(2, kept(world->partition));
	world->now_at += 3300 * SECOND_US;
	world_read(world, 1, 4);
	assert_int_equal(1, kept(world->partition));

	world_read(world, 2, 3);
	assert_int_equal(0, kept(world->partition));
	world_ack(world);
	assert_int_equal(1, world->core->counts.cancelled);
}

/* However old: the request is as old, and read only now. */
static void
test_cancel_waits_for_a_request_that_is_read_late(void **state)
{
	struct world *world = *state;
	const struct synq_request request = world_request(world, 1);

	(void)world_cancel(world, world->partition, world_id(1));
	world_read(world, 0, 2);
	world->now_at += 3000 * SECOND_US;
	world_read(world, 1, 3);
	(void)world_put(world, 2, &request);
	world_ack(world);

	assert_int_equal(1, world->core->counts.cancelled);
}

#define CANCEL_TEST(name)                                                      \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CANCEL_TEST(test_cancel_outlives_the_many_of_another_partition),
		CANCEL_TEST(
		    test_cancel_is_forgotten_for_a_newer_one_and_it_is_said),
		CANCEL_TEST(test_cancel_of_a_job_that_ended_here_takes_no_room),
		CANCEL_TEST(
		    test_cancel_of_a_job_that_others_ended_takes_no_room),
		CANCEL_TEST(
		    test_cancel_of_the_other_topic_is_forgotten_when_its_job_ends),
		CANCEL_TEST(
		    test_cancel_stays_when_another_organization_ends_a_job_of_that_id),
		CANCEL_TEST(
		    test_cancel_is_forgotten_when_requests_are_read_that_are_much_younger),
		CANCEL_TEST(test_cancel_waits_for_a_request_that_is_read_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
