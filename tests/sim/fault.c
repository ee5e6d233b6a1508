/*
 * What goes wrong.  Each seed has some kinds of faults, not all, so that every
 * mixture comes to be.
 */

#include "tests/sim/sim.h"

enum fault {
	FAULT_KILL,
	FAULT_PAUSE,
	FAULT_REPLACE, /* killed while it stands still; its name starts anew */
	FAULT_CUT,
	FAULT_DRAIN,
	FAULT_REBUILD,
	FAULT_DOWN, /* the broker */
	FAULT_SLOW, /* acknowledgements */
	FAULT_FULL, /* the producer's queue */
	FAULT_SHUFFLE,
	FAULT_GARBLE, /* a committed map */
	FAULTS
};

static void
fault_start(struct sim *sim, struct event *event)
{
	(void)sim;
	node_start(event->object);
}

/* Start ${node} again some time, or only at the end. */
static void
fault_start_later(struct sim *sim, struct node *node)
{
	if (sim_chance(sim, 80))
		event_at(sim, sim->now + sim_range(sim, 300 * MS, 15 * SECOND),
		    fault_start, NULL)
		    ->object = node;
}

static void
fault_room(struct sim *sim, struct event *event)
{
	(void)sim;
	core_room(event->node->core);
}

static void
fault_full(struct sim *sim, struct node *node)
{
	node->full_until = sim->now + sim_range(sim, 10 * MS, 5 * SECOND);
	event_at(sim, node->full_until + 1, fault_room, node);
}

static void
fault_cut(struct sim *sim, struct node *node)
{
	if (node->cut_until > sim->now)
		return;
	node->cut_until = sim->now + sim_range(sim, 10 * MS, 15 * SECOND);
	sim_trace(sim, "%s: cut off for %lld ms", node->name,
	    (long long)(node->cut_until - sim->now) / MS);
	if (node->cut_until > sim->now + SESSION_US)
		group_expel_at(node, sim->now + SESSION_US);
}

static void
fault_pause(struct sim *sim, struct node *node)
{
	node_pause(node, sim_chance(sim, 50)
			     ? sim_range(sim, 10 * MS, 5 * SECOND)
			     : sim_range(sim, 6500 * MS, 25 * SECOND));
}

static void
fault_replace(struct sim *sim, struct node *node)
{
	node_kill(node, sim_range(sim, 0, 8 * SECOND));
	event_at(sim, sim->now + sim_range(sim, 300 * MS, 2 * SECOND),
	    fault_start, NULL)
	    ->object = node;
}

static void
fault_garble(struct sim *sim, int source)
{
	struct committed *committed = &sim->group.committed[source];

	sim_trace(sim, "the map of source %d is garbled", source);
	if (committed->offset < 0 || committed->chars == 0)
		return;
	if (sim_chance(sim, 50))
		committed->chars =
		    (size_t)sim_range(sim, 1, (int64_t)committed->chars - 1);
	else
		committed
		    ->text[sim_range(sim, 0, (int64_t)committed->chars - 1)] ^=
		    1;
}

static void
fault_of_world(struct sim *sim, enum fault fault, int source)
{
	if (fault == FAULT_DOWN) {
		sim->down_until =
		    sim->now + sim_range(sim, 100 * MS, 5 * SECOND);
		sim_trace(sim, "the broker is away for %lld ms",
		    (long long)(sim->down_until - sim->now) / MS);
	} else if (fault == FAULT_SLOW) {
		sim->slow_until = sim->now + sim_range(sim, SECOND, 8 * SECOND);
	} else if (fault == FAULT_SHUFFLE) {
		group_shuffle(sim, source);
	} else {
		fault_garble(sim, source);
	}
}

static void
fault_of_node(struct sim *sim, enum fault fault, struct node *node)
{
	switch (fault) {
	case FAULT_KILL:
		node_kill(node, 0);
		fault_start_later(sim, node);
		break;
	case FAULT_REPLACE:
		fault_replace(sim, node);
		break;
	case FAULT_PAUSE:
		fault_pause(sim, node);
		break;
	case FAULT_CUT:
		fault_cut(sim, node);
		break;
	case FAULT_DRAIN:
		node_drain(node);
		fault_start_later(sim, node);
		break;
	case FAULT_REBUILD:
		lane_rebuild(node);
		break;
	case FAULT_FULL:
		fault_full(sim, node);
		break;
	case FAULT_DOWN:
	case FAULT_SLOW:
	case FAULT_SHUFFLE:
	case FAULT_GARBLE:
	case FAULTS:
		break;
	}
}

static void
fault_happens(struct sim *sim, struct event *event)
{
	const enum fault fault = (enum fault)event->number;
	struct node *node =
	    &sim->nodes[sim_range(sim, 0, sim->traits.node_count - 1)];
	const int source =
	    (int)sim_range(sim, 0, 2 * sim->traits.part_count - 1);

	if (sim->settling)
		return;
	if (fault == FAULT_DOWN || fault == FAULT_SLOW ||
	    fault == FAULT_SHUFFLE || fault == FAULT_GARBLE)
		fault_of_world(sim, fault, source);
	else if (node->core != NULL && !node->paused)
		fault_of_node(sim, fault, node);
}

void
fault_plan(struct sim *sim)
{
	int planned = 0;

	while (
	    sim->traits.fault_kinds != 0 && planned < sim->traits.fault_count) {
		const int fault = (int)sim_range(sim, 0, FAULTS - 1);

		if ((sim->traits.fault_kinds >> fault & 1) == 0)
			continue;
		planned++;
		event_at(sim,
		    sim->start +
			sim_range(sim, 0, sim->traits.load_us + 10 * SECOND),
		    fault_happens, NULL)
		    ->number = fault;
	}
}

void
fault_end(struct sim *sim)
{
	sim->settling = 1;
	for (int i = 0; i < sim->traits.node_count; i++) {
		struct node *node = &sim->nodes[i];

		/* One that drains starts again when it has ended. */
		if (node->core == NULL)
			node_start(node);
		if (node->state == NODE_DRAINING)
			event_at(sim, sim->now + 10 * SECOND, fault_start, NULL)
			    ->object = node;
	}
}
