#include "world.h"

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
#include "consumers/recorder/write.h"
#include "kafka/producer.h"
#include "kafka/reader.h"
#include "loop/loop.h"
#include "metric/metric.h"
#include "service/service.h"

struct world *world;
static struct synq_config config = { .recorder_batch_rows = 2000,
	.recorder_batch_ms = 1000,
	.recorder_merge_ms = 5000,
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

void
synq_batch_count(const struct synq_batch *batch, struct synq_batch_totals *ret)
{
	ret->jobs = batch->records;
	ret->attempts = 2 * batch->records;
	ret->illegal_moves = 3 * batch->records;
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

int
synq_store_rewind(struct synq_pg *pg, const struct synq_rewind *rewind,
    synq_rewind_fn *fn, void *ctx)
{
	(void)pg;
	if (world->pg_busy)
		return -SYNQ_E_BUSY;
	world->rewound = fn;
	world->rewound_ctx = ctx;
	world->rewind_from = rewind->from;
	world->rewind_to = rewind->next;
	return 0;
}

/* ---- the log and the shell ---- */

struct synq_reader_stream {
	struct synq_reader_request request;
	int64_t position;
};

struct synq_reader_stream *
synq_reader_open(
    struct synq_reader *reader, const struct synq_reader_request *request)
{
	(void)reader;
	assert_null(world->stream);
	world->stream = synq_mem_new(sizeof(*world->stream));
	world->stream->request = *request;
	return world->stream;
}

void
synq_reader_close(struct synq_reader_stream **stream)
{
	if (*stream == NULL)
		return;
	assert_ptr_equal(*stream, world->stream);
	synq_mem_free(world->stream);
	*stream = world->stream = NULL;
}

int64_t
synq_reader_position(const struct synq_reader_stream *stream)
{
	return stream->position;
}

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

uint64_t
synq_consumer_behind_us(const struct synq_consumer *consumer)
{
	(void)consumer;
	return world->behind_us;
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

int
world_setup(void **state)
{
	struct recorder *recorder;

	(void)state;
	world = synq_mem_new(sizeof(*world));
	recorder = &world->recorder;
	world->log.anew = world->log.end = INT64_MAX;
	world->metrics = synq_metrics_new();
	figures_init(&recorder->figures, world->metrics);
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

void
world_revoke(const char *topic)
{
	read_events().on_revoke(&world->recorder, topic, 3, 0);
}

int
world_teardown(void **state)
{
	struct recorder *recorder = &world->recorder;

	(void)state;
	world_revoke(SYNQ_TOPIC_INTERACTIVE);
	world_revoke(SYNQ_TOPIC_RESULTS);
	synq_timer_free(&recorder->flush);
	synq_timer_free(&recorder->again);
	world->in_write = NULL;
	publish_free(recorder);
	synq_batch_free(&recorder->filling);
	synq_batch_free(&recorder->writing);
	synq_buf_done(&recorder->scratch);
	synq_loop_free(&recorder->loop);
	synq_metrics_free(&world->metrics);
	synq_mem_free(world);
	return 0;
}

void
world_assign(const char *topic)
{
	read_events().on_assign(&world->recorder, topic, 3);
}

void
world_answer(size_t index, int rc, int64_t next)
{
	struct ask ask = world->asks[index];

	assert_non_null(ask.fn);
	world->asks[index].fn = NULL;
	ask.fn(ask.ctx, rc, next, next);
	world_log();
}

static void
log_deliver(const struct synq_reader_request *request, int64_t offset)
{
	const struct log *log = &world->log;
	const struct synq_kafka_message message = { .topic = request->topic,
		.partition = request->partition,
		.offset = offset,
		.time_us = offset + (offset < log->anew ? 0 : LOG_ANEW_US) };

	world->stream->position = offset;
	if (request->events.on_found != NULL)
		request->events.on_found(request->ctx, offset);
	else if (offset < log->end)
		request->events.on_message(request->ctx, &message);
	else
		request->events.on_caught_up(request->ctx);
}

void
world_log(void)
{
	struct synq_reader_request request;
	int64_t offset;

	while (world->stream != NULL) {
		request = world->stream->request;
		offset = request.at;
		if (request.from != SYNQ_READ_OFFSET)
			offset = request.from == SYNQ_READ_TIME
			             ? world->log.anew
			             : world->log.first;
		if (offset > world->log.end)
			offset = world->log.end;
		if (offset < world->log.first)
			offset = world->log.first;
		log_deliver(&request, offset);
	}
}

void
world_rewound(int rc)
{
	synq_rewind_fn *fn = world->rewound;

	assert_non_null(fn);
	world->rewound = NULL;
	fn(world->rewound_ctx, rc);
}

void
world_written(int rc)
{
	assert_non_null(world->in_write);
	world->in_write = NULL;
	world->written(world->written_ctx, rc, NULL, 0, NULL);
}

void
world_written_jobs(size_t count)
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

void
world_again(void)
{
	synq_timer_stop(world->recorder.again);
	write_again(&world->recorder);
}

void
world_read(const char *topic, int64_t offset, struct synq_slice value)
{
	const struct synq_kafka_message message = { .topic = topic,
		.partition = 3,
		.offset = offset,
		.time_us = offset,
		.value = value };

	(void)read_events().on_message(&world->recorder, &message);
}

void
world_message(const char *topic, int64_t offset)
{
	struct synq_request request = { .endpoint = SYNQ_ENDPOINT_CHAT,
		.max_attempts = 1,
		.model = synq_slice_text("m"),
		.body = synq_slice_text("{}") };
	struct synq_buf value;

	memset(&request.job_id, 1, sizeof(request.job_id));
	memset(&request.organization_id, 1, sizeof(request.organization_id));
	synq_buf_init(&value, 4096);
	synq_request_encode(&request, &value);
	world_read(topic, offset, synq_buf_view(&value));
	synq_buf_done(&value);
}

void
world_end(const char *topic)
{
	read_events().on_end(&world->recorder, topic, 3);
}

void
world_begin(void)
{
	world_assign(SYNQ_TOPIC_INTERACTIVE);
	world_answer(0, 0, 5);
	world_message(SYNQ_TOPIC_INTERACTIVE, 5);
	write_flush(&world->recorder);
}

void
world_assert_moves(int64_t expected, int64_t next)
{
	const struct synq_batch *batch = world->in_write;

	assert_non_null(batch);
	assert_int_equal(1, batch->offset_count);
	assert_int_equal(expected, batch->offsets[0].expected);
	assert_int_equal(next, batch->offsets[0].next);
}
