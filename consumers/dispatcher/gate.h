#ifndef SYNQ_DISPATCHER_GATE_H
#define SYNQ_DISPATCHER_GATE_H

/*
 * One adaptive gate per provider, and the works that wait before it, so that a
 * provider in trouble holds up nobody who wants another one.
 */

#include "core.h"
#include "retry/gate.h"

struct provider_gate {
	char name[64]; /* the map's key */
	struct synq_gate gate;
	struct synq_list parked; /* struct work, oldest first */
	uint64_t opens_at; /* wall us when it asked us to wait; 0 = open */
};

/* The gate of the provider called ${name}; made when first asked for. */
struct provider_gate *gate_find(struct core *core, const char *name);

/* 1 and counted if a call of ${work} may go out; else it is parked: 0. */
int gate_enter(struct provider_gate *gate, struct work *work);

/* The call of a work came to ${answer} (NULL = nothing was learnt). */
void gate_leave(struct core *core, struct provider_gate *gate,
    const struct core_answer *answer);

/* Let parked works of ${gate} try again, as many as may pass. */
void gate_release(struct core *core, struct provider_gate *gate);

/* Release what is due on all gates; returns when the next one opens, or 0. */
int64_t gate_tick(struct core *core);

/* The clock was set by ${step_us}: closed gates stay so as long as before. */
void gate_stepped(struct core *core, int64_t step_us);

/* Free all gates of ${core}; parked works must be gone. */
void gate_free_all(struct core *core);

#endif
