#ifndef SYNQ_KAFKA_ADMIN_H
#define SYNQ_KAFKA_ADMIN_H

/*
 * Making and checking topics.  These calls wait for the broker, so they belong
 * to the command line and to a program's start, before its loop runs.
 */

#include "kafka/kafka.h"

struct synq_topic_spec {
	const char *name;
	int32_t partitions;
	int16_t replicas;            /* -1 = the broker's default */
	const char *const *settings; /* name, value, ..., NULL */
};

/* One topic as the cluster has it. */
struct synq_topic_info {
	char name[250];
	int32_t partitions;
};

/*
 * Wait at most ${limit_ms} until ${brokers} answers; also warms up the
 * coordinators.  Errors: UNAVAILABLE, CONFIG.
 */
SYNQ_MUST_CHECK int synq_kafka_wait(
    const char *brokers, uint32_t limit_ms, struct synq_err *err);

/*
 * Make those of the ${count} topics ${specs} that ${brokers} does not have.
 * One that exists with another number of partitions is CONFLICT.  Errors:
 * UNAVAILABLE, CONFLICT, REFUSED.
 */
SYNQ_MUST_CHECK int synq_kafka_create_topics(const char *brokers,
    const struct synq_topic_spec *specs, size_t count, struct synq_err *err);

/*
 * The partitions of the topic ${name}, into ${ret}.  Errors: NOT_FOUND,
 * UNAVAILABLE.
 */
SYNQ_MUST_CHECK int synq_kafka_partitions(
    const char *brokers, const char *name, int32_t *ret, struct synq_err *err);

/*
 * Produce one record and wait for its acknowledgement, at most 10 s.
 * Errors: UNAVAILABLE, UNCERTAIN.
 */
SYNQ_MUST_CHECK int synq_kafka_produce_once(const char *brokers,
    const char *topic, struct synq_slice key, struct synq_slice value,
    struct synq_err *err);

/* The version of librdkafka in use, a literal. */
const char *synq_kafka_version(void);

#endif
