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

/* The job that ${call} has just made from ${job}, appended to ${out}. */
void render_accepted(
    struct api_call *call, const struct check_job *job, struct synq_buf *out);

/* The job ${row}, appended to ${out}. */
void render_job(const struct api_call *call, const struct synq_job_row *row,
    struct synq_buf *out);

/*
 * The job ${id}, known by its id only: accepted, and queued for all that
 * anybody can tell (P9); appended to ${out}.
 */
void render_queued(const struct api_call *call, const struct synq_uuid *id,
    struct synq_buf *out);

/* Answer ${call} with what its job came to. */
void render_result(struct api_call *call, const struct wait_result *result);

#endif
