#ifndef CTL_UP_TASK_H
#define CTL_UP_TASK_H

/*
 * Work that blocks (initdb, migrations, asking a server) beside the
 * supervisor's loop: a child process runs one function and sends back how it
 * ended.  It dies with the supervisor.
 */

#include "base/attr.h"
#include "base/err.h"

struct synq_loop;
struct task;

/* The work, in the child: 0 or an error that is in ${err}. */
typedef int task_work_fn(void *arg, struct synq_err *err);

/* The end of the work: ${rc} and ${err} are what it returned. */
typedef void task_done_fn(void *ctx, int rc, const struct synq_err *err);

struct task_call {
	task_work_fn *work;
	void *arg;
	task_done_fn *done; /* runs once on the loop, unless cancelled */
	void *ctx;
};

/*
 * Start ${call} beside ${loop}.  *${ret} is valid until done runs.  Error:
 * SYSTEM.
 */
SYNQ_MUST_CHECK int task_start(struct synq_loop *loop,
    const struct task_call *call, struct task **ret, struct synq_err *err);

/* Kill *${task}: done does not run.  Sets it to NULL; NULL is fine. */
void task_cancel(struct task **task);

/*
 * In a child that was just forked from a process whose pid is ${parent}:
 * forget the parent's signal handlers and descriptors above ${keep} (at least
 * 2), and receive ${signum} when the parent dies.
 */
void task_detach(int parent, int keep, int signum);

#endif
