/*
 * The producer against librdkafka's mock cluster, which can be told to fail:
 * what a record's answer is when brokers misbehave.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/clock.h"
#include "kafka/producer.h"
#include "kafka/sending.h"
#include "loop/loop.h"
#include "metric/metric.h"

#define TOPIC "records"
#define PARTITIONS 2
#define MAX_QUEUED 50
#define MAX_BYTES 100000
#define API_PRODUCE 0

struct fixture {
	struct synq_loop *loop;
	struct synq_metrics *metrics;
	rd_kafka_t *rk; /* owns the mock */
	rd_kafka_mock_cluster_t *mock;
	struct synq_producer *producer;
	size_t sent, acks, uncertain, unavailable, other;
	int64_t last_offset;
	int rooms;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	assert_non_null(f);
	rd_kafka_conf_set_log_cb(conf, NULL);
	f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	assert_non_null(f->rk);
	f->mock = rd_kafka_mock_cluster_new(f->rk, 1);
	rd_kafka_mock_topic_create(f->mock, TOPIC, PARTITIONS, 1);
	assert_int_equal(synq_loop_new(&f->loop, NULL), 0);
	f->metrics = synq_metrics_new();
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	synq_producer_free(&f->producer, 500);
	assert_null(f->producer);
	synq_loop_free(&f->loop);
	synq_metrics_free(&f->metrics);
	rd_kafka_mock_cluster_destroy(f->mock);
	rd_kafka_destroy(f->rk);
	free(f);
	return 0;
}

static int
turn_until(struct fixture *f, int (*done)(struct fixture *f), uint32_t limit_ms)
{
	uint64_t until_us = synq_clock_mono_us() + limit_ms * 1000ULL;

	while (!done(f)) {
		if (synq_clock_mono_us() >= until_us)
			return 0;
		synq_loop_turn(f->loop, 10);
	}
	return 1;
}

static int
is_open(struct fixture *f)
{
	return synq_producer_partitions(f->producer, TOPIC) == PARTITIONS;
}

static int
is_answered(struct fixture *f)
{
	return synq_producer_pending(f->producer) == 0;
}

static int
is_healthy(struct fixture *f)
{
	return synq_producer_healthy(f->producer);
}

static int
is_ill(struct fixture *f)
{
	return !synq_producer_healthy(f->producer);
}

static void
start(struct fixture *f, uint32_t ack_limit_ms, int forever)
{
	static const char *const topics[] = { TOPIC, NULL };
	struct synq_kafka_config config = {
		.brokers = rd_kafka_mock_cluster_bootstraps(f->mock),
		.client_id = "test:1:boot",
		.max_queued = MAX_QUEUED,
		.max_queued_bytes = MAX_BYTES,
		.max_message_bytes = 10000,
		.ack_limit_ms = ack_limit_ms,
		.rebuild_forever = forever,
		.metrics = f->metrics,
	};

	assert_int_equal(
	    synq_producer_new(f->loop, &config, topics, &f->producer, NULL), 0);
	assert_int_equal(synq_producer_partitions(f->producer, TOPIC), 0);
	assert_true(turn_until(f, is_open, 5000));
}

static void
on_ack(void *ctx, int rc, int64_t offset)
{
	struct fixture *f = ctx;

	f->acks += rc == 0;
	f->uncertain += rc == -SYNQ_E_UNCERTAIN;
	f->unavailable += rc == -SYNQ_E_UNAVAILABLE;
	f->other +=
	    rc != 0 && rc != -SYNQ_E_UNCERTAIN && rc != -SYNQ_E_UNAVAILABLE;
	f->last_offset = offset;
}

static int
send_bytes(struct fixture *f, size_t bytes)
{
	static const char payload[20000];
	struct synq_producer_record record = {
		.topic = TOPIC,
		.value = synq_slice_of(payload, bytes),
		.ack = on_ack,
		.ctx = f,
	};
	int rc = synq_producer_send(f->producer, &record);

	f->sent += rc == 0;
	return rc;
}

static uint64_t
counted(struct fixture *f, enum synq_metric_id id, const char *label)
{
	return synq_series_count(
	    synq_metric_series(f->metrics, id, label ? &label : NULL));
}

static void
test_answers_come_from_the_loop_in_order(void **state)
{
	struct fixture *f = *state;

	start(f, 5000, 0);
	assert_int_equal(synq_producer_acked(f->producer, TOPIC, 0), -1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(send_bytes(f, 100), 0);
	assert_int_equal(f->acks, 0);
	assert_int_equal(synq_producer_pending(f->producer), 10);
	assert_true(turn_until(f, is_answered, 5000));
	assert_int_equal(f->acks, 10);
	assert_int_equal(f->last_offset, 9);
	assert_int_equal(synq_producer_acked(f->producer, TOPIC, 0), 9);
	assert_int_equal(synq_producer_acked(f->producer, TOPIC, 1), -1);
	assert_int_equal(synq_producer_acked(f->producer, TOPIC, 99), -1);
	assert_int_equal(counted(f, SYNQ_M_KAFKA_PRODUCED_TOTAL, TOPIC), 10);
}

static void
on_room(void *ctx)
{
	struct fixture *f = ctx;

	f->rooms++;
}

static void
test_full_queue_refuses_and_tells_when_there_is_room(void **state)
{
	struct fixture *f = *state;

	start(f, 5000, 0);
	synq_producer_on_room(f->producer, on_room, f);
	for (int i = 0; i < MAX_QUEUED; i++)
		assert_int_equal(send_bytes(f, 10), 0);
	assert_int_equal(send_bytes(f, 10), -SYNQ_E_BUSY);
	assert_int_equal(f->rooms, 0);
	assert_true(turn_until(f, is_answered, 5000));
	synq_loop_turn(f->loop, 200);
	assert_int_equal(f->rooms, 1);
	assert_int_equal(f->acks, MAX_QUEUED);
	assert_int_equal(send_bytes(f, 10), 0);
}

static void
test_queue_is_bounded_in_bytes(void **state)
{
	struct fixture *f = *state;
	size_t count = 0;

	start(f, 5000, 0);
	while (send_bytes(f, 9000) == 0)
		count++;
	assert_true(count >= 9 && count <= MAX_BYTES / 9000);
}

static void
test_large_record_is_refused_at_once(void **state)
{
	struct fixture *f = *state;

	start(f, 5000, 0);
	assert_int_equal(send_bytes(f, 10001), -SYNQ_E_TOO_LARGE);
	assert_int_equal(synq_producer_pending(f->producer), 0);
}

static void
test_record_without_a_broker_is_unavailable_in_time(void **state)
{
	struct fixture *f = *state;
	uint64_t began_us;

	start(f, 1000, 0);
	rd_kafka_mock_broker_set_down(f->mock, 1);
	began_us = synq_clock_mono_us();
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_bytes(f, 10), 0);
	assert_true(turn_until(f, is_answered, 8000));
	assert_true(synq_clock_mono_us() - began_us < 4000000);
	assert_int_equal(f->acks, 0);
	assert_int_equal(f->unavailable + f->uncertain, 5);
	assert_true(turn_until(f, is_ill, 8000));
	assert_int_equal(
	    counted(f, SYNQ_M_KAFKA_PRODUCE_ERRORS_TOTAL, TOPIC), 5);

	rd_kafka_mock_broker_set_up(f->mock, 1);
	assert_true(turn_until(f, is_healthy, 8000));
	assert_int_equal(send_bytes(f, 10), 0);
	assert_true(turn_until(f, is_answered, 8000));
	assert_int_equal(f->acks, 1);
}

static void
test_result_waits_for_the_broker(void **state)
{
	struct fixture *f = *state;

	start(f, 1000, 1);
	rd_kafka_mock_broker_set_down(f->mock, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_bytes(f, 10), 0);
	for (int i = 0; i < 30; i++)
		synq_loop_turn(f->loop, 100);
	assert_int_equal(synq_producer_pending(f->producer), 5);
	assert_int_equal(synq_producer_acked(f->producer, TOPIC, 0), -1);

	rd_kafka_mock_broker_set_up(f->mock, 1);
	assert_true(turn_until(f, is_answered, 10000));
	assert_int_equal(f->acks, 5);
	assert_true(synq_producer_acked(f->producer, TOPIC, 0) >= 4);
}

static void
test_sequence_error_costs_no_record(void **state)
{
	struct fixture *f = *state;

	start(f, 10000, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_bytes(f, 10), 0);
	assert_true(turn_until(f, is_answered, 5000));
	rd_kafka_mock_push_request_errors(f->mock, API_PRODUCE, 1,
	    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	for (int i = 0; i < 20; i++)
		assert_int_equal(send_bytes(f, 10), 0);
	assert_true(turn_until(f, is_answered, 15000));
	assert_int_equal(f->acks, 25);
	assert_true(synq_producer_acked(f->producer, TOPIC, 0) >= 24);
	assert_int_equal(
	    counted(f, SYNQ_M_KAFKA_PRODUCER_REBUILDS_TOTAL, NULL), 1);
}

/* How many records the log of partition 0 holds. */
static int64_t
in_log(struct fixture *f)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	int64_t low = -1, high = -1;
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers",
	    rd_kafka_mock_cluster_bootstraps(f->mock), NULL, 0);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	assert_non_null(rk);
	assert_int_equal(
	    rd_kafka_query_watermark_offsets(rk, TOPIC, 0, &low, &high, 5000),
	    RD_KAFKA_RESP_ERR_NO_ERROR);
	rd_kafka_destroy(rk);
	return high - low;
}

/*
 * A broker takes any number from a producer that it does not know.  If the
 * first request fails and the second does not, librdkafka believes that the
 * first was taken as well: so nothing may follow the first record of a
 * partition until that is acknowledged.
 */
static void
test_first_record_that_fails_is_not_taken_for_written(void **state)
{
	struct fixture *f = *state;

	start(f, 30000, 0);
	rd_kafka_mock_broker_set_rtt(f->mock, 1, 100);
	rd_kafka_mock_push_request_errors(f->mock, API_PRODUCE, 1,
	    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
	/* A request holds no two of them. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_bytes(f, 9000), 0);
	assert_true(turn_until(f, is_answered, 20000));
	assert_int_equal(f->acks, 5);
	assert_int_equal(in_log(f), 5);
}

static void
test_broken_producer_takes_records_meanwhile(void **state)
{
	struct fixture *f = *state;

	start(f, 10000, 0);
	assert_int_equal(send_bytes(f, 10), 0);
	synq_producer_break(f->producer);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(send_bytes(f, 10), 0);
		synq_loop_turn(f->loop, 1);
	}
	assert_true(turn_until(f, is_answered, 10000));
	assert_int_equal(f->acks, 21);
}

static int
is_given(struct fixture *f)
{
	return f->producer->state == SENDING_OPEN && f->producer->lanes_out > 0;
}

static int
is_broken(struct fixture *f)
{
	return f->producer->state != SENDING_OPEN;
}

static size_t
turns_within(struct fixture *f, uint64_t limit_us)
{
	uint64_t until_us = synq_clock_mono_us() + limit_us;
	size_t turns = 0;

	for (; synq_clock_mono_us() < until_us; turns++)
		synq_loop_turn(f->loop, 10);
	return turns;
}

/* What waits behind the first record of a rebuilt handle waits asleep. */
static void
test_rebuilt_producer_sleeps_while_its_first_record_is_out(void **state)
{
	struct fixture *f = *state;

	start(f, 60000, 1);
	rd_kafka_mock_broker_set_down(f->mock, 1);
	assert_int_equal(send_bytes(f, 10), 0);
	assert_true(turn_until(f, is_given, 5000));
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_bytes(f, 10), 0);
	synq_producer_break(f->producer);
	assert_true(turn_until(f, is_broken, 5000));
	rd_kafka_mock_broker_push_request_error_rtts(
	    f->mock, 1, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_NO_ERROR, 2000);
	rd_kafka_mock_broker_set_up(f->mock, 1);
	assert_true(turn_until(f, is_given, 15000));

	assert_int_equal(send_bytes(f, 10), 0);
	assert_true(turns_within(f, 1000000) < 1000);
	assert_true(turn_until(f, is_answered, 20000));
	assert_int_equal(f->acks, 5);
}

static void
test_end_answers_every_record(void **state)
{
	struct fixture *f = *state;

	start(f, 60000, 1);
	rd_kafka_mock_broker_set_down(f->mock, 1);
	for (int i = 0; i < 7; i++)
		assert_int_equal(send_bytes(f, 10), 0);
	synq_producer_free(&f->producer, 50);
	assert_int_equal(f->acks, 0);
	assert_int_equal(f->unavailable + f->uncertain, 7);
}

/* An answer that makes its owner say something more. */
static void
on_ack_send(void *ctx, int rc, int64_t offset)
{
	struct fixture *f = ctx;

	on_ack(ctx, rc, offset);
	assert_int_equal(send_bytes(f, 10), -SYNQ_E_UNAVAILABLE);
}

static void
test_end_takes_no_record_from_an_answer(void **state)
{
	struct fixture *f = *state;
	const struct synq_producer_record record = {
		.topic = TOPIC,
		.value = synq_slice_text("x"),
		.ack = on_ack_send,
		.ctx = f,
	};

	start(f, 60000, 1);
	rd_kafka_mock_broker_set_down(f->mock, 1);
	assert_int_equal(synq_producer_send(f->producer, &record), 0);
	assert_int_equal(synq_producer_send(f->producer, &record), 0);
	synq_producer_free(&f->producer, 50);
	assert_int_equal(f->unavailable + f->uncertain, 2);
	assert_int_equal(f->sent, 0);
}

static void
test_wrong_setting_is_said(void **state)
{
	struct fixture *f = *state;
	static const char *const topics[] = { TOPIC, NULL };
	struct synq_kafka_config config = { .brokers = "" };
	struct synq_err err = { 0 };

	assert_int_equal(
	    synq_producer_new(f->loop, &config, topics, &f->producer, &err),
	    -SYNQ_E_CONFIG);
	assert_null(f->producer);
	assert_string_equal(err.text, "no kafka brokers");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_answers_come_from_the_loop_in_order),
		CASE(test_full_queue_refuses_and_tells_when_there_is_room),
		CASE(test_queue_is_bounded_in_bytes),
		CASE(test_large_record_is_refused_at_once),
		CASE(test_record_without_a_broker_is_unavailable_in_time),
		CASE(test_result_waits_for_the_broker),
		CASE(test_sequence_error_costs_no_record),
		CASE(test_first_record_that_fails_is_not_taken_for_written),
		CASE(test_broken_producer_takes_records_meanwhile),
		CASE(
		    test_rebuilt_producer_sleeps_while_its_first_record_is_out),
		CASE(test_end_answers_every_record),
		CASE(test_end_takes_no_record_from_an_answer),
		CASE(test_wrong_setting_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
