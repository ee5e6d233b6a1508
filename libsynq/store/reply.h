#ifndef SYNQ_STORE_REPLY_H
#define SYNQ_STORE_REPLY_H

/*
 * The reply channels in Redis (schema/redis/keys.md): how an answer reaches
 * the intake that waits for it (decisions 20).
 */

#include "base/slice.h"
#include "base/uuid.h"
#include "proto/signal.h"

struct synq_redis;

/* Append the channel of the intake whose life is ${boot_id} to ${out}. */
void synq_reply_channel(const struct synq_uuid *boot_id, struct synq_buf *out);

/*
 * Publish ${reply} on ${channel}.  Nothing is reported: who waits re-reads the
 * row if no reply comes.
 */
void synq_reply_publish(struct synq_redis *redis, struct synq_slice channel,
    const struct synq_reply *reply);

#endif
