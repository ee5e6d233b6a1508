/*
 * The program's life: clients, timers, the group.  Drain writes what was read;
 * what was not is read again by whoever takes over.
 */

#include "recorder.h"

#include "base/log.h"
#include "base/mem.h"
#include "kafka/consumer.h"
#include "kafka/producer.h"
#include "kafka/reader.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "publish.h"
#include "read.h"
#include "service/service.h"
#include "store/record.h"
#include "write.h"

#define BEAT_US 5000000
#define SWEEP_US (600ULL * 1000000)
#define MAX_EVENT_BYTES 65536
/* Leaving the group and flushing events at the end. */
#define LEAVE_LIMIT_MS 3000
#define FLUSH_LIMIT_MS 3000
/* Nobody waits for a row: answers come by Redis, lists say as of when. */
#define GATHER_MS 100

static void
recorder_on_flush(void *ctx)
{
	write_due(ctx);
}

static void
recorder_on_again(void *ctx)
{
	write_again(ctx);
}

static void
recorder_on_beat(void *ctx)
{
	write_beat(ctx);
}

static void
recorder_on_sweep(void *ctx)
{
	struct recorder *recorder = ctx;

	synq_store_sweep(recorder->pg);
}

static void
recorder_new_timers(struct recorder *recorder)
{
	struct synq_loop *loop = recorder->loop;

	recorder->flush = synq_timer_new(loop, recorder_on_flush, recorder);
	recorder->again = synq_timer_new(loop, recorder_on_again, recorder);
	recorder->beat = synq_timer_new(loop, recorder_on_beat, recorder);
	recorder->sweep = synq_timer_new(loop, recorder_on_sweep, recorder);
	synq_timer_repeat(recorder->beat, BEAT_US);
	synq_timer_repeat(recorder->sweep, SWEEP_US);
}

static int
recorder_join(struct recorder *recorder, struct synq_err *err)
{
	static const char *const topics[] = { SYNQ_TOPIC_INTERACTIVE,
		SYNQ_TOPIC_BATCH, SYNQ_TOPIC_RESULTS, NULL };
	struct synq_consumer_config config = {
		.group = "synq-recorder",
		.instance = synq_service_name(recorder->service),
		.topics = topics,
		.gather_ms = GATHER_MS,
		.events = read_events(),
		.ctx = recorder,
	};

	synq_service_kafka(recorder->service, &config.kafka);
	return synq_consumer_new(
	    recorder->loop, &config, &recorder->consumer, err);
}

int
recorder_start(
    struct synq_service *service, void **ret_ctx, struct synq_err *err)
{
	static const char *const topics[] = { SYNQ_TOPIC_EVENTS, NULL };
	struct recorder *recorder = synq_mem_new(sizeof(*recorder));
	struct synq_kafka_config kafka;
	int rc;

	*ret_ctx = recorder;
	recorder->service = service;
	recorder->loop = synq_service_loop(service);
	figures_init(&recorder->figures, synq_service_metrics(service));
	synq_list_init(&recorder->places);
	synq_list_init(&recorder->due);
	synq_buf_init(&recorder->scratch, MAX_EVENT_BYTES);
	recorder->filling = synq_batch_new();
	recorder->writing = synq_batch_new();
	recorder_new_timers(recorder);
	rc = synq_service_pg(service, "synq_recorder", &recorder->pg, err);
	if (rc != 0)
		return rc;
	synq_service_kafka(service, &kafka);
	rc = synq_reader_new(recorder->loop, &kafka, &recorder->reader, err);
	if (rc != 0)
		return rc;
	kafka.rebuild_forever = 1;
	rc = synq_producer_new(
	    recorder->loop, &kafka, topics, &recorder->producer, err);
	if (rc != 0)
		return rc;
	return recorder_join(recorder, err);
}

void
recorder_drain(void *ctx)
{
	struct recorder *recorder = ctx;

	recorder->draining = 1;
	if (synq_batch_records(recorder->filling) > 0)
		write_flush(recorder);
	else if (!recorder->busy)
		synq_service_drained(recorder->service);
}

void
recorder_stop(void *ctx)
{
	struct recorder *recorder = ctx;

	if (recorder == NULL)
		return;
	synq_consumer_free(&recorder->consumer, LEAVE_LIMIT_MS);
	synq_producer_free(&recorder->producer, FLUSH_LIMIT_MS);
	synq_reader_free(&recorder->reader, LEAVE_LIMIT_MS);
	synq_timer_free(&recorder->flush);
	synq_timer_free(&recorder->again);
	synq_timer_free(&recorder->beat);
	synq_timer_free(&recorder->sweep);
	synq_pg_free(&recorder->pg);
	publish_free(recorder);
	synq_batch_free(&recorder->filling);
	synq_batch_free(&recorder->writing);
	synq_buf_done(&recorder->scratch);
	synq_mem_free(recorder);
}

void
recorder_health(void *ctx, struct synq_service *service)
{
	struct recorder *recorder = ctx;

	synq_health_add(service, "postgresql", synq_pg_healthy(recorder->pg),
	    "PostgreSQL does not answer");
	synq_health_add(service, "group",
	    synq_consumer_healthy(recorder->consumer),
	    "not a member of the consumer group");
}
