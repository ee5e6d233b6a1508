#ifndef SYNQ_INTAKE_WAIT_H
#define SYNQ_INTAKE_WAIT_H

/*
 * Waiting for results (decisions 20): the dispatcher publishes the answer on
 * this intake's channel; whoever waits also re-reads its row after 250 ms,
 * 500 ms and then each second, and at once after Redis came back.
 *
 * Answers that nobody waited for are kept for a little while, because the
 * client usually asks for them next.
 *
 * Limits: waiters are bounded by the calls in hand; kept answers by number,
 * bytes and age.
 */

#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "job/state.h"

struct intake;
struct waits;

/* How a job ended; valid during the callback only. */
struct wait_result {
	enum synq_job_state state;
	int32_t answer_status;
	struct synq_slice body;
};

/* The result is there, or (NULL) the time is up. */
typedef void wait_fn(void *ctx, const struct wait_result *result);

/* One who waits; embedded in the caller's object. */
struct waiter {
	struct synq_link link; /* on its job's list */
	struct synq_heap_node timer;
	struct synq_link timer_link; /* while its row is due */
	struct wait_job *job;        /* NULL = not waiting */
	uint64_t limit_us;           /* monotonic */
	uint32_t reads;              /* of the row, so far */
	wait_fn *fn;
	void *ctx;
};

/* An empty set of waiters of ${intake}; the caller frees it. */
struct waits *waits_new(struct intake *intake);

/*
 * Free *${waits}; no callback runs any more.  Sets it to NULL.  The pool of
 * PostgreSQL that rows are read from must be freed before.
 */
void waits_free(struct waits **waits);

struct wait_request {
	struct synq_uuid organization_id;
	struct synq_uuid job_id;
	uint64_t limit_us; /* monotonic: when to give up */
	wait_fn *fn;
	void *ctx;
};

/*
 * Let ${waiter} wait as ${request} says.  fn runs once, from the loop.
 */
void wait_start(struct waits *waits, struct waiter *waiter,
    const struct wait_request *request);

/* Let ${waiter} wait no more: its fn will not run.  Nothing if it does not. */
void wait_stop(struct waits *waits, struct waiter *waiter);

/*
 * The answer to ${job_id} of ${organization_id} if it is kept here: 1 and
 * ${ret}, which borrows it until the loop's next turn; else 0.
 */
int wait_kept(struct waits *waits, const struct synq_uuid *organization_id,
    const struct synq_uuid *job_id, struct wait_result *ret);

/*
 * A job of ${organization_id} was accepted here: keep its answer if it comes
 * while nobody waits.
 */
void wait_expect(struct waits *waits, const struct synq_uuid *organization_id,
    const struct synq_uuid *job_id);

#endif
