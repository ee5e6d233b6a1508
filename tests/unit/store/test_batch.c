/*
 * Merging of records in memory: what a batch would write.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "store/batch.h"

static struct synq_uuid
id_of(uint8_t byte)
{
	struct synq_uuid id;

	memset(id.bytes, byte, sizeof(id.bytes));
	return id;
}

static struct synq_request
request(uint8_t job)
{
	return (struct synq_request){
		.job_id = id_of(job),
		.organization_id = id_of(1),
		.key_id = id_of(2),
		.endpoint = SYNQ_ENDPOINT_CHAT,
		.created_at = 1000,
		.deadline_at = 9000,
		.model = synq_slice_text("small"),
		.body = synq_slice_text("{\"not\":\"kept\"}"),
	};
}

static struct synq_outcome
outcome(enum synq_outcome_kind kind, uint32_t attempt)
{
	return (struct synq_outcome){
		.kind = kind,
		.job_id = id_of(7),
		.organization_id = id_of(1),
		.attempt_id = id_of((uint8_t)(0x40 + attempt)),
		.attempt = attempt,
		.started_at = 1000 * (int64_t)attempt,
		.ended_at = 1000 * (int64_t)attempt + 500,
		.provider = synq_slice_text("stub"),
		.instance = synq_slice_text("dispatcher-1"),
		.boot_id = id_of(3),
		.usage = { 1, 2, 3, 4 },
		.state = SYNQ_JOB_SUCCEEDED,
		.answer_status = 200,
		.key_id = id_of(2),
		.endpoint = SYNQ_ENDPOINT_CHAT,
		.model = synq_slice_text("small"),
		.body = synq_slice_text("answer"),
	};
}

static void
tell(struct synq_batch *batch, enum synq_outcome_kind kind, uint32_t attempt)
{
	const struct synq_outcome one = outcome(kind, attempt);

	synq_batch_outcome(batch, &one);
}

static const struct batch_job *
job_of(const struct synq_batch *batch, uint8_t job)
{
	const struct batch_key key = { id_of(1), id_of(job) };

	return batch_find_job(batch, &key);
}

static const struct batch_attempt *
attempt_of(const struct synq_batch *batch, size_t index)
{
	assert_true(index < batch->attempts.count);
	return batch->attempts.rows[index];
}

static int
set_up(void **state)
{
	*state = synq_batch_new();
	return 0;
}

static int
tear_down(void **state)
{
	struct synq_batch *batch = *state;

	synq_batch_free(&batch);
	synq_arena_trim();
	return 0;
}

static void
test_records_of_one_job_are_one_row(void **state)
{
	const struct synq_request of = request(7);
	struct synq_batch *batch = *state;

	synq_batch_request(batch, &of);
	tell(batch, SYNQ_OUTCOME_STARTED, 1);
	tell(batch, SYNQ_OUTCOME_RESULT, 1);
	assert_int_equal(batch->jobs.count, 1);
	assert_int_equal(batch->attempts.count, 1);
	assert_int_equal(synq_batch_records(batch), 3);
	assert_int_equal(job_of(batch, 7)->state, SYNQ_JOB_SUCCEEDED);
	assert_true(synq_slice_is(job_of(batch, 7)->body, "answer"));
	assert_null(job_of(batch, 8));
}

static void
test_newer_attempt_wins_whatever_came_first(void **state)
{
	struct synq_batch *batch = *state;

	tell(batch, SYNQ_OUTCOME_STARTED, 2);
	tell(batch, SYNQ_OUTCOME_FAILED, 1);
	tell(batch, SYNQ_OUTCOME_STARTED, 1);
	assert_int_equal(job_of(batch, 7)->state, SYNQ_JOB_RUNNING);
	assert_int_equal(job_of(batch, 7)->attempts, 2);
	assert_int_equal(job_of(batch, 7)->started_at, 1000);
	tell(batch, SYNQ_OUTCOME_FAILED, 2);
	assert_int_equal(job_of(batch, 7)->state, SYNQ_JOB_RETRYING);
	tell(batch, SYNQ_OUTCOME_STARTED, 2);
	assert_int_equal(job_of(batch, 7)->state, SYNQ_JOB_RETRYING);
}

static void
test_request_fills_in_but_moves_nothing_back(void **state)
{
	const struct synq_request of = request(7);
	struct synq_batch *batch = *state;

	tell(batch, SYNQ_OUTCOME_STARTED, 1);
	assert_int_equal(job_of(batch, 7)->has_details, 0);
	synq_batch_request(batch, &of);
	assert_int_equal(job_of(batch, 7)->state, SYNQ_JOB_RUNNING);
	assert_int_equal(job_of(batch, 7)->has_details, 1);
	assert_string_equal(
	    job_of(batch, 7)->details.endpoint, "/v1/chat/completions");
}

static void
test_first_result_wins(void **state)
{
	struct synq_outcome second = outcome(SYNQ_OUTCOME_RESULT, 2);
	struct synq_batch *batch = *state;

	tell(batch, SYNQ_OUTCOME_RESULT, 1);
	second.state = SYNQ_JOB_FAILED;
	second.body = synq_slice_text("late");
	synq_batch_outcome(batch, &second);
	tell(batch, SYNQ_OUTCOME_STARTED, 3);
	assert_int_equal(job_of(batch, 7)->state, SYNQ_JOB_SUCCEEDED);
	assert_int_equal(job_of(batch, 7)->attempts, 1);
	assert_true(synq_slice_is(job_of(batch, 7)->body, "answer"));
	/* The calls were made: they are in the ledger. */
	assert_int_equal(batch->attempts.count, 3);
}

static void
test_attempt_that_ended_learns_who_began_it(void **state)
{
	const struct batch_attempt *attempt;
	struct synq_batch *batch = *state;

	tell(batch, SYNQ_OUTCOME_RESULT, 1);
	attempt = attempt_of(batch, 0);
	assert_int_equal(attempt->instance.bytes, 0);
	tell(batch, SYNQ_OUTCOME_STARTED, 1);
	assert_true(synq_slice_is(attempt->instance, "dispatcher-1"));
	assert_string_equal(attempt->state, "succeeded");
	assert_int_equal(attempt->rank, 9);
}

static void
test_result_without_an_attempt_makes_none(void **state)
{
	struct synq_outcome expired = outcome(SYNQ_OUTCOME_RESULT, 0);
	struct synq_batch *batch = *state;

	memset(&expired.attempt_id, 0, sizeof(expired.attempt_id));
	expired.state = SYNQ_JOB_EXPIRED;
	synq_batch_outcome(batch, &expired);
	assert_int_equal(batch->attempts.count, 0);
	assert_int_equal(job_of(batch, 7)->state, SYNQ_JOB_EXPIRED);
	assert_int_equal(job_of(batch, 7)->has_details, 1);
}

static void
test_state_of_an_attempt_follows_its_end(void **state)
{
	struct synq_outcome one = outcome(SYNQ_OUTCOME_RESULT, 1);
	struct synq_batch *batch = *state;

	one.state = SYNQ_JOB_CANCELLED;
	synq_batch_outcome(batch, &one);
	one = outcome(SYNQ_OUTCOME_RESULT, 2);
	one.state = SYNQ_JOB_EXPIRED;
	synq_batch_outcome(batch, &one);
	tell(batch, SYNQ_OUTCOME_FAILED, 3);
	assert_string_equal(attempt_of(batch, 0)->state, "cancelled");
	assert_string_equal(attempt_of(batch, 1)->state, "failed");
	assert_string_equal(attempt_of(batch, 2)->state, "failed");
}

/* A message that claims to be final but is not ends nothing. */
static void
test_result_in_a_state_that_is_not_final_is_ignored(void **state)
{
	struct synq_outcome odd = outcome(SYNQ_OUTCOME_RESULT, 1);
	struct synq_batch *batch = *state;

	odd.state = SYNQ_JOB_QUEUED;
	synq_batch_outcome(batch, &odd);
	assert_true(job_of(batch, 7)->rank < 9);
}

static void
test_rows_are_sorted_by_their_keys(void **state)
{
	struct synq_batch *batch = *state;
	const uint8_t jobs[] = { 9, 4, 250, 1, 8 };
	size_t i;

	for (i = 0; i < sizeof(jobs); i++) {
		const struct synq_request of = request(jobs[i]);

		synq_batch_request(batch, &of);
	}
	batch_sort(&batch->jobs);
	for (i = 1; i < batch->jobs.count; i++)
		assert_true(memcmp(batch->jobs.rows[i - 1], batch->jobs.rows[i],
				sizeof(struct batch_key)) < 0);
}

static void
test_texts_are_copied_and_hold_no_zero(void **state)
{
	char model[] = "a\0b";
	struct synq_request of = request(7);
	struct synq_batch *batch = *state;

	of.model = synq_slice_of(model, 3);
	synq_batch_request(batch, &of);
	memset(model, 'x', sizeof(model));
	assert_true(synq_slice_is(job_of(batch, 7)->details.model, "a?b"));
}

static void
test_clear_empties(void **state)
{
	const struct synq_request of = request(7);
	struct synq_batch *batch = *state;

	synq_batch_request(batch, &of);
	tell(batch, SYNQ_OUTCOME_STARTED, 1);
	assert_true(synq_batch_bytes(batch) > 0);
	synq_batch_clear(batch);
	assert_int_equal(synq_batch_records(batch), 0);
	assert_int_equal(synq_batch_bytes(batch), 0);
	assert_null(job_of(batch, 7));
	synq_batch_request(batch, &of);
	assert_int_equal(job_of(batch, 7)->state, SYNQ_JOB_QUEUED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The table takes all details or none, and a record may lack the key. */
static void
test_details_without_a_key_are_none(void **state)
{
	struct synq_batch *batch = synq_batch_new();
	struct synq_request of = request(7);
	struct synq_outcome end = outcome(SYNQ_OUTCOME_RESULT, 1);
	const struct batch_job *job;

	(void)state;
	memset(&of.key_id, 0, sizeof(of.key_id));
	memset(&end.key_id, 0, sizeof(end.key_id));
	synq_batch_request(batch, &of);
	synq_batch_outcome(batch, &end);
	job = batch->jobs.rows[0];
	assert_false(job->has_details);
	assert_int_equal(SYNQ_JOB_SUCCEEDED, job->state);
	synq_batch_free(&batch);
}

static void
test_a_dropped_row_is_gone(void **state)
{
	struct synq_batch *batch = synq_batch_new();
	const struct synq_outcome began = outcome(SYNQ_OUTCOME_STARTED, 1);
	const struct batch_key key = { id_of(1), id_of(8) };
	uint8_t i;

	(void)state;
	for (i = 7; i < 10; i++) {
		const struct synq_request of = request(i);

		synq_batch_request(batch, &of);
	}
	synq_batch_outcome(batch, &began);
	assert_int_equal(4, batch_rows(batch));
	batch_drop(batch, 3);
	assert_int_equal(0, batch->attempts.count);
	batch_drop(batch, 1);
	assert_int_equal(2, batch_rows(batch));
	assert_null(batch_find_job(batch, &key));
	assert_int_equal(9,
	    ((const struct batch_job *)batch->jobs.rows[1])->key.id.bytes[0]);
	synq_batch_free(&batch);
}

static size_t
illegal(const struct synq_batch *batch)
{
	struct synq_batch_totals totals;

	synq_batch_count(batch, &totals);
	return totals.illegal_moves;
}

static void
test_illegal_moves_are_counted_and_not_followed(void **state)
{
	struct synq_batch *batch = synq_batch_new();
	struct synq_outcome end = outcome(SYNQ_OUTCOME_RESULT, 1);

	(void)state;
	tell(batch, SYNQ_OUTCOME_STARTED, 1);
	synq_batch_outcome(batch, &end);
	/* The same records once more, as after a rebalance. */
	tell(batch, SYNQ_OUTCOME_STARTED, 1);
	synq_batch_outcome(batch, &end);
	assert_int_equal(0, illegal(batch));
	end.state = SYNQ_JOB_FAILED; /* another end */
	synq_batch_outcome(batch, &end);
	assert_int_equal(1, illegal(batch));
	tell(batch, SYNQ_OUTCOME_STARTED, 2); /* begun after its end */
	assert_int_equal(2, illegal(batch));
	assert_int_equal(SYNQ_JOB_SUCCEEDED, job_of(batch, 7)->state);
	synq_batch_clear(batch);
	assert_int_equal(0, illegal(batch));
	synq_batch_free(&batch);
}

static void
test_rows_are_counted_by_table(void **state)
{
	struct synq_batch *batch = synq_batch_new();
	const struct synq_request of = request(8);
	struct synq_batch_totals totals;

	(void)state;
	synq_batch_request(batch, &of);
	tell(batch, SYNQ_OUTCOME_STARTED, 1);
	tell(batch, SYNQ_OUTCOME_FAILED, 1);
	tell(batch, SYNQ_OUTCOME_STARTED, 2);
	synq_batch_count(batch, &totals);
	assert_int_equal(2, totals.jobs);
	assert_int_equal(2, totals.attempts);
	synq_batch_free(&batch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_records_of_one_job_are_one_row),
		TEST(test_newer_attempt_wins_whatever_came_first),
		TEST(test_request_fills_in_but_moves_nothing_back),
		TEST(test_first_result_wins),
		TEST(test_attempt_that_ended_learns_who_began_it),
		TEST(test_result_without_an_attempt_makes_none),
		TEST(test_state_of_an_attempt_follows_its_end),
		TEST(test_result_in_a_state_that_is_not_final_is_ignored),
		TEST(test_rows_are_sorted_by_their_keys),
		TEST(test_texts_are_copied_and_hold_no_zero),
		TEST(test_clear_empties),
		cmocka_unit_test(test_details_without_a_key_are_none),
		cmocka_unit_test(test_a_dropped_row_is_gone),
		cmocka_unit_test(
		    test_illegal_moves_are_counted_and_not_followed),
		cmocka_unit_test(test_rows_are_counted_by_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
