/*
 * An event goes to the producer as it comes.
 *
 * Failure modes: the producer is full: the rest is kept, at most one batch's,
 * and no batch is written before it is gone.  Anything else: logged, and the
 * event is lost; its state is in the tables.
 */

#include "publish.h"

#include "base/log.h"
#include "base/mem.h"
#include "kafka/envelope.h"
#include "kafka/producer.h"
#include "proto/signal.h"
#include "recorder.h"
#include "service/service.h"

/* A copy of an event that owns its texts. */
struct due {
	struct synq_link link; /* on recorder->due */
	struct synq_event event;
	char *model;
	char *error_code;
};

/* Hand over ${event}; 0, also when it is lost, or BUSY. */
static int
publish_send(struct recorder *recorder, const struct synq_event *event)
{
	const struct synq_config *config =
	    synq_service_config(recorder->service);
	const int32_t partitions =
	    synq_event_partitions((int32_t)config->kafka_partitions);
	const struct synq_slice state =
	    synq_slice_text(synq_job_state_name(event->state));
	struct synq_envelope envelope;
	struct synq_producer_record record;
	int rc;

	synq_buf_clear(&recorder->scratch);
	synq_event_encode(event, &recorder->scratch);
	synq_envelope_init(
	    &envelope, "synq.job", "/synq-recorder", &event->job_id);
	synq_envelope_add(&envelope, "synq-state", state);
	record = (struct synq_producer_record){
		.topic = SYNQ_TOPIC_EVENTS,
		.partition = synq_job_home(
		    &recorder->homes, &event->organization_id, partitions),
		.key = synq_uuid_slice(&event->organization_id),
		.value = synq_buf_view(&recorder->scratch),
		.headers = envelope.headers,
		.header_count = envelope.count,
	};
	rc = synq_producer_send(recorder->producer, &record);
	if (rc == -SYNQ_E_BUSY)
		return rc;
	if (rc != 0)
		synq_log(SYNQ_LOG_WARN, "event.not_published",
		    SYNQ_F_UUID("job_id", &event->job_id), SYNQ_F_END);
	return 0;
}

/* Let ${text} refer to a copy, which is returned. */
static char *
publish_copy(struct synq_slice *text)
{
	char *copy = synq_mem_copy(text->data, text->bytes);

	*text = synq_slice_of(copy, text->bytes);
	return copy;
}

static void
publish_keep(struct recorder *recorder, const struct synq_event *event)
{
	struct due *due = synq_mem_new(sizeof(*due));

	due->event = *event;
	due->model = publish_copy(&due->event.model);
	due->error_code = publish_copy(&due->event.error_code);
	synq_list_push(&recorder->due, &due->link);
}

static void
publish_drop(struct recorder *recorder, struct due *due)
{
	synq_list_remove(&recorder->due, &due->link);
	synq_mem_free(due->model);
	synq_mem_free(due->error_code);
	synq_mem_free(due);
}

void
publish_events(
    struct recorder *recorder, const struct synq_event *events, size_t count)
{
	size_t i = 0;

	while (i < count && publish_send(recorder, &events[i]) == 0)
		i++;
	for (; i < count; i++)
		publish_keep(recorder, &events[i]);
}

int
publish_due(struct recorder *recorder)
{
	struct synq_link *link;
	struct due *due;

	while ((link = synq_list_first(&recorder->due)) != NULL) {
		due = SYNQ_CONTAINER(link, struct due, link);
		if (publish_send(recorder, &due->event) != 0)
			return -SYNQ_E_BUSY;
		publish_drop(recorder, due);
	}
	return 0;
}

void
publish_free(struct recorder *recorder)
{
	struct synq_link *link;

	while ((link = synq_list_first(&recorder->due)) != NULL)
		publish_drop(recorder, SYNQ_CONTAINER(link, struct due, link));
}
