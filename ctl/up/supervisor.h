#ifndef CTL_UP_SUPERVISOR_H
#define CTL_UP_SUPERVISOR_H

/*
 * The supervisor of one installation: a process of its own that starts the
 * servers, sets them up, starts the programs, starts again whatever dies, and
 * stops everything in the right order.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

struct site;
struct supervisor;
struct synq_loop;
struct unit;

/* What goes through the progress pipe: a letter and a line each. */
#define SUPERVISOR_TELLS 'P' /* progress */
#define SUPERVISOR_FAILS 'E' /* a line of the sentence that says why */
#define SUPERVISOR_READY 'R' /* everything is ready */

struct supervisor_order {
	struct site *site; /* borrowed */
	int lock_fd;       /* held as long as the supervisor lives */
	int progress_fd;   /* a pipe to synq up */
};

/*
 * Be the supervisor that ${order} describes until told to end; returns the
 * exit code.  In a process of its own.
 */
int supervisor_run(const struct supervisor_order *order);

/* The loop of ${supervisor}. */
struct synq_loop *supervisor_loop(struct supervisor *supervisor);

/* The installation's folder. */
const char *supervisor_dir(const struct supervisor *supervisor);

/* Append the state of everything, as JSON, to ${out}. */
void supervisor_status(
    const struct supervisor *supervisor, struct synq_buf *out);

/* Stop everything in order, then end. */
void supervisor_stop(struct supervisor *supervisor);

/* How long that may take, in ms. */
uint64_t supervisor_stop_limit_ms(const struct supervisor *supervisor);

/* Restart the unit ${name}.  Errors: NOT_FOUND, BUSY. */
SYNQ_MUST_CHECK int supervisor_restart(
    struct supervisor *supervisor, const char *name, struct synq_err *err);

/*
 * Let ${count} instances of ${program} ("dispatcher") run.  Errors: NOT_FOUND,
 * INVALID, BUSY, SYSTEM.
 */
SYNQ_MUST_CHECK int supervisor_scale(struct supervisor *supervisor,
    const char *program, uint64_t count, struct synq_err *err);

/*
 * 1 if nothing is on its way; else 0 and what is appended to ${out}, as
 * "kafka starting, ...".
 */
int supervisor_settled(
    const struct supervisor *supervisor, struct synq_buf *out);

#endif
