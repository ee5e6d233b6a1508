/*
 * A member of a group against librdkafka's mock cluster: the life of a
 * partition from on_assign to on_revoke.  What needs a real coordinator is
 * tested on a real broker.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/clock.h"
#include "kafka/admin.h"
#include "kafka/consumer.h"
#include "loop/loop.h"
#include "metric/metric.h"

#define TOPIC "requests"
#define RECORDS 20
/* Their numbers in Kafka's protocol. */
#define FIND_COORDINATOR 10
#define JOIN_GROUP 11
#define SYNC_GROUP 14

struct fixture {
	struct synq_loop *loop;
	struct synq_metrics *metrics;
	rd_kafka_t *rk; /* owns the mock */
	rd_kafka_mock_cluster_t *mock;
	struct synq_consumer *consumer;
	int assigned, revoked, lost;
	int asked; /* answers to synq_consumer_committed */
	int64_t committed;
	char text[32];
	size_t records;
	size_t ends;
	int64_t next;
	size_t full_at; /* no room after so many */
	int commit_at_revoke;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	assert_non_null(f);
	rd_kafka_conf_set_log_cb(conf, NULL);
	f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	f->mock = rd_kafka_mock_cluster_new(f->rk, 1);
	rd_kafka_mock_topic_create(f->mock, TOPIC, 1, 1);
	assert_int_equal(synq_loop_new(&f->loop, NULL), 0);
	f->metrics = synq_metrics_new();
	for (int i = 0; i < RECORDS; i++)
		assert_int_equal(
		    synq_kafka_produce_once(
			rd_kafka_mock_cluster_bootstraps(f->mock), TOPIC,
			synq_slice_text("key"), synq_slice_text("value"), NULL),
		    0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	synq_consumer_free(&f->consumer, 3000);
	assert_null(f->consumer);
	synq_loop_free(&f->loop);
	synq_metrics_free(&f->metrics);
	rd_kafka_mock_cluster_destroy(f->mock);
	rd_kafka_destroy(f->rk);
	free(f);
	return 0;
}

static void
on_assign(void *ctx, const char *topic, int32_t partition)
{
	struct fixture *f = ctx;

	assert_string_equal(topic, TOPIC);
	assert_int_equal(partition, 0);
	f->assigned++;
}

static void
on_revoke(void *ctx, const char *topic, int32_t partition, int lost)
{
	struct fixture *f = ctx;

	f->revoked++;
	f->lost += lost;
	if (f->commit_at_revoke && !lost)
		synq_consumer_commit(f->consumer, topic, partition, f->next,
		    synq_slice_text("last"));
}

static int
on_message(void *ctx, const struct synq_kafka_message *message)
{
	struct fixture *f = ctx;

	assert_true(synq_slice_is(message->key, "key"));
	assert_true(synq_slice_is(message->value, "value"));
	assert_int_equal(synq_kafka_message_header(message, "none").bytes, 0);
	f->next = message->offset + 1;
	f->records++;
	return f->records == f->full_at;
}

static void
on_end(void *ctx, SYNQ_UNUSED const char *topic, SYNQ_UNUSED int32_t partition)
{
	struct fixture *f = ctx;

	f->ends++;
}

static void
on_committed(void *ctx, int rc, int64_t offset, struct synq_slice metadata)
{
	struct fixture *f = ctx;

	assert_int_equal(rc, 0);
	assert_true(metadata.bytes < sizeof(f->text));
	f->asked++;
	f->committed = offset;
	if (metadata.bytes > 0)
		memcpy(f->text, metadata.data, metadata.bytes);
	f->text[metadata.bytes] = '\0';
}

static void
join(struct fixture *f)
{
	static const char *const topics[] = { TOPIC, NULL };
	struct synq_consumer_config config = {
		.kafka.brokers = rd_kafka_mock_cluster_bootstraps(f->mock),
		.kafka.client_id = "test:1:boot",
		.kafka.metrics = f->metrics,
		.group = "group",
		.topics = topics,
		.events = { .on_assign = on_assign,
		    .on_revoke = on_revoke,
		    .on_message = on_message,
		    .on_end = on_end },
		.ctx = f,
	};

	assert_int_equal(
	    synq_consumer_new(f->loop, &config, &f->consumer, NULL), 0);
	assert_int_equal(f->assigned, 0);
}

static int
turn_until(struct fixture *f, int (*done)(struct fixture *f))
{
	uint64_t until_us = synq_clock_mono_us() + 15000000;

	while (!done(f)) {
		if (synq_clock_mono_us() >= until_us)
			return 0;
		synq_loop_turn(f->loop, 10);
	}
	return 1;
}

static int
is_assigned(struct fixture *f)
{
	return f->assigned > 0;
}

static int
has_asked(struct fixture *f)
{
	return f->asked > 0;
}

static int
has_all(struct fixture *f)
{
	return f->next == RECORDS;
}

static int
is_full(struct fixture *f)
{
	return f->records == f->full_at;
}

static void
idle(struct fixture *f, int time_ms)
{
	for (int i = 0; i < time_ms / 10; i++)
		synq_loop_turn(f->loop, 10);
}

static void
test_nothing_comes_before_the_start(void **state)
{
	struct fixture *f = *state;

	join(f);
	assert_true(turn_until(f, is_assigned));
	idle(f, 500);
	assert_int_equal(f->records, 0);
	synq_consumer_start(f->consumer, "another", 0, 0);
	synq_consumer_start(f->consumer, TOPIC, 7, 0);
	synq_consumer_resume(f->consumer, TOPIC, 0);
	synq_consumer_commit(
	    f->consumer, TOPIC, 7, 1, synq_slice_text("not ours"));
	idle(f, 100);
	assert_int_equal(f->records, 0);

	synq_consumer_start(f->consumer, TOPIC, 0, 15);
	assert_true(turn_until(f, has_all));
	assert_int_equal(f->records, RECORDS - 15);
	assert_int_equal(f->lost, 0);
}

static void
test_full_partition_waits_for_resume(void **state)
{
	struct fixture *f = *state;

	f->full_at = 5;
	join(f);
	assert_true(turn_until(f, is_assigned));
	synq_consumer_start(f->consumer, TOPIC, 0, -1);
	assert_true(turn_until(f, is_full));
	idle(f, 300);
	assert_int_equal(f->records, 5);

	synq_consumer_resume(f->consumer, TOPIC, 0);
	assert_int_equal(f->records, 5);
	assert_true(turn_until(f, has_all));
	assert_int_equal(f->records, RECORDS);
}

static void
test_last_commit_is_made_while_leaving(void **state)
{
	struct fixture *f = *state;

	f->commit_at_revoke = 1;
	join(f);
	assert_true(turn_until(f, is_assigned));
	synq_consumer_committed(f->consumer, TOPIC, 0, on_committed, f);
	assert_int_equal(f->asked, 0);
	assert_true(turn_until(f, has_asked));
	assert_int_equal(f->committed, -1);
	assert_string_equal(f->text, "");
	synq_consumer_start(f->consumer, TOPIC, 0, f->committed);
	assert_true(turn_until(f, has_all));
	synq_consumer_free(&f->consumer, 5000);
	assert_int_equal(f->revoked, 1);
	assert_int_equal(f->lost, 0);

	f->assigned = 0;
	f->asked = 0;
	join(f);
	assert_true(turn_until(f, is_assigned));
	synq_consumer_committed(f->consumer, TOPIC, 0, on_committed, f);
	assert_true(turn_until(f, has_asked));
	assert_int_equal(f->committed, RECORDS);
	assert_string_equal(f->text, "last");
}

static void
test_question_about_what_is_not_ours_is_dropped(void **state)
{
	struct fixture *f = *state;
	int64_t low, high;

	join(f);
	synq_consumer_committed(f->consumer, TOPIC, 0, on_committed, f);
	synq_consumer_watermarks(f->consumer, TOPIC, 0, &low, &high);
	assert_int_equal(low, -1);
	assert_int_equal(high, -1);
	assert_false(synq_consumer_healthy(f->consumer));
	idle(f, 300);
	assert_int_equal(f->asked, 0);
}

static int
is_known(struct fixture *f)
{
	return f->ends > 0 && synq_consumer_behind_us(f->consumer) < 60000000;
}

static int
is_near(struct fixture *f)
{
	return synq_consumer_behind_us(f->consumer) < 2000000;
}

static int
is_far(struct fixture *f)
{
	return synq_consumer_behind_us(f->consumer) > 3000000;
}

/* A broker that is out of reach is at no end. */
static void
test_end_is_as_old_as_the_last_fetch(void **state)
{
	struct fixture *f = *state;

	join(f);
	assert_true(synq_consumer_behind_us(f->consumer) == UINT64_MAX);
	assert_true(turn_until(f, is_assigned));
	synq_consumer_start(f->consumer, TOPIC, 0, -1);
	assert_true(turn_until(f, is_known));
	idle(f, 1500);
	assert_true(turn_until(f, is_near));

	rd_kafka_mock_broker_set_down(f->mock, 1);
	assert_true(turn_until(f, is_far));
	rd_kafka_mock_broker_set_up(f->mock, 1);
	assert_true(turn_until(f, is_near));
}

/* Leaving a cluster that is gone ends within the limit and is a loss. */
static void
test_leaving_a_dead_cluster_ends(void **state)
{
	struct fixture *f = *state;
	uint64_t began_us;

	f->commit_at_revoke = 1;
	join(f);
	assert_true(turn_until(f, is_assigned));
	synq_consumer_start(f->consumer, TOPIC, 0, -1);
	assert_true(turn_until(f, has_all));
	rd_kafka_mock_broker_set_down(f->mock, 1);
	idle(f, 100);
	began_us = synq_clock_mono_us();
	synq_consumer_free(&f->consumer, 2000);
	assert_true(synq_clock_mono_us() - began_us < 5000000);
	assert_int_equal(f->revoked, f->assigned);
}

/* librdkafka 2.0.2 aborts when a member is destroyed that has joined and was
 * never assigned anything: a program that is told to end while its group
 * rebalances for the first time. */
static void
test_leaving_before_the_first_assignment_ends(void **state)
{
	static const rd_kafka_resp_err_t again[] = {
		RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS
	};
	struct fixture *f = *state;

	rd_kafka_mock_push_request_errors_array(
	    f->mock, SYNC_GROUP, SYNQ_COUNT(again), again);
	join(f);
	/* The mock waits three seconds for others before it lets us join. */
	idle(f, 5000);
	assert_int_equal(f->assigned, 0);
	synq_consumer_free(&f->consumer, 2000);
	assert_null(f->consumer);
}

static int
is_lost(struct fixture *f)
{
	return f->lost > 0;
}

static int
is_assigned_again(struct fixture *f)
{
	return f->assigned > 1;
}

/* Let the loop of ${f} turn for ${time_ms}; 1 if ${event} was logged. */
static int
logs(struct fixture *f, int time_ms, const char *event)
{
	FILE *file = tmpfile();
	int kept = dup(STDERR_FILENO);
	char text[4096] = "";

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	idle(f, time_ms);
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) < sizeof(text) - 1);
	fclose(file);
	return strstr(text, event) != NULL;
}

/* A member that was expelled while the broker was away, which then answers
 * ${key} with ${count} times ${error}, joins anew within ${limit_ms}. */
static void
check_joins_anew(struct fixture *f, int16_t key, size_t count,
    rd_kafka_resp_err_t error, int limit_ms)
{
	join(f);
	assert_true(turn_until(f, is_assigned));
	rd_kafka_mock_broker_set_down(f->mock, 1);
	assert_true(turn_until(f, is_lost));
	while (count-- > 0)
		rd_kafka_mock_push_request_errors(f->mock, key, 1, error);
	rd_kafka_mock_broker_set_up(f->mock, 1);
	assert_true(logs(f, limit_ms, "group.joined_anew"));
	assert_true(turn_until(f, is_assigned_again));
}

/* librdkafka alone would ask again after two seconds. */
static void
test_expelled_member_that_is_refused_joins_anew(void **state)
{
	check_joins_anew(*state, JOIN_GROUP, 1,
	    RD_KAFKA_RESP_ERR_NOT_COORDINATOR_FOR_GROUP, 1000);
}

static void
test_expelled_member_that_knows_no_coordinator_joins_anew(void **state)
{
	check_joins_anew(*state, FIND_COORDINATOR, 5,
	    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, 2200);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_nothing_comes_before_the_start),
		CASE(test_full_partition_waits_for_resume),
		CASE(test_last_commit_is_made_while_leaving),
		CASE(test_question_about_what_is_not_ours_is_dropped),
		CASE(test_end_is_as_old_as_the_last_fetch),
		CASE(test_expelled_member_that_is_refused_joins_anew),
		CASE(test_expelled_member_that_knows_no_coordinator_joins_anew),
		CASE(test_leaving_a_dead_cluster_ends),
		CASE(test_leaving_before_the_first_assignment_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
