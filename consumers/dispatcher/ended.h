#ifndef SYNQ_DISPATCHER_ENDED_H
#define SYNQ_DISPATCHER_ENDED_H

/*
 * The jobs that ended here last.  An intake whose producer is rebuilt writes a
 * request a second time, seconds after the first, which may have ended by then:
 * the second must not be called.  Bounded: the oldest are forgotten first.
 */

#include "core.h"

/* Two seconds' worth at full speed, minutes at usual ones; about 2 MB. */
#define ENDED_KEPT 16384

/* The job ${id} has its result on the log. */
void ended_add(struct core *core, const struct synq_uuid *id);

/* 1 if the job ${id} is known to have ended, else 0. */
int ended_has(const struct core *core, const struct synq_uuid *id);

/* Forget all of ${core}. */
void ended_free_all(struct core *core);

#endif
