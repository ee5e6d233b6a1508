#include "store/record.h"

#include "pg/pg.h"
#include "store/batch.h"

/*
 * A batch as a transaction of at most four statements, all sent at once.  The
 * offsets move first, so that a batch of a member that was overtaken costs
 * nothing and two of them never wait for each other's rows; then jobs with
 * their results, then attempts.
 *
 * The rules of batch.c hold in the tables too: a job's (rank, attempts,
 * retrying) only grows, a final row never changes.  A result is stored only in
 * the statement that made its job final, so a later one finds nothing to do.
 *
 * Failure modes: FENCED by platform.move_offsets; a deadlock with another
 * member is tried again; all else is the caller's, who may write the same
 * batch again: rows that stand do not change, and make no events.
 *
 * unnest stands among what is selected, not in FROM, where PostgreSQL would
 * first put each array into a store of its own.
 */

/* excluded is further than the row j, which is not final. */
#define JOB_MOVES                                                              \
	"(excluded.state_rank > j.state_rank"                                  \
	" OR (excluded.state_rank = 2 AND j.state_rank = 2"                    \
	" AND (excluded.attempts, excluded.state = 'retrying')"                \
	" > (j.attempts, j.state = 'retrying')))"

static const char write_jobs[] =
    "WITH changed AS ("
    "INSERT INTO operations.job AS j (organization_id, id, state, state_rank,"
    " key_id, endpoint, model, priority, metadata, request_id, retry_of,"
    " created_at, deadline_at, started_at, ended_at, attempts, provider,"
    " provider_model, answer_status, error_code, error, input_tokens,"
    " output_tokens, cached_tokens, reasoning_tokens)"
    " SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]),"
    " unnest($4::int[]), unnest($5::uuid[]), unnest($6::text[]),"
    " unnest($7::text[]), unnest($8::int[]),"
    " platform.jsonb_or_null(unnest($9::text[])), unnest($10::text[]),"
    " unnest($11::uuid[]), unnest($12::timestamptz[]),"
    " unnest($13::timestamptz[]), unnest($14::timestamptz[]),"
    " unnest($15::timestamptz[]), unnest($16::int[]), unnest($17::text[]),"
    " unnest($18::text[]), unnest($19::int[]), unnest($20::text[]),"
    " unnest($21::text[]), unnest($22::bigint[]), unnest($23::bigint[]),"
    " unnest($24::bigint[]), unnest($25::bigint[])"
    " ON CONFLICT (organization_id, id) DO UPDATE SET"
    " state = CASE WHEN " JOB_MOVES " THEN excluded.state ELSE j.state END,"
    " state_rank = greatest(j.state_rank, excluded.state_rank),"
    " key_id = coalesce(j.key_id, excluded.key_id),"
    " endpoint = coalesce(j.endpoint, excluded.endpoint),"
    " model = coalesce(j.model, excluded.model),"
    " priority = coalesce(j.priority, excluded.priority),"
    " metadata = coalesce(j.metadata, excluded.metadata),"
    " request_id = coalesce(j.request_id, excluded.request_id),"
    " retry_of = coalesce(j.retry_of, excluded.retry_of),"
    " created_at = coalesce(j.created_at, excluded.created_at),"
    " deadline_at = coalesce(j.deadline_at, excluded.deadline_at),"
    " started_at = least(j.started_at, excluded.started_at),"
    " attempts = greatest(j.attempts, excluded.attempts),"
    " provider = CASE WHEN " JOB_MOVES
    " THEN coalesce(excluded.provider, j.provider)"
    " ELSE j.provider END,"
    " provider_model = CASE WHEN " JOB_MOVES
    " THEN coalesce(excluded.provider_model, j.provider_model)"
    " ELSE j.provider_model END,"
    " ended_at = excluded.ended_at,"
    " answer_status = excluded.answer_status,"
    " error_code = excluded.error_code,"
    " error = excluded.error,"
    " input_tokens = excluded.input_tokens,"
    " output_tokens = excluded.output_tokens,"
    " cached_tokens = excluded.cached_tokens,"
    " reasoning_tokens = excluded.reasoning_tokens"
    " WHERE j.state_rank < 9 AND (" JOB_MOVES
    " OR (j.endpoint IS NULL AND excluded.endpoint IS NOT NULL)"
    " OR excluded.started_at < coalesce(j.started_at, 'infinity'))"
    " RETURNING organization_id, id, state, state_rank, attempts, model"
    "), kept AS ("
    "INSERT INTO operations.result"
    " (organization_id, job_id, answer_status, body)"
    " SELECT r.organization_id, r.job_id, r.answer_status, r.body"
    " FROM (SELECT unnest($26::uuid[]) AS organization_id,"
    " unnest($27::uuid[]) AS job_id, unnest($28::int[]) AS answer_status,"
    " unnest($29::bytea[]) AS body) r"
    " JOIN changed c ON c.organization_id = r.organization_id"
    " AND c.id = r.job_id AND c.state_rank = 9"
    " ON CONFLICT DO NOTHING)"
    " SELECT organization_id, id, state, attempts, model FROM changed";

enum {
	JOB_ORGANIZATION,
	JOB_ID,
	JOB_STATE,
	JOB_RANK,
	JOB_KEY,
	JOB_ENDPOINT,
	JOB_MODEL,
	JOB_PRIORITY,
	JOB_METADATA,
	JOB_REQUEST_ID,
	JOB_RETRY_OF,
	JOB_CREATED,
	JOB_DEADLINE,
	JOB_STARTED,
	JOB_ENDED,
	JOB_ATTEMPTS,
	JOB_PROVIDER,
	JOB_PROVIDER_MODEL,
	JOB_ANSWER_STATUS,
	JOB_ERROR_CODE,
	JOB_ERROR,
	JOB_INPUT,
	JOB_OUTPUT,
	JOB_CACHED,
	JOB_REASONING,
	RESULT_ORGANIZATION,
	RESULT_JOB,
	RESULT_STATUS,
	RESULT_BODY,
	JOB_PARAMS
};

static const enum synq_pg_type job_types[JOB_PARAMS] = { SYNQ_PG_UUID,
	SYNQ_PG_UUID, SYNQ_PG_TEXT, SYNQ_PG_INT4, SYNQ_PG_UUID, SYNQ_PG_TEXT,
	SYNQ_PG_TEXT, SYNQ_PG_INT4, SYNQ_PG_TEXT, SYNQ_PG_TEXT, SYNQ_PG_UUID,
	SYNQ_PG_TIME, SYNQ_PG_TIME, SYNQ_PG_TIME, SYNQ_PG_TIME, SYNQ_PG_INT4,
	SYNQ_PG_TEXT, SYNQ_PG_TEXT, SYNQ_PG_INT4, SYNQ_PG_TEXT, SYNQ_PG_TEXT,
	SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_UUID,
	SYNQ_PG_UUID, SYNQ_PG_INT4, SYNQ_PG_BYTEA };

/*
 * Whoever knows that an attempt ended wins over who knows that it began; what
 * only the beginning knows is kept in either order.
 */
#define ATTEMPT_ENDS "excluded.state_rank > a.state_rank"

static const char write_attempts[] =
    "INSERT INTO operations.attempt AS a (organization_id, id, job_id,"
    " attempt, state, state_rank, instance, boot_id, provider,"
    " provider_model, started_at, ended_at, http_status, error_code, error,"
    " input_tokens, output_tokens, cached_tokens, reasoning_tokens)"
    " SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::uuid[]),"
    " unnest($4::int[]), unnest($5::text[]), unnest($6::int[]),"
    " unnest($7::text[]), unnest($8::uuid[]), unnest($9::text[]),"
    " unnest($10::text[]), unnest($11::timestamptz[]),"
    " unnest($12::timestamptz[]), unnest($13::int[]), unnest($14::text[]),"
    " unnest($15::text[]), unnest($16::bigint[]), unnest($17::bigint[]),"
    " unnest($18::bigint[]), unnest($19::bigint[])"
    " ON CONFLICT (organization_id, job_id, id) DO UPDATE SET"
    " state = CASE WHEN " ATTEMPT_ENDS " THEN excluded.state"
    " ELSE a.state END,"
    " state_rank = greatest(a.state_rank, excluded.state_rank),"
    " instance = coalesce(a.instance, excluded.instance),"
    " boot_id = coalesce(a.boot_id, excluded.boot_id),"
    " provider = coalesce(a.provider, excluded.provider),"
    " provider_model = CASE WHEN " ATTEMPT_ENDS
    " THEN coalesce(excluded.provider_model, a.provider_model)"
    " ELSE coalesce(a.provider_model, excluded.provider_model) END,"
    " started_at = least(a.started_at, excluded.started_at),"
    " ended_at = CASE WHEN " ATTEMPT_ENDS
    " THEN excluded.ended_at ELSE a.ended_at END,"
    " http_status = CASE WHEN " ATTEMPT_ENDS
    " THEN excluded.http_status ELSE a.http_status END,"
    " error_code = CASE WHEN " ATTEMPT_ENDS
    " THEN excluded.error_code ELSE a.error_code END,"
    " error = CASE WHEN " ATTEMPT_ENDS " THEN excluded.error ELSE a.error END,"
    " input_tokens = CASE WHEN " ATTEMPT_ENDS
    " THEN excluded.input_tokens ELSE a.input_tokens END,"
    " output_tokens = CASE WHEN " ATTEMPT_ENDS
    " THEN excluded.output_tokens ELSE a.output_tokens END,"
    " cached_tokens = CASE WHEN " ATTEMPT_ENDS
    " THEN excluded.cached_tokens ELSE a.cached_tokens END,"
    " reasoning_tokens = CASE WHEN " ATTEMPT_ENDS
    " THEN excluded.reasoning_tokens ELSE a.reasoning_tokens END"
    " WHERE " ATTEMPT_ENDS
    " OR (a.instance IS NULL AND excluded.instance IS NOT NULL)";

enum {
	ATTEMPT_ORGANIZATION,
	ATTEMPT_ID,
	ATTEMPT_JOB,
	ATTEMPT_NUMBER,
	ATTEMPT_STATE,
	ATTEMPT_RANK,
	ATTEMPT_INSTANCE,
	ATTEMPT_BOOT,
	ATTEMPT_PROVIDER,
	ATTEMPT_PROVIDER_MODEL,
	ATTEMPT_STARTED,
	ATTEMPT_ENDED,
	ATTEMPT_HTTP_STATUS,
	ATTEMPT_ERROR_CODE,
	ATTEMPT_ERROR,
	ATTEMPT_INPUT,
	ATTEMPT_OUTPUT,
	ATTEMPT_CACHED,
	ATTEMPT_REASONING,
	ATTEMPT_PARAMS
};

static const enum synq_pg_type attempt_types[ATTEMPT_PARAMS] = { SYNQ_PG_UUID,
	SYNQ_PG_UUID, SYNQ_PG_UUID, SYNQ_PG_INT4, SYNQ_PG_TEXT, SYNQ_PG_INT4,
	SYNQ_PG_TEXT, SYNQ_PG_UUID, SYNQ_PG_TEXT, SYNQ_PG_TEXT, SYNQ_PG_TIME,
	SYNQ_PG_TIME, SYNQ_PG_INT4, SYNQ_PG_TEXT, SYNQ_PG_TEXT, SYNQ_PG_INT8,
	SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_INT8 };

/* Where the jobs of a batch stand, in the form of what changed. */
static const char read_jobs[] =
    "SELECT j.organization_id, j.id, j.state, j.attempts, j.model"
    " FROM unnest($1::uuid[], $2::uuid[]) AS n (organization_id, id)"
    " JOIN operations.job j USING (organization_id, id)";

static const char move_offsets[] =
    "SELECT platform.move_offsets('" BATCH_CONSUMER "', $1, $2, $3, $4, $5)";

enum {
	OFFSET_TOPIC,
	OFFSET_PARTITION,
	OFFSET_EXPECTED,
	OFFSET_NEXT,
	OFFSET_AS_OF,
	OFFSET_PARAMS
};

static const enum synq_pg_type offset_types[OFFSET_PARAMS] = { SYNQ_PG_TEXT,
	SYNQ_PG_INT4, SYNQ_PG_INT8, SYNQ_PG_INT8, SYNQ_PG_TIME };

/* The arrays of one statement. */
struct columns {
	struct synq_pg_array *arrays[JOB_PARAMS];
	struct synq_pg_param params[JOB_PARAMS];
	size_t count;
};

/* What of a transaction is built and freed again once it is sent. */
struct writing {
	struct columns jobs;
	struct columns attempts;
	struct columns offsets;
	struct synq_pg_statement statements[4];
	size_t count;
};

/* ---- columns ---- */

static void
columns_init(
    struct columns *columns, const enum synq_pg_type *types, size_t count)
{
	size_t i;

	columns->count = count;
	for (i = 0; i < count; i++) {
		columns->arrays[i] = synq_pg_array_new(types[i]);
		columns->params[i] = synq_pg_array(columns->arrays[i]);
	}
}

static void
columns_done(struct columns *columns)
{
	size_t i;

	for (i = 0; i < columns->count; i++)
		synq_pg_array_free(&columns->arrays[i]);
}

static void
add_int(struct columns *columns, int column, int64_t number)
{
	synq_pg_array_add(columns->arrays[column],
	    synq_pg_int4(number > INT32_MAX ? INT32_MAX : (int32_t)number));
}

static void
add_null(struct columns *columns, int column)
{
	synq_pg_array_add(columns->arrays[column], synq_pg_null());
}

/* Add ${number}; 0 is NULL. */
static void
add_some(struct columns *columns, int column, int64_t number)
{
	if (number == 0)
		add_null(columns, column);
	else
		add_int(columns, column, number);
}

static void
add_text(struct columns *columns, int column, struct synq_slice text)
{
	synq_pg_array_add(columns->arrays[column], synq_pg_text(text));
}

/* Add ${id}; the nil uuid is NULL. */
static void
add_id(struct columns *columns, int column, const struct synq_uuid *id)
{
	synq_pg_array_add(columns->arrays[column],
	    synq_pg_uuid(synq_uuid_is_nil(id) ? NULL : id));
}

/* Add ${wall_us}; 0 is NULL. */
static void
add_time(struct columns *columns, int column, int64_t wall_us)
{
	synq_pg_array_add(columns->arrays[column],
	    wall_us == 0 ? synq_pg_null() : synq_pg_time(wall_us));
}

/* Add ${tokens}, of which -1, or any number of a row that has not ended. */
static void
add_tokens(struct columns *columns, int column, const struct batch_end *end,
    int64_t tokens)
{
	synq_pg_array_add(columns->arrays[column],
	    end->ended_at == 0 || tokens < 0 ? synq_pg_null()
					     : synq_pg_int8(tokens));
}

/* ---- rows ---- */

static void
add_details(struct columns *columns, const struct batch_job *job)
{
	const struct batch_details *details = &job->details;

	add_id(columns, JOB_KEY, &details->key_id);
	add_text(columns, JOB_ENDPOINT,
	    job->has_details ? synq_slice_text(details->endpoint)
			     : synq_slice_of(NULL, 0));
	add_text(columns, JOB_METADATA, details->metadata);
	add_text(columns, JOB_REQUEST_ID, details->request_id);
	add_id(columns, JOB_RETRY_OF, &details->retry_of);
	if (!job->has_details) {
		add_text(columns, JOB_MODEL, synq_slice_of(NULL, 0));
		add_null(columns, JOB_PRIORITY);
		add_null(columns, JOB_CREATED);
		add_null(columns, JOB_DEADLINE);
		return;
	}
	add_text(columns, JOB_MODEL,
	    synq_slice_of(details->model.bytes > 0 ? details->model.data : "",
		details->model.bytes));
	add_int(columns, JOB_PRIORITY, details->priority);
	synq_pg_array_add(
	    columns->arrays[JOB_CREATED], synq_pg_time(details->created_at));
	synq_pg_array_add(
	    columns->arrays[JOB_DEADLINE], synq_pg_time(details->deadline_at));
}

static void
add_result(struct columns *columns, const struct batch_job *job)
{
	add_id(columns, RESULT_ORGANIZATION, &job->key.organization_id);
	add_id(columns, RESULT_JOB, &job->key.id);
	add_int(columns, RESULT_STATUS, job->answer_status);
	synq_pg_array_add(columns->arrays[RESULT_BODY],
	    synq_pg_bytes(synq_slice_of(
		job->body.bytes > 0 ? job->body.data : "", job->body.bytes)));
}

static void
add_job(struct columns *columns, const struct batch_job *job)
{
	const struct batch_end *end = &job->end;
	const int ended = synq_job_final(job->state);

	add_id(columns, JOB_ORGANIZATION, &job->key.organization_id);
	add_id(columns, JOB_ID, &job->key.id);
	add_text(columns, JOB_STATE,
	    synq_slice_text(synq_job_state_name(job->state)));
	add_int(columns, JOB_RANK, job->rank);
	add_details(columns, job);
	add_time(columns, JOB_STARTED, job->started_at);
	add_time(columns, JOB_ENDED, end->ended_at);
	add_int(columns, JOB_ATTEMPTS, job->attempts);
	add_text(columns, JOB_PROVIDER, job->provider);
	add_text(columns, JOB_PROVIDER_MODEL, job->provider_model);
	if (ended)
		add_int(columns, JOB_ANSWER_STATUS, job->answer_status);
	else
		add_null(columns, JOB_ANSWER_STATUS);
	add_text(columns, JOB_ERROR_CODE, end->error_code);
	add_text(columns, JOB_ERROR, end->error);
	add_tokens(columns, JOB_INPUT, end, end->usage.input_tokens);
	add_tokens(columns, JOB_OUTPUT, end, end->usage.output_tokens);
	add_tokens(columns, JOB_CACHED, end, end->usage.cached_tokens);
	add_tokens(columns, JOB_REASONING, end, end->usage.reasoning_tokens);
	if (ended)
		add_result(columns, job);
}

static void
add_attempt(struct columns *columns, const struct batch_attempt *attempt)
{
	const struct batch_end *end = &attempt->end;

	add_id(columns, ATTEMPT_ORGANIZATION, &attempt->key.organization_id);
	add_id(columns, ATTEMPT_ID, &attempt->key.id);
	add_id(columns, ATTEMPT_JOB, &attempt->job_id);
	add_int(columns, ATTEMPT_NUMBER, attempt->attempt);
	add_text(columns, ATTEMPT_STATE, synq_slice_text(attempt->state));
	add_int(columns, ATTEMPT_RANK, attempt->rank);
	add_text(columns, ATTEMPT_INSTANCE, attempt->instance);
	add_id(columns, ATTEMPT_BOOT, &attempt->boot_id);
	add_text(columns, ATTEMPT_PROVIDER, attempt->provider);
	add_text(columns, ATTEMPT_PROVIDER_MODEL, attempt->provider_model);
	add_time(columns, ATTEMPT_STARTED, attempt->started_at);
	add_time(columns, ATTEMPT_ENDED, end->ended_at);
	add_some(columns, ATTEMPT_HTTP_STATUS, attempt->http_status);
	add_text(columns, ATTEMPT_ERROR_CODE, end->error_code);
	add_text(columns, ATTEMPT_ERROR, end->error);
	add_tokens(columns, ATTEMPT_INPUT, end, end->usage.input_tokens);
	add_tokens(columns, ATTEMPT_OUTPUT, end, end->usage.output_tokens);
	add_tokens(columns, ATTEMPT_CACHED, end, end->usage.cached_tokens);
	add_tokens(
	    columns, ATTEMPT_REASONING, end, end->usage.reasoning_tokens);
}

static void
add_offset(struct columns *columns, const struct batch_offset *offset)
{
	add_text(columns, OFFSET_TOPIC, synq_slice_text(offset->topic));
	add_int(columns, OFFSET_PARTITION, offset->partition);
	synq_pg_array_add(
	    columns->arrays[OFFSET_EXPECTED], synq_pg_int8(offset->expected));
	synq_pg_array_add(
	    columns->arrays[OFFSET_NEXT], synq_pg_int8(offset->next));
	synq_pg_array_add(
	    columns->arrays[OFFSET_AS_OF], synq_pg_time(offset->as_of));
}

/* ---- a transaction ---- */

static void
writing_add(struct writing *writing, const char *sql, struct columns *columns)
{
	writing->statements[writing->count++] =
	    (struct synq_pg_statement){ sql, columns->params, columns->count };
}

static void
writing_rows(struct writing *writing, const struct synq_batch *batch)
{
	const size_t jobs = batch->jobs.count;
	size_t i;

	for (i = batch->part.from; i < batch->part.to; i++) {
		if (i < jobs)
			add_job(&writing->jobs, batch->jobs.rows[i]);
		else
			add_attempt(
			    &writing->attempts, batch->attempts.rows[i - jobs]);
	}
}

static void
writing_init(struct writing *writing, struct synq_batch *batch)
{
	size_t i;

	writing->count = 0;
	columns_init(&writing->offsets, offset_types, OFFSET_PARAMS);
	columns_init(&writing->jobs, job_types, JOB_PARAMS);
	columns_init(&writing->attempts, attempt_types, ATTEMPT_PARAMS);
	for (i = 0; i < batch->offset_count; i++)
		add_offset(&writing->offsets, &batch->offsets[i]);
	writing_rows(writing, batch);
	if (!batch->seeking)
		writing_add(writing, move_offsets, &writing->offsets);
	batch->teller = -1;
	if (batch->part.from < batch->jobs.count) {
		batch->teller = (int)writing->count;
		writing_add(writing, write_jobs, &writing->jobs);
	}
	if (batch->part.to > batch->jobs.count)
		writing_add(writing, write_attempts, &writing->attempts);
	if (batch->teller < 0 || !batch->unsure || batch->seeking)
		return;
	batch->teller = (int)writing->count;
	writing_add(writing, read_jobs, &writing->jobs);
	writing->statements[batch->teller].count = JOB_ID + 1;
}

static void
writing_done(struct writing *writing)
{
	columns_done(&writing->offsets);
	columns_done(&writing->jobs);
	columns_done(&writing->attempts);
}

int
batch_send(struct synq_batch *batch, synq_pg_done_fn *done)
{
	struct synq_pg_transaction transaction = { .done = done, .ctx = batch };
	struct writing writing;
	int rc;

	writing_init(&writing, batch);
	transaction.statements = writing.statements;
	transaction.count = writing.count;
	rc = synq_pg_start(batch->pg, &transaction);
	writing_done(&writing);
	return rc;
}
