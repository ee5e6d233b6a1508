/*
 * One turn of the loop:
 *
 * 1. Timers that are due; then the wait for descriptors, which is cut to
 *    nothing while calls are deferred (an idle handle is active then).
 * 2. Callbacks of descriptors and signals.
 * 3. The deferred calls, in order (the check handle).  Calls that these defer
 *    wait for the next turn, so that a chain of them starves nobody.
 *
 * libuv has no hook between the wait and the first callback.  So each callback
 * of this folder goes through synq_loop_enter, which reads the clock once a
 * turn and notices that the process was away.
 *
 * Failure modes: only making the loop can fail (no epoll descriptor).
 */

#include "loop/loop.h"

#include <assert.h>
#include <string.h>

#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/inner.h"

#define HEARTBEAT_MS 500
#define MIN_GAP_US 1000000
/* Handles that other modules closed need a turn or two to go. */
#define CLOSING_TURNS 64

struct gap_call {
	struct synq_link link;
	synq_loop_fn *fn;
	void *ctx;
	uint64_t limit_us;
};

struct signal_watch {
	uv_signal_t uv;
	struct synq_link link;
	struct synq_loop *loop;
	synq_signal_fn *fn;
	void *ctx;
};

static void
read_clocks(struct synq_turn *turn)
{
	if (turn->fresh)
		return;
	turn->now_us = synq_clock_mono_us();
	turn->wall_us = synq_clock_wall_us();
	turn->fresh = 1;
}

/* A part of the turn is over: the clocks are old, its length counts. */
static void
end_part(struct synq_loop *loop)
{
	uint64_t took_us;

	if (loop->entered) {
		took_us = synq_clock_mono_us() - loop->entered_us;
		if (took_us > loop->longest_us)
			loop->longest_us = took_us;
	}
	loop->entered = 0;
	loop->turn->fresh = 0;
}

void
synq_loop_enter(struct synq_loop *loop)
{
	struct synq_link *link, *after;
	uint64_t before_us = loop->entered_us;

	if (loop->entered)
		return;
	read_clocks(loop->turn);
	loop->entered = 1;
	loop->entered_us = loop->turn->now_us;
	if (before_us == 0)
		return;

	synq_list_foreach (&loop->gaps, link, after) {
		struct gap_call *call =
		    SYNQ_CONTAINER(link, struct gap_call, link);

		if (loop->entered_us - before_us > call->limit_us)
			call->fn(call->ctx);
	}
}

static void
run_deferred(struct synq_loop *loop)
{
	struct synq_defers now = loop->defers;

	if (now.count == 0)
		return;
	loop->defers = loop->running;
	loop->defers.count = 0;
	synq_loop_enter(loop);

	for (size_t i = 0; i < now.count; i++)
		now.calls[i].fn(now.calls[i].ctx);

	now.count = 0;
	loop->running = now;
	if (loop->defers.count == 0)
		uv_idle_stop(&loop->idle);
}

static void
on_prepare(uv_prepare_t *handle)
{
	end_part(handle->data);
}

static void
on_check(uv_check_t *handle)
{
	struct synq_loop *loop = handle->data;

	run_deferred(loop);
	end_part(loop);
}

static void
on_idle(SYNQ_UNUSED uv_idle_t *handle)
{
	/* Being active is its whole effect: the wait is cut to nothing. */
}

static void
on_heartbeat(uv_timer_t *handle)
{
	synq_loop_enter(handle->data);
}

static void
on_turn_end(uv_timer_t *handle)
{
	/* A thread that was held up meets this before it has begun to wait. */
	uv_stop(handle->loop);
}

int
synq_loop_new(struct synq_loop **ret, struct synq_err *err)
{
	struct synq_loop *loop = synq_mem_new(sizeof(*loop));
	int rc;

	rc = uv_loop_init(&loop->uv);
	if (rc != 0) {
		synq_mem_free(loop);
		return synq_fail(
		    err, SYNQ_E_SYSTEM, "event loop: %s", uv_strerror(rc));
	}

	loop->turn = synq_mem_new(sizeof(*loop->turn));
	synq_list_init(&loop->signals);
	synq_list_init(&loop->gaps);
	uv_prepare_init(&loop->uv, &loop->prepare);
	uv_check_init(&loop->uv, &loop->check);
	uv_idle_init(&loop->uv, &loop->idle);
	uv_timer_init(&loop->uv, &loop->heartbeat);
	uv_timer_init(&loop->uv, &loop->turn_end);
	loop->prepare.data = loop;
	loop->check.data = loop;
	loop->heartbeat.data = loop;
	uv_prepare_start(&loop->prepare, on_prepare);
	uv_check_start(&loop->check, on_check);
	*ret = loop;
	return 0;
}

static void
on_signal_closed(uv_handle_t *handle)
{
	synq_mem_free(handle->data);
}

static void
close_handles(struct synq_loop *loop)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&loop->signals)) != NULL) {
		struct signal_watch *watch =
		    SYNQ_CONTAINER(link, struct signal_watch, link);

		uv_close((uv_handle_t *)&watch->uv, on_signal_closed);
	}
	while ((link = synq_list_shift(&loop->gaps)) != NULL)
		synq_mem_free(SYNQ_CONTAINER(link, struct gap_call, link));

	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
	uv_close((uv_handle_t *)&loop->idle, NULL);
	uv_close((uv_handle_t *)&loop->heartbeat, NULL);
	uv_close((uv_handle_t *)&loop->turn_end, NULL);
}

void
synq_loop_free(struct synq_loop **loop_ptr)
{
	struct synq_loop *loop = *loop_ptr;
	int busy;

	if (loop == NULL)
		return;
	while (loop->defers.count > 0)
		run_deferred(loop);
	close_handles(loop);
	for (int i = 0; i < CLOSING_TURNS && uv_loop_alive(&loop->uv); i++)
		uv_run(&loop->uv, UV_RUN_NOWAIT);

	busy = uv_loop_close(&loop->uv);
	assert(busy == 0);
	(void)busy;
	synq_mem_free(loop->defers.calls);
	synq_mem_free(loop->running.calls);
	synq_mem_free(loop->turn);
	synq_mem_free(loop);
	*loop_ptr = NULL;
}

void
synq_loop_run(struct synq_loop *loop)
{
	loop->entered_us = 0;
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void
synq_loop_turn(struct synq_loop *loop, uint32_t limit_ms)
{
	loop->turn->fresh = 0;
	if (limit_ms == 0) {
		uv_run(&loop->uv, UV_RUN_NOWAIT);
	} else {
		uv_update_time(&loop->uv);
		uv_timer_start(&loop->turn_end, on_turn_end, limit_ms, 0);
		uv_run(&loop->uv, UV_RUN_ONCE);
		uv_timer_stop(&loop->turn_end);
	}
	/* Timers that ended the wait may have deferred calls. */
	run_deferred(loop);
	end_part(loop);
}

void
synq_loop_stop(struct synq_loop *loop)
{
	uv_stop(&loop->uv);
}

struct uv_loop_s *
synq_loop_uv(struct synq_loop *loop)
{
	return &loop->uv;
}

uint64_t
synq_loop_now_us(const struct synq_loop *loop)
{
	read_clocks(loop->turn);
	return loop->turn->now_us;
}

int64_t
synq_loop_wall_us(const struct synq_loop *loop)
{
	read_clocks(loop->turn);
	return loop->turn->wall_us;
}

void
synq_loop_defer(struct synq_loop *loop, synq_loop_fn *fn, void *ctx)
{
	struct synq_defers *list = &loop->defers;

	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->calls = synq_mem_resize(
		    list->calls, list->room * sizeof(*list->calls));
	}
	list->calls[list->count++] = (struct synq_defer){ fn, ctx };
	if (list->count == 1)
		uv_idle_start(&loop->idle, on_idle);
}

void
synq_loop_on_gap(
    struct synq_loop *loop, uint64_t limit_us, synq_loop_fn *fn, void *ctx)
{
	struct gap_call *call = synq_mem_new(sizeof(*call));

	call->fn = fn;
	call->ctx = ctx;
	call->limit_us = limit_us < MIN_GAP_US ? MIN_GAP_US : limit_us;
	synq_list_push(&loop->gaps, &call->link);
	uv_timer_start(
	    &loop->heartbeat, on_heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
}

void
synq_loop_off_gap(struct synq_loop *loop, synq_loop_fn *fn, void *ctx)
{
	struct synq_link *link, *after;

	synq_list_foreach (&loop->gaps, link, after) {
		struct gap_call *call =
		    SYNQ_CONTAINER(link, struct gap_call, link);

		if (call->fn != fn || call->ctx != ctx)
			continue;
		synq_list_remove(&loop->gaps, link);
		synq_mem_free(call);
	}
	if (loop->gaps.count == 0)
		uv_timer_stop(&loop->heartbeat);
}

uint64_t
synq_loop_longest_us(struct synq_loop *loop)
{
	uint64_t longest_us = loop->longest_us;

	loop->longest_us = 0;
	return longest_us;
}

static void
on_signal(uv_signal_t *handle, int signum)
{
	struct signal_watch *watch = handle->data;

	synq_loop_enter(watch->loop);
	watch->fn(watch->ctx, signum);
}

int
synq_loop_on_signal(struct synq_loop *loop, int signum, synq_signal_fn *fn,
    void *ctx, struct synq_err *err)
{
	struct signal_watch *watch = synq_mem_new(sizeof(*watch));
	int rc;

	watch->loop = loop;
	watch->fn = fn;
	watch->ctx = ctx;
	rc = uv_signal_init(&loop->uv, &watch->uv);
	if (rc != 0) {
		synq_mem_free(watch);
		goto fail;
	}
	watch->uv.data = watch;
	rc = uv_signal_start(&watch->uv, on_signal, signum);
	if (rc != 0) {
		uv_close((uv_handle_t *)&watch->uv, on_signal_closed);
		goto fail;
	}
	/* Waiting for a signal is no reason to go on. */
	uv_unref((uv_handle_t *)&watch->uv);
	synq_list_push(&loop->signals, &watch->link);
	return 0;

fail:
	return synq_fail(
	    err, SYNQ_E_SYSTEM, "signal %d: %s", signum, uv_strerror(rc));
}
