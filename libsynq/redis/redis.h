#ifndef SYNQ_REDIS_REDIS_H
#define SYNQ_REDIS_REDIS_H

/*
 * Redis on the loop: pipelined commands on one connection, subscriptions on a
 * second.  This folder is the only one that sees hiredis.
 *
 * Commands have a time limit of their own (hiredis 0.14 has none).  While
 * Redis is away commands fail at once with UNAVAILABLE; nothing waits for it.
 * Reconnects by itself with backoff; subscriptions are made again.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_loop;
struct synq_redis;

struct synq_redis_config {
	const char *host; /* numeric address */
	uint16_t port;
	const char *password; /* NULL = none */
	uint32_t limit_ms;    /* of one command */
	uint32_t max_queued;  /* commands without an answer; then BUSY */
};

enum synq_reply_type {
	SYNQ_REPLY_NIL,
	SYNQ_REPLY_INT,
	SYNQ_REPLY_TEXT, /* string or status */
	SYNQ_REPLY_ARRAY
};

/* An answer; valid during the callback only. */
struct synq_redis_reply {
	enum synq_reply_type type;
	int64_t number;
	struct synq_slice text;
	size_t count; /* of an array */
	const void *handle;
};

/* Element ${index} of the array ${reply}; NIL beyond its end. */
struct synq_redis_reply synq_redis_element(
    const struct synq_redis_reply *reply, size_t index);

/*
 * The answer to a command: ${rc} 0 and ${reply}, or UNAVAILABLE (not sent,
 * connection gone), UNCERTAIN (sent, then no answer in time or the connection
 * gone), REFUSED (Redis said an error: ${reply}->text).
 */
typedef void synq_redis_done_fn(
    void *ctx, int rc, const struct synq_redis_reply *reply);

/* A message on a subscribed channel. */
typedef void synq_redis_message_fn(void *ctx, struct synq_slice payload);

/* A client on ${loop}; connects in the background.  Error: CONFIG. */
SYNQ_MUST_CHECK int synq_redis_new(struct synq_loop *loop,
    const struct synq_redis_config *config, struct synq_redis **ret,
    struct synq_err *err);

/*
 * Send the command of ${count} words ${words}; ${done} (may be NULL) runs
 * once.  Errors (done will not run): UNAVAILABLE, BUSY.
 */
SYNQ_MUST_CHECK int synq_redis_command(struct synq_redis *redis,
    const struct synq_slice *words, size_t count, synq_redis_done_fn *done,
    void *ctx);

/* Subscribe to ${channel}, now and after every reconnect. */
void synq_redis_subscribe(struct synq_redis *redis, const char *channel,
    synq_redis_message_fn *fn, void *ctx);

/*
 * Let ${fn} run after each time that the subscriptions stand again: messages
 * sent meanwhile are lost.
 */
void synq_redis_on_subscribed(
    struct synq_redis *redis, void (*fn)(void *ctx), void *ctx);

/* 1 if the command connection works, else 0. */
int synq_redis_healthy(const struct synq_redis *redis);

/* 1 if the subscriptions stand, else 0. */
int synq_redis_subscribed(const struct synq_redis *redis);

/* Close and free *${redis}; no callback runs any more.  Sets it to NULL. */
void synq_redis_free(struct synq_redis **redis);

#endif
