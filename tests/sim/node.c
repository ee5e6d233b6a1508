/*
 * The program around the core, as consumers/dispatcher/dispatcher.c and
 * announce.c have it: control is read to its end, the catalog is loaded, this
 * life is announced, the group is joined.  A tick while anything waits, a pass
 * every 250 ms that commits, sends again and looks whether it is drained.
 *
 * A timer that would find nothing to do is left out: after whatever happened
 * the next tick comes within 10 ms and the next pass within 250 ms.
 */

#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

#define TICK_US (10 * MS)
#define PASS_US (250 * MS)
#define GAP_US (3 * SECOND)
#define LEAVE_US (3 * SECOND)
#define FLUSH_US (5 * SECOND)
#define CLOSE_POLL_US (50 * MS)

static void node_close(struct node *node);

static int64_t
node_now(void *ctx)
{
	const struct node *node = ctx;

	return node->sim->now;
}

static void
node_dead_letter(void *ctx, const struct partition *partition, int64_t offset,
    struct synq_slice value)
{
	struct node *node = ctx;

	(void)value;
	sim_trace(node->sim, "%s: dead letter %d/%lld", node->name,
	    partition->number, (long long)offset);
}

/* ---- timers ------------------------------------------------------------- */

static void node_tick(struct sim *sim, struct event *event);

static void
node_plan_tick(struct node *node, int64_t at)
{
	node->tick_at = at;
	event_at(node->sim, at, node_tick, node)->number = at;
}

static void
node_tick(struct sim *sim, struct event *event)
{
	struct node *node = event->node;
	int64_t next_at;

	if (event->number != node->tick_at)
		return; /* another was planned since */
	next_at = core_tick(node->core);
	node->tick_at = 0;
	if (next_at == 0)
		return;
	if (next_at < sim->now + TICK_US)
		next_at = sim->now + TICK_US;
	node_plan_tick(node, next_at);
}

void
node_wake(struct node *node)
{
	if (node->tick_at == 0)
		node_plan_tick(node, node->sim->now + TICK_US);
}

static void
node_check_drained(struct node *node)
{
	if (node->state == NODE_DRAINING && !node->leaving &&
	    core_idle(node->core))
		node_close(node);
}

static void
node_pass(struct sim *sim, struct event *event)
{
	struct node *node = event->node;
	struct synq_link *link;

	(void)sim;
	node->pass_at = 0;
	if (node->leaving)
		return;
	for (link = synq_list_first(&node->core->partitions); link != NULL;
	     link = synq_list_next(&node->core->partitions, link))
		partition_commit(SYNQ_CONTAINER(link, struct partition, link));
	core_room(node->core);
	if (synq_heap_first(&node->core->timers) != NULL)
		node_wake(node);
	assign_check_held(node);
	node_check_drained(node);
}

static void
node_plan_pass(struct node *node)
{
	struct sim *sim = node->sim;

	if (node->pass_at != 0)
		return;
	node->pass_at = sim->now + sim_range(sim, 1, PASS_US);
	event_at(sim, node->pass_at, node_pass, node);
}

void
node_after(struct node *node, event_fn *run)
{
	const int64_t soon_at = node->sim->now + TICK_US;
	const int unsent = synq_list_first(&node->core->unsent) != NULL;

	check_node(node);
	if (run == node_tick && !unsent)
		return;
	if (run != node_pass || unsent || node->state == NODE_DRAINING)
		node_plan_pass(node);
	if (node->tick_at > soon_at && run != node_pass)
		node_plan_tick(node, soon_at);
}

/* ---- the catalog -------------------------------------------------------- */

static void
node_loaded(struct sim *sim, struct event *event)
{
	struct node *node = event->node;

	node->loading = 0;
	/* Never looked into: synq_catalog_find (provider.c) compares it. */
	core_set_catalog(node->core,
	    (struct synq_catalog *)(void *)(sim->catalog_new
						? &sim->control
						: &sim->cancels[0]));
	if (!node->announced) {
		node->announced = 1;
		lane_announce(node);
	}
}

void
node_load_catalog(struct node *node)
{
	struct sim *sim = node->sim;

	if (node->loading)
		return;
	node->loading = 1;
	event_at(sim, sim->now + sim_range(sim, 2 * MS, 100 * MS), node_loaded,
	    node);
}

/* ---- life --------------------------------------------------------------- */

static void
node_new_core(struct node *node)
{
	struct sim *sim = node->sim;
	struct core_config config = {
		.io = { .send = lane_send,
		    .call = provider_call,
		    .abort = provider_abort,
		    .reply = check_reply,
		    .commit = commit_newest,
		    .resume = assign_resume,
		    .acked = lane_acked,
		    .now = node_now,
		    .dead = node_dead_letter,
		    .reload = provider_reload },
		.io_ctx = node,
		.instance = node->name,
		.boot_id = node->boot_id,
		.max_in_flight = sim->traits.in_flight,
		.organization_in_flight = sim->traits.org_in_flight,
		.provider_in_flight = sim->traits.provider_in_flight,
		.call_limit_us = (uint64_t)sim->traits.call_limit_us,
		/* Where nothing is written twice, nothing else may need it. */
		.rewrite_limit_us =
		    sim->traits.repeats == 0 || sim->wrong == WRONG_NO_REWRITE
			? 0
			: 10 * SECOND,
		.backoff = { 500 * MS, 10 * SECOND },
		.max_bytes = 8U << 20,
	};

	config.seed = synq_rand_next(&sim->rand);
	node->core = core_new(&config);
}

void
node_start(struct node *node)
{
	struct sim *sim = node->sim;

	if (node->core != NULL)
		return;
	node->life++;
	node->state = NODE_STARTING;
	node->paused = node->zombie = node->joined = node->committing = 0;
	node->commit_planned = node->members_asked = node->loading = 0;
	node->closing = node->leaving = node->announced = 0;
	node->tick_at = node->pass_at = node->members_at = 0;
	node->cut_until = node->full_until = node->gate_until = 0;
	memset(&node->boot_id, 0, sizeof(node->boot_id));
	node->boot_id.bytes[0] = (uint8_t)(node->index + 1);
	node->boot_id.bytes[1] = (uint8_t)node->life;
	node_new_core(node);
	sim_trace(sim, "%s: starts, life %u", node->name, node->life);
	assign_follow_control(node);
}

/* The process is no more, however it ended. */
static void
node_gone(struct node *node)
{
	node->control.open = 0;
	for (int s = 0; s < SOURCES_MAX; s++) {
		node->parts[s].state = PART_NONE;
		node->parts[s].partition = NULL;
		node->parts[s].results.open = 0;
		node->parts[s].cancels.open = 0;
	}
	core_free(&node->core);
	group_expel_at(node, node->sim->now + SESSION_US);
	node->state = NODE_DOWN;
	node->paused = node->joined = 0;
	node->ended_at[node->life % LIVES_MAX] = node->sim->now;
}

void
node_kill(struct node *node, int64_t ghosts_us)
{
	if (node->core == NULL)
		return;
	sim_trace(node->sim, "%s: killed", node->name);
	check_excuse(node, -1);
	lane_drop_all(node, ghosts_us);
	node_gone(node);
}

static void
node_resume(struct sim *sim, struct event *event)
{
	struct node *node = event->object;

	if (node->core == NULL || node->life != event->epoch)
		return;
	sim_trace(sim, "%s: goes on", node->name);
	node->paused = 0;
	if (event->number > GAP_US && sim->wrong != WRONG_LOST_PLAIN)
		core_slept(node->core);
	group_resumed(node);
	node_after(node, NULL);
}

void
node_pause(struct node *node, int64_t us)
{
	struct sim *sim = node->sim;
	struct event *event;

	if (node->core == NULL || node->paused)
		return;
	sim_trace(sim, "%s: stands still for %lld ms", node->name,
	    (long long)(us / MS));
	node->paused = 1;
	node->resume_at = sim->now + us;
	event = event_at(sim, node->resume_at, node_resume, NULL);
	event->object = node;
	event->epoch = node->life;
	event->number = us;
	if (us > SESSION_US)
		group_expel_at(node, sim->now + SESSION_US);
}

/* ---- an orderly end ----------------------------------------------------- */

static void
node_closing(struct sim *sim, struct event *event)
{
	struct node *node = event->node;
	int busy = 0;

	for (int s = 0; s < SOURCES_MAX; s++)
		busy |= node->parts[s].state != PART_NONE;
	if (busy && sim->now < node->close_until) {
		event_at(sim, sim->now + CLOSE_POLL_US, node_closing, node);
		return;
	}
	if (node->core->unacked > 0 &&
	    sim->now < node->close_until + FLUSH_US) {
		event_at(sim, sim->now + CLOSE_POLL_US, node_closing, node);
		return;
	}
	node->closing = 1;
	lane_end(node);
	sim_trace(sim, "%s: ends", node->name);
	lane_drop_all(node, 0);
	node_gone(node);
}

static void
node_close(struct node *node)
{
	struct sim *sim = node->sim;

	node->leaving = 1;
	node->close_until = sim->now + LEAVE_US;
	for (int s = 0; s < SOURCES_MAX; s++)
		if (node->parts[s].state == PART_ASSIGNED ||
		    node->parts[s].state == PART_STARTED)
			assign_on_revoke(&node->parts[s], 0);
	event_at(sim, sim->now + CLOSE_POLL_US, node_closing, node);
}

void
node_drain(struct node *node)
{
	if (node->core == NULL || node->state != NODE_UP || node->paused)
		return;
	sim_trace(node->sim, "%s: drains", node->name);
	node->state = NODE_DRAINING;
	core_drain(node->core);
	node_check_drained(node);
	if (!node->leaving)
		node_plan_pass(node);
}
