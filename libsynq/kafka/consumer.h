#ifndef SYNQ_KAFKA_CONSUMER_H
#define SYNQ_KAFKA_CONSUMER_H

/*
 * A member of a consumer group (cooperative-sticky), with one queue per
 * partition that is polled only while the program has room: nothing is ever
 * paused (kafka.md 3.4).
 *
 * Life of a partition: on_assign → the program prepares (asks for the
 * committed offset, reads what it needs) → synq_consumer_start → messages →
 * on_revoke (last chance to commit) → gone.  A partition that is lost, because
 * the group expelled us, gets on_revoke with lost = 1: then nothing may be
 * committed.
 *
 * Commits wait behind a gate while a JoinGroup or SyncGroup is outstanding
 * (kafka.md 3.3); only the newest commit per partition is kept while it waits.
 *
 * FENCED_INSTANCE_ID calls on_fatal if another process has our name.  If it
 * comes of our own former membership (member.c), all partitions are lost and
 * the consumer joins anew by itself.
 */

#include "kafka/kafka.h"

struct synq_consumer;

struct synq_consumer_events {
	/* ${topic}, ${partition} is ours; call synq_consumer_start when ready.
	 */
	void (*on_assign)(void *ctx, const char *topic, int32_t partition);
	/*
	 * It goes.  Commit now with synq_consumer_commit; the hand-over waits
	 * for that commit, at most 1 s.  ${lost}: it is gone already.
	 */
	void (*on_revoke)(
	    void *ctx, const char *topic, int32_t partition, int lost);
	/*
	 * A record.  Return 0 to get more, 1 if there is no room for another
	 * one of this partition now (this one is taken all the same); then
	 * synq_consumer_resume starts it again.
	 */
	int (*on_message)(void *ctx, const struct synq_kafka_message *message);
	/* ${topic}, ${partition} was read to its present end. */
	void (*on_end)(void *ctx, const char *topic, int32_t partition);
	/* The process must end; ${err} says why. */
	void (*on_fatal)(void *ctx, const struct synq_err *err);
};

/* What the group has committed for a partition. */
typedef void synq_committed_fn(
    void *ctx, int rc, int64_t offset, struct synq_slice metadata);

/*
 * Join ${group} for the NULL-terminated ${topics} as the member ${instance}
 * (group.instance.id; NULL = a dynamic member).  ${events} is copied.
 * Does not wait for the broker.  Errors: CONFIG, SYSTEM.
 */
struct synq_consumer_config {
	struct synq_kafka_config kafka;
	const char *group;
	const char *instance;
	const char *const *topics;
	/*
	 * How long the broker may gather records for one answer (512 KB
	 * end it sooner).  0 = each record comes at once: the broker then
	 * answers a fetch for every record or two, and each names all
	 * partitions.
	 */
	uint32_t gather_ms;
	struct synq_consumer_events events;
	void *ctx;
};

/* A consumer on ${loop} as ${config} says, into ${ret}. */
SYNQ_MUST_CHECK int synq_consumer_new(struct synq_loop *loop,
    const struct synq_consumer_config *config, struct synq_consumer **ret,
    struct synq_err *err);

/*
 * Ask what the group has committed for ${topic}, ${partition}.  ${fn} gets rc
 * 0 and offset -1 where nothing is committed; an error is retried inside until
 * the partition is revoked, in which case ${fn} does not run.
 */
void synq_consumer_committed(struct synq_consumer *consumer, const char *topic,
    int32_t partition, synq_committed_fn *fn, void *ctx);

/*
 * Start the assigned ${topic}, ${partition} at ${offset}; -1 = the first that
 * is kept.  Ignored if it was revoked meanwhile.  If the offset is no longer
 * kept, on_fatal gets NOT_FOUND: skipping would lose requests.
 */
void synq_consumer_start(struct synq_consumer *consumer, const char *topic,
    int32_t partition, int64_t offset);

/* Go on with ${topic}, ${partition}, stopped by on_message returning 1. */
void synq_consumer_resume(
    struct synq_consumer *consumer, const char *topic, int32_t partition);

/*
 * Commit ${offset} (the next to read) with the text ${metadata} (<= 4,096
 * characters, asserted) for ${topic}, ${partition}; asynchronous.  Failures
 * are retried with whatever is newest.
 */
void synq_consumer_commit(struct synq_consumer *consumer, const char *topic,
    int32_t partition, int64_t offset, struct synq_slice metadata);

/*
 * The log's first and last+1 offsets of ${topic}, ${partition} as last heard,
 * into ${ret_low} and ${ret_high}; -1 = not known.
 */
void synq_consumer_watermarks(struct synq_consumer *consumer, const char *topic,
    int32_t partition, int64_t *ret_low, int64_t *ret_high);

/*
 * How long ago, us, all that the log then held of the partitions that were
 * started and have room had been delivered; UINT64_MAX = not known.  So on_end
 * without a record since is true of that time, not of now.  That one of several
 * brokers alone is out of reach is not noticed.
 */
uint64_t synq_consumer_behind_us(const struct synq_consumer *consumer);

/* 1 if the group's coordinator answers, else 0. */
int synq_consumer_healthy(const struct synq_consumer *consumer);

/* The client ids of the group's members, asked of the broker. */
typedef void synq_members_fn(
    void *ctx, int rc, const char *const *client_ids, size_t count);

/*
 * Ask who is in the group of ${consumer} now; ${fn} runs once, unless the
 * consumer is freed before.
 */
void synq_consumer_members(
    struct synq_consumer *consumer, synq_members_fn *fn, void *ctx);

/*
 * Leave the group: on_revoke runs for each partition, commits are sent, then
 * the handle is closed, all within ${limit_ms} (shutdown only: the loop does
 * not turn).  Sets *${consumer} to NULL.
 */
void synq_consumer_free(struct synq_consumer **consumer, uint32_t limit_ms);

#endif
