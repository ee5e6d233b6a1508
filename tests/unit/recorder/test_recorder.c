/*
 * The recorder between a log and a database: where it reads on, what it writes
 * again, when it publishes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consumers/recorder/read.h"
#include "consumers/recorder/recorder.h"
#include "consumers/recorder/write.h"
#include "loop/loop.h"
#include "metric/metric.h"
#include "world.h"

static void
test_recorder_reads_on_where_the_database_stands(void **state)
{
	(void)state;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	assert_int_equal(0, world->starts);
	world_answer(0, 0, 5);
	assert_int_equal(5, world->started_at);
	world_message(SYNQ_TOPIC_INTERACTIVE, 5);
	write_flush(&world->recorder);
	world_assert_moves(5, 6);
	world_written(0);
}

static void
test_recorder_asks_again_when_the_database_could_not_say(void **state)
{
	(void)state;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, -SYNQ_E_TIMEOUT, -1);
	assert_int_equal(0, world->starts);
	world_again();
	assert_int_equal(2, world->ask_count);
	world_answer(1, 0, 7);

	assert_int_equal(1, world->starts);
	assert_int_equal(7, world->started_at);
}

static void
test_recorder_asks_again_when_the_pool_was_full(void **state)
{
	(void)state;
	world->pg_busy = 1;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world->pg_busy = 0;
	world_again();
	world_answer(0, 0, 7);

	assert_int_equal(7, world->started_at);
}

/* The database does as asked and is asked again: reading starts there. */
static void
go_back_to(int64_t next)
{
	world_rewound(0);
	world_answer(world->ask_count - 1, 0, next);
	assert_int_equal(next, world->started_at);
}

/* The broker came back with less than was recorded. */
static void
test_recorder_goes_back_to_the_end_of_a_cut_log(void **state)
{
	(void)state;
	for (int64_t end = 3; end <= 4; end++) {
		world->log.end = end;
		world->starts = 0;
		world_assign(SYNQ_TOPIC_INTERACTIVE);
		world_answer(world->ask_count - 1, 0, 5);
		assert_int_equal(0, world->starts);
		assert_int_equal(5, world->rewind_from);
		assert_int_equal(end, world->rewind_to);
		go_back_to(end);
		assert_int_equal(1, world->starts);
		world_revoke(SYNQ_TOPIC_INTERACTIVE);
	}
}

/* The broker has taken new records before we look, fewer than were lost. */
static void
test_recorder_goes_back_below_the_end_of_a_log_that_grows(void **state)
{
	(void)state;
	world->log = (struct log){ .anew = 2, .end = 4 };
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 5);
	assert_int_equal(5, world->rewind_from);
	assert_int_equal(2, world->rewind_to);
	go_back_to(2);
}

/* It was cut at 4, took new records and is longer again than it was. */
static void
test_recorder_reads_what_was_written_anew(void **state)
{
	(void)state;
	world->log = (struct log){ .anew = 4, .end = 100 };
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 10);
	assert_int_equal(10, world->rewind_from);
	assert_int_equal(4, world->rewind_to);
	world_rewound(-SYNQ_E_TIMEOUT); /* it may have moved, or not */
	assert_int_equal(0, world->starts);
	world_again();
	world_answer(1, 0, 10);
	go_back_to(4);
}

static void
test_recorder_goes_back_when_the_pool_has_room(void **state)
{
	(void)state;
	world->log.end = 3;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world->pg_busy = 1;
	world_answer(0, 0, 5);
	assert_null(world->rewound);
	world->pg_busy = 0;
	world_again();
	world_answer(1, 0, 5);
	go_back_to(3);
}

/* What was recorded last has expired: nothing can be said about it. */
static void
test_recorder_reads_on_where_the_last_record_has_expired(void **state)
{
	(void)state;
	world->log.first = 5;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 5);
	assert_int_equal(5, world->started_at);
}

static void
test_recorder_forgets_to_look_at_what_is_revoked(void **state)
{
	(void)state;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world->asks[0].fn(world->asks[0].ctx, 0, 5, 5);
	assert_non_null(world->stream);
	world_again(); /* is no reason to ask again */
	assert_int_equal(1, world->ask_count);
	world_revoke(SYNQ_TOPIC_INTERACTIVE);
	assert_null(world->stream);
	assert_int_equal(0, world->starts);
}

static void
read_some(size_t count)
{
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 0);
	for (size_t i = 0; i < count; i++)
		world_message(SYNQ_TOPIC_INTERACTIVE, (int64_t)i);
	assert_true(synq_timer_active(world->recorder.flush));
	assert_int_equal(0, world->writes);
}

static void
test_recorder_writes_a_little_when_its_time_is_over(void **state)
{
	(void)state;
	read_some(199);
	write_due(&world->recorder);
	assert_int_equal(1, world->writes);
	world_written(0);
}

/* Until the time for that, too, is over. */
static void
test_recorder_holds_a_batch_under_load(void **state)
{
	(void)state;
	read_some(200);
	write_due(&world->recorder);
	assert_int_equal(0, world->writes);
	assert_true(synq_timer_active(world->recorder.flush));
	world->recorder.filling_us -= 5000000;
	write_due(&world->recorder);
	assert_int_equal(1, world->writes);
	world_written(0);
}

/* The write of one batch ends while the next is held. */
static void
test_recorder_goes_on_to_hold_a_batch(void **state)
{
	(void)state;
	world_begin();
	world_message(SYNQ_TOPIC_INTERACTIVE, 6);
	world_written(0);
	assert_int_equal(1, world->writes);
	write_due(&world->recorder);
	assert_int_equal(2, world->writes);
	world_message(SYNQ_TOPIC_INTERACTIVE, 7);
	write_due(&world->recorder); /* its time is over meanwhile */
	world_written(0);
	assert_int_equal(3, world->writes);
	world_written(0);
}

/* Else the later answer would set back what was read meanwhile. */
static void
test_recorder_asks_once_at_a_time(void **state)
{
	(void)state;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	read_resume(&world->recorder);

	assert_int_equal(1, world->ask_count);
	world_answer(0, 0, 5);
}

static void
test_recorder_forgets_a_partition_revoked_while_it_asks(void **state)
{
	(void)state;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_revoke(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 5); /* of a place that is gone */

	assert_int_equal(0, world->starts);
}

/* It comes back before the first question is answered. */
static void
test_recorder_keeps_two_lives_of_a_partition_apart(void **state)
{
	(void)state;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_revoke(SYNQ_TOPIC_INTERACTIVE);
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 5);
	assert_int_equal(0, world->starts);
	world_answer(1, 0, 9);

	assert_int_equal(1, world->starts);
	assert_int_equal(9, world->started_at);
}

/* Two writes of one batch: the later could end the next batch's. */
static void
test_recorder_does_not_write_again_what_is_being_written(void **state)
{
	(void)state;
	world_begin();
	world_assign(SYNQ_TOPIC_RESULTS);
	world_answer(1, -SYNQ_E_TIMEOUT, -1);
	world_again();
	world_again();
	assert_int_equal(1, world->writes);
	assert_int_equal(2, world->ask_count);
	world_written(0);

	assert_int_equal(3, world->ask_count); /* where results stand */
	world_answer(2, 0, 0);
}

static void
test_recorder_writes_again_from_where_the_database_stands(void **state)
{
	(void)state;
	world_begin();
	world_written(-SYNQ_E_UNCERTAIN);
	world_again();
	world_answer(1, 0, 6); /* it had arrived after all */
	assert_int_equal(2, world->writes);
	world_assert_moves(6, 6);
	world_written(0);
	world_message(SYNQ_TOPIC_INTERACTIVE, 6);
	write_flush(&world->recorder);
	world_assert_moves(6, 7);
	world_written(0);
}

/* Another member had it for a while and went further. */
static void
test_recorder_follows_a_member_that_was_faster(void **state)
{
	(void)state;
	world_begin();
	world_written(-SYNQ_E_FENCED);
	world_again();
	world_answer(1, 0, 8);
	world_assert_moves(8, 8);
	world_written(0);
	world_message(SYNQ_TOPIC_INTERACTIVE, 7); /* recorded already */
	world_message(SYNQ_TOPIC_INTERACTIVE, 8);
	assert_int_equal(1, synq_batch_records(world->recorder.filling));
	write_flush(&world->recorder);
	world_assert_moves(8, 9);
	world_written(0);
}

static void
test_recorder_moves_no_offset_of_a_partition_that_went(void **state)
{
	(void)state;
	world_begin();
	world_revoke(SYNQ_TOPIC_INTERACTIVE);
	world_written(-SYNQ_E_FENCED);
	world_again();

	assert_int_equal(2, world->writes);
	assert_int_equal(0, world->in_write->offset_count);
	assert_int_equal(1, world->in_write->records);
	world_written(0);
}

/*
 * Its row was made before its first record was read, and by now offset 0 may
 * have expired: nobody can begin there any more.
 */
static void
test_recorder_begins_at_the_first_record_where_none_was_read(void **state)
{
	(void)state;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 0);

	assert_int_equal(-1, world->started_at);
}

static void
test_recorder_is_drained_when_all_is_written(void **state)
{
	(void)state;
	world_begin();
	world->recorder.draining = 1;
	world_written(-SYNQ_E_UNAVAILABLE);
	assert_false(world->drained);
	world_again();
	world_answer(1, 0, 5);
	world_assert_moves(5, 6);
	world_written(0);

	assert_true(world->drained);
}

/* No event is lost, and no batch is written while one waits. */
static void
test_recorder_keeps_events_until_there_is_room(void **state)
{
	size_t i;

	(void)state;
	world_begin();
	world_message(SYNQ_TOPIC_INTERACTIVE, 6);
	world->room = 2;
	world_written_jobs(5);
	assert_int_equal(2, world->publish_count);
	write_flush(&world->recorder);
	world->room = 1;
	world_again();
	assert_int_equal(3, world->publish_count);
	assert_int_equal(1, world->writes);
	assert_int_equal(1, world->ask_count); /* it was written */

	world->room = 8;
	world_again();
	assert_int_equal(5, world->publish_count);
	for (i = 0; i < 5; i++)
		assert_int_equal(i + 1, world->published[i]);
	assert_int_equal(2, world->writes);
	world_assert_moves(6, 7);
	world_written(0);
}

static void
test_recorder_is_drained_when_all_is_published(void **state)
{
	(void)state;
	world_begin();
	world->recorder.draining = 1;
	world_written_jobs(1);
	assert_false(world->drained);
	world->room = 1;
	world_again();
	assert_int_equal(1, world->publish_count);
	assert_true(world->drained);
}

/* Interactive stands at 5 and results at 8, both not yet at their end. */
static void
begin_two(void)
{
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_assign(SYNQ_TOPIC_RESULTS);
	world_answer(0, 0, 5);
	world_answer(1, 0, 8);
}

/* What the running write says about the ${index}th place. */
static int64_t
as_of_at(size_t index)
{
	assert_non_null(world->in_write);
	assert_true(index < world->in_write->offset_count);
	return world->in_write->offsets[index].as_of;
}

/* It is as fresh as the last fetch was when it was written, after ${from}. */
static void
assert_fresh(int64_t as_of, int64_t from)
{
	const int64_t to = synq_loop_wall_us(world->recorder.loop);

	assert_in_range(as_of + (int64_t)world->behind_us, from, to);
}

/* Under load there is no other time to say it. */
static void
test_recorder_says_with_each_batch_that_a_place_is_idle(void **state)
{
	const int64_t from = synq_loop_wall_us(world->recorder.loop);

	(void)state;
	world->behind_us = 3000000;
	begin_two();
	world_end(SYNQ_TOPIC_INTERACTIVE);
	world_end(SYNQ_TOPIC_RESULTS);
	world_message(SYNQ_TOPIC_INTERACTIVE, 5);
	write_beat(&world->recorder); /* a record waits: not now */
	assert_int_equal(0, world->writes);
	write_flush(&world->recorder);
	assert_int_equal(5, as_of_at(0)); /* more may have come with it */
	assert_fresh(as_of_at(1), from);
	world_message(SYNQ_TOPIC_INTERACTIVE, 6);
	world_end(SYNQ_TOPIC_INTERACTIVE);
	world_written(0);
	write_flush(&world->recorder);
	assert_fresh(as_of_at(0), from);
	world_written(0);
}

static void
test_recorder_says_that_a_place_is_idle_where_nothing_comes(void **state)
{
	const int64_t from = synq_loop_wall_us(world->recorder.loop);

	(void)state;
	world->behind_us = 3000000;
	begin_two();
	write_beat(&world->recorder);
	assert_int_equal(0, world->writes); /* nothing is known yet */
	world_end(SYNQ_TOPIC_RESULTS);
	write_beat(&world->recorder);
	assert_int_equal(0, as_of_at(0));
	assert_fresh(as_of_at(1), from);
	world_written(0);
}

static void
test_recorder_does_not_know_an_end_that_nobody_looked_at(void **state)
{
	(void)state;
	world->behind_us = UINT64_MAX;
	begin_two();
	world_end(SYNQ_TOPIC_INTERACTIVE);
	world_end(SYNQ_TOPIC_RESULTS);
	write_beat(&world->recorder);
	assert_int_equal(0, as_of_at(0));
	assert_int_equal(0, as_of_at(1));
	world_written(0);
}

/* What is read while it is written is in the next batch. */
static void
test_recorder_says_no_more_when_it_writes_again(void **state)
{
	(void)state;
	world_begin();
	world_message(SYNQ_TOPIC_INTERACTIVE, 6);
	world_end(SYNQ_TOPIC_INTERACTIVE);
	world_written(-SYNQ_E_UNCERTAIN);
	world_again();
	world_answer(1, 0, 5);
	world_assert_moves(5, 6);
	assert_int_equal(5, as_of_at(0));
	world_written(0);
}

/* It leaves to its successor what comes then. */
static void
test_recorder_is_at_no_end_when_it_is_drained(void **state)
{
	(void)state;
	world_begin();
	world_message(SYNQ_TOPIC_INTERACTIVE, 6);
	world_end(SYNQ_TOPIC_INTERACTIVE);
	world->recorder.draining = 1;
	world_message(SYNQ_TOPIC_INTERACTIVE, 7);
	world_written(0);
	write_flush(&world->recorder);
	world_assert_moves(6, 7);
	assert_int_equal(6, as_of_at(0));
	world_written(0);
}

/* The counter, or number of observations, of ${id} with ${label} or NULL. */
static uint64_t
counted(enum synq_metric_id id, const char *label)
{
	return synq_series_count(synq_metric_series(
	    world->metrics, id, (const char *const[]){ label }));
}

static void
test_recorder_counts_a_batch_once_it_is_written(void **state)
{
	(void)state;
	world_begin();
	world_written(-SYNQ_E_FENCED);
	assert_int_equal(1, counted(SYNQ_M_RECORDER_FENCED_TOTAL, NULL));
	assert_int_equal(0, counted(SYNQ_M_RECORDER_BATCH_SECONDS, NULL));
	world_again();
	world_answer(1, 0, 5);
	world_written(-SYNQ_E_TIMEOUT);
	world_again();
	world_answer(2, 0, 5);
	world_written(0);

	assert_int_equal(1, counted(SYNQ_M_RECORDER_FENCED_TOTAL, NULL));
	assert_int_equal(1, counted(SYNQ_M_RECORDER_BATCH_SECONDS, NULL));
	assert_int_equal(1, counted(SYNQ_M_RECORDER_ROWS_TOTAL, "job"));
	assert_int_equal(2, counted(SYNQ_M_RECORDER_ROWS_TOTAL, "attempt"));
	assert_int_equal(3, counted(SYNQ_M_ILLEGAL_MOVES_TOTAL, NULL));
}

static void
test_recorder_counts_what_does_not_decode(void **state)
{
	(void)state;
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 5);
	world_read(SYNQ_TOPIC_INTERACTIVE, 5, synq_slice_text("?"));
	world_message(SYNQ_TOPIC_INTERACTIVE, 6);

	assert_int_equal(1, counted(SYNQ_M_RECORDS_SKIPPED_TOTAL, "corrupt"));
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_recorder_reads_on_where_the_database_stands),
		TEST(test_recorder_asks_again_when_the_database_could_not_say),
		TEST(test_recorder_asks_again_when_the_pool_was_full),
		TEST(test_recorder_goes_back_to_the_end_of_a_cut_log),
		TEST(test_recorder_goes_back_below_the_end_of_a_log_that_grows),
		TEST(test_recorder_reads_what_was_written_anew),
		TEST(test_recorder_goes_back_when_the_pool_has_room),
		TEST(test_recorder_reads_on_where_the_last_record_has_expired),
		TEST(test_recorder_forgets_to_look_at_what_is_revoked),
		TEST(test_recorder_writes_a_little_when_its_time_is_over),
		TEST(test_recorder_holds_a_batch_under_load),
		TEST(test_recorder_goes_on_to_hold_a_batch),
		TEST(test_recorder_asks_once_at_a_time),
		TEST(test_recorder_forgets_a_partition_revoked_while_it_asks),
		TEST(test_recorder_keeps_two_lives_of_a_partition_apart),
		TEST(test_recorder_does_not_write_again_what_is_being_written),
		TEST(test_recorder_writes_again_from_where_the_database_stands),
		TEST(test_recorder_follows_a_member_that_was_faster),
		TEST(test_recorder_moves_no_offset_of_a_partition_that_went),
		TEST(
		    test_recorder_begins_at_the_first_record_where_none_was_read),
		TEST(test_recorder_is_drained_when_all_is_written),
		TEST(test_recorder_keeps_events_until_there_is_room),
		TEST(test_recorder_is_drained_when_all_is_published),
		TEST(test_recorder_says_with_each_batch_that_a_place_is_idle),
		TEST(
		    test_recorder_says_that_a_place_is_idle_where_nothing_comes),
		TEST(test_recorder_does_not_know_an_end_that_nobody_looked_at),
		TEST(test_recorder_says_no_more_when_it_writes_again),
		TEST(test_recorder_is_at_no_end_when_it_is_drained),
		TEST(test_recorder_counts_a_batch_once_it_is_written),
		TEST(test_recorder_counts_what_does_not_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
