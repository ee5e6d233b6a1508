/*
 * Where a stream starts: a task asks for the first offset, the end, and where
 * a time lies, of all streams that wait, in at most three requests.  A stream
 * of a partition that is already in the question waits for the next one.
 *
 * The handle that will read a topic for the first time learns here who leads
 * it: librdkafka 2.0.2 would find out up to a second later, by a timer.
 *
 * Failure modes: no answer: all are asked again AGAIN_US later.  A broker that
 * has just come back says that nobody leads a partition; librdkafka keeps that
 * until its next refresh, which may be minutes away, and answers from it: so
 * the topic is asked for anew.
 */

#include <string.h>

#include "base/clock.h"
#include "kafka/reading.h"

#define ANSWER_LIMIT_MS 2000
#define AGAIN_US 200000
/* Kafka's names for the first offset and the end, in place of a time. */
#define TIME_OF_END (-1)
#define TIME_OF_FIRST (-2)

/* Let ${rk} learn who leads what of ${topic} now; on the task's thread. */
static void
refresh(rd_kafka_t *rk, const char *topic)
{
	const struct rd_kafka_metadata *found;
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);

	if (rkt == NULL)
		return;
	if (rd_kafka_metadata(rk, 0, rkt, &found, ANSWER_LIMIT_MS) ==
	    RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(found);
	rd_kafka_topic_destroy(rkt);
}

/* A broker's word, not its silence, made the ${i}th of ${list} fail. */
static int
is_refused(const rd_kafka_topic_partition_list_t *list, int i)
{
	return list->elems[i].err > RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Refresh each topic of which a partition in ${list} was refused. */
static void
refresh_refused(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		const char *topic = list->elems[i].topic;
		int before = 0;

		while (before < i &&
		       (!is_refused(list, before) ||
			   strcmp(list->elems[before].topic, topic) != 0))
			before++;
		if (before == i && is_refused(list, i))
			refresh(rk, topic);
	}
}

/* On the task's thread. */
static void
learn_news(const rd_kafka_topic_partition_list_t *news)
{
	for (int i = 0; i < news->cnt; i++) {
		const struct synq_reader_handle *handle = news->elems[i].opaque;

		refresh(handle->rk, news->elems[i].topic);
	}
}

/* On the task's thread. */
static void
run_lookup(void *ctx)
{
	struct synq_lookup *lookup = ctx;

	lookup->rc = rd_kafka_offsets_for_times(
	    lookup->rk, lookup->first, ANSWER_LIMIT_MS);
	if (lookup->rc == RD_KAFKA_RESP_ERR_NO_ERROR)
		lookup->rc = rd_kafka_offsets_for_times(
		    lookup->rk, lookup->end, ANSWER_LIMIT_MS);
	if (lookup->rc == RD_KAFKA_RESP_ERR_NO_ERROR && lookup->time->cnt > 0)
		lookup->rc = rd_kafka_offsets_for_times(
		    lookup->rk, lookup->time, ANSWER_LIMIT_MS);
	refresh_refused(lookup->rk, lookup->first);
	if (lookup->rc == RD_KAFKA_RESP_ERR_NO_ERROR)
		learn_news(lookup->news);
}

/* Note the topic of ${stream} as news if its handle has not read it before. */
static void
add_news(struct synq_lookup *lookup, const struct synq_reader_stream *stream)
{
	struct synq_reader_handle *handle = stream->handle;

	if (rd_kafka_topic_partition_list_find(
		handle->known, stream->topic, 0) != NULL)
		return;
	rd_kafka_topic_partition_list_add(handle->known, stream->topic, 0);
	rd_kafka_topic_partition_list_add(lookup->news, stream->topic, 0)
	    ->opaque = handle;
}

static void
add_to_question(struct synq_lookup *lookup, struct synq_reader_stream *stream)
{
	rd_kafka_topic_partition_list_add(
	    lookup->first, stream->topic, stream->partition)
	    ->offset = TIME_OF_FIRST;
	rd_kafka_topic_partition_list_add(
	    lookup->end, stream->topic, stream->partition)
	    ->offset = TIME_OF_END;
	if (stream->from == SYNQ_READ_TIME)
		rd_kafka_topic_partition_list_add(
		    lookup->time, stream->topic, stream->partition)
		    ->offset = stream->at < 0 ? 0 : stream->at / 1000;
	if (stream->handle != NULL)
		add_news(lookup, stream);
	stream->state = STREAM_ASKED;
}

/* Nobody answered: let the news of ${lookup} be news again. */
static void
forget_news(struct synq_lookup *lookup)
{
	for (int i = 0; i < lookup->news->cnt; i++) {
		struct synq_reader_handle *handle =
		    lookup->news->elems[i].opaque;

		rd_kafka_topic_partition_list_del(
		    handle->known, lookup->news->elems[i].topic, 0);
	}
}

static void
drop_question(struct synq_lookup *lookup)
{
	rd_kafka_topic_partition_list_destroy(lookup->first);
	rd_kafka_topic_partition_list_destroy(lookup->end);
	rd_kafka_topic_partition_list_destroy(lookup->time);
	rd_kafka_topic_partition_list_destroy(lookup->news);
	memset(lookup, 0, sizeof(*lookup));
}

static void
ask(struct synq_reader *reader)
{
	struct synq_lookup *lookup = &reader->lookup;
	struct synq_link *link, *after;

	lookup->first = rd_kafka_topic_partition_list_new(8);
	lookup->end = rd_kafka_topic_partition_list_new(8);
	lookup->time = rd_kafka_topic_partition_list_new(8);
	lookup->news = rd_kafka_topic_partition_list_new(4);
	synq_list_foreach (&reader->streams, link, after) {
		struct synq_reader_stream *stream =
		    SYNQ_CONTAINER(link, struct synq_reader_stream, link);

		if (stream->state == STREAM_LOOKUP &&
		    rd_kafka_topic_partition_list_find(lookup->first,
			stream->topic, stream->partition) == NULL &&
		    (stream->events.on_message == NULL || handles_pick(stream)))
			add_to_question(lookup, stream);
	}
	if (lookup->first->cnt == 0) {
		drop_question(lookup);
		return;
	}
	lookup->rk = reader->asking;
	reader->task = synq_kafka_task_start(reader->wake, run_lookup, lookup);
}

/* The answer for ${stream} in ${list}; 0 if it is there. */
static int
answer_of(const struct synq_reader_stream *stream,
    rd_kafka_topic_partition_list_t *list, int64_t *ret)
{
	const rd_kafka_topic_partition_t *found =
	    rd_kafka_topic_partition_list_find(
		list, stream->topic, stream->partition);

	if (found == NULL || found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return -SYNQ_E_UNAVAILABLE;
	*ret = found->offset;
	return 0;
}

static void
take_answer(struct synq_lookup *lookup, struct synq_reader_stream *stream)
{
	int64_t first = 0, end = 0, start = 0;

	stream->state = STREAM_LOOKUP;
	if (lookup->rc != RD_KAFKA_RESP_ERR_NO_ERROR ||
	    answer_of(stream, lookup->first, &first) != 0 ||
	    answer_of(stream, lookup->end, &end) != 0 || first < 0 || end < 0)
		return;
	switch (stream->from) {
	case SYNQ_READ_OFFSET:
		start = stream->at;
		break;
	case SYNQ_READ_TIME:
		if (answer_of(stream, lookup->time, &start) != 0)
			return;
		if (start < 0)
			start = end; /* nothing is so young */
		break;
	case SYNQ_READ_FIRST:
		start = first;
		break;
	case SYNQ_READ_END:
		start = end;
		break;
	}
	if (start > end)
		start = end;
	if (start < first)
		start = first;
	stream->position = start;
	stream->end = end;
	stream->state = STREAM_FOUND;
}

int
lookup_end(struct synq_reader *reader, uint32_t limit_ms)
{
	struct synq_link *link, *after;

	if (reader->task == NULL)
		return 1;
	if (!synq_kafka_task_end(&reader->task, limit_ms))
		return 0;
	if (reader->lookup.rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
		forget_news(&reader->lookup);
		reader->again_us = synq_clock_mono_us() + AGAIN_US;
	}
	synq_list_foreach (&reader->streams, link, after) {
		struct synq_reader_stream *stream =
		    SYNQ_CONTAINER(link, struct synq_reader_stream, link);

		if (stream->state != STREAM_ASKED)
			continue;
		take_answer(&reader->lookup, stream);
		if (stream->state == STREAM_LOOKUP)
			reader->again_us = synq_clock_mono_us() + AGAIN_US;
	}
	drop_question(&reader->lookup);
	return 1;
}

void
lookup_serve(struct synq_reader *reader)
{
	if (lookup_end(reader, 0) && synq_clock_mono_us() >= reader->again_us)
		ask(reader);
}
