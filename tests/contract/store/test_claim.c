/*
 * Idempotency keys on a real Redis and a real PostgreSQL, either of which is
 * taken away: a client for a port on which nobody listens.
 *
 * SYNQ_TEST_REDIS is host:port, SYNQ_TEST_REDIS_PASSWORD its password.
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
#include "fixture.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "redis/redis.h"
#include "store/keys.h"

#define DAY_US (24 * 3600 * INT64_C(1000000))
#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * INT64_C(1000000))

static const char *redis_address; /* SYNQ_TEST_REDIS */
static struct synq_redis *live;
static struct synq_redis *dead;
static struct synq_pg *dead_pg;
static struct synq_claim_request request;

struct claimed {
	int told;
	enum synq_claim claim;
	struct synq_uuid job_id;
	int accepted;
};

static void
on_claimed(void *ctx, enum synq_claim claim, const struct synq_uuid *job_id,
    int accepted)
{
	struct claimed *claimed = ctx;

	claimed->told++;
	claimed->claim = claim;
	claimed->job_id = *job_id;
	claimed->accepted = accepted;
}

/* Claim request's key for a new job, which becomes that of request. */
static struct claimed
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

/* Accept ${job_id} under request's key. */
static enum synq_settled
accept_claim(const struct synq_uuid *job_id)
{
	struct settled heard = { 0 };

	synq_store_accept_claim(&request, job_id, on_settled, &heard);
	assert_int_equal(heard.told, 0);
	wait_for(&heard.told);
	assert_int_equal(heard.told, 1);
	return heard.settled;
}

/* Drop ${job_id} from request's key. */
static enum synq_settled
drop_claim(const struct synq_uuid *job_id)
{
	struct settled heard = { 0 };

	synq_store_drop_claim(&request, job_id, on_settled, &heard);
	assert_int_equal(heard.told, 0);
	wait_for(&heard.told);
	assert_int_equal(heard.told, 1);
	return heard.settled;
}

/* Take request's key from ${from} for a new job, which becomes request's. */
static struct claimed
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

/* Let Redis have been there since ${since_at}. */
static void
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

/* All that was sent without waiting has arrived. */
static void
settle_down(void)
{
	int64_t waited = 0;

	while (synq_pg_pending(fix->app) > 0 && waited++ < 200)
		synq_loop_turn(fix->loop, 10);
	set_since(request.now_at);
}

/* A free key, a young Redis that lacks nothing. */
static int
begin(void **state)
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

static void
test_free_key_is_mine_in_both_stores(void **state)
{
	(void)state;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.idempotency"
		       " WHERE NOT accepted AND length(key_hash) = 32"
		       " AND length(body_hash) = 32"
		       " AND expires_at > now() + interval '23 hours'"),
	    1);
}

static void
test_same_body_finds_the_job(void **state)
{
	struct claimed claimed;
	struct synq_claim_request first;

	(void)state;
	(void)claim("body");
	first = request;
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_true(synq_uuid_equal(&claimed.job_id, &first.job_id));
	assert_int_equal(claimed.accepted, 0);

	assert_int_equal(accept_claim(&first.job_id), SYNQ_SETTLED_DONE);
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(claimed.accepted, 1);
	settle_down();
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.idempotency"
		       " WHERE accepted"),
	    1);
}

static void
test_other_body_is_told_apart(void **state)
{
	(void)state;
	(void)claim("body");
	assert_int_equal(claim("Body").claim, SYNQ_CLAIM_OTHER);
	assert_int_equal(claim("").claim, SYNQ_CLAIM_OTHER);
}

static void
test_claim_given_up_is_free_again(void **state)
{
	(void)state;
	(void)claim("body");
	synq_store_free_claim(&request);
	settle_down();
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.idempotency"), 0);
	assert_int_equal(claim("other").claim, SYNQ_CLAIM_MINE);
}

/* Whoever did not get the claim cannot take it from whoever did. */
static void
test_only_the_owner_settles(void **state)
{
	struct claimed claimed;

	(void)state;
	(void)claim("body");
	(void)claim("body");
	synq_store_free_claim(&request);
	assert_int_equal(drop_claim(&request.job_id), SYNQ_SETTLED_DONE);
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(accept_claim(&request.job_id), SYNQ_SETTLED_NOT);
	assert_int_equal(claim("body").accepted, 0);
}

static void
test_keys_of_others_are_other_keys(void **state)
{
	(void)state;
	(void)claim("body");
	request.organization_id = synq_uuid_new(request.now_at);
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	request.route = synq_slice_text("/v1/chat/completions");
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	request.key = synq_slice_text("key-2");
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	/* Not the same text in other places. */
	request.method = synq_slice_text("POS");
	request.route = synq_slice_text("T/v1/chat/completions");
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
}

/* The intake of the first request died: never free, but not for ever busy. */
static void
test_stuck_acceptance_becomes_stale(void **state)
{
	const int64_t began_at = request.now_at;
	struct synq_claim_request first;
	struct claimed claimed;

	(void)state;
	(void)claim("body");
	first = request;
	request.now_at = began_at + 19 * SECOND_US;
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(claimed.accepted, 0);

	request.now_at = began_at + 21 * SECOND_US;
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_STALE);
	assert_true(synq_uuid_equal(&claimed.job_id, &first.job_id));
	assert_int_equal(claim("other").claim, SYNQ_CLAIM_OTHER);

	assert_int_equal(accept_claim(&first.job_id), SYNQ_SETTLED_DONE);
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_SAME);
}

/*
 * Redis was away when the acceptance ended: it says "being accepted" until the
 * claim is stale, and the row knows better.
 */
static void
test_row_tells_what_redis_has_missed(void **state)
{
	struct claimed first;
	struct claimed again;

	(void)state;
	first = claim("a");
	assert_int_equal(first.claim, SYNQ_CLAIM_MINE);
	request.redis = dead;
	assert_int_equal(accept_claim(&request.job_id), SYNQ_SETTLED_DONE);
	request.redis = live;
	settle_down();

	again = claim("a");
	assert_int_equal(again.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(again.accepted, 1);
	assert_true(synq_uuid_equal(&again.job_id, &first.job_id));
	request.now_at += MINUTE_US;
	again = claim("a");
	assert_int_equal(again.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(again.accepted, 1);
}

/* Accepted is for good: a slow intake cannot take it back from a repeat. */
static void
test_accepted_claim_is_not_dropped(void **state)
{
	struct synq_uuid first;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_NOT);
	synq_store_free_claim(&request);
	settle_down();
	assert_int_equal(claim("body").accepted, 1);
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.idempotency"
		       " WHERE accepted"),
	    1);
}

static void
test_dropped_claim_is_not_accepted(void **state)
{
	struct synq_uuid first;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_DONE);
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_NOT);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.idempotency"), 0);
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_DONE);
	assert_int_equal(claim("other").claim, SYNQ_CLAIM_MINE);
}

static void
test_taken_claim_is_no_longer_the_first_ones(void **state)
{
	struct synq_uuid first;
	struct synq_uuid second;
	struct claimed claimed;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	assert_int_equal(take(&first).claim, SYNQ_CLAIM_MINE);
	second = request.job_id;
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_NOT);
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_DONE);
	assert_int_equal(accept_claim(&second), SYNQ_SETTLED_DONE);
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(claimed.accepted, 1);
	assert_true(synq_uuid_equal(&claimed.job_id, &second));
}

/* Two repeats see the same stale claim: one of them gets it. */
static void
test_claim_is_taken_once(void **state)
{
	struct synq_uuid first;
	struct synq_uuid second;
	struct claimed claimed;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	assert_int_equal(take(&first).claim, SYNQ_CLAIM_MINE);
	second = request.job_id;
	claimed = take(&first);
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_true(synq_uuid_equal(&claimed.job_id, &second));
	assert_int_equal(claimed.accepted, 0);
}

static void
test_accepted_claim_is_not_taken(void **state)
{
	struct synq_uuid first;
	struct claimed claimed;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	claimed = take(&first);
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(claimed.accepted, 1);
	assert_true(synq_uuid_equal(&claimed.job_id, &first));
}

/* What the first gave up meanwhile is free. */
static void
test_free_claim_is_taken(void **state)
{
	struct synq_uuid first;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_DONE);
	assert_int_equal(take(&first).claim, SYNQ_CLAIM_MINE);
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_SAME);
}

/* One store is enough to accept, none is enough for anything else. */
static void
test_store_that_is_away_drops_and_takes_nothing(void **state)
{
	struct synq_uuid first;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	request.pg = dead_pg;
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_UNKNOWN);
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	request.pg = fix->app;
	request.redis = dead;
	assert_int_equal(take(&first).claim, SYNQ_CLAIM_UNKNOWN);
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_NOT);
	request.pg = dead_pg;
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_UNKNOWN);
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_UNKNOWN);
}

/* PostgreSQL let it go, Redis did not say: it may still be accepted there. */
static void
test_drop_without_redis_is_not_sure(void **state)
{
	struct synq_uuid first;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	request.redis = dead;
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_UNKNOWN);
	request.redis = live;
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_NOT);
}

/*
 * Accepted in PostgreSQL alone, because Redis was away, and being taken over
 * in Redis: the take fails and whoever asks is told of the accepted one.
 */
static void
test_take_that_redis_allows_yields_to_the_row(void **state)
{
	struct synq_uuid first;
	struct claimed claimed;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	request.redis = dead;
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	request.redis = live;
	claimed = take(&first);
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(claimed.accepted, 1);
	assert_true(synq_uuid_equal(&claimed.job_id, &first));
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(claimed.accepted, 1);
	assert_true(synq_uuid_equal(&claimed.job_id, &first));
}

/* A take that got only as far as Redis does not block the key for a day. */
static void
test_take_that_was_cut_short_is_taken_again(void **state)
{
	const int64_t began_at = request.now_at;
	struct synq_uuid first;
	struct synq_uuid second;
	struct claimed claimed;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	request.now_at = began_at + 21 * SECOND_US;
	request.pg = dead_pg;
	assert_int_equal(take(&first).claim, SYNQ_CLAIM_UNKNOWN);
	second = request.job_id;
	request.pg = fix->app;

	request.now_at = began_at + 50 * SECOND_US;
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_STALE);
	assert_true(synq_uuid_equal(&claimed.job_id, &second));
	claimed = take(&second);
	assert_int_equal(claimed.claim, SYNQ_CLAIM_STALE);
	assert_true(synq_uuid_equal(&claimed.job_id, &first));
	claimed.told = 0;
	synq_store_take_claim(&request, &first, on_claimed, &claimed);
	wait_for(&claimed.told);
	assert_int_equal(claimed.claim, SYNQ_CLAIM_MINE);
	assert_int_equal(accept_claim(&request.job_id), SYNQ_SETTLED_DONE);
}

static void
test_old_redis_decides_alone_and_the_row_follows(void **state)
{
	(void)state;
	set_since(request.now_at - DAY_US);
	request.pg = dead_pg;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_SAME);
	request.pg = fix->app;
	request.key = synq_slice_text("key-2");
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	settle_down();
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.idempotency"), 1);
}

static void
test_young_redis_alone_cannot_say(void **state)
{
	(void)state;
	set_since(request.now_at - DAY_US + MINUTE_US);
	request.pg = dead_pg;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_UNKNOWN);
	/* And it was taken back: the key is free for a repeat. */
	request.pg = fix->app;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
}

/* Redis lost its data: the row is what is left. */
static void
test_young_redis_yields_to_the_row(void **state)
{
	const char *first = "body";
	struct synq_claim_request before;
	struct claimed claimed;

	(void)state;
	request.redis = dead;
	(void)claim(first);
	before = request;
	request.redis = live;
	claimed = claim(first);
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_true(synq_uuid_equal(&claimed.job_id, &before.job_id));
	assert_int_equal(claim("other").claim, SYNQ_CLAIM_OTHER);
}

static void
test_row_decides_while_redis_is_away(void **state)
{
	(void)state;
	request.redis = dead;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_SAME);
	assert_int_equal(claim("other").claim, SYNQ_CLAIM_OTHER);
	request.now_at += DAY_US;
	assert_int_equal(claim("other").claim, SYNQ_CLAIM_MINE);
}

/*
 * However long this Redis has been there: it lacks what was claimed while it
 * was away.
 */
static void
test_redis_that_missed_a_claim_is_young(void **state)
{
	(void)state;
	set_since(request.now_at - 7 * DAY_US);
	request.redis = dead;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	request.redis = live;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_SAME);
	/* For the others too. */
	request.key = synq_slice_text("key-2");
	request.pg = dead_pg;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_UNKNOWN);
}

static void
test_without_both_nobody_can_say(void **state)
{
	(void)state;
	request.redis = dead;
	request.pg = dead_pg;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_UNKNOWN);
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

#define TEST(name) cmocka_unit_test_setup(name, begin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_free_key_is_mine_in_both_stores),
		TEST(test_same_body_finds_the_job),
		TEST(test_other_body_is_told_apart),
		TEST(test_claim_given_up_is_free_again),
		TEST(test_only_the_owner_settles),
		TEST(test_keys_of_others_are_other_keys),
		TEST(test_stuck_acceptance_becomes_stale),
		TEST(test_row_tells_what_redis_has_missed),
		TEST(test_accepted_claim_is_not_dropped),
		TEST(test_dropped_claim_is_not_accepted),
		TEST(test_taken_claim_is_no_longer_the_first_ones),
		TEST(test_claim_is_taken_once),
		TEST(test_accepted_claim_is_not_taken),
		TEST(test_free_claim_is_taken),
		TEST(test_store_that_is_away_drops_and_takes_nothing),
		TEST(test_drop_without_redis_is_not_sure),
		TEST(test_take_that_redis_allows_yields_to_the_row),
		TEST(test_take_that_was_cut_short_is_taken_again),
		TEST(test_old_redis_decides_alone_and_the_row_follows),
		TEST(test_young_redis_alone_cannot_say),
		TEST(test_young_redis_yields_to_the_row),
		TEST(test_row_decides_while_redis_is_away),
		TEST(test_redis_that_missed_a_claim_is_young),
		TEST(test_without_both_nobody_can_say),
	};

	redis_address = getenv("SYNQ_TEST_REDIS");
	if (redis_address == NULL || strchr(redis_address, ':') == NULL) {
		(void)fputs("SYNQ_TEST_REDIS is not set\n", stderr);
		return SKIPPED;
	}
	if (find_server() != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, begin_all, end_all);
}
