/*
 * The client against a real Redis: order, load, errors, stalls, connections
 * that the server closes, and the server's own restart.
 *
 * SYNQ_TEST_REDIS is host:port or host:port:password (or the password is in
 * SYNQ_TEST_REDIS_PASSWORD); SYNQ_TEST_REDIS_RESTART, if set, is a command that
 * restarts the server.
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
#include "loop/loop.h"
#include "redis/redis.h"

#define SKIPPED 77
#define LIMIT_MS 1000
#define MAX_QUEUED 20000

struct outcome {
	int told;
	int rc;
	int64_t number;
	char text[64];
};

static char host[64];
static char password[128];
static uint16_t port;
static struct synq_loop *loop;
static struct synq_redis *redis;
static size_t told;
static int64_t last_number;
static int in_order;
static int notified;
static int messages;

static struct synq_redis *
open_client(void)
{
	const struct synq_redis_config config = { .host = host,
		.port = port,
		.password = password[0] ? password : NULL,
		.limit_ms = LIMIT_MS,
		.max_queued = MAX_QUEUED };
	struct synq_redis *client = NULL;

	assert_int_equal(synq_redis_new(loop, &config, &client, NULL), 0);
	return client;
}

static void
idle(uint32_t time_ms)
{
	uint64_t end_us = synq_clock_mono_us() + time_ms * UINT64_C(1000);

	while (synq_clock_mono_us() < end_us)
		synq_loop_turn(loop, 10);
}

static void
wait_healthy(const struct synq_redis *client, uint32_t limit_ms)
{
	uint64_t end_us = synq_clock_mono_us() + limit_ms * UINT64_C(1000);

	while (!synq_redis_healthy(client) && synq_clock_mono_us() < end_us)
		synq_loop_turn(loop, 10);
	assert_true(synq_redis_healthy(client));
}

static void
wait_subscribed(uint32_t limit_ms)
{
	uint64_t end_us = synq_clock_mono_us() + limit_ms * UINT64_C(1000);

	while (!synq_redis_subscribed(redis) && synq_clock_mono_us() < end_us)
		synq_loop_turn(loop, 10);
	assert_true(synq_redis_subscribed(redis));
}

static void
wait_told(size_t count, uint32_t limit_ms)
{
	uint64_t end_us = synq_clock_mono_us() + limit_ms * UINT64_C(1000);

	while (told < count && synq_clock_mono_us() < end_us)
		synq_loop_turn(loop, 10);
	assert_int_equal(told, count);
}

static void
on_done(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	struct outcome *outcome = ctx;

	told++;
	outcome->told++;
	outcome->rc = rc;
	if (!reply)
		return;
	outcome->number = reply->number;
	(void)snprintf(outcome->text, sizeof(outcome->text), "%.*s",
	    (int)reply->text.bytes, reply->text.data ? reply->text.data : "");
}

/* Send the words of ${text}, between spaces, by ${client}. */
static int
command(struct synq_redis *client, const char *text, synq_redis_done_fn *done,
    void *ctx)
{
	struct synq_slice words[8];
	size_t count = 0;

	while (*text && count < 8) {
		size_t chars = strcspn(text, " ");

		words[count++] = synq_slice_of(text, chars);
		text += chars;
		text += *text == ' ';
	}
	return synq_redis_command(client, words, count, done, ctx);
}

static int
set_up(void **state)
{
	(void)state;
	told = 0;
	last_number = 0;
	in_order = 1;
	notified = 0;
	messages = 0;
	assert_int_equal(synq_loop_new(&loop, NULL), 0);
	redis = open_client();
	wait_healthy(redis, 5000);
	assert_int_equal(command(redis, "DEL synq:test", NULL, NULL), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	synq_redis_free(&redis);
	synq_loop_free(&loop);
	return 0;
}

static void
on_count(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	(void)ctx;
	told++;
	assert_int_equal(rc, 0);
	if (reply->number != last_number + 1)
		in_order = 0;
	last_number = reply->number;
}

static void
test_many_commands_are_answered_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(
		    command(redis, "INCR synq:test", on_count, NULL), 0);
	assert_int_equal(told, 0);
	wait_told(10000, 10000);
	assert_int_equal(last_number, 10000);
	assert_true(in_order);
}

static void
test_error_of_redis_is_refused_with_its_text(void **state)
{
	struct outcome outcomes[2] = { 0 };

	(void)state;
	assert_int_equal(command(redis, "SET synq:test x", NULL, NULL), 0);
	assert_int_equal(
	    command(redis, "INCR synq:test", on_done, &outcomes[0]), 0);
	assert_int_equal(
	    command(redis, "GET synq:test", on_done, &outcomes[1]), 0);
	wait_told(2, 3000);

	assert_int_equal(outcomes[0].rc, -SYNQ_E_REFUSED);
	assert_non_null(strstr(outcomes[0].text, "not an integer"));
	assert_int_equal(outcomes[1].rc, 0);
	assert_string_equal(outcomes[1].text, "x");
}

static void
on_large(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	const struct synq_slice *sent = ctx;

	told++;
	assert_int_equal(rc, 0);
	assert_true(synq_slice_equal(reply->text, *sent));
}

static void
test_large_values_pass(void **state)
{
	size_t bytes = (size_t)4 << 20;
	char *body = synq_mem_new(bytes);
	struct synq_slice words[3] = { synq_slice_text("SET"),
		synq_slice_text("synq:test"), synq_slice_of(body, bytes) };

	(void)state;
	for (size_t i = 0; i < bytes; i++)
		body[i] = (char)(i * 7);
	assert_int_equal(synq_redis_command(redis, words, 3, NULL, NULL), 0);
	assert_int_equal(
	    command(redis, "GET synq:test", on_large, &words[2]), 0);
	wait_told(1, 10000);
	synq_mem_free(body);
}

static void
test_stalled_redis_times_out_and_comes_back(void **state)
{
	struct synq_redis *other = open_client();
	struct outcome outcome = { 0 };
	uint64_t before_us;

	(void)state;
	wait_healthy(other, 3000);
	assert_int_equal(
	    command(other, "CLIENT PAUSE 2000 ALL", NULL, NULL), 0);
	idle(50);
	before_us = synq_clock_mono_us();
	assert_int_equal(
	    command(redis, "INCR synq:test", on_done, &outcome), 0);
	wait_told(1, LIMIT_MS + 500);

	assert_int_equal(outcome.rc, -SYNQ_E_UNCERTAIN);
	assert_true(
	    synq_clock_mono_us() - before_us >= LIMIT_MS * UINT64_C(1000));
	assert_false(synq_redis_healthy(redis));
	assert_int_equal(command(redis, "INCR synq:test", on_done, &outcome),
	    -SYNQ_E_UNAVAILABLE);
	wait_healthy(redis, 5000);
	idle(200);
	assert_int_equal(told, 1);
	synq_redis_free(&other);
}

static void
on_message(void *ctx, struct synq_slice payload)
{
	(void)ctx;
	assert_true(synq_slice_starts(payload, "hello"));
	messages++;
}

static void
on_subscribed(void *ctx)
{
	(void)ctx;
	notified++;
}

static void
publish(int expected)
{
	struct outcome outcome = { 0 };

	told = 0;
	assert_int_equal(
	    command(redis, "PUBLISH synq:a hello", on_done, &outcome), 0);
	wait_told(1, 3000);
	idle(50);
	assert_int_equal(outcome.number, expected ? 1 : 0);
}

static void
test_subscription_stands_again_after_the_server_closed_it(void **state)
{
	struct outcome outcome = { 0 };

	(void)state;
	synq_redis_on_subscribed(redis, on_subscribed, NULL);
	synq_redis_subscribe(redis, "synq:a", on_message, NULL);
	synq_redis_subscribe(redis, "synq:b", on_message, NULL);
	wait_subscribed(3000);
	assert_int_equal(notified, 1);
	publish(1);
	assert_int_equal(messages, 1);

	assert_int_equal(
	    command(redis, "CLIENT KILL TYPE pubsub", on_done, &outcome), 0);
	wait_told(2, 3000);
	assert_int_equal(outcome.number, 1);
	idle(10);
	wait_subscribed(3000);
	assert_int_equal(notified, 2);
	publish(1);
	assert_int_equal(messages, 2);
	/* Quiet for longer than a beat, it is still alive. */
	idle(2300);
	assert_int_equal(notified, 2);
	publish(1);
	assert_int_equal(messages, 3);
}

static void
test_closed_command_connection_comes_back(void **state)
{
	struct synq_redis *other = open_client();
	struct outcome outcome = { 0 };

	(void)state;
	wait_healthy(other, 3000);
	assert_int_equal(
	    command(redis, "BLPOP synq:test 0", on_done, &outcome), 0);
	idle(50);
	assert_int_equal(
	    command(other, "CLIENT KILL TYPE normal SKIPME yes", NULL, NULL),
	    0);
	wait_told(1, 500);

	assert_int_equal(outcome.rc, -SYNQ_E_UNCERTAIN);
	wait_healthy(redis, 3000);
	assert_int_equal(
	    command(redis, "INCR synq:test", on_done, &outcome), 0);
	wait_told(2, 3000);
	assert_int_equal(outcome.rc, 0);
	synq_redis_free(&other);
}

static void
test_restarted_server_is_found_again(void **state)
{
	const char *restart = getenv("SYNQ_TEST_REDIS_RESTART");
	struct outcome outcome = { 0 };

	(void)state;
	synq_redis_on_subscribed(redis, on_subscribed, NULL);
	synq_redis_subscribe(redis, "synq:a", on_message, NULL);
	wait_subscribed(3000);

	assert_int_equal(system(restart), 0);
	idle(50);
	wait_healthy(redis, 5000);
	wait_subscribed(5000);
	assert_int_equal(notified, 2);
	assert_int_equal(
	    command(redis, "INCR synq:test", on_done, &outcome), 0);
	wait_told(1, 3000);
	assert_int_equal(outcome.rc, 0);
	publish(1);
}

/* Take SYNQ_TEST_REDIS apart; 0, or SKIPPED after saying why. */
static int
find_server(void)
{
	const char *text = getenv("SYNQ_TEST_REDIS");
	const char *secret = getenv("SYNQ_TEST_REDIS_PASSWORD");
	unsigned number = 0;

	if (secret)
		(void)snprintf(password, sizeof(password), "%s", secret);

	if (text &&
	    sscanf(text, "%63[^:]:%u:%127s", host, &number, password) >= 2) {
		port = (uint16_t)number;
		return 0;
	}
	(void)fputs("SYNQ_TEST_REDIS is not set\n", stderr);
	return SKIPPED;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_many_commands_are_answered_in_order, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_error_of_redis_is_refused_with_its_text, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_large_values_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_stalled_redis_times_out_and_comes_back, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_subscription_stands_again_after_the_server_closed_it,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_closed_command_connection_comes_back, set_up,
		    tear_down),
	};
	const struct CMUnitTest restarts[] = {
		cmocka_unit_test_setup_teardown(
		    test_restarted_server_is_found_again, set_up, tear_down),
	};
	int rc = find_server();

	if (rc)
		return rc;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	if (getenv("SYNQ_TEST_REDIS_RESTART"))
		rc += cmocka_run_group_tests(restarts, NULL, NULL);
	return rc;
}
