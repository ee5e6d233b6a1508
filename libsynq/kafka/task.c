/*
 * Calls that block, each on a thread of its own: start, the thread runs the
 * call, marks itself finished and wakes the loop; the owner then ends it.
 *
 * Failure modes: a call that never returns (rd_kafka_destroy may hang) is left
 * alone; its thread and memory go when it does, or with the process.  It has a
 * descriptor of its own for the wake-up, so that the owner may free the
 * original.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "kafka/inner.h"
#include "loop/loop.h"

/* The thread at its end, or the owner who leaves it: who is second frees. */
enum { TASK_BOTH, TASK_ALONE };

struct synq_kafka_task {
	pthread_t thread;
	atomic_int who;
	atomic_int has_run; /* before the wake-up: the owner may look at once */
	void (*run)(void *ctx);
	void *ctx;
	int wake_fd; /* -1 = none */
};

static void *
thread_main(void *ctx)
{
	struct synq_kafka_task *task = ctx;
	const uint64_t one = 1;
	ssize_t written = 0;

	task->run(task->ctx);
	atomic_store(&task->has_run, 1);
	if (task->wake_fd >= 0) {
		written = write(task->wake_fd, &one, sizeof(one));
		close(task->wake_fd);
	}
	(void)written;
	if (atomic_exchange(&task->who, TASK_ALONE) == TASK_ALONE)
		synq_mem_free(task);
	return NULL;
}

struct synq_kafka_task *
synq_kafka_task_start(
    const struct synq_wake *wake, void (*run)(void *ctx), void *ctx)
{
	struct synq_kafka_task *task = synq_mem_new(sizeof(*task));

	task->run = run;
	task->ctx = ctx;
	task->wake_fd = wake ? dup(synq_wake_fd(wake)) : -1;
	/* No thread is no memory for one: the same end as out of memory. */
	if (pthread_create(&task->thread, NULL, thread_main, task) != 0)
		_exit(SYNQ_EXIT_NO_MEMORY);
	return task;
}

int
synq_kafka_task_end(struct synq_kafka_task **task, uint32_t limit_ms)
{
	struct timespec until;

	if (*task == NULL)
		return 1;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += limit_ms / 1000;
	until.tv_nsec += (long)(limit_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (atomic_load(&(*task)->has_run))
		(void)pthread_join((*task)->thread, NULL); /* a moment */
	else if (limit_ms == 0 ||
		 pthread_timedjoin_np((*task)->thread, NULL, &until) != 0)
		return 0;
	synq_mem_free(*task);
	*task = NULL;
	return 1;
}

void
synq_kafka_task_leave(struct synq_kafka_task **task)
{
	if (*task == NULL)
		return;
	pthread_detach((*task)->thread);
	if (atomic_exchange(&(*task)->who, TASK_ALONE) == TASK_ALONE)
		synq_mem_free(*task);
	*task = NULL;
}
