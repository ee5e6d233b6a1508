/*
 * A map to find them by and a list to forget the oldest from.
 */

#include "ended.h"

#include "base/mem.h"

struct ended {
	struct synq_link link; /* on core->ended_order */
	struct synq_uuid id;   /* the map's key */
};

static void
ended_drop_oldest(struct core *core)
{
	struct synq_link *link = synq_list_shift(&core->ended_order);
	struct ended *ended = SYNQ_CONTAINER(link, struct ended, link);

	(void)synq_map_remove(core->ended, synq_uuid_slice(&ended->id));
	synq_mem_free(ended);
}

void
ended_add(struct core *core, const struct synq_uuid *id)
{
	struct ended *ended;

	if (ended_has(core, id))
		return;
	if (core->ended_order.count >= ENDED_KEPT)
		ended_drop_oldest(core);
	ended = synq_mem_new(sizeof(*ended));
	ended->id = *id;
	synq_list_push(&core->ended_order, &ended->link);
	(void)synq_map_set(core->ended, synq_uuid_slice(&ended->id), ended);
}

int
ended_has(const struct core *core, const struct synq_uuid *id)
{
	return synq_map_get(core->ended, synq_uuid_slice(id)) != NULL;
}

void
ended_free_all(struct core *core)
{
	while (core->ended_order.count > 0)
		ended_drop_oldest(core);
}
