/*
 * A log that is away: requests are refused as soon as that is known, and taken
 * again as soon as it is over.
 */

#include <string.h>

#include "producer/withdraw.h"
#include "world.h"

#define SECOND 1000000ULL

static struct synq_exchange *
submit(struct world *world)
{
	return world_send(world, "POST", "/v1/jobs", NULL,
	    "{\"endpoint\":\"/v1/completions\","
	    "\"body\":{\"model\":\"m\",\"prompt\":\"\"}}");
}

/* Refused at once, and nothing was handed over. */
static void
assert_refused(struct world *world)
{
	const size_t records = world->record_count;
	struct synq_exchange *exchange = submit(world);

	world_expect_error(
	    exchange, 503, "server_error", "server_is_overloaded", NULL);
	assert_string_equal("1", world_header(exchange, "retry-after"));
	assert_int_equal(records, world->record_count);
}

static void
test_log_that_is_away_takes_nothing(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->log_away = 1;
	assert_refused(world);
	world->log_away = 0;
	exchange = submit(world);
	world_ack(world, 0, 0);
	assert_int_equal(202, world_status(exchange));
}

/* One that is silent on an open connection shows by what it owes. */
static void
test_log_that_is_silent_takes_nothing_after_two_seconds(void **state)
{
	struct world *world = *state;
	struct synq_exchange *first = submit(world);
	struct synq_exchange *second;

	world_pass(world, 2 * SECOND);
	second = submit(world);
	assert_int_equal(0, world_status(second));
	world_pass(world, 1);
	assert_refused(world);

	world_ack(world, 0, 0);
	assert_int_equal(202, world_status(first));
	world_ack(world, 1, 0);
	submit(world);
	world_ack(world, 2, 0);
	assert_int_equal(3, world->record_count);
}

/* A busy log is not silent: each acknowledgement counts. */
static void
test_log_that_answers_slowly_is_not_silent(void **state)
{
	struct world *world = *state;
	size_t i;

	for (i = 0; i < 10; i++) {
		(void)submit(world);
		world_pass(world, SECOND);
		if (i > 0)
			world_ack(world, i - 1, 0);
	}
	assert_int_equal(10, world->record_count);
	world_ack(world, 9, 0);
}

/* What it may have is withdrawn until it answers, and that is the end of it. */
static void
test_log_stays_silent_until_a_cancel_is_acknowledged(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);

	world_pass(world, 10 * SECOND);
	assert_refused(world);
	world_ack(world, 0, -SYNQ_E_UNCERTAIN);
	assert_int_equal(503, world_status(exchange));
	assert_refused(world);
	world_pass(world, 10 * SECOND);
	world_ack(world, 1, -SYNQ_E_UNCERTAIN);
	assert_refused(world); /* before the next try */
	world_pass(world, SECOND);
	assert_int_equal(3, world->record_count);
	assert_refused(world);

	world_ack(world, 2, 0);
	assert_int_equal(0, withdrawals_count(world->intake.withdrawals));
	exchange = submit(world);
	world_ack(world, 3, 0);
	assert_int_equal(202, world_status(exchange));
}

/* Nothing was sent, so nothing is withdrawn: the producer is to be believed. */
static void
test_log_is_tried_again_when_nothing_was_sent(void **state)
{
	struct world *world = *state;

	(void)submit(world);
	world_pass(world, 3 * SECOND);
	assert_refused(world);
	world_ack(world, 0, -SYNQ_E_UNAVAILABLE);
	(void)submit(world);
	assert_int_equal(2, world->record_count);
	world_ack(world, 1, 0);
}

/* A claim that led to nothing is free again. */
static void
test_log_that_is_away_leaves_no_claim(void **state)
{
	static const char *const headers[] = { "idempotency-key: k", NULL };
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->log_away = 1;
	exchange = world_send(world, "POST", "/v1/jobs", headers,
	    "{\"endpoint\":\"/v1/completions\","
	    "\"body\":{\"model\":\"m\",\"prompt\":\"\"}}");
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);

	assert_int_equal(503, world_status(exchange));
	assert_int_equal(0, world->settled);
}

/* Who asks for a cancel can ask again, and is not kept waiting. */
static void
test_log_that_is_away_refuses_a_cancel_at_once(void **state)
{
	struct world *world = *state;
	const struct synq_cancel cancel = {
		.job_id = world_id(1),
		.organization_id = world->organization_id,
		.reason = SYNQ_CANCEL_ASKED,
		.asked_at = WORLD_BEGIN_AT,
	};

	world->log_away = 1;
	withdraw_send(world->intake.withdrawals, &cancel, NULL, NULL);
	world_pass(world, 1);
	assert_int_equal(0, withdrawals_count(world->intake.withdrawals));
	assert_int_equal(0, world->record_count);
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_log_that_is_away_takes_nothing),
		TEST(test_log_that_is_silent_takes_nothing_after_two_seconds),
		TEST(test_log_that_answers_slowly_is_not_silent),
		TEST(test_log_stays_silent_until_a_cancel_is_acknowledged),
		TEST(test_log_is_tried_again_when_nothing_was_sent),
		TEST(test_log_that_is_away_leaves_no_claim),
		TEST(test_log_that_is_away_refuses_a_cancel_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
