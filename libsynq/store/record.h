#ifndef SYNQ_STORE_RECORD_H
#define SYNQ_STORE_RECORD_H

/*
 * Writing what the log says (role synq_recorder): a batch of records becomes
 * one transaction of multi-row upserts that also moves the consumed offsets,
 * fenced (decisions 22).  Order-independent: within a batch rows are merged by
 * rank, in the tables a row never goes to a lower one; the first terminal
 * result of a job wins.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "proto/attempt.h"
#include "proto/request.h"
#include "proto/signal.h"

struct synq_pg;
struct synq_batch;

/* An empty batch; the caller frees it. */
struct synq_batch *synq_batch_new(void);

/* Free *${batch}; sets it to NULL.  Not while a write is running. */
void synq_batch_free(struct synq_batch **batch);

/* Empty ${batch} but keep its memory. */
void synq_batch_clear(struct synq_batch *batch);

/* Add the request ${request}; what it lends is copied. */
void synq_batch_request(
    struct synq_batch *batch, const struct synq_request *request);

/* Add the outcome ${outcome}; what it lends is copied. */
void synq_batch_outcome(
    struct synq_batch *batch, const struct synq_outcome *outcome);

/* How far the records of one partition that are in a batch go. */
struct synq_batch_offset {
	const char *topic;
	int32_t partition;
	int64_t expected; /* where the database stands; -1 = no row yet */
	int64_t next;     /* one after the last of them */
	/* With it all before this is recorded, wall us; 0 = as far as before.
	 */
	int64_t as_of;
};

/* With ${batch} the recorder moves on as ${offset} says. */
void synq_batch_offset(
    struct synq_batch *batch, const struct synq_batch_offset *offset);

/* Forget the offsets of ${batch}, not its records. */
void synq_batch_clear_offsets(struct synq_batch *batch);

/* How many records ${batch} holds. */
size_t synq_batch_records(const struct synq_batch *batch);

/* How many bytes the records of ${batch} hold. */
size_t synq_batch_bytes(const struct synq_batch *batch);

/* What a batch comes to. */
struct synq_batch_totals {
	size_t jobs; /* rows */
	size_t attempts;
	/* Moves that its records told of and no job may make: not followed. */
	size_t illegal_moves;
};

/* Count ${batch} into ${ret}. */
void synq_batch_count(
    const struct synq_batch *batch, struct synq_batch_totals *ret);

/*
 * The end of a write: ${rc} 0 and the ${count} state changes that it made,
 * each to be published; FENCED: another member has moved an offset, nothing
 * was written; else as synq_pg_done_fn, nothing was written or it is not
 * known: write again, or read the offsets again.
 */
typedef void synq_batch_fn(void *ctx, int rc, const struct synq_event *events,
    size_t count, const struct synq_err *err);

/*
 * Write ${batch}, which must not change until ${fn} runs.  Deadlocks are
 * retried inside; a row that the server does not take is logged and dropped, so
 * that it does not stop the others.  Errors (fn will not run): BUSY.
 */
SYNQ_MUST_CHECK int synq_batch_write(
    struct synq_batch *batch, struct synq_pg *pg, synq_batch_fn *fn, void *ctx);

/*
 * One partition's place: what lies below ${next} was recorded (-1 = no row),
 * and all that is older than ${as_of_at}, wall us (0 = not known).
 */
typedef void synq_offset_fn(void *ctx, int rc, int64_t next, int64_t as_of_at);

/*
 * Where the recorder stands in ${topic}, ${partition}.  Errors (fn will not
 * run): BUSY.
 */
SYNQ_MUST_CHECK int synq_store_offset(struct synq_pg *pg, const char *topic,
    int32_t partition, synq_offset_fn *fn, void *ctx);

/* The end of a move back: 0, FENCED (it stands elsewhere), or as pg. */
typedef void synq_rewind_fn(void *ctx, int rc);

/* A place to go back to: from ${from}, where it stands, to ${next}. */
struct synq_rewind {
	const char *topic; /* borrowed for the call */
	int32_t partition;
	int64_t from;
	int64_t next;
};

/*
 * Let the recorder go back as ${rewind} says, if it stands there: the log no
 * longer holds what was recorded.  Errors (fn will not run): BUSY.
 */
SYNQ_MUST_CHECK int synq_store_rewind(struct synq_pg *pg,
    const struct synq_rewind *rewind, synq_rewind_fn *fn, void *ctx);

/* Delete expired idempotency keys, a bounded number.  No answer is awaited. */
void synq_store_sweep(struct synq_pg *pg);

#endif
