/*
 * A reader against librdkafka's mock cluster: what a broker says in the
 * moment of its return must not be believed for long.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/clock.h"
#include "kafka/admin.h"
#include "kafka/reader.h"
#include "kafka/reading.h"
#include "loop/loop.h"

#define TOPIC "control"
#define BROKER 1
#define NOBODY (-1)
#define LIST_OFFSETS 2 /* Kafka's number of that request */

struct fixture {
	struct synq_loop *loop;
	rd_kafka_t *rk; /* owns the mock */
	rd_kafka_mock_cluster_t *mock;
	struct synq_reader *reader;
	int records, caught_up;
	struct synq_reader_stream *stream;
};

static int
produce(const struct fixture *f)
{
	return synq_kafka_produce_once(
	    rd_kafka_mock_cluster_bootstraps(f->mock), TOPIC,
	    synq_slice_text("key"), synq_slice_text("value"), NULL);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct synq_kafka_config config = { .client_id = "test:1:boot" };

	assert_non_null(f);
	rd_kafka_conf_set_log_cb(conf, NULL);
	f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	f->mock = rd_kafka_mock_cluster_new(f->rk, BROKER);
	rd_kafka_mock_topic_create(f->mock, TOPIC, 1, 1);
	config.brokers = rd_kafka_mock_cluster_bootstraps(f->mock);
	assert_int_equal(produce(f), 0);
	assert_int_equal(synq_loop_new(&f->loop, NULL), 0);
	assert_int_equal(
	    synq_reader_new(f->loop, &config, &f->reader, NULL), 0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	synq_reader_free(&f->reader, 5000);
	synq_loop_free(&f->loop);
	rd_kafka_mock_cluster_destroy(f->mock);
	rd_kafka_destroy(f->rk);
	free(f);
	return 0;
}

static void
on_message(void *ctx, const struct synq_kafka_message *message)
{
	struct fixture *f = ctx;

	assert_true(synq_slice_is(message->value, "value"));
	f->records++;
}

static void
on_caught_up(void *ctx)
{
	struct fixture *f = ctx;

	f->caught_up++;
}

static void
turn_for(struct fixture *f, uint64_t limit_us)
{
	uint64_t until_us = synq_clock_mono_us() + limit_us;

	while (!f->caught_up && synq_clock_mono_us() < until_us)
		synq_loop_turn(f->loop, 10);
}

/* A broker that was away tells at first that nobody leads the partition, which
 * librdkafka keeps for minutes. */
static void
test_reader_asks_again_who_leads(void **state)
{
	struct fixture *f = *state;
	struct synq_reader_request request = {
		.topic = TOPIC,
		.from = SYNQ_READ_FIRST,
		.events = { .on_message = on_message,
		    .on_caught_up = on_caught_up },
		.ctx = f,
	};
	struct synq_reader_stream *stream;

	rd_kafka_mock_partition_set_leader(f->mock, TOPIC, 0, NOBODY);
	stream = synq_reader_open(f->reader, &request);
	turn_for(f, 3000000);
	assert_int_equal(f->caught_up, 0);

	rd_kafka_mock_partition_set_leader(f->mock, TOPIC, 0, BROKER);
	turn_for(f, 15000000);
	assert_int_equal(f->caught_up, 1);
	assert_int_equal(f->records, 1);
	synq_reader_close(&stream);
}

/* The first record comes from who does not know yet what is behind it. */
static void
on_message_of_new_leader(void *ctx, const struct synq_kafka_message *message)
{
	const rd_kafka_resp_err_t refusals[] = {
		RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
	};
	struct fixture *f = ctx;

	on_message(ctx, message);
	if (f->records > 1)
		return;
	f->stream->end++; /* as the leader before said */
	rd_kafka_mock_push_request_errors_array(
	    f->mock, LIST_OFFSETS, SYNQ_COUNT(refusals), refusals);
}

/* Who leads since a moment ago may think that the log ends before it does. */
static void
test_reader_does_not_believe_an_early_end(void **state)
{
	struct fixture *f = *state;
	struct synq_reader_request request = {
		.topic = TOPIC,
		.from = SYNQ_READ_FIRST,
		.events = { .on_message = on_message_of_new_leader,
		    .on_caught_up = on_caught_up },
		.ctx = f,
	};

	f->stream = synq_reader_open(f->reader, &request);
	turn_for(f, 500000);
	assert_int_equal(f->records, 1);
	assert_int_equal(f->caught_up, 0);

	assert_int_equal(produce(f), 0);
	turn_for(f, 15000000);
	assert_int_equal(f->caught_up, 1);
	assert_int_equal(f->records, 2);
	synq_reader_close(&f->stream);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_reader_asks_again_who_leads),
		CASE(test_reader_does_not_believe_an_early_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
