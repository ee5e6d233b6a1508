/*
 * The consumer group: static members, assignments that stick, hand-over by
 * revoke and assign, expulsion when a session ends, and what is committed.
 *
 * A member that is killed stays until its session ends; if it is back before,
 * it gets the same partitions again and nobody else notices.
 */

#include <string.h>

#include "tests/sim/sim.h"

static int
group_has(const struct group *group, int node)
{
	return node >= 0 && group->members[node].in;
}

/* How many sources ${node} has or will have. */
static int
group_load(const struct sim *sim, int node)
{
	const struct group *group = &sim->group;
	int load = 0;

	for (int s = 0; s < 2 * sim->traits.part_count; s++)
		load += (group->target[s] >= 0 ? group->target[s]
					       : group->owner[s]) == node;
	return load;
}

/* The member with the least load; -1 if there is none. */
static int
group_idlest(struct sim *sim)
{
	const int first = (int)sim_range(sim, 0, sim->traits.node_count - 1);
	int best = -1;

	for (int i = 0; i < sim->traits.node_count; i++) {
		const int node = (first + i) % sim->traits.node_count;

		if (group_has(&sim->group, node) &&
		    (best < 0 || group_load(sim, node) < group_load(sim, best)))
			best = node;
	}
	return best;
}

static void
group_assigned(struct sim *sim, struct event *event)
{
	struct node *node = event->node;
	const int source = (int)event->number;

	if (sim->group.owner[source] == node->index &&
	    sim->group.members[node->index].life == node->life &&
	    node->parts[source].state == PART_NONE && node->joined)
		assign_on_assign(&node->parts[source]);
}

/* ${source} is now the node's, who hears of it soon. */
static void
group_give(struct sim *sim, int source, int node)
{
	sim->group.owner[source] = node;
	sim->group.target[source] = -1;
	event_net(sim, sim->now + sim_range(sim, 5 * MS, 100 * MS),
	    group_assigned, &sim->nodes[node])
	    ->number = source;
}

static void
group_revoke(struct sim *sim, struct event *event)
{
	struct node *node = event->node;
	const int source = (int)event->number;
	struct part *part = &node->parts[source];

	if (sim->group.owner[source] != node->index ||
	    sim->group.target[source] < 0)
		return;
	if (part->state == PART_NONE)
		group_released(node, source);
	else if (part->state != PART_REVOKING)
		assign_on_revoke(part, 0);
}

/* Let ${source} go from its owner to ${node}. */
static void
group_move(struct sim *sim, int source, int node)
{
	struct node *from = &sim->nodes[sim->group.owner[source]];

	sim->group.target[source] = node;
	if (!from->joined)
		return; /* the group waits until it is back, or expelled */
	/* No commit while the group is at it. */
	from->gate_until = sim->now + sim_range(sim, 0, 300 * MS);
	event_net(
	    sim, sim->now + sim_range(sim, 0, 500 * MS), group_revoke, from)
	    ->number = source;
}

/* Move one source from the busiest to the idlest, if that evens things. */
static int
group_even(struct sim *sim)
{
	const int idlest = group_idlest(sim);
	int busiest = idlest;
	int source = -1;

	for (int i = 0; i < sim->traits.node_count; i++)
		if (group_has(&sim->group, i) &&
		    group_load(sim, i) > group_load(sim, busiest))
			busiest = i;
	if (idlest < 0 ||
	    group_load(sim, busiest) < group_load(sim, idlest) + 2)
		return 0;
	for (int s = 0; s < 2 * sim->traits.part_count; s++)
		if (sim->group.owner[s] == busiest && sim->group.target[s] < 0)
			source = s;
	if (source < 0)
		return 0;
	group_move(sim, source, idlest);
	return 1;
}

static void
group_rebalance(struct sim *sim, struct event *event)
{
	struct group *group = &sim->group;

	(void)event;
	group->planned = 0;
	for (int s = 0; s < 2 * sim->traits.part_count; s++) {
		if (group->target[s] >= 0 &&
		    !group_has(group, group->target[s]))
			group->target[s] = -1;
		if (group->owner[s] >= 0)
			continue;
		if (group->target[s] < 0)
			group->target[s] = group_idlest(sim);
		if (group->target[s] >= 0)
			group_give(sim, s, group->target[s]);
	}
	while (group_even(sim))
		;
}

void
group_plan(struct sim *sim, int64_t delay_us)
{
	if (sim->group.planned)
		return;
	sim->group.planned = 1;
	event_at(sim, sim->now + delay_us, group_rebalance, NULL);
}

void
group_released(struct node *node, int source)
{
	struct sim *sim = node->sim;

	sim->group.owner[source] = -1;
	group_plan(sim, sim_range(sim, 20 * MS, 600 * MS));
}

void
group_join(struct node *node)
{
	struct sim *sim = node->sim;
	struct group *group = &sim->group;
	struct member *member = &group->members[node->index];

	if (node->joined || node->state == NODE_DRAINING)
		return;
	sim_trace(sim, "%s: joins, life %u", node->name, node->life);
	node->joined = 1;
	node->joined_at = sim->now;
	node->state = NODE_UP;
	member->life = node->life;
	member->fenced = 0;
	if (member->in) { /* static: all stays as it was */
		for (int s = 0; s < 2 * sim->traits.part_count; s++) {
			if (group->owner[s] != node->index)
				continue;
			if (group->target[s] >= 0)
				group_released(node, s);
			else
				group_give(sim, s, node->index);
		}
	}
	member->in = 1;
	group_plan(sim, sim_range(sim, 50 * MS, 600 * MS));
}

void
group_expel(struct node *node)
{
	struct sim *sim = node->sim;
	struct group *group = &sim->group;

	if (!group->members[node->index].in)
		return;
	sim_trace(sim, "%s: expelled", node->name);
	check_excuse(node, -1);
	group->members[node->index].in = 0;
	group->members[node->index].fenced = 1;
	for (int s = 0; s < 2 * sim->traits.part_count; s++) {
		if (group->owner[s] != node->index)
			continue;
		group->owner[s] = -1;
		group->target[s] = -1;
	}
	/* The others hear of it with their next heartbeat. */
	group->planned = 0;
	group_plan(sim, sim_range(sim, 350 * MS, 900 * MS));
}

/* A node that lost all comes back. */
static void
group_rejoin(struct sim *sim, struct event *event)
{
	(void)sim;
	event->node->joined = 0;
	group_join(event->node);
}

/* ${node} hears that it was expelled. */
static void
group_hears_loss(struct node *node)
{
	struct sim *sim = node->sim;
	struct member *member = &sim->group.members[node->index];

	node->zombie = 0;
	if (!member->fenced || member->life != node->life)
		return;
	member->fenced = 0;
	/* The glue asks whether the coordinator answers. */
	if (sim->wrong != WRONG_LOST_PLAIN)
		core_slept(node->core);
	for (int s = 0; s < 2 * sim->traits.part_count; s++)
		if (node->parts[s].state != PART_NONE)
			assign_on_revoke(&node->parts[s], 1);
	event_net(sim, sim->now + sim_range(sim, 100 * MS, SECOND),
	    group_rejoin, node);
}

static void
group_lost(struct sim *sim, struct event *event)
{
	(void)sim;
	group_hears_loss(event->node);
}

static void
group_session_ends(struct sim *sim, struct event *event)
{
	struct node *node = event->object;
	struct member *member = &sim->group.members[node->index];
	const int lives = node->core != NULL && node->life == member->life;

	if (!member->in || member->life != event->epoch)
		return;
	if (lives && !node->paused && node->cut_until <= sim->now)
		return; /* it came back in time */
	group_expel(node);
	if (lives && !node->paused) /* by its own clock */
		event_at(sim, sim->now + sim_range(sim, 0, 300 * MS),
		    group_lost, node);
}

void
group_resumed(struct node *node)
{
	struct sim *sim = node->sim;

	if (!sim->group.members[node->index].fenced)
		return;
	node->zombie = 1;
	if (sim->wrong == WRONG_DEAF)
		event_at(sim, sim->now + SECOND, group_lost, node);
	else
		group_hears_loss(node);
}

void
group_expel_at(struct node *node, int64_t at)
{
	struct event *event = event_at(node->sim, at, group_session_ends, NULL);

	event->object = node;
	event->epoch = node->life;
}

void
group_shuffle(struct sim *sim, int source)
{
	struct group *group = &sim->group;
	const int to = (int)sim_range(sim, 0, sim->traits.node_count - 1);

	if (!group_has(group, to) || group->target[source] >= 0 ||
	    group->owner[source] < 0 || group->owner[source] == to)
		return;
	sim_trace(sim, "source %d moves to %s", source, sim->nodes[to].name);
	group_move(sim, source, to);
}
