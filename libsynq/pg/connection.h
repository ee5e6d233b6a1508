#ifndef SYNQ_PG_CONNECTION_H
#define SYNQ_PG_CONNECTION_H

/*
 * One connection of a pool, in pipeline mode.  It connects, keeps connecting
 * with backoff, sends the transactions it is given and hands them back when
 * they have ended.  Internal to pg.
 *
 * Callbacks: the hooks run from the loop only.  A hook may free nothing but
 * what it was handed; after changed, which comes last, all is allowed.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct synq_err;
struct synq_loop;
struct synq_pg_connection;
struct synq_pg_config;
struct synq_pg_work;

/* What the owner does when something happened on a connection. */
struct synq_pg_hooks {
	/* ${work} has ended; its rc and err are set. */
	void (*ended)(void *ctx, struct synq_pg_work *work);
	/* ${work} had no effect and is to be sent again. */
	void (*again)(void *ctx, struct synq_pg_work *work);
	/* There may be room, or works ended. */
	void (*changed)(void *ctx);
	void *ctx;
};

/* A connection on ${loop} as ${config} says, which it borrows, as ${hooks}. */
struct synq_pg_connection *synq_pg_connection_new(struct synq_loop *loop,
    const struct synq_pg_config *config, const struct synq_pg_hooks *hooks);

/* Close and free *${connection}; works on it are left to their owner. */
void synq_pg_connection_free(struct synq_pg_connection **connection);

/* How many transactions ${connection} takes now; 0 while it is not ready. */
size_t synq_pg_connection_room(const struct synq_pg_connection *connection);

/* 1 if ${connection} is ready and answers in time, else 0. */
int synq_pg_connection_works(const struct synq_pg_connection *connection);

/*
 * Send ${work}, for which there is room.  Error: UNAVAILABLE, then it was not
 * sent and there is no more room.
 */
SYNQ_MUST_CHECK int synq_pg_connection_send(
    struct synq_pg_connection *connection, struct synq_pg_work *work);

/* Take no more interest in ${work}, which may be on its way. */
void synq_pg_connection_abandon(struct synq_pg_work *work);

/* Why ${connection} does not work, or last did not; code 0 = no reason yet. */
const struct synq_err *synq_pg_connection_err(
    const struct synq_pg_connection *connection);

#endif
