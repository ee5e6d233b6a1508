#ifndef CTL_JOB_BATCH_H
#define CTL_JOB_BATCH_H

/*
 * A file of requests through the API: each line a job, each result a line.
 */

#include <stdint.h>

#include "base/slice.h"

struct cli;

/* More lines than that are refused. */
#define BATCH_MAX_LINES 1000000

struct batch_order {
	const struct cli *cli;
	const char *in;
	const char *out;
	const char *priority;
	struct synq_slice metadata; /* a JSON object; empty = none */
	const char *run;            /* part of every line's key; NULL = none */
	uint32_t window;            /* jobs in hand at most */
	uint64_t patience_us;       /* without any answer */
};

/* Do ${order} to its end; returns the exit code. */
int batch_run(const struct batch_order *order);

#endif
