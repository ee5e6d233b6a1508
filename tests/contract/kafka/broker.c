/*
 * Each test makes topics of its own, so that tests can run again on the same
 * broker.
 */

#include "broker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "kafka/admin.h"
#include "loop/loop.h"

const char *
broker_list(void)
{
	const char *brokers = getenv("SYNQ_TEST_KAFKA");

	if (brokers == NULL || brokers[0] == '\0') {
		puts("skipped: SYNQ_TEST_KAFKA is not set");
		return NULL;
	}
	return brokers;
}

struct synq_loop *
broker_loop(void)
{
	struct synq_loop *loop = NULL;

	if (synq_loop_new(&loop, NULL) != 0)
		abort();
	return loop;
}

void
broker_topic(const char *stem, int32_t partitions, char ret[64])
{
	struct synq_topic_spec spec = {
		.name = ret,
		.partitions = partitions,
		.replicas = 1,
	};
	struct synq_err err = { 0 };

	snprintf(
	    ret, 64, "%s-%llu", stem, (unsigned long long)synq_clock_mono_us());
	if (synq_kafka_create_topics(broker_list(), &spec, 1, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

struct synq_kafka_config
broker_config(void)
{
	return (struct synq_kafka_config){
		.brokers = broker_list(),
		.client_id = "test:1:boot",
		.max_queued = 200000,
		.max_queued_bytes = 256U << 20,
		.max_message_bytes = 1000000,
		.ack_limit_ms = 10000,
	};
}

int
broker_turn(struct synq_loop *loop, int (*done)(void *ctx), void *ctx,
    uint32_t limit_ms)
{
	uint64_t until_us = synq_clock_mono_us() + limit_ms * 1000ULL;

	while (!done(ctx)) {
		if (synq_clock_mono_us() >= until_us)
			return 0;
		synq_loop_turn(loop, 10);
	}
	return 1;
}

void
broker_idle(struct synq_loop *loop, uint32_t time_ms)
{
	uint64_t until_us = synq_clock_mono_us() + time_ms * 1000ULL;

	while (synq_clock_mono_us() < until_us)
		synq_loop_turn(loop, 10);
}

int
broker_restart(void)
{
	const char *command = getenv("SYNQ_TEST_KAFKA_RESTART");

	return command != NULL && system(command) == 0;
}
