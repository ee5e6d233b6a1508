/*
 * Virtual time: the earliest event happens next.  What belongs to a process
 * that stands still, or to a line that is cut, is put off to its end, in the
 * order in which it would have come.
 */

#include <stdarg.h>
#include <stdio.h>

#include "tests/sim/sim.h"

struct event *
event_at(struct sim *sim, int64_t at, event_fn *run, struct node *node)
{
	struct event *event = synq_arena_alloc(sim->arena, sizeof(*event));

	event->run = run;
	event->node = node;
	event->life = node == NULL ? 0 : node->life;
	synq_heap_push(&sim->events, &event->due,
	    (uint64_t)(at > sim->now ? at : sim->now));
	return event;
}

struct event *
event_net(struct sim *sim, int64_t at, event_fn *run, struct node *node)
{
	struct event *event = event_at(sim, at, run, node);

	event->on_network = 1;
	return event;
}

/* Until when ${event} must wait; 0 = it may happen. */
static int64_t
event_wait(const struct sim *sim, const struct event *event)
{
	const struct node *node = event->node;
	int64_t until = 0;

	if (node != NULL && node->paused)
		until = node->resume_at;
	if (!event->on_network)
		return until;
	if (node != NULL && node->cut_until > sim->now &&
	    node->cut_until > until)
		until = node->cut_until;
	if (sim->down_until > sim->now && sim->down_until > until)
		until = sim->down_until;
	return until;
}

int
event_next(struct sim *sim)
{
	struct synq_heap_node *first = synq_heap_first(&sim->events);
	struct event *event;
	struct node *node;
	int64_t until;

	if (first == NULL)
		return 0;
	event = SYNQ_CONTAINER(first, struct event, due);
	node = event->node;
	sim->now = (int64_t)first->key;
	sim->steps++;
	synq_heap_remove(&sim->events, first);
	if (node != NULL && (node->core == NULL || node->life != event->life))
		return 1;
	until = event_wait(sim, event);
	if (until > 0) {
		if (until < sim->now)
			until = sim->now;
		synq_heap_push(
		    &sim->events, first, (uint64_t)until + 1 + sim->put_off++);
		return 1;
	}
	event->run(sim, event);
	if (node != NULL && node->core != NULL && !node->paused)
		node_after(node, event->run);
	return 1;
}

int64_t
sim_range(struct sim *sim, int64_t low, int64_t high)
{
	return low +
	       (int64_t)synq_rand_below(&sim->rand, (uint64_t)(high - low + 1));
}

int
sim_chance(struct sim *sim, int percent)
{
	return (int)synq_rand_below(&sim->rand, 100) < percent;
}

void
sim_trace(struct sim *sim, const char *fmt, ...)
{
	va_list args;

	if (!sim->verbose)
		return;
	va_start(args, fmt);
	printf("%12.6f %7llu  ", (double)(sim->now - sim->start) / 1e6,
	    (unsigned long long)sim->steps);
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
}
