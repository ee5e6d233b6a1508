/*
 * A record's life:
 *
 * 1. send copies it into one block and puts it at the end of the order and of
 *    its partition's lane; the next flight (flow.c) gives it to the handle,
 *    which refers to our bytes.
 * 2. Its report comes.  Acknowledged: it is answered, and the lane's head
 *    moves over all that are.  Failed: it is answered, or it waits to be given
 *    to a handle again (results; after a fatal error all of them).
 * 3. It is freed when it is answered and no handle refers to it.
 *
 * Failure modes: a fatal error (sending.c rebuilds the handle).  A record that
 * got no report within the limit is answered UNCERTAIN and becomes an orphan
 * until the report comes.  A record may lie in the log twice.
 */

#include "kafka/producer.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/sending.h"

#define TICK_US 100000
#define UNHEALTHY_US 3000000
#define END_POLL_MS 10
/* What a record may carry beyond key and value. */
#define MAX_HEADER_BYTES 8192
/* What a topic takes whose limit nobody set. */
#define MAX_MESSAGE_BYTES 1000000

static struct synq_producer_topic *
find_topic(const struct synq_producer *p, const char *name)
{
	for (size_t i = 0; i < p->topic_count; i++)
		if (strcmp(p->topics[i].name, name) == 0)
			return &p->topics[i];
	return NULL;
}

/* Copy ${from} to *${at} and move it behind. */
static struct synq_slice
place(char **at, struct synq_slice from)
{
	struct synq_slice to = synq_slice_of(*at, from.bytes);

	if (from.bytes > 0)
		memcpy(*at, from.data, from.bytes);
	*at += from.bytes;
	return to;
}

static size_t
header_bytes(const struct synq_producer_record *record)
{
	size_t bytes = 0;

	for (size_t i = 0; i < record->header_count; i++)
		bytes += strlen(record->headers[i].name) + 1 +
		         record->headers[i].value.bytes;
	return bytes;
}

static struct synq_record *
copy_record(const struct synq_producer_record *from, size_t bytes)
{
	struct synq_record *r = synq_mem_resize(NULL, bytes);
	char *at;

	memset(r, 0, sizeof(*r));
	r->bytes = bytes;
	r->partition = from->partition;
	r->time_us = from->time_us;
	r->ack = from->ack;
	r->ctx = from->ctx;
	r->header_count = from->header_count;
	at = (char *)&r->headers[r->header_count];
	for (size_t i = 0; i < r->header_count; i++) {
		const struct synq_kafka_header *header = &from->headers[i];

		r->headers[i].name = at;
		place(
		    &at, synq_slice_of(header->name, strlen(header->name) + 1));
		r->headers[i].value = place(&at, header->value);
	}
	r->key = place(&at, from->key);
	r->value = place(&at, from->value);
	return r;
}

void
record_free(struct synq_producer *p, struct synq_record *r)
{
	flow_remove(p, r);
	synq_list_remove(r->answered ? &p->orphans : &p->order, &r->all);
	synq_list_remove(&r->topic->lanes[r->partition]->records, &r->lane);
	p->records--;
	p->bytes -= r->bytes;
	synq_mem_free(r);
}

/* The head of the lane of ${r} moves over all that are done. */
static void
advance_lane(struct synq_producer *p, struct synq_record *r)
{
	struct synq_lane *lane = r->topic->lanes[r->partition];
	struct synq_link *link;

	while ((link = synq_list_first(&lane->records)) != NULL) {
		struct synq_record *first =
		    SYNQ_CONTAINER(link, struct synq_record, lane);

		if (first->state != RECORD_DONE)
			break;
		if (first->offset > lane->acked)
			lane->acked = first->offset;
		record_free(p, first);
	}
}

void
record_settle(
    struct synq_producer *p, struct synq_record *r, int rc, int64_t offset)
{
	synq_producer_ack_fn *ack = r->ack;
	void *ctx = r->ctx;

	assert(!r->answered);
	synq_kafka_count(rc == 0 ? r->topic->produced : r->topic->failed);
	flow_remove(p, r);
	synq_list_remove(&p->order, &r->all);
	r->answered = 1;
	synq_list_push(&p->orphans, &r->all);
	p->unanswered--;
	if (rc == 0) {
		r->offset = offset;
		r->state = RECORD_DONE;
		advance_lane(p, r);
	} else {
		struct synq_lane *lane = r->topic->lanes[r->partition];

		/* A failure is an answer: those behind may count. */
		if (r->state == RECORD_SENT) {
			synq_list_remove(&lane->records, &r->lane);
		} else {
			r->state = RECORD_DONE;
			r->offset = -1;
		}
		advance_lane(p, r);
	}
	if (ack != NULL)
		ack(ctx, rc, offset);
}

/* The code for a record that a handle gave up with ${err}. */
static int
failure(const struct synq_record *r, rd_kafka_resp_err_t err)
{
	if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && !r->maybe)
		return -SYNQ_E_TOO_LARGE;
	return r->maybe ? -SYNQ_E_UNCERTAIN : -SYNQ_E_UNAVAILABLE;
}

/*
 * The place of ${r}, acknowledged at ${offset}.  A batch that was sent twice is
 * acknowledged without one: then the first place that is not taken by what was
 * acknowledged before, which is not beyond the true one.
 */
static int64_t
place_of(const struct synq_record *r, int64_t offset)
{
	return offset >= 0 ? offset : r->topic->lanes[r->partition]->acked + 1;
}

void
record_report(struct synq_producer *p, const rd_kafka_message_t *message)
{
	struct synq_record *r = message->_private;
	int fatal =
	    rd_kafka_fatal_error(p->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;

	r->state = RECORD_WAITING;
	flow_back(p, r);
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		flow_landed(p, r);
		p->down_us = 0;
	} else if (p->down_us == 0) {
		p->down_us = synq_clock_mono_us();
	}

	if (r->answered) {
		record_free(p, r);
		return;
	}
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		record_settle(p, r, 0, place_of(r, message->offset));
		return;
	}
	if (rd_kafka_message_status(message) !=
	    RD_KAFKA_MSG_STATUS_NOT_PERSISTED)
		r->maybe = 1;
	if (fatal || p->state == SENDING_PURGE) {
		sending_break(p);
		return;
	}
	if (p->config.rebuild_forever &&
	    message->err != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
		p->again_us = synq_clock_mono_us() + TICK_US;
		return;
	}
	record_settle(p, r, failure(r, message->err), -1);
}

/* Answer what has waited too long; a handle may still hold it. */
static void
settle_late(struct synq_producer *p)
{
	uint64_t limit_us = p->config.ack_limit_ms * 1000ULL;
	uint64_t now_us = synq_clock_mono_us();
	struct synq_link *link;

	if (p->config.rebuild_forever || p->config.ack_limit_ms == 0)
		return;
	while ((link = synq_list_first(&p->order)) != NULL) {
		struct synq_record *r =
		    SYNQ_CONTAINER(link, struct synq_record, all);

		if (now_us < r->sent_us + limit_us)
			break;
		if (r->state == RECORD_SENT)
			r->maybe = 1;
		record_settle(
		    p, r, failure(r, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT), -1);
	}
}

static int
has_room(const struct synq_producer *p, size_t bytes)
{
	return p->records < p->config.max_queued &&
	       p->bytes + bytes <= p->config.max_queued_bytes;
}

static void
tell_room(struct synq_producer *p)
{
	if (!p->refused || !has_room(p, p->config.max_queued_bytes / 8))
		return;
	p->refused = 0;
	if (p->on_room != NULL)
		p->on_room(p->on_room_ctx);
}

static void
on_wake(void *ctx)
{
	struct synq_producer *p = ctx;

	sending_serve(p);
	tell_room(p);
}

static void
on_tick(void *ctx)
{
	struct synq_producer *p = ctx;

	sending_serve(p);
	settle_late(p);
	tell_room(p);
}

static void
copy_topics(struct synq_producer *p, const char *const *topics)
{
	while (topics[p->topic_count] != NULL)
		p->topic_count++;
	p->topics = synq_mem_array(p->topic_count, sizeof(*p->topics));
	for (size_t i = 0; i < p->topic_count; i++) {
		struct synq_producer_topic *topic = &p->topics[i];

		topic->name = synq_mem_text(topics[i]);
		topic->produced = synq_kafka_series(
		    &p->config, SYNQ_M_KAFKA_PRODUCED_TOTAL, &topics[i]);
		topic->failed = synq_kafka_series(
		    &p->config, SYNQ_M_KAFKA_PRODUCE_ERRORS_TOTAL, &topics[i]);
	}
	p->rebuilds = synq_kafka_series(
	    &p->config, SYNQ_M_KAFKA_PRODUCER_REBUILDS_TOTAL, NULL);
	p->task_partitions =
	    synq_mem_array(p->topic_count, sizeof(*p->task_partitions));
}

int
synq_producer_new(struct synq_loop *loop,
    const struct synq_kafka_config *config, const char *const *topics,
    struct synq_producer **ret, struct synq_err *err)
{
	struct synq_producer *p = synq_mem_new(sizeof(*p));
	int rc;

	p->loop = loop;
	synq_kafka_config_copy(&p->config, config);
	if (p->config.max_message_bytes == 0)
		p->config.max_message_bytes = MAX_MESSAGE_BYTES;
	p->pulse = synq_mem_new(sizeof(*p->pulse));
	synq_list_init(&p->order);
	synq_list_init(&p->orphans);
	synq_list_init(&p->ready);
	copy_topics(p, topics);
	p->hold = synq_timer_new(loop, flow_give_held, p);
	p->tick = synq_timer_new(loop, on_tick, p);
	p->wake = synq_wake_new(loop, on_wake, p);
	if (p->wake == NULL) {
		rc = synq_fail(err, SYNQ_E_SYSTEM, "no descriptor left");
		goto fail;
	}
	rc = sending_start(p, err);
	if (rc != 0)
		goto fail;
	synq_timer_repeat(p->tick, TICK_US);
	*ret = p;
	return 0;

fail:
	synq_producer_free(&p, 0);
	return rc;
}

int
synq_producer_send(
    struct synq_producer *p, const struct synq_producer_record *record)
{
	struct synq_producer_topic *topic = find_topic(p, record->topic);
	size_t extra_bytes, bytes;
	struct synq_record *r;

	assert(record->header_count <= SYNQ_KAFKA_MAX_HEADERS);
	if (p->closing || topic == NULL || record->partition < 0 ||
	    record->partition >= topic->partitions)
		return -SYNQ_E_UNAVAILABLE;
	extra_bytes = header_bytes(record);
	if (record->key.bytes > p->config.max_message_bytes ||
	    record->value.bytes > p->config.max_message_bytes ||
	    extra_bytes > MAX_HEADER_BYTES ||
	    record->key.bytes + record->value.bytes + extra_bytes >
		p->config.max_message_bytes)
		return -SYNQ_E_TOO_LARGE;
	bytes = sizeof(*r) + record->header_count * sizeof(r->headers[0]) +
	        extra_bytes + record->key.bytes + record->value.bytes;
	if (!has_room(p, bytes)) {
		p->refused = 1;
		return -SYNQ_E_BUSY;
	}

	r = copy_record(record, bytes);
	r->topic = topic;
	r->sent_us = synq_loop_now_us(p->loop);
	synq_list_push(&p->order, &r->all);
	synq_list_push(&topic->lanes[r->partition]->records, &r->lane);
	p->records++;
	p->bytes += bytes;
	p->unanswered++;
	if (p->state == SENDING_OPEN) /* else with the others, in order */
		flow_add(p, r);
	return 0;
}

void
synq_producer_on_room(struct synq_producer *p, void (*fn)(void *ctx), void *ctx)
{
	p->on_room = fn;
	p->on_room_ctx = ctx;
}

int
synq_producer_healthy(const struct synq_producer *p)
{
	uint64_t now_us = synq_clock_mono_us();

	return p->connected &&
	       (p->down_us == 0 || now_us - p->down_us < UNHEALTHY_US);
}

size_t
synq_producer_pending(const struct synq_producer *p)
{
	return p->unanswered;
}

int32_t
synq_producer_partitions(const struct synq_producer *p, const char *topic)
{
	const struct synq_producer_topic *found = find_topic(p, topic);

	return found ? found->partitions : 0;
}

int64_t
synq_producer_acked(
    const struct synq_producer *p, const char *topic, int32_t partition)
{
	const struct synq_producer_topic *found = find_topic(p, topic);

	if (found == NULL || partition < 0 || partition >= found->partitions)
		return -1;
	return found->lanes[partition]->acked;
}

void
synq_producer_break(struct synq_producer *p)
{
	if (p->state == SENDING_OPEN)
		rd_kafka_test_fatal_error(p->rk,
		    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "asked");
	synq_wake_send(p->wake);
}

static void
wait_pending(struct synq_producer *p, uint32_t limit_ms)
{
	uint64_t end_us = synq_clock_mono_us() + limit_ms * 1000ULL;

	while (p->unanswered > 0 && synq_clock_mono_us() < end_us) {
		flow_give_held(p);
		sending_serve(p);
		if (p->unanswered == 0)
			break;
		/* Waits for reports, and sends what lingers. */
		if (p->state == SENDING_OPEN)
			rd_kafka_flush(p->rk, END_POLL_MS);
		else
			usleep(END_POLL_MS * 1000);
	}
}

static void
free_topics(struct synq_producer *p)
{
	for (size_t i = 0; i < p->topic_count; i++) {
		for (int32_t k = 0; k < p->topics[i].partitions; k++)
			synq_mem_free(p->topics[i].lanes[k]);
		synq_mem_free(p->topics[i].lanes);
		synq_mem_free(p->topics[i].name);
	}
	synq_mem_free(p->topics);
	synq_mem_free(p->task_partitions);
}

void
synq_producer_free(struct synq_producer **p_ptr, uint32_t limit_ms)
{
	struct synq_producer *p = *p_ptr;
	struct synq_link *link;
	int gone;

	if (p == NULL)
		return;
	wait_pending(p, limit_ms);
	p->closing = 1; /* an answer may want to say more: nobody is there */
	gone = sending_end(p);
	while ((link = synq_list_first(&p->order)) != NULL) {
		struct synq_record *r =
		    SYNQ_CONTAINER(link, struct synq_record, all);

		r->maybe |= r->state == RECORD_SENT;
		record_settle(p, r, failure(r, RD_KAFKA_RESP_ERR__DESTROY), -1);
	}
	/* A handle that is still there may refer to these. */
	while (gone && (link = synq_list_first(&p->orphans)) != NULL)
		record_free(p, SYNQ_CONTAINER(link, struct synq_record, all));
	synq_timer_free(&p->tick);
	flow_end(p);
	synq_timer_free(&p->hold);
	synq_wake_free(&p->wake);
	*p_ptr = NULL;
	if (!gone)
		return; /* its threads may still look at the rest */
	free_topics(p);
	synq_mem_free(p->pulse);
	synq_kafka_config_done(&p->config);
	synq_mem_free(p);
}
