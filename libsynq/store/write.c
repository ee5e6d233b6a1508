/*
 * Writing a batch.
 *
 * Happy path: one transaction moves the offsets and writes the rows; what it
 * changed is told.
 *
 * Failure modes:
 * - A deadlock with another member: tried again.
 * - A row that the server does not take (INVALID).  It would stop all others
 *   for ever, so it is looked for by halves, which are written without offsets:
 *   rows may stand before their offsets do.  Found alone, it is logged and
 *   dropped, and the rest is written.  Its record stays in the log.
 * - Nobody knows whether it was written: it is the caller's to write again, and
 *   then rows that stand do not change.  What changed is no measure any more,
 *   so all jobs are told whose rows stand where the batch says; an event told
 *   twice is the same event.
 */

#include "base/log.h"
#include "base/mem.h"
#include "pg/pg.h"
#include "store/batch.h"
#include "store/record.h"

/* Two members that met once seldom meet again. */
#define MAX_TRIES 8

static void write_on_done(void *ctx, int rc,
    const struct synq_pg_rows *const *rows, const struct synq_err *err);

/*
 * Row ${row} of what changed as an event into ${ret}; 0 if its state did not
 * change: then the row is further than the batch.
 */
static int
write_event(const struct synq_batch *batch, const struct synq_pg_rows *rows,
    size_t row, struct synq_event *ret)
{
	const struct batch_key key = { synq_pg_get_uuid(rows, row, 0),
		synq_pg_get_uuid(rows, row, 1) };
	const struct batch_job *job = batch_find_job(batch, &key);

	if (job == NULL || !synq_slice_is(synq_pg_get_slice(rows, row, 2),
			       synq_job_state_name(job->state)))
		return 0;
	ret->job_id = key.id;
	ret->organization_id = key.organization_id;
	ret->state = job->state;
	ret->happened_at = job->happened_at;
	ret->attempts = (uint32_t)synq_pg_get_int(rows, row, 3);
	ret->model = synq_pg_get_slice(rows, row, 4);
	ret->answer_status = job->answer_status;
	ret->error_code = job->end.error_code;
	return 1;
}

static void
write_tell(struct synq_batch *batch, const struct synq_pg_rows *rows)
{
	const size_t count = rows != NULL ? synq_pg_row_count(rows) : 0;
	struct synq_event *events = synq_mem_array(count, sizeof(*events));
	size_t told = 0;
	size_t row;

	for (row = 0; row < count; row++)
		told += (size_t)write_event(batch, rows, row, &events[told]);
	batch->fn(batch->ctx, 0, events, told, NULL);
	synq_mem_free(events);
}

/* Send the rows from ${from} to before ${to}; 0 or BUSY. */
static int
write_part(struct synq_batch *batch, size_t from, size_t to)
{
	batch->part = (struct batch_part){ from, to };
	batch->tries = 1;
	return batch_send(batch, write_on_done);
}

/* What follows has begun or, by ${rc}, has not: then this is the end. */
static void
write_next(struct synq_batch *batch, int rc)
{
	if (rc != 0)
		batch->fn(batch->ctx, rc, NULL, 0, NULL);
}

static void
write_drop(struct synq_batch *batch, size_t index, const struct synq_err *err)
{
	const size_t jobs = batch->jobs.count;
	const struct batch_attempt *attempt;
	const struct batch_job *job;

	if (index < jobs) {
		job = batch->jobs.rows[index];
		synq_log(SYNQ_LOG_ERROR, "job.not_recorded",
		    SYNQ_F_UUID("job_id", &job->key.id), SYNQ_F_ERR(err),
		    SYNQ_F_END);
	} else {
		attempt = batch->attempts.rows[index - jobs];
		synq_log(SYNQ_LOG_ERROR, "attempt.not_recorded",
		    SYNQ_F_UUID("job_id", &attempt->job_id),
		    SYNQ_F_UUID("attempt_id", &attempt->key.id),
		    SYNQ_F_ERR(err), SYNQ_F_END);
	}
	batch_drop(batch, index);
}

/* Send the first half of the suspects; none left = no row is to blame. */
static void
write_seek(struct synq_batch *batch)
{
	const struct batch_part *suspects = &batch->suspects;
	const size_t count = suspects->to - suspects->from;
	const size_t half = count > 1 ? count / 2 : count;

	batch->seeking = 1;
	write_next(batch, count == 0 ? -SYNQ_E_REFUSED
				     : write_part(batch, suspects->from,
					   suspects->from + half));
}

/* The part was taken: they were not it; or refused: it is among them. */
static void
write_sought(struct synq_batch *batch, int rc, const struct synq_err *err)
{
	const struct batch_part part = batch->part;

	if (rc == 0) {
		batch->unsure = 1;
		batch->suspects.from = part.to;
		write_seek(batch);
	} else if (part.to - part.from > 1) {
		batch->suspects.to = part.to;
		write_seek(batch);
	} else {
		write_drop(batch, part.from, err);
		batch->seeking = 0;
		write_next(batch, write_part(batch, 0, batch_rows(batch)));
	}
}

static void
write_on_done(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct synq_batch *batch = ctx;

	if (rc == -SYNQ_E_CONFLICT && batch->tries < MAX_TRIES) {
		batch->tries++;
		if (batch_send(batch, write_on_done) == 0)
			return;
	}
	if (rc == -SYNQ_E_UNCERTAIN)
		batch->unsure = 1;
	if (rc != 0 && rc != -SYNQ_E_INVALID) {
		batch->fn(batch->ctx, rc, NULL, 0, err);
	} else if (batch->seeking) {
		write_sought(batch, rc, err);
	} else if (rc == 0) {
		write_tell(
		    batch, batch->teller < 0 ? NULL : rows[batch->teller]);
	} else {
		batch->suspects = batch->part;
		write_seek(batch);
	}
}

int
synq_batch_write(
    struct synq_batch *batch, struct synq_pg *pg, synq_batch_fn *fn, void *ctx)
{
	batch->pg = pg;
	batch->fn = fn;
	batch->ctx = ctx;
	batch->seeking = 0;
	batch_sort(&batch->jobs);
	batch_sort(&batch->attempts);
	return write_part(batch, 0, batch_rows(batch));
}
