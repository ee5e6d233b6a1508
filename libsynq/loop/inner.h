#ifndef SYNQ_LOOP_INNER_H
#define SYNQ_LOOP_INNER_H

/*
 * What the files of this folder share: the loop itself and the step that
 * every callback takes first.
 */

#include <uv.h>

#include "base/list.h"
#include "loop/loop.h"

/* One deferred call. */
struct synq_defer {
	synq_loop_fn *fn;
	void *ctx;
};

/* A list of deferred calls that keeps its room. */
struct synq_defers {
	struct synq_defer *calls; /* owned */
	size_t count;
	size_t room;
};

/* The clocks of this turn, read when first asked for. */
struct synq_turn {
	uint64_t now_us;
	int64_t wall_us;
	int fresh; /* 1 = both are of this turn */
};

struct synq_loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle;       /* runs while calls are deferred: no waiting */
	uv_timer_t heartbeat; /* runs while there are gap calls */
	uv_timer_t turn_end;  /* ends the wait of synq_loop_turn */
	struct synq_turn *turn;
	struct synq_defers defers;
	struct synq_defers running;
	struct synq_list signals; /* struct signal_watch */
	struct synq_list gaps;    /* struct gap_call */
	uint64_t entered_us;      /* when a turn was last entered */
	uint64_t longest_us;
	int entered; /* 1 = a callback of this turn has begun */
};

/* Begin a callback of ${loop}: what the gap calls must hear comes first. */
void synq_loop_enter(struct synq_loop *loop);

#endif
