#include "store/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"

/*
 * Merging: a record finds its rows and moves them on, or says nothing new.
 *
 * A job's place is (rank, attempt, failed): it only grows, so the order of
 * records does not matter; only the first result counts, so theirs does, and
 * the log keeps it.  The tables follow the same rules (record.c).
 *
 * Failure modes: none; what comes from outside was checked by proto.  A zero
 * byte in a text becomes "?", because PostgreSQL takes none and one such record
 * would stop all others.
 */

#define CHUNK_BYTES (256U << 10)
/*
 * The recorder ends a batch at 8 MB; one message more is 2 MB, and the rows of
 * 20,000 records take less than the rest.
 */
#define MAX_BYTES (256U << 20)
#define RANK_ACTIVE 2
#define RANK_FINAL 9
/* The last microsecond of the year 9999: PostgreSQL refuses others. */
#define MAX_AT INT64_C(253402300799999999)

/* ---- a batch ---- */

static void
table_init(struct batch_table *table)
{
	table->map = synq_map_new();
	table->count = 0;
}

struct synq_batch *
synq_batch_new(void)
{
	struct synq_batch *batch = synq_mem_new(sizeof(*batch));

	batch->arena = synq_arena_new(CHUNK_BYTES, MAX_BYTES);
	table_init(&batch->jobs);
	table_init(&batch->attempts);
	return batch;
}

void
synq_batch_free(struct synq_batch **batch)
{
	struct synq_batch *self = *batch;
	size_t i;

	if (self == NULL)
		return;
	synq_map_free(&self->jobs.map);
	synq_map_free(&self->attempts.map);
	synq_mem_free(self->jobs.rows);
	synq_mem_free(self->attempts.rows);
	for (i = 0; i < self->offset_count; i++)
		synq_mem_free(self->offsets[i].topic);
	synq_mem_free(self->offsets);
	synq_arena_free(&self->arena);
	synq_mem_free(self);
	*batch = NULL;
}

void
synq_batch_clear(struct synq_batch *batch)
{
	synq_map_free(&batch->jobs.map);
	synq_map_free(&batch->attempts.map);
	table_init(&batch->jobs);
	table_init(&batch->attempts);
	synq_arena_free(&batch->arena);
	batch->arena = synq_arena_new(CHUNK_BYTES, MAX_BYTES);
	batch->records = 0;
	batch->bytes = 0;
	batch->illegal_moves = 0;
	batch->unsure = 0;
	synq_batch_clear_offsets(batch);
}

size_t
synq_batch_records(const struct synq_batch *batch)
{
	return batch->records;
}

size_t
synq_batch_bytes(const struct synq_batch *batch)
{
	return batch->bytes;
}

void
synq_batch_count(const struct synq_batch *batch, struct synq_batch_totals *ret)
{
	ret->jobs = batch->jobs.count;
	ret->attempts = batch->attempts.count;
	ret->illegal_moves = batch->illegal_moves;
}

/* ---- rows ---- */

/*
 * The row of ${key} in ${table}, or a new one of ${bytes}; rows begin with
 * their key.
 */
static void *
table_row(struct synq_batch *batch, struct batch_table *table,
    const struct batch_key *key, size_t bytes)
{
	void *row = synq_map_get(table->map, synq_slice_of(key, sizeof(*key)));

	if (row != NULL)
		return row;
	row = synq_arena_alloc(batch->arena, bytes);
	memcpy(row, key, sizeof(*key));
	(void)synq_map_set(table->map, synq_slice_of(row, sizeof(*key)), row);
	if (table->count == table->room) {
		table->room = table->room == 0 ? 256 : 2 * table->room;
		table->rows = synq_mem_resize(
		    table->rows, table->room * sizeof(*table->rows));
	}
	table->rows[table->count++] = row;
	return row;
}

static int
compare_rows(const void *a, const void *b)
{
	const void *const *left = a;
	const void *const *right = b;

	return memcmp(*left, *right, sizeof(struct batch_key));
}

void
batch_sort(struct batch_table *table)
{
	if (table->count > 1)
		qsort(table->rows, table->count, sizeof(*table->rows),
		    compare_rows);
}

const struct batch_job *
batch_find_job(const struct synq_batch *batch, const struct batch_key *key)
{
	return synq_map_get(batch->jobs.map, synq_slice_of(key, sizeof(*key)));
}

size_t
batch_rows(const struct synq_batch *batch)
{
	return batch->jobs.count + batch->attempts.count;
}

static void
table_drop(struct batch_table *table, size_t index)
{
	void **row = &table->rows[index];

	(void)synq_map_remove(
	    table->map, synq_slice_of(*row, sizeof(struct batch_key)));
	table->count--;
	memmove(row, row + 1, (table->count - index) * sizeof(*row));
}

void
batch_drop(struct synq_batch *batch, size_t index)
{
	if (index < batch->jobs.count)
		table_drop(&batch->jobs, index);
	else
		table_drop(&batch->attempts, index - batch->jobs.count);
}

/* A copy of ${text} that PostgreSQL takes as text; empty gives no data. */
static struct synq_slice
keep_text(struct synq_batch *batch, struct synq_slice text)
{
	char *copy;
	char *at;

	if (text.bytes == 0)
		return synq_slice_of(NULL, 0);
	copy = synq_arena_raw(batch->arena, text.bytes);
	memcpy(copy, text.data, text.bytes);
	while ((at = memchr(copy, '\0', text.bytes)) != NULL)
		*at = '?';
	batch->bytes += text.bytes;
	return synq_slice_of(copy, text.bytes);
}

static int64_t
keep_time(int64_t wall_us)
{
	if (wall_us < 0)
		return 0;
	return wall_us > MAX_AT ? MAX_AT : wall_us;
}

/* The earlier of two times of which 0 is none. */
static int64_t
earlier(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* ---- jobs ---- */

static struct batch_job *
job_of(struct synq_batch *batch, const struct synq_uuid *organization_id,
    const struct synq_uuid *job_id)
{
	const struct batch_key key = { *organization_id, *job_id };
	const size_t count = batch->jobs.count;
	struct batch_job *job =
	    table_row(batch, &batch->jobs, &key, sizeof(*job));

	if (batch->jobs.count > count) {
		job->rank = -1;
		batch->bytes += sizeof(*job);
	}
	return job;
}

/* Move ${job} to ${state}, in which it is since ${at}. */
static void
job_move(struct batch_job *job, enum synq_job_state state, int64_t at)
{
	job->state = state;
	job->rank = synq_job_rank(state);
	job->happened_at = keep_time(at);
}

/*
 * 1 if ${job} lacks its details and a record with ${endpoint} and ${key_id} can
 * give them: both may be missing in a record, and the table takes all or none.
 */
static int
details_due(const struct batch_job *job, const char *endpoint,
    const struct synq_uuid *key_id)
{
	return !job->has_details && endpoint != NULL &&
	       !synq_uuid_is_nil(key_id);
}

void
synq_batch_request(struct synq_batch *batch, const struct synq_request *request)
{
	struct batch_job *job =
	    job_of(batch, &request->organization_id, &request->job_id);
	const char *endpoint = synq_endpoint_path(request->endpoint);

	batch->records++;
	if (job->rank < synq_job_rank(SYNQ_JOB_QUEUED))
		job_move(job, SYNQ_JOB_QUEUED, request->created_at);
	if (!details_due(job, endpoint, &request->key_id))
		return;
	job->has_details = 1;
	job->details = (struct batch_details){
		.key_id = request->key_id,
		.endpoint = endpoint,
		.priority = request->priority,
		.created_at = keep_time(request->created_at),
		.deadline_at = keep_time(request->deadline_at),
		.model = keep_text(batch, request->model),
		.metadata = keep_text(batch, request->metadata),
		.request_id = keep_text(batch, request->request_id),
		.retry_of = request->retry_of,
	};
}

/* An attempt of ${job} began or, ${state} RETRYING, failed. */
static void
job_try(struct synq_batch *batch, struct batch_job *job,
    const struct synq_outcome *outcome, enum synq_job_state state)
{
	const int failed = state == SYNQ_JOB_RETRYING;
	const int was_failed = job->state == SYNQ_JOB_RETRYING;

	if (job->rank == RANK_FINAL) {
		/* Else it is what led to the end, read once more. */
		batch->illegal_moves += outcome->attempt > job->attempts;
		return;
	}
	job->started_at =
	    earlier(job->started_at, keep_time(outcome->started_at));
	if (job->rank == RANK_ACTIVE &&
	    (outcome->attempt < job->attempts ||
		(outcome->attempt == job->attempts && failed <= was_failed)))
		return;
	job_move(job, state, failed ? outcome->ended_at : outcome->started_at);
	job->attempts = outcome->attempt;
	job->provider = keep_text(batch, outcome->provider);
	job->provider_model = keep_text(batch, outcome->provider_model);
}

static void
read_end(struct synq_batch *batch, const struct synq_outcome *outcome,
    struct batch_end *ret)
{
	ret->ended_at = keep_time(outcome->ended_at);
	ret->error_code = keep_text(batch, outcome->error_code);
	ret->error = keep_text(batch, outcome->error);
	ret->usage = outcome->usage;
}

static void
result_details(struct synq_batch *batch, struct batch_job *job,
    const struct synq_outcome *outcome)
{
	const char *endpoint = synq_endpoint_path(outcome->endpoint);

	if (!details_due(job, endpoint, &outcome->key_id))
		return;
	job->has_details = 1;
	job->details = (struct batch_details){
		.key_id = outcome->key_id,
		.endpoint = endpoint,
		.priority = outcome->priority,
		.created_at = keep_time(outcome->created_at),
		.deadline_at = keep_time(outcome->deadline_at),
		.model = keep_text(batch, outcome->model),
		.metadata = keep_text(batch, outcome->metadata),
		.request_id = keep_text(batch, outcome->request_id),
		.retry_of = outcome->retry_of,
	};
}

/* ${job} ended, unless it had already. */
static void
job_end(struct synq_batch *batch, struct batch_job *job,
    const struct synq_outcome *outcome)
{
	if (job->rank == RANK_FINAL || !synq_job_final(outcome->state)) {
		batch->illegal_moves += outcome->state != job->state;
		return;
	}
	result_details(batch, job, outcome);
	job_move(job, outcome->state, outcome->ended_at);
	job->started_at =
	    earlier(job->started_at, keep_time(outcome->started_at));
	if (outcome->attempt > job->attempts)
		job->attempts = outcome->attempt;
	if (outcome->provider.bytes > 0)
		job->provider = keep_text(batch, outcome->provider);
	if (outcome->provider_model.bytes > 0)
		job->provider_model = keep_text(batch, outcome->provider_model);
	read_end(batch, outcome, &job->end);
	job->answer_status = outcome->answer_status;
	job->body = synq_arena_slice(batch->arena, outcome->body);
	batch->bytes += outcome->body.bytes;
}

/* ---- attempts ---- */

static const char *
attempt_state(const struct synq_outcome *outcome)
{
	if (outcome->kind == SYNQ_OUTCOME_STARTED)
		return "started";
	if (outcome->kind == SYNQ_OUTCOME_FAILED)
		return "failed";
	if (outcome->state == SYNQ_JOB_SUCCEEDED)
		return "succeeded";
	return outcome->state == SYNQ_JOB_CANCELLED ? "cancelled" : "failed";
}

/* The attempt of ${outcome} began, or ended, or both are known. */
static void
attempt_tell(struct synq_batch *batch, const struct synq_outcome *outcome)
{
	const struct batch_key key = { outcome->organization_id,
		outcome->attempt_id };
	const int rank = outcome->kind == SYNQ_OUTCOME_STARTED ? 1 : RANK_FINAL;
	struct batch_attempt *row =
	    table_row(batch, &batch->attempts, &key, sizeof(*row));

	if (row->rank == 0)
		batch->bytes += sizeof(*row);
	if (outcome->kind == SYNQ_OUTCOME_STARTED && row->instance.bytes == 0) {
		row->instance = keep_text(batch, outcome->instance);
		row->boot_id = outcome->boot_id;
	}
	row->started_at =
	    earlier(row->started_at, keep_time(outcome->started_at));
	if (rank <= row->rank)
		return;
	row->rank = rank;
	row->state = attempt_state(outcome);
	row->job_id = outcome->job_id;
	row->attempt = outcome->attempt;
	if (outcome->provider.bytes > 0)
		row->provider = keep_text(batch, outcome->provider);
	if (outcome->provider_model.bytes > 0)
		row->provider_model = keep_text(batch, outcome->provider_model);
	if (rank < RANK_FINAL)
		return;
	row->http_status = outcome->http_status;
	read_end(batch, outcome, &row->end);
}

void
synq_batch_outcome(struct synq_batch *batch, const struct synq_outcome *outcome)
{
	struct batch_job *job =
	    job_of(batch, &outcome->organization_id, &outcome->job_id);

	batch->records++;
	switch (outcome->kind) {
	case SYNQ_OUTCOME_STARTED:
		job_try(batch, job, outcome, SYNQ_JOB_RUNNING);
		break;
	case SYNQ_OUTCOME_FAILED:
		job_try(batch, job, outcome, SYNQ_JOB_RETRYING);
		break;
	case SYNQ_OUTCOME_RESULT:
		job_end(batch, job, outcome);
		break;
	}
	if (!synq_uuid_is_nil(&outcome->attempt_id))
		attempt_tell(batch, outcome);
}

/* ---- offsets ---- */

void
synq_batch_offset(
    struct synq_batch *batch, const struct synq_batch_offset *offset)
{
	if (batch->offset_count == batch->offset_room) {
		batch->offset_room =
		    batch->offset_room == 0 ? 64 : 2 * batch->offset_room;
		batch->offsets = synq_mem_resize(batch->offsets,
		    batch->offset_room * sizeof(*batch->offsets));
	}
	batch->offsets[batch->offset_count++] = (struct batch_offset){
		.topic = synq_mem_text(offset->topic),
		.partition = offset->partition,
		.expected = offset->expected,
		.next = offset->next,
		.as_of = keep_time(offset->as_of),
	};
}

void
synq_batch_clear_offsets(struct synq_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->offset_count; i++)
		synq_mem_free(batch->offsets[i].topic);
	batch->offset_count = 0;
}
