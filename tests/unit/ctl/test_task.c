#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/up/child.h"
#include "ctl/up/task.h"
#include "loop/loop.h"

/*
 * Work in a child process, and what comes back from it.
 */

struct fixture {
	struct synq_loop *loop;
	struct task *task;
	int ends;
	int rc;
	struct synq_err err;
};

static int
set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	assert_int_equal(synq_loop_new(&fixture->loop, NULL), 0);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;

	task_cancel(&fixture->task);
	synq_loop_free(&fixture->loop);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
	test_free(fixture);
	return 0;
}

static void
on_done(void *ctx, int rc, const struct synq_err *err)
{
	struct fixture *fixture = ctx;

	fixture->task = NULL;
	fixture->ends++;
	fixture->rc = rc;
	fixture->err = *err;
}

static int
succeed(void *arg, struct synq_err *err)
{
	(void)arg;
	(void)err;
	return 0;
}

static int
refuse(void *arg, struct synq_err *err)
{
	return synq_fail(err, SYNQ_E_CONFLICT, "no: %s", (const char *)arg);
}

static int
die(void *arg, struct synq_err *err)
{
	(void)arg;
	(void)err;
	kill(getpid(), SIGKILL);
	return 0;
}

static int
hang(void *arg, struct synq_err *err)
{
	(void)arg;
	(void)err;
	pause();
	return 0;
}

static void
run(struct fixture *fixture, task_work_fn *work, uint32_t turns)
{
	static char text[] = "because";
	const struct task_call call = {
		.work = work, .arg = text, .done = on_done, .ctx = fixture
	};

	assert_int_equal(
	    task_start(fixture->loop, &call, &fixture->task, NULL), 0);
	while (turns-- > 0 && fixture->ends == 0)
		synq_loop_turn(fixture->loop, 100);
}

static void
test_task_that_succeeds_ends_with_0(void **state)
{
	struct fixture *fixture = *state;

	run(fixture, succeed, 100);

	assert_int_equal(fixture->ends, 1);
	assert_int_equal(fixture->rc, 0);
}

static void
test_task_sends_back_what_went_wrong(void **state)
{
	struct fixture *fixture = *state;

	run(fixture, refuse, 100);

	assert_int_equal(fixture->ends, 1);
	assert_int_equal(fixture->rc, -SYNQ_E_CONFLICT);
	assert_string_equal(fixture->err.text, "no: because");
}

static void
test_task_that_is_killed_is_a_failure(void **state)
{
	struct fixture *fixture = *state;

	run(fixture, die, 100);

	assert_int_equal(fixture->ends, 1);
	assert_int_equal(fixture->rc, -SYNQ_E_SYSTEM);
}

static void
test_task_that_is_cancelled_never_ends(void **state)
{
	struct fixture *fixture = *state;
	int status;
	int own = pidfd_open(getpid(), 0);

	/* A kernel, or valgrind in its place, that does not know them. */
	if (own < 0)
		skip();
	close(own);
	while (waitpid(-1, &status, 0) > 0)
		continue; /* children of the tests before, which end alone */
	run(fixture, hang, 2);
	task_cancel(&fixture->task);
	assert_true(waitpid(-1, &status, 0) > 0);
	synq_loop_turn(fixture->loop, 50);

	assert_true(WIFSIGNALED(status));
	assert_null(fixture->task);
	assert_int_equal(fixture->ends, 0);
}

static void
test_child_ticks_tell_processes_apart(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_true(child_ticks(pid) >= child_ticks(getpid()));
	assert_true(child_ticks(getpid()) > 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);

	assert_int_equal(child_ticks(pid), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_task_that_succeeds_ends_with_0),
		CASE(test_task_sends_back_what_went_wrong),
		CASE(test_task_that_is_killed_is_a_failure),
		CASE(test_task_that_is_cancelled_never_ends),
		CASE(test_child_ticks_tell_processes_apart),
	};

	return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
