#include "ctl/up/up.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctl/up/control.h"
#include "ctl/up/lock.h"
#include "ctl/up/place.h"
#include "ctl/up/site.h"
#include "ctl/up/supervisor.h"
#include "json/scan.h"

/*
 * Take the lock, look for all that is needed, fork the supervisor, show what
 * it tells until everything is ready.  Whoever comes second finds the lock
 * taken and waits for the first one's end of starting.
 *
 * Ctrl-C at any moment: before the fork nothing runs; after it the supervisor
 * is told to end and waited for.
 */

/* The shell's code for a command that SIGINT has ended. */
#define INTERRUPTED 130
#define ASK_LIMIT_MS 5000
#define PAUSE_NS 100000000L
/* Longer than every limit that the supervisor itself has. */
#define JOIN_LIMIT_US 300000000ULL

struct launch {
	struct cli *cli;
	struct site *site;
	int lock_fd;
	int progress[2];
	int signal_fd;
	pid_t supervisor;
	struct synq_buf line;    /* not complete yet */
	struct synq_buf failure; /* what went wrong */
	int ready;
	int interrupted;
};

static void
take_signals(sigset_t *ret_before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, ret_before);
}

/* The supervisor's life, in the child. */
SYNQ_NORETURN static void
supervise(struct launch *launch, const sigset_t *mask)
{
	struct supervisor_order order = {
		.site = launch->site, .lock_fd = 3, .progress_fd = 4
	};
	char *log = place_path(launch->site->place->dir, "log/supervisor.log");
	int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int lock_fd = fcntl(launch->lock_fd, F_DUPFD_CLOEXEC, 10);
	int progress_fd = fcntl(launch->progress[1], F_DUPFD_CLOEXEC, 10);
	struct synq_err err;
	int code;

	if (log_fd < 0 || null_fd < 0 || lock_fd < 0 || progress_fd < 0 ||
	    dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(log_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0 ||
	    dup3(lock_fd, 3, O_CLOEXEC) < 0 ||
	    dup3(progress_fd, 4, O_CLOEXEC) < 0)
		_exit(1);
	/* Nothing of whoever called, a pipe that is waited for above all. */
	close_range(5, ~0U, 0);
	setsid();
	if (chdir("/") != 0 || lock_sign(3, getpid(), &err) != 0)
		_exit(1);
	sigprocmask(SIG_SETMASK, mask, NULL);
	synq_log_setup("synq-supervisor", SYNQ_LOG_INFO);
	code = supervisor_run(&order);
	_exit(code);
}

static int
fork_supervisor(struct launch *launch, struct synq_err *err)
{
	sigset_t before;
	sigset_t set;

	take_signals(&before);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	launch->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (launch->signal_fd < 0 || pipe2(launch->progress, O_CLOEXEC) != 0)
		return synq_fail(
		    err, SYNQ_E_SYSTEM, "pipe: %s", strerror(errno));
	fflush(stdout);
	launch->supervisor = fork();
	if (launch->supervisor == 0)
		supervise(launch, &before);
	if (launch->supervisor < 0)
		return synq_fail(err, SYNQ_E_SYSTEM,
		    "cannot start the supervisor: %s", strerror(errno));
	close(launch->progress[1]);
	launch->progress[1] = -1;
	close(launch->lock_fd);
	launch->lock_fd = -1;
	return 0;
}

static void
show_line(struct launch *launch, const char *line)
{
	switch (line[0]) {
	case SUPERVISOR_TELLS:
		cli_tell(launch->cli, "%s", line + 1);
		break;
	case SUPERVISOR_FAILS:
		synq_buf_printf(&launch->failure, "%s\n", line + 1);
		break;
	case SUPERVISOR_READY:
		launch->ready = 1;
		break;
	default:
		break;
	}
}

/* Read from the supervisor; 0 at its end. */
static int
read_progress(struct launch *launch)
{
	char *room = synq_buf_reserve(&launch->line, 1024);
	ssize_t bytes = -1;
	char *end;

	if (room != NULL)
		bytes = read(launch->progress[0], room, 1024);
	if (bytes < 0 && errno == EINTR)
		return 1;
	if (bytes <= 0)
		return 0;
	launch->line.bytes += (size_t)bytes;
	launch->line.data[launch->line.bytes] = '\0';
	while ((end = memchr(launch->line.data, '\n', launch->line.bytes)) !=
	       NULL) {
		*end = '\0';
		show_line(launch, launch->line.data);
		synq_buf_consume(
		    &launch->line, (size_t)(end - launch->line.data) + 1);
	}
	return 1;
}

static void
on_interrupt(struct launch *launch)
{
	struct signalfd_siginfo info;

	if (read(launch->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (launch->interrupted == 0)
		fprintf(stderr, "synq: interrupted; stopping what was "
				"started\n");
	/* Its children hear of its death, and end. */
	kill(launch->supervisor, launch->interrupted < 2 ? SIGTERM : SIGKILL);
	launch->interrupted++;
}

/* Show what the supervisor tells, until it is ready or ends. */
static void
follow(struct launch *launch)
{
	struct pollfd fds[2] = {
		{ .fd = launch->progress[0], .events = POLLIN },
		{ .fd = launch->signal_fd, .events = POLLIN },
	};
	int open = 1;

	while (open && !(launch->ready && !launch->interrupted)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents & POLLIN)
			on_interrupt(launch);
		if (fds[0].revents)
			open = read_progress(launch);
	}
	if (!open)
		while (
		    waitpid(launch->supervisor, NULL, 0) < 0 && errno == EINTR)
			continue;
}

static int
conclude(struct launch *launch)
{
	if (launch->interrupted)
		return INTERRUPTED;
	if (launch->ready) {
		status_tell_addresses(launch->cli);
		return CLI_OK;
	}
	if (launch->failure.bytes > 0) {
		fprintf(stderr, "synq: %s", launch->failure.data);
		return CLI_FAILED;
	}
	return cli_say(CLI_FAILED,
	    "the supervisor has ended; %s/log/supervisor.log may say why",
	    launch->cli->dir);
}

/* What earlier lives have left in run/. */
static void
remove_stale(struct cli *cli)
{
	char *pattern = place_path(cli->dir, "run/*-[0-9]*.json");
	struct synq_buf names;
	glob_t found;
	size_t i;

	synq_buf_init(&names, 64 * 1024);
	lock_end_remains(cli->dir, &names);
	if (names.bytes > 0)
		cli_tell(cli, "ended what an earlier supervisor had left: %s",
		    names.data);
	synq_buf_done(&names);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	synq_mem_free(pattern);
}

static int
start_all(struct cli *cli, int lock_fd)
{
	struct launch launch = { .cli = cli,
		.lock_fd = lock_fd,
		.progress = { -1, -1 },
		.signal_fd = -1 };
	struct synq_err err;
	int code;

	synq_buf_init(&launch.line, 64 * 1024);
	synq_buf_init(&launch.failure, 64 * 1024);
	remove_stale(cli);
	if (site_new(cli->dir, cli->config, cli->settings, &launch.site,
		&err) != 0 ||
	    fork_supervisor(&launch, &err) != 0) {
		code = cli_fail(&err);
		/* What is missing here is no name that was asked for. */
		if (code != CLI_CONFIG)
			code = CLI_FAILED;
		goto out;
	}
	follow(&launch);
	code = conclude(&launch);

out:
	if (launch.lock_fd >= 0)
		close(launch.lock_fd);
	if (launch.progress[0] >= 0)
		close(launch.progress[0]);
	if (launch.signal_fd >= 0)
		close(launch.signal_fd);
	synq_buf_done(&launch.line);
	synq_buf_done(&launch.failure);
	site_free(&launch.site);
	return code;
}

/*
 * The phase of the supervisor that runs: 'r'unning, 's'tarting, 'e'nding, or
 * 'n'one.
 */
static char
phase_of(const char *dir)
{
	struct synq_json status;
	struct synq_buf text;
	struct synq_err err;
	char phase = 's';

	synq_buf_init(&text, 1024 * 1024);
	if (control_ask(dir, "status", ASK_LIMIT_MS, &text, &err) != 0) {
		phase = lock_holder(dir) == 0 ? 'n' : 's';
	} else if (synq_json_parse(synq_buf_view(&text), &status, NULL) == 0) {
		struct synq_json name = synq_json_member(status, "phase");

		if (synq_json_is(name, "running"))
			phase = 'r';
		else if (synq_json_is(name, "stopping"))
			phase = 'e';
	}
	synq_buf_done(&text);
	return phase;
}

/* Somebody else was first: -1 when it has ended, else the exit code. */
static int
join(struct cli *cli)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until_us = synq_clock_mono_us() + JOIN_LIMIT_US;
	char told = 'r';

	while (synq_clock_mono_us() < until_us) {
		char phase = phase_of(cli->dir);

		if (phase == 'n')
			return -1;
		if (phase == 'r') {
			cli_tell(cli, "it runs already in %s", cli->dir);
			status_tell_addresses(cli);
			return CLI_OK;
		}
		if (phase != told)
			cli_tell(cli, phase == 's'
					  ? "another synq up is starting it; "
					    "waiting"
					  : "it is being stopped; waiting");
		told = phase;
		nanosleep(&pause, NULL);
	}
	return cli_say(CLI_UNAVAILABLE,
	    "the supervisor (pid %d) neither starts nor ends; end it with: "
	    "synq down",
	    (int)lock_holder(cli->dir));
}

int
up_run(struct cli *cli)
{
	struct place *place = NULL;
	struct synq_err err;
	int code = cli_config(cli);

	if (code != 0)
		return code;
	if (place_new(cli->dir, &place, &err) != 0)
		return cli_fail(&err);
	place_free(&place);
	do {
		int lock_fd = -1;
		int rc = lock_take(cli->dir, &lock_fd, &err);

		if (rc == 0)
			return start_all(cli, lock_fd);
		if (rc != -SYNQ_E_BUSY)
			return cli_fail(&err);
		code = join(cli);
	} while (code == -1);
	return code;
}
