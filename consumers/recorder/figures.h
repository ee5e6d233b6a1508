#ifndef SYNQ_RECORDER_FIGURES_H
#define SYNQ_RECORDER_FIGURES_H

/*
 * What the recorder shows of itself at /metrics (metrics.def): its series,
 * looked up once.
 */

#include <stdint.h>

#include "store/record.h"

struct synq_metrics;
struct synq_series;

struct figures {
	struct synq_series *batches; /* how long transactions took */
	struct synq_series *jobs;    /* rows */
	struct synq_series *attempts;
	struct synq_series *fenced;
	struct synq_series *corrupt;
	struct synq_series *illegal_moves;
};

/* Let ${figures} be those of ${metrics}. */
void figures_init(struct figures *figures, struct synq_metrics *metrics);

/* ${batch} was written in ${took_us}. */
void figures_written(
    struct figures *figures, const struct synq_batch *batch, uint64_t took_us);

/* A write was refused: another recorder has taken over. */
void figures_fenced(struct figures *figures);

/* A record does not decode. */
void figures_corrupt(struct figures *figures);

#endif
