/*
 * Timers.  libuv counts in whole milliseconds from a clock that it reads once
 * a turn; a due time is therefore computed from our own clock and rounded up,
 * so that a timer never fires before its time.
 *
 * Freeing stops at once; the memory goes when libuv has let the handle go.
 */

#include "base/mem.h"
#include "loop/inner.h"

struct synq_timer {
	uv_timer_t uv;
	struct synq_loop *loop;
	synq_loop_fn *fn;
	void *ctx;
};

static void
on_timer(uv_timer_t *handle)
{
	struct synq_timer *timer = handle->data;

	synq_loop_enter(timer->loop);
	timer->fn(timer->ctx);
}

struct synq_timer *
synq_timer_new(struct synq_loop *loop, synq_loop_fn *fn, void *ctx)
{
	struct synq_timer *timer = synq_mem_new(sizeof(*timer));

	uv_timer_init(&loop->uv, &timer->uv);
	timer->uv.data = timer;
	timer->loop = loop;
	timer->fn = fn;
	timer->ctx = ctx;
	return timer;
}

/* How long libuv must wait so that ${delay_us} have passed, at least 1 ms. */
static uint64_t
wait_ms(const struct synq_timer *timer, uint64_t delay_us)
{
	uint64_t now_ms = uv_now(&timer->loop->uv);
	uint64_t now_us = synq_loop_now_us(timer->loop);
	uint64_t due_ms;

	if (delay_us > UINT64_MAX - now_us - 999)
		delay_us = UINT64_MAX - now_us - 999;
	due_ms = (now_us + delay_us + 999) / 1000;
	return due_ms > now_ms ? due_ms - now_ms : 1;
}

void
synq_timer_start(struct synq_timer *timer, uint64_t delay_us)
{
	uv_timer_start(&timer->uv, on_timer, wait_ms(timer, delay_us), 0);
}

void
synq_timer_repeat(struct synq_timer *timer, uint64_t period_us)
{
	uint64_t period_ms = (period_us + 999) / 1000;

	if (period_ms == 0)
		period_ms = 1;
	uv_timer_start(
	    &timer->uv, on_timer, wait_ms(timer, period_us), period_ms);
}

void
synq_timer_stop(struct synq_timer *timer)
{
	if (timer != NULL)
		uv_timer_stop(&timer->uv);
}

int
synq_timer_active(const struct synq_timer *timer)
{
	return uv_is_active((const uv_handle_t *)&timer->uv) != 0;
}

static void
on_closed(uv_handle_t *handle)
{
	synq_mem_free(handle->data);
}

void
synq_timer_free(struct synq_timer **timer)
{
	if (*timer == NULL)
		return;
	uv_close((uv_handle_t *)&(*timer)->uv, on_closed);
	*timer = NULL;
}
