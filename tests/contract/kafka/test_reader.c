/*
 * The reader against a real broker: where streams start, when they have caught
 * up, and that streams of one partition do not disturb each other.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker.h"
#include "kafka/admin.h"
#include "kafka/producer.h"
#include "kafka/reader.h"
#include "loop/loop.h"

#define RECORDS 1000
#define FIRST_TIME_US INT64_C(1700000000000000)
#define STREAMS 4

struct follower {
	struct synq_reader_stream *stream;
	int64_t found; /* where it was said to begin, -1 = not yet */
	int64_t first; /* offset seen first, -1 = none */
	int64_t next;
	size_t count;
	int caught_up;
	size_t count_then; /* when it had caught up */
	size_t close_at;   /* closes itself after so many; 0 = never */
};

struct world {
	struct synq_loop *loop;
	struct synq_reader *reader;
	struct synq_producer *producer;
	char topic[64];
	size_t acked;
	size_t wanted;
	struct follower followers[STREAMS];
};

static void
on_ack(void *ctx, int rc, SYNQ_UNUSED int64_t offset)
{
	struct world *world = ctx;

	assert_int_equal(rc, 0);
	world->acked++;
}

static int
is_open(void *ctx)
{
	struct world *world = ctx;

	return synq_producer_partitions(world->producer, world->topic) > 0;
}

static int
is_acked(void *ctx)
{
	struct world *world = ctx;

	return world->acked == world->wanted;
}

/* Record i has the time FIRST_TIME_US + i seconds. */
static void
produce(struct world *world, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct synq_producer_record record = {
			.topic = world->topic,
			.value = synq_slice_text("value"),
			.time_us = FIRST_TIME_US +
			           (int64_t)(world->wanted + i) * 1000000,
			.ack = on_ack,
			.ctx = world,
		};

		assert_int_equal(
		    synq_producer_send(world->producer, &record), 0);
	}
	world->wanted += count;
	assert_true(broker_turn(world->loop, is_acked, world, 10000));
}

static struct world *
begin(const char *stem, size_t count)
{
	struct world *world = synq_mem_new(sizeof(*world));
	struct synq_kafka_config config = broker_config();
	const char *topics[2] = { world->topic, NULL };

	world->loop = broker_loop();
	broker_topic(stem, 1, world->topic);
	assert_int_equal(synq_producer_new(world->loop, &config, topics,
			     &world->producer, NULL),
	    0);
	assert_int_equal(
	    synq_reader_new(world->loop, &config, &world->reader, NULL), 0);
	assert_true(broker_turn(world->loop, is_open, world, 10000));
	produce(world, count);
	return world;
}

static void
finish(struct world *world)
{
	synq_reader_free(&world->reader, 3000);
	synq_producer_free(&world->producer, 1000);
	synq_loop_free(&world->loop);
	synq_mem_free(world);
}

static void
on_message(void *ctx, const struct synq_kafka_message *message)
{
	struct follower *f = ctx;

	if (f->count++ == 0)
		f->first = message->offset;
	else
		assert_int_equal(message->offset, f->next);
	f->next = message->offset + 1;
	assert_non_null(f->stream);
	if (f->count == f->close_at)
		synq_reader_close(&f->stream);
}

static void
on_found(void *ctx, int64_t offset)
{
	struct follower *f = ctx;

	assert_int_equal(f->found, -1);
	assert_int_equal(f->count, 0);
	assert_false(f->caught_up);
	f->found = offset;
}

static void
on_caught_up(void *ctx)
{
	struct follower *f = ctx;

	assert_false(f->caught_up);
	f->caught_up = 1;
	f->count_then = f->count;
}

static void
follow(struct world *world, int which, enum synq_reader_from from, int64_t at)
{
	struct follower *f = &world->followers[which];
	struct synq_reader_request request = {
		.topic = world->topic,
		.from = from,
		.at = at,
		.events = { .on_message = on_message,
		    .on_caught_up = on_caught_up,
		    .on_found = on_found },
		.ctx = f,
	};

	f->found = f->first = -1;
	f->stream = synq_reader_open(world->reader, &request);
	assert_int_equal(synq_reader_position(f->stream), -1);
}

static int
all_caught_up(void *ctx)
{
	struct world *world = ctx;

	for (int i = 0; i < STREAMS; i++)
		if (world->followers[i].stream != NULL &&
		    !world->followers[i].caught_up)
			return 0;
	return 1;
}

static void
test_streams_of_a_partition_start_where_they_ask(SYNQ_UNUSED void **state)
{
	struct world *world = begin("starts", RECORDS);

	follow(world, 0, SYNQ_READ_FIRST, 0);
	follow(world, 1, SYNQ_READ_OFFSET, 400);
	follow(world, 2, SYNQ_READ_TIME, FIRST_TIME_US + 699500000);
	follow(world, 3, SYNQ_READ_END, 0);
	assert_true(broker_turn(world->loop, all_caught_up, world, 10000));

	assert_int_equal(world->followers[0].first, 0);
	assert_int_equal(world->followers[0].count_then, RECORDS);
	assert_int_equal(world->followers[1].first, 400);
	assert_int_equal(world->followers[1].count_then, RECORDS - 400);
	assert_int_equal(world->followers[2].first, 700);
	assert_int_equal(world->followers[3].count_then, 0);

	produce(world, 50);
	broker_idle(world->loop, 500);
	assert_int_equal(world->followers[3].first, RECORDS);
	for (int i = 0; i < STREAMS; i++) {
		assert_int_equal(world->followers[i].next, RECORDS + 50);
		assert_int_equal(
		    synq_reader_position(world->followers[i].stream),
		    RECORDS + 50);
	}
	finish(world);
}

static void
test_stream_of_nothing_has_caught_up(SYNQ_UNUSED void **state)
{
	struct world *world = begin("nothing", 0);

	follow(world, 0, SYNQ_READ_FIRST, 0);
	follow(world, 1, SYNQ_READ_TIME, FIRST_TIME_US);
	assert_true(broker_turn(world->loop, all_caught_up, world, 10000));
	assert_int_equal(world->followers[0].count, 0);
	finish(world);
}

/* An offset above the end is taken as the end, one below as the first. */
static void
test_offset_outside_the_log_is_brought_inside(SYNQ_UNUSED void **state)
{
	struct world *world = begin("outside", 10);

	follow(world, 0, SYNQ_READ_OFFSET, 1000);
	follow(world, 1, SYNQ_READ_OFFSET, -5);
	assert_true(broker_turn(world->loop, all_caught_up, world, 10000));
	assert_int_equal(world->followers[0].count, 0);
	assert_int_equal(world->followers[0].found, 10);
	assert_int_equal(world->followers[1].count, 10);
	assert_int_equal(world->followers[1].found, 0);
	finish(world);
}

static void
test_closed_stream_is_silent_and_opens_again(SYNQ_UNUSED void **state)
{
	struct world *world = begin("close", RECORDS);

	world->followers[0].close_at = 10;
	follow(world, 0, SYNQ_READ_FIRST, 0);
	follow(world, 1, SYNQ_READ_FIRST, 0);
	synq_reader_close(&world->followers[1].stream);
	broker_idle(world->loop, 1000);
	assert_int_equal(world->followers[0].count, 10);
	assert_null(world->followers[0].stream);
	assert_int_equal(world->followers[1].count, 0);

	memset(world->followers, 0, sizeof(world->followers));
	follow(world, 0, SYNQ_READ_OFFSET, 5);
	assert_true(broker_turn(world->loop, all_caught_up, world, 10000));
	assert_int_equal(world->followers[0].count, RECORDS - 5);
	finish(world);
}

static int
is_found(void *ctx)
{
	const struct follower *f = ctx;

	return f->found >= 0;
}

/*
 * A question lies behind no fetch that waits for records, and its answer is
 * taken when it is there: each of the two cost a tenth of a second once.
 */
static void
test_questions_do_not_wait_for_records(SYNQ_UNUSED void **state)
{
	struct world *world = begin("questions", 10);
	struct synq_reader_request question = {
		.topic = world->topic,
		.from = SYNQ_READ_END,
		.events = { .on_found = on_found },
	};
	struct follower f = { 0 };
	uint64_t began_us;

	follow(world, 0, SYNQ_READ_END, 0);
	assert_true(broker_turn(world->loop, all_caught_up, world, 10000));
	broker_idle(world->loop, 1500); /* its fetches wait by now */
	question.ctx = &f;
	began_us = synq_clock_mono_us();
	for (int i = 0; i < 10; i++) {
		f.found = -1;
		f.stream = synq_reader_open(world->reader, &question);
		assert_true(broker_turn(world->loop, is_found, &f, 10000));
		assert_int_equal(f.found, 10);
		synq_reader_close(&f.stream);
	}
	assert_true(synq_clock_mono_us() - began_us < 1000000);
	finish(world);
}

static void
test_admin_sees_what_is_there(SYNQ_UNUSED void **state)
{
	struct synq_topic_spec spec = { .partitions = 3, .replicas = -1 };
	const char *settings[] = { "cleanup.policy", "compact", NULL };
	struct synq_err err = { 0 };
	char name[64];
	int32_t count = 0;

	broker_topic("admin", 2, name);
	spec.name = name;
	assert_int_equal(
	    synq_kafka_create_topics(broker_list(), &spec, 1, &err),
	    -SYNQ_E_CONFLICT);
	spec.partitions = 2;
	spec.settings = settings;
	assert_int_equal(
	    synq_kafka_create_topics(broker_list(), &spec, 1, &err), 0);
	assert_int_equal(
	    synq_kafka_partitions(broker_list(), name, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_int_equal(
	    synq_kafka_partitions(broker_list(), "nobody", &count, &err),
	    -SYNQ_E_NOT_FOUND);
	settings[1] = "nonsense";
	spec.name = "synq-never-made";
	assert_int_equal(
	    synq_kafka_create_topics(broker_list(), &spec, 1, &err),
	    -SYNQ_E_REFUSED);
	assert_int_equal(
	    synq_kafka_produce_once(broker_list(), name, synq_slice_text("key"),
		synq_slice_text("value"), &err),
	    0);
	assert_int_equal(synq_kafka_wait(broker_list(), 5000, &err), 0);
	assert_int_equal(
	    synq_kafka_wait("127.0.0.1:1", 300, &err), -SYNQ_E_UNAVAILABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_streams_of_a_partition_start_where_they_ask),
		cmocka_unit_test(test_stream_of_nothing_has_caught_up),
		cmocka_unit_test(test_offset_outside_the_log_is_brought_inside),
		cmocka_unit_test(test_closed_stream_is_silent_and_opens_again),
		cmocka_unit_test(test_questions_do_not_wait_for_records),
		cmocka_unit_test(test_admin_sees_what_is_there),
	};

	if (broker_list() == NULL)
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
