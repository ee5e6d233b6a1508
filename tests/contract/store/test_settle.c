/*
 * How a claim ends and changes hands: what succeeds excludes the rest, whatever
 * store is away.
 */

#include "base/attr.h"
#include "claims.h"
#include "fixture.h"

/* Accepted is for good: a slow intake cannot take it back from a repeat. */
static void
test_accepted_claim_is_not_dropped(void **state)
{
	struct synq_uuid first;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	settle_down();
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

/* PostgreSQL missed it: Redis is enough to stop a repeat. */
static void
test_claim_accepted_in_redis_alone_is_not_taken(void **state)
{
	struct synq_uuid first;
	struct claimed claimed;

	(void)state;
	(void)claim("body");
	first = request.job_id;
	request.pg = dead_pg;
	assert_int_equal(accept_claim(&first), SYNQ_SETTLED_DONE);
	request.pg = fix->app;
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.idempotency"
		       " WHERE accepted"),
	    0);
	claimed = take(&first);
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_int_equal(claimed.accepted, 1);
	assert_true(synq_uuid_equal(&claimed.job_id, &first));
	assert_int_equal(drop_claim(&first), SYNQ_SETTLED_NOT);
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

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, claims_begin)
	const struct CMUnitTest tests[] = {
		TEST(test_accepted_claim_is_not_dropped),
		TEST(test_dropped_claim_is_not_accepted),
		TEST(test_taken_claim_is_no_longer_the_first_ones),
		TEST(test_claim_is_taken_once),
		TEST(test_accepted_claim_is_not_taken),
		TEST(test_claim_accepted_in_redis_alone_is_not_taken),
		TEST(test_free_claim_is_taken),
		TEST(test_store_that_is_away_drops_and_takes_nothing),
		TEST(test_drop_without_redis_is_not_sure),
		TEST(test_take_that_redis_allows_yields_to_the_row),
		TEST(test_take_that_was_cut_short_is_taken_again),
	};

	return claims_run(tests, SYNQ_COUNT(tests));
}
