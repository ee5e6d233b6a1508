/*
 * One seed: its traits are drawn, requests and faults planned, then time runs
 * until the faults are over and the world has settled.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

#define EPOCH_US (1800000000LL * SECOND)
#define ARENA_CHUNK_BYTES (256U << 10)
#define ARENA_MAX_BYTES (1U << 30)
#define SETTLE_LIMIT_US (1500 * SECOND)
#define SETTLE_POLL_US (500 * MS)
#define STEPS_MAX 4000000

struct sim *sim_now;

static void
world_draw_load(struct sim *sim)
{
	struct traits *traits = &sim->traits;

	traits->node_count = (int)sim_range(sim, 2, NODES_MAX);
	traits->part_count = (int)sim_range(sim, 1, PARTS_MAX);
	traits->org_count = (int)sim_range(sim, 1, ORGS_MAX);
	traits->job_count = (int)sim_range(sim, 10, 50);
	if (sim_chance(sim, 1))
		traits->job_count = (int)sim_range(sim, 200, 400);
	traits->load_us = sim_range(sim, SECOND, 30 * SECOND);
	traits->wide = sim_chance(sim, 15);
	traits->big = sim_chance(sim, 1);
	traits->slow = sim_chance(sim, 60) ? (int)sim_range(sim, 1, 30) : 0;
	traits->errors = sim_chance(sim, 60) ? (int)sim_range(sim, 1, 60) : 0;
	traits->repeats = sim_chance(sim, 30) ? 10 : 0;
	traits->cancels = sim_chance(sim, 40) ? 20 : 0;
	traits->short_deadlines = sim_chance(sim, 30) ? 20 : 0;
	traits->in_flight = (uint32_t)sim_range(sim, 2, 30);
	traits->org_in_flight = (uint32_t)sim_range(sim, 1, 15);
	traits->provider_in_flight = (uint32_t)sim_range(sim, 1, 30);
	traits->call_limit_us = sim_range(sim, 20 * SECOND, 120 * SECOND);
}

static void
world_draw_faults(struct sim *sim)
{
	struct traits *traits = &sim->traits;

	traits->ack_us = sim_range(sim, 200, 20 * MS);
	traits->ack_faults = sim_chance(sim, 25) ? 30 : 0;
	traits->commit_faults = sim_chance(sim, 40) ? 20 : 0;
	if (sim_chance(sim, 10))
		return; /* a world in which nothing goes wrong */
	traits->fault_count = (int)sim_range(sim, 1, 12);
	traits->fault_kinds =
	    (int)(synq_rand_next(&sim->rand) & synq_rand_next(&sim->rand));
	if (sim_chance(sim, 30))
		traits->fault_kinds = -1;
	if ((traits->fault_kinds & 0x7ff) == 0)
		traits->fault_kinds = 1;
}

static void
world_first_start(struct sim *sim, struct event *event)
{
	(void)sim;
	node_start(event->object);
}

static void
world_build(struct sim *sim)
{
	for (int s = 0; s < SOURCES_MAX; s++) {
		sim->group.owner[s] = sim->group.target[s] = -1;
		sim->group.committed[s].offset = -1;
		sim->group.committed[s].chars = 0;
	}
	for (int i = 0; i < sim->traits.node_count; i++) {
		struct node *node = &sim->nodes[i];

		node->sim = sim;
		node->index = i;
		(void)snprintf(
		    node->name, sizeof(node->name), "dispatcher-%d", i + 1);
		for (int s = 0; s < SOURCES_MAX; s++) {
			node->parts[s].node = node;
			node->parts[s].source = s;
			node->parts[s].tape = &sim->requests[s];
		}
		event_at(sim,
		    sim->now +
			(i == 0 || sim_chance(sim, 50)
				? 0
				: sim_range(sim, 0, sim->traits.load_us)),
		    world_first_start, NULL)
		    ->object = node;
	}
}

/* 1 if there is nothing left to do. */
static int
world_is_settled(const struct sim *sim)
{
	if (sim->jobs_open > 0)
		return 0;
	for (int s = 0; s < 2 * sim->traits.part_count; s++) {
		const struct tape *tape = &sim->requests[s];

		if (tape->count > 0 &&
		    sim->group.committed[s].offset <=
			tape->entries[tape->count - 1].offset)
			return 0;
	}
	for (int i = 0; i < sim->traits.node_count; i++) {
		const struct node *node = &sim->nodes[i];

		if (node->core == NULL || node->paused ||
		    node->cut_until > sim->now || !core_idle(node->core) ||
		    node->core->bytes > 0)
			return 0;
	}
	return 1;
}

static void
world_settle(struct sim *sim, struct event *event)
{
	(void)event;
	if (!sim->settling)
		sim->settle_until = sim->now + SETTLE_LIMIT_US;
	fault_end(sim);
	if (!world_is_settled(sim) && sim->now < sim->settle_until) {
		event_at(sim, sim->now + SETTLE_POLL_US, world_settle, NULL);
		return;
	}
	check_end(sim);
	sim->over = 1;
}

static void
world_free(struct sim *sim)
{
	for (int i = 0; i < sim->traits.node_count; i++)
		if (sim->nodes[i].core != NULL)
			core_free(&sim->nodes[i].core);
	for (int s = 0; s < SOURCES_MAX; s++)
		synq_mem_free(sim->requests[s].entries);
	for (int i = 0; i < PARTS_MAX; i++) {
		synq_mem_free(sim->results[i].entries);
		synq_mem_free(sim->cancels[i].entries);
	}
	synq_mem_free(sim->control.entries);
	synq_heap_done(&sim->events);
	synq_arena_free(&sim->arena);
}

int
world_run(struct sim *sim)
{
	sim_now = sim;
	fair_reset();
	synq_rand_init(&sim->rand, sim->seed);
	synq_heap_init(&sim->events);
	sim->arena = synq_arena_new(ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
	sim->now = sim->start = EPOCH_US;
	world_draw_load(sim);
	world_draw_faults(sim);
	world_build(sim);
	intake_plan(sim);
	fault_plan(sim);
	event_at(sim, sim->start + sim->traits.load_us + 12 * SECOND,
	    world_settle, NULL);
	while (!sim->failed && !sim->over && event_next(sim))
		if (sim->steps > STEPS_MAX)
			check_fail(sim, "it does not come to an end");
	world_free(sim);
	return !sim->failed;
}
