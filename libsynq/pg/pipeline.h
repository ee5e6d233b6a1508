#ifndef SYNQ_PG_PIPELINE_H
#define SYNQ_PG_PIPELINE_H

/*
 * The transactions on their way over one connection, in order, and the
 * statements that the connection has prepared.  Internal to pg.
 */

#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "base/attr.h"

struct synq_pg_pipeline;
struct synq_pg_work;

/* What happens to a work that comes back; both run inside take and break. */
struct synq_pg_pipeline_hooks {
	/* ${work} has ended; its rc and err are set. */
	void (*ended)(void *ctx, struct synq_pg_work *work);
	/* ${work} had no effect and is to be sent again. */
	void (*again)(void *ctx, struct synq_pg_work *work);
	void *ctx;
};

/*
 * A pipeline over the idle ${handle}, which the caller finishes afterwards;
 * NULL if it is not fit.
 */
struct synq_pg_pipeline *synq_pg_pipeline_new(
    PGconn *handle, const struct synq_pg_pipeline_hooks *hooks);

/* Free *${pipeline}, calling nobody; sets it to NULL. */
void synq_pg_pipeline_free(struct synq_pg_pipeline **pipeline);

/*
 * Hand ${work} to libpq.  Error: UNAVAILABLE, then it will not have an effect
 * and the connection is broken.
 */
SYNQ_MUST_CHECK int synq_pg_pipeline_send(
    struct synq_pg_pipeline *pipeline, struct synq_pg_work *work);

/* Leave ${work} to its owner; what is answered to it is dropped. */
void synq_pg_pipeline_abandon(struct synq_pg_work *work);

/*
 * Take what has arrived; *${ret_results} counts it.  Error: UNAVAILABLE, then
 * the connection is broken.
 */
SYNQ_MUST_CHECK int synq_pg_pipeline_take(
    struct synq_pg_pipeline *pipeline, size_t *ret_results);

/* The connection is gone: end all works, those without an answer UNCERTAIN. */
void synq_pg_pipeline_break(struct synq_pg_pipeline *pipeline);

/* How many works and preparations are on their way. */
size_t synq_pg_pipeline_count(const struct synq_pg_pipeline *pipeline);

#endif
