/*
 * The recorder's batches on a real server: the rules of order, fencing, what a
 * second result may not do.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "fixture.h"
#include "loop/loop.h"
#include "store/record.h"

#define ORGANIZATION 0x11
#define JOB 0x22
#define MAX_EVENTS 16

/* What the end of a write said. */
struct written {
	int told;
	int rc;
	size_t count;
	enum synq_job_state states[MAX_EVENTS];
	uint32_t attempts[MAX_EVENTS];
	char model[64];
};

static struct synq_slice
text(const char *of)
{
	return synq_slice_text(of);
}

static struct synq_request
request(void)
{
	return (struct synq_request){
		.job_id = id_of(JOB),
		.organization_id = id_of(ORGANIZATION),
		.key_id = id_of(0x33),
		.endpoint = SYNQ_ENDPOINT_CHAT,
		.priority = SYNQ_PRIORITY_BATCH,
		.created_at = 1000000,
		.deadline_at = 9000000,
		.max_attempts = 3,
		.model = text("small"),
		.body = text("{}"),
		.metadata = text("{\"a\":1}"),
		.request_id = text("req"),
	};
}

static struct synq_outcome
outcome(enum synq_outcome_kind kind, uint32_t attempt)
{
	return (struct synq_outcome){
		.kind = kind,
		.job_id = id_of(JOB),
		.organization_id = id_of(ORGANIZATION),
		.attempt_id = id_of((uint8_t)(0x40 + attempt)),
		.attempt = attempt,
		.started_at = 1000000 * (1 + attempt),
		.provider = text("stub"),
		.provider_model = text("stub-small"),
		.usage = { -1, -1, -1, -1 },
	};
}

static struct synq_outcome
started(uint32_t attempt)
{
	struct synq_outcome ret = outcome(SYNQ_OUTCOME_STARTED, attempt);

	ret.instance = text("dispatcher-1");
	ret.boot_id = id_of(0x77);
	return ret;
}

static struct synq_outcome
failed(uint32_t attempt)
{
	struct synq_outcome ret = outcome(SYNQ_OUTCOME_FAILED, attempt);

	ret.ended_at = 1000000 * (1 + attempt) + 500000;
	ret.http_status = 500;
	ret.error_code = text("provider_error");
	ret.error = text("it broke");
	return ret;
}

static struct synq_outcome
result(uint32_t attempt, enum synq_job_state state, const char *body)
{
	const struct synq_request of = request();
	struct synq_outcome ret = outcome(SYNQ_OUTCOME_RESULT, attempt);

	ret.ended_at = 1000000 * (1 + attempt) + 700000;
	ret.http_status = 200;
	ret.usage = (struct synq_usage){ 10, 20, -1, -1 };
	ret.state = state;
	ret.answer_status = state == SYNQ_JOB_SUCCEEDED ? 200 : 504;
	ret.body = text(body);
	ret.key_id = of.key_id;
	ret.endpoint = of.endpoint;
	ret.priority = of.priority;
	ret.created_at = of.created_at;
	ret.deadline_at = of.deadline_at;
	ret.model = of.model;
	ret.metadata = of.metadata;
	ret.request_id = of.request_id;
	return ret;
}

static void
on_written(void *ctx, int rc, const struct synq_event *events, size_t count,
    const struct synq_err *err)
{
	struct written *written = ctx;
	size_t i;

	assert_int_equal(written->told, 0);
	written->told = 1;
	written->rc = rc;
	written->count = count;
	for (i = 0; i < count && i < MAX_EVENTS; i++) {
		written->states[i] = events[i].state;
		written->attempts[i] = events[i].attempts;
		if (events[i].model.bytes > 0)
			memcpy(written->model, events[i].model.data,
			    events[i].model.bytes);
	}
	if (rc != 0 && rc != -SYNQ_E_FENCED)
		print_error("%s\n", err != NULL ? err->text : "no reason");
}

static void
move(struct synq_batch *batch, int32_t partition, int64_t expected,
    int64_t next, int64_t as_of)
{
	const struct synq_batch_offset offset = { .topic = "synq.results",
		.partition = partition,
		.expected = expected,
		.next = next,
		.as_of = as_of };

	synq_batch_offset(batch, &offset);
}

static struct written
write_batch(struct synq_batch *batch)
{
	struct written written = { 0 };

	assert_int_equal(
	    synq_batch_write(batch, fix->recorder, on_written, &written), 0);
	wait_for(&written.told);
	return written;
}

/* Write the request (${outcome} NULL) or ${outcome} alone. */
static struct written
write_one(const struct synq_outcome *one)
{
	const struct synq_request of = request();
	struct synq_batch *batch = synq_batch_new();
	struct written written;

	if (one != NULL)
		synq_batch_outcome(batch, one);
	else
		synq_batch_request(batch, &of);
	written = write_batch(batch);
	assert_int_equal(written.rc, 0);
	synq_batch_free(&batch);
	return written;
}

static void
test_request_makes_a_queued_job(void **state)
{
	struct written written = write_one(NULL);

	(void)state;
	assert_int_equal(written.count, 1);
	assert_int_equal(written.states[0], SYNQ_JOB_QUEUED);
	assert_string_equal(written.model, "small");
	assert_true(
	    asks("SELECT state || ' ' || endpoint || ' ' || model || ' '"
		 " || priority || ' ' || metadata || ' ' || request_id"
		 " || ' ' || extract(epoch FROM deadline_at)::int"
		 " FROM operations.job",
		"queued /v1/chat/completions small 1 {\"a\": 1} req 9"));
}

static void
test_life_of_a_job_in_order(void **state)
{
	struct synq_outcome one = started(1);
	struct synq_outcome two = failed(1);
	struct synq_outcome three = started(2);
	struct synq_outcome four = result(2, SYNQ_JOB_SUCCEEDED, "answer");
	struct written written;

	(void)state;
	write_one(NULL);
	written = write_one(&one);
	assert_int_equal(written.count, 1);
	assert_int_equal(written.states[0], SYNQ_JOB_RUNNING);
	assert_string_equal(written.model, "small");
	written = write_one(&two);
	assert_int_equal(written.states[0], SYNQ_JOB_RETRYING);
	written = write_one(&three);
	assert_int_equal(written.states[0], SYNQ_JOB_RUNNING);
	assert_int_equal(written.attempts[0], 2);
	written = write_one(&four);
	assert_int_equal(written.states[0], SYNQ_JOB_SUCCEEDED);

	assert_true(asks("SELECT state || ' ' || attempts || ' ' || provider"
			 " || ' ' || answer_status || ' ' || input_tokens"
			 " || ' ' || coalesce(cached_tokens, -1)"
			 " || ' ' || coalesce(error, 'none')"
			 " || ' ' || extract(epoch FROM started_at)::int"
			 " FROM operations.job",
	    "succeeded 2 stub 200 10 -1 none 2"));
	assert_true(asks("SELECT convert_from(body, 'UTF8')"
			 " FROM operations.result",
	    "answer"));
	assert_true(asks("SELECT string_agg(attempt || state || instance"
			 " || coalesce(http_status, 0), ' ' ORDER BY attempt)"
			 " FROM operations.attempt",
	    "1faileddispatcher-1500 2succeededdispatcher-1200"));
}

/* All of it in one batch is the same as one by one, with one event. */
static void
test_one_batch_tells_the_last_state_only(void **state)
{
	const struct synq_request of = request();
	const struct synq_outcome all[] = { started(1), failed(1), started(2),
		result(2, SYNQ_JOB_SUCCEEDED, "answer") };
	struct synq_batch *batch = synq_batch_new();
	struct written written;
	size_t i;

	(void)state;
	synq_batch_request(batch, &of);
	for (i = 0; i < SYNQ_COUNT(all); i++)
		synq_batch_outcome(batch, &all[i]);
	assert_int_equal(synq_batch_records(batch), 5);
	written = write_batch(batch);
	assert_int_equal(written.count, 1);
	assert_int_equal(written.states[0], SYNQ_JOB_SUCCEEDED);
	assert_int_equal(written.attempts[0], 2);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.attempt"), 2);

	/* Writing it again changes nothing and tells nothing. */
	written = write_batch(batch);
	assert_int_equal(written.rc, 0);
	assert_int_equal(written.count, 0);
	synq_batch_free(&batch);
}

/* What the tables say in the end, whatever the order of records was. */
#define SUMMARY                                                                \
	"SELECT (SELECT concat_ws(' ', state, attempts, endpoint, model,"      \
	" provider, answer_status, started_at, ended_at, error, metadata)"     \
	" FROM operations.job) || ' / ' || (SELECT string_agg(concat_ws(' ',"  \
	" attempt, state, instance, http_status, started_at, ended_at,"        \
	" error_code), ', ' ORDER BY attempt) FROM operations.attempt)"        \
	" || ' / ' || (SELECT string_agg(convert_from(body, 'UTF8'), ' ')"     \
	" FROM operations.result)"

static void
write_in_order(const struct synq_outcome *all, const size_t order[5])
{
	size_t i;

	for (i = 0; i < 5; i++)
		write_one(order[i] == 0 ? NULL : &all[order[i] - 1]);
}

/*
 * Every order of five records that logs can give (what is on one partition
 * stays behind what decides: the result comes after all attempts) gives the
 * same tables.
 */
static void
test_any_order_gives_the_same_rows(void **state)
{
	const struct synq_outcome all[] = { started(1), failed(1), started(2),
		result(2, SYNQ_JOB_SUCCEEDED, "answer") };
	size_t order[5] = { 0, 1, 2, 3, 4 };
	static const char expected[] =
	    "succeeded 2 /v1/chat/completions small stub 200 "
	    "1970-01-01 00:00:02+00 1970-01-01 00:00:03.7+00 "
	    "{\"a\": 1} / 1 failed dispatcher-1 500 "
	    "1970-01-01 00:00:02+00 1970-01-01 00:00:02.5+00 "
	    "provider_error, 2 succeeded dispatcher-1 200 "
	    "1970-01-01 00:00:03+00 1970-01-01 00:00:03.7+00"
	    " / answer";
	size_t count = 0;
	size_t code;

	(void)state;
	for (code = 0; code < 3125; code++) {
		unsigned seen = 0;
		size_t rest = code;
		size_t i;

		for (i = 0; i < 5; i++, rest /= 5) {
			order[i] = rest % 5;
			seen |= 1U << order[i];
		}
		/* The result last, or the request after it: as logs give it. */
		if (seen != 31 || (order[4] != 4 && order[4] != 0) ||
		    (order[4] == 0 && order[3] != 4))
			continue;
		(void)set_up_test(NULL);
		write_in_order(all, order);
		count++;
		assert_true(asks(SUMMARY, expected));
	}
	assert_int_equal(count, 24 + 6);
}

static void
test_second_result_changes_nothing(void **state)
{
	struct synq_outcome first = result(1, SYNQ_JOB_CANCELLED, "cancelled");
	struct synq_outcome second = result(2, SYNQ_JOB_SUCCEEDED, "late");
	struct written written;

	(void)state;
	write_one(&first);
	written = write_one(&second);
	assert_int_equal(written.count, 0);
	assert_true(
	    asks("SELECT state || ' ' || attempts || ' ' || answer_status"
		 " FROM operations.job",
		"cancelled 1 504"));
	assert_true(asks("SELECT string_agg(convert_from(body, 'UTF8'), '+')"
			 " FROM operations.result",
	    "cancelled"));
	/* The call was made all the same. */
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.attempt"), 2);
}

/* Not even where the first result's row is gone. */
static void
test_second_result_adds_no_result(void **state)
{
	struct synq_outcome first = result(1, SYNQ_JOB_FAILED, "first");
	struct synq_outcome second = result(2, SYNQ_JOB_SUCCEEDED, "late");

	(void)state;
	write_one(&first);
	ask("DELETE FROM operations.result");
	write_one(&second);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.result"), 0);
}

static void
test_first_result_in_a_batch_wins(void **state)
{
	struct synq_outcome first = result(1, SYNQ_JOB_EXPIRED, "");
	struct synq_outcome second = result(2, SYNQ_JOB_SUCCEEDED, "late");
	struct synq_batch *batch = synq_batch_new();
	struct written written;

	(void)state;
	synq_batch_outcome(batch, &first);
	synq_batch_outcome(batch, &second);
	written = write_batch(batch);
	assert_int_equal(written.count, 1);
	assert_int_equal(written.states[0], SYNQ_JOB_EXPIRED);
	assert_int_equal(
	    ask_number("SELECT sum(length(body)) FROM operations.result"), 0);
	synq_batch_free(&batch);
}

static void
test_attempt_before_its_request(void **state)
{
	struct synq_outcome one = started(1);
	struct written written = write_one(&one);

	(void)state;
	assert_int_equal(written.count, 1);
	assert_int_equal(written.states[0], SYNQ_JOB_RUNNING);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.job"
		       " WHERE endpoint IS NULL AND state = 'running'"),
	    1);

	written = write_one(NULL);
	assert_int_equal(written.count, 0);
	assert_true(asks("SELECT state || ' ' || model FROM operations.job",
	    "running small"));
}

/* What jsonb and text refuse must not stop the others in the batch. */
static void
test_hostile_values_do_not_stop_a_batch(void **state)
{
	static const char *const bad[] = { "{\"a\":\"\\u0000\"}",
		"{\"a\":\"\\ud800\"}", "{\"a\":1e999999}", "no json" };
	struct synq_batch *batch = synq_batch_new();
	struct synq_request of = request();
	struct synq_outcome one = result(1, SYNQ_JOB_FAILED, "x");
	size_t i;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(bad); i++) {
		of.job_id = id_of((uint8_t)(0x80 + i));
		of.metadata = text(bad[i]);
		of.model = synq_slice_of("a\0b", 3);
		of.deadline_at = INT64_MAX;
		synq_batch_request(batch, &of);
	}
	one.error = synq_slice_of("\0", 1);
	one.attempt = UINT32_MAX;
	one.ended_at = INT64_MAX;
	synq_batch_outcome(batch, &one);
	assert_int_equal(write_batch(batch).rc, 0);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.job"
		       " WHERE metadata IS NULL AND model = 'a?b'"),
	    4);
	synq_batch_free(&batch);
}

/* as_of goes back with a clock that was wrong; 0 leaves it where it is. */
static void
test_offsets_move_with_the_rows(void **state)
{
	const struct synq_request of = request();
	struct synq_batch *batch = synq_batch_new();

	(void)state;
	synq_batch_request(batch, &of);
	move(batch, 3, -1, 10, 5000000);
	move(batch, 4, -1, 20, 6000000);
	assert_int_equal(write_batch(batch).rc, 0);

	synq_batch_clear(batch);
	move(batch, 3, 10, 11, 7000000);
	move(batch, 4, 20, 20, 5000000);
	assert_int_equal(write_batch(batch).rc, 0);
	synq_batch_clear(batch);
	move(batch, 3, 11, 12, 0);
	assert_int_equal(write_batch(batch).rc, 0);
	assert_true(
	    asks("SELECT string_agg(partition || ':' || next || ':'"
		 " || extract(epoch FROM as_of)::int, ' ' ORDER BY partition)"
		 " FROM platform.consumer_offset WHERE consumer = 'recorder'",
		"3:12:7 4:20:5"));
	synq_batch_free(&batch);
}

/* A place that another member moved undoes everything. */
static void
assert_fenced(int64_t expected)
{
	const struct synq_request of = request();
	struct synq_batch *batch = synq_batch_new();
	struct written written;

	synq_batch_request(batch, &of);
	move(batch, 4, -1, 7, 0);
	move(batch, 3, expected, 11, 0);
	written = write_batch(batch);
	assert_int_equal(written.rc, -SYNQ_E_FENCED);
	assert_int_equal(written.count, 0);
	assert_int_equal(ask_number("SELECT count(*) FROM operations.job"), 0);
	assert_int_equal(
	    ask_number("SELECT sum(next)::int FROM platform.consumer_offset"),
	    10);
	synq_batch_free(&batch);
}

static void
test_fenced_batch_writes_nothing(void **state)
{
	(void)state;
	ask("INSERT INTO platform.consumer_offset VALUES"
	    " ('recorder', 'synq.results', 3, 10, now())");
	assert_fenced(-1);
	assert_fenced(9);
	assert_fenced(11);
}

static void
test_fenced_where_the_row_is_missing(void **state)
{
	struct synq_batch *batch = synq_batch_new();

	(void)state;
	move(batch, 3, 10, 11, 0);
	assert_int_equal(write_batch(batch).rc, -SYNQ_E_FENCED);
	synq_batch_free(&batch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    test_request_makes_a_queued_job, set_up_test),
		cmocka_unit_test_setup(
		    test_life_of_a_job_in_order, set_up_test),
		cmocka_unit_test_setup(
		    test_one_batch_tells_the_last_state_only, set_up_test),
		cmocka_unit_test_setup(
		    test_any_order_gives_the_same_rows, set_up_test),
		cmocka_unit_test_setup(
		    test_second_result_changes_nothing, set_up_test),
		cmocka_unit_test_setup(
		    test_second_result_adds_no_result, set_up_test),
		cmocka_unit_test_setup(
		    test_first_result_in_a_batch_wins, set_up_test),
		cmocka_unit_test_setup(
		    test_attempt_before_its_request, set_up_test),
		cmocka_unit_test_setup(
		    test_hostile_values_do_not_stop_a_batch, set_up_test),
		cmocka_unit_test_setup(
		    test_offsets_move_with_the_rows, set_up_test),
		cmocka_unit_test_setup(
		    test_fenced_batch_writes_nothing, set_up_test),
		cmocka_unit_test_setup(
		    test_fenced_where_the_row_is_missing, set_up_test),
	};

	if (find_server() != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
