/*
 * Happy path: send, acknowledged, join.  Failure modes: the log does not take
 * it or loses it: announced again with the next load of the catalog.
 */

#include "announce.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "dispatcher.h"
#include "kafka/envelope.h"
#include "kafka/producer.h"
#include "loop/loop.h"
#include "service/service.h"

/* How soon to try again; the producer may not know the topic yet. */
#define ANNOUNCE_AGAIN_US 200000

void
announce_heard(struct dispatcher *dispatcher, struct synq_slice text)
{
	struct maker maker;
	struct synq_slice boot_id;

	if (text.bytes <= SYNQ_UUID_CHARS + 1 ||
	    text.bytes - SYNQ_UUID_CHARS - 1 >= sizeof(maker.instance))
		return;
	boot_id = synq_slice_of(
	    text.data + text.bytes - SYNQ_UUID_CHARS, SYNQ_UUID_CHARS);
	if (synq_uuid_parse(boot_id, &maker.boot_id) != 0)
		return;
	(void)snprintf(maker.instance, sizeof(maker.instance), "%.*s",
	    (int)(text.bytes - SYNQ_UUID_CHARS - 1), text.data);
	core_life(dispatcher->core, &maker);
}

static void
announce_on_ack(void *ctx, int rc, int64_t offset)
{
	struct dispatcher *dispatcher = ctx;
	struct synq_err err;

	(void)offset;
	if (rc != 0) {
		dispatcher->announced = 0;
		synq_timer_start(dispatcher->refresh, ANNOUNCE_AGAIN_US);
	} else if (!dispatcher->joined && !dispatcher->draining &&
		   dispatcher_join(dispatcher, &err) != 0) {
		synq_service_fail(dispatcher->service, &err);
	}
}

void
announce_life(struct dispatcher *dispatcher)
{
	const struct synq_uuid *boot_id =
	    synq_service_boot_id(dispatcher->service);
	const char *name = synq_service_name(dispatcher->service);
	char boot_text[SYNQ_UUID_CHARS + 1];
	char life[128];
	struct synq_control control = { .kind = SYNQ_CONTROL_LIFE,
		.changed_at = synq_loop_wall_us(dispatcher->loop) };
	struct synq_envelope envelope;
	struct synq_producer_record record;

	if (dispatcher->announced)
		return;
	synq_uuid_format(boot_id, boot_text);
	(void)snprintf(life, sizeof(life), "%s:%s", name, boot_text);
	control.object_id = synq_slice_text(life);
	announce_heard(dispatcher, control.object_id);
	synq_buf_clear(&dispatcher->scratch);
	synq_control_encode(&control, &dispatcher->scratch);
	synq_envelope_init(
	    &envelope, "synq.control", "/synq-dispatcher", boot_id);
	record = (struct synq_producer_record){
		.topic = SYNQ_TOPIC_CONTROL,
		.partition = 0,
		.key = synq_slice_text(name),
		.value = synq_buf_view(&dispatcher->scratch),
		.headers = envelope.headers,
		.header_count = envelope.count,
		.ack = announce_on_ack,
		.ctx = dispatcher,
	};
	if (synq_producer_send(dispatcher->producer, &record) == 0)
		dispatcher->announced = 1;
	else
		synq_timer_start(dispatcher->refresh, ANNOUNCE_AGAIN_US);
}
