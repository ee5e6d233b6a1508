#include "ctl/up/unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/up/place.h"
#include "ctl/up/site.h"
#include "ctl/up/task.h"
#include "loop/loop.h"
#include "service/service.h"

/*
 *	IDLE ─▶ PREPARING ─▶ STARTING ─▶ READY
 *	  ▲         │            │         │   died
 *	  │         └──▶ WAITING ◀─────────┘   (WAITING ─▶ PREPARING)
 *	  └── STOPPING ◀─────────── stop, from STARTING and READY
 *
 * A process has a pid in STARTING, READY and STOPPING only.  A task runs in
 * PREPARING and STARTING only.
 */

#define FIRST_PAUSE_US 100000ULL
#define MAX_PAUSE_US 10000000ULL
/* Having run that long, a death is no longer the last one's repetition. */
#define STEADY_US 30000000ULL
/* One that never was ready has nothing to finish. */
#define UNREADY_STOP_LIMIT_MS 5000U
#define DRAIN_MARGIN_MS 5000U

static void launch(struct unit *unit);

const char *
unit_state_name(enum unit_state state)
{
	switch (state) {
	case UNIT_IDLE:
		return "stopped";
	case UNIT_PREPARING:
		return "preparing";
	case UNIT_STARTING:
		return "starting";
	case UNIT_READY:
		return "ready";
	case UNIT_WAITING:
		return "waiting";
	case UNIT_STOPPING:
		return "stopping";
	}
	return "unknown";
}

static void
move(struct unit *unit, enum unit_state state)
{
	unit->state = state;
	unit->hooks.changed(unit->hooks.ctx, unit);
}

static void
wait_and_retry(struct unit *unit, const char *sentence)
{
	uint64_t pause_us = FIRST_PAUSE_US
	                    << (unit->failures < 7 ? unit->failures : 7);

	unit->failures++;
	synq_timer_start(
	    unit->timer, pause_us > MAX_PAUSE_US ? MAX_PAUSE_US : pause_us);
	move(unit, UNIT_WAITING);
	unit->hooks.failed(unit->hooks.ctx, unit, sentence);
}

static struct recipe_target
target_of(const struct unit *unit)
{
	return (struct recipe_target){ .site = unit->site,
		.name = unit->name,
		.port = unit->port,
		.pid = unit->child.pid };
}

static int
prepare_work(void *arg, struct synq_err *err)
{
	const struct unit *unit = arg;
	struct recipe_target target = target_of(unit);

	return unit->recipe->prepare(&target, err);
}

static int
probe_work(void *arg, struct synq_err *err)
{
	const struct unit *unit = arg;
	struct recipe_target target = target_of(unit);

	return unit->recipe->probe(&target, err);
}

static void
on_prepared(void *ctx, int rc, const struct synq_err *err)
{
	struct unit *unit = ctx;

	unit->task = NULL;
	if (rc != 0)
		wait_and_retry(unit, err->text);
	else
		launch(unit);
}

static void
on_probed(void *ctx, int rc, const struct synq_err *err)
{
	struct unit *unit = ctx;
	char sentence[400];

	unit->task = NULL;
	if (rc == 0) {
		move(unit, UNIT_READY);
		return;
	}
	snprintf(sentence, sizeof(sentence), "%s runs but is not ready: %s",
	    unit->name, err->text);
	unit->hooks.failed(unit->hooks.ctx, unit, sentence);
	/* Unless that ended it, ask again. */
	if (unit->state == UNIT_STARTING)
		synq_timer_start(unit->timer, MAX_PAUSE_US);
}

static int
start_task(struct unit *unit, task_work_fn *work, task_done_fn *done)
{
	const struct task_call call = {
		.work = work, .arg = unit, .done = done, .ctx = unit
	};
	struct synq_err err;
	int rc = task_start(unit->loop, &call, &unit->task, &err);

	if (rc != 0 && unit->child.pid == 0)
		wait_and_retry(unit, err.text);
	else if (rc != 0)
		synq_timer_start(unit->timer, MAX_PAUSE_US);
	return rc;
}

static void
launch(struct unit *unit)
{
	struct synq_arena *arena = synq_arena_new(4096, 1024 * 1024);
	struct recipe_target target = target_of(unit);
	struct child_order order = { .folder = "/" };
	struct synq_err err;
	int rc;

	child_trim_log(unit->log);
	rc = unit->recipe->order(&target, &order, arena, &err);
	order.log = unit->log;
	if (rc == 0)
		rc = child_start(unit->site->place, &order, &unit->child, &err);
	synq_arena_free(&arena);
	if (rc != 0) {
		wait_and_retry(unit, err.text);
		return;
	}
	unit->started_at = synq_clock_wall_us();
	unit->started_us = synq_clock_mono_us();
	move(unit, UNIT_STARTING);
	start_task(unit, probe_work, on_probed);
}

void
unit_start(struct unit *unit)
{
	unit->again = 0;
	if (unit->recipe->prepare == NULL) {
		launch(unit);
		return;
	}
	move(unit, UNIT_PREPARING);
	start_task(unit, prepare_work, on_prepared);
}

static void
on_timer(void *ctx)
{
	struct unit *unit = ctx;

	switch (unit->state) {
	case UNIT_WAITING:
		unit_start(unit);
		break;
	case UNIT_STOPPING:
		child_signal(&unit->child, SIGKILL);
		break;
	case UNIT_STARTING:
		if (unit->task == NULL)
			start_task(unit, probe_work, on_probed);
		break;
	case UNIT_IDLE:
	case UNIT_PREPARING:
	case UNIT_READY:
		break;
	}
}

void
unit_stop(struct unit *unit)
{
	uint64_t limit_ms = unit->stop_limit_ms;

	unit->again = 0;
	switch (unit->state) {
	case UNIT_IDLE:
	case UNIT_STOPPING:
		return;
	case UNIT_PREPARING:
	case UNIT_WAITING:
		synq_timer_stop(unit->timer);
		task_cancel(&unit->task);
		move(unit, UNIT_IDLE);
		return;
	case UNIT_STARTING:
		limit_ms = UNREADY_STOP_LIMIT_MS;
		break;
	case UNIT_READY:
		break;
	}
	task_cancel(&unit->task);
	child_signal(&unit->child, unit->recipe->stop_signal);
	synq_timer_start(unit->timer, limit_ms * 1000);
	move(unit, UNIT_STOPPING);
}

void
unit_restart(struct unit *unit)
{
	unit_stop(unit);
	if (unit->state == UNIT_IDLE)
		unit_start(unit);
	else
		unit->again = 1;
}

static void
died(struct unit *unit, int status)
{
	struct synq_buf sentence;

	synq_buf_init(&sentence, 64 * 1024);
	synq_buf_printf(&sentence, "%s ", unit->name);
	if (WIFSIGNALED(status))
		synq_buf_printf(&sentence, "was killed by signal %d (SIG%s)",
		    WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
	else
		synq_buf_printf(
		    &sentence, "ended with exit code %d", WEXITSTATUS(status));
	if (unit->state == UNIT_STARTING)
		synq_buf_text(&sentence, " before it was ready");
	synq_buf_printf(&sentence, "; the end of %s:\n", unit->log);
	child_tail(unit->log, 5, &sentence);
	if (strstr(sentence.data, "No space left") != NULL)
		synq_buf_text(&sentence,
		    "    The disk is full: make room there and repeat.\n");

	unit->restarts++;
	if (synq_clock_mono_us() - unit->started_us > STEADY_US)
		unit->failures = 0;
	wait_and_retry(unit, sentence.data);
	synq_buf_done(&sentence);
}

void
unit_reaped(struct unit *unit, int status)
{
	struct recipe_target target = target_of(unit);

	child_forget(&unit->child);
	task_cancel(&unit->task);
	synq_timer_stop(unit->timer);
	if (unit->state != UNIT_STOPPING) {
		died(unit, status);
		return;
	}
	if (unit->recipe->ended != NULL && !WIFSIGNALED(status))
		unit->recipe->ended(&target);
	if (unit->again) {
		unit->state = UNIT_IDLE;
		unit_start(unit);
	} else {
		move(unit, UNIT_IDLE);
	}
}

struct unit *
unit_new(struct synq_loop *loop, const struct site *site,
    const struct recipe *recipe, const char *name, uint16_t port)
{
	struct unit *unit = synq_mem_new(sizeof(*unit));
	char log[128];

	unit->loop = loop;
	unit->site = site;
	unit->recipe = recipe;
	unit->port = port;
	unit->child.pidfd = -1;
	unit->stop_limit_ms = recipe->stop_limit_ms;
	if (unit->stop_limit_ms == 0)
		unit->stop_limit_ms = synq_service_drain_ms(site->config,
					  recipe->calls_providers) +
		                      DRAIN_MARGIN_MS;
	snprintf(unit->name, sizeof(unit->name), "%s", name);
	snprintf(log, sizeof(log), "log/%s.log", name);
	unit->log = place_path(site->place->dir, log);
	unit->timer = synq_timer_new(loop, on_timer, unit);
	return unit;
}

void
unit_free(struct unit **unit)
{
	if (*unit == NULL)
		return;
	task_cancel(&(*unit)->task);
	synq_timer_free(&(*unit)->timer);
	child_forget(&(*unit)->child);
	synq_mem_free((*unit)->log);
	synq_mem_free(*unit);
	*unit = NULL;
}
