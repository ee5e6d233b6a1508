/*
 * Descriptors to watch, and wake-ups from other threads, which are watched
 * eventfds.
 *
 * When a descriptor has an error, libuv stops watching it and says so.  Here
 * that is reported as the events that were asked for, so that the owner's
 * read or write finds the error; the watch goes on if it is still wanted.
 */

#include <assert.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/inner.h"

struct synq_watch {
	uv_poll_t uv;
	struct synq_loop *loop;
	synq_watch_fn *fn;
	void *ctx;
	unsigned events; /* what is watched for */
	int closing;
};

struct synq_wake {
	struct synq_watch *watch;
	int fd;
	synq_loop_fn *fn;
	void *ctx;
};

static void
on_closed(uv_handle_t *handle)
{
	synq_mem_free(handle->data);
}

static void
on_poll(uv_poll_t *handle, int status, int events)
{
	struct synq_watch *watch = handle->data;
	unsigned seen = 0;

	if (status < 0)
		seen = watch->events;
	if (events & UV_READABLE)
		seen |= SYNQ_READABLE;
	if (events & UV_WRITABLE)
		seen |= SYNQ_WRITABLE;
	synq_loop_enter(watch->loop);
	seen &= watch->events;
	if (seen != 0 && !watch->closing)
		watch->fn(watch->ctx, seen);
	if (status < 0 && !watch->closing)
		synq_watch_set(watch, watch->events);
}

int
synq_watch_new(struct synq_loop *loop, int fd, synq_watch_fn *fn, void *ctx,
    struct synq_watch **ret)
{
	struct synq_watch *watch = synq_mem_new(sizeof(*watch));

	if (uv_poll_init(&loop->uv, &watch->uv, fd) != 0) {
		synq_mem_free(watch);
		return -SYNQ_E_SYSTEM;
	}
	watch->uv.data = watch;
	watch->loop = loop;
	watch->fn = fn;
	watch->ctx = ctx;
	*ret = watch;
	return 0;
}

void
synq_watch_set(struct synq_watch *watch, unsigned events)
{
	int wanted = 0;
	int rc;

	if (events & SYNQ_READABLE)
		wanted |= UV_READABLE;
	if (events & SYNQ_WRITABLE)
		wanted |= UV_WRITABLE;
	watch->events = events;
	if (wanted == 0) {
		uv_poll_stop(&watch->uv);
		return;
	}
	rc = uv_poll_start(&watch->uv, wanted, on_poll);
	assert(rc == 0);
	(void)rc;
}

void
synq_watch_free(struct synq_watch **watch)
{
	if (*watch == NULL)
		return;
	(*watch)->closing = 1;
	uv_close((uv_handle_t *)&(*watch)->uv, on_closed);
	*watch = NULL;
}

static void
on_wake(void *ctx, SYNQ_UNUSED unsigned events)
{
	struct synq_wake *wake = ctx;
	uint64_t count;

	if (read(wake->fd, &count, sizeof(count)) == sizeof(count))
		wake->fn(wake->ctx);
}

struct synq_wake *
synq_wake_new(struct synq_loop *loop, synq_loop_fn *fn, void *ctx)
{
	struct synq_wake *wake = synq_mem_new(sizeof(*wake));

	wake->fn = fn;
	wake->ctx = ctx;
	wake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wake->fd < 0 ||
	    synq_watch_new(loop, wake->fd, on_wake, wake, &wake->watch) != 0) {
		synq_wake_free(&wake);
		return NULL;
	}
	synq_watch_set(wake->watch, SYNQ_READABLE);
	return wake;
}

void
synq_wake_send(struct synq_wake *wake)
{
	const uint64_t one = 1;
	ssize_t written;

	/* It fails only when the counter is full: then the wake-up is due. */
	written = write(wake->fd, &one, sizeof(one));
	(void)written;
}

int
synq_wake_fd(const struct synq_wake *wake)
{
	return wake->fd;
}

void
synq_wake_free(struct synq_wake **wake)
{
	if (*wake == NULL)
		return;
	synq_watch_free(&(*wake)->watch);
	if ((*wake)->fd >= 0)
		close((*wake)->fd);
	synq_mem_free(*wake);
	*wake = NULL;
}
