/*
 * Who gets an idempotency key.
 */

#include "base/attr.h"
#include "claims.h"
#include "fixture.h"

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

static void
test_old_redis_decides_alone_when_postgresql_cannot(void **state)
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

/*
 * Redis was away from another intake only, which has not come back to it:
 * nobody has told it that it lacks a claim.
 */
static void
test_old_redis_yields_to_the_row_of_another_intake(void **state)
{
	struct synq_uuid first;
	struct claimed claimed;

	(void)state;
	request.redis = dead;
	assert_int_equal(claim("body").claim, SYNQ_CLAIM_MINE);
	first = request.job_id;
	/* Here the other intake is this process, which must forget it. */
	request.redis = live;
	request.key = synq_slice_text("key-2");
	(void)claim("body");
	set_since(request.now_at - 7 * DAY_US);

	request.key = synq_slice_text("key-1");
	claimed = claim("body");
	assert_int_equal(claimed.claim, SYNQ_CLAIM_SAME);
	assert_true(synq_uuid_equal(&claimed.job_id, &first));
	/* And Redis does not keep a claim for a job that is never made. */
	request.pg = dead_pg;
	assert_int_equal(claim("other").claim, SYNQ_CLAIM_MINE);
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

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, claims_begin)
	const struct CMUnitTest tests[] = {
		TEST(test_free_key_is_mine_in_both_stores),
		TEST(test_same_body_finds_the_job),
		TEST(test_other_body_is_told_apart),
		TEST(test_claim_given_up_is_free_again),
		TEST(test_only_the_owner_settles),
		TEST(test_keys_of_others_are_other_keys),
		TEST(test_stuck_acceptance_becomes_stale),
		TEST(test_row_tells_what_redis_has_missed),
		TEST(test_old_redis_decides_alone_when_postgresql_cannot),
		TEST(test_young_redis_alone_cannot_say),
		TEST(test_young_redis_yields_to_the_row),
		TEST(test_old_redis_yields_to_the_row_of_another_intake),
		TEST(test_row_decides_while_redis_is_away),
		TEST(test_redis_that_missed_a_claim_is_young),
		TEST(test_without_both_nobody_can_say),
	};

	return claims_run(tests, SYNQ_COUNT(tests));
}
