/*
 * See claims.h.
 */

#include "claims.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fixture.h"
#include "loop/loop.h"

static const char *redis_address; /* SYNQ_TEST_REDIS */
struct synq_redis *live;
struct synq_redis *dead;
struct synq_pg *dead_pg;
struct synq_claim_request request;

void
on_claimed(void *ctx, enum synq_claim claim, const struct synq_uuid *job_id,
    int accepted)
{
	struct claimed *claimed = ctx;

	claimed->told++;
	claimed->claim = claim;
	claimed->job_id = *job_id;
	claimed->accepted = accepted;
}

struct claimed
claim(const char *body)
{
	struct claimed claimed = { 0 };

	request.body = synq_slice_text(body);
	request.job_id = synq_uuid_new(request.now_at);
	synq_store_claim(&request, on_claimed, &claimed);
	assert_int_equal(claimed.told, 0);
	wait_for(&claimed.told);
	assert_int_equal(claimed.told, 1);
	return claimed;
}

struct settled {
	int told;
	enum synq_settled settled;
};

static void
on_settled(void *ctx, enum synq_settled settled)
{
	struct settled *heard = ctx;

	heard->told++;
	heard->settled = settled;
}

enum synq_settled
accept_claim(const struct synq_uuid *job_id)
{
	struct settled heard = { 0 };

	synq_store_accept_claim(&request, job_id, on_settled, &heard);
	assert_int_equal(heard.told, 0);
	wait_for(&heard.told);
	assert_int_equal(heard.told, 1);
	return heard.settled;
}

enum synq_settled
drop_claim(const struct synq_uuid *job_id)
{
	struct settled heard = { 0 };

	synq_store_drop_claim(&request, job_id, on_settled, &heard);
	assert_int_equal(heard.told, 0);
	wait_for(&heard.told);
	assert_int_equal(heard.told, 1);
	return heard.settled;
}

struct claimed
take(const struct synq_uuid *from)
{
	struct claimed claimed = { 0 };

	request.job_id = synq_uuid_new(request.now_at);
	synq_store_take_claim(&request, from, on_claimed, &claimed);
	assert_int_equal(claimed.told, 0);
	wait_for(&claimed.told);
	assert_int_equal(claimed.told, 1);
	return claimed;
}

static void
on_reply(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	(void)reply;
	assert_int_equal(rc, 0);
	*(int *)ctx = 1;
}

void
set_since(int64_t since_at)
{
	char text[24];
	struct synq_slice words[3] = { synq_slice_text("SET"),
		synq_slice_text("synq:since"), { text, 0 } };
	int done = 0;

	words[2].bytes =
	    (size_t)snprintf(text, sizeof(text), "%lld", (long long)since_at);
	assert_int_equal(
	    synq_redis_command(live, words, 3, on_reply, &done), 0);
	wait_for(&done);
}

void
settle_down(void)
{
	int64_t waited = 0;

	while (synq_pg_pending(fix->app) > 0 && waited++ < 200)
		synq_loop_turn(fix->loop, 10);
	set_since(request.now_at);
}

int
claims_begin(void **state)
{
	(void)set_up_test(state);
	request = (struct synq_claim_request){ .redis = live,
		.pg = fix->app,
		.organization_id = synq_uuid_new(synq_clock_wall_us()),
		.method = synq_slice_text("POST"),
		.route = synq_slice_text("/v1/jobs"),
		.key = synq_slice_text("other"),
		.now_at = synq_clock_wall_us() };
	set_since(request.now_at);
	/* Whatever the test before has missed, this one has not. */
	(void)claim("x");
	request.key = synq_slice_text("key-1");
	set_since(request.now_at);
	ask("TRUNCATE operations.idempotency");
	return 0;
}

static int
connect_redis(const char *address, struct synq_redis **ret)
{
	char host[64];
	const struct synq_redis_config config = { .host = host,
		.port = (uint16_t)strtoul(
		    address + strcspn(address, ":") + 1, NULL, 10),
		.password = getenv("SYNQ_TEST_REDIS_PASSWORD"),
		.limit_ms = 1000,
		.max_queued = 1000 };

	(void)snprintf(
	    host, sizeof(host), "%.*s", (int)strcspn(address, ":"), address);
	return synq_redis_new(fix->loop, &config, ret, NULL);
}

static int
begin_all(void **state)
{
	const struct synq_pg_config nowhere = {
		.url = "host=127.0.0.1 port=1 user=nobody dbname=none",
		.connections = 1,
		.max_queued = 100,
		.limit_ms = 200,
	};
	uint64_t end_us;

	if (set_up(state) != 0 || connect_redis(redis_address, &live) != 0 ||
	    connect_redis("127.0.0.1:1", &dead) != 0 ||
	    synq_pg_new(fix->loop, &nowhere, &dead_pg, NULL) != 0)
		return -1;
	end_us = synq_clock_mono_us() + LIMIT_MS * UINT64_C(1000);
	while (!synq_redis_healthy(live) && synq_clock_mono_us() < end_us)
		synq_loop_turn(fix->loop, 20);
	return synq_redis_healthy(live) ? 0 : -1;
}

static int
end_all(void **state)
{
	synq_redis_free(&live);
	synq_redis_free(&dead);
	synq_pg_free(&dead_pg);
	return tear_down(state);
}

int
claims_run(const struct CMUnitTest *tests, size_t count)
{
	redis_address = getenv("SYNQ_TEST_REDIS");
	if (redis_address == NULL || strchr(redis_address, ':') == NULL) {
		(void)fputs("SYNQ_TEST_REDIS is not set\n", stderr);
		return SKIPPED;
	}
	if (find_server() != 0)
		return SKIPPED;
	return _cmocka_run_group_tests(
	    "tests", tests, count, begin_all, end_all);
}
