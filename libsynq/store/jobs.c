#include "store/jobs.h"

#include <string.h>

#include "base/mem.h"
#include "pg/pg.h"
#include "store/inner.h"

/*
 * Two statements in one round trip: how far the projection is, then the rows,
 * so that the first is never ahead of the second.
 *
 * The primary key (organization, id) carries every query: ids sort by time, so
 * a span of time is a span of ids.
 *
 * Failure modes: those of pg; a row that makes no sense is CORRUPT.
 */

/* An id is made a moment before its job's created_at, or on another clock. */
#define SLACK_US (60 * INT64_C(1000000))

struct question {
	struct store_call call;
	enum synq_job_part part;
	synq_jobs_fn *fn;
	void *ctx;
};

/* In the order of COLUMNS. */
enum {
	COLUMN_ID,
	COLUMN_STATE,
	COLUMN_KEY,
	COLUMN_ENDPOINT,
	COLUMN_MODEL,
	COLUMN_PRIORITY,
	COLUMN_METADATA,
	COLUMN_REQUEST_ID,
	COLUMN_RETRY_OF,
	COLUMN_CREATED,
	COLUMN_DEADLINE,
	COLUMN_STARTED,
	COLUMN_ENDED,
	COLUMN_ATTEMPTS,
	COLUMN_PROVIDER,
	COLUMN_PROVIDER_MODEL,
	COLUMN_ANSWER_STATUS,
	COLUMN_ERROR_CODE,
	COLUMN_ERROR,
	COLUMN_INPUT,
	COLUMN_OUTPUT,
	COLUMN_CACHED,
	COLUMN_REASONING,
	COLUMN_BODY
};

#define COLUMNS                                                                \
	"j.id, j.state, j.key_id, j.endpoint, j.model, j.priority,"            \
	" j.metadata::text, j.request_id, j.retry_of, j.created_at,"           \
	" j.deadline_at, j.started_at, j.ended_at, j.attempts, j.provider,"    \
	" j.provider_model, j.answer_status, j.error_code, j.error,"           \
	" j.input_tokens, j.output_tokens, j.cached_tokens,"                   \
	" j.reasoning_tokens"

static const char select_as_of[] =
    "SELECT min(as_of) FROM platform.consumer_offset"
    " WHERE consumer = 'recorder'";

static const char select_rows[] =
    "SELECT " COLUMNS " FROM operations.job j"
    " WHERE j.organization_id = $1 AND j.id = ANY ($2)"
    " AND j.endpoint IS NOT NULL";

static const char select_results[] =
    "SELECT " COLUMNS ", r.body FROM operations.job j"
    " LEFT JOIN operations.result r"
    " ON r.organization_id = j.organization_id AND r.job_id = j.id"
    " AND j.state_rank = 9"
    " WHERE j.organization_id = $1 AND j.id = ANY ($2)"
    " AND j.endpoint IS NOT NULL";

static const char select_list[] =
    "SELECT " COLUMNS " FROM operations.job j"
    " WHERE j.organization_id = $1 AND j.id >= $2 AND j.id < $3"
    " AND j.endpoint IS NOT NULL"
    " AND ($4::text IS NULL OR j.state = $4)"
    " AND ($5::text IS NULL OR j.model = $5)"
    " AND ($6::timestamptz IS NULL OR j.created_at >= $6)"
    " AND ($7::timestamptz IS NULL OR j.created_at < $7)"
    " AND ($8::text IS NULL OR j.metadata @> $8::jsonb)"
    " ORDER BY j.id DESC LIMIT $9";

static int64_t
read_tokens(const struct synq_pg_rows *rows, size_t row, int column)
{
	return synq_pg_is_null(rows, row, column)
	           ? -1
	           : synq_pg_get_int(rows, row, column);
}

static int
read_row(const struct synq_pg_rows *rows, size_t row, struct synq_job_row *ret)
{
	ret->id = synq_pg_get_uuid(rows, row, COLUMN_ID);
	ret->key_id = synq_pg_get_uuid(rows, row, COLUMN_KEY);
	ret->endpoint = synq_pg_get_slice(rows, row, COLUMN_ENDPOINT);
	ret->model = synq_pg_get_slice(rows, row, COLUMN_MODEL);
	ret->priority = (int32_t)synq_pg_get_int(rows, row, COLUMN_PRIORITY);
	ret->metadata = synq_pg_get_slice(rows, row, COLUMN_METADATA);
	ret->request_id = synq_pg_get_slice(rows, row, COLUMN_REQUEST_ID);
	ret->retry_of = synq_pg_get_uuid(rows, row, COLUMN_RETRY_OF);
	ret->created_at = synq_pg_get_time(rows, row, COLUMN_CREATED);
	ret->deadline_at = synq_pg_get_time(rows, row, COLUMN_DEADLINE);
	ret->started_at = synq_pg_get_time(rows, row, COLUMN_STARTED);
	ret->ended_at = synq_pg_get_time(rows, row, COLUMN_ENDED);
	ret->attempts = (int32_t)synq_pg_get_int(rows, row, COLUMN_ATTEMPTS);
	ret->provider = synq_pg_get_slice(rows, row, COLUMN_PROVIDER);
	ret->provider_model =
	    synq_pg_get_slice(rows, row, COLUMN_PROVIDER_MODEL);
	ret->answer_status =
	    (int32_t)synq_pg_get_int(rows, row, COLUMN_ANSWER_STATUS);
	ret->error_code = synq_pg_get_slice(rows, row, COLUMN_ERROR_CODE);
	ret->error = synq_pg_get_slice(rows, row, COLUMN_ERROR);
	ret->input_tokens = read_tokens(rows, row, COLUMN_INPUT);
	ret->output_tokens = read_tokens(rows, row, COLUMN_OUTPUT);
	ret->cached_tokens = read_tokens(rows, row, COLUMN_CACHED);
	ret->reasoning_tokens = read_tokens(rows, row, COLUMN_REASONING);
	return synq_job_state_parse(
	    synq_pg_get_slice(rows, row, COLUMN_STATE), &ret->state);
}

static int
read_rows(const struct question *question, const struct synq_pg_rows *rows,
    struct synq_job_row *ret)
{
	const size_t count = synq_pg_row_count(rows);
	size_t row;

	for (row = 0; row < count; row++) {
		if (read_row(rows, row, &ret[row]) != 0)
			return -SYNQ_E_CORRUPT;
		if (question->part != SYNQ_JOB_WITH_RESULT ||
		    synq_pg_is_null(rows, row, COLUMN_BODY))
			continue;
		ret[row].body = synq_pg_get_slice(rows, row, COLUMN_BODY);
		ret[row].has_body = 1;
	}
	return 0;
}

static void
on_rows(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct question *question = ctx;
	struct synq_job_row *jobs = NULL;
	size_t count = 0;
	int64_t as_of = 0;

	(void)err;
	if (rc == 0) {
		as_of = synq_pg_get_time(rows[0], 0, 0);
		count = synq_pg_row_count(rows[1]);
		jobs = synq_mem_array(count, sizeof(*jobs));
		rc = read_rows(question, rows[1], jobs);
	}
	question->fn(question->ctx, rc, rc == 0 ? jobs : NULL,
	    rc == 0 ? count : 0, as_of);
	synq_mem_free(jobs);
	store_call_free(question);
}

/* Ask ${rows} of ${organization_id}, and how far the projection is. */
static int
ask(struct synq_pg *pg, const struct synq_uuid *organization_id,
    const struct synq_pg_statement *rows, const struct question *question)
{
	const struct synq_pg_statement statements[] = {
		{ select_as_of, NULL, 0 }, *rows
	};
	struct question *copy = store_call_new(sizeof(*copy));
	const struct synq_pg_transaction transaction = {
		.organization_id = organization_id,
		.statements = statements,
		.count = SYNQ_COUNT(statements),
		.done = on_rows,
		.ctx = copy,
	};
	int rc;

	copy->part = question->part;
	copy->fn = question->fn;
	copy->ctx = question->ctx;
	rc = synq_pg_start(pg, &transaction);
	if (rc != 0)
		store_call_free(copy);
	return rc;
}

int
synq_store_jobs(struct synq_pg *pg, const struct synq_jobs_request *request,
    synq_jobs_fn *fn, void *ctx)
{
	const struct question question = {
		.part = request->part, .fn = fn, .ctx = ctx
	};
	struct synq_pg_array *array = synq_pg_array_new(SYNQ_PG_UUID);
	const struct synq_pg_param params[] = {
		synq_pg_uuid(&request->organization_id), synq_pg_array(array)
	};
	const struct synq_pg_statement statement = {
		request->part == SYNQ_JOB_WITH_RESULT ? select_results
						      : select_rows,
		params, SYNQ_COUNT(params)
	};
	size_t i;
	int rc;

	for (i = 0; i < request->count; i++)
		synq_pg_array_add(array, synq_pg_uuid(&request->ids[i]));
	rc = ask(pg, &request->organization_id, &statement, &question);
	synq_pg_array_free(&array);
	return rc;
}

/* The least id that was made at ${wall_us}. */
static struct synq_uuid
first_id_at(int64_t wall_us)
{
	struct synq_uuid id = { { 0 } };
	uint64_t wall_ms = wall_us > 0 ? (uint64_t)wall_us / 1000 : 0;
	size_t i;

	for (i = 6; i > 0; i--) {
		id.bytes[i - 1] = (uint8_t)wall_ms;
		wall_ms >>= 8;
	}
	return id;
}

/* The ids of ${filter}: from *${ret_from}, inclusive, to *${ret_to}. */
static void
span_of(const struct synq_job_filter *filter, struct synq_uuid *ret_from,
    struct synq_uuid *ret_to)
{
	struct synq_uuid to;

	*ret_from = first_id_at(filter->created_from - SLACK_US);
	memset(ret_to, 0xff, sizeof(*ret_to));
	if (!synq_uuid_is_nil(&filter->after))
		*ret_to = filter->after;
	if (filter->created_to <= 0)
		return;
	to = first_id_at(filter->created_to + SLACK_US);
	if (memcmp(&to, ret_to, sizeof(to)) < 0)
		*ret_to = to;
}

static struct synq_pg_param
text_or_null(struct synq_slice text)
{
	return synq_pg_text(text.bytes > 0 ? text : synq_slice_of(NULL, 0));
}

static struct synq_pg_param
time_or_null(int64_t wall_us)
{
	return wall_us > 0 ? synq_pg_time(wall_us) : synq_pg_null();
}

int
synq_store_list_jobs(struct synq_pg *pg,
    const struct synq_uuid *organization_id,
    const struct synq_job_filter *filter, synq_jobs_fn *fn, void *ctx)
{
	const struct question question = {
		.part = SYNQ_JOB_ROW_ONLY, .fn = fn, .ctx = ctx
	};
	struct synq_uuid from;
	struct synq_uuid to;
	const struct synq_pg_param params[] = { synq_pg_uuid(organization_id),
		synq_pg_uuid(&from), synq_pg_uuid(&to),
		text_or_null(filter->state), text_or_null(filter->model),
		time_or_null(filter->created_from),
		time_or_null(filter->created_to),
		text_or_null(filter->metadata),
		synq_pg_int4((int32_t)filter->limit) };
	const struct synq_pg_statement statement = { select_list, params,
		SYNQ_COUNT(params) };

	span_of(filter, &from, &to);
	return ask(pg, organization_id, &statement, &question);
}
