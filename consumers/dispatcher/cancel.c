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

struct cancel {
	struct synq_link link; /* on core->cancel_order */
	struct synq_uuid job_id;
	enum synq_cancel_reason reason;
};

static void
cancel_drop(struct core *core, struct cancel *cancel)
{
	(void)synq_map_remove(core->cancels, synq_uuid_slice(&cancel->job_id));
	synq_list_remove(&core->cancel_order, &cancel->link);
	synq_mem_free(cancel);
}

static void
cancel_keep(struct core *core, const struct synq_cancel *message)
{
	struct cancel *cancel;

	cancel = synq_map_get(core->cancels, synq_uuid_slice(&message->job_id));
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
	cancel->job_id = message->job_id;
	cancel->reason = message->reason;
	synq_list_push(&core->cancel_order, &cancel->link);
	(void)synq_map_set(
	    core->cancels, synq_uuid_slice(&cancel->job_id), cancel);
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
cancel_take(struct core *core, const struct synq_uuid *job_id,
    enum synq_cancel_reason *ret_reason)
{
	struct cancel *cancel;

	cancel = synq_map_get(core->cancels, synq_uuid_slice(job_id));
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
