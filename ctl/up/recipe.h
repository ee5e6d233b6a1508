#ifndef CTL_UP_RECIPE_H
#define CTL_UP_RECIPE_H

/*
 * How each server and each program is made ready, started, asked whether it is
 * ready, and stopped.
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct child_order;
struct site;
struct synq_arena;

/* The process that a recipe is about. */
struct recipe_target {
	const struct site *site;
	const char *name; /* "kafka", "intake-1" */
	uint16_t port;    /* 0 = none kept */
	pid_t pid;        /* in probe only */
};

struct recipe {
	const char *name;    /* "kafka", "intake" */
	const char *program; /* "synq-intake"; NULL = a server */
	int stop_signal;
	uint32_t stop_limit_ms; /* 0 = as long as it may drain, and a little */
	int calls_providers;    /* service.h */
	/* Make its data.  In a task; may block.  NULL = nothing to do. */
	int (*prepare)(
	    const struct recipe_target *target, struct synq_err *err);
	/* Fill ${order}; its words may live in ${arena}. */
	int (*order)(const struct recipe_target *target,
	    struct child_order *order, struct synq_arena *arena,
	    struct synq_err *err);
	/*
	 * Wait until it answers its own question.  In a task; blocks.  Ends
	 * with TIMEOUT or what it answered at last.
	 */
	int (*probe)(const struct recipe_target *target, struct synq_err *err);
	/* It has ended after it was asked to.  NULL = nothing to do. */
	void (*ended)(const struct recipe_target *target);
};

extern const struct recipe kafka_recipe;
extern const struct recipe postgres_recipe;
extern const struct recipe redis_recipe;
extern const struct recipe program_intake;
extern const struct recipe program_dispatcher;
extern const struct recipe program_recorder;

/* How long anything may take until it answers. */
#define RECIPE_READY_LIMIT_MS 120000U

#endif
