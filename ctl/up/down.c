#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/up/control.h"
#include "ctl/up/lock.h"
#include "ctl/up/up.h"

/*
 * The commands that ask a running supervisor for something.  down is done when
 * the lock is free: the supervisor ends last.
 */

#define ASK_LIMIT_MS 5000
/* A little more than the supervisor takes until it gives up. */
#define SETTLE_LIMIT_MS 120000
#define PAUSE_NS 50000000L
#define TELL_AFTER_US 5000000ULL
/* How long it may take, when the supervisor does not say. */
#define DOWN_LIMIT_MS 180000ULL
/* Beyond that. */
#define DOWN_MARGIN_MS 30000ULL

static void
tell_what_runs(const struct cli *cli)
{
	cli_tell(
	    cli, "waiting for work in hand; synq status shows what still runs");
}

/* Wait until ${pid} no longer holds the lock; 0, or -1 after ${limit_us}. */
static int
wait_for_end(const struct cli *cli, pid_t pid, uint64_t limit_us)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t began_us = synq_clock_mono_us();
	int told = 0;

	while (lock_holder(cli->dir) == pid) {
		uint64_t waited_us = synq_clock_mono_us() - began_us;

		if (waited_us > limit_us)
			return -1;
		if (!told && waited_us > TELL_AFTER_US) {
			tell_what_runs(cli);
			told = 1;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int
nothing_runs(const struct cli *cli)
{
	struct synq_buf names;

	synq_buf_init(&names, 64 * 1024);
	lock_end_remains(cli->dir, &names);
	if (names.bytes > 0)
		cli_tell(cli, "ended what a dead supervisor had left: %s",
		    names.data);
	else
		cli_tell(cli, "nothing runs in %s", cli->dir);
	synq_buf_done(&names);
	return CLI_OK;
}

/* Tell the supervisor ${pid} to end; returns how long to wait for that, us. */
static uint64_t
ask_to_end(const struct cli *cli, pid_t pid)
{
	struct synq_buf answer;
	struct synq_err err;
	uint64_t limit_ms = 0;

	synq_buf_init(&answer, 64 * 1024);
	if (control_ask(cli->dir, "down", ASK_LIMIT_MS, &answer, &err) == 0)
		limit_ms = strtoull(answer.data, NULL, 10);
	/* One that does not listen yet hears the signal. */
	else if (lock_holder(cli->dir) == pid)
		kill(pid, SIGTERM);
	synq_buf_done(&answer);
	/* Nor does one of an older version. */
	if (limit_ms == 0)
		limit_ms = DOWN_LIMIT_MS;
	return (limit_ms + DOWN_MARGIN_MS) * 1000;
}

int
down_run(struct cli *cli)
{
	pid_t pid = lock_holder(cli->dir);

	if (pid == 0)
		return nothing_runs(cli);
	cli_tell(cli, "stopping");
	if (wait_for_end(cli, pid, ask_to_end(cli, pid)) != 0) {
		cli_tell(cli,
		    "the supervisor (pid %d) does not end; killing "
		    "it and all that it started",
		    (int)pid);
		kill(pid, SIGKILL);
		if (wait_for_end(cli, pid, DOWN_MARGIN_MS * 1000) != 0)
			return cli_say(CLI_UNAVAILABLE,
			    "the supervisor (pid %d) cannot be killed",
			    (int)pid);
		nothing_runs(cli);
	}
	cli_tell(cli, "stopped");
	return CLI_OK;
}

static int
ask_and_wait(struct cli *cli, const char *request)
{
	struct synq_buf answer;
	struct synq_err err;
	int rc;

	synq_buf_init(&answer, 64 * 1024);
	rc = control_ask(cli->dir, request, SETTLE_LIMIT_MS, &answer, &err);
	synq_buf_done(&answer);
	/* Nothing to talk to is not the same as no such name. */
	if (rc == -SYNQ_E_NOT_FOUND && lock_holder(cli->dir) == 0)
		return cli_say(CLI_UNAVAILABLE, "%s", err.text);
	return rc == 0 ? CLI_OK : cli_fail(&err);
}

int
restart_run(struct cli *cli)
{
	char request[300];
	int code;

	snprintf(request, sizeof(request), "restart %.200s", cli->args[0]);
	code = ask_and_wait(cli, request);
	if (code == CLI_OK)
		cli_tell(cli, "%s has been restarted", cli->args[0]);
	return code;
}

int
scale_run(struct cli *cli)
{
	char request[300];
	uint64_t count;
	int code;

	if (synq_slice_u64(synq_slice_text(cli->args[1]), 1000, &count) != 0)
		return cli_say(CLI_USAGE,
		    "N is a whole number such as 2, not \"%s\"", cli->args[1]);
	snprintf(request, sizeof(request), "scale %.200s %llu", cli->args[0],
	    (unsigned long long)count);
	code = ask_and_wait(cli, request);
	if (code == CLI_OK)
		cli_tell(
		    cli, "%llu of %s", (unsigned long long)count, cli->args[0]);
	return code;
}
