#ifndef SYNQ_KAFKA_READING_H
#define SYNQ_KAFKA_READING_H

/*
 * The reader from inside, shared by reader.c (streams and their records),
 * lookup.c (where streams start) and handles.c (with what they are read).
 */

#include "base/list.h"
#include "kafka/inner.h"
#include "kafka/reader.h"
#include "loop/loop.h"

enum stream_state {
	STREAM_LOOKUP,  /* its first offset and its end are not known yet */
	STREAM_ASKED,   /* a task asks for them */
	STREAM_FOUND,   /* to be assigned at the next serve */
	STREAM_READING, /* its records come */
	STREAM_CLOSED   /* to be freed at the next serve */
};

/* One handle: a partition can be read once with it. */
struct synq_reader_handle {
	struct synq_link link;
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue; /* errors; nothing else */
	/* The topics whose leaders it was told to learn; partition 0 each. */
	rd_kafka_topic_partition_list_t *known;
};

struct synq_reader_stream {
	struct synq_link link;
	struct synq_reader *reader;
	enum stream_state state;
	char *topic;
	int32_t partition;
	enum synq_reader_from from;
	int64_t at;
	struct synq_reader_events events;
	void *ctx;
	struct synq_reader_handle *handle; /* NULL before the first question */
	rd_kafka_queue_t *queue;           /* NULL unless READING */
	int64_t position;                  /* -1 = not known */
	int64_t end;                       /* that stood when it began */
	int told;                          /* where it begins */
	int caught_up;
};

/* A question about the start of some streams, on a task's thread. */
struct synq_lookup {
	rd_kafka_t *rk; /* the reader's */
	rd_kafka_topic_partition_list_t *first;
	rd_kafka_topic_partition_list_t *end;
	rd_kafka_topic_partition_list_t *time;
	/* Topics that a handle, the opaque, is to learn before it reads. */
	rd_kafka_topic_partition_list_t *news;
	rd_kafka_resp_err_t rc;
};

struct synq_reader {
	struct synq_loop *loop;
	struct synq_kafka_config config;
	struct synq_wake *wake;
	struct synq_timer *tick;
	struct synq_list streams; /* struct synq_reader_stream */
	struct synq_list handles; /* struct synq_reader_handle */
	rd_kafka_t *asking;       /* handle of the questions; reads nothing */
	struct synq_kafka_task *task;
	struct synq_lookup lookup; /* the task's while it runs */
	uint64_t again_us;
};

/* Make the handle with which ${reader} asks.  Errors: CONFIG, SYSTEM. */
SYNQ_MUST_CHECK int handles_new(
    struct synq_reader *reader, struct synq_err *err);

/* Give ${stream} a handle to be read with if it has none; 0 if none is to be
 * had now. */
int handles_pick(struct synq_reader_stream *stream);

/* Take what the handles of ${reader} have to say: nothing that matters. */
void handles_serve(struct synq_reader *reader);

/* Free the handles of ${reader}; no task uses them any more. */
void handles_free(struct synq_reader *reader);

/* Ask for the start of the streams of ${reader} that need it, take answers. */
void lookup_serve(struct synq_reader *reader);

/* Wait at most ${limit_ms} for the task of ${reader}; 1 if there is none. */
int lookup_end(struct synq_reader *reader, uint32_t limit_ms);

#endif
