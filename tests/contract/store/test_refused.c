/*
 * A row that the server does not take, and a commit whose answer was lost: the
 * rest of the batch stands, and what it changed is told.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "store/batch.h"
#include "store/record.h"

#define ORGANIZATION 0x11
#define MAX_EVENTS 16

struct written {
	int told;
	int rc;
	size_t count;
	uint8_t jobs[MAX_EVENTS];
};

static void
add(struct synq_batch *batch, uint8_t job, const char *model)
{
	const struct synq_request request = {
		.job_id = id_of(job),
		.organization_id = id_of(ORGANIZATION),
		.key_id = id_of(0x33),
		.endpoint = SYNQ_ENDPOINT_CHAT,
		.created_at = 1000000,
		.deadline_at = 9000000,
		.model = synq_slice_text(model),
		.body = synq_slice_text("{}"),
	};

	synq_batch_request(batch, &request);
}

static void
move(struct synq_batch *batch, int64_t expected, int64_t next)
{
	const struct synq_batch_offset offset = { .topic = "synq.results",
		.partition = 3,
		.expected = expected,
		.next = next,
		.as_of = 5000000 };

	synq_batch_offset(batch, &offset);
}

static void
on_written(void *ctx, int rc, const struct synq_event *events, size_t count,
    const struct synq_err *err)
{
	struct written *written = ctx;
	size_t i;

	(void)err;
	assert_int_equal(written->told, 0);
	written->told = 1;
	written->rc = rc;
	written->count = count;
	for (i = 0; i < count && i < MAX_EVENTS; i++)
		written->jobs[i] = events[i].job_id.bytes[0];
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

static int
allow(void **state)
{
	(void)state;
	(void)try_sql("ALTER TABLE operations.job DROP CONSTRAINT no_bad");
	(void)try_sql("ALTER TABLE operations.attempt DROP CONSTRAINT no_bad");
	return 0;
}

static void
test_refused_job_is_left_out(void **state)
{
	struct synq_batch *batch = synq_batch_new();
	struct written written;
	uint8_t job;

	(void)state;
	ask("ALTER TABLE operations.job ADD CONSTRAINT no_bad"
	    " CHECK (model <> 'bad')");
	for (job = 1; job <= 9; job++)
		add(batch, job, job == 4 || job == 9 ? "bad" : "small");
	move(batch, -1, 10);
	written = write_batch(batch);
	assert_int_equal(written.rc, 0);
	assert_int_equal(written.count, 7);
	assert_int_equal(ask_number("SELECT count(*) FROM operations.job"), 7);
	assert_int_equal(
	    ask_number("SELECT next FROM platform.consumer_offset"), 10);
	synq_batch_free(&batch);
}

static void
test_refused_attempt_is_left_out(void **state)
{
	const struct synq_outcome began = { .kind = SYNQ_OUTCOME_STARTED,
		.job_id = id_of(1),
		.organization_id = id_of(ORGANIZATION),
		.attempt_id = id_of(0x41),
		.attempt = 1,
		.started_at = 2000000,
		.provider = synq_slice_text("bad"),
		.instance = synq_slice_text("dispatcher-1") };
	struct synq_batch *batch = synq_batch_new();
	struct written written;

	(void)state;
	ask("ALTER TABLE operations.attempt ADD CONSTRAINT no_bad"
	    " CHECK (provider <> 'bad')");
	add(batch, 1, "small");
	add(batch, 2, "small");
	synq_batch_outcome(batch, &began);
	move(batch, -1, 10);
	written = write_batch(batch);
	assert_int_equal(written.rc, 0);
	assert_int_equal(written.count, 2);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.attempt"), 0);
	assert_int_equal(
	    ask_number("SELECT next FROM platform.consumer_offset"), 10);
	synq_batch_free(&batch);
}

/* The commit arrived, its answer did not: now its rows are told. */
static void
test_rows_of_a_lost_answer_are_told(void **state)
{
	struct synq_batch *batch = synq_batch_new();
	struct written written;

	(void)state;
	add(batch, 1, "small");
	move(batch, -1, 10);
	assert_int_equal(write_batch(batch).count, 1);
	synq_batch_clear_offsets(batch);
	move(batch, 10, 10);
	assert_int_equal(write_batch(batch).count, 0);

	batch->unsure = 1;
	written = write_batch(batch);
	assert_int_equal(written.rc, 0);
	assert_int_equal(written.count, 1);
	assert_int_equal(written.jobs[0], 1);
	synq_batch_free(&batch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_test, allow)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused_job_is_left_out),
		TEST(test_refused_attempt_is_left_out),
		TEST(test_rows_of_a_lost_answer_are_told),
	};

	if (find_server() != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
