/*
 * The producer's handle:
 *
 *	CONNECT  a task asks for the metadata of all topics, again until it has
 *	         them; only then is the first record of a topic not held up
 *	OPEN     records go out; reports come back as events
 *	PURGE    a fatal error: everything is purged, and its reports awaited
 *	DESTROY  a task destroys the handle, so that nothing of it is sent after
 *	         what a new handle sends; then CONNECT with a new one
 *
 * Failure modes: a handle that does not go within DESTROY_LIMIT_US is left
 * alone, and so are the records that it refers to: they are copied.
 */

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/sending.h"

#define EVENTS_PER_SERVE 64
#define METADATA_LIMIT_MS 1000
#define CONNECT_AGAIN_US 200000
#define PURGE_LIMIT_US 1000000
#define DESTROY_LIMIT_US 5000000
#define PROBE_US 1000000
#define END_LIMIT_MS 1000
#define END_FLUSH_MS 100
#define SOCKET_MIN_MS 1000
/* Our own limits come first; these only must not. */
#define QUEUE_SLACK 1024

static void
move(struct synq_producer *p, enum sending_state state)
{
	p->state = state;
	p->state_us = synq_clock_mono_us();
}

static int
build_handle(struct synq_producer *p, struct synq_err *err)
{
	const struct synq_kafka_config *config = &p->config;
	struct synq_kafka_build build;
	uint64_t kbytes = config->max_queued_bytes / 512 + QUEUE_SLACK;
	int rc;

	synq_kafka_build_start(&build, config, p->pulse, err);
	synq_kafka_set(&build, "enable.idempotence", "true");
	synq_kafka_set(&build, "compression.codec",
	    config->compression != NULL ? config->compression : "none");
	synq_kafka_set_number(&build, "linger.ms", config->linger_ms);
	/*
	 * Records never time out inside: librdkafka would begin a new epoch
	 * and send those behind them again, which the broker then cannot know
	 * for the same.  How long a client waits is ours to decide.
	 */
	synq_kafka_set(&build, "message.timeout.ms", "0");
	synq_kafka_set_number(&build, "socket.timeout.ms",
	    config->ack_limit_ms < SOCKET_MIN_MS ? SOCKET_MIN_MS
						 : config->ack_limit_ms);
	synq_kafka_set_number(&build, "queue.buffering.max.messages",
	    (uint64_t)config->max_queued + QUEUE_SLACK);
	synq_kafka_set_number(&build, "queue.buffering.max.kbytes",
	    kbytes > INT32_MAX ? INT32_MAX : kbytes);
	rd_kafka_conf_set_events(
	    build.conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	rc = synq_kafka_build_end(&build, RD_KAFKA_PRODUCER, &p->rk);
	if (rc != 0)
		return rc;

	p->queue = rd_kafka_queue_get_main(p->rk);
	synq_kafka_listen(p->queue, p->wake);
	for (size_t i = 0; i < p->topic_count; i++)
		p->topics[i].rkt =
		    rd_kafka_topic_new(p->rk, p->topics[i].name, NULL);
	return 0;
}

/* On the task's thread: touches the handle and what is the task's only. */
static void
run_metadata(void *ctx)
{
	struct synq_producer *p = ctx;
	const struct rd_kafka_metadata *found;
	int rc = 0;

	if (rd_kafka_metadata(p->rk, 0, NULL, &found, METADATA_LIMIT_MS) !=
	    RD_KAFKA_RESP_ERR_NO_ERROR) {
		p->task_rc = -SYNQ_E_UNAVAILABLE;
		return;
	}
	memset(p->task_partitions, 0,
	    p->topic_count * sizeof(*p->task_partitions));
	for (size_t i = 0; i < p->topic_count; i++) {
		for (int k = 0; k < found->topic_cnt; k++)
			if (strcmp(found->topics[k].topic, p->topics[i].name) ==
			    0)
				p->task_partitions[i] =
				    found->topics[k].partition_cnt;
		if (p->task_partitions[i] == 0)
			rc = -SYNQ_E_NOT_FOUND;
	}
	p->task_brokers = (size_t)found->broker_cnt;
	rd_kafka_metadata_destroy(found);
	p->task_rc = rc;
}

static void
take_metadata(struct synq_producer *p)
{
	p->brokers = p->task_brokers > 0 ? p->task_brokers : 1;
	for (size_t i = 0; i < p->topic_count; i++) {
		struct synq_producer_topic *topic = &p->topics[i];
		int32_t count = p->task_partitions[i];

		if (count <= topic->partitions)
			continue;
		topic->lanes = synq_mem_resize(
		    topic->lanes, (size_t)count * sizeof(*topic->lanes));
		for (int32_t k = topic->partitions; k < count; k++) {
			topic->lanes[k] = synq_mem_new(sizeof(**topic->lanes));
			synq_list_init(&topic->lanes[k]->records);
			synq_list_init(&topic->lanes[k]->fresh);
			topic->lanes[k]->acked = -1;
		}
		topic->partitions = count;
	}
}

static void
ask_metadata(struct synq_producer *p)
{
	p->again_us = synq_clock_mono_us() + CONNECT_AGAIN_US;
	p->task = synq_kafka_task_start(p->wake, run_metadata, p);
}

int
sending_start(struct synq_producer *p, struct synq_err *err)
{
	int rc = build_handle(p, err);

	if (rc != 0)
		return rc;
	move(p, SENDING_CONNECT);
	ask_metadata(p);
	return 0;
}

void
sending_break(struct synq_producer *p)
{
	if (p->state == SENDING_PURGE || p->state == SENDING_DESTROY)
		return;
	synq_kafka_count(p->rebuilds);
	rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE |
				  RD_KAFKA_PURGE_F_INFLIGHT |
				  RD_KAFKA_PURGE_F_NON_BLOCKING);
	move(p, SENDING_PURGE);
}

static rd_kafka_headers_t *
copy_headers(const struct synq_record *r)
{
	rd_kafka_headers_t *headers;

	if (r->header_count == 0)
		return NULL;
	headers = rd_kafka_headers_new(r->header_count);
	for (size_t i = 0; i < r->header_count; i++)
		rd_kafka_header_add(headers, r->headers[i].name, -1,
		    r->headers[i].value.data,
		    (ssize_t)r->headers[i].value.bytes);
	return headers;
}

static rd_kafka_resp_err_t
produce(struct synq_producer *p, struct synq_record *r)
{
	rd_kafka_headers_t *headers = copy_headers(r);
	rd_kafka_resp_err_t err;

	/* Without a headers argument where there are none. */
	if (headers == NULL)
		return rd_kafka_producev(p->rk, RD_KAFKA_V_RKT(r->topic->rkt),
		    RD_KAFKA_V_PARTITION(r->partition),
		    RD_KAFKA_V_KEY(r->key.data, r->key.bytes),
		    RD_KAFKA_V_VALUE(
			synq_kafka_unconst(r->value.data), r->value.bytes),
		    RD_KAFKA_V_TIMESTAMP(r->time_us / 1000),
		    RD_KAFKA_V_OPAQUE(r), RD_KAFKA_V_END);
	err = rd_kafka_producev(p->rk, RD_KAFKA_V_RKT(r->topic->rkt),
	    RD_KAFKA_V_PARTITION(r->partition),
	    RD_KAFKA_V_KEY(r->key.data, r->key.bytes),
	    RD_KAFKA_V_VALUE(synq_kafka_unconst(r->value.data), r->value.bytes),
	    RD_KAFKA_V_TIMESTAMP(r->time_us / 1000),
	    RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(r), RD_KAFKA_V_END);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_headers_destroy(headers);
	return err;
}

int
sending_give(struct synq_producer *p, struct synq_record *r)
{
	rd_kafka_resp_err_t err = produce(p, r);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		flow_out(p, r);
		r->state = RECORD_SENT;
		return 0;
	}
	if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		return -SYNQ_E_TOO_LARGE;
	if (err == RD_KAFKA_RESP_ERR__FATAL) {
		sending_break(p);
		return 0;
	}
	if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		p->again_us = synq_clock_mono_us();
		return 0;
	}
	return -SYNQ_E_UNAVAILABLE;
}

void
sending_give_or_settle(struct synq_producer *p, struct synq_record *r)
{
	int rc = sending_give(p, r);

	if (p->state != SENDING_OPEN || rc == 0)
		return;
	if (rc == -SYNQ_E_UNAVAILABLE && p->config.rebuild_forever)
		p->again_us = synq_clock_mono_us() + CONNECT_AGAIN_US;
	else
		record_settle(p, r, r->maybe ? -SYNQ_E_UNCERTAIN : rc, -1);
}

/* Give everything that waits to the handle, in the order of sending. */
static void
give_waiting(struct synq_producer *p)
{
	struct synq_link *link, *after;

	p->again_us = 0;
	synq_list_foreach (&p->order, link, after) {
		struct synq_record *r =
		    SYNQ_CONTAINER(link, struct synq_record, all);

		if (r->state == RECORD_WAITING && !flow_may_go(p, r))
			p->again_us = synq_clock_mono_us(); /* when it lands */
		else if (r->state == RECORD_WAITING)
			sending_give_or_settle(p, r);
		if (p->state != SENDING_OPEN)
			return;
	}
	flow_plan(p);
}

static void
note_error(struct synq_producer *p, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);

	if (err == RD_KAFKA_RESP_ERR__FATAL)
		sending_break(p);
	else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && p->down_us == 0)
		p->down_us = synq_clock_mono_us();
}

static void
drain_events(struct synq_producer *p)
{
	rd_kafka_event_t *event = NULL;
	const rd_kafka_message_t *message;
	int count = 0;

	while (p->queue != NULL && count < EVENTS_PER_SERVE &&
	       (event = rd_kafka_queue_poll(p->queue, 0)) != NULL) {
		count++;
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
			note_error(p, event);
		while (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR &&
		       (message = rd_kafka_event_message_next(event)) != NULL)
			record_report(p, message);
		rd_kafka_event_destroy(event);
	}
	if (count == EVENTS_PER_SERVE)
		synq_wake_send(p->wake);
}

static void
drop_topics(struct synq_producer *p)
{
	for (size_t i = 0; i < p->topic_count; i++) {
		if (p->topics[i].rkt != NULL)
			rd_kafka_topic_destroy(p->topics[i].rkt);
		p->topics[i].rkt = NULL;
	}
}

static void
run_destroy(void *ctx)
{
	rd_kafka_destroy(ctx);
}

/* PURGE: until the reports are in, or it takes too long. */
static void
serve_purge(struct synq_producer *p)
{
	uint64_t now_us = synq_clock_mono_us();

	if (p->task != NULL && !synq_kafka_task_end(&p->task, 0))
		return;
	if (p->lanes_out > 0 && now_us < p->state_us + PURGE_LIMIT_US)
		return;
	drop_topics(p);
	synq_kafka_deafen(&p->queue);
	p->task = synq_kafka_task_start(p->wake, run_destroy, p->rk);
	move(p, SENDING_DESTROY);
}

/*
 * The handle is gone, or left to itself with what it refers to: then the
 * record goes on as a copy and the original stays with the handle.
 */
static void
take_back(struct synq_record *r, int gone)
{
	if (r->state != RECORD_SENT)
		return;
	r->state = RECORD_WAITING;
	r->maybe = 1;
	if (!gone && r->value.bytes > 0)
		r->value.data = synq_mem_copy(r->value.data, r->value.bytes);
}

static void
serve_destroy(struct synq_producer *p)
{
	uint64_t now_us = synq_clock_mono_us();
	struct synq_link *link, *after;
	int gone = synq_kafka_task_end(&p->task, 0);

	if (!gone && now_us < p->state_us + DESTROY_LIMIT_US)
		return;
	if (p->rk != NULL) {
		synq_list_foreach (&p->order, link, after)
			take_back(SYNQ_CONTAINER(link, struct synq_record, all),
			    gone);
		while (gone && (link = synq_list_first(&p->orphans)) != NULL)
			record_free(
			    p, SYNQ_CONTAINER(link, struct synq_record, all));
		flow_reset(p);
		p->rk = NULL;
	}
	if (!gone)
		synq_kafka_task_leave(&p->task);
	if (build_handle(p, NULL) != 0)
		return; /* again at the next tick */
	move(p, SENDING_CONNECT);
	ask_metadata(p);
}

/* CONNECT: ask until all topics are known. */
static void
serve_connect(struct synq_producer *p)
{
	if (p->task != NULL) {
		if (!synq_kafka_task_end(&p->task, 0) ||
		    p->task_rc == -SYNQ_E_UNAVAILABLE)
			return;
		/* After a rebuild one topic's absence stops no other. */
		if (p->task_rc != 0 && !p->connected)
			return;
		take_metadata(p);
		p->connected = 1;
		p->down_us = 0;
		move(p, SENDING_OPEN);
		give_waiting(p);
	} else if (synq_clock_mono_us() >= p->again_us) {
		ask_metadata(p);
	}
}

/* OPEN: while brokers do not answer, ask them now and then. */
static void
serve_open(struct synq_producer *p)
{
	uint64_t now_us = synq_clock_mono_us();

	if (p->again_us != 0 && now_us >= p->again_us)
		give_waiting(p);
	if (p->task != NULL && synq_kafka_task_end(&p->task, 0) &&
	    p->task_rc == 0)
		p->down_us = 0;
	if (p->down_us != 0 && p->task == NULL &&
	    now_us >= p->state_us + PROBE_US) {
		p->state_us = now_us;
		p->task = synq_kafka_task_start(p->wake, run_metadata, p);
	}
}

void
sending_serve(struct synq_producer *p)
{
	drain_events(p);
	switch (p->state) {
	case SENDING_CONNECT:
		serve_connect(p);
		break;
	case SENDING_OPEN:
		serve_open(p);
		break;
	case SENDING_PURGE:
		serve_purge(p);
		break;
	case SENDING_DESTROY:
		serve_destroy(p);
		break;
	}
}

int
sending_end(struct synq_producer *p)
{
	int gone =
	    synq_kafka_task_end(&p->task, END_LIMIT_MS + METADATA_LIMIT_MS);

	if (!gone) {
		synq_kafka_task_leave(&p->task);
		return 0;
	}
	if (p->state == SENDING_DESTROY) {
		p->rk = NULL; /* the task has destroyed it */
		return 1;
	}
	if (p->rk == NULL)
		return 1;
	if (p->lanes_out > 0) {
		rd_kafka_purge(
		    p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		move(p, SENDING_PURGE);
		rd_kafka_flush(p->rk, END_FLUSH_MS);
		drain_events(p);
	}
	drop_topics(p);
	synq_kafka_deafen(&p->queue);
	return synq_kafka_destroy(&p->rk, NULL, END_LIMIT_MS);
}
