/*
 * The recorder between a log and a database that only note what they are
 * asked, and answer when the test says so.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "consumers/recorder/publish.h"
#include "consumers/recorder/read.h"
#include "consumers/recorder/recorder.h"
#include "consumers/recorder/write.h"
#include "kafka/producer.h"
#include "loop/loop.h"
#include "service/service.h"
#include "store/record.h"

#define ASKS_MAX 16

/* A batch counts its records; what they say is the store's. */
struct synq_batch {
	size_t records;
	struct synq_batch_offset offsets[4];
	size_t offset_count;
};

/* A question or a write without an answer. */
struct ask {
	synq_offset_fn *fn;
	void *ctx;
	char topic[40];
};

struct world {
	struct recorder recorder;
	struct ask asks[ASKS_MAX];
	size_t ask_count; /* ever */
	int pg_busy;
	synq_batch_fn *written;
	void *written_ctx;
	struct synq_batch *in_write; /* NULL = none */
	size_t writes;
	size_t starts;
	int64_t started_at;
	int drained;
	size_t room; /* of the producer of events */
	uint8_t published[16];
	size_t publish_count;
};

static struct world *world;
static struct synq_config config = { .recorder_batch_rows = 2000,
	.recorder_batch_ms = 1000,
	.kafka_partitions = 16 };

/* ---- the store ---- */

struct synq_batch *
synq_batch_new(void)
{
	return synq_mem_new(sizeof(struct synq_batch));
}

void
synq_batch_free(struct synq_batch **batch)
{
	synq_mem_free(*batch);
	*batch = NULL;
}

void
synq_batch_clear(struct synq_batch *batch)
{
	assert_ptr_not_equal(world->in_write, batch);
	memset(batch, 0, sizeof(*batch));
}

void
synq_batch_request(struct synq_batch *batch, const struct synq_request *request)
{
	(void)request;
	batch->records++;
}

void
synq_batch_outcome(struct synq_batch *batch, const struct synq_outcome *outcome)
{
	(void)outcome;
	batch->records++;
}

void
synq_batch_offset(
    struct synq_batch *batch, const struct synq_batch_offset *offset)
{
	assert_ptr_not_equal(world->in_write, batch);
	batch->offsets[batch->offset_count++] = *offset;
}

void
synq_batch_clear_offsets(struct synq_batch *batch)
{
	assert_ptr_not_equal(world->in_write, batch);
	batch->offset_count = 0;
}

size_t
synq_batch_records(const struct synq_batch *batch)
{
	return batch->records;
}

size_t
synq_batch_bytes(const struct synq_batch *batch)
{
	return batch->records;
}

int
synq_batch_write(
    struct synq_batch *batch, struct synq_pg *pg, synq_batch_fn *fn, void *ctx)
{
	(void)pg;
	assert_null(world->in_write); /* one at a time */
	world->in_write = batch;
	world->written = fn;
	world->written_ctx = ctx;
	world->writes++;
	return 0;
}

int
synq_store_offset(struct synq_pg *pg, const char *topic, int32_t partition,
    synq_offset_fn *fn, void *ctx)
{
	struct ask *ask = &world->asks[world->ask_count];

	(void)pg;
	(void)partition;
	if (world->pg_busy)
		return -SYNQ_E_BUSY;
	assert_true(world->ask_count < ASKS_MAX);
	ask->fn = fn;
	ask->ctx = ctx;
	(void)snprintf(ask->topic, sizeof(ask->topic), "%s", topic);
	world->ask_count++;
	return 0;
}

/* ---- the log and the shell ---- */

void
synq_consumer_start(struct synq_consumer *consumer, const char *topic,
    int32_t partition, int64_t offset)
{
	(void)consumer;
	(void)topic;
	(void)partition;
	world->starts++;
	world->started_at = offset;
}

void
synq_consumer_resume(
    struct synq_consumer *consumer, const char *topic, int32_t partition)
{
	(void)consumer;
	(void)topic;
	(void)partition;
}

int
synq_producer_send(
    struct synq_producer *producer, const struct synq_producer_record *record)
{
	struct synq_event event;

	(void)producer;
	if (world->room == 0)
		return -SYNQ_E_BUSY;
	world->room--;
	assert_int_equal(0, synq_event_decode(record->value, &event));
	assert_true(synq_slice_is(event.model, "small"));
	world->published[world->publish_count++] = event.job_id.bytes[0];
	return 0;
}

const struct synq_config *
synq_service_config(const struct synq_service *service)
{
	(void)service;
	return &config;
}

void
synq_service_drained(struct synq_service *service)
{
	(void)service;
	world->drained = 1;
}

void
synq_service_fail(struct synq_service *service, const struct synq_err *err)
{
	(void)service;
	(void)err;
	fail();
}

/* ---- steps ---- */

static void
nothing(void *ctx)
{
	(void)ctx;
}

static int
setup(void **state)
{
	struct recorder *recorder;

	(void)state;
	world = synq_mem_new(sizeof(*world));
	recorder = &world->recorder;
	assert_int_equal(0, synq_loop_new(&recorder->loop, NULL));
	synq_list_init(&recorder->places);
	synq_list_init(&recorder->due);
	synq_buf_init(&recorder->scratch, 65536);
	recorder->filling = synq_batch_new();
	recorder->writing = synq_batch_new();
	recorder->flush = synq_timer_new(recorder->loop, nothing, NULL);
	recorder->again = synq_timer_new(recorder->loop, nothing, NULL);
	return 0;
}

static void
revoke(const char *topic)
{
	read_events().on_revoke(&world->recorder, topic, 3, 0);
}

static int
teardown(void **state)
{
	struct recorder *recorder = &world->recorder;

	(void)state;
	revoke(SYNQ_TOPIC_INTERACTIVE);
	revoke(SYNQ_TOPIC_RESULTS);
	synq_timer_free(&recorder->flush);
	synq_timer_free(&recorder->again);
	world->in_write = NULL;
	publish_free(recorder);
	synq_batch_free(&recorder->filling);
	synq_batch_free(&recorder->writing);
	synq_buf_done(&recorder->scratch);
	synq_loop_free(&recorder->loop);
	synq_mem_free(world);
	return 0;
}

static void
assign(const char *topic)
{
	read_events().on_assign(&world->recorder, topic, 3);
}

/* PostgreSQL answers question ${index}. */
static void
answer(size_t index, int rc, int64_t next)
{
	struct ask ask = world->asks[index];

	assert_non_null(ask.fn);
	world->asks[index].fn = NULL;
	ask.fn(ask.ctx, rc, next);
}

/* PostgreSQL ends the write. */
static void
written(int rc)
{
	assert_non_null(world->in_write);
	world->in_write = NULL;
	world->written(world->written_ctx, rc, NULL, 0, NULL);
}

/* PostgreSQL ends the write, which queued the ${count} jobs 1, 2, ... */
static void
written_jobs(size_t count)
{
	struct synq_event events[8];
	char model[] = "small";
	size_t i;

	assert_non_null(world->in_write);
	world->in_write = NULL;
	memset(events, 0, sizeof(events));
	for (i = 0; i < count; i++) {
		memset(&events[i].job_id, (int)i + 1, sizeof(struct synq_uuid));
		events[i].organization_id = events[i].job_id;
		events[i].happened_at = 1;
		events[i].state = SYNQ_JOB_QUEUED;
		events[i].model = synq_slice_text(model);
	}
	world->written(world->written_ctx, 0, events, count, NULL);
	memset(model, '?', sizeof(model) - 1); /* it was only lent */
}

/* The timer ${again} fires. */
static void
again(void)
{
	synq_timer_stop(world->recorder.again);
	write_again(&world->recorder);
}

/* A record of ${topic} at ${offset} is read. */
static void
message(const char *topic, int64_t offset)
{
	struct synq_request request = { .endpoint = SYNQ_ENDPOINT_CHAT,
		.max_attempts = 1,
		.model = synq_slice_text("m"),
		.body = synq_slice_text("{}") };
	struct synq_kafka_message message = {
		.topic = topic, .partition = 3, .offset = offset, .time_us = 1
	};
	struct synq_buf value;

	memset(&request.job_id, 1, sizeof(request.job_id));
	memset(&request.organization_id, 1, sizeof(request.organization_id));
	synq_buf_init(&value, 4096);
	synq_request_encode(&request, &value);
	message.value = synq_buf_view(&value);
	(void)read_events().on_message(&world->recorder, &message);
	synq_buf_done(&value);
}

static void
begin(void)
{
	assign(SYNQ_TOPIC_INTERACTIVE);
	answer(0, 0, 5);
	message(SYNQ_TOPIC_INTERACTIVE, 5);
	write_flush(&world->recorder);
}

/* What the one offset of the running write says. */
static void
assert_moves(int64_t expected, int64_t next)
{
	const struct synq_batch *batch = world->in_write;

	assert_non_null(batch);
	assert_int_equal(1, batch->offset_count);
	assert_int_equal(expected, batch->offsets[0].expected);
	assert_int_equal(next, batch->offsets[0].next);
}

static void
test_recorder_reads_on_where_the_database_stands(void **state)
{
	(void)state;
	assign(SYNQ_TOPIC_INTERACTIVE);
	assert_int_equal(0, world->starts);
	answer(0, 0, 5);
	assert_int_equal(5, world->started_at);
	message(SYNQ_TOPIC_INTERACTIVE, 5);
	write_flush(&world->recorder);
	assert_moves(5, 6);
	written(0);
}

static void
test_recorder_asks_again_when_the_database_could_not_say(void **state)
{
	(void)state;
	assign(SYNQ_TOPIC_INTERACTIVE);
	answer(0, -SYNQ_E_TIMEOUT, -1);
	assert_int_equal(0, world->starts);
	again();
	assert_int_equal(2, world->ask_count);
	answer(1, 0, 7);

	assert_int_equal(1, world->starts);
	assert_int_equal(7, world->started_at);
}

static void
test_recorder_asks_again_when_the_pool_was_full(void **state)
{
	(void)state;
	world->pg_busy = 1;
	assign(SYNQ_TOPIC_INTERACTIVE);
	world->pg_busy = 0;
	again();
	answer(0, 0, 7);

	assert_int_equal(7, world->started_at);
}

/* Else the later answer would set back what was read meanwhile. */
static void
test_recorder_asks_once_at_a_time(void **state)
{
	(void)state;
	assign(SYNQ_TOPIC_INTERACTIVE);
	read_resume(&world->recorder);

	assert_int_equal(1, world->ask_count);
	answer(0, 0, 5);
}

static void
test_recorder_forgets_a_partition_revoked_while_it_asks(void **state)
{
	(void)state;
	assign(SYNQ_TOPIC_INTERACTIVE);
	revoke(SYNQ_TOPIC_INTERACTIVE);
	answer(0, 0, 5); /* of a place that is gone */

	assert_int_equal(0, world->starts);
}

/* It comes back before the first question is answered. */
static void
test_recorder_keeps_two_lives_of_a_partition_apart(void **state)
{
	(void)state;
	assign(SYNQ_TOPIC_INTERACTIVE);
	revoke(SYNQ_TOPIC_INTERACTIVE);
	assign(SYNQ_TOPIC_INTERACTIVE);
	answer(0, 0, 5);
	assert_int_equal(0, world->starts);
	answer(1, 0, 9);

	assert_int_equal(1, world->starts);
	assert_int_equal(9, world->started_at);
}

/* Two writes of one batch: the later could end the next batch's. */
static void
test_recorder_does_not_write_again_what_is_being_written(void **state)
{
	(void)state;
	begin();
	assign(SYNQ_TOPIC_RESULTS);
	answer(1, -SYNQ_E_TIMEOUT, -1);
	again();
	again();
	assert_int_equal(1, world->writes);
	assert_int_equal(2, world->ask_count);
	written(0);

	assert_int_equal(3, world->ask_count); /* where results stand */
	answer(2, 0, 0);
}

static void
test_recorder_writes_again_from_where_the_database_stands(void **state)
{
	(void)state;
	begin();
	written(-SYNQ_E_UNCERTAIN);
	again();
	answer(1, 0, 6); /* it had arrived after all */
	assert_int_equal(2, world->writes);
	assert_moves(6, 6);
	written(0);
	message(SYNQ_TOPIC_INTERACTIVE, 6);
	write_flush(&world->recorder);
	assert_moves(6, 7);
	written(0);
}

/* Another member had it for a while and went further. */
static void
test_recorder_follows_a_member_that_was_faster(void **state)
{
	(void)state;
	begin();
	written(-SYNQ_E_FENCED);
	again();
	answer(1, 0, 8);
	assert_moves(8, 8);
	written(0);
	message(SYNQ_TOPIC_INTERACTIVE, 7); /* recorded already */
	message(SYNQ_TOPIC_INTERACTIVE, 8);
	assert_int_equal(1, synq_batch_records(world->recorder.filling));
	write_flush(&world->recorder);
	assert_moves(8, 9);
	written(0);
}

static void
test_recorder_moves_no_offset_of_a_partition_that_went(void **state)
{
	(void)state;
	begin();
	revoke(SYNQ_TOPIC_INTERACTIVE);
	written(-SYNQ_E_FENCED);
	again();

	assert_int_equal(2, world->writes);
	assert_int_equal(0, world->in_write->offset_count);
	assert_int_equal(1, world->in_write->records);
	written(0);
}

/*
 * Its row was made before its first record was read, and by now offset 0 may
 * have expired: nobody can begin there any more.
 */
static void
test_recorder_begins_at_the_first_record_where_none_was_read(void **state)
{
	(void)state;
	assign(SYNQ_TOPIC_INTERACTIVE);
	answer(0, 0, 0);

	assert_int_equal(-1, world->started_at);
}

static void
test_recorder_is_drained_when_all_is_written(void **state)
{
	(void)state;
	begin();
	world->recorder.draining = 1;
	written(-SYNQ_E_UNAVAILABLE);
	assert_false(world->drained);
	again();
	answer(1, 0, 5);
	assert_moves(5, 6);
	written(0);

	assert_true(world->drained);
}

/* No event is lost, and no batch is written while one waits. */
static void
test_recorder_keeps_events_until_there_is_room(void **state)
{
	size_t i;

	(void)state;
	begin();
	message(SYNQ_TOPIC_INTERACTIVE, 6);
	world->room = 2;
	written_jobs(5);
	assert_int_equal(2, world->publish_count);
	write_flush(&world->recorder);
	world->room = 1;
	again();
	assert_int_equal(3, world->publish_count);
	assert_int_equal(1, world->writes);
	assert_int_equal(1, world->ask_count); /* it was written */

	world->room = 8;
	again();
	assert_int_equal(5, world->publish_count);
	for (i = 0; i < 5; i++)
		assert_int_equal(i + 1, world->published[i]);
	assert_int_equal(2, world->writes);
	assert_moves(6, 7);
	written(0);
}

static void
test_recorder_is_drained_when_all_is_published(void **state)
{
	(void)state;
	begin();
	world->recorder.draining = 1;
	written_jobs(1);
	assert_false(world->drained);
	world->room = 1;
	again();
	assert_int_equal(1, world->publish_count);
	assert_true(world->drained);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_recorder_reads_on_where_the_database_stands),
		TEST(test_recorder_asks_again_when_the_database_could_not_say),
		TEST(test_recorder_asks_again_when_the_pool_was_full),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
