/*
 * Commits of a node, as libsynq/kafka has them: one request at a time, which
 * says of each partition what is newest.
 */

#include <string.h>

#include "tests/sim/sim.h"

#define COMMIT_AGAIN_US (50 * MS)

/* One commit request on its way: what it says of each partition. */
struct request {
	struct node *node;
	uint32_t life;
	int fails;
	int count;
	struct {
		struct part *part;
		uint32_t epoch;
		uint32_t number;
		int64_t offset;
		struct synq_slice text;
	} items[SOURCES_MAX];
};

static void commit_plan(struct node *node, int64_t delay_us);

static void
commit_answered(struct sim *sim, struct event *event)
{
	const struct request *request = event->object;
	int all = 1;

	(void)sim;
	event->node->committing = 0;
	for (int i = 0; i < request->count; i++) {
		struct part *part = request->items[i].part;

		if (request->fails || part->epoch != request->items[i].epoch)
			continue;
		if (part->stored < request->items[i].number)
			part->stored = request->items[i].number;
	}
	for (int s = 0; s < SOURCES_MAX; s++)
		all &= event->node->parts[s].stored >=
		       event->node->parts[s].newest;
	if (!all)
		commit_plan(event->node, request->fails ? COMMIT_AGAIN_US : MS);
}

/* The broker takes the request, whatever became of who sent it. */
static void
commit_arrived(struct sim *sim, struct event *event)
{
	struct request *request = event->object;
	const struct member *member = &sim->group.members[request->node->index];

	/* Neither an expelled member nor an earlier life of one may. */
	if (!member->in || member->life != request->life)
		request->fails = 1;
	for (int i = 0; i < request->count && !request->fails; i++) {
		struct committed *committed =
		    &sim->group.committed[request->items[i].part->source];

		committed->offset = request->items[i].offset;
		committed->chars = request->items[i].text.bytes;
		memcpy(committed->text, request->items[i].text.data,
		    committed->chars);
	}
	if (!request->fails) /* stored, but the answer says otherwise */
		request->fails = !sim->settling &&
		                 sim_chance(sim, sim->traits.commit_faults);
	if (request->node->core != NULL && request->node->life == request->life)
		event_net(sim, sim->now + sim_range(sim, 100, 5 * MS),
		    commit_answered, request->node)
		    ->object = request;
}

static void
commit_send(struct sim *sim, struct event *event)
{
	struct node *node = event->node;
	struct request *request;

	node->commit_planned = 0;
	if (node->committing)
		return;
	if (node->gate_until > sim->now) {
		commit_plan(node, node->gate_until - sim->now);
		return;
	}
	request = synq_arena_alloc(sim->arena, sizeof(*request));
	request->node = node;
	request->life = node->life;
	for (int s = 0; s < SOURCES_MAX; s++) {
		struct part *part = &node->parts[s];

		if (part->state == PART_NONE || part->stored >= part->newest)
			continue;
		request->items[request->count].part = part;
		request->items[request->count].epoch = part->epoch;
		request->items[request->count].number = part->newest;
		request->items[request->count].offset = part->offset;
		request->items[request->count++].text = synq_arena_slice(
		    sim->arena, synq_slice_of(part->text, part->chars));
	}
	if (request->count == 0)
		return;
	node->committing = 1;
	request->fails =
	    !sim->settling && sim_chance(sim, sim->traits.commit_faults);
	event_at(
	    sim, sim->now + sim_range(sim, 100, 5 * MS), commit_arrived, NULL)
	    ->object = request;
}

static void
commit_plan(struct node *node, int64_t delay_us)
{
	if (node->commit_planned)
		return;
	node->commit_planned = 1;
	event_net(node->sim, node->sim->now + delay_us, commit_send, node);
}

void
commit_newest(void *ctx, struct partition *partition, int64_t offset,
    struct synq_slice metadata)
{
	struct node *node = ctx;
	struct part *part = assign_part_of(node, partition);

	check_commit(part, offset, metadata);
	if (metadata.bytes > sizeof(part->text))
		return;
	memcpy(part->text, metadata.data, metadata.bytes);
	part->chars = metadata.bytes;
	part->offset = offset;
	part->newest++;
	commit_plan(node, 100);
}
