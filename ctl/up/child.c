#include "ctl/up/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/up/task.h"

/*
 * The descriptors of the log are opened by the supervisor, before the child
 * becomes another user, so that logs lie in <dir>/log whoever writes them.
 * The signal at the supervisor's death is asked for after that change, which
 * would take it back.
 */

/* A log that is larger is set aside as NAME.log.1. */
#define MAX_LOG_BYTES (64LL * 1024 * 1024)

void
child_word(struct child_order *order, const char *word)
{
	if (order->argc < CHILD_MAX_ARGS)
		order->argv[order->argc++] = word;
}

void
child_trim_log(const char *path)
{
	struct synq_buf old;
	struct stat status;
	ssize_t bytes = 1;
	int in;
	int out;

	if (stat(path, &status) != 0 || status.st_size <= MAX_LOG_BYTES)
		return;
	synq_buf_init(&old, 8192);
	synq_buf_printf(&old, "%s.1", path);
	in = open(path, O_RDWR | O_CLOEXEC);
	out = open(old.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	while (in >= 0 && out >= 0 && bytes > 0)
		bytes = copy_file_range(in, NULL, out, NULL, 1 << 20, 0);
	/* Writers append, so they go on at the new end. */
	if (in >= 0 && ftruncate(in, 0) != 0)
		unlink(old.data);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	synq_buf_done(&old);
}

static int
open_log(const char *path, struct synq_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		synq_fail(err, SYNQ_E_SYSTEM, "cannot write %s: %s", path,
		    strerror(errno));
	return fd;
}

/* The child's life until it is another program. */
SYNQ_NORETURN static void
become(const struct place *place, const struct child_order *order, int parent,
    int log_fd)
{
	char *argv[CHILD_MAX_ARGS + 1] = { NULL };
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	size_t i;

	if (order->argc == 0)
		_exit(126);
	for (i = 0; i < order->argc; i++)
		argv[i] = synq_mem_text(order->argv[i]);
	dup2(null_fd, STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	umask(077);
	setsid();
	if (order->drops && place_drop(place) != 0) {
		fprintf(
		    stderr, "become %s: %s\n", place->account, strerror(errno));
		_exit(126);
	}
	if (chdir(order->folder) != 0) {
		fprintf(stderr, "cd %s: %s\n", order->folder, strerror(errno));
		_exit(126);
	}
	task_detach(parent, STDERR_FILENO, order->death_signal);
	execv(order->argv[0], argv);
	fprintf(stderr, "%s: %s\n", order->argv[0], strerror(errno));
	_exit(127);
}

int
child_start(const struct place *place, const struct child_order *order,
    struct child *ret, struct synq_err *err)
{
	int parent = getpid();
	int log_fd = open_log(order->log, err);
	sigset_t all;
	sigset_t before;
	pid_t pid;

	if (log_fd < 0)
		return -SYNQ_E_SYSTEM;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become(place, order, parent, log_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(log_fd);
	if (pid < 0)
		return synq_fail(err, SYNQ_E_SYSTEM, "cannot start %s: %s",
		    order->argv[0], strerror(errno));
	ret->pid = pid;
	ret->pidfd = pidfd_open(pid, 0);
	return 0;
}

void
child_signal(const struct child *child, int signum)
{
	if (child->pid > 0 && child->pidfd >= 0)
		pidfd_send_signal(child->pidfd, signum, NULL, 0);
}

void
child_forget(struct child *child)
{
	if (child->pid > 0 && child->pidfd >= 0)
		close(child->pidfd);
	child->pid = 0;
	child->pidfd = -1;
}

int
child_run(const struct place *place, const struct child_order *order,
    struct synq_err *err)
{
	struct child child = { 0 };
	struct synq_buf tail;
	int status = 0;
	int rc = child_start(place, order, &child, err);

	if (rc != 0)
		return rc;
	while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
		continue;
	child_forget(&child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	synq_buf_init(&tail, 4096);
	child_tail(order->log, 1, &tail);
	synq_fail(err, SYNQ_E_SYSTEM, "%s failed (see %s): %s",
	    strrchr(order->argv[0], '/') + 1, order->log,
	    tail.bytes == 0 ? "it said nothing" : tail.data + 4);
	synq_buf_done(&tail);
	return -SYNQ_E_SYSTEM;
}

void
child_tail(const char *path, size_t lines, struct synq_buf *out)
{
	char text[8192];
	char *at;
	FILE *file = fopen(path, "re");
	size_t bytes;
	size_t seen = 0;

	if (file == NULL)
		return;
	if (fseek(file, -(long)sizeof(text), SEEK_END) != 0)
		rewind(file);
	bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	while (bytes > 0 && text[bytes - 1] == '\n')
		bytes--;
	text[bytes] = '\0';
	for (at = text + bytes; at > text; at--) {
		if (at[-1] == '\n' && ++seen == lines)
			break;
	}
	while (*at != '\0') {
		size_t length = strcspn(at, "\n");

		synq_buf_printf(
		    out, "    %.*s\n", (int)(length > 300 ? 300 : length), at);
		at += length + (at[length] == '\n');
	}
}

unsigned long long
child_ticks(pid_t pid)
{
	char path[64];
	char text[1024];
	const char *at;
	FILE *file;
	size_t bytes;
	int field;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[bytes] = '\0';
	/* The second field is a name in brackets that may hold anything. */
	at = strrchr(text, ')');
	/* One that only waits to be reaped does nothing any more. */
	if (at != NULL && (at[2] == 'Z' || at[2] == 'X'))
		return 0;
	for (field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}
