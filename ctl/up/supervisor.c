#include "ctl/up/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/up/control.h"
#include "ctl/up/inner.h"
#include "ctl/up/lock.h"
#include "ctl/up/place.h"
#include "ctl/up/setup.h"
#include "ctl/up/site.h"
#include "ctl/up/task.h"
#include "loop/loop.h"
#include "json/write.h"

/*
 * Phases, in order: SERVERS (all start together), SETUP, PROGRAMS, RUNNING;
 * then STOPPING, rank after rank: intakes, dispatchers, recorders, servers.
 *
 * Until RUNNING the first failure is told to synq up and ends everything;
 * from then on what dies is started again, for ever, with growing pauses.
 *
 * Every change of a unit leads to one supervisor_step at the end of the turn,
 * which alone moves from phase to phase.
 */

#define HOUSEKEEPING_US 60000000ULL

static void queue_step(struct supervisor *supervisor);

struct synq_loop *
supervisor_loop(struct supervisor *supervisor)
{
	return supervisor->loop;
}

const char *
supervisor_dir(const struct supervisor *supervisor)
{
	return supervisor->site->place->dir;
}

/* Tell synq up ${text} with the mark ${letter} on each line. */
static void
tell(struct supervisor *supervisor, char letter, const char *text)
{
	struct synq_buf lines;
	ssize_t bytes;

	if (supervisor->progress_fd < 0)
		return;
	synq_buf_init(&lines, 64 * 1024);
	do {
		size_t length = strcspn(text, "\n");

		synq_buf_printf(&lines, "%c%.*s\n", letter, (int)length, text);
		text += length + (text[length] == '\n');
	} while (*text != '\0');
	bytes = write(supervisor->progress_fd, lines.data, lines.bytes);
	synq_buf_done(&lines);
	if (bytes < 0) {
		/* Whoever wanted it has left before it was there. */
		close(supervisor->progress_fd);
		supervisor->progress_fd = -1;
		supervisor_stop(supervisor);
	}
}

/* Everything ends because of what ${sentence} says. */
static void
give_up(struct supervisor *supervisor, const char *sentence)
{
	tell(supervisor, SUPERVISOR_FAILS, sentence);
	supervisor->exit_code = 1;
	supervisor_stop(supervisor);
}

static void
on_changed(void *ctx, struct unit *unit)
{
	struct supervisor *supervisor = ctx;
	char line[160] = "";

	synq_log(SYNQ_LOG_INFO, "unit.moved", SYNQ_F_TEXT("unit", unit->name),
	    SYNQ_F_TEXT("state", unit_state_name(unit->state)),
	    SYNQ_F_INT("pid", unit->child.pid), SYNQ_F_END);
	if (unit->state == UNIT_STARTING && unit->port != 0)
		snprintf(line, sizeof(line), "%-13s starting on 127.0.0.1:%u",
		    unit->name, (unsigned)unit->port);
	else if (unit->state == UNIT_STARTING)
		snprintf(line, sizeof(line), "%-13s starting", unit->name);
	else if (unit->state == UNIT_READY)
		snprintf(line, sizeof(line), "%-13s ready after %.1f s",
		    unit->name,
		    (double)(synq_clock_mono_us() - unit->started_us) / 1e6);
	if (line[0] != '\0')
		tell(supervisor, SUPERVISOR_TELLS, line);
	queue_step(supervisor);
}

static void
on_failed(void *ctx, struct unit *unit, const char *sentence)
{
	struct supervisor *supervisor = ctx;

	synq_log(SYNQ_LOG_ERROR, "unit.failed", SYNQ_F_TEXT("unit", unit->name),
	    SYNQ_F_TEXT("text", sentence), SYNQ_F_END);
	if (supervisor->phase < SUPERVISOR_RUNNING)
		give_up(supervisor, sentence);
}

static struct unit_hooks
hooks_of(struct supervisor *supervisor)
{
	return (struct unit_hooks){
		.changed = on_changed, .failed = on_failed, .ctx = supervisor
	};
}

/* 1 if every unit of the ranks ${from} to ${to} is in ${state}. */
static int
all_are(const struct supervisor *supervisor, int from, int to,
    enum unit_state state)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&supervisor->units, link, after) {
		const struct unit *unit =
		    SYNQ_CONTAINER(link, struct unit, link);
		int rank = units_rank(unit->recipe);

		if (rank >= from && rank <= to && unit->state != state)
			return 0;
	}
	return 1;
}

#define FIRST_RANK 0
#define LAST_RANK 3 /* of the servers */

static void
enter(struct supervisor *supervisor, enum supervisor_phase phase)
{
	supervisor->phase = phase;
	supervisor->phase_us = synq_clock_mono_us();
}

static int
setup_work(void *arg, struct synq_err *err)
{
	const struct supervisor *supervisor = arg;

	return setup_apply(supervisor->site, err);
}

static void
start_programs(struct supervisor *supervisor)
{
	struct unit_hooks hooks = hooks_of(supervisor);
	struct synq_link *link;
	struct synq_link *after;
	struct synq_err err;

	enter(supervisor, SUPERVISOR_PROGRAMS);
	if (units_add_programs(supervisor, &hooks, &err) != 0) {
		give_up(supervisor, err.text);
		return;
	}
	synq_list_foreach (&supervisor->units, link, after) {
		struct unit *unit = SYNQ_CONTAINER(link, struct unit, link);

		if (unit->state == UNIT_IDLE &&
		    supervisor->phase == SUPERVISOR_PROGRAMS)
			unit_start(unit);
	}
	queue_step(supervisor);
}

static void
on_setup(void *ctx, int rc, const struct synq_err *err)
{
	struct supervisor *supervisor = ctx;
	char line[128];

	supervisor->setup = NULL;
	if (rc != 0) {
		give_up(supervisor, err->text);
		return;
	}
	snprintf(line, sizeof(line), "%-13s ready after %.1f s", "database",
	    (double)(synq_clock_mono_us() - supervisor->phase_us) / 1e6);
	tell(supervisor, SUPERVISOR_TELLS, line);
	start_programs(supervisor);
}

static void
start_setup(struct supervisor *supervisor)
{
	const struct task_call call = { .work = setup_work,
		.arg = supervisor,
		.done = on_setup,
		.ctx = supervisor };
	struct synq_err err;

	enter(supervisor, SUPERVISOR_SETUP);
	if (task_start(supervisor->loop, &call, &supervisor->setup, &err) != 0)
		give_up(supervisor, err.text);
}

static void
announce(struct supervisor *supervisor)
{
	enter(supervisor, SUPERVISOR_RUNNING);
	tell(supervisor, SUPERVISOR_READY, "");
	if (supervisor->progress_fd >= 0)
		close(supervisor->progress_fd);
	supervisor->progress_fd = -1;
}

/* Stop all units of the rank that is ending. */
static void
stop_rank(struct supervisor *supervisor)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&supervisor->units, link, after) {
		struct unit *unit = SYNQ_CONTAINER(link, struct unit, link);

		if (units_rank(unit->recipe) == supervisor->stop_rank)
			unit_stop(unit);
	}
}

static void
step_stopping(struct supervisor *supervisor)
{
	while (supervisor->stop_rank <= LAST_RANK &&
	       all_are(supervisor, supervisor->stop_rank, supervisor->stop_rank,
		   UNIT_IDLE)) {
		supervisor->stop_rank++;
		stop_rank(supervisor);
	}
	if (supervisor->stop_rank > LAST_RANK)
		synq_loop_stop(supervisor->loop);
}

/* Instances that were scaled away leave nothing behind. */
static void
drop_idle(struct supervisor *supervisor)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&supervisor->units, link, after) {
		struct unit *unit = SYNQ_CONTAINER(link, struct unit, link);

		if (unit->state != UNIT_IDLE || unit->recipe->program == NULL)
			continue;
		synq_list_remove(&supervisor->units, link);
		unit_free(&unit);
	}
}

static void
step(void *ctx)
{
	struct supervisor *supervisor = ctx;

	supervisor->step_queued = 0;
	switch (supervisor->phase) {
	case SUPERVISOR_SERVERS:
		if (all_are(supervisor, FIRST_RANK, LAST_RANK, UNIT_READY))
			start_setup(supervisor);
		break;
	case SUPERVISOR_SETUP:
		break;
	case SUPERVISOR_PROGRAMS:
		if (all_are(supervisor, FIRST_RANK, LAST_RANK, UNIT_READY))
			announce(supervisor);
		break;
	case SUPERVISOR_RUNNING:
		drop_idle(supervisor);
		break;
	case SUPERVISOR_STOPPING:
		step_stopping(supervisor);
		break;
	}
	units_note(supervisor);
	control_settle(supervisor->control);
}

static void
queue_step(struct supervisor *supervisor)
{
	if (supervisor->step_queued)
		return;
	supervisor->step_queued = 1;
	synq_loop_defer(supervisor->loop, step, supervisor);
}

void
supervisor_stop(struct supervisor *supervisor)
{
	if (supervisor->phase == SUPERVISOR_STOPPING)
		return;
	synq_log(SYNQ_LOG_INFO, "supervisor.stopping", SYNQ_F_END);
	enter(supervisor, SUPERVISOR_STOPPING);
	task_cancel(&supervisor->setup);
	supervisor->stop_rank = FIRST_RANK;
	stop_rank(supervisor);
	queue_step(supervisor);
}

uint64_t
supervisor_stop_limit_ms(const struct supervisor *supervisor)
{
	uint64_t limit_ms = 0;

	for (int rank = FIRST_RANK; rank <= LAST_RANK; rank++)
		limit_ms += units_stop_limit_ms(supervisor, rank);
	return limit_ms;
}

int
supervisor_restart(
    struct supervisor *supervisor, const char *name, struct synq_err *err)
{
	struct unit *unit = units_find(supervisor, name);

	if (supervisor->phase != SUPERVISOR_RUNNING)
		return synq_fail(err, SYNQ_E_BUSY,
		    "it is starting or stopping; repeat when that is over");
	if (unit == NULL)
		return synq_fail(err, SYNQ_E_NOT_FOUND,
		    "nothing is called \"%s\"; synq status shows the names",
		    name);
	unit_restart(unit);
	return 0;
}

int
supervisor_scale(struct supervisor *supervisor, const char *program,
    uint64_t count, struct synq_err *err)
{
	const struct recipe *recipe = units_program(program);
	struct unit_hooks hooks = hooks_of(supervisor);

	if (supervisor->phase != SUPERVISOR_RUNNING)
		return synq_fail(err, SYNQ_E_BUSY,
		    "it is starting or stopping; repeat when that is over");
	if (recipe == NULL)
		return synq_fail(err, SYNQ_E_NOT_FOUND,
		    "no program is called \"%s\"; there are intake, "
		    "dispatcher and recorder",
		    program);
	if (count > SUPERVISOR_MAX_INSTANCES)
		return synq_fail(err, SYNQ_E_INVALID,
		    "at most %d instances of a program can run",
		    SUPERVISOR_MAX_INSTANCES);
	return units_scale(supervisor, &hooks, recipe, count, err);
}

int
supervisor_settled(const struct supervisor *supervisor, struct synq_buf *out)
{
	struct synq_link *link;
	struct synq_link *after;
	int settled = 1;

	synq_list_foreach (&supervisor->units, link, after) {
		const struct unit *unit =
		    SYNQ_CONTAINER(link, struct unit, link);

		if (unit->state == UNIT_READY)
			continue;
		synq_buf_printf(out, "%s%s is %s", settled ? "" : ", ",
		    unit->name, unit_state_name(unit->state));
		settled = 0;
	}
	return settled;
}

static void
add_unit(const struct unit *unit, struct synq_json_writer *json)
{
	char started_at[28];

	synq_clock_format(unit->started_at, started_at);
	synq_json_open(json, '{');
	synq_json_key(json, "name");
	synq_json_text(json, unit->name);
	synq_json_key(json, "program");
	synq_json_text(json, unit->recipe->program);
	synq_json_key(json, "pid");
	synq_json_i64(json, unit->child.pid);
	synq_json_key(json, "port");
	synq_json_i64(json, unit->port);
	synq_json_key(json, "state");
	synq_json_text(json, unit_state_name(unit->state));
	synq_json_key(json, "restarts");
	synq_json_i64(json, unit->restarts);
	synq_json_key(json, "started_at");
	synq_json_text(json, unit->started_at == 0 ? NULL : started_at);
	synq_json_close(json, '}');
}

void
supervisor_status(const struct supervisor *supervisor, struct synq_buf *out)
{
	static const char *const phases[] = { "starting", "starting",
		"starting", "running", "stopping" };
	struct synq_json_writer json;
	struct synq_link *link;
	struct synq_link *after;

	synq_json_start(&json, out);
	synq_json_open(&json, '{');
	synq_json_key(&json, "phase");
	synq_json_text(&json, phases[supervisor->phase]);
	synq_json_key(&json, "pid");
	synq_json_i64(&json, getpid());
	synq_json_key(&json, "units");
	synq_json_open(&json, '[');
	synq_list_foreach (&supervisor->units, link, after)
		add_unit(SYNQ_CONTAINER(link, struct unit, link), &json);
	synq_json_close(&json, ']');
	synq_json_close(&json, '}');
}

/* Reap all that have ended, also those that nobody else waits for. */
static void
on_child(void *ctx, int signum)
{
	struct supervisor *supervisor = ctx;
	struct synq_link *link;
	struct synq_link *after;
	int status;
	pid_t pid;

	(void)signum;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		synq_list_foreach (&supervisor->units, link, after) {
			struct unit *unit =
			    SYNQ_CONTAINER(link, struct unit, link);

			if (unit->child.pid == pid)
				unit_reaped(unit, status);
		}
	}
}

static void
on_end(void *ctx, int signum)
{
	(void)signum;
	supervisor_stop(ctx);
}

/* Programs read their configuration again. */
static void
on_reload(void *ctx, int signum)
{
	struct supervisor *supervisor = ctx;
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&supervisor->units, link, after) {
		const struct unit *unit =
		    SYNQ_CONTAINER(link, struct unit, link);

		if (unit->recipe->program != NULL)
			child_signal(&unit->child, signum);
	}
}

static void
on_housekeeping(void *ctx)
{
	struct supervisor *supervisor = ctx;
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&supervisor->units, link, after)
		child_trim_log(SYNQ_CONTAINER(link, struct unit, link)->log);
}

static int
listen_to_signals(struct supervisor *supervisor, struct synq_err *err)
{
	struct synq_loop *loop = supervisor->loop;
	int rc = synq_loop_on_signal(loop, SIGCHLD, on_child, supervisor, err);

	if (rc == 0)
		rc =
		    synq_loop_on_signal(loop, SIGTERM, on_end, supervisor, err);
	if (rc == 0)
		rc = synq_loop_on_signal(loop, SIGINT, on_end, supervisor, err);
	if (rc == 0)
		rc = synq_loop_on_signal(
		    loop, SIGHUP, on_reload, supervisor, err);
	return rc;
}

static int
build(struct supervisor *supervisor, struct synq_err *err)
{
	struct rlimit files;
	int rc = synq_loop_new(&supervisor->loop, err);

	if (rc != 0)
		return rc;
	prctl(PR_SET_NAME, "synq-supervisor");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* Connections are descriptors; all that starts here inherits it. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	rc = listen_to_signals(supervisor, err);
	if (rc == 0)
		rc = control_new(supervisor, &supervisor->control, err);
	if (rc != 0)
		return rc;
	supervisor->housekeeping =
	    synq_timer_new(supervisor->loop, on_housekeeping, supervisor);
	synq_timer_repeat(supervisor->housekeeping, HOUSEKEEPING_US);
	return 0;
}

static void
tear_down(struct supervisor *supervisor)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&supervisor->units)) != NULL) {
		struct unit *unit = SYNQ_CONTAINER(link, struct unit, link);

		unit_free(&unit);
	}
	control_free(&supervisor->control);
	synq_timer_free(&supervisor->housekeeping);
	lock_end_children();
	synq_loop_free(&supervisor->loop);
	if (supervisor->progress_fd >= 0)
		close(supervisor->progress_fd);
	synq_mem_free(supervisor);
}

int
supervisor_run(const struct supervisor_order *order)
{
	struct supervisor *supervisor = synq_mem_new(sizeof(*supervisor));
	struct unit_hooks hooks = hooks_of(supervisor);
	struct synq_link *link;
	struct synq_link *after;
	struct synq_err err;
	int code;

	supervisor->site = order->site;
	supervisor->progress_fd = order->progress_fd;
	supervisor->started_at = synq_clock_wall_us();
	synq_list_init(&supervisor->units);
	if (build(supervisor, &err) != 0) {
		tell(supervisor, SUPERVISOR_FAILS, err.text);
		tear_down(supervisor);
		return 1;
	}
	enter(supervisor, SUPERVISOR_SERVERS);
	units_add_servers(supervisor, &hooks);
	synq_list_foreach (&supervisor->units, link, after)
		unit_start(SYNQ_CONTAINER(link, struct unit, link));
	queue_step(supervisor);
	synq_loop_run(supervisor->loop);
	code = supervisor->exit_code;
	tear_down(supervisor);
	synq_log(SYNQ_LOG_INFO, "supervisor.ended", SYNQ_F_INT("code", code),
	    SYNQ_F_END);
	return code;
}
