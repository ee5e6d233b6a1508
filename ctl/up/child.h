#ifndef CTL_UP_CHILD_H
#define CTL_UP_CHILD_H

/*
 * Starting a process that is watched, and sending it signals without the risk
 * of hitting another that got its number.
 */

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "ctl/up/place.h"

#define CHILD_MAX_ARGS 64

/* What to run. */
struct child_order {
	const char *argv[CHILD_MAX_ARGS + 1]; /* argv[0] is a path */
	size_t argc;
	const char *folder; /* to run in */
	const char *log;    /* a file that takes what it writes */
	int death_signal;   /* what it gets when the supervisor dies */
	int drops;          /* 1 = as the servers' account */
};

struct child {
	pid_t pid; /* 0 = none */
	int pidfd;
};

/* Append ${word}, which must outlive the start, to ${order}. */
void child_word(struct child_order *order, const char *word);

/* Start ${order} at ${place} as ${ret}.  Error: SYSTEM. */
SYNQ_MUST_CHECK int child_start(const struct place *place,
    const struct child_order *order, struct child *ret, struct synq_err *err);

/* Send ${signum} to ${child}; nothing happens if it is none. */
void child_signal(const struct child *child, int signum);

/* ${child} has ended and was reaped: forget it. */
void child_forget(struct child *child);

/*
 * Run ${order} at ${place} and wait for its end.  For tasks.  Error: SYSTEM,
 * with the last lines of its log.
 */
SYNQ_MUST_CHECK int child_run(const struct place *place,
    const struct child_order *order, struct synq_err *err);

/* Append the last ${lines} lines of the file ${path} to ${out}, indented. */
void child_tail(const char *path, size_t lines, struct synq_buf *out);

/* Set the log ${path} aside as ${path}.1 if it has become too large. */
void child_trim_log(const char *path);

/* When ${pid} started, in clock ticks since boot; 0 if there is none. */
unsigned long long child_ticks(pid_t pid);

#endif
