/*
 * Two intakes at the same Idempotency-Key, one of them slow or dead: a job that
 * was answered is never withdrawn, and no key runs two.  The table of what may
 * happen is at the head of keyed.c.
 */

#include "proto/request.h"
#include "proto/signal.h"
#include "world.h"

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

static struct synq_uuid
request_of(const struct world *world, size_t index)
{
	struct synq_request request;

	assert_true(index < world->record_count);
	assert_int_equal(
	    0, synq_request_decode(
		   synq_buf_view(&world->records[index].value), &request));
	return request.job_id;
}

/* Record ${index} withdraws ${job}. */
static void
expect_withdrawn(
    const struct world *world, size_t index, const struct synq_uuid *job)
{
	struct synq_cancel cancel;

	assert_true(index < world->record_count);
	assert_string_equal("synq.cancels", world->records[index].topic);
	assert_int_equal(
	    0, synq_cancel_decode(
		   synq_buf_view(&world->records[index].value), &cancel));
	assert_true(synq_uuid_equal(job, &cancel.job_id));
	assert_int_equal(SYNQ_CANCEL_UNSURE, cancel.reason);
}

static void
expect_accepted(const struct world *world, const struct synq_exchange *exchange,
    const struct synq_uuid *job)
{
	assert_int_equal(202, world_status(exchange));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, job),
	    world_text(exchange, "id"));
}

/*
 * The claim may be of an intake that is only slow: the job is made under an id
 * of its own, and the one that may come late is withdrawn.
 */
static void
test_stale_key_makes_a_job_of_its_own(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = submit(world);
	struct synq_uuid second = world->claim.job_id;

	world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
	world_answer(world, 0, NULL, 0, INT64_MAX);
	assert_int_equal(1, world->takes);
	assert_int_equal(0, world->record_count);
	assert_true(synq_uuid_equal(&first, &world->taken_from));
	assert_true(synq_uuid_equal(&second, &world->claim.job_id));

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	assert_int_equal(2, world->record_count);
	expect_withdrawn(world, 0, &first);
	first = request_of(world, 1);
	assert_true(synq_uuid_equal(&second, &first));
	world_ack(world, 1, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_DONE);
	expect_accepted(world, exchange, &second);
}

/* Its rows are young enough to lack a job that is there. */
static void
test_stale_key_is_not_taken_before_the_rows_are_ahead(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
	world_answer(
	    world, 0, NULL, 0, synq_uuid_time_us(&first) + 15 * 1000000);

	assert_int_equal(503, world_status(exchange));
	assert_int_equal(0, world->takes);
}

/* Another repeat took it, or only one store was there to say. */
static void
test_stale_key_that_is_not_got_makes_nothing(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_uuid third = world_id(3);
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
	world_answer(world, 0, NULL, 0, INT64_MAX);
	world_claim(world, SYNQ_CLAIM_SAME, &third, 1);
	expect_accepted(world, exchange, &third);

	exchange = submit(world);
	world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
	world_answer(world, 1, NULL, 0, INT64_MAX);
	world_claim(world, SYNQ_CLAIM_UNKNOWN, NULL, 0);
	assert_int_equal(503, world_status(exchange));
	assert_int_equal(0, world->record_count);
}

/* It died after its produce: the job is there, and is not made again. */
static void
test_stale_key_answers_the_job_that_is_there(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	const struct synq_job_row row = { .id = first,
		.state = SYNQ_JOB_RUNNING };
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
	world_answer(world, 0, &row, 1, INT64_MAX);
	assert_int_equal(0, world_status(exchange));
	assert_true(synq_uuid_equal(&first, &world->settle_id));
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_DONE);

	expect_accepted(world, exchange, &first);
	assert_int_equal(0, world->record_count);
}

/* The slow intake was faster to give it up: that job is withdrawn. */
static void
test_stale_key_never_answers_a_job_that_was_given_up(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	const struct synq_job_row row = { .id = first,
		.state = SYNQ_JOB_RUNNING };
	struct synq_exchange *exchange = submit(world);
	struct synq_uuid second;

	world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
	world_answer(world, 0, &row, 1, INT64_MAX);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_NOT);
	assert_int_equal(2, world->claims);
	second = world->claim.job_id;
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_DONE);
	expect_accepted(world, exchange, &second);

	exchange = submit(world);
	world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
	world_answer(world, 1, &row, 1, INT64_MAX);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_UNKNOWN);
	assert_int_equal(503, world_status(exchange));
}

/* Where the rows cannot tell, nothing may be promised and nothing made. */
static void
test_stale_key_waits_for_the_rows(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
	world_answer_error(world, 0, -SYNQ_E_UNAVAILABLE);

	assert_int_equal(503, world_status(exchange));
	assert_int_equal(0, world->record_count);
}

/* What went stale may go stale again: it asks no more than a few times. */
static void
test_stale_key_is_not_chased_for_ever(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(1);
	struct synq_exchange *exchange = submit(world);
	size_t i;

	for (i = 0; i < 10 && world_status(exchange) == 0; i++) {
		world_claim(world, SYNQ_CLAIM_STALE, &first, 0);
		if (world_status(exchange) == 0)
			world_answer(world, i, NULL, 0, INT64_MAX);
	}
	assert_int_equal(503, world_status(exchange));
	assert_in_range(i, 2, 5);
	assert_int_equal(0, world->record_count);
}

/* A repeat took its claim over: its own job is one too many. */
static void
test_taken_key_answers_the_job_that_took_it(void **state)
{
	struct world *world = *state;
	struct synq_uuid other = world_id(9);
	struct synq_exchange *exchange = submit(world);
	struct synq_uuid first = world->claim.job_id;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_NOT);

	assert_int_equal(0, world_status(exchange));
	expect_withdrawn(world, 1, &first);
	assert_int_equal(2, world->claims);
	assert_false(synq_uuid_equal(&first, &world->claim.job_id));
	world_claim(world, SYNQ_CLAIM_SAME, &other, 1);
	expect_accepted(world, exchange, &other);
}

/* It has not ended: no promise yet. */
static void
test_taken_key_answers_409_while_the_other_is_accepted(void **state)
{
	struct world *world = *state;
	struct synq_uuid other = world_id(9);
	struct synq_exchange *exchange = submit(world);

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_NOT);
	world_claim(world, SYNQ_CLAIM_SAME, &other, 0);
	world_pass(world, 60000);
	world_claim(world, SYNQ_CLAIM_SAME, &other, 0);

	assert_int_equal(409, world_status(exchange));
}

/* The one that took it gave it up again. */
static void
test_taken_key_that_is_free_again_makes_a_new_job(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);
	struct synq_uuid first = world->claim.job_id;
	struct synq_uuid second;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_NOT);
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	expect_withdrawn(world, 1, &first);
	second = request_of(world, 2);
	assert_false(synq_uuid_equal(&first, &second));
	world_ack(world, 2, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_DONE);

	expect_accepted(world, exchange, &second);
}

/* Its client has left: nobody to answer, but the job is one too many. */
static void
test_taken_key_of_a_client_that_left_is_withdrawn(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world);
	struct synq_uuid first = world->claim.job_id;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_leave(exchange);
	world_ack(world, 0, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_NOT);

	expect_withdrawn(world, 1, &first);
	assert_int_equal(1, world->claims);
}

/* A job is withdrawn only when nobody can be answered it any more. */
static void
test_unsure_key_is_dropped_before_its_job_is_withdrawn(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);
	struct synq_uuid first = world->claim.job_id;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, -SYNQ_E_UNCERTAIN);
	assert_int_equal(1, world->record_count);
	assert_true(synq_uuid_equal(&first, &world->settle_id));
	world_settle(world, WORLD_DROPS, SYNQ_SETTLED_DONE);

	assert_int_equal(503, world_status(exchange));
	expect_withdrawn(world, 1, &first);
}

/* A repeat found the job in the rows and was answered it. */
static void
test_unsure_key_that_was_promised_is_not_withdrawn(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);
	struct synq_uuid first = world->claim.job_id;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, -SYNQ_E_UNCERTAIN);
	world_settle(world, WORLD_DROPS, SYNQ_SETTLED_NOT);

	expect_accepted(world, exchange, &first);
	assert_int_equal(1, world->record_count);
}

/* A store is away: 503, and the job is withdrawn when it is back. */
static void
test_unsure_key_is_dropped_when_the_stores_are_back(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);
	struct synq_uuid first = world->claim.job_id;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, 0);
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_UNKNOWN);
	world_settle(world, WORLD_DROPS, SYNQ_SETTLED_UNKNOWN);
	assert_int_equal(503, world_status(exchange));
	assert_int_equal(1, world->record_count);

	world_pass(world, 1000000);
	world_settle(world, WORLD_DROPS, SYNQ_SETTLED_UNKNOWN);
	assert_int_equal(1, world->record_count);
	world_pass(world, 1000000);
	world_settle(world, WORLD_DROPS, SYNQ_SETTLED_DONE);
	expect_withdrawn(world, 1, &first);
}

/* Meanwhile a repeat was answered it. */
static void
test_unsure_key_that_is_promised_meanwhile_is_kept(void **state)
{
	struct world *world = *state;

	(void)submit(world);
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, -SYNQ_E_UNCERTAIN);
	world_settle(world, WORLD_DROPS, SYNQ_SETTLED_UNKNOWN);
	world_pass(world, 1000000);
	world_settle(world, WORLD_DROPS, SYNQ_SETTLED_NOT);

	world_pass(world, 10 * SECOND);
	assert_null(world->settle_fn);
	assert_int_equal(1, world->record_count);
}

/* What the key names stays; a repeat finds it. */
static void
test_unsure_key_is_kept_when_the_stores_stay_away(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world);
	size_t tries = 0;

	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, -SYNQ_E_UNCERTAIN);
	while (world->settle_fn != NULL && tries++ < 100) {
		world_settle(world, WORLD_DROPS, SYNQ_SETTLED_UNKNOWN);
		world_pass(world, 1000000);
	}

	assert_in_range(tries, 10, 60);
	assert_int_equal(503, world_status(exchange));
	assert_int_equal(1, world->record_count);
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_stale_key_makes_a_job_of_its_own),
		TEST(test_stale_key_is_not_taken_before_the_rows_are_ahead),
		TEST(test_stale_key_that_is_not_got_makes_nothing),
		TEST(test_stale_key_answers_the_job_that_is_there),
		TEST(test_stale_key_never_answers_a_job_that_was_given_up),
		TEST(test_stale_key_waits_for_the_rows),
		TEST(test_stale_key_is_not_chased_for_ever),
		TEST(test_taken_key_answers_the_job_that_took_it),
		TEST(test_taken_key_answers_409_while_the_other_is_accepted),
		TEST(test_taken_key_that_is_free_again_makes_a_new_job),
		TEST(test_taken_key_of_a_client_that_left_is_withdrawn),
		TEST(test_unsure_key_is_dropped_before_its_job_is_withdrawn),
		TEST(test_unsure_key_that_was_promised_is_not_withdrawn),
		TEST(test_unsure_key_is_dropped_when_the_stores_are_back),
		TEST(test_unsure_key_that_is_promised_meanwhile_is_kept),
		TEST(test_unsure_key_is_kept_when_the_stores_stay_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
