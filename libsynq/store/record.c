/*
 * Merging.
 *
 * Happy path: a request makes its job's row, attempt.started moves it to
 * running, the result ends it; each becomes one row of the batch, however many
 * records there were.
 *
 * Any order is right: a row is moved only forward (record_forward, the same
 * order that the database keeps to), and what a record knows about the request
 * fills what was not known.  The first final state of a job stays.
 */

#include <string.h>

#include "base/mem.h"
#include "store/record_rows.h"

#define ARENA_CHUNK_BYTES (1U << 20)
/* Far above a full batch; the recorder stops at 8 MiB of records. */
#define ARENA_MAX_BYTES (256U << 20)

struct synq_batch *
synq_batch_new(void)
{
	struct synq_batch *batch = synq_mem_new(sizeof(*batch));

	batch->arena = synq_arena_new(ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
	batch->jobs = synq_map_new();
	batch->attempts = synq_map_new();
	return batch;
}

void
synq_batch_free(struct synq_batch **batch)
{
	struct synq_batch *self = *batch;

	if (self == NULL)
		return;
	record_columns_free(&self->columns);
	synq_map_free(&self->jobs);
	synq_map_free(&self->attempts);
	synq_arena_free(&self->arena);
	synq_mem_free(self->offsets);
	synq_mem_free(self);
	*batch = NULL;
}

void
synq_batch_clear(struct synq_batch *batch)
{
	synq_map_free(&batch->jobs);
	synq_map_free(&batch->attempts);
	synq_arena_free(&batch->arena);
	batch->arena = synq_arena_new(ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
	batch->jobs = synq_map_new();
	batch->attempts = synq_map_new();
	batch->offset_count = 0;
	batch->records = 0;
	batch->bytes = 0;
}

void
synq_batch_clear_offsets(struct synq_batch *batch)
{
	batch->offset_count = 0;
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
synq_batch_offset(struct synq_batch *batch, const char *topic,
    int32_t partition, int64_t expected, int64_t next, int64_t as_of)
{
	struct record_offset *offset;

	if (batch->offset_count == batch->offset_room) {
		batch->offset_room = batch->offset_room * 2 + 16;
		batch->offsets = synq_mem_resize(batch->offsets,
		    batch->offset_room * sizeof(*batch->offsets));
	}
	offset = &batch->offsets[batch->offset_count++];
	*offset = (struct record_offset){ .topic = topic,
		.partition = partition,
		.expected = expected,
		.next = next,
		.as_of = as_of };
}

/* A copy of ${slice} that lives as long as the batch's rows. */
static struct synq_slice
record_keep(struct synq_batch *batch, struct synq_slice slice)
{
	if (slice.bytes == 0)
		return synq_slice_text(NULL);
	return synq_arena_slice(batch->arena, slice);
}

static struct record_job *
record_job(struct synq_batch *batch, const struct synq_uuid *organization_id,
    const struct synq_uuid *id)
{
	struct record_job *job = synq_map_get(batch->jobs, synq_uuid_slice(id));

	if (job != NULL)
		return job;
	job = synq_arena_alloc(batch->arena, sizeof(*job));
	job->organization_id = *organization_id;
	job->id = *id;
	job->created_at = synq_uuid_time_us(id);
	job->state = SYNQ_JOB_ACCEPTED;
	job->usage = (struct synq_usage){ -1, -1, -1, -1 };
	(void)synq_map_set(batch->jobs, synq_uuid_slice(&job->id), job);
	return job;
}

/*
 * Move ${job} to ${state} of ${attempt} if that is forward: 1, else 0.  The
 * order is rank, then attempt, then running before retrying; the first final
 * state stays.
 */
static int
record_forward(
    struct record_job *job, enum synq_job_state state, uint32_t attempt)
{
	const int from = synq_job_rank(job->state);
	const int to = synq_job_rank(state);

	if (synq_job_final(job->state) || to < from)
		return 0;
	if (to == from && attempt < job->attempts)
		return 0;
	if (to == from && attempt == job->attempts &&
	    (state == job->state || state == SYNQ_JOB_RUNNING))
		return 0;
	job->state = state;
	if (attempt > job->attempts)
		job->attempts = attempt;
	return 1;
}

void
synq_batch_request(struct synq_batch *batch, const struct synq_request *request)
{
	struct record_job *job =
	    record_job(batch, &request->organization_id, &request->job_id);

	batch->records++;
	batch->bytes += sizeof(*job) + request->metadata.bytes;
	(void)record_forward(job, SYNQ_JOB_QUEUED, 0);
	if (job->known)
		return;
	job->known = 1;
	job->key_id = request->key_id;
	job->endpoint = request->endpoint;
	job->priority = request->priority;
	job->created_at = request->created_at;
	job->deadline_at = request->deadline_at;
	job->retry_of = request->retry_of;
	job->model = record_keep(batch, request->model);
	job->metadata = record_keep(batch, request->metadata);
	job->request_id = record_keep(batch, request->request_id);
}

/* What ${outcome}, a result, knows about the request itself. */
static void
record_fill(struct synq_batch *batch, struct record_job *job,
    const struct synq_outcome *outcome)
{
	if (job->known)
		return;
	job->known = 1;
	job->key_id = outcome->key_id;
	job->endpoint = outcome->endpoint;
	job->priority = outcome->priority;
	job->created_at = outcome->created_at;
	job->deadline_at = outcome->deadline_at;
	job->retry_of = outcome->retry_of;
	job->model = record_keep(batch, outcome->model);
	job->metadata = record_keep(batch, outcome->metadata);
	job->request_id = record_keep(batch, outcome->request_id);
}

static void
record_started(struct record_job *job, int64_t started_at)
{
	if (started_at != 0 &&
	    (job->started_at == 0 || started_at < job->started_at))
		job->started_at = started_at;
}

/* The final result of ${job}, if it is the first. */
static void
record_result(struct synq_batch *batch, struct record_job *job,
    const struct synq_outcome *outcome)
{
	record_fill(batch, job, outcome);
	if (!record_forward(job, outcome->state, outcome->attempt))
		return;
	job->ended_at = outcome->ended_at;
	job->answer_status = outcome->answer_status;
	job->error_code = record_keep(batch, outcome->error_code);
	job->error = record_keep(batch, outcome->error);
	job->usage = outcome->usage;
	job->has_body = 1;
	job->body = synq_arena_slice(batch->arena, outcome->body);
}

static void
record_job_outcome(struct synq_batch *batch, const struct synq_outcome *outcome)
{
	struct record_job *job =
	    record_job(batch, &outcome->organization_id, &outcome->job_id);

	record_started(job, outcome->started_at);
	if (outcome->provider.bytes > 0 && !synq_job_final(job->state)) {
		job->provider = record_keep(batch, outcome->provider);
		job->provider_model =
		    record_keep(batch, outcome->provider_model);
	}
	switch (outcome->kind) {
	case SYNQ_OUTCOME_STARTED:
		(void)record_forward(job, SYNQ_JOB_RUNNING, outcome->attempt);
		break;
	case SYNQ_OUTCOME_FAILED:
		(void)record_forward(job, SYNQ_JOB_RETRYING, outcome->attempt);
		break;
	case SYNQ_OUTCOME_RESULT:
		record_result(batch, job, outcome);
		break;
	}
}

static struct record_attempt *
record_attempt(struct synq_batch *batch, const struct synq_outcome *outcome)
{
	struct record_attempt *attempt = synq_map_get(
	    batch->attempts, synq_uuid_slice(&outcome->attempt_id));

	if (attempt != NULL)
		return attempt;
	attempt = synq_arena_alloc(batch->arena, sizeof(*attempt));
	attempt->organization_id = outcome->organization_id;
	attempt->id = outcome->attempt_id;
	attempt->job_id = outcome->job_id;
	attempt->attempt = outcome->attempt;
	attempt->state = "started";
	attempt->usage = (struct synq_usage){ -1, -1, -1, -1 };
	attempt->provider = record_keep(batch, outcome->provider);
	attempt->provider_model = record_keep(batch, outcome->provider_model);
	(void)synq_map_set(
	    batch->attempts, synq_uuid_slice(&attempt->id), attempt);
	return attempt;
}

/* How an attempt ended that ended its job with ${state}. */
static const char *
record_attempt_state(const struct synq_outcome *outcome)
{
	if (outcome->kind == SYNQ_OUTCOME_FAILED)
		return "failed";
	if (outcome->state == SYNQ_JOB_SUCCEEDED)
		return "succeeded";
	return outcome->state == SYNQ_JOB_CANCELLED ? "cancelled" : "failed";
}

/* Every call is on record, whether its result was the first or not. */
static void
record_attempt_outcome(
    struct synq_batch *batch, const struct synq_outcome *outcome)
{
	struct record_attempt *attempt;

	if (synq_uuid_is_nil(&outcome->attempt_id))
		return;
	attempt = record_attempt(batch, outcome);
	if (outcome->started_at != 0)
		attempt->started_at = outcome->started_at;
	if (outcome->kind == SYNQ_OUTCOME_STARTED) {
		attempt->instance = record_keep(batch, outcome->instance);
		attempt->boot_id = outcome->boot_id;
		return;
	}
	if (attempt->ended)
		return;
	attempt->ended = 1;
	attempt->state = record_attempt_state(outcome);
	attempt->ended_at = outcome->ended_at;
	attempt->http_status = outcome->http_status;
	attempt->error_code = record_keep(batch, outcome->error_code);
	attempt->error = record_keep(batch, outcome->error);
	attempt->usage = outcome->usage;
}

void
synq_batch_outcome(struct synq_batch *batch, const struct synq_outcome *outcome)
{
	batch->records++;
	batch->bytes += sizeof(struct record_job) + outcome->body.bytes +
	                outcome->error.bytes;
	record_job_outcome(batch, outcome);
	record_attempt_outcome(batch, outcome);
}
