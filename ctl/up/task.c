#include "ctl/up/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop.h"

/*
 * The child writes its struct synq_err into a pipe and exits; the end of the
 * pipe is the end of the task, so that nothing has to wait for the pid, which
 * the supervisor reaps with all others.
 *
 * A task that dies without a word (killed, out of memory) ends with SYSTEM.
 */

struct task {
	struct task_call call;
	struct synq_watch *watch;
	int pipe_fd;
	int pidfd;
	size_t bytes; /* of err, that have come */
	struct synq_err err;
};

void
task_detach(int parent, int keep, int signum)
{
	sigset_t none;
	int i;

	for (i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close_range((unsigned)keep + 1, ~0U, 0);
	prctl(PR_SET_PDEATHSIG, signum);
	/* It may have died before that took effect. */
	if (getppid() != parent)
		_exit(1);
}

static void
task_free(struct task **task_ptr)
{
	struct task *task = *task_ptr;

	synq_watch_free(&task->watch);
	if (task->pipe_fd >= 0)
		close(task->pipe_fd);
	if (task->pidfd >= 0)
		close(task->pidfd);
	synq_mem_free(task);
	*task_ptr = NULL;
}

static void
on_pipe(void *ctx, unsigned events)
{
	struct task *task = ctx;
	struct task_call call = task->call;
	struct synq_err err;
	ssize_t bytes;

	(void)events;
	bytes = read(task->pipe_fd, (char *)&task->err + task->bytes,
	    sizeof(task->err) - task->bytes);
	if (bytes < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (bytes > 0) {
		task->bytes += (size_t)bytes;
		if (task->bytes < sizeof(task->err))
			return;
	}
	err = task->err;
	if (task->bytes < sizeof(task->err))
		synq_fail(&err, SYNQ_E_SYSTEM, "a helper process was killed");
	task_free(&task);
	call.done(call.ctx, -err.code, &err);
}

/* The child's life. */
SYNQ_NORETURN static void
work(const struct task_call *call, int parent, int pipe_fd)
{
	struct synq_err err = { 0 };
	ssize_t bytes;
	int rc;

	if (dup2(pipe_fd, 3) != 3)
		_exit(1);
	task_detach(parent, 3, SIGKILL);
	rc = call->work(call->arg, &err);
	if (rc != 0 && err.code == 0)
		synq_fail(&err, (enum synq_code) - rc, "%s", synq_err_text(rc));
	if (rc == 0)
		err.code = 0;
	bytes = write(3, &err, sizeof(err));
	_exit(bytes != (ssize_t)sizeof(err));
}

int
task_start(struct synq_loop *loop, const struct task_call *call,
    struct task **ret, struct synq_err *err)
{
	struct task *task = synq_mem_new(sizeof(*task));
	int parent = getpid();
	int fds[2] = { -1, -1 };
	sigset_t all;
	sigset_t before;
	pid_t pid;

	task->call = *call;
	task->pidfd = -1;
	task->pipe_fd = -1;
	if (pipe2(fds, O_CLOEXEC) != 0)
		goto fail;
	task->pipe_fd = fds[0];
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0 ||
	    synq_watch_new(loop, fds[0], on_pipe, task, &task->watch) != 0)
		goto fail;

	/* A signal between fork and detach must not run our handlers. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		work(call, parent, fds[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		goto fail;
	task->pidfd = pidfd_open(pid, 0);
	close(fds[1]);
	synq_watch_set(task->watch, SYNQ_READABLE);
	*ret = task;
	return 0;

fail:
	synq_fail(
	    err, SYNQ_E_SYSTEM, "start a helper process: %s", strerror(errno));
	if (fds[1] >= 0)
		close(fds[1]);
	task_free(&task);
	return -SYNQ_E_SYSTEM;
}

void
task_cancel(struct task **task)
{
	if (*task == NULL)
		return;
	if ((*task)->pidfd >= 0)
		pidfd_send_signal((*task)->pidfd, SIGKILL, NULL, 0);
	task_free(task);
}
