#ifndef SYNQ_REDIS_SUBSCRIBER_H
#define SYNQ_REDIS_SUBSCRIBER_H

/*
 * The second connection, which listens.  It connects when there is something
 * to listen to.  Internal to redis.
 */

#include "redis/redis.h"

struct synq_redis_subscriber;

/* A subscriber on ${loop} as ${config} says, which it borrows. */
struct synq_redis_subscriber *synq_redis_subscriber_new(
    struct synq_loop *loop, const struct synq_redis_config *config);

/* As synq_redis_subscribe. */
void synq_redis_subscriber_add(struct synq_redis_subscriber *subscriber,
    const char *channel, synq_redis_message_fn *fn, void *ctx);

/* As synq_redis_on_subscribed. */
void synq_redis_subscriber_notify(
    struct synq_redis_subscriber *subscriber, void (*fn)(void *ctx), void *ctx);

/* 1 if all subscriptions of ${subscriber} stand, else 0. */
int synq_redis_subscriber_stands(
    const struct synq_redis_subscriber *subscriber);

/* No callback of ${subscriber} runs any more. */
void synq_redis_subscriber_close(struct synq_redis_subscriber *subscriber);

/* Free *${subscriber}, not from inside a callback; sets it to NULL. */
void synq_redis_subscriber_free(struct synq_redis_subscriber **subscriber);

#endif
