/*
 * Records in.
 *
 * Happy path: on_assign → where does the database stand? → does the log still
 * hold that? → read from there → each record into the batch → a full batch, or
 * its time, starts the write.
 *
 * Failure modes: PostgreSQL does not answer (asked again until it does; the
 * partition is not read meanwhile), a record does not decode (logged with its
 * place, skipped: it stays in its topic), the batch is full while the other
 * one is written (reading stops), the log was cut (cut.c says so; the database
 * goes back to where, and is asked again).
 */

#include "read.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cut.h"
#include "loop/loop.h"
#include "proto/attempt.h"
#include "proto/request.h"
#include "recorder.h"
#include "service/service.h"
#include "store/record.h"
#include "write.h"

/* A batch above this is full, however few records it has. */
#define BATCH_MAX_BYTES (8U << 20)
/* How soon to ask PostgreSQL again. */
#define ASK_AGAIN_US 200000

static struct place *
read_find(struct recorder *recorder, const char *topic, int32_t partition)
{
	struct synq_link *link;
	struct place *place;

	for (link = synq_list_first(&recorder->places); link != NULL;
	     link = synq_list_next(&recorder->places, link)) {
		place = SYNQ_CONTAINER(link, struct place, link);
		if (place->partition == partition &&
		    strcmp(place->topic, topic) == 0)
			return place;
	}
	return NULL;
}

static const char *
read_topic(const char *topic)
{
	if (strcmp(topic, SYNQ_TOPIC_RESULTS) == 0)
		return SYNQ_TOPIC_RESULTS;
	return synq_source_name(synq_source_code(topic));
}

int
read_answered(struct place *place)
{
	const int gone = place->gone;

	place->asked--;
	if (gone && place->asked == 0)
		synq_mem_free(place);
	return gone;
}

void
read_start(struct place *place)
{
	place->started = 1;
	place->next = place->recorded < 0 ? 0 : place->recorded;
	/* 0: nothing was ever read, and what was there may have expired. */
	synq_consumer_start(place->recorder->consumer, place->topic,
	    place->partition, place->next > 0 ? place->next : -1);
}

static void
read_on_offset(void *ctx, int rc, int64_t next, int64_t as_of_at)
{
	struct place *place = ctx;

	if (read_answered(place))
		return;
	if (rc != 0) {
		synq_timer_start(place->recorder->again, ASK_AGAIN_US);
		return;
	}
	place->recorded = next;
	if (next > 0)
		cut_look(place, as_of_at);
	else
		read_start(place);
}

/* Ask where the database stands in ${place}. */
static void
read_ask(struct place *place)
{
	struct recorder *recorder = place->recorder;

	if (synq_store_offset(recorder->pg, place->topic, place->partition,
		read_on_offset, place) == 0)
		place->asked++;
	else
		synq_timer_start(recorder->again, ASK_AGAIN_US);
}

static void
read_on_rewound(void *ctx, int rc)
{
	struct place *place = ctx;

	if (read_answered(place))
		return;
	if (rc != 0)
		synq_timer_start(place->recorder->again, ASK_AGAIN_US);
	else
		read_ask(place);
}

void
read_rewind(struct place *place, int64_t next)
{
	struct recorder *recorder = place->recorder;
	const struct synq_rewind rewind = { place->topic, place->partition,
		place->recorded, next };

	if (synq_store_rewind(recorder->pg, &rewind, read_on_rewound, place) ==
	    0)
		place->asked++;
	else
		synq_timer_start(recorder->again, ASK_AGAIN_US);
}

static void
read_on_assign(void *ctx, const char *topic, int32_t partition)
{
	struct recorder *recorder = ctx;
	struct place *place = synq_mem_new(sizeof(*place));

	place->recorder = recorder;
	place->topic = read_topic(topic);
	place->partition = partition;
	place->writing = -1;
	synq_list_push(&recorder->places, &place->link);
	read_ask(place);
}

static void
read_on_revoke(void *ctx, const char *topic, int32_t partition, int lost)
{
	struct recorder *recorder = ctx;
	struct place *place = read_find(recorder, topic, partition);

	(void)lost;
	if (place == NULL)
		return;
	/*
	 * Its rows in the batch may still be written, its offset not: whoever
	 * takes over reads them again, and a row never goes back.
	 */
	synq_list_remove(&recorder->places, &place->link);
	cut_forget(place);
	place->gone = 1;
	if (place->asked == 0)
		synq_mem_free(place);
}

/* Put ${message} into the batch; 0, or CORRUPT. */
static int
read_decode(struct recorder *recorder, const struct synq_kafka_message *message)
{
	struct synq_request request;
	struct synq_outcome outcome;
	int rc;

	if (strcmp(message->topic, SYNQ_TOPIC_RESULTS) == 0) {
		rc = synq_outcome_decode(message->value, &outcome);
		if (rc == 0)
			synq_batch_outcome(recorder->filling, &outcome);
	} else {
		rc = synq_request_decode(message->value, &request);
		if (rc == 0)
			synq_batch_request(recorder->filling, &request);
	}
	return rc;
}

static int
read_full(const struct recorder *recorder)
{
	const struct synq_config *config =
	    synq_service_config(recorder->service);

	return synq_batch_records(recorder->filling) >=
	           (size_t)config->recorder_batch_rows ||
	       synq_batch_bytes(recorder->filling) >= BATCH_MAX_BYTES;
}

static int
read_on_message(void *ctx, const struct synq_kafka_message *message)
{
	struct recorder *recorder = ctx;
	struct place *place =
	    read_find(recorder, message->topic, message->partition);

	if (place != NULL)
		place->at_end = 0;
	if (recorder->draining)
		return 1;
	if (place == NULL || message->offset < place->next)
		return 0;
	if (synq_batch_records(recorder->filling) == 0)
		write_wait(recorder);
	if (read_decode(recorder, message) != 0) {
		figures_corrupt(&recorder->figures);
		synq_log(SYNQ_LOG_ERROR, "record.corrupt",
		    SYNQ_F_TEXT("topic", message->topic),
		    SYNQ_F_INT("partition", message->partition),
		    SYNQ_F_INT("offset", message->offset), SYNQ_F_END);
	}
	place->next = message->offset + 1;
	place->as_of_at = message->time_us;
	if (read_full(recorder))
		write_flush(recorder);
	place->full = read_full(recorder);
	return place->full;
}

static void
read_on_end(void *ctx, const char *topic, int32_t partition)
{
	struct recorder *recorder = ctx;
	struct place *place = read_find(recorder, topic, partition);

	if (place != NULL)
		place->at_end = 1;
}

static void
read_on_fatal(void *ctx, const struct synq_err *err)
{
	struct recorder *recorder = ctx;

	synq_service_fail(recorder->service, err);
}

struct synq_consumer_events
read_events(void)
{
	return (struct synq_consumer_events){
		.on_assign = read_on_assign,
		.on_revoke = read_on_revoke,
		.on_message = read_on_message,
		.on_end = read_on_end,
		.on_fatal = read_on_fatal,
	};
}

void
read_resume(struct recorder *recorder)
{
	struct synq_link *link;
	struct place *place;

	for (link = synq_list_first(&recorder->places); link != NULL;
	     link = synq_list_next(&recorder->places, link)) {
		place = SYNQ_CONTAINER(link, struct place, link);
		if (!place->started && place->asked == 0 &&
		    place->cut == NULL) {
			read_ask(place);
		} else if (place->full && !recorder->draining) {
			place->full = 0;
			synq_consumer_resume(
			    recorder->consumer, place->topic, place->partition);
		}
	}
}
