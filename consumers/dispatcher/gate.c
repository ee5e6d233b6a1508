/*
 * Gates: a call enters, or its work is parked; when a call leaves, or the
 * provider's wait is over, as many parked works go back to the front of the
 * fair queue as may pass.
 */

#include "gate.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "work.h"

static uint64_t
gate_now(const struct core *core)
{
	return (uint64_t)core->config.io.now(core->config.io_ctx);
}

struct provider_gate *
gate_find(struct core *core, const char *name)
{
	struct provider_gate *gate;

	gate = synq_map_get(core->gates, synq_slice_text(name));
	if (gate != NULL)
		return gate;
	gate = synq_mem_new(sizeof(*gate));
	(void)snprintf(gate->name, sizeof(gate->name), "%s", name);
	synq_gate_init(&gate->gate, core->config.provider_in_flight);
	synq_list_init(&gate->parked);
	(void)synq_map_set(core->gates, synq_slice_text(gate->name), gate);
	return gate;
}

int
gate_enter(struct provider_gate *gate, struct work *work)
{
	const uint64_t now_us = gate_now(work->core);

	if (synq_gate_take(&gate->gate, now_us))
		return 1;
	gate->opens_at = synq_gate_opens_us(&gate->gate, now_us);
	work->state = WORK_PARKED;
	work->core->parked++;
	synq_list_push(&gate->parked, &work->side);
	return 0;
}

void
gate_leave(struct core *core, struct provider_gate *gate,
    const struct core_answer *answer)
{
	const uint64_t now_us = gate_now(core);
	enum synq_gate_outcome outcome = SYNQ_GATE_NEUTRAL;

	if (answer != NULL && answer->overload)
		outcome = SYNQ_GATE_OVERLOAD;
	else if (answer != NULL && answer->http_status != 0)
		outcome = SYNQ_GATE_GOOD;
	synq_gate_give(&gate->gate, outcome,
	    answer == NULL ? 0 : answer->took_us,
	    answer == NULL ? -1 : answer->retry_after_us, now_us);
	gate->opens_at = synq_gate_opens_us(&gate->gate, now_us);
	gate_release(core, gate);
}

void
gate_release(struct core *core, struct provider_gate *gate)
{
	struct synq_link *link;
	size_t room;

	if (gate->opens_at > gate_now(core))
		return;
	gate->opens_at = 0;
	room = (size_t)gate->gate.limit;
	room = room > gate->gate.in_flight ? room - gate->gate.in_flight : 0;
	while (room-- > 0 && (link = synq_list_shift(&gate->parked)) != NULL)
		work_requeue(SYNQ_CONTAINER(link, struct work, side));
}

int64_t
gate_tick(struct core *core)
{
	struct provider_gate *gate;
	size_t cursor = 0;
	uint64_t first_at = 0;

	while ((gate = synq_map_next(core->gates, &cursor)) != NULL) {
		gate_release(core, gate);
		if (synq_list_first(&gate->parked) == NULL ||
		    gate->opens_at == 0)
			continue;
		if (first_at == 0 || gate->opens_at < first_at)
			first_at = gate->opens_at;
	}
	return (int64_t)first_at;
}

void
gate_stepped(struct core *core, int64_t step_us)
{
	struct provider_gate *gate;
	size_t cursor = 0;

	while ((gate = synq_map_next(core->gates, &cursor)) != NULL) {
		synq_gate_stepped(&gate->gate, step_us);
		gate->opens_at =
		    synq_gate_opens_us(&gate->gate, gate_now(core));
	}
}

void
gate_free_all(struct core *core)
{
	struct provider_gate *gate;
	size_t cursor = 0;

	while ((gate = synq_map_next(core->gates, &cursor)) != NULL) {
		(void)synq_map_remove(core->gates, synq_slice_text(gate->name));
		synq_mem_free(gate);
	}
}
