/*
 * A tenant's record holds a FIFO per class.  In each class the tenants that
 * may run stand in a ring, the list "active".  The first of it has the turn:
 * when its turn begins its deficit grows by quantum * weight, an item is served
 * while the deficit covers its cost, then the next has the turn.
 *
 * A tenant at its cap stands on no ring but on the list "capped"; the first
 * item that it gives back puts it at the end of the rings it belongs to.  So a
 * pop never walks over tenants that may not run.  A tenant that leaves a ring
 * loses its deficit: turns are not saved up.
 *
 * Costs above the quantum need more than one round.  When a whole round has
 * served nobody, as many rounds are added at once as the cheapest needs, so
 * that a pop is at most two rounds long.
 *
 * A record exists while its tenant has items queued or in flight, or a weight
 * of its own; so what is kept is bounded by the items and the settings.
 */

#include "limit/fair.h"

#include <assert.h>

#include "base/map.h"
#include "base/mem.h"

#define CLASSES 2
#define MAX_WEIGHT 1000

struct lane {
	struct synq_link link; /* on the ring of its class, or on none */
	struct tenant *tenant;
	struct synq_list items;
	uint64_t deficit;
};

struct tenant {
	struct synq_uuid id;
	uint32_t weight;
	uint32_t in_flight;
	struct synq_link capped; /* on the list of those at their cap */
	struct lane lanes[CLASSES];
};

struct synq_fair {
	struct synq_fair_config config;
	struct synq_map *tenants; /* organization id => struct tenant */
	struct synq_list active[CLASSES];
	struct synq_list capped;
	/* The lane whose turn has begun; NULL = the first one's has not. */
	const struct lane *turn[CLASSES];
	uint32_t since_batch; /* interactive pops since the last of batch */
	size_t queued;
	size_t in_flight;
};

struct synq_fair *
synq_fair_new(const struct synq_fair_config *config)
{
	struct synq_fair *fair = synq_mem_new(sizeof(*fair));

	fair->config = *config;
	if (fair->config.quantum < 1)
		fair->config.quantum = 1;
	if (fair->config.batch_every < 1)
		fair->config.batch_every = 1;
	fair->tenants = synq_map_new();
	for (int i = 0; i < CLASSES; i++)
		synq_list_init(&fair->active[i]);
	synq_list_init(&fair->capped);
	return fair;
}

void
synq_fair_free(struct synq_fair **fair)
{
	struct tenant *tenant;
	size_t cursor = 0;

	if (!*fair)
		return;
	while ((tenant = synq_map_next((*fair)->tenants, &cursor))) {
		for (int i = 0; i < CLASSES; i++)
			while (synq_list_shift(&tenant->lanes[i].items))
				;
		synq_map_remove((*fair)->tenants, synq_uuid_slice(&tenant->id));
		synq_mem_free(tenant);
	}
	synq_map_free(&(*fair)->tenants);
	synq_mem_free(*fair);
	*fair = NULL;
}

/* ---- tenants ------------------------------------------------------------ */

static struct tenant *
tenant_find(const struct synq_fair *fair, const struct synq_uuid *id)
{
	return synq_map_get(fair->tenants, synq_uuid_slice(id));
}

static struct tenant *
tenant_get(struct synq_fair *fair, const struct synq_uuid *id)
{
	struct tenant *tenant = tenant_find(fair, id);

	if (tenant)
		return tenant;
	tenant = synq_mem_new(sizeof(*tenant));
	tenant->id = *id;
	tenant->weight = 1;
	for (int i = 0; i < CLASSES; i++) {
		tenant->lanes[i].tenant = tenant;
		synq_list_init(&tenant->lanes[i].items);
	}
	synq_map_set(fair->tenants, synq_uuid_slice(&tenant->id), tenant);
	return tenant;
}

static size_t
tenant_queued(const struct tenant *tenant)
{
	size_t queued = 0;

	for (int i = 0; i < CLASSES; i++)
		queued += tenant->lanes[i].items.count;
	return queued;
}

/* Free ${tenant} if there is nothing to remember of it. */
static void
tenant_forget(struct synq_fair *fair, struct tenant *tenant)
{
	if (tenant->in_flight > 0 || tenant->weight != 1 ||
	    tenant_queued(tenant) > 0)
		return;
	synq_map_remove(fair->tenants, synq_uuid_slice(&tenant->id));
	synq_mem_free(tenant);
}

static int
tenant_at_cap(const struct synq_fair *fair, const struct tenant *tenant)
{
	return fair->config.tenant_in_flight > 0 &&
	       tenant->in_flight >= fair->config.tenant_in_flight;
}

/* ---- rings -------------------------------------------------------------- */

/* Put ${lane} of class ${class} at the end of the ring if it may run. */
static void
lane_enter(struct synq_fair *fair, struct lane *lane, int class)
{
	if (!synq_link_used(&lane->link) && lane->items.count > 0 &&
	    !synq_link_used(&lane->tenant->capped))
		synq_list_push(&fair->active[class], &lane->link);
}

/* Take ${lane} of class ${class} off the ring. */
static void
lane_leave(struct synq_fair *fair, struct lane *lane, int class)
{
	synq_list_remove(&fair->active[class], &lane->link);
	lane->deficit = 0;
	if (fair->turn[class] == lane)
		fair->turn[class] = NULL;
}

/* Put ${lane}, whose turn is over, at the end of its ring. */
static void
lane_rotate(struct synq_fair *fair, struct lane *lane, int class)
{
	synq_list_remove(&fair->active[class], &lane->link);
	synq_list_push(&fair->active[class], &lane->link);
	fair->turn[class] = NULL;
}

static struct lane *
lane_of(struct synq_link *link)
{
	return SYNQ_CONTAINER(link, struct lane, link);
}

static uint32_t
first_cost(const struct lane *lane)
{
	struct synq_link *link = synq_list_first(&lane->items);

	return SYNQ_CONTAINER(link, struct synq_fair_item, link)->cost;
}

static uint64_t
turn_size(const struct synq_fair *fair, const struct lane *lane)
{
	return (uint64_t)fair->config.quantum * lane->tenant->weight;
}

/* Give every lane of ${class} all but one of the rounds the first to run
 * needs. */
static void
skip_rounds(struct synq_fair *fair, int class)
{
	uint64_t rounds = UINT64_MAX;
	const struct synq_list *ring = &fair->active[class];
	struct synq_link *link;

	for (link = synq_list_first(ring); link;
	     link = synq_list_next(ring, link)) {
		const struct lane *lane = lane_of(link);
		uint64_t missing = first_cost(lane) - lane->deficit;
		uint64_t needs = (missing - 1) / turn_size(fair, lane);

		if (needs < rounds)
			rounds = needs;
	}
	for (link = synq_list_first(ring); link;
	     link = synq_list_next(ring, link))
		lane_of(link)->deficit +=
		    rounds * turn_size(fair, lane_of(link));
}

/* The lane of ${class} whose turn it is and that can pay for its first item;
 * the ring is not empty. */
static struct lane *
lane_next(struct synq_fair *fair, int class)
{
	size_t passed = 0;

	for (;;) {
		struct synq_link *first = synq_list_first(&fair->active[class]);
		assert(first);
		struct lane *lane = lane_of(first);

		if (fair->turn[class] != lane) {
			lane->deficit += turn_size(fair, lane);
			fair->turn[class] = lane;
		}
		if (lane->deficit >= first_cost(lane))
			return lane;
		lane_rotate(fair, lane, class);
		if (++passed == fair->active[class].count)
			skip_rounds(fair, class);
	}
}

/* ---- items -------------------------------------------------------------- */

static struct tenant *
item_place(struct synq_fair *fair, const struct synq_uuid *tenant_id,
    struct synq_fair_item *item)
{
	struct tenant *tenant = tenant_get(fair, tenant_id);

	assert(!synq_link_used(&item->link));
	item->tenant = tenant;
	fair->queued++;
	return tenant;
}

void
synq_fair_push(struct synq_fair *fair, const struct synq_uuid *tenant,
    struct synq_fair_item *item, enum synq_fair_class class, uint32_t cost)
{
	struct lane *lane = &item_place(fair, tenant, item)->lanes[class];

	item->class = class;
	item->cost = cost;
	synq_list_push(&lane->items, &item->link);
	lane_enter(fair, lane, (int)class);
}

void
synq_fair_push_front(struct synq_fair *fair, const struct synq_uuid *tenant,
    struct synq_fair_item *item, enum synq_fair_class class, uint32_t cost)
{
	struct lane *lane = &item_place(fair, tenant, item)->lanes[class];

	item->class = class;
	item->cost = cost;
	synq_list_unshift(&lane->items, &item->link);
	lane_enter(fair, lane, (int)class);
}

/* The class that the next item is of; -1 if nothing may run. */
static int
class_next(struct synq_fair *fair)
{
	int interactive = fair->active[SYNQ_FAIR_INTERACTIVE].count > 0;
	int batch = fair->active[SYNQ_FAIR_BATCH].count > 0;

	if (batch &&
	    (!interactive || fair->since_batch + 1 >= fair->config.batch_every))
		return SYNQ_FAIR_BATCH;
	return interactive ? SYNQ_FAIR_INTERACTIVE : -1;
}

static void
tenant_take(struct synq_fair *fair, struct tenant *tenant)
{
	tenant->in_flight++;
	fair->in_flight++;
	if (!tenant_at_cap(fair, tenant))
		return;
	for (int i = 0; i < CLASSES; i++)
		lane_leave(fair, &tenant->lanes[i], i);
	synq_list_push(&fair->capped, &tenant->capped);
}

struct synq_fair_item *
synq_fair_pop(struct synq_fair *fair)
{
	int class = class_next(fair);

	if (class < 0)
		return NULL;
	if (class == SYNQ_FAIR_BATCH)
		fair->since_batch = 0;
	else if (fair->since_batch < fair->config.batch_every)
		fair->since_batch++;

	struct lane *lane = lane_next(fair, class);
	struct synq_fair_item *item = SYNQ_CONTAINER(
	    synq_list_shift(&lane->items), struct synq_fair_item, link);

	lane->deficit -= item->cost;
	fair->queued--;
	if (lane->items.count == 0)
		lane_leave(fair, lane, class);
	tenant_take(fair, lane->tenant);
	return item;
}

void
synq_fair_finish(struct synq_fair *fair, struct synq_fair_item *item)
{
	struct tenant *tenant = item->tenant;

	assert(tenant && tenant->in_flight > 0);
	item->tenant = NULL;
	tenant->in_flight--;
	fair->in_flight--;
	if (synq_link_used(&tenant->capped)) {
		synq_list_remove(&fair->capped, &tenant->capped);
		for (int i = 0; i < CLASSES; i++)
			lane_enter(fair, &tenant->lanes[i], i);
	}
	tenant_forget(fair, tenant);
}

void
synq_fair_remove(struct synq_fair *fair, struct synq_fair_item *item)
{
	struct tenant *tenant = item->tenant;
	struct lane *lane = &tenant->lanes[item->class];

	assert(synq_link_used(&item->link));
	synq_list_remove(&lane->items, &item->link);
	item->tenant = NULL;
	fair->queued--;
	if (lane->items.count == 0)
		lane_leave(fair, lane, (int)item->class);
	tenant_forget(fair, tenant);
}

void
synq_fair_weight(
    struct synq_fair *fair, const struct synq_uuid *tenant, uint32_t weight)
{
	struct tenant *record = tenant_get(fair, tenant);

	record->weight = weight < 1            ? 1
	                 : weight > MAX_WEIGHT ? MAX_WEIGHT
	                                       : weight;
	tenant_forget(fair, record);
}

/* ---- counts ------------------------------------------------------------- */

size_t
synq_fair_queued(const struct synq_fair *fair)
{
	return fair->queued;
}

size_t
synq_fair_in_flight(const struct synq_fair *fair)
{
	return fair->in_flight;
}

size_t
synq_fair_tenant_queued(
    const struct synq_fair *fair, const struct synq_uuid *tenant)
{
	const struct tenant *record = tenant_find(fair, tenant);

	return record ? tenant_queued(record) : 0;
}
