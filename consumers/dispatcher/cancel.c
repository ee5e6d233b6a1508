/*
 * Cancels: applied at once to a work in hand, otherwise kept until its request
 * is read.  The stream of cancels is read from before the oldest request that
 * is not done, so that none is missed after a take-over.
 *
 * A cancel does not say which topic its request lies in: with two source
 * partitions of one number, each keeps those of the other as well, whose
 * requests it never reads.  Age clears them away.
 */

#include "cancel.h"

#include "base/mem.h"
#include "partition.h"
#include "work.h"

/*
 * A request lies on the log when its cancel is asked for, or follows within
 * what a broker and two clocks may be late.
 */
#define CANCEL_LATE_US (3600LL * 1000000)

/* A job of another organization is another job, whatever its id. */
struct cancel_key {
	struct synq_uuid organization_id;
	struct synq_uuid job_id;
};

struct cancel {
	struct synq_link link; /* on partition->cancel_order */
	struct cancel_key key;
	enum synq_cancel_reason reason;
	int64_t asked_at;
};

static struct synq_slice
cancel_slice(const struct cancel_key *key)
{
	return synq_slice_of(key, sizeof(*key));
}

/* The one that ${partition} keeps, or NULL. */
static struct cancel *
cancel_find(const struct partition *partition,
    const struct synq_uuid *organization_id, const struct synq_uuid *job_id)
{
	const struct cancel_key key = { *organization_id, *job_id };

	return synq_map_get(partition->cancels, cancel_slice(&key));
}

static struct cancel *
cancel_oldest(const struct partition *partition)
{
	struct synq_link *link = synq_list_first(&partition->cancel_order);

	return link == NULL ? NULL : SYNQ_CONTAINER(link, struct cancel, link);
}

static void
cancel_drop(struct partition *partition, struct cancel *cancel)
{
	(void)synq_map_remove(partition->cancels, cancel_slice(&cancel->key));
	synq_list_remove(&partition->cancel_order, &cancel->link);
	synq_mem_free(cancel);
}

/* Keep ${message}; 1 if the oldest had to go for it, else 0. */
static int
cancel_keep(struct partition *partition, const struct synq_cancel *message)
{
	const int full = partition->cancel_order.count >= CANCELS_KEPT;
	struct cancel *cancel =
	    cancel_find(partition, &message->organization_id, &message->job_id);

	if (cancel != NULL) {
		/* What a client asked for outweighs that it went away. */
		if (message->reason != SYNQ_CANCEL_GONE)
			cancel->reason = message->reason;
		return 0;
	}
	if (full)
		cancel_drop(partition, cancel_oldest(partition));
	cancel = synq_mem_new(sizeof(*cancel));
	cancel->key =
	    (struct cancel_key){ message->organization_id, message->job_id };
	cancel->reason = message->reason;
	cancel->asked_at = message->asked_at;
	synq_list_push(&partition->cancel_order, &cancel->link);
	(void)synq_map_set(
	    partition->cancels, cancel_slice(&cancel->key), cancel);
	return full;
}

int
core_cancel(struct partition *partition, const struct synq_cancel *cancel)
{
	struct work *work;

	work = synq_map_get(
	    partition->core->jobs, synq_uuid_slice(&cancel->job_id));
	if (work == NULL)
		return partition_has_ended(partition, &cancel->job_id)
		           ? 0
		           : cancel_keep(partition, cancel);
	if (synq_uuid_equal(
		&work->request.organization_id, &cancel->organization_id))
		work_cancel(work, cancel->reason);
	return 0;
}

int
cancel_take(struct partition *partition, const struct synq_request *request,
    enum synq_cancel_reason *ret_reason)
{
	struct cancel *cancel =
	    cancel_find(partition, &request->organization_id, &request->job_id);

	if (cancel == NULL)
		return 0;
	*ret_reason = cancel->reason;
	cancel_drop(partition, cancel);
	return 1;
}

void
cancel_forget(struct partition *partition,
    const struct synq_uuid *organization_id, const struct synq_uuid *job_id)
{
	struct cancel *cancel = cancel_find(partition, organization_id, job_id);

	if (cancel != NULL)
		cancel_drop(partition, cancel);
}

void
cancel_forget_old(struct partition *partition, int64_t created_at)
{
	struct cancel *cancel;

	while ((cancel = cancel_oldest(partition)) != NULL &&
	       cancel->asked_at < created_at - CANCEL_LATE_US)
		cancel_drop(partition, cancel);
}

void
cancel_forget_all(struct partition *partition)
{
	struct cancel *cancel;

	while ((cancel = cancel_oldest(partition)) != NULL)
		cancel_drop(partition, cancel);
}
