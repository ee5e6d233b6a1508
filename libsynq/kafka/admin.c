/*
 * Topics, by calls that wait: a handle is made, asked, and destroyed.
 *
 * Failure modes: no broker answers within the limit (UNAVAILABLE); a topic is
 * there with another number of partitions (CONFLICT): repairing that would
 * move every key, so nobody does it by itself.
 */

#include "kafka/admin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/inner.h"

#define ANSWER_LIMIT_MS 10000
#define TRY_LIMIT_MS 500
#define TRY_PAUSE_US 50000
/* For one record of an administrator. */
#define ONCE_LIMIT_MS 10000
#define DESTROY_LIMIT_MS 1000
/* A broker that has just started on a busy machine takes its time. */
#define CREATE_LIMIT_MS 30000
#define SETTLE_LIMIT_MS 30000
#define MORE_TRIES 3
/* The coordinators' own topics are loaded by asking for this group. */
#define WARM_GROUP "synq.warm"

static int
open_handle(const char *brokers, rd_kafka_type_t type, rd_kafka_t **ret,
    struct synq_err *err)
{
	const struct synq_kafka_config config = {
		.brokers = brokers,
		.client_id = "synq-admin",
	};
	struct synq_kafka_build build;

	synq_kafka_build_start(&build, &config, NULL, err);
	if (type == RD_KAFKA_CONSUMER) {
		synq_kafka_set(&build, "group.id", WARM_GROUP);
		synq_kafka_set(&build, "enable.auto.commit", "false");
	} else {
		synq_kafka_set(&build, "enable.idempotence", "true");
	}
	return synq_kafka_build_end(&build, type, ret);
}

/* Ask for metadata until brokers answer or ${until_us} has passed. */
static int
wait_metadata(rd_kafka_t *rk, uint64_t until_us, struct synq_err *err)
{
	const struct rd_kafka_metadata *found;
	rd_kafka_resp_err_t rc;

	do {
		rc = rd_kafka_metadata(rk, 0, NULL, &found, TRY_LIMIT_MS);
		if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
			int brokers = found->broker_cnt;

			rd_kafka_metadata_destroy(found);
			if (brokers > 0)
				return 0;
		}
		usleep(TRY_PAUSE_US);
	} while (synq_clock_mono_us() < until_us);
	return synq_fail(err, SYNQ_E_UNAVAILABLE, "kafka does not answer: %s",
	    rd_kafka_err2str(rc));
}

/* The first use of a group waits for its coordinator to load: do it now. */
static void
warm_groups(rd_kafka_t *rk, uint64_t until_us)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t rc;

	rd_kafka_topic_partition_list_add(list, "synq.control", 0);
	do {
		rc = rd_kafka_committed(rk, list, TRY_LIMIT_MS);
	} while (rc != RD_KAFKA_RESP_ERR_NO_ERROR &&
		 synq_clock_mono_us() < until_us);
	rd_kafka_topic_partition_list_destroy(list);
}

int
synq_kafka_wait(const char *brokers, uint32_t limit_ms, struct synq_err *err)
{
	uint64_t until_us = synq_clock_mono_us() + limit_ms * 1000ULL;
	rd_kafka_t *rk;
	int rc;

	rc = open_handle(brokers, RD_KAFKA_CONSUMER, &rk, err);
	if (rc != 0)
		return rc;
	rc = wait_metadata(rk, until_us, err);
	if (rc == 0)
		warm_groups(rk, until_us);
	synq_kafka_destroy(&rk, NULL, DESTROY_LIMIT_MS);
	return rc;
}

/* How many partitions ${name} has, 0 if there is no such topic. */
static int
count_partitions(
    rd_kafka_t *rk, const char *name, int32_t *ret, struct synq_err *err)
{
	const struct rd_kafka_metadata *found;
	rd_kafka_resp_err_t rc;

	/* All topics: asking for one by name could make it. */
	rc = rd_kafka_metadata(rk, 1, NULL, &found, ANSWER_LIMIT_MS);
	if (rc != RD_KAFKA_RESP_ERR_NO_ERROR)
		return synq_fail(err, SYNQ_E_UNAVAILABLE, "kafka metadata: %s",
		    rd_kafka_err2str(rc));
	*ret = 0;
	for (int i = 0; i < found->topic_cnt; i++)
		if (strcmp(found->topics[i].topic, name) == 0)
			*ret = found->topics[i].partition_cnt;
	rd_kafka_metadata_destroy(found);
	return 0;
}

int
synq_kafka_partitions(
    const char *brokers, const char *name, int32_t *ret, struct synq_err *err)
{
	int32_t count = 0;
	rd_kafka_t *rk;
	int rc;

	rc = open_handle(brokers, RD_KAFKA_PRODUCER, &rk, err);
	if (rc != 0)
		return rc;
	rc = count_partitions(rk, name, &count, err);
	if (rc == 0 && count == 0)
		rc = synq_fail(err, SYNQ_E_NOT_FOUND, "topic %s", name);
	if (rc == 0)
		*ret = count;
	synq_kafka_destroy(&rk, NULL, DESTROY_LIMIT_MS);
	return rc;
}

/* What the broker said about the one topic of ${event}. */
static int
creation_result(rd_kafka_event_t *event, struct synq_err *err)
{
	const rd_kafka_CreateTopics_result_t *result;
	const rd_kafka_topic_result_t **topics;
	size_t count;

	if (event == NULL)
		return synq_fail(
		    err, SYNQ_E_UNAVAILABLE, "no answer to CreateTopics");
	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return synq_fail(err, SYNQ_E_UNAVAILABLE, "CreateTopics: %s",
		    rd_kafka_event_error_string(event));
	result = rd_kafka_event_CreateTopics_result(event);
	topics = rd_kafka_CreateTopics_result_topics(result, &count);
	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t rc = rd_kafka_topic_result_error(topics[i]);

		if (rc == RD_KAFKA_RESP_ERR_NO_ERROR ||
		    rc == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			continue;
		return synq_fail(err, SYNQ_E_REFUSED, "topic %s: %s",
		    rd_kafka_topic_result_name(topics[i]),
		    rd_kafka_topic_result_error_string(topics[i]));
	}
	return 0;
}

static int
create_topic(
    rd_kafka_t *rk, const struct synq_topic_spec *spec, struct synq_err *err)
{
	rd_kafka_NewTopic_t *topic;
	rd_kafka_event_t *event;
	rd_kafka_queue_t *queue;
	char text[200];
	int rc;

	topic = rd_kafka_NewTopic_new(
	    spec->name, spec->partitions, spec->replicas, text, sizeof(text));
	if (topic == NULL)
		return synq_fail(
		    err, SYNQ_E_REFUSED, "topic %s: %s", spec->name, text);
	for (size_t i = 0; spec->settings && spec->settings[i]; i += 2)
		rd_kafka_NewTopic_set_config(
		    topic, spec->settings[i], spec->settings[i + 1]);

	queue = rd_kafka_queue_new(rk);
	rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, CREATE_LIMIT_MS);
	rc = creation_result(event, err);
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(topic);
	return rc;
}

/* A topic is not at once in every broker's metadata. */
static int
ensure_topic(
    rd_kafka_t *rk, const struct synq_topic_spec *spec, struct synq_err *err)
{
	uint64_t until_us = synq_clock_mono_us() + SETTLE_LIMIT_MS * 1000ULL;
	int32_t count = 0;
	int rc;

	rc = count_partitions(rk, spec->name, &count, err);
	if (rc == 0 && count == 0)
		rc = create_topic(rk, spec, err);
	while (rc == 0 && count == 0 && synq_clock_mono_us() < until_us) {
		rc = count_partitions(rk, spec->name, &count, err);
		if (rc == 0 && count == 0)
			usleep(TRY_PAUSE_US);
	}
	if (rc == 0 && count == 0)
		rc = synq_fail(err, SYNQ_E_UNAVAILABLE,
		    "topic %s was made but is not there", spec->name);
	if (rc == 0 && count != spec->partitions)
		rc = synq_fail(err, SYNQ_E_CONFLICT,
		    "topic %s has %d partitions, not %d", spec->name,
		    (int)count, (int)spec->partitions);
	return rc;
}

/* A broker that has just started may end a connection for no good reason. */
static int
insist_on_topic(
    rd_kafka_t *rk, const struct synq_topic_spec *spec, struct synq_err *err)
{
	int rc = ensure_topic(rk, spec, err);

	for (int i = 0; i < MORE_TRIES && rc == -SYNQ_E_UNAVAILABLE; i++) {
		usleep(TRY_PAUSE_US);
		rc = ensure_topic(rk, spec, err);
	}
	return rc;
}

int
synq_kafka_create_topics(const char *brokers,
    const struct synq_topic_spec *specs, size_t count, struct synq_err *err)
{
	rd_kafka_t *rk;
	int rc;

	rc = open_handle(brokers, RD_KAFKA_PRODUCER, &rk, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = insist_on_topic(rk, &specs[i], err);
	synq_kafka_destroy(&rk, NULL, DESTROY_LIMIT_MS);
	return rc;
}

/* The delivery of the one record of ${rk}, as an error code. */
static int
await_delivery(rd_kafka_t *rk, uint32_t limit_ms, struct synq_err *err)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
	uint64_t until_us = synq_clock_mono_us() + limit_ms * 1000ULL + 2000000;
	const rd_kafka_message_t *message;
	rd_kafka_event_t *event;
	int rc = synq_fail(err, SYNQ_E_UNCERTAIN, "no acknowledgement");
	int waiting = 1;

	while (waiting && synq_clock_mono_us() < until_us) {
		event = rd_kafka_queue_poll(queue, 100);
		if (event == NULL)
			continue;
		message = rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR
		              ? rd_kafka_event_message_next(event)
		              : NULL;
		if (message != NULL) {
			waiting = 0;
			rc = 0;
		}
		if (message != NULL && message->err != 0)
			rc = synq_fail(err,
			    rd_kafka_message_status(message) ==
				    RD_KAFKA_MSG_STATUS_NOT_PERSISTED
				? SYNQ_E_UNAVAILABLE
				: SYNQ_E_UNCERTAIN,
			    "produce: %s", rd_kafka_err2str(message->err));
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	return rc;
}

int
synq_kafka_produce_once(const char *brokers, const char *topic,
    struct synq_slice key, struct synq_slice value, struct synq_err *err)
{
	const struct synq_kafka_config config = {
		.brokers = brokers,
		.client_id = "synq-admin",
		.max_message_bytes = value.bytes + key.bytes + 1024,
	};
	struct synq_kafka_build build;
	rd_kafka_resp_err_t failed;
	rd_kafka_t *rk;
	int rc;

	synq_kafka_build_start(&build, &config, NULL, err);
	synq_kafka_set(&build, "enable.idempotence", "true");
	synq_kafka_set(&build, "linger.ms", "0");
	synq_kafka_set_number(&build, "message.timeout.ms", ONCE_LIMIT_MS);
	rd_kafka_conf_set_events(build.conf, RD_KAFKA_EVENT_DR);
	rc = synq_kafka_build_end(&build, RD_KAFKA_PRODUCER, &rk);
	if (rc != 0)
		return rc;
	failed = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic),
	    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	    RD_KAFKA_V_KEY(key.data, key.bytes),
	    RD_KAFKA_V_VALUE(synq_kafka_unconst(value.data), value.bytes),
	    RD_KAFKA_V_END);
	if (failed != RD_KAFKA_RESP_ERR_NO_ERROR)
		rc = synq_fail(err, SYNQ_E_UNAVAILABLE, "produce: %s",
		    rd_kafka_err2str(failed));
	else
		rc = await_delivery(rk, ONCE_LIMIT_MS, err);
	synq_kafka_destroy(&rk, NULL, DESTROY_LIMIT_MS);
	return rc;
}

const char *
synq_kafka_version(void)
{
	return rd_kafka_version_str();
}
