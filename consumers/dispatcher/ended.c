/*
 * A map to find them by and a list to forget the oldest from.
 */

#include "ended.h"

#include "base/mem.h"

struct ended_job {
	struct synq_link link; /* on ended->order */
	struct synq_uuid id;   /* the map's key */
};

void
ended_init(struct ended *ended, size_t limit)
{
	ended->ids = synq_map_new();
	synq_list_init(&ended->order);
	ended->limit = limit;
}

static void
ended_drop_oldest(struct ended *ended)
{
	struct synq_link *link = synq_list_shift(&ended->order);
	struct ended_job *job = SYNQ_CONTAINER(link, struct ended_job, link);

	(void)synq_map_remove(ended->ids, synq_uuid_slice(&job->id));
	synq_mem_free(job);
}

void
ended_add(struct ended *ended, const struct synq_uuid *id)
{
	struct ended_job *job;

	if (ended_has(ended, id))
		return;
	if (ended->order.count >= ended->limit)
		ended_drop_oldest(ended);
	job = synq_mem_new(sizeof(*job));
	job->id = *id;
	synq_list_push(&ended->order, &job->link);
	(void)synq_map_set(ended->ids, synq_uuid_slice(&job->id), job);
}

int
ended_has(const struct ended *ended, const struct synq_uuid *id)
{
	return synq_map_get(ended->ids, synq_uuid_slice(id)) != NULL;
}

void
ended_done(struct ended *ended)
{
	while (ended->order.count > 0)
		ended_drop_oldest(ended);
	synq_map_free(&ended->ids);
}
