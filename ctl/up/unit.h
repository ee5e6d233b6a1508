#ifndef CTL_UP_UNIT_H
#define CTL_UP_UNIT_H

/*
 * One process that is kept alive: prepared, started, asked until it is ready,
 * started again with growing pauses when it dies, stopped.
 */

#include <stdint.h>

#include "base/list.h"
#include "ctl/up/child.h"
#include "ctl/up/recipe.h"

struct synq_loop;
struct synq_timer;
struct task;
struct unit;

enum unit_state {
	UNIT_IDLE,      /* no process, and none is wanted */
	UNIT_PREPARING, /* a task makes its data */
	UNIT_STARTING,  /* it runs; a task asks whether it is ready */
	UNIT_READY,     /* it has answered */
	UNIT_WAITING,   /* it died; a timer runs until the next start */
	UNIT_STOPPING   /* it was asked to end; a timer runs until SIGKILL */
};

struct unit_hooks {
	/* The state of ${unit} changed. */
	void (*changed)(void *ctx, struct unit *unit);
	/*
	 * ${unit} failed and will be tried again; ${sentence} says what
	 * happened, with the end of its log.
	 */
	void (*failed)(void *ctx, struct unit *unit, const char *sentence);
	void *ctx;
};

struct unit {
	struct synq_link link; /* units of the supervisor */
	const struct recipe *recipe;
	const struct site *site; /* borrowed */
	struct synq_loop *loop;
	struct unit_hooks hooks;
	char name[64];
	uint16_t port; /* that clients use; 0 = none */
	char *log;     /* owned */
	enum unit_state state;
	struct child child;
	struct task *task;
	struct synq_timer *timer;
	int64_t started_at; /* wall us */
	uint64_t started_us;
	uint32_t restarts;      /* because it died */
	uint32_t failures;      /* in a row */
	int again;              /* start it when it has stopped */
	uint64_t stop_limit_ms; /* from asking it to end until SIGKILL */
};

/*
 * A unit called ${name} on ${port} for ${recipe} at ${site}, not started.  The
 * caller frees it.
 */
struct unit *unit_new(struct synq_loop *loop, const struct site *site,
    const struct recipe *recipe, const char *name, uint16_t port);

/* Free *${unit}, which has no process; sets it to NULL. */
void unit_free(struct unit **unit);

/* Start ${unit}, which is idle. */
void unit_start(struct unit *unit);

/* Let ${unit} end; its state is UNIT_IDLE once it has. */
void unit_stop(struct unit *unit);

/* Stop ${unit} and start it again. */
void unit_restart(struct unit *unit);

/* The process of ${unit} has ended with ${status} and was reaped. */
void unit_reaped(struct unit *unit, int status);

/* The name of ${state}, a literal. */
const char *unit_state_name(enum unit_state state);

#endif
