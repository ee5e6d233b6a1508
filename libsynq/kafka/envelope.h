#ifndef SYNQ_KAFKA_ENVELOPE_H
#define SYNQ_KAFKA_ENVELOPE_H

/*
 * The headers of a record: CloudEvents' Kafka binding in binary mode (ce_id,
 * ce_source, ce_specversion, ce_type, content-type) and Synq's own.  Pure.
 */

#include "base/uuid.h"
#include "kafka/kafka.h"

struct synq_envelope {
	struct synq_kafka_header headers[SYNQ_KAFKA_MAX_HEADERS];
	size_t count;
	char id[SYNQ_UUID_CHARS + 1];
};

/*
 * Fill ${ret} with the headers of an event ${type} ("synq.result") from
 * ${source} ("/synq-dispatcher"), literals both, with the id ${id}.
 */
void synq_envelope_init(struct synq_envelope *ret, const char *type,
    const char *source, const struct synq_uuid *id);

/* Add the header ${name} (a literal) with ${value}; an empty one is left out.
 */
void synq_envelope_add(
    struct synq_envelope *envelope, const char *name, struct synq_slice value);

#endif
