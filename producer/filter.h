#ifndef SYNQ_INTAKE_FILTER_H
#define SYNQ_INTAKE_FILTER_H

/*
 * The query of GET /v1/jobs as a filter.
 */

#include "api.h"
#include "store/jobs.h"

/*
 * Read the query of ${call} into ${ret}, whose slices live as long as the
 * exchange.  0, or -1 and ${call} was answered: the error names the parameter.
 */
int filter_read(struct api_call *call, struct synq_job_filter *ret);

#endif
