#ifndef SYNQ_DISPATCHER_FIGURES_H
#define SYNQ_DISPATCHER_FIGURES_H

/*
 * What the dispatcher shows of itself at /metrics (metrics.def).  The core
 * knows nothing of it: what it counts is copied when somebody looks, all else
 * is noted where records are acknowledged and calls answered.  A model's series
 * are looked up once, by one look-up in a map later.
 */

#include <stdint.h>

#include "core.h"

struct figures;
struct figures_track;
struct synq_metrics;

/* The dispatcher's figures, in ${metrics}; the caller frees them. */
struct figures *figures_new(struct synq_metrics *metrics);

/* Free *${figures}; the metrics stay.  Sets it to NULL. */
void figures_free(struct figures **figures);

/* The call of ${work} came to ${answer}. */
void figures_answered(struct figures *figures, const struct work *work,
    const struct core_answer *answer);

/* An attempt of ${work} began: it is on the log. */
void figures_started(struct figures *figures, const struct work *work);

/* An attempt of ${work} failed and another follows: it is on the log. */
void figures_failed(struct figures *figures, const struct work *work);

/* ${work} ended as its outcome says: it is on the log. */
void figures_ended(struct figures *figures, const struct work *work);

/* Copy what ${core} counts. */
void figures_show(struct figures *figures, const struct core *core);

/* The gauges of ${partition} of ${topic}; the caller frees them. */
struct figures_track *figures_track_new(
    struct figures *figures, const char *topic, int32_t partition);

/* Hide and free *${track}: the partition is another's now.  Sets it to NULL. */
void figures_track_free(struct figures_track **track);

/*
 * A commit says that the tracker reaches over ${window} offsets, in a map of
 * ${chars}.
 */
void figures_committed(
    struct figures_track *track, int64_t window, size_t chars);

#endif
