/*
 * The pool when the server ends a connection, restarts, hangs up, goes deaf or
 * takes too long.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/clock.h"
#include "fixture.h"
#include "proxy.h"

static void
test_killed_connection_ends_what_was_sent_and_comes_back(void **state)
{
	size_t uncertain = 0;

	(void)state;
	open_pool(url, 1, NULL);
	wait_healthy(1, 5000);

	start_sql(0, "select pg_sleep(2)");
	for (size_t i = 1; i < 100; i++)
		start_insert(i, (int64_t)i);
	idle(200);
	ask("select pg_terminate_backend(pid) from pg_stat_activity where "
	    "query like '%pg_sleep(2)%' and pid <> pg_backend_pid()");
	wait_told(100, 5000);

	/* The server said that it ended this one. */
	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_UNAVAILABLE);
	/* Then those that were sent, and those that waited meanwhile. */
	while (fix->outcomes[uncertain + 1].rc == -SYNQ_E_UNCERTAIN)
		uncertain++;
	assert_in_range(uncertain, 16, 31);
	for (size_t i = uncertain + 1; i < 100; i++)
		assert_int_equal(fix->outcomes[i].rc, 0);
	assert_int_equal(
	    ask_number("select count(*) from synq_t"), 99 - uncertain);
	assert_true(synq_pg_healthy(fix->pg));
}

static void
test_restarted_server_is_found_again(void **state)
{
	const char *restart = getenv("SYNQ_TEST_PG_RESTART");

	(void)state;
	open_pool(url, 2, NULL);
	wait_healthy(1, 5000);

	assert_int_equal(system(restart), 0);
	idle(20);
	for (size_t i = 0; i < 100; i++)
		start_insert(i, (int64_t)i);
	wait_told(100, 10000);

	for (size_t i = 0; i < 100; i++)
		assert_int_equal(fix->outcomes[i].rc, 0);
}

/* The URL of the same server by way of ${proxy}. */
static void
proxied_url(const struct proxy *proxy, char ret[512])
{
	(void)snprintf(ret, 512, "%s%shost=127.0.0.1&port=%u", url,
	    strchr(url, '?') ? "&" : "?", proxy_port(proxy));
}

static struct proxy *
open_proxied_pool(void)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	struct proxy *proxy = NULL;
	const char *host = NULL;
	unsigned long port = 5432;
	char to[512];

	for (PQconninfoOption *at = options; at && at->keyword; at++) {
		if (!strcmp(at->keyword, "host"))
			host = at->val;
		if (!strcmp(at->keyword, "port") && at->val)
			port = strtoul(at->val, NULL, 10);
	}
	proxy = proxy_new(host, (uint16_t)port);
	PQconninfoFree(options);
	proxied_url(proxy, to);
	open_pool(to, 1, NULL);
	wait_healthy(1, 5000);
	return proxy;
}

static void
test_cut_connection_leaves_uncertainty(void **state)
{
	struct proxy *proxy = open_proxied_pool();

	(void)state;
	start_sql(0, "select pg_sleep(1)");
	start_insert(1, 1);
	idle(100);
	proxy_cut(proxy);
	wait_told(2, 2000);

	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_UNCERTAIN);
	assert_int_equal(fix->outcomes[1].rc, -SYNQ_E_UNCERTAIN);
	start_insert(2, 2);
	wait_told(3, 5000);
	assert_int_equal(fix->outcomes[2].rc, 0);
	synq_pg_free(&fix->pg);
	proxy_free(&proxy);
}

static void
test_deaf_server_is_noticed_and_left(void **state)
{
	struct proxy *proxy = open_proxied_pool();
	uint64_t before_us = synq_clock_mono_us();

	(void)state;
	proxy_stall(proxy);
	start_insert(0, 1);
	wait_told(1, LIMIT_MS + 1000);
	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_UNCERTAIN);
	assert_true(
	    synq_clock_mono_us() - before_us >= LIMIT_MS * UINT64_C(1000));
	assert_false(synq_pg_healthy(fix->pg));

	start_insert(1, 2); /* waits, is not thrown after the first */
	idle(100);
	proxy_cut(proxy);
	wait_told(2, 5000);
	assert_int_equal(fix->outcomes[1].rc, 0);
	synq_pg_free(&fix->pg);
	proxy_free(&proxy);
}

/* The connection that never answers is given up without any help. */
static void
test_deaf_connection_is_replaced(void **state)
{
	struct proxy *proxy = open_proxied_pool();

	(void)state;
	proxy_stall(proxy);
	start_insert(0, 1);
	idle(LIMIT_MS * 3 + 200);
	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_UNCERTAIN);
	start_insert(1, 2);
	wait_told(2, LIMIT_MS + 1000);

	assert_int_equal(fix->outcomes[1].rc, -SYNQ_E_TIMEOUT);
	assert_non_null(strstr(fix->outcomes[1].text, "does not answer"));
	synq_pg_free(&fix->pg);
	proxy_free(&proxy);
}

static void
test_slow_statement_times_out_and_frees_the_way(void **state)
{
	(void)state;
	open_pool(url, 1, NULL);
	wait_healthy(1, 5000);

	start_sql(0, "select pg_sleep(20)");
	idle(500);
	start_insert(1, 1);
	wait_told(2, LIMIT_MS + 1500);

	assert_true(fix->outcomes[0].rc == -SYNQ_E_UNCERTAIN ||
		    fix->outcomes[0].rc == -SYNQ_E_TIMEOUT);
	/* The server gave the first up in time for the second. */
	assert_int_equal(fix->outcomes[1].rc, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_killed_connection_ends_what_was_sent_and_comes_back,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_cut_connection_leaves_uncertainty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_deaf_server_is_noticed_and_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_deaf_connection_is_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_slow_statement_times_out_and_frees_the_way, set_up,
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
	if (getenv("SYNQ_TEST_PG_RESTART"))
		rc += cmocka_run_group_tests(restarts, NULL, NULL);
	return rc;
}
