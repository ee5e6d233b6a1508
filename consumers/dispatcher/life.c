/*
 * The latest life of each instance, and the works that are held for others.
 * Bounded by the number of instances that ever announced themselves and are
 * still in the compacted topic.
 */

#include "life.h"

#include <string.h>

#include "base/mem.h"
#include "opens.h"
#include "partition.h"
#include "work.h"

/* How many earlier lives of an instance are remembered by name. */
#define PAST_LIVES 8

struct life {
	struct maker maker; /* its instance is the map's key */
	struct synq_uuid past[PAST_LIVES];
	uint32_t ended; /* lives heard of before this one */
};

/*
 * One that we have not heard of may be too old to be still in the topic, or
 * so new that we have yet to hear: an id tells its time.
 */
static int
life_is_over(const struct core *core, const struct maker *maker)
{
	const struct life *life =
	    synq_map_get(core->lives, synq_slice_text(maker->instance));
	uint32_t i;

	if (life == NULL ||
	    synq_uuid_equal(&life->maker.boot_id, &maker->boot_id))
		return 0;
	for (i = 0; i < life->ended && i < PAST_LIVES; i++) {
		if (synq_uuid_equal(&life->past[i], &maker->boot_id))
			return 1;
	}
	return memcmp(life->maker.boot_id.bytes, maker->boot_id.bytes,
		   sizeof(maker->boot_id.bytes)) > 0;
}

void
life_free_all(struct core *core)
{
	struct life *life;
	size_t cursor = 0;

	while ((life = synq_map_next(core->lives, &cursor)) != NULL) {
		(void)synq_map_remove(
		    core->lives, synq_slice_text(life->maker.instance));
		synq_mem_free(life);
	}
}

/* 1 if ${maker} bears our name. */
static int
life_is_ours(const struct core *core, const struct maker *maker)
{
	return strcmp(maker->instance, core->config.instance) == 0;
}

int
life_has_ended(const struct core *core, const struct maker *maker,
    const char *const *names, size_t count)
{
	size_t i;

	if (life_is_ours(core, maker)) /* this life: an orphan has it out */
		return !synq_uuid_equal(&maker->boot_id, &core->config.boot_id);
	if (life_is_over(core, maker))
		return 1;
	for (i = 0; i < count; i++) {
		if (strcmp(names[i], maker->instance) == 0)
			return 0;
	}
	return names != NULL;
}

/* Begin again what ${partition} holds for nobody but lives that are over. */
static void
life_release(
    struct partition *partition, const char *const *names, size_t count)
{
	struct core *core = partition->core;
	struct synq_link *link;
	struct synq_link *after;
	struct work *work;

	synq_list_foreach (&partition->works, link, after) {
		work = SYNQ_CONTAINER(link, struct work, place);
		if (work->state != WORK_HELD ||
		    opens_drop_dead(work->opens, core, names, count) == 0)
			continue;
		work->doubted = 1;
		if (work->opens->count == 0)
			work_unhold(work);
	}
}

/* Of ${topic}; NONE = of all. */
static void
life_release_all(struct core *core, enum synq_source_topic topic,
    const char *const *names, size_t count)
{
	struct partition *partition;
	struct synq_link *link;

	for (link = synq_list_first(&core->partitions); link != NULL;
	     link = synq_list_next(&core->partitions, link)) {
		partition = SYNQ_CONTAINER(link, struct partition, link);
		if (topic == SYNQ_SOURCE_NONE || topic == partition->topic)
			life_release(partition, names, count);
	}
	core_pump(core);
}

void
core_life(struct core *core, const struct maker *maker)
{
	struct life *life =
	    synq_map_get(core->lives, synq_slice_text(maker->instance));

	if (life == NULL) {
		life = synq_mem_new(sizeof(*life));
		life->maker = *maker;
		(void)synq_map_set(
		    core->lives, synq_slice_text(life->maker.instance), life);
	}
	if (!synq_uuid_equal(&life->maker.boot_id, &maker->boot_id))
		life->past[life->ended++ % PAST_LIVES] = life->maker.boot_id;
	life->maker.boot_id = maker->boot_id;
	life_release_all(core, SYNQ_SOURCE_NONE, NULL, 0);
}

void
core_members(struct core *core, enum synq_source_topic topic,
    const char *const *names, size_t count)
{
	static const char *const nobody[] = { NULL };

	life_release_all(core, topic, names == NULL ? nobody : names, count);
}
