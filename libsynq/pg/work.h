#ifndef SYNQ_PG_WORK_H
#define SYNQ_PG_WORK_H

/*
 * A transaction that was started and has not ended: a copy of what the caller
 * asked for, in the form that libpq takes, and what has been answered so far.
 * Internal to pg.
 */

#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "pg/pg.h"
#include "pg/rows.h"

struct synq_arena;
struct synq_pg_flight;

/* One statement with its parameters, ready to be sent. */
struct synq_pg_call {
	const char *sql;
	struct synq_slice key; /* what it is prepared under */
	const char *name;      /* of the prepared statement, while sending */
	int count;             /* of the four arrays */
	Oid *types;
	const char **values; /* NULL = NULL */
	int *lengths;
	int *formats;
};

struct synq_pg_work {
	struct synq_arena *arena; /* holds this and all below */
	struct synq_link place;   /* on the queue, or among the ended */
	struct synq_link due;     /* oldest first, until it ends */
	uint64_t deadline_us;
	struct synq_pg_flight *flight; /* the way to it, once it is sent */
	synq_pg_done_fn *done;
	void *ctx;
	struct synq_pg_call *calls;
	size_t count;              /* of calls and rows */
	size_t tenant_calls;       /* of these, ours: 1 if there is a tenant */
	size_t answered;           /* calls that have their rows */
	struct synq_pg_rows *rows; /* one for each call */
	const struct synq_pg_rows **views;
	int unprepared; /* 1: sent again without prepared statements */
	int rc;
	struct synq_err err;
};

/* Copy ${transaction} into *${ret}.  Error: TOO_LARGE. */
SYNQ_MUST_CHECK int synq_pg_work_new(
    const struct synq_pg_transaction *transaction, struct synq_pg_work **ret);

/* Forget what was answered to ${work}, so that it can be sent once more. */
void synq_pg_work_reset(struct synq_pg_work *work);

/* Free *${work} and its results; sets it to NULL. */
void synq_pg_work_free(struct synq_pg_work **work);

#endif
