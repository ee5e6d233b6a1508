/*
 * Each wake-up, and each tick, serves in this order: rebalances, answers,
 * hand-overs and starts, records, commits.  Rebalances come first so that no
 * record of a partition that goes is delivered after we could have known.
 *
 * Records come from one queue per partition.  One that is full (on_message
 * returned 1) is not polled: librdkafka then fetches up to its own bound and
 * stops, which costs nothing when it goes on, as pausing would.
 *
 * Failure modes: see group.c.  The process was away for long: the rebalance
 * queue is served before anything else runs (on_gap).
 */

#include "kafka/consumer.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/group.h"

#define TICK_US 50000
#define RECORDS_PER_SERVE 64
#define GAP_US 3000000
/* librdkafka was away as well and must first hear from the group. */
#define GAP_WAIT_MS 100
#define END_POLL_MS 10
#define DESTROY_LIMIT_MS 1000
/*
 * Fetches of several brokers overlap, and the time noted is of the last one;
 * an answer is noted before its records are in their queues.
 */
#define FETCHES_OVERLAP_US 1000000

/* A fatal error has an event, but not in every state: so it is asked for. */
static void
look_for_fatal(struct synq_consumer *c)
{
	char text[200] = "";
	rd_kafka_resp_err_t rc =
	    rd_kafka_fatal_error(c->rk, text, sizeof(text));

	if (rc == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
		member_fenced(c, text);
	else if (rc != RD_KAFKA_RESP_ERR_NO_ERROR)
		group_fatal(c, SYNQ_E_SYSTEM, text);
}

/* Everything but these two passes by itself. */
static void
on_error(struct synq_consumer *c, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t rc = rd_kafka_event_error(event);

	if (rc == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		group_fatal(
		    c, SYNQ_E_NOT_FOUND, rd_kafka_event_error_string(event));
	if (rc == RD_KAFKA_RESP_ERR__FATAL)
		look_for_fatal(c);
}

static void
take_event(struct synq_consumer *c, rd_kafka_event_t *event)
{
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_REBALANCE:
		group_rebalance(c, event);
		break;
	case RD_KAFKA_EVENT_ERROR:
		on_error(c, event);
		break;
	default:
		offsets_answer(c, event);
		break;
	}
	rd_kafka_event_destroy(event);
}

void
consumer_drain(struct synq_consumer *c, rd_kafka_queue_t *queue, int wait_ms)
{
	rd_kafka_event_t *event;

	if (queue == NULL)
		return;
	while ((event = rd_kafka_queue_poll(queue, wait_ms)) != NULL) {
		take_event(c, event);
		wait_ms = 0;
	}
}

static void
take_record(
    struct synq_consumer *c, struct synq_part *part, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *from = rd_kafka_event_message_next(event);
	struct synq_kafka_message message;

	if (from == NULL || from->offset < part->next)
		return;
	part->next = from->offset + 1;
	synq_kafka_read_message(from, &message);
	part->full = c->events.on_message(c->ctx, &message);
}

static void
take_part_event(
    struct synq_consumer *c, struct synq_part *part, rd_kafka_event_t *event)
{
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH)
		take_record(c, part, event);
	else if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_ERROR)
		return;
	else if (rd_kafka_event_error(event) ==
		 RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		if (c->events.on_end != NULL)
			c->events.on_end(c->ctx, part->topic, part->partition);
	} else {
		on_error(c, event);
	}
}

/* Deliver from ${part}; 1 if there may be more. */
static int
serve_part(struct synq_consumer *c, struct synq_part *part)
{
	rd_kafka_event_t *event;

	for (int i = 0; i < RECORDS_PER_SERVE; i++) {
		if (part->full || part->queue == NULL)
			return 0;
		event = rd_kafka_queue_poll(part->queue, 0);
		if (event == NULL)
			return 0;
		take_part_event(c, part, event);
		rd_kafka_event_destroy(event);
	}
	return 1;
}

static void
serve_records(struct synq_consumer *c)
{
	const long long fetched_us = atomic_load(&c->pulse->fetched_us);
	struct synq_link *link, *after;
	int more = 0;

	synq_list_foreach (&c->parts, link, after)
		more |=
		    serve_part(c, SYNQ_CONTAINER(link, struct synq_part, link));
	if (more)
		synq_wake_send(c->wake);
	else
		c->delivered_us = (uint64_t)fetched_us;
}

static void
serve(void *ctx)
{
	struct synq_consumer *c = ctx;

	consumer_drain(c, c->queue, 0);
	consumer_drain(c, c->answers, 0);
	look_for_fatal(c);
	if (member_serve(c))
		return;
	group_serve(c);
	serve_records(c);
	offsets_serve(c);
	offsets_show_lag(c);
}

static void
on_gap(void *ctx)
{
	struct synq_consumer *c = ctx;

	consumer_drain(c, c->queue, GAP_WAIT_MS);
}

static rd_kafka_topic_partition_list_t *
topic_list(const char *const *topics)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(8);

	for (size_t i = 0; topics[i] != NULL; i++)
		rd_kafka_topic_partition_list_add(
		    list, topics[i], RD_KAFKA_PARTITION_UA);
	return list;
}

static void
make_series(struct synq_consumer *c)
{
	const char *stored = "stored", *failed = "failed";

	c->rebalances =
	    synq_kafka_series(&c->config, SYNQ_M_KAFKA_REBALANCES_TOTAL, NULL);
	c->commits =
	    synq_kafka_series(&c->config, SYNQ_M_KAFKA_COMMITS_TOTAL, &stored);
	c->commits_failed =
	    synq_kafka_series(&c->config, SYNQ_M_KAFKA_COMMITS_TOTAL, &failed);
}

int
synq_consumer_new(struct synq_loop *loop,
    const struct synq_consumer_config *config, struct synq_consumer **ret,
    struct synq_err *err)
{
	struct synq_consumer *c = synq_mem_new(sizeof(*c));
	int rc;

	c->loop = loop;
	synq_kafka_config_copy(&c->config, &config->kafka);
	c->group = synq_mem_text(config->group);
	c->events = config->events;
	c->ctx = config->ctx;
	c->gather_ms = config->gather_ms;
	if (config->instance != NULL)
		c->instance = synq_mem_text(config->instance);
	c->topics = topic_list(config->topics);
	make_series(c);
	synq_list_init(&c->parts);
	synq_list_init(&c->asks);
	c->tick = synq_timer_new(loop, serve, c);
	c->wake = synq_wake_new(loop, serve, c);
	if (c->wake == NULL) {
		rc = synq_fail(err, SYNQ_E_SYSTEM, "no descriptor left");
		goto fail;
	}
	rc = member_join(c, err);
	if (rc != 0)
		goto fail;
	synq_timer_repeat(c->tick, TICK_US);
	synq_loop_on_gap(loop, GAP_US, on_gap, c);
	*ret = c;
	return 0;

fail:
	synq_consumer_free(&c, 0);
	return rc;
}

void
synq_consumer_start(struct synq_consumer *c, const char *topic,
    int32_t partition, int64_t offset)
{
	struct synq_part *part = group_find(c, topic, partition);

	if (part == NULL || part->state != PART_ASSIGNED)
		return;
	part->state = PART_STARTING;
	part->start = offset < 0 ? -1 : offset;
	synq_wake_send(c->wake);
}

void
synq_consumer_resume(
    struct synq_consumer *c, const char *topic, int32_t partition)
{
	struct synq_part *part = group_find(c, topic, partition);

	if (part == NULL || !part->full)
		return;
	part->full = 0;
	synq_wake_send(c->wake);
}

void
synq_consumer_watermarks(struct synq_consumer *c, const char *topic,
    int32_t partition, int64_t *ret_low, int64_t *ret_high)
{
	int64_t low = -1, high = -1;

	rd_kafka_get_watermark_offsets(c->rk, topic, partition, &low, &high);
	*ret_low = low < 0 ? -1 : low;
	*ret_high = high < 0 ? -1 : high;
}

uint64_t
synq_consumer_behind_us(const struct synq_consumer *c)
{
	if (c->delivered_us == 0)
		return UINT64_MAX;
	return synq_clock_mono_us() - c->delivered_us + FETCHES_OVERLAP_US;
}

int
synq_consumer_healthy(const struct synq_consumer *c)
{
	long long now_us = (long long)synq_clock_mono_us();
	long long heard_us = atomic_load(&c->pulse->group_us);

	/* While it is shut the coordinator holds our request back. */
	if (heard_us != 0 && now_us < atomic_load(&c->pulse->gate_shut_us))
		return 1;
	return heard_us != 0 && now_us - heard_us < SYNQ_SESSION_MS * 1000LL;
}

/* Leave the group: its last rebalance comes to our queue of answers. */
static void
leave(struct synq_consumer *c, uint32_t limit_ms)
{
	uint64_t until_us = synq_clock_mono_us() + limit_ms * 1000ULL;

	if (!member_close(c))
		return;
	while (!rd_kafka_consumer_closed(c->rk) &&
	       synq_clock_mono_us() < until_us) {
		consumer_drain(c, c->answers, END_POLL_MS);
		group_serve(c);
		offsets_serve(c);
	}
}

void
synq_consumer_free(struct synq_consumer **c_ptr, uint32_t limit_ms)
{
	struct synq_consumer *c = *c_ptr;

	if (c == NULL)
		return;
	synq_loop_off_gap(c->loop, on_gap, c);
	if (c->rk != NULL)
		leave(c, limit_ms);
	group_drop_all(c);
	member_destroy(c, DESTROY_LIMIT_MS);
	offsets_done(c);
	synq_timer_free(&c->tick);
	synq_wake_free(&c->wake);
	synq_kafka_config_done(&c->config);
	rd_kafka_topic_partition_list_destroy(c->topics);
	synq_mem_free(c->instance);
	synq_mem_free(c->group);
	synq_mem_free(c);
	*c_ptr = NULL;
}
