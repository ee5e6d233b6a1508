/* The client against a server that says, byte by byte, what a test wants. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "redis/redis.h"

#define LIMIT_MS 1000
#define MAX_QUEUED 4
#define PING "*1\r\n$4\r\nPING\r\n"
#define GET "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"

struct outcome {
	int told;
	int rc;
	enum synq_reply_type type;
	int64_t number;
	char text[64];
	size_t count;
};

static struct synq_loop *loop;
static struct synq_redis *redis;
static int listener;
static uint16_t port;
static int notified;
static char heard[64];

static int
set_up(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(at);

	(void)state;
	notified = 0;
	heard[0] = '\0';
	assert_int_equal(synq_loop_new(&loop, NULL), 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(
	    getsockname(listener, (struct sockaddr *)&at, &bytes), 0);
	assert_int_equal(listen(listener, 8), 0);
	port = ntohs(at.sin_port);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	synq_redis_free(&redis);
	synq_loop_free(&loop);
	close(listener);
	return 0;
}

static void
open_client(const char *password)
{
	const struct synq_redis_config config = { .host = "127.0.0.1",
		.port = port,
		.password = password,
		.limit_ms = LIMIT_MS,
		.max_queued = MAX_QUEUED };

	assert_int_equal(synq_redis_new(loop, &config, &redis, NULL), 0);
}

static void
idle(uint32_t time_ms)
{
	uint64_t end_us = synq_clock_mono_us() + time_ms * UINT64_C(1000);

	while (synq_clock_mono_us() < end_us)
		synq_loop_turn(loop, 5);
}

/* The next connection of the client. */
static int
accept_client(void)
{
	const int one = 1;

	for (int i = 0; i < 1000; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

		/* What is said in pieces is to arrive in pieces. */
		if (fd >= 0)
			(void)setsockopt(
			    fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (fd >= 0)
			return fd;
		synq_loop_turn(loop, 5);
	}
	fail_msg("nobody connects");
	return -1;
}

/* Read from ${fd} what must be ${text}. */
static void
expect(int fd, const char *text)
{
	char seen[512];
	size_t bytes = 0;
	size_t wanted = strlen(text);

	for (int i = 0; i < 400 && bytes < wanted; i++) {
		ssize_t count = read(fd, seen + bytes, wanted - bytes);

		if (count > 0)
			bytes += (size_t)count;
		else
			synq_loop_turn(loop, 5);
	}
	assert_int_equal(bytes, wanted);
	assert_memory_equal(seen, text, wanted);
}

static void
say(int fd, const char *text)
{
	for (ssize_t n; *text; text += n > 0 ? n : 0)
		n = send(fd, text, strlen(text), MSG_NOSIGNAL);
	idle(20);
}

/* A client that is ready; its connection. */
static int
ready_client(void)
{
	int fd;

	open_client(NULL);
	fd = accept_client();
	expect(fd, PING);
	assert_int_equal(synq_redis_healthy(redis), 0);
	say(fd, "+PONG\r\n");
	assert_int_equal(synq_redis_healthy(redis), 1);
	return fd;
}

static void
on_done(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	struct outcome *outcome = ctx;

	outcome->told++;
	outcome->rc = rc;
	if (!reply)
		return;
	outcome->type = reply->type;
	outcome->number = reply->number;
	outcome->count = reply->count;
	(void)snprintf(outcome->text, sizeof(outcome->text), "%.*s",
	    (int)reply->text.bytes, reply->text.data ? reply->text.data : "");
}

static int
get(struct outcome *outcome)
{
	const struct synq_slice words[2] = { synq_slice_text("GET"),
		synq_slice_text("k") };

	return synq_redis_command(redis, words, 2, on_done, outcome);
}

static void
refuse(const char *host, uint16_t at, uint32_t limit_ms, uint32_t max_queued)
{
	const struct synq_redis_config config = { .host = host,
		.port = at,
		.limit_ms = limit_ms,
		.max_queued = max_queued };

	assert_int_equal(
	    synq_redis_new(loop, &config, &redis, NULL), -SYNQ_E_CONFIG);
	assert_null(redis);
}

static void
test_bad_configuration_is_refused(void **state)
{
	(void)state;
	refuse("localhost", 1, 1, 1);
	refuse(NULL, 1, 1, 1);
	refuse("127.0.0.1", 0, 1, 1);
	refuse("127.0.0.1", 1, 0, 1);
	refuse("::1", 1, 1, 0);
}

static void
test_password_comes_first(void **state)
{
	int fd;

	(void)state;
	open_client("pass word");
	fd = accept_client();
	expect(fd, "*2\r\n$4\r\nAUTH\r\n$9\r\npass word\r\n" PING);
	say(fd, "+OK\r\n");
	assert_int_equal(synq_redis_healthy(redis), 0);
	say(fd, "+PONG\r\n");
	assert_int_equal(synq_redis_healthy(redis), 1);
	close(fd);
}

static void
test_wrong_password_is_tried_again_later(void **state)
{
	int fd;
	char byte;

	(void)state;
	open_client("x");
	fd = accept_client();
	say(fd, "-WRONGPASS\r\n-NOAUTH\r\n");
	assert_int_equal(synq_redis_healthy(redis), 0);
	while (read(fd, &byte, 1) > 0)
		;
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	fd = accept_client();
	close(fd);
}

static void
test_every_kind_of_reply_is_understood(void **state)
{
	struct outcome outcomes[4] = { 0 };
	int fd = ready_client();

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(get(&outcomes[i]), 0);
	assert_int_equal(outcomes[0].told, 0);
	expect(fd, GET GET GET GET);
	say(fd, ":-42\r\n$-1\r\n$3\r\na\r");
	assert_int_equal(outcomes[1].told, 1);
	assert_int_equal(outcomes[2].told, 0);
	say(fd, "b\r\n-ERR no\r\n");

	assert_int_equal(outcomes[0].type, SYNQ_REPLY_INT);
	assert_int_equal(outcomes[0].number, -42);
	assert_int_equal(outcomes[1].rc, 0);
	assert_int_equal(outcomes[1].type, SYNQ_REPLY_NIL);
	assert_string_equal(outcomes[2].text, "a\rb");
	assert_int_equal(outcomes[3].rc, -SYNQ_E_REFUSED);
	assert_string_equal(outcomes[3].text, "ERR no");
	close(fd);
}

static void
on_array(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	struct synq_redis_reply inner;
	struct synq_redis_reply at;

	assert_int_equal(rc, 0);
	assert_int_equal(reply->type, SYNQ_REPLY_ARRAY);
	assert_int_equal(reply->count, 3);
	at = synq_redis_element(reply, 0);
	assert_int_equal(at.number, 7);
	inner = synq_redis_element(reply, 1);
	assert_int_equal(inner.count, 1);
	at = synq_redis_element(&inner, 0);
	assert_true(synq_slice_is(at.text, "x"));
	at = synq_redis_element(&at, 0);
	assert_int_equal(at.type, SYNQ_REPLY_NIL);
	at = synq_redis_element(reply, 2);
	assert_int_equal(at.type, SYNQ_REPLY_NIL);
	at = synq_redis_element(reply, 3);
	assert_int_equal(at.type, SYNQ_REPLY_NIL);
	*(int *)ctx = 1;
}

static void
test_arrays_are_walked(void **state)
{
	const struct synq_slice word = synq_slice_text("X");
	int done = 0;
	int fd = ready_client();

	(void)state;
	assert_int_equal(
	    synq_redis_command(redis, &word, 1, on_array, &done), 0);
	expect(fd, "*1\r\n$1\r\nX\r\n");
	say(fd, "*3\r\n:7\r\n*1\r\n$1\r\nx\r\n$-1\r\n");
	assert_int_equal(done, 1);
	close(fd);
}

static void
test_commands_fail_at_once_while_redis_is_away(void **state)
{
	struct outcome outcome = { 0 };

	(void)state;
	open_client(NULL);
	assert_int_equal(get(&outcome), -SYNQ_E_UNAVAILABLE);
	idle(50);
	assert_int_equal(get(&outcome), -SYNQ_E_UNAVAILABLE);
	assert_int_equal(outcome.told, 0);
}

static void
test_full_queue_refuses(void **state)
{
	struct outcome outcomes[MAX_QUEUED + 1] = { 0 };
	int fd = ready_client();

	(void)state;
	for (size_t i = 0; i < MAX_QUEUED; i++)
		assert_int_equal(get(&outcomes[i]), 0);
	assert_int_equal(get(&outcomes[MAX_QUEUED]), -SYNQ_E_BUSY);
	expect(fd, GET GET GET GET);
	say(fd, "$-1\r\n");
	assert_int_equal(get(&outcomes[MAX_QUEUED]), 0);
	close(fd);
}

static void
test_silent_server_fails_commands_in_time(void **state)
{
	struct outcome outcome = { 0 };
	int fd = ready_client();
	uint64_t before_us = synq_clock_mono_us();

	(void)state;
	assert_int_equal(get(&outcome), 0);
	while (!outcome.told && synq_clock_mono_us() - before_us < 6000000)
		synq_loop_turn(loop, 10);

	assert_int_equal(outcome.told, 1);
	assert_int_equal(outcome.rc, -SYNQ_E_UNCERTAIN);
	assert_in_range(synq_clock_mono_us() - before_us, LIMIT_MS * 1000,
	    LIMIT_MS * 1000 + 2000000);
	assert_int_equal(synq_redis_healthy(redis), 0);
	assert_int_equal(get(&outcome), -SYNQ_E_UNAVAILABLE);

	/* The late answer to the old connection goes nowhere. */
	(void)!send(fd, "$1\r\nx\r\n", 7, MSG_NOSIGNAL);
	idle(50);
	assert_int_equal(outcome.told, 1);
	close(fd);
}

static void
test_idle_connection_that_went_dead_is_noticed(void **state)
{
	int fd = ready_client();

	(void)state;
	idle(1000 + LIMIT_MS + 300);
	assert_int_equal(synq_redis_healthy(redis), 0);
	close(fd);
}

static void
test_broken_connection_ends_commands_and_is_made_again(void **state)
{
	struct outcome sent = { 0 };
	struct outcome unsent = { 0 };
	int fd = ready_client();

	(void)state;
	assert_int_equal(get(&sent), 0);
	expect(fd, GET);
	assert_int_equal(get(&unsent), 0);
	say(fd, "!garbage\r\n");

	assert_int_equal(sent.rc, -SYNQ_E_UNCERTAIN);
	assert_int_equal(sent.told, 1);
	assert_int_equal(unsent.told, 1);
	assert_int_equal(synq_redis_healthy(redis), 0);
	close(fd);
	fd = accept_client();
	expect(fd, PING);
	say(fd, "+PONG\r\n");
	assert_int_equal(synq_redis_healthy(redis), 1);
	close(fd);
}

/* A command larger than the socket's buffers cannot have been carried out. */
static void
test_half_sent_command_did_not_happen(void **state)
{
	static char body[32 << 20];
	const struct synq_slice words[3] = { synq_slice_text("SET"),
		synq_slice_text("k"), synq_slice_of(body, sizeof(body)) };
	struct outcome outcome = { 0 }, too_much = { 0 };
	int fd = ready_client(), rc = -SYNQ_E_BUSY, tries = 0;

	(void)state;
	assert_int_equal(
	    synq_redis_command(redis, words, 3, on_done, &outcome), 0);
	/* There is room when the kernel has taken a part of it. */
	for (; rc == -SYNQ_E_BUSY && tries < 250; tries++) {
		idle(20);
		rc = synq_redis_command(redis, words, 3, on_done, &too_much);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(outcome.told, 0);
	assert_int_equal(
	    synq_redis_command(redis, words, 3, on_done, &too_much),
	    -SYNQ_E_BUSY);
	close(fd);
	idle(50);
	assert_int_equal(outcome.rc, -SYNQ_E_UNAVAILABLE);
	assert_int_equal(outcome.told, 1);
}

static void
test_reply_that_nobody_asked_for_ends_the_connection(void **state)
{
	int fd = ready_client();

	(void)state;
	say(fd, "+OK\r\n");
	assert_int_equal(synq_redis_healthy(redis), 0);
	close(fd);
}

static void
on_free(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	(void)rc;
	(void)reply;
	++*(int *)ctx;
	synq_redis_free(&redis);
}

static void
test_owner_may_free_inside_a_reply(void **state)
{
	const struct synq_slice word = synq_slice_text("X");
	int told = 0;

	(void)state;
	/* On an answer, and when the connection breaks. */
	for (int round = 1; round <= 2; round++) {
		int fd = ready_client();

		for (int i = 0; i < 3; i++)
			assert_int_equal(
			    synq_redis_command(redis, &word, 1, on_free, &told),
			    0);
		idle(10);
		say(fd, round == 1 ? "+a\r\n+b\r\n+c\r\n" : "");
		close(fd);
		idle(50);
		assert_int_equal(told, round);
		assert_null(redis);
	}
}

static void
on_message(void *ctx, struct synq_slice payload)
{
	(void)ctx;
	(void)snprintf(
	    heard, sizeof(heard), "%.*s", (int)payload.bytes, payload.data);
}

static void
on_subscribed(void *ctx)
{
	(void)ctx;
	notified++;
}

static void
test_subscriptions_are_made_again(void **state)
{
	static const char subscribe[] = "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n"
					"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nb\r\n";
	static const char confirm[] = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1"
				      "\r\n";
	int command = ready_client();
	int fd;

	(void)state;
	synq_redis_on_subscribed(redis, on_subscribed, NULL);
	synq_redis_subscribe(redis, "a", on_message, NULL);
	synq_redis_subscribe(redis, "b", on_message, NULL);
	fd = accept_client();
	expect(fd, PING);
	say(fd, "+PONG\r\n");
	expect(fd, subscribe);
	say(fd, confirm);
	assert_int_equal(synq_redis_subscribed(redis), 0);
	say(fd, confirm);
	assert_int_equal(synq_redis_subscribed(redis), 1);
	assert_int_equal(notified, 1);
	say(fd, "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$2\r\nhi\r\n");
	assert_string_equal(heard, "hi");
	say(fd, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nno\r\n");
	assert_string_equal(heard, "hi");

	close(fd);
	idle(20);
	assert_int_equal(synq_redis_subscribed(redis), 0);
	fd = accept_client();
	expect(fd, PING);
	say(fd, "+PONG\r\n");
	expect(fd, subscribe);
	say(fd, confirm);
	say(fd, confirm);
	assert_int_equal(notified, 2);

	/* One more, later. */
	synq_redis_subscribe(redis, "c", on_message, NULL);
	assert_int_equal(synq_redis_subscribed(redis), 0);
	expect(fd, "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n");
	say(fd, confirm);
	assert_int_equal(synq_redis_subscribed(redis), 1);
	assert_int_equal(notified, 3);
	close(fd);
	close(command);
}

static void
test_deaf_subscription_is_noticed(void **state)
{
	int command = ready_client();
	int fd;

	(void)state;
	synq_redis_subscribe(redis, "a", on_message, NULL);
	fd = accept_client();
	expect(fd, PING);
	say(fd, "+PONG\r\n");
	say(fd, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
	assert_int_equal(synq_redis_subscribed(redis), 1);
	idle(2300);
	assert_int_equal(synq_redis_subscribed(redis), 0);
	close(fd);
	close(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_bad_configuration_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_password_comes_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_wrong_password_is_tried_again_later, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_every_kind_of_reply_is_understood, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_arrays_are_walked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_commands_fail_at_once_while_redis_is_away, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_full_queue_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_silent_server_fails_commands_in_time, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_idle_connection_that_went_dead_is_noticed, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_broken_connection_ends_commands_and_is_made_again,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_half_sent_command_did_not_happen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_reply_that_nobody_asked_for_ends_the_connection,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_owner_may_free_inside_a_reply, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_subscriptions_are_made_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_deaf_subscription_is_noticed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
