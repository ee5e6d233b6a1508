#ifndef SYNQ_REDIS_WIRE_H
#define SYNQ_REDIS_WIRE_H

/*
 * One connection to Redis: it connects, gives the password, makes sure that
 * somebody answers, writes commands and hands over replies, and begins again
 * with backoff when it breaks.  Internal to redis.
 *
 * Callbacks: the hooks run from the loop only.  Each of them may close the
 * wire, but its memory must stay until the end of the turn.
 */

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "base/attr.h"
#include "base/slice.h"

struct synq_loop;
struct synq_redis_config;
struct synq_redis_wire;

struct synq_redis_hooks {
	/* Commands may be sent. */
	void (*ready)(void *ctx);
	/* ${reply} arrived, borrowed; not 0 gives the connection up. */
	int (*reply)(void *ctx, const redisReply *reply);
	/* The connection is gone, or there was none; comes last. */
	void (*lost)(void *ctx);
	/* About once a second while it is ready. */
	void (*beat)(void *ctx);
	void *ctx;
};

/* A wire on ${loop} as ${config} says, which it borrows, as ${hooks}. */
struct synq_redis_wire *synq_redis_wire_new(struct synq_loop *loop,
    const struct synq_redis_config *config,
    const struct synq_redis_hooks *hooks);

/* Close ${wire}: no hook runs any more.  NULL is fine. */
void synq_redis_wire_close(struct synq_redis_wire *wire);

/* Free *${wire}, not from inside one of its hooks; sets it to NULL. */
void synq_redis_wire_free(struct synq_redis_wire **wire);

/* 1 if commands may be sent on ${wire}, else 0. */
int synq_redis_wire_ready(const struct synq_redis_wire *wire);

/*
 * Send the command of ${count} ${words} on ${wire}, which is ready;
 * *${ret_end} is where it ends in the connection's stream.  Error: BUSY.
 */
SYNQ_MUST_CHECK int synq_redis_wire_send(struct synq_redis_wire *wire,
    const struct synq_slice *words, size_t count, uint64_t *ret_end);

/* How much of its stream the connection of ${wire} has written, or had. */
uint64_t synq_redis_wire_written(const struct synq_redis_wire *wire);

/* Give the connection of ${wire} up; lost runs inside. */
void synq_redis_wire_drop(struct synq_redis_wire *wire);

#endif
