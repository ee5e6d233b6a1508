/*
 * Headers are lent, not copied: the envelope lives on the stack around one
 * synq_producer_send, which copies them.
 */

#include "kafka/envelope.h"

void
synq_envelope_init(struct synq_envelope *ret, const char *type,
    const char *source, const struct synq_uuid *id)
{
	ret->count = 0;
	synq_uuid_format(id, ret->id);
	synq_envelope_add(ret, "ce_specversion", synq_slice_text("1.0"));
	synq_envelope_add(ret, "ce_type", synq_slice_text(type));
	synq_envelope_add(ret, "ce_source", synq_slice_text(source));
	synq_envelope_add(ret, "ce_id", synq_slice_text(ret->id));
	synq_envelope_add(
	    ret, "content-type", synq_slice_text("application/msgpack"));
}

void
synq_envelope_add(
    struct synq_envelope *envelope, const char *name, struct synq_slice value)
{
	if (value.bytes == 0 || envelope->count == SYNQ_KAFKA_MAX_HEADERS)
		return;
	envelope->headers[envelope->count].name = name;
	envelope->headers[envelope->count].value = value;
	envelope->count++;
}
