#ifndef SYNQ_STORE_JOBS_H
#define SYNQ_STORE_JOBS_H

/*
 * Reading jobs and results for one organization (role synq_app, row security).
 * Rows are valid during the callback only.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "job/state.h"

struct synq_pg;

struct synq_job_row {
	struct synq_uuid id;
	enum synq_job_state state;
	struct synq_uuid key_id;
	struct synq_slice endpoint; /* path */
	struct synq_slice model;
	int32_t priority;
	struct synq_slice metadata; /* JSON object; empty = none */
	struct synq_slice request_id;
	struct synq_uuid retry_of;
	int64_t created_at;
	int64_t deadline_at;
	int64_t started_at; /* 0 = not yet */
	int64_t ended_at;   /* 0 = not yet */
	int32_t attempts;
	struct synq_slice provider;
	struct synq_slice provider_model;
	int32_t answer_status; /* 0 = none yet */
	struct synq_slice error_code;
	struct synq_slice error;
	int64_t input_tokens; /* -1 = not known; the same for the next three */
	int64_t output_tokens;
	int64_t cached_tokens;
	int64_t reasoning_tokens;
	struct synq_slice body; /* of the result; only where it was asked for */
	int has_body;
};

/*
 * ${count} rows; ${as_of}: the projection holds everything older than that
 * (wall us; 0 = the recorder has not run).  ${rc} as synq_pg_done_fn.
 */
typedef void synq_jobs_fn(void *ctx, int rc, const struct synq_job_row *rows,
    size_t count, int64_t as_of);

enum synq_job_part { SYNQ_JOB_ROW_ONLY, SYNQ_JOB_WITH_RESULT };

struct synq_jobs_request {
	struct synq_uuid organization_id;
	const struct synq_uuid *ids;
	size_t count; /* <= 500 */
	enum synq_job_part part;
};

/*
 * The rows of the jobs of ${request} that exist, with their results if its
 * part says so and they are final.  Errors (fn will not run): BUSY.
 */
SYNQ_MUST_CHECK int synq_store_jobs(struct synq_pg *pg,
    const struct synq_jobs_request *request, synq_jobs_fn *fn, void *ctx);

/* What a list asks for; absent filters are empty or 0. */
struct synq_job_filter {
	struct synq_uuid after; /* exclusive cursor: ids below it */
	struct synq_slice state;
	struct synq_slice model;
	int64_t created_from;       /* wall us, inclusive */
	int64_t created_to;         /* wall us, exclusive */
	struct synq_slice metadata; /* a JSON object that must be contained */
	uint32_t limit;             /* 1..100 */
};

/*
 * The newest jobs of ${organization_id} that pass ${filter}, newest first.
 * Errors (fn will not run): BUSY.
 */
SYNQ_MUST_CHECK int synq_store_list_jobs(struct synq_pg *pg,
    const struct synq_uuid *organization_id,
    const struct synq_job_filter *filter, synq_jobs_fn *fn, void *ctx);

#endif
