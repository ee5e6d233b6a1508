#ifndef SYNQ_KAFKA_READER_H
#define SYNQ_KAFKA_READER_H

/*
 * A reader of partitions without a group: from a place that the caller names,
 * to the end that stood when it was asked, and on from there for as long as
 * the stream is kept.  Used to reconcile with results, to follow cancels and
 * the compacted control topic.
 */

#include "kafka/kafka.h"

struct synq_reader;
struct synq_reader_stream;

struct synq_reader_events {
	/* A record of this stream.  NULL: nothing is read, only found. */
	void (*on_message)(void *ctx, const struct synq_kafka_message *message);
	/* All that was there when the stream began is read.  Once. */
	void (*on_caught_up)(void *ctx);
	/*
	 * May be NULL.  The stream begins at ${offset}: lower than what was
	 * asked for if the log ends there.  Once, before the rest.
	 */
	void (*on_found)(void *ctx, int64_t offset);
};

enum synq_reader_from {
	SYNQ_READ_OFFSET, /* start at the offset ${at} */
	SYNQ_READ_TIME,  /* start at the first record not older than ${at} us */
	SYNQ_READ_FIRST, /* start at the first that is kept */
	SYNQ_READ_END    /* start at the present end */
};

/* A reader on ${loop}; one handle serves many streams. */
SYNQ_MUST_CHECK int synq_reader_new(struct synq_loop *loop,
    const struct synq_kafka_config *config, struct synq_reader **ret,
    struct synq_err *err);

struct synq_reader_request {
	const char *topic;
	int32_t partition;
	enum synq_reader_from from;
	int64_t at;
	struct synq_reader_events events;
	void *ctx;
};

/*
 * Begin the stream ${request}.  Failures of the broker are retried inside.
 * An offset that is no longer kept starts at the first that is.  Several
 * streams may follow the same partition.
 */
struct synq_reader_stream *synq_reader_open(
    struct synq_reader *reader, const struct synq_reader_request *request);

/* The offset that the next record of ${stream} will have, at least; -1 before
 * the first answer. */
int64_t synq_reader_position(const struct synq_reader_stream *stream);

/* End *${stream}: no callback runs any more.  Sets it to NULL. */
void synq_reader_close(struct synq_reader_stream **stream);

/* Free *${reader} and its streams within ${limit_ms}; sets it to NULL. */
void synq_reader_free(struct synq_reader **reader, uint32_t limit_ms);

#endif
