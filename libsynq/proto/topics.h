#ifndef SYNQ_PROTO_TOPICS_H
#define SYNQ_PROTO_TOPICS_H

/*
 * The topics, their codes and how a record names its source
 * (schema/kafka/topics.md).
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

#define SYNQ_TOPIC_INTERACTIVE "synq.requests.interactive"
#define SYNQ_TOPIC_BATCH "synq.requests.batch"
#define SYNQ_TOPIC_RESULTS "synq.results"
#define SYNQ_TOPIC_CANCELS "synq.cancels"
#define SYNQ_TOPIC_EVENTS "synq.events"
#define SYNQ_TOPIC_CONTROL "synq.control"
#define SYNQ_TOPIC_DEAD "synq.dead"

/* One byte per source topic; never re-used for another (decisions 3). */
enum synq_source_topic {
	SYNQ_SOURCE_NONE = 0,
	SYNQ_SOURCE_INTERACTIVE = 1,
	SYNQ_SOURCE_BATCH = 2
};

/* Where a request record lies: what a result says it is the result of. */
struct synq_source {
	enum synq_source_topic topic;
	int32_t partition;
	int64_t offset;
};

/*
 * How many partitions synq.events has where co-numbered topics have
 * ${numbered}: a quarter, at least one.  It is no co-numbered topic, and each
 * of its partitions is a request more for the same events.
 */
int32_t synq_event_partitions(int32_t numbered);

/* The code of the topic called ${name}; NONE if it is no source. */
enum synq_source_topic synq_source_code(const char *name);

/* The name of the source topic ${code}; NULL for NONE. */
const char *synq_source_name(enum synq_source_topic code);

/* 1 if ${a} and ${b} are the same place, else 0. */
int synq_source_equal(const struct synq_source *a, const struct synq_source *b);

#endif
