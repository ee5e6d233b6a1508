#include "ctl/up/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/up/child.h"
#include "ctl/up/file.h"
#include "ctl/up/place.h"

#define MAX_FILE_BYTES (64 * 1024)
#define REMAINS_LIMIT_US 20000000ULL
#define PAUSE_NS 50000000L

int
lock_take(const char *dir, int *ret_fd, struct synq_err *err)
{
	char *path = place_path(dir, "run/lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd < 0)
		rc = synq_fail(err,
		    errno == ENOENT ? SYNQ_E_NOT_FOUND : SYNQ_E_SYSTEM,
		    "cannot open %s: %s", path, strerror(errno));
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		rc = synq_fail(err,
		    errno == EWOULDBLOCK ? SYNQ_E_BUSY : SYNQ_E_SYSTEM,
		    "cannot lock %s: %s", path, strerror(errno));
	if (rc == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	synq_mem_free(path);
	return rc;
}

int
lock_sign(int fd, pid_t pid, struct synq_err *err)
{
	char text[32];
	int bytes = snprintf(text, sizeof(text), "%d\n", (int)pid);

	if (ftruncate(fd, 0) == 0 &&
	    pwrite(fd, text, (size_t)bytes, 0) == bytes)
		return 0;
	return synq_fail(
	    err, SYNQ_E_SYSTEM, "cannot write run/lock: %s", strerror(errno));
}

pid_t
lock_holder(const char *dir)
{
	char *path = place_path(dir, "run/lock");
	char text[32] = "";
	int fd = open(path, O_RDWR | O_CLOEXEC);
	pid_t pid = 0;

	synq_mem_free(path);
	if (fd < 0)
		return 0;
	if (flock(fd, LOCK_SH | LOCK_NB) != 0 &&
	    pread(fd, text, sizeof(text) - 1, 0) > 0)
		pid = (pid_t)strtol(text, NULL, 10);
	close(fd);
	return pid;
}

/* Wait for the end of ${pid}, which started at ${ticks}; kill it if it takes
 * too long. */
static void
outlive(pid_t pid, unsigned long long ticks)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until_us = synq_clock_mono_us() + REMAINS_LIMIT_US;
	int pidfd = pidfd_open(pid, 0);
	int killed = 0;

	/* The number may have passed to another until the line above. */
	if (pidfd < 0 || child_ticks(pid) != ticks)
		goto out;
	pidfd_send_signal(pidfd, SIGTERM, NULL, 0);
	while (child_ticks(pid) == ticks) {
		if (!killed && synq_clock_mono_us() > until_us) {
			pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
			killed = 1;
		}
		nanosleep(&pause, NULL);
	}

out:
	if (pidfd >= 0)
		close(pidfd);
}

void
lock_end_remains(const char *dir, struct synq_buf *out)
{
	char *path = place_path(dir, "run/children.json");
	struct synq_json_cursor cursor;
	struct synq_json list;
	struct synq_json one;
	struct synq_buf text;
	struct synq_err err;

	synq_buf_init(&text, MAX_FILE_BYTES);
	if (file_read_json(path, &text, &list, &err) == 0) {
		cursor = synq_json_walk(list);
		while (synq_json_next(&cursor, NULL, &one)) {
			struct synq_slice name = synq_slice_text("?");
			int64_t pid = 0;
			int64_t ticks = 0;

			if (synq_json_int(synq_json_member(one, "pid"), &pid) !=
				0 ||
			    synq_json_int(
				synq_json_member(one, "ticks"), &ticks) != 0)
				continue;
			if (pid < 2 || ticks <= 0 ||
			    child_ticks((pid_t)pid) !=
				(unsigned long long)ticks)
				continue;
			if (synq_json_plain(
				synq_json_member(one, "name"), &name) != 0)
				continue;
			synq_buf_printf(out, "%s%.*s (pid %lld)",
			    out->bytes == 0 ? "" : ", ", (int)name.bytes,
			    name.data, (long long)pid);
			outlive((pid_t)pid, (unsigned long long)ticks);
		}
	}
	synq_buf_done(&text);
	synq_mem_free(path);
}

void
lock_end_children(void)
{
	char path[64];
	char text[4096];
	FILE *file;
	size_t bytes;
	char *at;
	char *end;
	int tries;

	/* Killed parents leave their children to us: look again. */
	for (tries = 0; tries < 100; tries++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/children",
		    (int)getpid());
		file = fopen(path, "re");
		if (file == NULL)
			return;
		bytes = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
		text[bytes] = '\0';
		if (bytes == 0)
			return;
		for (at = text;; at = end) {
			long pid = strtol(at, &end, 10);

			if (end == at || pid < 2)
				break;
			kill((pid_t)pid, SIGKILL);
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000L }, NULL);
	}
}
