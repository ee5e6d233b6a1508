#ifndef SYNQ_DISPATCHER_RESULTS_H
#define SYNQ_DISPATCHER_RESULTS_H

/*
 * What the dispatcher writes: outcomes to synq.results, the dead to
 * synq.dead, answers to the intake that waits.
 */

#include "core.h"

/* The topics that the producer must know before its first record. */
extern const char *const results_topics[];

/* core_io.send: ${ctx} is the dispatcher. */
int results_send(
    void *ctx, struct work *work, const struct synq_outcome *outcome);

/* core_io.reply. */
void results_reply(
    void *ctx, struct work *work, const struct synq_outcome *outcome);

/* core_io.dead. */
void results_dead(void *ctx, const struct partition *partition, int64_t offset,
    struct synq_slice value);

/* core_io.acked. */
int64_t results_acked(void *ctx, int32_t partition);

#endif
