#ifndef SYNQ_INTAKE_FIGURES_H
#define SYNQ_INTAKE_FIGURES_H

/*
 * What the intake shows of itself at /metrics (metrics.def): requests by route,
 * method and status, and jobs that it accepted.  Each series is looked up when
 * it is first needed and kept, so that a request costs no look-up.
 */

#include <stdint.h>

#include "base/slice.h"
#include "proto/request.h"

struct api_route;
struct figures;
struct intake;
struct synq_metrics;

/* One HTTP request that was answered. */
struct figures_answer {
	const struct api_route *route; /* NULL = no such route, or not found */
	struct synq_slice method;
	int status;
	int64_t took_us; /* from its head; -1 = it had none */
};

/* The intake's figures, in ${metrics}; the caller frees them. */
struct figures *figures_new(struct synq_metrics *metrics);

/* Free *${figures}; the metrics stay.  Sets it to NULL. */
void figures_free(struct figures **figures);

/* Count ${answer}. */
void figures_answered(
    struct figures *figures, const struct figures_answer *answer);

/* A job for ${endpoint} was accepted. */
void figures_accepted(struct figures *figures, enum synq_endpoint endpoint);

/* How many ${connections} are open and ${keys} cached, just now. */
void figures_show(struct figures *figures, size_t connections, size_t keys);

#endif
