/*
 * Cancels: applied at once to a work in hand, otherwise kept until its request
 * is read.  The stream of cancels is read from before the oldest request that
 * is not done, so that none is missed after a take-over.
 */

#include "cancel.h"

#include "base/mem.h"
#include "work.h"

/* 65,536 cancels that match nothing take about 8 MB. */
#define CANCELS_KEPT 65536

/* A job of another organization is another job, whatever its id. */
struct cancel_key {
	struct synq_uuid organization_id;
	struct synq_uuid job_id;
};

struct cancel {
	struct synq_link link; /* on core->cancel_order */
	struct cancel_key key;
	enum synq_cancel_reason reason;
};

static struct synq_slice
cancel_slice(const struct cancel_key *key)
{
	return synq_slice_of(key, sizeof(*key));
}

static void
cancel_drop(struct core *core, struct cancel *cancel)
{
	(void)synq_map_remove(core->cancels, cancel_slice(&cancel->key));
	synq_list_remove(&core->cancel_order, &cancel->link);
	synq_mem_free(cancel);
}

static void
cancel_keep(struct core *core, const struct synq_cancel *message)
{
	const struct cancel_key key = { message->organization_id,
		message->job_id };
	struct cancel *cancel;

	cancel = synq_map_get(core->cancels, cancel_slice(&key));
	if (cancel != NULL) {
		/* What a client asked for outweighs that it went away. */
		if (message->reason != SYNQ_CANCEL_GONE)
			cancel->reason = message->reason;
		return;
	}
	if (core->cancel_order.count >= CANCELS_KEPT)
		cancel_drop(
		    core, SYNQ_CONTAINER(synq_list_first(&core->cancel_order),
			      struct cancel, link));
	cancel = synq_mem_new(sizeof(*cancel));
	cancel->key = key;
	cancel->reason = message->reason;
	synq_list_push(&core->cancel_order, &cancel->link);
	(void)synq_map_set(core->cancels, cancel_slice(&cancel->key), cancel);
}

void
core_cancel(struct core *core, const struct synq_cancel *cancel)
{
	struct work *work;

	work = synq_map_get(core->jobs, synq_uuid_slice(&cancel->job_id));
	if (work == NULL)
		cancel_keep(core, cancel);
	else if (synq_uuid_equal(
		     &work->request.organization_id, &cancel->organization_id))
		work_cancel(work, cancel->reason);
}

int
cancel_take(struct core *core, const struct synq_request *request,
    enum synq_cancel_reason *ret_reason)
{
	const struct cancel_key key = { request->organization_id,
		request->job_id };
	struct cancel *cancel;

	cancel = synq_map_get(core->cancels, cancel_slice(&key));
	if (cancel == NULL)
		return 0;
	*ret_reason = cancel->reason;
	cancel_drop(core, cancel);
	return 1;
}

void
cancel_free_all(struct core *core)
{
	struct synq_link *link;

	while ((link = synq_list_first(&core->cancel_order)) != NULL)
		cancel_drop(core, SYNQ_CONTAINER(link, struct cancel, link));
}
