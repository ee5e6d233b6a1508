/*
 * The program's life.
 *
 * Start: secrets, stores, clients; then synq.control is read to its end, the
 * catalog is loaded, and only then the group is joined.  Drain: no new attempt;
 * partitions are kept, so that nobody else repeats what is out, until the last
 * call has ended and its result is acknowledged.  Stop: commit, leave, free.
 */

#include "dispatcher.h"

#include "assign.h"
#include "base/log.h"
#include "base/mem.h"
#include "call.h"
#include "catalog.h"
#include "crypto/secret.h"
#include "figures.h"
#include "http/http.h"
#include "kafka/consumer.h"
#include "kafka/producer.h"
#include "kafka/reader.h"
#include "loop/loop.h"
#include "partition.h"
#include "pg/pg.h"
#include "redis/redis.h"
#include "results.h"
#include "service/service.h"
#include "track/track.h"

/* Largest record: a 1.9 MB answer and what surrounds it. */
#define MAX_RECORD_BYTES (2U << 20)
/* How exactly retries, deadlines and gates keep their time. */
#define TICK_US 10000
/* Requests held in memory, all partitions together. */
#define MAX_HELD_BYTES (256U << 20)
/* So long a gap may be the end of the session (decisions 11). */
#define GAP_US 3000000
/* From here on the clock was set; below it may have been adjusted. */
#define STEP_US 1000000
/* Leaving the group and flushing the producer at the end. */
#define LEAVE_LIMIT_MS 3000
#define FLUSH_LIMIT_MS 5000

static int64_t
dispatcher_now(void *ctx)
{
	const struct dispatcher *dispatcher = ctx;

	return (int64_t)synq_loop_now_us(dispatcher->loop) +
	       dispatcher->clock_us;
}

struct synq_consumer *
dispatcher_consumer(
    const struct dispatcher *dispatcher, const struct partition *partition)
{
	const struct source *source = dispatcher->sources;

	while (source->topic != partition->topic)
		source++;
	return source->consumer;
}

/* 1 if the coordinators of all groups answer, else 0. */
static int
dispatcher_is_member(const struct dispatcher *dispatcher)
{
	int i, healthy = 1;

	for (i = 0; i < DISPATCHER_SOURCES; i++)
		healthy &=
		    dispatcher->sources[i].consumer != NULL &&
		    synq_consumer_healthy(dispatcher->sources[i].consumer);
	return healthy;
}

static void
dispatcher_commit_partition(void *ctx, struct partition *partition,
    int64_t offset, struct synq_slice metadata)
{
	struct dispatcher *dispatcher = ctx;

	synq_consumer_commit(dispatcher_consumer(dispatcher, partition),
	    assign_topic(partition), partition->number, offset, metadata);
	figures_committed(assign_track(partition),
	    synq_track_next(partition->track) - offset, metadata.bytes);
}

static void
dispatcher_resume(void *ctx, struct partition *partition)
{
	struct dispatcher *dispatcher = ctx;

	synq_consumer_resume(dispatcher_consumer(dispatcher, partition),
	    assign_topic(partition), partition->number);
}

static void
dispatcher_check_drained(struct dispatcher *dispatcher)
{
	if (dispatcher->draining && core_idle(dispatcher->core))
		synq_service_drained(dispatcher->service);
}

static int64_t
dispatcher_clock_us(const struct dispatcher *dispatcher)
{
	return synq_loop_wall_us(dispatcher->loop) -
	       (int64_t)synq_loop_now_us(dispatcher->loop);
}

/*
 * Somebody may have set the clock.  The core goes by the old one until it is
 * told: a time that it took from the new one before would be moved once more.
 */
static void
dispatcher_check_clock(struct dispatcher *dispatcher)
{
	const int64_t clock_us = dispatcher_clock_us(dispatcher);
	const int64_t step_us = clock_us - dispatcher->clock_us;

	dispatcher->clock_us = clock_us;
	if (step_us > -STEP_US && step_us < STEP_US)
		return;
	synq_log(SYNQ_LOG_WARN, "clock.stepped",
	    SYNQ_F_INT("step_ms", step_us / 1000), SYNQ_F_END);
	core_stepped(dispatcher->core, step_us);
}

static void
dispatcher_on_tick(void *ctx)
{
	struct dispatcher *dispatcher = ctx;
	int64_t next_at;

	dispatcher_check_clock(dispatcher);
	next_at = core_tick(dispatcher->core);
	if (next_at == 0)
		synq_timer_stop(dispatcher->tick);
}

void
dispatcher_wake(struct dispatcher *dispatcher)
{
	if (!synq_timer_active(dispatcher->tick))
		synq_timer_repeat(dispatcher->tick, TICK_US);
}

static void
dispatcher_on_commit(void *ctx)
{
	struct dispatcher *dispatcher = ctx;
	struct synq_link *link;

	dispatcher_check_clock(dispatcher);
	/* Without a partition nobody else would tell us of the expulsion. */
	if (dispatcher->joined && !dispatcher_is_member(dispatcher))
		core_slept(dispatcher->core);
	for (link = synq_list_first(&dispatcher->core->partitions);
	     link != NULL;
	     link = synq_list_next(&dispatcher->core->partitions, link))
		partition_commit(SYNQ_CONTAINER(link, struct partition, link));
	/* What the log refused otherwise than for want of room. */
	core_room(dispatcher->core);
	/* An acknowledgement may have let something new wait for its time. */
	if (synq_heap_first(&dispatcher->core->timers) != NULL)
		dispatcher_wake(dispatcher);
	assign_check_held(dispatcher);
	dispatcher_check_drained(dispatcher);
}

static void
dispatcher_on_room(void *ctx)
{
	struct dispatcher *dispatcher = ctx;

	core_room(dispatcher->core);
}

static void
dispatcher_on_gap(void *ctx)
{
	struct dispatcher *dispatcher = ctx;

	core_slept(dispatcher->core);
}

static void
dispatcher_load_catalog(void *ctx)
{
	catalog_load(ctx);
}

static void
dispatcher_on_members(void *ctx)
{
	assign_check_held(ctx);
}

static void
dispatcher_core_config(
    const struct dispatcher *dispatcher, struct core_config *ret)
{
	const struct synq_config *config =
	    synq_service_config(dispatcher->service);

	ret->instance = synq_service_name(dispatcher->service);
	ret->boot_id = *synq_service_boot_id(dispatcher->service);
	ret->max_in_flight = (uint32_t)config->dispatcher_max_in_flight;
	ret->organization_in_flight =
	    (uint32_t)config->dispatcher_organization_in_flight;
	ret->provider_in_flight =
	    (uint32_t)config->dispatcher_provider_in_flight;
	ret->call_limit_us = (uint64_t)config->dispatcher_call_limit_ms * 1000;
	/* What is not acknowledged by then is given up, not written again. */
	ret->rewrite_limit_us = (uint64_t)config->kafka_ack_limit_ms * 1000;
	ret->backoff.first_us =
	    (uint64_t)config->dispatcher_backoff_first_ms * 1000;
	ret->backoff.max_us =
	    (uint64_t)config->dispatcher_backoff_max_ms * 1000;
	ret->max_bytes = MAX_HELD_BYTES;
	synq_rand_system(&ret->seed, sizeof(ret->seed));
}

static void
dispatcher_new_core(struct dispatcher *dispatcher)
{
	struct core_config config = {
		.io = { .send = results_send,
		    .call = call_start,
		    .abort = call_abort,
		    .reply = results_reply,
		    .commit = dispatcher_commit_partition,
		    .resume = dispatcher_resume,
		    .acked = results_acked,
		    .now = dispatcher_now,
		    .dead = results_dead,
		    .reload = dispatcher_load_catalog },
		.io_ctx = dispatcher,
	};

	dispatcher_core_config(dispatcher, &config);
	dispatcher->core = core_new(&config);
}

static void
dispatcher_new_timers(struct dispatcher *dispatcher)
{
	const struct synq_config *config =
	    synq_service_config(dispatcher->service);
	struct synq_loop *loop = dispatcher->loop;

	dispatcher->clock_us = dispatcher_clock_us(dispatcher);
	dispatcher->tick = synq_timer_new(loop, dispatcher_on_tick, dispatcher);
	dispatcher->commit =
	    synq_timer_new(loop, dispatcher_on_commit, dispatcher);
	dispatcher->refresh =
	    synq_timer_new(loop, dispatcher_load_catalog, dispatcher);
	dispatcher->members =
	    synq_timer_new(loop, dispatcher_on_members, dispatcher);
	synq_timer_repeat(
	    dispatcher->commit, (uint64_t)config->dispatcher_commit_ms * 1000);
}

/* The clients of providers, PostgreSQL, Redis and Kafka. */
static int
dispatcher_connect(struct dispatcher *dispatcher, struct synq_err *err)
{
	const struct synq_config *config =
	    synq_service_config(dispatcher->service);
	const struct synq_http_config http = {
		.max_in_flight = (uint32_t)config->dispatcher_max_in_flight,
		.user_agent = "synq",
	};
	struct synq_kafka_config kafka;
	int rc;

	rc = synq_http_new(dispatcher->loop, &http, &dispatcher->http, err);
	if (rc == 0)
		rc = synq_service_secret(
		    dispatcher->service, "kek.1", &dispatcher->kek, err);
	if (rc == 0)
		rc = synq_service_pg(dispatcher->service, "synq_dispatcher",
		    &dispatcher->pg, err);
	if (rc == 0)
		rc = synq_service_redis(
		    dispatcher->service, &dispatcher->redis, err);
	if (rc != 0)
		return rc;
	synq_service_kafka(dispatcher->service, &kafka);
	kafka.rebuild_forever = 1;
	rc = synq_producer_new(dispatcher->loop, &kafka, results_topics,
	    &dispatcher->producer, err);
	if (rc == 0)
		rc = synq_reader_new(
		    dispatcher->loop, &kafka, &dispatcher->reader, err);
	return rc;
}

int
dispatcher_start(
    struct synq_service *service, void **ret_ctx, struct synq_err *err)
{
	struct dispatcher *dispatcher = synq_mem_new(sizeof(*dispatcher));
	int rc;

	*ret_ctx = dispatcher;
	dispatcher->service = service;
	dispatcher->loop = synq_service_loop(service);
	synq_buf_init(&dispatcher->scratch, MAX_RECORD_BYTES);
	dispatcher->figures = figures_new(synq_service_metrics(service));
	dispatcher_new_core(dispatcher);
	dispatcher_new_timers(dispatcher);
	rc = dispatcher_connect(dispatcher, err);
	if (rc != 0)
		return rc;
	synq_producer_on_room(
	    dispatcher->producer, dispatcher_on_room, dispatcher);
	synq_loop_on_gap(
	    dispatcher->loop, GAP_US, dispatcher_on_gap, dispatcher);
	catalog_follow(dispatcher);
	return 0;
}

/* Join the group of ${topic} as ${source}. */
static int
dispatcher_join_one(struct dispatcher *dispatcher, struct source *source,
    enum synq_source_topic topic, struct synq_err *err)
{
	const char *const topics[] = { synq_source_name(topic), NULL };
	char group[80];
	struct synq_consumer_config config = {
		.group = group,
		.instance = synq_service_name(dispatcher->service),
		.topics = topics,
		.events = assign_events(),
		.ctx = source,
	};

	(void)snprintf(group, sizeof(group), "synq-dispatcher.%s", topics[0]);
	source->dispatcher = dispatcher;
	source->topic = topic;
	synq_service_kafka(dispatcher->service, &config.kafka);
	return synq_consumer_new(
	    dispatcher->loop, &config, &source->consumer, err);
}

int
dispatcher_join(struct dispatcher *dispatcher, struct synq_err *err)
{
	static const enum synq_source_topic topics[DISPATCHER_SOURCES] = {
		SYNQ_SOURCE_INTERACTIVE, SYNQ_SOURCE_BATCH
	};
	int i, rc = 0;

	dispatcher->joined = 1;
	for (i = 0; rc == 0 && i < DISPATCHER_SOURCES; i++)
		rc = dispatcher_join_one(
		    dispatcher, &dispatcher->sources[i], topics[i], err);
	return rc;
}

void
dispatcher_drain(void *ctx)
{
	struct dispatcher *dispatcher = ctx;

	dispatcher->draining = 1;
	core_drain(dispatcher->core);
	dispatcher_check_drained(dispatcher);
}

void
dispatcher_stop(void *ctx)
{
	struct dispatcher *dispatcher = ctx;
	int i;

	if (dispatcher == NULL)
		return;
	/* Acknowledgements still come, and must begin nothing. */
	dispatcher->draining = 1;
	core_drain(dispatcher->core);
	synq_loop_off_gap(dispatcher->loop, dispatcher_on_gap, dispatcher);
	for (i = 0; i < DISPATCHER_SOURCES; i++)
		synq_consumer_free(
		    &dispatcher->sources[i].consumer, LEAVE_LIMIT_MS);
	synq_reader_close(&dispatcher->control);
	synq_reader_free(&dispatcher->reader, LEAVE_LIMIT_MS);
	synq_http_free(&dispatcher->http);
	synq_producer_free(&dispatcher->producer, FLUSH_LIMIT_MS);
	synq_timer_free(&dispatcher->tick);
	synq_timer_free(&dispatcher->commit);
	synq_timer_free(&dispatcher->refresh);
	synq_timer_free(&dispatcher->members);
	core_free(&dispatcher->core);
	figures_free(&dispatcher->figures);
	synq_redis_free(&dispatcher->redis);
	synq_pg_free(&dispatcher->pg);
	synq_secret_free(&dispatcher->kek);
	synq_buf_done(&dispatcher->scratch);
	synq_mem_free(dispatcher);
}

void
dispatcher_reload(void *ctx)
{
	struct dispatcher *dispatcher = ctx;
	const struct synq_config *config =
	    synq_service_config(dispatcher->service);
	struct core_config live = dispatcher->core->config;

	dispatcher_core_config(dispatcher, &live);
	dispatcher->core->config.call_limit_us = live.call_limit_us;
	dispatcher->core->config.backoff = live.backoff;
	synq_timer_repeat(
	    dispatcher->commit, (uint64_t)config->dispatcher_commit_ms * 1000);
	catalog_load(dispatcher);
}

void
dispatcher_health(void *ctx, struct synq_service *service)
{
	struct dispatcher *dispatcher = ctx;

	synq_health_add(service, "catalog", dispatcher->core->catalog != NULL,
	    "providers and models are not loaded yet");
	synq_health_add(service, "group",
	    dispatcher->joined && dispatcher_is_member(dispatcher),
	    "not a member of the consumer groups");
	synq_health_add(service, "producer",
	    synq_producer_healthy(dispatcher->producer),
	    "results cannot be written");
	/* Without these it goes on with what it has. */
	if (!synq_pg_healthy(dispatcher->pg))
		synq_health_degraded(service, "postgresql",
		    "away: the last providers and models are used");
	if (!synq_redis_healthy(dispatcher->redis))
		synq_health_degraded(
		    service, "redis", "away: answers go by the recorder");
}

void
dispatcher_measure(void *ctx)
{
	struct dispatcher *dispatcher = ctx;

	figures_show(dispatcher->figures, dispatcher->core);
}
