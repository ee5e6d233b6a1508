/*
 * Jobs that were accepted: one, its result, its cancel.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "producer/wait.h"
#include "proto/topics.h"
#include "world.h"

#define INVALID "invalid_request_error"
#define SECOND 1000000ULL
#define MINUTE_US 60000000LL
#define DAY_US (24 * 60 * MINUTE_US)

/* ${method} /v1/jobs/{id of ${job}}${rest}. */
static struct synq_exchange *
ask(struct world *world, const char *method, const struct synq_uuid *job,
    const char *rest)
{
	char target[128];

	(void)snprintf(target, sizeof(target), "/v1/jobs/%s%s",
	    world_public_id(world, &world->organization_id, job), rest);
	return world_send(world, method, target, NULL, NULL);
}

/* A final row with its answer. */
static struct synq_job_row
result_of(const struct synq_uuid *job, enum synq_job_state state,
    int32_t status, const char *body)
{
	struct synq_job_row row = world_row(job, state);

	row.answer_status = status;
	row.has_body = 1;
	row.body = synq_slice_text(body);
	return row;
}

static void
test_jobs_shows_the_row(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_uuid first = world_id(2);
	struct synq_job_row row = world_row(&job, SYNQ_JOB_FAILED);
	struct synq_exchange *exchange = ask(world, "GET", &job, "");

	row.metadata = synq_slice_text("{\"a\": \"b\"}");
	row.started_at = WORLD_BEGIN_AT + 1;
	row.ended_at = WORLD_BEGIN_AT + 2500000;
	row.attempts = 2;
	row.provider = synq_slice_text("stub");
	row.provider_model = synq_slice_text("m-1");
	row.answer_status = 502;
	row.error_code = synq_slice_text("server_error");
	row.error = synq_slice_text("it \"broke\"");
	row.input_tokens = 3;
	row.output_tokens = 0;
	row.retry_of = first;
	row.request_id = synq_slice_text("req_1");
	assert_int_equal(SYNQ_JOB_ROW_ONLY, world->queries[0].part);
	world_answer(world, 0, &row, 1, 0);

	assert_int_equal(200, world_status(exchange));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &job),
	    world_text(exchange, "id"));
	assert_string_equal("failed", world_text(exchange, "status"));
	assert_string_equal("batch", world_text(exchange, "priority"));
	assert_string_equal("b", world_text(exchange, "metadata.a"));
	assert_string_equal("1800000000", world_text(exchange, "created_at"));
	assert_string_equal("1800000060", world_text(exchange, "deadline_at"));
	assert_string_equal("1800000000", world_text(exchange, "started_at"));
	assert_string_equal("1800000002", world_text(exchange, "ended_at"));
	assert_string_equal("2", world_text(exchange, "attempts"));
	assert_string_equal("m-1", world_text(exchange, "provider_model"));
	assert_string_equal("502", world_text(exchange, "answer_status"));
	assert_string_equal("3", world_text(exchange, "usage.input_tokens"));
	assert_string_equal("0", world_text(exchange, "usage.output_tokens"));
	assert_string_equal("", world_text(exchange, "usage.cached_tokens"));
	assert_string_equal("server_error", world_text(exchange, "error.code"));
	assert_string_equal(
	    "it \"broke\"", world_text(exchange, "error.message"));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &first),
	    world_text(exchange, "retry_of"));
}

static void
test_jobs_shows_null_for_what_is_not_known(void **state)
{
	static const char *const nulls[] = { "metadata", "started_at",
		"ended_at", "provider", "provider_model", "answer_status",
		"usage", "error", "retry_of", "request_id" };
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_job_row row = world_row(&job, SYNQ_JOB_RETRYING);
	struct synq_exchange *exchange = ask(world, "GET", &job, "");
	size_t i;

	/* The error of an attempt is not the job's. */
	row.error_code = synq_slice_text("timeout");
	world_answer(world, 0, &row, 1, 0);
	assert_string_equal("retrying", world_text(exchange, "status"));
	for (i = 0; i < SYNQ_COUNT(nulls); i++)
		assert_string_equal("", world_text(exchange, nulls[i]));
}

/* P9: what was accepted is never unknown. */
static void
test_jobs_calls_a_job_queued_until_its_row_is_there(void **state)
{
	static const int64_t behind[] = { 0, WORLD_BEGIN_AT - 3600 * SECOND,
		WORLD_BEGIN_AT + MINUTE_US / 2 };
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchange;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(behind); i++) {
		exchange = ask(world, "GET", &job, "");
		world_answer(world, i, NULL, 0, behind[i]);
		assert_int_equal(200, world_status(exchange));
		assert_string_equal("queued", world_text(exchange, "status"));
		assert_string_equal("job", world_text(exchange, "object"));
		assert_string_equal(
		    "1800000001", world_text(exchange, "created_at"));
	}
}

/*
 * A clock of another process was wrong, or ours was and is right again: what
 * was accepted just now is not expired because of that.
 */
static void
test_jobs_believes_no_projection_from_the_future(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchange = ask(world, "GET", &job, "");

	world_answer(world, 0, NULL, 0, WORLD_BEGIN_AT + 3600 * SECOND);

	assert_int_equal(200, world_status(exchange));
	assert_string_equal("queued", world_text(exchange, "status"));
}

/* The intake that made it had a clock that was five minutes behind. */
static void
test_jobs_of_a_slow_clock_are_queued(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchange;

	world_pass(world, 5 * MINUTE_US);
	exchange = ask(world, "GET", &job, "");
	world_answer(world, 0, NULL, 0, WORLD_BEGIN_AT + 5 * MINUTE_US);

	assert_int_equal(200, world_status(exchange));
	assert_string_equal("queued", world_text(exchange, "status"));
}

static void
test_jobs_says_410_when_the_row_will_not_come_any_more(void **state)
{
	static const char *const rests[] = { "", "/result", "/cancel" };
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchange;
	size_t i;

	world_pass(world, 3 * DAY_US);
	for (i = 0; i < SYNQ_COUNT(rests); i++) {
		exchange = ask(world, i == 2 ? "POST" : "GET", &job, rests[i]);
		world_answer(world, i, NULL, 0, WORLD_BEGIN_AT + 2 * DAY_US);
		world_expect_error(exchange, 410, INVALID, "job_expired", NULL);
		assert_string_equal(
		    "false", world_header(exchange, "x-should-retry"));
	}
	assert_int_equal(0, world->record_count);
}

/* One answer for a wrong id and another's, without a query. */
static void
test_jobs_does_not_tell_a_foreign_id_from_a_wrong_one(void **state)
{
	static const char *const rests[] = { "", "/result", "/cancel" };
	struct world *world = *state;
	struct synq_uuid other = world_id(99);
	struct synq_uuid job = world_id(1);
	struct synq_exchange *foreign;
	struct synq_exchange *wrong;
	char target[128];
	size_t i;

	for (i = 0; i < SYNQ_COUNT(rests); i++) {
		(void)snprintf(target, sizeof(target), "/v1/jobs/%s%s",
		    world_public_id(world, &other, &job), rests[i]);
		foreign = world_send(
		    world, i == 2 ? "POST" : "GET", target, NULL, NULL);
		(void)snprintf(
		    target, sizeof(target), "/v1/jobs/job_x%s", rests[i]);
		wrong = world_send(
		    world, i == 2 ? "POST" : "GET", target, NULL, NULL);
		world_expect_error(
		    foreign, 404, INVALID, "job_not_found", "id");
		assert_string_equal(world_body(foreign), world_body(wrong));
	}
	assert_int_equal(0, world->query_count);
}

static void
test_jobs_says_503_without_postgresql(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchanges[6];
	size_t i;

	exchanges[0] = ask(world, "GET", &job, "");
	exchanges[1] = ask(world, "GET", &job, "/result?wait=0");
	exchanges[2] = world_send(world, "GET", "/v1/jobs", NULL, NULL);
	for (i = 0; i < 3; i++)
		world_answer_error(world, i, -SYNQ_E_UNAVAILABLE);
	world->pg_busy = 1;
	exchanges[3] = ask(world, "GET", &job, "");
	exchanges[4] = ask(world, "GET", &job, "/result");
	exchanges[5] = world_send(world, "GET", "/v1/jobs", NULL, NULL);
	for (i = 0; i < 6; i++) {
		world_expect_error(exchanges[i], 503, "server_error",
		    "service_unavailable", NULL);
		assert_string_equal(
		    "1", world_header(exchanges[i], "retry-after"));
	}
}

static void
test_jobs_survives_who_leaves_before_the_row_comes(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_job_row row =
	    result_of(&job, SYNQ_JOB_SUCCEEDED, 200, "{}");
	size_t i;

	world_leave(ask(world, "GET", &job, ""));
	world_leave(ask(world, "GET", &job, "/result"));
	world_leave(ask(world, "GET", &job, "/result"));
	world_leave(world_send(world, "GET", "/v1/jobs", NULL, NULL));
	world_leave(ask(world, "POST", &job, "/cancel"));
	for (i = 0; i < 5; i++)
		world_answer(world, i, &row, i == 2 ? 0 : 1, 0);
	world_pass(world, 5 * SECOND);
	assert_int_equal(5, world->query_count);
	assert_int_equal(0, world->intake.calls);
}

static void
test_result_answers_what_is_recorded(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_job_row row =
	    result_of(&job, SYNQ_JOB_SUCCEEDED, 200, "{ \"x\" : 1 }");
	struct synq_exchange *exchange = ask(world, "GET", &job, "/result");

	assert_int_equal(SYNQ_JOB_WITH_RESULT, world->queries[0].part);
	world_answer(world, 0, &row, 1, 0);
	assert_int_equal(200, world_status(exchange));
	assert_string_equal("{ \"x\" : 1 }", world_body(exchange));
	assert_string_equal(
	    "application/json", world_header(exchange, "content-type"));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &job),
	    world_header(exchange, "x-synq-job-id"));

	row = result_of(&job, SYNQ_JOB_CANCELLED, 409, "{\"error\":{}}");
	exchange = ask(world, "GET", &job, "/result");
	world_answer(world, 1, &row, 1, 0);
	assert_int_equal(409, world_status(exchange));
	assert_string_equal("false", world_header(exchange, "x-should-retry"));
}

static void
test_result_is_answered_from_here_if_it_is_kept(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	const struct synq_reply reply = {
		.job_id = job,
		.state = SYNQ_JOB_SUCCEEDED,
		.answer_status = 200,
		.has_body = 1,
		.body = synq_slice_text("{}"),
		.attempts = 1,
	};
	struct synq_exchange *exchange;

	wait_expect(world->intake.waits, &world->organization_id, &job);
	world_reply(world, &reply);
	exchange = ask(world, "GET", &job, "/result");

	assert_int_equal(200, world_status(exchange));
	assert_int_equal(0, world->query_count);
}

static void
test_result_waits_two_seconds_unless_told_otherwise(void **state)
{
	static const struct {
		const char *rest;
		uint64_t us;
	} rows[] = { { "/result", 2 * SECOND }, { "/result?wait=0", 20000 },
		{ "/result?wait=5", 5 * SECOND },
		{ "/result?wait=280", 280 * SECOND } };
	struct world *world = *state;
	struct synq_exchange *exchange;
	struct synq_job_row row;
	struct synq_uuid job;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(rows); i++) {
		job = world_id(1);
		row = world_row(&job, SYNQ_JOB_RUNNING);
		exchange = ask(world, "GET", &job, rows[i].rest);
		world_answer(world, world->query_count - 1, &row, 1, 0);
		if (rows[i].us > SECOND) {
			world_pass(world, rows[i].us - SECOND / 10);
			assert_int_equal(0, world_status(exchange));
		}
		world_pass(world, SECOND / 5);
		assert_int_equal(202, world_status(exchange));
		assert_string_equal("1", world_header(exchange, "retry-after"));
		assert_non_null(world_header(exchange, "location"));
		assert_string_equal("job", world_text(exchange, "object"));
		assert_string_equal("running", world_text(exchange, "status"));
	}
}

static void
test_result_comes_while_somebody_waits(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	const struct synq_reply reply = {
		.job_id = job,
		.state = SYNQ_JOB_SUCCEEDED,
		.answer_status = 200,
		.has_body = 1,
		.body = synq_slice_text("{}"),
		.attempts = 1,
	};
	struct synq_exchange *exchange = ask(world, "GET", &job, "/result");

	world_answer(world, 0, NULL, 0, 0);
	world_pass(world, SECOND / 10);
	world_reply(world, &reply);
	assert_int_equal(200, world_status(exchange));
}

/* Without PostgreSQL the answer may still come by Redis. */
static void
test_result_comes_without_postgresql(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *told = ask(world, "GET", &job, "/result?wait=30");
	const struct synq_reply reply = { .job_id = job,
		.state = SYNQ_JOB_SUCCEEDED,
		.answer_status = 200,
		.has_body = 1,
		.body = synq_slice_text("{\"a\":1}") };

	world_answer_error(world, 0, -SYNQ_E_TIMEOUT);
	assert_int_equal(0, world_status(told));
	world_reply(world, &reply);
	assert_int_equal(200, world_status(told));
	assert_string_equal("{\"a\":1}", world_body(told));
}

/* Nobody could say what the job is: not even that it is queued. */
static void
test_result_is_503_in_the_end_without_postgresql(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchange =
	    ask(world, "GET", &job, "/result?wait=3");
	size_t i;

	for (i = 0; i < world->query_count; i++) {
		world_answer_error(world, i, -SYNQ_E_TIMEOUT);
		world_pass(world, SECOND);
	}
	world_expect_error(
	    exchange, 503, "server_error", "service_unavailable", NULL);
	assert_string_equal("1", world_header(exchange, "retry-after"));
}

static void
test_result_refuses_a_wait_that_is_none(void **state)
{
	static const char *const bad[] = { "/result?wait=281",
		"/result?wait=-1", "/result?wait=", "/result?wait=2s",
		"/result?wait=1.5", "/result?wait=1&wait=2",
		"/result?wait=00000000000000000001", "/result?wait=%31%zz" };
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	size_t i;

	for (i = 0; i < SYNQ_COUNT(bad); i++)
		world_expect_error(ask(world, "GET", &job, bad[i]), 400,
		    INVALID, "invalid_value", "wait");
	assert_int_equal(0, world->query_count);
}

/* The cancel in record ${index} is one that a client asked for. */
static void
assert_cancel(
    const struct world *world, size_t index, const struct synq_uuid *job)
{
	struct synq_cancel cancel;

	assert_string_equal(SYNQ_TOPIC_CANCELS, world->records[index].topic);
	assert_int_equal(
	    0, synq_cancel_decode(
		   synq_buf_view(&world->records[index].value), &cancel));
	assert_true(synq_uuid_equal(job, &cancel.job_id));
	assert_int_equal(SYNQ_CANCEL_ASKED, cancel.reason);
}

static void
test_cancel_is_answered_when_it_is_on_the_log(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_job_row row = world_row(&job, SYNQ_JOB_RUNNING);
	struct synq_exchange *exchange = ask(world, "POST", &job, "/cancel");

	world_answer(world, 0, &row, 1, 0);
	assert_int_equal(0, world_status(exchange));
	assert_cancel(world, 0, &job);
	world_ack(world, 0, 0);

	assert_int_equal(202, world_status(exchange));
	assert_non_null(world_header(exchange, "location"));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &job),
	    world_text(exchange, "id"));
}

/* What the row said last is shown, not a guess. */
static void
test_cancel_shows_the_state_of_the_job(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_job_row row = world_row(&job, SYNQ_JOB_RUNNING);
	struct synq_exchange *exchange = ask(world, "POST", &job, "/cancel");

	world_answer(world, 0, &row, 1, 0);
	world_ack(world, 0, 0);
	assert_string_equal("running", world_text(exchange, "status"));
}

static void
test_cancel_refuses_what_has_ended(void **state)
{
	static const enum synq_job_state states[] = { SYNQ_JOB_SUCCEEDED,
		SYNQ_JOB_FAILED, SYNQ_JOB_CANCELLED, SYNQ_JOB_EXPIRED };
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchange;
	struct synq_job_row row;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(states); i++) {
		row = world_row(&job, states[i]);
		exchange = ask(world, "POST", &job, "/cancel");
		world_answer(world, i, &row, 1, 0);
		world_expect_error(
		    exchange, 409, INVALID, "job_already_ended", NULL);
		assert_string_equal(
		    "false", world_header(exchange, "x-should-retry"));
		assert_non_null(strstr(world_text(exchange, "error.message"),
		    synq_job_state_name(states[i])));
	}
	assert_int_equal(0, world->record_count);
}

/* Who pays for calls must be able to end them without PostgreSQL. */
static void
test_cancel_needs_no_row(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchange = ask(world, "POST", &job, "/cancel");

	world_answer_error(world, 0, -SYNQ_E_UNAVAILABLE);
	assert_cancel(world, 0, &job);
	world_ack(world, 0, 0);
	assert_int_equal(202, world_status(exchange));

	world->pg_busy = 1;
	exchange = ask(world, "POST", &job, "/cancel");
	assert_cancel(world, 1, &job);
	world_ack(world, 1, 0);
	assert_int_equal(202, world_status(exchange));
}

static void
test_cancel_says_503_when_it_is_not_on_the_log(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_exchange *exchange = ask(world, "POST", &job, "/cancel");

	world_answer(world, 0, NULL, 0, 0);
	world_ack(world, 0, -SYNQ_E_UNCERTAIN);
	world_expect_error(
	    exchange, 503, "server_error", "service_unavailable", NULL);

	world->log_rc = -SYNQ_E_BUSY;
	exchange = ask(world, "POST", &job, "/cancel");
	world_answer(world, 1, NULL, 0, 0);
	world_pass(world, SECOND);
	assert_int_equal(503, world_status(exchange));
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_jobs_shows_the_row),
		TEST(test_jobs_shows_null_for_what_is_not_known),
		TEST(test_jobs_calls_a_job_queued_until_its_row_is_there),
		TEST(test_jobs_believes_no_projection_from_the_future),
		TEST(test_jobs_of_a_slow_clock_are_queued),
		TEST(test_jobs_says_410_when_the_row_will_not_come_any_more),
		TEST(test_jobs_does_not_tell_a_foreign_id_from_a_wrong_one),
		TEST(test_jobs_says_503_without_postgresql),
		TEST(test_jobs_survives_who_leaves_before_the_row_comes),
		TEST(test_result_answers_what_is_recorded),
		TEST(test_result_is_answered_from_here_if_it_is_kept),
		TEST(test_result_waits_two_seconds_unless_told_otherwise),
		TEST(test_result_comes_while_somebody_waits),
		TEST(test_result_comes_without_postgresql),
		TEST(test_result_is_503_in_the_end_without_postgresql),
		TEST(test_result_refuses_a_wait_that_is_none),
		TEST(test_cancel_is_answered_when_it_is_on_the_log),
		TEST(test_cancel_shows_the_state_of_the_job),
		TEST(test_cancel_refuses_what_has_ended),
		TEST(test_cancel_needs_no_row),
		TEST(test_cancel_says_503_when_it_is_not_on_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
