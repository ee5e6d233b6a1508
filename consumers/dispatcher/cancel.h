#ifndef SYNQ_DISPATCHER_CANCEL_H
#define SYNQ_DISPATCHER_CANCEL_H

/*
 * Cancels that came before their request was read.  Each partition keeps its
 * own, so that no other's can crowd them out; what cannot meet a request any
 * more is not kept.  Bounded: the oldest go first, and core_cancel says so; a
 * job whose cancel is forgotten simply runs.
 */

#include "core.h"

/*
 * Of one partition: as many as it may have requests open.  They take 10 MB,
 * and only where somebody cancels that many jobs which are not read yet: an
 * organization has one partition, rarely a few.
 */
#define CANCELS_KEPT 65536

/* The cancel of ${request}, if ${partition} keeps one: 1 and ${ret_reason}; 0.
 */
int cancel_take(struct partition *partition, const struct synq_request *request,
    enum synq_cancel_reason *ret_reason);

/* The job ${job_id} of ${organization_id} has ended: forget its cancel. */
void cancel_forget(struct partition *partition,
    const struct synq_uuid *organization_id, const struct synq_uuid *job_id);

/*
 * A request of ${partition} that was made at ${created_at} is read: forget the
 * cancels of those that were long on the log by then.
 */
void cancel_forget_old(struct partition *partition, int64_t created_at);

/* Forget all that ${partition} keeps. */
void cancel_forget_all(struct partition *partition);

#endif
