/*
 * The handles of a reader.  One asks where streams start and reads nothing: a
 * broker answers a connection's requests one after the other, so a question
 * would lie behind each fetch that waits for records.  The others read; each
 * reads a partition once, and there are as many as that takes.
 *
 * Failure modes: a handle that cannot be made now is tried again with the next
 * question.
 */

#include <string.h>

#include "base/mem.h"
#include "kafka/reading.h"

#define DESTROY_LIMIT_MS 1000
/* Never joined: librdkafka wants a name to assign anything. */
#define GROUP "synq.reader"

int
handles_new(struct synq_reader *reader, struct synq_err *err)
{
	struct synq_kafka_build build;

	synq_kafka_build_start(&build, &reader->config, NULL, err);
	synq_kafka_set(&build, "allow.auto.create.topics", "false");
	return synq_kafka_build_end(&build, RD_KAFKA_PRODUCER, &reader->asking);
}

/* A new handle of ${reader}, NULL if it cannot be made now. */
static struct synq_reader_handle *
add_handle(struct synq_reader *reader)
{
	struct synq_reader_handle *handle;
	struct synq_kafka_build build;
	rd_kafka_t *rk;

	synq_kafka_build_start(&build, &reader->config, NULL, NULL);
	synq_kafka_set(&build, "group.id", GROUP);
	synq_kafka_set(&build, "enable.auto.commit", "false");
	synq_kafka_set(&build, "enable.auto.offset.store", "false");
	synq_kafka_set(&build, "auto.offset.reset", "error");
	synq_kafka_set(&build, "enable.partition.eof", "true");
	synq_kafka_set(&build, "fetch.wait.max.ms", "100");
	synq_kafka_set(&build, "fetch.error.backoff.ms", "100");
	/* Over it librdkafka rests for up to a second: the bytes are what
	 * bounds. */
	synq_kafka_set(&build, "queued.min.messages", "20000");
	synq_kafka_set(&build, "queued.max.messages.kbytes", "4096");
	synq_kafka_set(&build, "fetch.message.max.bytes", "1048576");
	synq_kafka_set(&build, "allow.auto.create.topics", "false");
	rd_kafka_conf_set_events(
	    build.conf, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR);
	if (synq_kafka_build_end(&build, RD_KAFKA_CONSUMER, &rk) != 0)
		return NULL;

	handle = synq_mem_new(sizeof(*handle));
	handle->rk = rk;
	handle->known = rd_kafka_topic_partition_list_new(4);
	rd_kafka_poll_set_consumer(rk);
	handle->queue = rd_kafka_queue_get_consumer(rk);
	synq_kafka_listen(handle->queue, reader->wake);
	synq_list_push(&reader->handles, &handle->link);
	return handle;
}

/* 1 if ${handle} reads the partition of ${stream} already. */
static int
reads(struct synq_reader *reader, const struct synq_reader_handle *handle,
    const struct synq_reader_stream *stream)
{
	struct synq_link *link, *after;

	synq_list_foreach (&reader->streams, link, after) {
		struct synq_reader_stream *other =
		    SYNQ_CONTAINER(link, struct synq_reader_stream, link);

		if (other->handle == handle &&
		    other->partition == stream->partition &&
		    strcmp(other->topic, stream->topic) == 0)
			return 1;
	}
	return 0;
}

static struct synq_reader_handle *
find_handle(struct synq_reader *reader, const struct synq_reader_stream *stream)
{
	struct synq_link *link, *after;

	synq_list_foreach (&reader->handles, link, after) {
		struct synq_reader_handle *handle =
		    SYNQ_CONTAINER(link, struct synq_reader_handle, link);

		if (!reads(reader, handle, stream))
			return handle;
	}
	return NULL;
}

int
handles_pick(struct synq_reader_stream *stream)
{
	if (stream->handle == NULL)
		stream->handle = find_handle(stream->reader, stream);
	if (stream->handle == NULL)
		stream->handle = add_handle(stream->reader);
	return stream->handle != NULL;
}

void
handles_serve(struct synq_reader *reader)
{
	struct synq_link *link, *after;
	rd_kafka_event_t *event;

	synq_list_foreach (&reader->handles, link, after) {
		struct synq_reader_handle *handle =
		    SYNQ_CONTAINER(link, struct synq_reader_handle, link);

		while ((event = rd_kafka_queue_poll(handle->queue, 0)) != NULL)
			rd_kafka_event_destroy(event);
	}
}

void
handles_free(struct synq_reader *reader)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&reader->handles)) != NULL) {
		struct synq_reader_handle *handle =
		    SYNQ_CONTAINER(link, struct synq_reader_handle, link);

		synq_kafka_deafen(&handle->queue);
		synq_kafka_destroy(&handle->rk, NULL, DESTROY_LIMIT_MS);
		rd_kafka_topic_partition_list_destroy(handle->known);
		synq_mem_free(handle);
	}
	synq_kafka_destroy(&reader->asking, NULL, DESTROY_LIMIT_MS);
}
