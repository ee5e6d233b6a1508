/*
 * The producer against a real broker: every record gets one answer, and what
 * was acknowledged is in the log, whatever happens to the handle or the broker.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker.h"
#include "kafka/producer.h"
#include "kafka/reader.h"
#include "loop/loop.h"

#define PARTITIONS 4
#define PAYLOAD_BYTES 500

struct run {
	struct synq_loop *loop;
	struct synq_producer *producer;
	char topic[64];
	unsigned char *answers; /* per record: how many */
	unsigned char *acked;   /* per record: 1 = at an offset */
	unsigned char *seen;    /* per record: times in the log */
	size_t sent, answered, acks, failed;
	int caught_up;
	size_t out_of_order;
};

struct ticket {
	struct run *run;
	size_t number;
};

static void
on_ack(void *ctx, int rc, int64_t offset)
{
	struct ticket *ticket = ctx;
	struct run *run = ticket->run;

	run->answers[ticket->number]++;
	run->answered++;
	if (rc == 0) {
		assert_true(offset >= 0);
		run->acked[ticket->number] = 1;
		run->acks++;
	} else {
		run->failed++;
	}
	synq_mem_free(ticket);
}

static int
is_open(void *ctx)
{
	struct run *run = ctx;

	return synq_producer_partitions(run->producer, run->topic) > 0;
}

static int
is_answered(void *ctx)
{
	struct run *run = ctx;

	return run->answered == run->sent;
}

static int
is_caught_up(void *ctx)
{
	struct run *run = ctx;

	return run->caught_up == PARTITIONS;
}

static struct run *
begin(const char *stem, size_t count, int forever)
{
	struct run *run = synq_mem_new(sizeof(*run));
	struct synq_kafka_config config = broker_config();
	const char *topics[2] = { run->topic, NULL };
	struct synq_err err = { 0 };

	config.rebuild_forever = forever;
	run->loop = broker_loop();
	broker_topic(stem, PARTITIONS, run->topic);
	run->answers = synq_mem_array(count, 1);
	run->acked = synq_mem_array(count, 1);
	run->seen = synq_mem_array(count, 1);
	assert_int_equal(
	    synq_producer_new(run->loop, &config, topics, &run->producer, &err),
	    0);
	assert_true(broker_turn(run->loop, is_open, run, 10000));
	return run;
}

static int
send_one(struct run *run)
{
	static char payload[PAYLOAD_BYTES];
	struct ticket *ticket = synq_mem_new(sizeof(*ticket));
	struct synq_kafka_header header = {
		"synq-src",
		synq_slice_text("t/1"),
	};
	struct synq_producer_record record = {
		.topic = run->topic,
		.partition = (int32_t)(run->sent % PARTITIONS),
		.key = synq_slice_text("organization"),
		.headers = &header,
		.header_count = 1,
		.ack = on_ack,
		.ctx = ticket,
	};
	int rc;

	ticket->run = run;
	ticket->number = run->sent;
	memset(payload, 'x', sizeof(payload));
	snprintf(payload, sizeof(payload), "%zu", run->sent);
	record.value = synq_slice_of(payload, sizeof(payload));
	rc = synq_producer_send(run->producer, &record);
	if (rc == 0)
		run->sent++;
	else
		synq_mem_free(ticket);
	return rc;
}

static void
on_message(void *ctx, const struct synq_kafka_message *message)
{
	struct run *run = ctx;
	size_t number = strtoul(message->value.data, NULL, 10);

	assert_int_equal(message->value.bytes, PAYLOAD_BYTES);
	assert_true(synq_slice_is(message->key, "organization"));
	assert_true(synq_slice_is(
	    synq_kafka_message_header(message, "synq-src"), "t/1"));
	assert_int_equal(message->partition, number % PARTITIONS);
	run->seen[number]++;
}

static void
on_caught_up(void *ctx)
{
	struct run *run = ctx;

	run->caught_up++;
}

static size_t
count_seen(const struct run *run)
{
	size_t count = 0;

	for (size_t i = 0; i < run->sent; i++)
		count += run->seen[i] > 0;
	return count;
}

/* Read the whole topic and check that each acknowledged record is there. */
static void
check_log(struct run *run)
{
	struct synq_kafka_config config = broker_config();
	struct synq_reader *reader = NULL;
	struct synq_reader_request request = {
		.topic = run->topic,
		.from = SYNQ_READ_FIRST,
		.events = { .on_message = on_message,
		    .on_caught_up = on_caught_up },
		.ctx = run,
	};
	size_t twice = 0;

	assert_int_equal(synq_reader_new(run->loop, &config, &reader, NULL), 0);
	for (int32_t i = 0; i < PARTITIONS; i++) {
		request.partition = i;
		assert_non_null(synq_reader_open(reader, &request));
	}
	assert_true(broker_turn(run->loop, is_caught_up, run, 20000));
	for (size_t i = 0; i < run->sent; i++) {
		if (run->acked[i] && run->seen[i] == 0)
			fail_msg("record %zu was acknowledged and is not there "
				 "(%zu of %zu are)",
			    i, count_seen(run), run->sent);
		assert_int_equal(run->answers[i], 1);
		twice += run->seen[i] > 1;
	}
	printf("# %zu sent, %zu acknowledged, %zu failed, %zu twice\n",
	    run->sent, run->acks, run->failed, twice);
	synq_reader_free(&reader, 1000);
	assert_null(reader);
}

static void
finish(struct run *run)
{
	synq_producer_free(&run->producer, 1000);
	synq_loop_free(&run->loop);
	synq_mem_free(run->answers);
	synq_mem_free(run->acked);
	synq_mem_free(run->seen);
	synq_mem_free(run);
}

static void
test_producer_acknowledges_every_record(SYNQ_UNUSED void **state)
{
	struct run *run = begin("ack", 20000, 0);
	int64_t acked = 0;

	while (run->sent < 20000)
		assert_int_equal(send_one(run), 0);
	assert_true(broker_turn(run->loop, is_answered, run, 20000));

	assert_int_equal(run->acks, 20000);
	for (int32_t i = 0; i < PARTITIONS; i++)
		acked += synq_producer_acked(run->producer, run->topic, i) + 1;
	assert_int_equal(acked, 20000);
	assert_int_equal(synq_producer_pending(run->producer), 0);
	assert_true(synq_producer_healthy(run->producer));
	check_log(run);
	finish(run);
}

static void
test_producer_refuses_what_it_does_not_know(SYNQ_UNUSED void **state)
{
	struct run *run = begin("unknown", 1, 0);
	struct synq_producer_record record = {
		.topic = run->topic,
		.partition = PARTITIONS,
	};

	assert_int_equal(
	    synq_producer_send(run->producer, &record), -SYNQ_E_UNAVAILABLE);
	record.partition = 0;
	record.topic = "no-such-topic";
	assert_int_equal(
	    synq_producer_send(run->producer, &record), -SYNQ_E_UNAVAILABLE);
	record.topic = run->topic;
	record.value = synq_slice_of("", 1000001);
	assert_int_equal(
	    synq_producer_send(run->producer, &record), -SYNQ_E_TOO_LARGE);
	finish(run);
}

/* Send ${per_turn} records each turn until ${count}; break in between. */
static void
send_with(struct run *run, size_t count, size_t per_turn, size_t break_each)
{
	while (run->sent < count) {
		for (size_t i = 0; i < per_turn && run->sent < count; i++) {
			assert_int_equal(send_one(run), 0);
			if (break_each && run->sent % break_each == 0)
				synq_producer_break(run->producer);
		}
		synq_loop_turn(run->loop, 1);
	}
}

static void
test_producer_loses_nothing_when_it_breaks(SYNQ_UNUSED void **state)
{
	struct run *run = begin("break", 30000, 1);

	send_with(run, 30000, 20, 5000);
	assert_true(broker_turn(run->loop, is_answered, run, 30000));

	assert_int_equal(run->acks, 30000);
	for (size_t i = 0; i < run->sent; i++)
		assert_true(run->acked[i]);
	check_log(run);
	finish(run);
}

static void
test_producer_delivers_what_it_holds_at_its_end(SYNQ_UNUSED void **state)
{
	struct run *run = begin("end", 1000, 0);

	while (run->sent < 1000)
		assert_int_equal(send_one(run), 0);
	synq_producer_free(&run->producer, 5000);

	assert_int_equal(run->acks, 1000);
	check_log(run);
	finish(run);
}

static void
test_producer_keeps_acknowledged_records_when_broker_dies(
    SYNQ_UNUSED void **state)
{
	struct run *run;
	uint64_t until_us;

	if (getenv("SYNQ_TEST_KAFKA_RESTART") == NULL) {
		puts("# skipped: SYNQ_TEST_KAFKA_RESTART is not set");
		skip();
	}
	run = begin("kill", 100000, 1);
	send_with(run, 2000, 5, 0);
	assert_true(broker_restart());
	until_us = synq_clock_mono_us() + 8000000;
	while (synq_clock_mono_us() < until_us) {
		send_one(run);
		synq_loop_turn(run->loop, 1);
	}
	assert_true(broker_turn(run->loop, is_answered, run, 30000));

	assert_int_equal(run->acks, run->sent);
	assert_true(synq_producer_healthy(run->producer));
	check_log(run);
	finish(run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_producer_acknowledges_every_record),
		cmocka_unit_test(test_producer_refuses_what_it_does_not_know),
		cmocka_unit_test(test_producer_loses_nothing_when_it_breaks),
		cmocka_unit_test(
		    test_producer_delivers_what_it_holds_at_its_end),
		cmocka_unit_test(
		    test_producer_keeps_acknowledged_records_when_broker_dies),
	};

	if (broker_list() == NULL)
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
