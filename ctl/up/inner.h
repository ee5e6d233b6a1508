#ifndef CTL_UP_INNER_H
#define CTL_UP_INNER_H

/*
 * Inside of the supervisor.
 */

#include <stdint.h>

#include "base/list.h"
#include "ctl/up/supervisor.h"
#include "ctl/up/unit.h"

struct control;
struct synq_timer;
struct task;

/* How many instances of one program there can be. */
#define SUPERVISOR_MAX_INSTANCES 32

enum supervisor_phase {
	SUPERVISOR_SERVERS,  /* servers start */
	SUPERVISOR_SETUP,    /* a task makes tables and topics */
	SUPERVISOR_PROGRAMS, /* programs start */
	SUPERVISOR_RUNNING,
	SUPERVISOR_STOPPING /* rank after rank */
};

struct supervisor {
	struct site *site;
	struct synq_loop *loop;
	struct control *control;
	struct synq_timer *housekeeping;
	struct task *setup;
	struct synq_list units; /* struct unit, in the order of starting */
	enum supervisor_phase phase;
	int stop_rank;   /* in STOPPING: which rank is ending */
	int step_queued; /* supervisor_step is deferred */
	int exit_code;
	int progress_fd; /* -1 once everything was ready */
	int64_t started_at;
	uint64_t phase_us; /* when the phase began */
};

/* The rank of ${recipe} in stopping: intakes first, servers last. */
int units_rank(const struct recipe *recipe);

/*
 * How long the units of ${supervisor} with the rank ${rank} may take to stop,
 * side by side, in ms.
 */
uint64_t units_stop_limit_ms(const struct supervisor *supervisor, int rank);

/* Add the private servers of ${supervisor} to its units. */
void units_add_servers(
    struct supervisor *supervisor, const struct unit_hooks *hooks);

/*
 * Add programs to the units of ${supervisor} as run/scale.json says.  Errors:
 * CONFLICT (port in use), SYSTEM.
 */
SYNQ_MUST_CHECK int units_add_programs(struct supervisor *supervisor,
    const struct unit_hooks *hooks, struct synq_err *err);

/* The unit called ${name}; NULL if there is none. */
struct unit *units_find(const struct supervisor *supervisor, const char *name);

/*
 * Let ${count} instances of ${program} be there, those too many being asked to
 * stop, and keep that in run/scale.json.  Errors as supervisor_scale.
 */
SYNQ_MUST_CHECK int units_scale(struct supervisor *supervisor,
    const struct unit_hooks *hooks, const struct recipe *program,
    uint64_t count, struct synq_err *err);

/* The recipe of the program ${name} ("dispatcher"); NULL if there is none. */
const struct recipe *units_program(const char *name);

/* Note in run/children.json which processes ${supervisor} has. */
void units_note(const struct supervisor *supervisor);

#endif
