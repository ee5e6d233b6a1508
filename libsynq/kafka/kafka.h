#ifndef SYNQ_KAFKA_KAFKA_H
#define SYNQ_KAFKA_KAFKA_H

/*
 * What all of Kafka's clients here share: where the cluster is and how a
 * client behaves.  This folder is the only one that sees librdkafka.
 *
 * Thread: every function runs on the loop's thread.  librdkafka's own threads
 * only wake the loop; no callback of ours runs on them.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_loop;
struct synq_metrics;

struct synq_kafka_config {
	const char *brokers;     /* bootstrap list "host:port,..." */
	const char *client_id;   /* "<program>:<instance>:<boot id>" */
	uint32_t linger_ms;      /* producers: 0 up to ~5,000/s, 1 above */
	const char *compression; /* producers: none, lz4, zstd; NULL = none */
	uint32_t max_queued;     /* producers: records waiting; then BUSY */
	size_t max_queued_bytes;
	size_t max_message_bytes; /* of one record; the topic's own limit */
	uint32_t ack_limit_ms;    /* producers: no acknowledgement by then */
	int rebuild_forever;      /* producers: 1 = re-send for ever what is not
	                             acknowledged (results), 0 = fail it (intake) */
	struct synq_metrics *metrics; /* may be NULL */
};

struct synq_kafka_header {
	const char *name;
	struct synq_slice value;
};

#define SYNQ_KAFKA_MAX_HEADERS 16

/* One record as it is read; valid only during the callback that gets it. */
struct synq_kafka_message {
	const char *topic;
	int32_t partition;
	int64_t offset;
	int64_t time_us; /* the producer's time stamp */
	struct synq_slice key;
	struct synq_slice value;
	const void *handle; /* for synq_kafka_message_header */
};

/* The value of the header ${name} of ${message}; empty if there is none. */
struct synq_slice synq_kafka_message_header(
    const struct synq_kafka_message *message, const char *name);

#endif
