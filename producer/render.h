#ifndef SYNQ_INTAKE_RENDER_H
#define SYNQ_INTAKE_RENDER_H

/*
 * Jobs as JSON (schema/http/openapi.yaml: Job, JobList) and results as
 * answers.
 */

#include "api.h"
#include "check.h"
#include "store/jobs.h"

struct wait_result;

/*
 * Room for any job: 128 KiB of metadata, an error of 4 KiB with each of its
 * bytes escaped, and the rest.
 */
#define RENDER_JOB_MAX_BYTES 196608
/* What nearly all of them need. */
#define RENDER_JOB_USUAL_BYTES 700

/* The job that ${call} has just made from ${job}, appended to ${out}. */
void render_accepted(
    struct api_call *call, const struct check_job *job, struct synq_buf *out);

/* The job ${row}, appended to ${out}. */
void render_job(struct api_call *call, const struct synq_job_row *row,
    struct synq_buf *out);

/*
 * The job of ${call}, of which only its id is known and the state that its row
 * said last: queued, for all that anybody can tell, if there is none yet (P9).
 * Appended to ${out}.
 */
void render_brief(struct api_call *call, struct synq_buf *out);

/* Answer ${call} with what its job came to. */
void render_result(struct api_call *call, const struct wait_result *result);

#endif
