/*
 * Waiting for results: by a reply, by the row, or until the time is up.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "producer/wait.h"
#include "world.h"

#define MS 1000ULL
#define SECOND 1000000ULL

/* One who waits and notes what came. */
struct listener {
	struct waiter waiter;
	struct world *world;
	size_t calls;
	int timed_out;
	enum synq_job_state state;
	int32_t answer_status;
	char body[64];
	struct listener *stops; /* stopped as soon as this one is called */
};

static void
on_result(void *ctx, const struct wait_result *result)
{
	struct listener *listener = ctx;

	listener->calls++;
	listener->timed_out = result == NULL;
	if (listener->stops != NULL) {
		wait_stop(
		    listener->world->intake.waits, &listener->stops->waiter);
		/* Its owner frees it: a later look at it is a mistake. */
		memset(&listener->stops->waiter, 0xee,
		    sizeof(listener->stops->waiter));
	}
	if (result == NULL)
		return;
	listener->state = result->state;
	listener->answer_status = result->answer_status;
	(void)snprintf(listener->body, sizeof(listener->body), "%.*s",
	    (int)result->body.bytes, result->body.data);
}

static void
listen_for(struct world *world, struct listener *listener,
    const struct synq_uuid *organization, const struct synq_uuid *job,
    uint64_t limit_us)
{
	const struct wait_request request = {
		.organization_id = *organization,
		.job_id = *job,
		.limit_us = synq_loop_now_us(world->intake.loop) + limit_us,
		.fn = on_result,
		.ctx = listener,
	};

	memset(listener, 0, sizeof(*listener));
	listener->world = world;
	wait_start(world->intake.waits, &listener->waiter, &request);
}

/* Waits for ${job} of the world's organization for ${limit_us}. */
static void
start(struct world *world, struct listener *listener,
    const struct synq_uuid *job, uint64_t limit_us)
{
	listen_for(world, listener, &world->organization_id, job, limit_us);
}

static void
reply(struct world *world, const struct synq_uuid *job, const char *body)
{
	const struct synq_reply message = {
		.job_id = *job,
		.state = SYNQ_JOB_SUCCEEDED,
		.answer_status = 200,
		.has_body = body != NULL,
		.body = synq_slice_text(body),
		.attempts = 1,
	};

	world_reply(world, &message);
}

static struct synq_job_row
row_of(const struct synq_uuid *job, enum synq_job_state state, const char *body)
{
	return (struct synq_job_row){
		.id = *job,
		.state = state,
		.answer_status = 200,
		.has_body = body != NULL,
		.body = synq_slice_text(body),
	};
}

static void
test_wait_ends_with_the_reply(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener listener;

	start(world, &listener, &job, 10 * SECOND);
	world_pass(world, 100 * MS);
	reply(world, &job, "{\"a\":1}");

	assert_int_equal(1, listener.calls);
	assert_false(listener.timed_out);
	assert_int_equal(SYNQ_JOB_SUCCEEDED, listener.state);
	assert_int_equal(200, listener.answer_status);
	assert_string_equal("{\"a\":1}", listener.body);
	world_pass(world, 30 * SECOND);
	assert_int_equal(1, listener.calls);
	assert_int_equal(0, world->query_count);
}

static void
test_wait_takes_a_reply_of_its_own_job_only(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_uuid other = world_id(2);
	struct listener listener;

	start(world, &listener, &job, 10 * SECOND);
	reply(world, &other, "{}");

	assert_int_equal(0, listener.calls);
	wait_stop(world->intake.waits, &listener.waiter);
}

static void
test_wait_ends_when_the_time_is_up(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener listener;

	start(world, &listener, &job, 120 * MS);
	world_pass(world, 119 * MS);
	assert_int_equal(0, listener.calls);
	world_pass(world, 12 * MS);

	assert_int_equal(1, listener.calls);
	assert_true(listener.timed_out);
	reply(world, &job, "{}");
	world_pass(world, 5 * SECOND);
	assert_int_equal(1, listener.calls);
}

/* The callback comes from the loop, even if there is no time at all. */
static void
test_wait_never_calls_back_from_inside(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener listener;

	start(world, &listener, &job, 0);
	assert_int_equal(0, listener.calls);
	world_pass(world, 20 * MS);
	assert_int_equal(1, listener.calls);
	assert_true(listener.timed_out);
}

static void
test_wait_is_over_after_stop(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener listener;

	start(world, &listener, &job, SECOND);
	wait_stop(world->intake.waits, &listener.waiter);
	wait_stop(world->intake.waits, &listener.waiter);
	reply(world, &job, "{}");
	world_pass(world, 3 * SECOND);

	assert_int_equal(0, listener.calls);
	assert_int_equal(0, world->query_count);
}

static void
test_wait_tells_everybody_who_waits(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener first;
	struct listener second;

	start(world, &first, &job, 10 * SECOND);
	start(world, &second, &job, 100 * MS);
	world_pass(world, 200 * MS);
	assert_int_equal(1, second.calls);
	assert_true(second.timed_out);
	start(world, &second, &job, 10 * SECOND);
	reply(world, &job, "{}");

	assert_int_equal(1, first.calls);
	assert_int_equal(1, second.calls);
	assert_false(second.timed_out);
}

/* A callback may end another wait of the same job, or of another one. */
static void
test_wait_survives_a_stop_from_a_callback(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener first;
	struct listener second;

	start(world, &first, &job, 10 * SECOND);
	start(world, &second, &job, 10 * SECOND);
	first.stops = &second;
	reply(world, &job, "{}");

	assert_int_equal(1, first.calls);
	assert_int_equal(0, second.calls);
}

/* The one is out of time in the turn in which the other's row is due. */
static void
test_wait_survives_a_stop_of_what_is_due(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_uuid other = world_id(2);
	struct listener late;
	struct listener due;

	start(world, &due, &other, 10 * SECOND);
	start(world, &late, &job, 250 * MS);
	late.stops = &due;
	world_pass(world, 300 * MS);

	assert_int_equal(1, late.calls);
	assert_int_equal(0, due.calls);
	assert_true(world->query_count <= 1);
}

static void
test_wait_reads_the_row_after_250_500_and_each_1000_ms(void **state)
{
	static const uint64_t at_ms[] = { 250, 500, 1000, 2000, 3000 };
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener listener;
	uint64_t begin_us = synq_loop_now_us(world->intake.loop);
	size_t i;

	start(world, &listener, &job, 100 * SECOND);
	for (i = 0; i < SYNQ_COUNT(at_ms); i++) {
		world_pass(world, begin_us + at_ms[i] * MS + 90 * MS -
				      synq_loop_now_us(world->intake.loop));
		assert_int_equal(i + 1, world->query_count);
		assert_in_range(world->queries[i].asked_us - begin_us,
		    at_ms[i] * MS, (at_ms[i] + 60) * MS);
		assert_int_equal(SYNQ_JOB_WITH_RESULT, world->queries[i].part);
		assert_true(synq_uuid_equal(&world->organization_id,
		    &world->queries[i].organization_id));
		world_answer(world, i, NULL, 0, 0);
	}
	assert_int_equal(0, listener.calls);
	wait_stop(world->intake.waits, &listener.waiter);
}

static void
test_wait_ends_with_the_row(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_job_row row = row_of(&job, SYNQ_JOB_RUNNING, NULL);
	struct listener listener;

	start(world, &listener, &job, 100 * SECOND);
	world_pass(world, 300 * MS);
	world_answer(world, 0, &row, 1, 0);
	assert_int_equal(0, listener.calls);

	row = row_of(&job, SYNQ_JOB_FAILED, "{\"error\":{}}");
	row.answer_status = 502;
	world_pass(world, 300 * MS);
	world_answer(world, 1, &row, 1, 0);

	assert_int_equal(1, listener.calls);
	assert_int_equal(SYNQ_JOB_FAILED, listener.state);
	assert_int_equal(502, listener.answer_status);
	assert_string_equal("{\"error\":{}}", listener.body);
}

/* A large answer comes by the row, which is read at once. */
static void
test_wait_reads_the_row_when_the_reply_bears_no_body(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_job_row row = row_of(&job, SYNQ_JOB_SUCCEEDED, "{}");
	struct listener listener;

	start(world, &listener, &job, 100 * SECOND);
	world_pass(world, 20 * MS);
	reply(world, &job, NULL);
	assert_int_equal(0, listener.calls);
	world_pass(world, 30 * MS);

	assert_int_equal(1, world->query_count);
	world_answer(world, 0, &row, 1, 0);
	assert_int_equal(1, listener.calls);
	assert_string_equal("{}", listener.body);
}

static void
test_wait_reads_again_when_postgresql_cannot_say(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_job_row row = row_of(&job, SYNQ_JOB_SUCCEEDED, "{}");
	struct listener listener;

	start(world, &listener, &job, 100 * SECOND);
	world->pg_busy = 1;
	world_pass(world, 300 * MS);
	assert_int_equal(0, world->query_count);
	world->pg_busy = 0;
	world_pass(world, 250 * MS);
	world_answer_error(world, 0, -SYNQ_E_UNAVAILABLE);
	assert_int_equal(0, listener.calls);
	world_pass(world, 500 * MS);
	world_answer(world, 1, &row, 1, 0);

	assert_int_equal(1, listener.calls);
}

/* Rows of one organization travel together, never those of two. */
static void
test_wait_batches_rows_by_organization(void **state)
{
	struct world *world = *state;
	struct synq_uuid foreign = world_id(99);
	struct synq_uuid jobs[3] = { world_id(1), world_id(2), world_id(3) };
	struct listener listeners[3];
	size_t i;

	start(world, &listeners[0], &jobs[0], SECOND);
	listen_for(world, &listeners[1], &foreign, &jobs[1], SECOND);
	start(world, &listeners[2], &jobs[2], SECOND);
	world_pass(world, 270 * MS);

	assert_int_equal(2, world->query_count);
	assert_int_equal(2, world->queries[0].count);
	assert_int_equal(1, world->queries[1].count);
	assert_true(
	    synq_uuid_equal(&foreign, &world->queries[1].organization_id));
	assert_true(synq_uuid_equal(&jobs[1], &world->queries[1].ids[0]));
	for (i = 0; i < 3; i++)
		wait_stop(world->intake.waits, &listeners[i].waiter);
}

static void
test_wait_splits_reads_of_many_rows(void **state)
{
	struct world *world = *state;
	struct listener *many = synq_mem_array(450, sizeof(*many));
	struct synq_uuid job = world_id(0);
	size_t rows = 0;
	size_t i;

	for (i = 0; i < 450; i++) {
		job.bytes[14] = (uint8_t)(i >> 8);
		job.bytes[15] = (uint8_t)i;
		start(world, &many[i], &job, SECOND);
	}
	world_pass(world, 270 * MS);
	for (i = 0; i < world->query_count; i++)
		rows += world->queries[i].count;
	assert_int_equal(450, rows);
	assert_int_equal(3, world->query_count);
	for (i = 0; i < 450; i++)
		wait_stop(world->intake.waits, &many[i].waiter);
	synq_mem_free(many);
}

static void
test_wait_reads_all_rows_when_redis_is_back(void **state)
{
	struct world *world = *state;
	struct synq_uuid jobs[2] = { world_id(1), world_id(2) };
	struct synq_job_row rows[2];
	struct listener listeners[2];
	size_t i;

	for (i = 0; i < 2; i++) {
		start(world, &listeners[i], &jobs[i], 100 * SECOND);
		rows[i] = row_of(&jobs[i], SYNQ_JOB_SUCCEEDED, "{}");
	}
	world_resubscribe(world);

	assert_int_equal(1, world->query_count);
	assert_int_equal(2, world->queries[0].count);
	world_answer(world, 0, rows, 2, 0);
	assert_int_equal(1, listeners[0].calls);
	assert_int_equal(1, listeners[1].calls);
}

static void
test_wait_ignores_messages_that_are_none(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener listener;

	start(world, &listener, &job, SECOND);
	world_noise(world, synq_slice_text("hello"));
	world_noise(world, synq_slice_text(""));
	assert_int_equal(0, listener.calls);
	wait_stop(world->intake.waits, &listener.waiter);
}

/* An answer on its way when the program stops reaches nobody. */
static void
test_wait_can_be_freed_at_any_time(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener listener;

	wait_expect(world->intake.waits, &world->organization_id, &job);
	reply(world, &job, "{}");
	start(world, &listener, &job, SECOND);
	wait_stop(world->intake.waits, &listener.waiter);
	job = world_id(2);
	start(world, &listener, &job, SECOND);
	world_pass(world, 300 * MS);
	wait_stop(world->intake.waits, &listener.waiter);
	assert_int_equal(1, world->query_count);
	world->queries[0].fn = NULL; /* the pool is freed before */
	waits_free(&world->intake.waits);
	assert_null(world->intake.waits);
	waits_free(&world->intake.waits);
	world_pass(world, SECOND);

	assert_int_equal(0, listener.calls);
}

/* Nothing ticks where nobody waits and nothing is kept. */
static void
test_wait_rests_when_there_is_nothing_to_do(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct listener listener;

	start(world, &listener, &job, SECOND);
	assert_int_not_equal(0, world_active_timers());
	reply(world, &job, "{}");
	world_pass(world, 11 * SECOND);
	assert_int_equal(0, world_active_timers());
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_wait_ends_with_the_reply),
		TEST(test_wait_takes_a_reply_of_its_own_job_only),
		TEST(test_wait_ends_when_the_time_is_up),
		TEST(test_wait_never_calls_back_from_inside),
		TEST(test_wait_is_over_after_stop),
		TEST(test_wait_tells_everybody_who_waits),
		TEST(test_wait_survives_a_stop_from_a_callback),
		TEST(test_wait_survives_a_stop_of_what_is_due),
		TEST(test_wait_reads_the_row_after_250_500_and_each_1000_ms),
		TEST(test_wait_ends_with_the_row),
		TEST(test_wait_reads_the_row_when_the_reply_bears_no_body),
		TEST(test_wait_reads_again_when_postgresql_cannot_say),
		TEST(test_wait_batches_rows_by_organization),
		TEST(test_wait_splits_reads_of_many_rows),
		TEST(test_wait_reads_all_rows_when_redis_is_back),
		TEST(test_wait_ignores_messages_that_are_none),
		TEST(test_wait_can_be_freed_at_any_time),
		TEST(test_wait_rests_when_there_is_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
