#ifndef STUB_RECORD_H
#define STUB_RECORD_H

/*
 * What was called: totals, and a line of JSON for each call in a file.
 *
 * A line is written when the call arrives, because from then on a real
 * provider would charge for it; a second one, "event":"gone", if the client
 * left before its answer was sent.  Lines are gathered for 100 ms.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "plan.h"

struct synq_loop;
struct record;

/* What is known of a call. */
struct record_call {
	uint64_t seq; /* 1 = the first */
	struct synq_slice path;
	struct synq_slice model;
	struct synq_slice job_id;     /* x-synq-job-id */
	struct synq_slice attempt_id; /* x-synq-attempt-id */
	struct synq_slice attempt;    /* x-synq-attempt */
	struct synq_slice request_id; /* x-request-id */
	struct synq_slice key;        /* idempotency-key */
	enum plan_outcome outcome;
	int status; /* 0 = no answer planned */
	uint64_t latency_us;
	uint64_t prompt_tokens;
	uint64_t completion_tokens;
};

/*
 * Begin to record, on ${loop}, appending to the file ${path} (NULL = totals
 * only).  Error: SYSTEM.
 */
SYNQ_MUST_CHECK int record_new(struct synq_loop *loop, const char *path,
    struct record **ret, struct synq_err *err);

/* ${call} has arrived; it counts as in flight. */
void record_arrived(struct record *record, const struct record_call *call);

/* A request was refused before it was a call. */
void record_refused(struct record *record);

/* Call ${seq} is over; ${answered} 0: the client left before. */
void record_ended(struct record *record, uint64_t seq, int answered);

/* Append the totals to ${out} as a JSON object. */
void record_totals(const struct record *record, struct synq_buf *out);

/* Set the totals to 0, not what is in flight. */
void record_reset(struct record *record);

/* Write what is gathered and free *${record}; sets it to NULL. */
void record_free(struct record **record);

#endif
