/*
 * Batches against a server that refuses rows, or whose answers are lost.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "pg/pg.h"
#include "store/batch.h"

#define JOBS 7
#define NONE 0xff

/* A server with one transaction at a time. */
struct world {
	struct synq_batch *batch;
	synq_pg_done_fn *done; /* NULL = nothing is sent */
	size_t sent;
	int with_offsets;
	const char *last_sql;
	uint8_t bad[2];      /* refused while they are sent */
	uint8_t stands[256]; /* by job: its row was taken */
	int told;
	int rc;
};

static struct world *world;

static struct synq_uuid
id_of(uint8_t byte)
{
	struct synq_uuid id;

	memset(id.bytes, byte, sizeof(id.bytes));
	return id;
}

int
synq_pg_start(struct synq_pg *pg, const struct synq_pg_transaction *transaction)
{
	const size_t last = transaction->count - 1;

	(void)pg;
	assert_null(world->done);
	assert_true(transaction->count > 0);
	assert_ptr_equal(world->batch, transaction->ctx);
	world->done = transaction->done;
	world->with_offsets =
	    strstr(transaction->statements[0].sql, "move_offsets") != NULL;
	world->last_sql = transaction->statements[last].sql;
	world->sent++;
	return 0;
}

static void
on_told(void *ctx, int rc, const struct synq_event *events, size_t count,
    const struct synq_err *err)
{
	(void)ctx;
	(void)events;
	(void)count;
	(void)err;
	assert_false(world->told);
	world->told = 1;
	world->rc = rc;
}

/* The server ends the transaction with ${rc}. */
static void
answer(int rc)
{
	const struct synq_pg_rows *rows[4] = { NULL };
	synq_pg_done_fn *done = world->done;
	struct synq_err err = { 0 };

	assert_non_null(done);
	world->done = NULL;
	if (rc != 0)
		(void)synq_fail(&err, (enum synq_code) - rc, "as asked");
	done(world->batch, rc, rc == 0 ? rows : NULL, &err);
}

/* 1 if what is sent has the job ${id}. */
static int
sends(uint8_t id)
{
	const struct synq_batch *batch = world->batch;
	size_t i;

	for (i = batch->part.from; i < batch->part.to && i < batch->jobs.count;
	     i++)
		if (((const struct batch_job *)batch->jobs.rows[i])
			->key.id.bytes[0] == id)
			return 1;
	return 0;
}

/* The server answers until the batch is told. */
static void
serve(void)
{
	uint8_t id;

	while (!world->told) {
		assert_true(world->sent < 64);
		if (sends(world->bad[0]) || sends(world->bad[1])) {
			answer(-SYNQ_E_INVALID);
			continue;
		}
		for (id = 0; id < JOBS; id++)
			world->stands[id] |= (uint8_t)sends(id);
		answer(0);
	}
}

static void
begin(void)
{
	world->told = 0;
	assert_int_equal(
	    0, synq_batch_write(world->batch, NULL, on_told, NULL));
}

static int
setup(void **state)
{
	static struct world the_world;
	uint8_t id;

	(void)state;
	world = &the_world;
	memset(world, 0, sizeof(*world));
	memset(world->bad, NONE, sizeof(world->bad));
	world->batch = synq_batch_new();
	for (id = 0; id < JOBS; id++) {
		const struct synq_request of = { .job_id = id_of(id),
			.organization_id = id_of(1),
			.key_id = id_of(2),
			.endpoint = SYNQ_ENDPOINT_CHAT,
			.model = synq_slice_text("m") };

		synq_batch_request(world->batch, &of);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	synq_batch_free(&world->batch);
	return 0;
}

static void
test_a_batch_is_one_transaction(void **state)
{
	(void)state;
	begin();
	serve();
	assert_int_equal(0, world->rc);
	assert_int_equal(1, world->sent);
	assert_true(world->with_offsets);
}

/* Wherever it lies: all others stand, and the last write moves the offsets. */
static void
test_a_refused_row_does_not_stop_the_others(void **state)
{
	uint8_t bad;
	uint8_t id;

	for (bad = 0; bad < JOBS; bad++) {
		world->bad[0] = bad;
		begin();
		serve();
		assert_int_equal(0, world->rc);
		assert_true(world->with_offsets);
		for (id = 0; id < JOBS; id++)
			assert_int_equal(id != bad, world->stands[id]);
		assert_int_equal(JOBS - 1, batch_rows(world->batch));
		teardown(state);
		setup(state);
	}
}

static void
test_two_refused_rows_are_both_found(void **state)
{
	(void)state;
	world->bad[0] = 2;
	world->bad[1] = 6;
	begin();
	serve();
	assert_int_equal(0, world->rc);
	assert_int_equal(JOBS - 2, batch_rows(world->batch));
}

/* Of all states that it wrote in parts, the last answer tells none. */
static void
test_a_batch_written_in_parts_asks_what_to_tell(void **state)
{
	(void)state;
	world->bad[0] = 3;
	begin();
	serve();
	assert_non_null(strstr(world->last_sql, "SELECT j."));
}

/* Offsets that are refused are no reason to drop a row. */
static void
test_no_row_is_dropped_when_none_is_to_blame(void **state)
{
	(void)state;
	begin();
	while (!world->told)
		answer(world->with_offsets ? -SYNQ_E_INVALID : 0);
	assert_int_equal(-SYNQ_E_REFUSED, world->rc);
	assert_int_equal(JOBS, batch_rows(world->batch));
}

/* A table that is missing is nobody's fault: the caller tries again. */
static void
test_no_row_is_dropped_when_the_server_cannot(void **state)
{
	static const int reasons[] = { -SYNQ_E_REFUSED, -SYNQ_E_DENIED,
		-SYNQ_E_FENCED, -SYNQ_E_UNAVAILABLE, -SYNQ_E_TIMEOUT };
	size_t i;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(reasons); i++) {
		begin();
		answer(reasons[i]);
		assert_int_equal(reasons[i], world->rc);
		begin();
		answer(-SYNQ_E_INVALID);
		answer(reasons[i]);
		assert_int_equal(reasons[i], world->rc);
	}
	assert_int_equal(JOBS, batch_rows(world->batch));
}

/* Else the events of a commit whose answer was lost would never go out. */
static void
test_a_write_that_may_have_arrived_asks_what_to_tell(void **state)
{
	(void)state;
	begin();
	assert_null(strstr(world->last_sql, "SELECT j."));
	answer(-SYNQ_E_UNCERTAIN);
	begin();
	assert_non_null(strstr(world->last_sql, "SELECT j."));
	answer(0);
	assert_int_equal(0, world->rc);

	synq_batch_clear(world->batch); /* the next one is sure again */
	begin();
	assert_null(strstr(world->last_sql, "SELECT j."));
	answer(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_batch_is_one_transaction),
		TEST(test_a_refused_row_does_not_stop_the_others),
		TEST(test_two_refused_rows_are_both_found),
		TEST(test_a_batch_written_in_parts_asks_what_to_tell),
		TEST(test_no_row_is_dropped_when_none_is_to_blame),
		TEST(test_no_row_is_dropped_when_the_server_cannot),
		TEST(test_a_write_that_may_have_arrived_asks_what_to_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
