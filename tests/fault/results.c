/*
 * Everything on the topic synq.results, as lines of JSON on standard output:
 *
 *	results BROKERS
 *
 * One line a record: partition, offset, at_us (the record's timestamp; the
 * harness lets the broker set it), kind, job, attempt, state of a result, and
 * source: topic, partition and offset of its request.  So the checker knows
 * when each attempt was on the log, and which result was the first.
 *
 * Failure modes: no broker, a record that does not decode, no end within
 * LIMIT_US: a message and exit code 1.
 */

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "job/state.h"
#include "proto/attempt.h"
#include "proto/topics.h"

#define LIMIT_US 120000000ULL
#define ASK_LIMIT_MS 30000

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "results: %s: %s\n", what, why);
	return -1;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) !=
	    RD_KAFKA_CONF_OK) {
		(void)fail(name, why);
		exit(1);
	}
}

static rd_kafka_t *
connect_to(const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *kafka;
	char why[256] = "";

	set(conf, "bootstrap.servers", brokers);
	set(conf, "group.id", "fault-results");
	set(conf, "enable.auto.commit", "false");
	set(conf, "enable.partition.eof", "true");
	set(conf, "auto.offset.reset", "earliest");
	kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (kafka == NULL)
		(void)fail("Kafka", why);
	else
		rd_kafka_poll_set_consumer(kafka);
	return kafka;
}

/* Read the topic from its start; how many partitions it has, -1: failed. */
static int
begin(rd_kafka_t *kafka)
{
	rd_kafka_topic_t *topic =
	    rd_kafka_topic_new(kafka, SYNQ_TOPIC_RESULTS, NULL);
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(16);
	rd_kafka_resp_err_t err =
	    rd_kafka_metadata(kafka, 0, topic, &metadata, ASK_LIMIT_MS);
	int count = -1;

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		count = metadata->topics[0].partition_cnt;
		for (int32_t i = 0; i < count; i++)
			rd_kafka_topic_partition_list_add(
			    list, SYNQ_TOPIC_RESULTS, i)
			    ->offset = RD_KAFKA_OFFSET_BEGINNING;
		err = rd_kafka_assign(kafka, list);
		rd_kafka_metadata_destroy(metadata);
	}
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		count = fail("the topic", rd_kafka_err2str(err));
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_topic_destroy(topic);
	return count;
}

static int
print_record(const rd_kafka_message_t *message)
{
	static const char *const kinds[] = { "", "started", "failed",
		"result" };
	const struct synq_slice value = { message->payload, message->len };
	struct synq_outcome outcome;
	char job[SYNQ_UUID_CHARS + 1];
	char attempt[SYNQ_UUID_CHARS + 1];

	if (synq_outcome_decode(value, &outcome) != 0)
		return fail("a record", "it does not decode");
	synq_uuid_format(&outcome.job_id, job);
	synq_uuid_format(&outcome.attempt_id, attempt);
	printf("{\"partition\":%" PRId32 ",\"offset\":%" PRId64
	       ",\"at_us\":%" PRId64 ",\"kind\":\"%s\",\"job\":\"%s\","
	       "\"attempt\":\"%s\",\"state\":\"%s\","
	       "\"source\":\"%d/%" PRId32 "/%" PRId64 "\"}\n",
	    message->partition, message->offset,
	    rd_kafka_message_timestamp(message, NULL) * 1000,
	    kinds[outcome.kind], job, attempt,
	    outcome.kind == SYNQ_OUTCOME_RESULT
		? synq_job_state_name(outcome.state)
		: "",
	    (int)outcome.source.topic, outcome.source.partition,
	    outcome.source.offset);
	return 0;
}

/* Print until all ${partitions} have been read to their end; 0 or -1. */
static int
print_all(rd_kafka_t *kafka, int partitions)
{
	const uint64_t until_us = synq_clock_mono_us() + LIMIT_US;
	int ended = 0;
	int rc = 0;

	while (rc == 0 && ended < partitions) {
		rd_kafka_message_t *message =
		    rd_kafka_consumer_poll(kafka, 500);

		if (synq_clock_mono_us() > until_us)
			rc = fail("the topic", "no end of it in time");
		if (message == NULL)
			continue;
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			rc = print_record(message);
		else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ended++;
		rd_kafka_message_destroy(message);
	}
	return rc;
}

int
main(int argc, char **argv)
{
	rd_kafka_t *kafka;
	int partitions;
	int rc = 1;

	if (argc != 2) {
		(void)fail("usage", "results BROKERS");
		return 2;
	}
	kafka = connect_to(argv[1]);
	if (kafka == NULL)
		return 1;
	partitions = begin(kafka);
	if (partitions >= 0 && print_all(kafka, partitions) == 0)
		rc = 0;
	rd_kafka_consumer_close(kafka);
	rd_kafka_destroy(kafka);
	return rc;
}
