#ifndef SYNQ_PG_PG_H
#define SYNQ_PG_PG_H

/*
 * PostgreSQL: a pool of connections on the loop, each in pipeline mode, so
 * that a whole transaction costs one round trip and many are in flight at
 * once.  This folder is the only one that sees libpq.
 *
 * Statements are prepared once per connection, keyed by the address of their
 * text, which is therefore a literal.  Parameters and results are binary.
 *
 * Limits: max_queued transactions wait; above that synq_pg_start fails BUSY.
 * A transaction that waits longer than limit_ms ends with TIMEOUT (nothing was
 * sent) or UNCERTAIN (it was).
 * Reconnects by itself, with backoff; transactions whose connection broke
 * after they were sent end with UNCERTAIN, others wait or are sent again.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"

struct synq_loop;
struct synq_pg;
struct synq_pg_rows;

struct synq_pg_config {
	const char *url; /* libpq connection string; numeric address */
	uint32_t connections;
	uint32_t max_queued;
	uint32_t limit_ms;
	const char *role; /* "SET ROLE" after connecting; NULL = none */
};

enum synq_pg_type {
	SYNQ_PG_NULL,
	SYNQ_PG_INT4,
	SYNQ_PG_INT8,
	SYNQ_PG_BOOL,
	SYNQ_PG_TEXT,
	SYNQ_PG_BYTEA,
	SYNQ_PG_UUID,
	SYNQ_PG_TIME, /* int64 microseconds since 1970 <-> timestamptz */
	SYNQ_PG_ARRAY /* a struct synq_pg_array */
};

struct synq_pg_array; /* an array parameter, built with the calls below */

struct synq_pg_param {
	enum synq_pg_type type;
	int64_t number;
	struct synq_slice slice; /* TEXT, BYTEA; borrowed until start returns */
	const struct synq_uuid *uuid; /* borrowed until start returns */
	struct synq_pg_array *array;  /* borrowed until start returns */
};

/* Builders of one parameter each. */
struct synq_pg_param synq_pg_null(void);
/* An int4 ${number}. */
struct synq_pg_param synq_pg_int4(int32_t number);
/* An int8 ${number}. */
struct synq_pg_param synq_pg_int8(int64_t number);
/* A boolean, true if ${truth} is not 0. */
struct synq_pg_param synq_pg_bool(int truth);
/* A text ${slice}; data NULL gives NULL. */
struct synq_pg_param synq_pg_text(struct synq_slice slice);
/* A bytea ${slice}; data NULL gives NULL. */
struct synq_pg_param synq_pg_bytes(struct synq_slice slice);
/* A uuid; NULL gives NULL. */
struct synq_pg_param synq_pg_uuid(const struct synq_uuid *uuid);
/* A timestamptz of ${wall_us}. */
struct synq_pg_param synq_pg_time(int64_t wall_us);
/* The array ${array}. */
struct synq_pg_param synq_pg_array(struct synq_pg_array *array);

/*
 * A new array of ${type}, for unnest; the caller frees it.  Elements are added
 * as parameters of the same type or NULL.
 */
struct synq_pg_array *synq_pg_array_new(enum synq_pg_type type);

/* Add ${param} to ${array}; its bytes are copied. */
void synq_pg_array_add(struct synq_pg_array *array, struct synq_pg_param param);

/* Empty ${array}, keeping its room. */
void synq_pg_array_clear(struct synq_pg_array *array);

/* How many elements ${array} has. */
size_t synq_pg_array_count(const struct synq_pg_array *array);

/* Free *${array}; sets it to NULL. */
void synq_pg_array_free(struct synq_pg_array **array);

struct synq_pg_statement {
	const char *sql; /* a literal with $1.. */
	const struct synq_pg_param *params;
	size_t count;
};

/*
 * The end of a transaction: ${rc} 0 and ${rows}, one per statement in order
 * (valid during the call only), or the error: CONFLICT (unique violation,
 * serialization failure, deadlock), DENIED (a privilege, row-level security),
 * INVALID (a value that its type or a constraint does not allow), REFUSED (any
 * other of the server), UNAVAILABLE, TIMEOUT (also when the server ended a
 * statement after limit_ms), UNCERTAIN.
 */
typedef void synq_pg_done_fn(void *ctx, int rc,
    const struct synq_pg_rows *const *rows, const struct synq_err *err);

struct synq_pg_transaction {
	/*
	 * The tenant for row-level security: sets synq.organization_id for this
	 * transaction, in the same round trip.  NULL = none.
	 */
	const struct synq_uuid *organization_id;
	const struct synq_pg_statement *statements;
	size_t count; /* one statement without a tenant runs without BEGIN */
	synq_pg_done_fn *done;
	void *ctx;
};

/* A pool on ${loop} as ${config} says; connects in the background. */
SYNQ_MUST_CHECK int synq_pg_new(struct synq_loop *loop,
    const struct synq_pg_config *config, struct synq_pg **ret,
    struct synq_err *err);

/*
 * Start ${transaction}; done runs once.  Errors (done will not run): BUSY,
 * TOO_LARGE (a value above 256 MiB).
 */
SYNQ_MUST_CHECK int synq_pg_start(
    struct synq_pg *pg, const struct synq_pg_transaction *transaction);

/* Forget all transactions whose ctx is ${ctx}: their done will not run. */
void synq_pg_forget(struct synq_pg *pg, const void *ctx);

/* The loop that ${pg} runs on. */
struct synq_loop *synq_pg_loop(const struct synq_pg *pg);

/* 1 if at least one connection works, else 0. */
int synq_pg_healthy(const struct synq_pg *pg);

/* How many transactions have not ended. */
size_t synq_pg_pending(const struct synq_pg *pg);

/* Close and free *${pg}; no done runs any more.  Sets it to NULL. */
void synq_pg_free(struct synq_pg **pg);

/* How many rows the statement returned. */
size_t synq_pg_row_count(const struct synq_pg_rows *rows);

/* How many rows the INSERT, UPDATE or DELETE changed. */
uint64_t synq_pg_changed(const struct synq_pg_rows *rows);

/* 1 if ${row}, ${column} is NULL, else 0. */
int synq_pg_is_null(const struct synq_pg_rows *rows, size_t row, int column);

/* The int2, int4, int8 or boolean at ${row}, ${column}; 0 if NULL. */
int64_t synq_pg_get_int(
    const struct synq_pg_rows *rows, size_t row, int column);

/* The text, bytea or name at ${row}, ${column}; borrowed from ${rows}. */
struct synq_slice synq_pg_get_slice(
    const struct synq_pg_rows *rows, size_t row, int column);

/* The uuid at ${row}, ${column}; nil if NULL. */
struct synq_uuid synq_pg_get_uuid(
    const struct synq_pg_rows *rows, size_t row, int column);

/* The timestamptz at ${row}, ${column} as in synq_pg_time; 0 if NULL. */
int64_t synq_pg_get_time(
    const struct synq_pg_rows *rows, size_t row, int column);

#endif
