/*
 * Idempotency-Key (decisions 18): the same key never makes two jobs.
 */

#include <stdio.h>
#include <string.h>

#include "proto/request.h"
#include "proto/signal.h"
#include "world.h"

#define INVALID "invalid_request_error"
#define SECOND 1000000ULL
#define CHAT "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}"
#define JOB                                                                    \
	"{\"endpoint\":\"/v1/chat/completions\",\"body\":" CHAT                \
	",\"metadata\":{\"a\":\"b\"}}"

static const char *const keyed[] = { "idempotency-key: k1", NULL };

static struct synq_exchange *
chat(struct world *world)
{
	return world_send(world, "POST", "/v1/chat/completions", keyed, CHAT);
}

static struct synq_exchange *
submit(struct world *world)
{
	return world_send(world, "POST", "/v1/jobs", keyed, JOB);
}

static void
reply(struct world *world, const struct synq_uuid *job)
{
	const struct synq_reply message = {
		.job_id = *job,
		.state = SYNQ_JOB_SUCCEEDED,
		.answer_status = 200,
		.has_body = 1,
		.body = synq_slice_text("{}"),
		.attempts = 1,
	};

	world_reply(world, &message);
}

static void
test_key_is_claimed_before_anything_is_written(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);
	struct synq_request request;

	assert_int_equal(1, world->claims);
	assert_int_equal(0, world->record_count);
	assert_true(synq_slice_is(world->claim.key, "k1"));
	assert_true(synq_slice_is(world->claim.method, "POST"));
	assert_true(synq_slice_is(world->claim.route, "/v1/jobs"));
	assert_true(synq_slice_is(world->claim.body, JOB));
	assert_true(synq_uuid_equal(
	    &world->organization_id, &world->claim.organization_id));

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	assert_int_equal(1, world->record_count);
	assert_int_equal(
	    0, synq_request_decode(
		   synq_buf_view(&world->records[0].value), &request));
	assert_true(synq_uuid_equal(&world->claim.job_id, &request.job_id));
	assert_int_equal(-1, world->settled);
	world_ack(world, 0, 0);
	assert_int_equal(0, world_status(exchange)); /* not its own yet */
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_DONE);
	assert_int_equal(1, world->settled);
	assert_int_equal(202, world_status(exchange));
}

static void
test_key_names_the_job_that_it_made(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_SAME, &first, 1);

	assert_int_equal(202, world_status(exchange));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &first),
	    world_text(exchange, "id"));
	assert_non_null(strstr(
	    world_header(exchange, "location"), world_text(exchange, "id")));
	assert_int_equal(0, world->record_count);
	assert_int_equal(-1, world->settled);
}

/* What this request says of itself is not what the first one made. */
static void
test_key_tells_nothing_about_the_first_job_that_is_not_known(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_SAME, &first, 1);

	assert_null(strstr(world_body(exchange), "deadline_at"));
	assert_null(strstr(world_body(exchange), "request_id"));
}

static void
test_key_waits_for_the_answer_to_the_first_call(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = chat(world);

	world_claim(world, SYNQ_CLAIM_SAME, &first, 1);
	assert_int_equal(0, world_status(exchange));
	reply(world, &first);

	assert_int_equal(200, world_status(exchange));
	assert_int_equal(0, world->record_count);
}

static void
test_key_refuses_another_body(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_OTHER, NULL, 0);

	world_expect_error(
	    exchange, 422, INVALID, "idempotency_key_reused", NULL);
	assert_string_equal("false", world_header(exchange, "x-should-retry"));
	assert_int_equal(0, world->record_count);
}

/* The SDKs repeat a 409, which is wanted here. */
static void
test_key_answers_409_while_the_first_is_being_accepted(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_SAME, &first, 0);
	world_pass(world, 60000); /* it looks once more */
	world_claim(world, SYNQ_CLAIM_SAME, &first, 0);

	world_expect_error(
	    exchange, 409, INVALID, "idempotency_key_in_use", NULL);
	assert_string_equal("1", world_header(exchange, "retry-after"));
	assert_null(world_header(exchange, "x-should-retry"));
	assert_int_equal(0, world->record_count);
}

static void
test_key_answers_503_when_nobody_can_say(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_UNKNOWN, NULL, 0);

	world_expect_error(
	    exchange, 503, "server_error", "server_is_overloaded", NULL);
	assert_int_equal(0, world->record_count);
}

static void
test_key_is_given_up_when_nothing_was_accepted(void **state)
{
	struct world *world = *state;

	(void)submit(world);
	world->log_rc = -SYNQ_E_BUSY;
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	assert_int_equal(0, world->settled);

	world->log_rc = 0;
	world->settled = -1;
	(void)submit(world);
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, -SYNQ_E_UNAVAILABLE);
	assert_int_equal(0, world->settled);
}

static void
test_key_is_given_up_when_the_client_left_before(void **state)
{
	struct world *world = *state;

	world_leave(chat(world));
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);

	assert_int_equal(0, world->settled);
	assert_int_equal(0, world->record_count);
	assert_int_equal(0, world->intake.calls);
}

/* The word that the first was accepted may come a moment after its 202. */
static void
test_key_looks_once_more_before_it_refuses(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_SAME, &first, 0);
	world_pass(world, 60000);
	world_claim(world, SYNQ_CLAIM_SAME, &first, 1);

	assert_int_equal(202, world_status(exchange));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &first),
	    world_text(exchange, "id"));
}

/* An answer made before the claim was its own is given only after that. */
static void
test_key_answers_no_result_before_it_is_accepted(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world);
	struct synq_uuid job = world->claim.job_id;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	reply(world, &job);
	world_pass(world, 100000);
	assert_int_equal(0, world_status(exchange));
	world_ack(world, 0, -SYNQ_E_UNCERTAIN); /* the result knows better */
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_DONE);
	world_pass(world, 100000);

	assert_int_equal(200, world_status(exchange));
	assert_int_equal(1, world->record_count);
}

/* A job that is made from an old id would pass for expired. */
static void
test_key_that_was_held_up_makes_nothing(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);

	world_pass(world, 11 * SECOND);
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);

	assert_int_equal(503, world_status(exchange));
	assert_int_equal(0, world->settled);
	assert_int_equal(0, world->record_count);
}

/* Who sends a key means to come back: a repeat must find the answer. */
static void
test_key_keeps_a_call_whose_caller_leaves(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world);
	struct synq_uuid job = world->claim.job_id;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_DONE);
	world_leave(exchange);
	assert_int_equal(1, world->record_count); /* no cancel */

	exchange = chat(world);
	world_claim(world, SYNQ_CLAIM_SAME, &job, 1);
	reply(world, &job);
	assert_int_equal(200, world_status(exchange));
}

/* The first one may still wait. */
static void
test_key_cancels_nothing_when_a_repeat_leaves(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = chat(world);

	world_claim(world, SYNQ_CLAIM_SAME, &first, 1);
	world_leave(exchange);

	assert_int_equal(0, world->record_count);
}

static void
test_key_is_the_same_with_and_without_quotes(void **state)
{
	static const char *const quoted[] = { "idempotency-key: \"k1\"", NULL };
	struct world *world = *state;

	(void)world_send(world, "POST", "/v1/chat/completions", quoted, CHAT);
	assert_true(synq_slice_is(world->claim.key, "k1"));
}

static void
test_key_has_1_to_255_characters(void **state)
{
	struct world *world = *state;
	char line[400] = "idempotency-key: ";
	const char *headers[2] = { "idempotency-key: \"\"", NULL };

	world_expect_error(
	    world_send(world, "POST", "/v1/chat/completions", headers, CHAT),
	    400, INVALID, "invalid_value", "Idempotency-Key");
	headers[0] = "idempotency-key: ";
	world_expect_error(world_send(world, "POST", "/v1/jobs", headers, JOB),
	    400, INVALID, "invalid_value", "Idempotency-Key");
	memset(line + 17, 'k', 256);
	headers[0] = line;
	world_expect_error(world_send(world, "POST", "/v1/jobs", headers, JOB),
	    400, INVALID, "invalid_value", "Idempotency-Key");
	line[17 + 255] = '\0';
	(void)world_send(world, "POST", "/v1/jobs", headers, JOB);
	assert_int_equal(1, world->claims);
	assert_int_equal(255, world->claim.key.bytes);
}

/* A bad request claims nothing: it may be repaired under the same key. */
static void
test_key_is_not_used_up_by_a_request_that_is_wrong(void **state)
{
	struct world *world = *state;

	(void)world_send(world, "POST", "/v1/jobs", keyed, "{}");
	(void)world_send(world, "POST", "/v1/completions", keyed,
	    "{\"model\":\"none\",\"prompt\":\"\"}");
	assert_int_equal(0, world->claims);
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_key_is_claimed_before_anything_is_written),
		TEST(test_key_names_the_job_that_it_made),
		TEST(
		    test_key_tells_nothing_about_the_first_job_that_is_not_known),
		TEST(test_key_waits_for_the_answer_to_the_first_call),
		TEST(test_key_refuses_another_body),
		TEST(test_key_answers_409_while_the_first_is_being_accepted),
		TEST(test_key_answers_503_when_nobody_can_say),
		TEST(test_key_is_given_up_when_nothing_was_accepted),
		TEST(test_key_is_given_up_when_the_client_left_before),
		TEST(test_key_looks_once_more_before_it_refuses),
		TEST(test_key_answers_no_result_before_it_is_accepted),
		TEST(test_key_that_was_held_up_makes_nothing),
		TEST(test_key_keeps_a_call_whose_caller_leaves),
		TEST(test_key_cancels_nothing_when_a_repeat_leaves),
		TEST(test_key_is_the_same_with_and_without_quotes),
		TEST(test_key_has_1_to_255_characters),
		TEST(test_key_is_not_used_up_by_a_request_that_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
