/* The pool without a server: its configuration, limits and deadlines. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "pg/encode.h"
#include "pg/pg.h"
#include "pg/session.h"

static struct synq_loop *loop;
static int told;
static int told_rc;
static struct synq_err told_err;

static int
set_up(void **state)
{
	(void)state;
	told = 0;
	return synq_loop_new(&loop, NULL);
}

static int
tear_down(void **state)
{
	(void)state;
	synq_loop_free(&loop);
	return 0;
}

static void
on_done(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	(void)ctx;
	assert_null(rows);
	told++;
	told_rc = rc;
	told_err = *err;
}

/* A loopback port that is bound; a listener on it only if ${listens}. */
static int
bound_port(int listens, uint16_t *ret_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
	if (listens)
		assert_int_equal(listen(fd, 8), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static struct synq_pg *
pool_to(uint16_t port, uint32_t limit_ms)
{
	char url[128];
	struct synq_pg_config config = { .url = url,
		.connections = 2,
		.max_queued = 3,
		.limit_ms = limit_ms };
	struct synq_pg *pg = NULL;

	(void)snprintf(url, sizeof(url),
	    "postgresql://u:verysecret@127.0.0.1:%u/db", port);
	assert_int_equal(synq_pg_new(loop, &config, &pg, NULL), 0);
	return pg;
}

static int
start(struct synq_pg *pg, void *ctx)
{
	const struct synq_pg_statement statement = { "select 1", NULL, 0 };
	const struct synq_pg_transaction transaction = { .statements =
							     &statement,
		.count = 1,
		.done = on_done,
		.ctx = ctx };

	return synq_pg_start(pg, &transaction);
}

static void
turn_until_told(int count, uint32_t limit_ms)
{
	uint64_t end_us = synq_clock_mono_us() + limit_ms * UINT64_C(1000);

	while (told < count && synq_clock_mono_us() < end_us)
		synq_loop_turn(loop, 10);
	assert_int_equal(told, count);
}

static void
refuse(struct synq_pg_config config, const char *text)
{
	struct synq_pg *pg = NULL;
	struct synq_err err = { 0 };

	assert_int_equal(synq_pg_new(loop, &config, &pg, &err), -SYNQ_E_CONFIG);
	assert_null(pg);
	assert_non_null(strstr(err.text, text));
	assert_null(strstr(err.text, "secret"));
}

static void
test_bad_configuration_is_refused(void **state)
{
	const struct synq_pg_config good = { .url = "postgresql://127.0.0.1/x",
		.connections = 1,
		.max_queued = 1,
		.limit_ms = 1000 };
	struct synq_pg_config bad = good;

	(void)state;
	bad.url = NULL;
	refuse(bad, "URL");
	bad.url = "postgresql://u:secret@[bad";
	refuse(bad, "connection string");
	bad.url = "secret";
	refuse(bad, "connection string");
	bad.url = "postgresql:///db";
	refuse(bad, "names no host");
	bad.url = "postgresql://u:secret@db.example.com/db";
	refuse(bad, "numeric");
	bad.url = "postgresql://127.0.0.1,db.example.com/db";
	refuse(bad, "numeric");
	bad = good;
	bad.connections = 0;
	refuse(bad, "connections");
	bad.connections = 100000;
	refuse(bad, "connections");
	bad = good;
	bad.max_queued = 0;
	refuse(bad, "queue");
	bad = good;
	bad.limit_ms = 0;
	refuse(bad, "limit");
	bad = good;
	bad.role = "x; drop table y";
	refuse(bad, "role");
	bad.role = "";
	refuse(bad, "role");
	bad.role = "1st";
	refuse(bad, "role");
}

static void
test_unreachable_server_gives_timeout_and_the_reason(void **state)
{
	uint16_t port;
	int fd = bound_port(0, &port);
	struct synq_pg *pg = pool_to(port, 300);

	(void)state;
	assert_int_equal(start(pg, NULL), 0);
	assert_int_equal(told, 0);
	turn_until_told(1, 3000);

	assert_int_equal(told_rc, -SYNQ_E_TIMEOUT);
	assert_non_null(strstr(told_err.text, "refused"));
	assert_null(strstr(told_err.text, "secret"));
	assert_int_equal(synq_pg_healthy(pg), 0);
	assert_int_equal(synq_pg_pending(pg), 0);
	synq_pg_free(&pg);
	close(fd);
}

/* It accepts and never says a word. */
static void
test_silent_server_gives_timeout(void **state)
{
	uint16_t port;
	int fd = bound_port(1, &port);
	struct synq_pg *pg = pool_to(port, 200);

	(void)state;
	assert_int_equal(start(pg, NULL), 0);
	turn_until_told(1, 3000);

	assert_int_equal(told_rc, -SYNQ_E_TIMEOUT);
	synq_pg_free(&pg);
	close(fd);
}

static void
test_full_queue_refuses(void **state)
{
	uint16_t port;
	int fd = bound_port(0, &port);
	struct synq_pg *pg = pool_to(port, 200);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(start(pg, NULL), 0);
	assert_int_equal(start(pg, NULL), -SYNQ_E_BUSY);
	turn_until_told(3, 3000);
	assert_int_equal(start(pg, NULL), 0);
	synq_pg_free(&pg);
	close(fd);
}

static void
test_forgotten_and_freed_are_not_told(void **state)
{
	uint16_t port;
	int fd = bound_port(0, &port);
	struct synq_pg *pg = pool_to(port, 100);
	uint64_t end_us;

	(void)state;
	assert_int_equal(start(pg, &told), 0);
	assert_int_equal(start(pg, &told_rc), 0);
	synq_pg_forget(pg, &told);
	assert_int_equal(synq_pg_pending(pg), 1);
	turn_until_told(1, 3000);
	assert_int_equal(start(pg, &told_rc), 0);
	synq_pg_free(&pg);
	assert_null(pg);
	synq_pg_free(&pg);
	end_us = synq_clock_mono_us() + 200000;
	while (synq_clock_mono_us() < end_us)
		synq_loop_turn(loop, 10);
	assert_int_equal(told, 1);
	close(fd);
}

static void
test_too_large_a_parameter_is_refused(void **state)
{
	const struct synq_pg_param param =
	    synq_pg_bytes(synq_slice_of("x", SYNQ_PG_MAX_VALUE_BYTES + 1));
	const struct synq_pg_statement statement = { "select $1", &param, 1 };
	const struct synq_pg_transaction transaction = {
		.statements = &statement, .count = 1, .done = on_done
	};
	uint16_t port;
	int fd = bound_port(0, &port);
	struct synq_pg *pg = pool_to(port, 100);

	(void)state;
	assert_int_equal(synq_pg_start(pg, &transaction), -SYNQ_E_TOO_LARGE);
	assert_int_equal(synq_pg_pending(pg), 0);
	synq_pg_free(&pg);
	close(fd);
}

static void
test_session_gives_up_in_time(void **state)
{
	struct synq_session *session = NULL;
	struct synq_err err = { 0 };
	char url[128];
	uint16_t port;
	int fd = bound_port(1, &port);
	uint64_t before_us = synq_clock_mono_us();

	(void)state;
	(void)snprintf(
	    url, sizeof(url), "postgresql://u:secret@127.0.0.1:%u/db", port);
	assert_int_equal(
	    synq_session_new(url, 200, &session, &err), -SYNQ_E_UNAVAILABLE);
	assert_true(synq_clock_mono_us() - before_us < 2000000);
	close(fd);
	assert_int_equal(
	    synq_session_new(url, 200, &session, &err), -SYNQ_E_UNAVAILABLE);
	assert_null(strstr(err.text, "secret"));
	assert_int_equal(
	    synq_session_new("secret", 200, &session, &err), -SYNQ_E_CONFIG);
	assert_null(session);
	synq_session_free(&session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_bad_configuration_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_unreachable_server_gives_timeout_and_the_reason,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_silent_server_gives_timeout, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_full_queue_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_forgotten_and_freed_are_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_too_large_a_parameter_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_session_gives_up_in_time, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
