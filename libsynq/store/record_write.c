/*
 * Writing a batch.
 *
 * One transaction of four statements, sent together: jobs, attempts, results,
 * offsets.  Each is one row source of arrays; the rows go in order of their
 * keys, so that two recorders lock them in the same order.
 *
 * The job's upsert keeps to the order of record.c: rank, attempt, running
 * before retrying; nothing follows a final state.  It returns the rows that it
 * changed, which is what is published.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pg/pg.h"
#include "store/inner.h"
#include "store/record_rows.h"

/* Deadlocks with another recorder, one after the other. */
#define WRITE_TRIES 4

static const char sql_jobs[] =
    "INSERT INTO operations.job AS j (organization_id, id, state,"
    " state_rank, attempts, key_id, endpoint, model, priority, metadata,"
    " request_id, retry_of, created_at, deadline_at, started_at, ended_at,"
    " provider, provider_model, answer_status, error_code, error,"
    " input_tokens, output_tokens, cached_tokens, reasoning_tokens)"
    " SELECT o, i, s, r::smallint, a, k, e, m, p::smallint, d::jsonb, q, y,"
    " c, l, b, f, v, w, h, x, t, ti, tu, tc, tr"
    " FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int4[],"
    " $5::int4[], $6::uuid[], $7::text[], $8::text[], $9::int4[],"
    " $10::text[], $11::text[], $12::uuid[], $13::timestamptz[],"
    " $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],"
    " $17::text[], $18::text[], $19::int4[], $20::text[], $21::text[],"
    " $22::int8[], $23::int8[], $24::int8[], $25::int8[])"
    " AS n (o, i, s, r, a, k, e, m, p, d, q, y, c, l, b, f, v, w, h, x, t,"
    " ti, tu, tc, tr)"
    " ON CONFLICT (organization_id, id) DO UPDATE SET"
    " key_id = coalesce(j.key_id, excluded.key_id),"
    " endpoint = coalesce(j.endpoint, excluded.endpoint),"
    " model = coalesce(j.model, excluded.model),"
    " priority = coalesce(j.priority, excluded.priority),"
    " metadata = coalesce(j.metadata, excluded.metadata),"
    " request_id = coalesce(j.request_id, excluded.request_id),"
    " retry_of = coalesce(j.retry_of, excluded.retry_of),"
    " deadline_at = coalesce(j.deadline_at, excluded.deadline_at),"
    " started_at = least(j.started_at, excluded.started_at),"
    " attempts = greatest(j.attempts, excluded.attempts),"
    " state = CASE WHEN ((j.state_rank < 9) AND (excluded.state_rank, "
    "excluded.attempts,"
    " (excluded.state = 'retrying')::int) > (j.state_rank, j.attempts,"
    " (j.state = 'retrying')::int))"
    " THEN excluded.state ELSE j.state END,"
    " state_rank = greatest(j.state_rank, excluded.state_rank),"
    " ended_at = coalesce(j.ended_at, excluded.ended_at),"
    " provider = CASE WHEN j.state_rank = 9 THEN j.provider"
    " ELSE coalesce(excluded.provider, j.provider) END,"
    " provider_model = CASE WHEN j.state_rank = 9 THEN j.provider_model"
    " ELSE coalesce(excluded.provider_model, j.provider_model) END,"
    " answer_status = coalesce(j.answer_status, excluded.answer_status),"
    " error_code = CASE WHEN j.state_rank = 9 THEN j.error_code"
    " ELSE excluded.error_code END,"
    " error = CASE WHEN j.state_rank = 9 THEN j.error"
    " ELSE excluded.error END,"
    " input_tokens = coalesce(j.input_tokens, excluded.input_tokens),"
    " output_tokens = coalesce(j.output_tokens, excluded.output_tokens),"
    " cached_tokens = coalesce(j.cached_tokens, excluded.cached_tokens),"
    " reasoning_tokens = coalesce(j.reasoning_tokens,"
    " excluded.reasoning_tokens)"
    " WHERE ((j.state_rank < 9) AND (excluded.state_rank, excluded.attempts,"
    " (excluded.state = 'retrying')::int) > (j.state_rank, j.attempts,"
    " (j.state = 'retrying')::int))"
    " OR (j.endpoint IS NULL AND excluded.endpoint IS NOT NULL)"
    " RETURNING j.organization_id, j.id, j.state, j.model, j.attempts,"
    " j.answer_status, j.error_code";

static const char sql_attempts[] =
    "INSERT INTO operations.attempt AS a (organization_id, id, job_id,"
    " attempt, state, state_rank, instance, boot_id, provider,"
    " provider_model, started_at, ended_at, http_status, error_code, error,"
    " input_tokens, output_tokens, cached_tokens, reasoning_tokens)"
    " SELECT o, i, j, n, s, r::smallint, t, b, p, m, f, l, h, c, e, ti, tu,"
    " tc, tr"
    " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int4[],"
    " $5::text[], $6::int4[], $7::text[], $8::uuid[], $9::text[],"
    " $10::text[], $11::timestamptz[], $12::timestamptz[], $13::int4[],"
    " $14::text[], $15::text[], $16::int8[], $17::int8[], $18::int8[],"
    " $19::int8[])"
    " AS x (o, i, j, n, s, r, t, b, p, m, f, l, h, c, e, ti, tu, tc, tr)"
    " ON CONFLICT (organization_id, id) DO UPDATE SET"
    " instance = coalesce(a.instance, excluded.instance),"
    " boot_id = coalesce(a.boot_id, excluded.boot_id),"
    " started_at = coalesce(a.started_at, excluded.started_at),"
    " state = CASE WHEN a.state_rank < 9 THEN excluded.state"
    " ELSE a.state END,"
    " state_rank = greatest(a.state_rank, excluded.state_rank),"
    " ended_at = coalesce(a.ended_at, excluded.ended_at),"
    " http_status = coalesce(a.http_status, excluded.http_status),"
    " error_code = coalesce(a.error_code, excluded.error_code),"
    " error = coalesce(a.error, excluded.error),"
    " input_tokens = coalesce(a.input_tokens, excluded.input_tokens),"
    " output_tokens = coalesce(a.output_tokens, excluded.output_tokens),"
    " cached_tokens = coalesce(a.cached_tokens, excluded.cached_tokens),"
    " reasoning_tokens = coalesce(a.reasoning_tokens,"
    " excluded.reasoning_tokens)"
    " WHERE excluded.state_rank > a.state_rank"
    " OR (a.instance IS NULL AND excluded.instance IS NOT NULL)";

/*
 * A second final result comes here too, and finds the first: the job's row and
 * its result are always written in the same transaction.
 */
static const char sql_results[] =
    "INSERT INTO operations.result (organization_id, job_id, answer_status,"
    " body)"
    " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int4[], $4::bytea[])"
    " ON CONFLICT DO NOTHING";

static const char sql_offsets[] =
    "SELECT platform.move_offsets('recorder', $1::text[], $2::int4[],"
    " $3::int8[], $4::int8[], $5::timestamptz[])";

static const char sql_offset[] =
    "SELECT next FROM platform.consumer_offset"
    " WHERE consumer = 'recorder' AND topic = $1::text"
    " AND partition = $2::int4";

static const char sql_sweep[] =
    "DELETE FROM operations.idempotency WHERE ctid = ANY (ARRAY("
    "SELECT ctid FROM operations.idempotency WHERE expires_at < now()"
    " ORDER BY expires_at LIMIT 10000))";

#define JOB_COLUMNS 25
#define ATTEMPT_COLUMNS 19
#define RESULT_COLUMNS 4
#define OFFSET_COLUMNS 5

static const enum synq_pg_type job_types[JOB_COLUMNS] = { SYNQ_PG_UUID,
	SYNQ_PG_UUID, SYNQ_PG_TEXT, SYNQ_PG_INT4, SYNQ_PG_INT4, SYNQ_PG_UUID,
	SYNQ_PG_TEXT, SYNQ_PG_TEXT, SYNQ_PG_INT4, SYNQ_PG_TEXT, SYNQ_PG_TEXT,
	SYNQ_PG_UUID, SYNQ_PG_TIME, SYNQ_PG_TIME, SYNQ_PG_TIME, SYNQ_PG_TIME,
	SYNQ_PG_TEXT, SYNQ_PG_TEXT, SYNQ_PG_INT4, SYNQ_PG_TEXT, SYNQ_PG_TEXT,
	SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_INT8 };

static const enum synq_pg_type attempt_types[ATTEMPT_COLUMNS] = { SYNQ_PG_UUID,
	SYNQ_PG_UUID, SYNQ_PG_UUID, SYNQ_PG_INT4, SYNQ_PG_TEXT, SYNQ_PG_INT4,
	SYNQ_PG_TEXT, SYNQ_PG_UUID, SYNQ_PG_TEXT, SYNQ_PG_TEXT, SYNQ_PG_TIME,
	SYNQ_PG_TIME, SYNQ_PG_INT4, SYNQ_PG_TEXT, SYNQ_PG_TEXT, SYNQ_PG_INT8,
	SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_INT8 };

static const enum synq_pg_type result_types[RESULT_COLUMNS] = { SYNQ_PG_UUID,
	SYNQ_PG_UUID, SYNQ_PG_INT4, SYNQ_PG_BYTEA };

static const enum synq_pg_type offset_types[OFFSET_COLUMNS] = { SYNQ_PG_TEXT,
	SYNQ_PG_INT4, SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_TIME };

/* The arrays of the four statements, kept from batch to batch. */
struct record_columns {
	struct synq_pg_array *jobs[JOB_COLUMNS];
	struct synq_pg_array *attempts[ATTEMPT_COLUMNS];
	struct synq_pg_array *results[RESULT_COLUMNS];
	struct synq_pg_array *offsets[OFFSET_COLUMNS];
};

/* A write that waits for its answer. */
struct record_write {
	struct store_call call;
	struct synq_batch *batch;
	struct synq_pg *pg;
	synq_batch_fn *fn;
	void *ctx;
	int tries;
};

/* A look-up of an offset. */
struct record_look {
	struct store_call call;
	synq_offset_fn *fn;
	void *ctx;
};

static void
columns_new(
    struct synq_pg_array **arrays, const enum synq_pg_type *types, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (arrays[i] == NULL)
			arrays[i] = synq_pg_array_new(types[i]);
		synq_pg_array_clear(arrays[i]);
	}
}

static void
columns_free(struct synq_pg_array **arrays, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		synq_pg_array_free(&arrays[i]);
}

void
record_columns_free(struct record_columns **columns)
{
	struct record_columns *self = *columns;

	if (self == NULL)
		return;
	columns_free(self->jobs, JOB_COLUMNS);
	columns_free(self->attempts, ATTEMPT_COLUMNS);
	columns_free(self->results, RESULT_COLUMNS);
	columns_free(self->offsets, OFFSET_COLUMNS);
	synq_mem_free(self);
	*columns = NULL;
}

static struct synq_pg_param
param_time(int64_t wall_us)
{
	return wall_us == 0 ? synq_pg_null() : synq_pg_time(wall_us);
}

static struct synq_pg_param
param_uuid(const struct synq_uuid *id)
{
	return synq_pg_uuid(synq_uuid_is_nil(id) ? NULL : id);
}

static struct synq_pg_param
param_count(int64_t count)
{
	return count < 0 ? synq_pg_null() : synq_pg_int8(count);
}

static struct synq_pg_param
param_status(int32_t status)
{
	return status == 0 ? synq_pg_null() : synq_pg_int4(status);
}

/* Text that is NULL where it is empty; ${known} 0 makes it NULL anyway. */
static struct synq_pg_param
param_text(struct synq_slice text, int known)
{
	return known && text.bytes > 0 ? synq_pg_text(text) : synq_pg_null();
}

static void
add_all(struct synq_pg_array **arrays, const struct synq_pg_param *params,
    size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		synq_pg_array_add(arrays[i], params[i]);
}

static void
add_job(struct record_columns *columns, const struct record_job *job)
{
	const int known = job->known;
	const struct synq_pg_param params[JOB_COLUMNS] = {
		synq_pg_uuid(&job->organization_id),
		synq_pg_uuid(&job->id),
		synq_pg_text(synq_slice_text(synq_job_state_name(job->state))),
		synq_pg_int4(synq_job_rank(job->state)),
		synq_pg_int4((int32_t)job->attempts),
		param_uuid(&job->key_id),
		param_text(
		    known ? synq_slice_text(synq_endpoint_path(job->endpoint))
			  : synq_slice_text(NULL),
		    known),
		param_text(job->model, known),
		known ? synq_pg_int4(job->priority) : synq_pg_null(),
		param_text(job->metadata, known),
		param_text(job->request_id, known),
		param_uuid(&job->retry_of),
		synq_pg_time(job->created_at),
		param_time(job->deadline_at),
		param_time(job->started_at),
		param_time(job->ended_at),
		param_text(job->provider, 1),
		param_text(job->provider_model, 1),
		param_status(job->answer_status),
		param_text(job->error_code, 1),
		param_text(job->error, 1),
		param_count(job->usage.input_tokens),
		param_count(job->usage.output_tokens),
		param_count(job->usage.cached_tokens),
		param_count(job->usage.reasoning_tokens),
	};
	const struct synq_pg_param result[RESULT_COLUMNS] = {
		synq_pg_uuid(&job->organization_id),
		synq_pg_uuid(&job->id),
		synq_pg_int4(job->answer_status),
		synq_pg_bytes(job->body),
	};

	add_all(columns->jobs, params, JOB_COLUMNS);
	if (job->has_body)
		add_all(columns->results, result, RESULT_COLUMNS);
}

static void
add_attempt(
    struct record_columns *columns, const struct record_attempt *attempt)
{
	const struct synq_pg_param params[ATTEMPT_COLUMNS] = {
		synq_pg_uuid(&attempt->organization_id),
		synq_pg_uuid(&attempt->id),
		synq_pg_uuid(&attempt->job_id),
		synq_pg_int4((int32_t)attempt->attempt),
		synq_pg_text(synq_slice_text(attempt->state)),
		synq_pg_int4(attempt->ended ? 9 : 1),
		param_text(attempt->instance, 1),
		param_uuid(&attempt->boot_id),
		param_text(attempt->provider, 1),
		param_text(attempt->provider_model, 1),
		param_time(attempt->started_at),
		param_time(attempt->ended_at),
		param_status(attempt->http_status),
		param_text(attempt->error_code, 1),
		param_text(attempt->error, 1),
		param_count(attempt->usage.input_tokens),
		param_count(attempt->usage.output_tokens),
		param_count(attempt->usage.cached_tokens),
		param_count(attempt->usage.reasoning_tokens),
	};

	add_all(columns->attempts, params, ATTEMPT_COLUMNS);
}

static void
add_offset(struct record_columns *columns, const struct record_offset *offset)
{
	const struct synq_pg_param params[OFFSET_COLUMNS] = {
		synq_pg_text(synq_slice_text(offset->topic)),
		synq_pg_int4(offset->partition),
		synq_pg_int8(offset->expected),
		synq_pg_int8(offset->next),
		synq_pg_time(offset->as_of),
	};

	add_all(columns->offsets, params, OFFSET_COLUMNS);
}

/* Rows begin with organization_id and id: in the order of the primary key. */
static int
by_key(const void *a, const void *b)
{
	const void *const *left = a;
	const void *const *right = b;

	return memcmp(*left, *right, 2 * sizeof(struct synq_uuid));
}

/* The values of ${map}, sorted; the caller frees the array. */
static void **
sorted_rows(const struct synq_map *map)
{
	void **rows = synq_mem_array(synq_map_count(map) + 1, sizeof(*rows));
	size_t cursor = 0;
	size_t count = 0;
	void *row;

	while ((row = synq_map_next(map, &cursor)) != NULL)
		rows[count++] = row;
	qsort(rows, count, sizeof(*rows), by_key);
	return rows;
}

/* Fill the columns of ${batch} from its rows. */
static void
columns_fill(struct synq_batch *batch)
{
	struct record_columns *columns = batch->columns;
	void **rows;
	size_t i;

	if (columns == NULL)
		columns = batch->columns = synq_mem_new(sizeof(*columns));
	columns_new(columns->jobs, job_types, JOB_COLUMNS);
	columns_new(columns->attempts, attempt_types, ATTEMPT_COLUMNS);
	columns_new(columns->results, result_types, RESULT_COLUMNS);
	columns_new(columns->offsets, offset_types, OFFSET_COLUMNS);
	rows = sorted_rows(batch->jobs);
	for (i = 0; rows[i] != NULL; i++)
		add_job(columns, rows[i]);
	synq_mem_free(rows);
	rows = sorted_rows(batch->attempts);
	for (i = 0; rows[i] != NULL; i++)
		add_attempt(columns, rows[i]);
	synq_mem_free(rows);
	for (i = 0; i < batch->offset_count; i++)
		add_offset(columns, &batch->offsets[i]);
}

static void
array_params(
    struct synq_pg_array **arrays, size_t count, struct synq_pg_param *ret)
{
	size_t i;

	for (i = 0; i < count; i++)
		ret[i] = synq_pg_array(arrays[i]);
}

static void write_on_done(void *ctx, int rc,
    const struct synq_pg_rows *const *rows, const struct synq_err *err);

/* Send the columns of ${write}->batch as one transaction. */
static int
write_send(struct record_write *write)
{
	struct record_columns *columns = write->batch->columns;
	struct synq_pg_param jobs[JOB_COLUMNS];
	struct synq_pg_param attempts[ATTEMPT_COLUMNS];
	struct synq_pg_param results[RESULT_COLUMNS];
	struct synq_pg_param offsets[OFFSET_COLUMNS];
	const struct synq_pg_statement statements[] = {
		{ sql_offsets, offsets, OFFSET_COLUMNS },
		{ sql_jobs, jobs, JOB_COLUMNS },
		{ sql_attempts, attempts, ATTEMPT_COLUMNS },
		{ sql_results, results, RESULT_COLUMNS },
	};
	const struct synq_pg_transaction transaction = {
		.statements = statements,
		.count = SYNQ_COUNT(statements),
		.done = write_on_done,
		.ctx = write,
	};

	array_params(columns->jobs, JOB_COLUMNS, jobs);
	array_params(columns->attempts, ATTEMPT_COLUMNS, attempts);
	array_params(columns->results, RESULT_COLUMNS, results);
	array_params(columns->offsets, OFFSET_COLUMNS, offsets);
	return synq_pg_start(write->pg, &transaction);
}

/* One state change of ${rows}. */
static struct synq_event
write_event(const struct synq_pg_rows *rows, size_t row)
{
	struct synq_event event = {
		.organization_id = synq_pg_get_uuid(rows, row, 0),
		.job_id = synq_pg_get_uuid(rows, row, 1),
		.model = synq_pg_get_slice(rows, row, 3),
		.attempts = (uint32_t)synq_pg_get_int(rows, row, 4),
		.answer_status = (int32_t)synq_pg_get_int(rows, row, 5),
		.error_code = synq_pg_get_slice(rows, row, 6),
	};

	if (synq_job_state_parse(
		synq_pg_get_slice(rows, row, 2), &event.state) != 0)
		event.state = SYNQ_JOB_ACCEPTED;
	return event;
}

static void
write_on_done(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct record_write *write = ctx;
	struct synq_event *events = NULL;
	size_t count = 0;
	size_t i;

	if (rc == -SYNQ_E_CONFLICT && ++write->tries < WRITE_TRIES &&
	    write_send(write) == 0)
		return;
	if (rc == 0) {
		count = synq_pg_row_count(rows[1]);
		events = synq_mem_array(count + 1, sizeof(*events));
		for (i = 0; i < count; i++) {
			events[i] = write_event(rows[1], i);
			events[i].happened_at = synq_clock_wall_us();
		}
	}
	write->fn(write->ctx, rc, events, count, err);
	synq_mem_free(events);
	store_call_free(write);
}

int
synq_batch_write(
    struct synq_batch *batch, struct synq_pg *pg, synq_batch_fn *fn, void *ctx)
{
	struct record_write *write = store_call_new(sizeof(*write));
	int rc;

	write->batch = batch;
	write->pg = pg;
	write->fn = fn;
	write->ctx = ctx;
	columns_fill(batch);
	rc = write_send(write);
	if (rc != 0)
		store_call_free(write);
	return rc;
}

static void
look_on_done(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct record_look *look = ctx;
	int64_t next = -1;

	(void)err;
	if (rc == 0 && synq_pg_row_count(rows[0]) == 1)
		next = synq_pg_get_int(rows[0], 0, 0);
	look->fn(look->ctx, rc, next);
	store_call_free(look);
}

int
synq_store_offset(struct synq_pg *pg, const char *topic, int32_t partition,
    synq_offset_fn *fn, void *ctx)
{
	struct record_look *look = store_call_new(sizeof(*look));
	const struct synq_pg_param params[] = {
		synq_pg_text(synq_slice_text(topic)),
		synq_pg_int4(partition),
	};
	const struct synq_pg_statement statement = { sql_offset, params,
		SYNQ_COUNT(params) };
	const struct synq_pg_transaction transaction = {
		.statements = &statement,
		.count = 1,
		.done = look_on_done,
		.ctx = look,
	};
	int rc;

	look->fn = fn;
	look->ctx = ctx;
	rc = synq_pg_start(pg, &transaction);
	if (rc != 0)
		store_call_free(look);
	return rc;
}

static void
sweep_on_done(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	(void)ctx;
	(void)rc;
	(void)rows;
	(void)err;
}

void
synq_store_sweep(struct synq_pg *pg)
{
	const struct synq_pg_statement statement = { sql_sweep, NULL, 0 };
	const struct synq_pg_transaction transaction = {
		.statements = &statement,
		.count = 1,
		.done = sweep_on_done,
	};

	/* Busy: the next sweep comes soon enough. */
	(void)(synq_pg_start(pg, &transaction) == 0);
}
