#ifndef SYNQ_DISPATCHER_PARTITION_H
#define SYNQ_DISPATCHER_PARTITION_H

/*
 * One assigned source partition: its offset tracker, the requests read from
 * it, and, until they are read, what the results tell about them.
 *
 * Life: partition_new → partition_restore (what the group has committed) →
 * partition_outcome for every record of results from
 * partition_reconcile_from on → partition_settle when the end is reached and
 * the members are known → core_request... → partition_commit now and then →
 * partition_free on revoke.
 */

#include "core.h"
#include "opens.h"

/* What results say about a record that is not read (again) yet. */
struct known {
	int64_t offset; /* of the source; the map's key is its bytes */
	struct synq_uuid job_id;
	int ended; /* has its final result */
	uint32_t attempt;
	uint32_t failures;
	int64_t not_before_at;
	int64_t first_outcome;
	struct opens opens; /* attempts without an end */
};

struct partition {
	struct synq_link link; /* on core->partitions */
	struct core *core;
	enum synq_source_topic topic;
	int32_t number;
	struct synq_track *track; /* NULL until restored */
	struct synq_list works;
	struct synq_map *known;        /* source offset => struct known */
	struct synq_map *cancels;      /* struct cancel_key => struct cancel */
	struct synq_list cancel_order; /* the same, oldest first */
	struct ended ended; /* jobs that its results say have ended */
	size_t bytes;
	int stopped;          /* reading stopped for want of room */
	int64_t settled[2];   /* see partition_settled; results offsets */
	int64_t settled_at;   /* when the second was taken; wall us */
	int active;           /* settled: requests are read */
	struct synq_buf late; /* a record that the tracker cannot take yet */
	int64_t late_offset;  /* its offset; -1 = none */
	int64_t newest_at; /* of the records read, by their clocks; wall us */
	void *io;          /* the I/O side's own */
};

/* The partition ${number} of ${topic}, just assigned. */
struct partition *partition_new(
    struct core *core, enum synq_source_topic topic, int32_t number);

/*
 * It is revoked (${lost}: without our say): commit if that is still allowed,
 * give up what waits, let calls finish.  Frees *${partition}, sets it to NULL.
 */
void partition_free(struct partition **partition, int lost);

/*
 * A time, us, above that of every record that was read when ${metadata} was
 * committed; -1 = it does not say.
 */
int64_t partition_read_until(struct synq_slice metadata);

/*
 * The group has committed ${offset} (-1 = nothing) with ${metadata}.  From
 * ${cut} on the log does not hold what was read then: it ends there, or was
 * written anew since a crash of its broker.  Returns 0, or CORRUPT if the
 * metadata said nothing usable: then everything from the lower of the offset
 * and ${cut} on is known by results only.
 */
int partition_restore(struct partition *partition, int64_t offset,
    struct synq_slice metadata, int64_t cut);

/* No request is open; results below ${young} are of none that may come again.
 */
void partition_idle_until(struct partition *partition, int64_t young);

/* Results can be read from ${offset} on only; see partition_reconcile_from. */
void partition_results_found(struct partition *partition, int64_t offset);

/* Where to start to read requests; -1 = the first that is kept. */
int64_t partition_start_at(const struct partition *partition);

/* Where to start to read results; -1 = by time, or the first that is kept. */
int64_t partition_reconcile_from(const struct partition *partition);

/*
 * A record of the results partition at ${offset}.  Before partition_settle it
 * is kept; afterwards it ends what is held.
 */
void partition_outcome(struct partition *partition, int64_t offset,
    const struct synq_outcome *outcome);

/* 1 if the job ${job_id} is known to have ended, here or by results; else 0. */
int partition_has_ended(
    const struct partition *partition, const struct synq_uuid *job_id);

/* Results are read to their end: requests may be read now. */
void partition_settle(struct partition *partition);

/* How many of its requests others may still end: results are read for them. */
size_t partition_held(const struct partition *partition);

/* What results say about ${offset}, or NULL; the caller frees it from there. */
struct known *partition_known(struct partition *partition, int64_t offset);

/* Forget ${known}, which was used. */
void partition_known_drop(struct partition *partition, struct known *known);

/* The record ${offset} is done. */
void partition_done(struct partition *partition, int64_t offset);

/* Commit if there is anything new. */
void partition_commit(struct partition *partition);

/* 1 if another record may be read now, else 0. */
int partition_room(struct partition *partition);

/* Read on if ${partition} was stopped and there is room again. */
void partition_check_room(struct partition *partition);

#endif
