/*
 * A stream's life: it gets a handle that does not read its partition yet
 * (handles.c), and a task finds its first offset and its end (lookup.c); it is
 * assigned to the handle with a queue of its own; records come.  It has caught
 * up when its position reaches the end that stood, or the broker says that
 * there is no more (the last offsets may be gone by compaction).
 *
 * Failure modes:
 * - What it wants next is no longer kept: it is looked up again and goes on at
 *   the first that is.
 * - The broker says that there is no more before the end that stood: it leads
 *   the partition since a moment ago and does not know yet how much of it is
 *   safe (KIP-207).  That is not the end; it is looked up again.
 * Everything else librdkafka repeats.
 */

#include "kafka/reader.h"

#include "base/mem.h"
#include "kafka/reading.h"

#define TICK_US 100000
#define RECORDS_PER_SERVE 256

/* A list of the partition of ${stream} at its position. */
static rd_kafka_topic_partition_list_t *
list_of(const struct synq_reader_stream *stream)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(
	    list, stream->topic, stream->partition)
	    ->offset = stream->position;
	return list;
}

static void
drop_error(rd_kafka_error_t *error)
{
	if (error != NULL)
		rd_kafka_error_destroy(error);
}

static void
detach(struct synq_reader_stream *stream)
{
	rd_kafka_topic_partition_list_t *list;

	if (stream->queue == NULL)
		return;
	synq_kafka_deafen(&stream->queue);
	list = list_of(stream);
	drop_error(rd_kafka_incremental_unassign(stream->handle->rk, list));
	rd_kafka_topic_partition_list_destroy(list);
}

static void
attach(struct synq_reader_stream *stream)
{
	struct synq_reader *reader = stream->reader;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error;

	stream->queue = rd_kafka_queue_get_partition(
	    stream->handle->rk, stream->topic, stream->partition);
	rd_kafka_queue_forward(stream->queue, NULL);
	synq_kafka_listen(stream->queue, reader->wake);
	list = list_of(stream);
	error = rd_kafka_incremental_assign(stream->handle->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error == NULL) {
		stream->state = STREAM_READING;
		return;
	}
	rd_kafka_error_destroy(error);
	synq_kafka_deafen(&stream->queue); /* again at the next tick */
}

static void
tell_caught_up(struct synq_reader_stream *stream)
{
	if (stream->caught_up || stream->state != STREAM_READING)
		return;
	stream->caught_up = 1;
	if (stream->events.on_caught_up != NULL)
		stream->events.on_caught_up(stream->ctx);
}

/* Say where ${stream} begins, then let its records come. */
static void
begin(struct synq_reader_stream *stream)
{
	if (!stream->told && stream->events.on_found != NULL)
		stream->events.on_found(stream->ctx, stream->position);
	stream->told = 1;
	if (stream->state == STREAM_FOUND && stream->events.on_message != NULL)
		attach(stream);
}

/* The offset that ${event} is about. */
static int64_t
offset_of(rd_kafka_event_t *event)
{
	rd_kafka_topic_partition_t *about =
	    rd_kafka_event_topic_partition(event);
	int64_t offset = about != NULL ? about->offset : -1;

	rd_kafka_topic_partition_destroy(about);
	return offset;
}

static void
look_again(struct synq_reader_stream *stream)
{
	detach(stream);
	stream->from = SYNQ_READ_OFFSET;
	stream->at = stream->position;
	stream->state = STREAM_LOOKUP;
}

static void
take_error(struct synq_reader_stream *stream, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t rc = rd_kafka_event_error(event);

	if (rc == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		look_again(stream);
	else if (rc != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return;
	else if (offset_of(event) >= stream->end)
		tell_caught_up(stream);
	else
		look_again(stream);
}

static void
take_record(struct synq_reader_stream *stream, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *from = rd_kafka_event_message_next(event);
	struct synq_kafka_message message;

	if (from == NULL || from->offset < stream->position)
		return;
	stream->position = from->offset + 1;
	synq_kafka_read_message(from, &message);
	stream->events.on_message(stream->ctx, &message);
}

/* Deliver from ${stream}; 1 if there may be more. */
static int
serve_stream(struct synq_reader_stream *stream)
{
	rd_kafka_event_t *event;

	for (int i = 0; i < RECORDS_PER_SERVE; i++) {
		if (stream->state != STREAM_READING)
			return 0;
		if (stream->position >= stream->end)
			tell_caught_up(stream);
		if (stream->state != STREAM_READING)
			return 0;
		event = rd_kafka_queue_poll(stream->queue, 0);
		if (event == NULL)
			return 0;
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH)
			take_record(stream, event);
		else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
			take_error(stream, event);
		rd_kafka_event_destroy(event);
	}
	return 1;
}

static void
free_stream(struct synq_reader_stream *stream)
{
	synq_list_remove(&stream->reader->streams, &stream->link);
	synq_mem_free(stream->topic);
	synq_mem_free(stream);
}

static void
serve_streams(struct synq_reader *reader)
{
	struct synq_link *link, *after;
	int more = 0;

	synq_list_foreach (&reader->streams, link, after) {
		struct synq_reader_stream *stream =
		    SYNQ_CONTAINER(link, struct synq_reader_stream, link);

		if (stream->state == STREAM_FOUND)
			begin(stream);
		more |= serve_stream(stream);
		if (stream->state == STREAM_CLOSED) {
			detach(stream);
			free_stream(stream);
		}
	}
	if (more)
		synq_wake_send(reader->wake);
}

static void
serve(void *ctx)
{
	struct synq_reader *reader = ctx;

	handles_serve(reader);
	lookup_serve(reader);
	serve_streams(reader);
}

int
synq_reader_new(struct synq_loop *loop, const struct synq_kafka_config *config,
    struct synq_reader **ret, struct synq_err *err)
{
	struct synq_reader *reader = synq_mem_new(sizeof(*reader));
	int rc;

	reader->loop = loop;
	synq_kafka_config_copy(&reader->config, config);
	synq_list_init(&reader->streams);
	synq_list_init(&reader->handles);
	reader->tick = synq_timer_new(loop, serve, reader);
	reader->wake = synq_wake_new(loop, serve, reader);
	if (reader->wake == NULL) {
		rc = synq_fail(err, SYNQ_E_SYSTEM, "no descriptor left");
		goto fail;
	}
	rc = handles_new(reader, err);
	if (rc != 0)
		goto fail;
	synq_timer_repeat(reader->tick, TICK_US);
	*ret = reader;
	return 0;

fail:
	synq_reader_free(&reader, 0);
	return rc;
}

struct synq_reader_stream *
synq_reader_open(
    struct synq_reader *reader, const struct synq_reader_request *request)
{
	struct synq_reader_stream *stream = synq_mem_new(sizeof(*stream));

	stream->reader = reader;
	stream->topic = synq_mem_text(request->topic);
	stream->partition = request->partition;
	stream->from = request->from;
	stream->at = request->at;
	stream->events = request->events;
	stream->ctx = request->ctx;
	stream->position = -1;
	synq_list_push(&reader->streams, &stream->link);
	synq_wake_send(reader->wake);
	return stream;
}

int64_t
synq_reader_position(const struct synq_reader_stream *stream)
{
	return stream->position;
}

void
synq_reader_close(struct synq_reader_stream **stream)
{
	if (*stream == NULL)
		return;
	/* It may be in the middle of a callback: freed at the next serve. */
	(*stream)->state = STREAM_CLOSED;
	synq_wake_send((*stream)->reader->wake);
	*stream = NULL;
}

void
synq_reader_free(struct synq_reader **reader_ptr, uint32_t limit_ms)
{
	struct synq_reader *reader = *reader_ptr;
	struct synq_link *link;
	int idle;

	if (reader == NULL)
		return;
	idle = lookup_end(reader, limit_ms);
	while ((link = synq_list_first(&reader->streams)) != NULL) {
		struct synq_reader_stream *stream =
		    SYNQ_CONTAINER(link, struct synq_reader_stream, link);

		detach(stream);
		free_stream(stream);
	}
	if (idle)
		handles_free(reader);
	synq_kafka_task_leave(&reader->task);
	synq_timer_free(&reader->tick);
	*reader_ptr = NULL;
	if (!idle)
		return; /* the task still uses the rest */
	synq_wake_free(&reader->wake);
	synq_kafka_config_done(&reader->config);
	synq_mem_free(reader);
}
