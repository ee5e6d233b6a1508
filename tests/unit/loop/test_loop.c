/*
 * The loop: order, time, and that nothing runs after it was taken back.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"

struct trace {
	struct synq_loop *loop;
	struct synq_timer *timer;
	struct synq_watch *watch;
	char text[64];
	size_t length;
	unsigned events;
	uint64_t at_us;
	int count;
};

static void
note(struct trace *trace, char c)
{
	assert_true(trace->length + 1 < sizeof(trace->text));
	trace->text[trace->length++] = c;
}

static int
set_up(void **state)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	assert_non_null(trace);
	assert_int_equal(synq_loop_new(&trace->loop, NULL), 0);
	*state = trace;
	return 0;
}

static int
tear_down(void **state)
{
	struct trace *trace = *state;

	synq_timer_free(&trace->timer);
	synq_watch_free(&trace->watch);
	synq_loop_free(&trace->loop);
	assert_null(trace->loop);
	free(trace);
	return 0;
}

static void
on_timer(void *ctx)
{
	struct trace *trace = ctx;

	trace->count++;
	trace->at_us = synq_loop_now_us(trace->loop);
	note(trace, 't');
}

static void
turns(struct trace *trace, uint32_t time_ms)
{
	uint64_t until_us = synq_clock_mono_us() + time_ms * 1000ULL;

	while (synq_clock_mono_us() < until_us)
		synq_loop_turn(trace->loop, 2);
}

static void
test_timer_never_fires_early(void **state)
{
	struct trace *trace = *state;

	trace->timer = synq_timer_new(trace->loop, on_timer, trace);
	assert_false(synq_timer_active(trace->timer));
	for (uint64_t delay_us = 1; delay_us < 8000; delay_us += 777) {
		uint64_t began_us = synq_clock_mono_us();

		trace->count = 0;
		trace->length = 0;
		synq_loop_turn(trace->loop, 0);
		synq_timer_start(trace->timer, delay_us);
		assert_true(synq_timer_active(trace->timer));
		assert_int_equal(trace->count, 0);
		while (trace->count == 0)
			synq_loop_turn(trace->loop, 50);
		assert_true(synq_clock_mono_us() >= began_us + delay_us);
		assert_false(synq_timer_active(trace->timer));
	}
}

static void
test_timer_fires_once_and_repeats_when_asked(void **state)
{
	struct trace *trace = *state;

	trace->timer = synq_timer_new(trace->loop, on_timer, trace);
	synq_timer_start(trace->timer, 1000);
	while (trace->count == 0)
		synq_loop_turn(trace->loop, 50);
	turns(trace, 15);
	assert_int_equal(trace->count, 1);

	synq_timer_repeat(trace->timer, 1000);
	while (trace->count < 4)
		synq_loop_turn(trace->loop, 50);
	assert_true(synq_timer_active(trace->timer));
}

static void
test_stopped_timer_is_silent(void **state)
{
	struct trace *trace = *state;

	trace->timer = synq_timer_new(trace->loop, on_timer, trace);
	synq_timer_start(trace->timer, 1000);
	synq_timer_stop(trace->timer);
	synq_timer_stop(NULL);
	turns(trace, 10);
	assert_int_equal(trace->count, 0);

	synq_timer_start(trace->timer, 1000);
	synq_timer_free(&trace->timer);
	assert_null(trace->timer);
	synq_timer_free(&trace->timer);
	turns(trace, 10);
	assert_int_equal(trace->count, 0);
}

static void
test_longest_delay_does_not_overflow(void **state)
{
	struct trace *trace = *state;

	trace->timer = synq_timer_new(trace->loop, on_timer, trace);
	synq_timer_start(trace->timer, UINT64_MAX);
	turns(trace, 5);
	assert_int_equal(trace->count, 0);
	assert_true(synq_timer_active(trace->timer));
}

static void
on_free_timer(void *ctx)
{
	struct trace *trace = ctx;

	trace->count++;
	synq_timer_free(&trace->timer);
}

static void
test_timer_may_free_itself(void **state)
{
	struct trace *trace = *state;

	trace->timer = synq_timer_new(trace->loop, on_free_timer, trace);
	synq_timer_repeat(trace->timer, 1000);
	turns(trace, 10);
	assert_int_equal(trace->count, 1);
}

static void
on_first(void *ctx)
{
	note(ctx, 'a');
}

static void
on_again(void *ctx)
{
	struct trace *trace = ctx;

	note(trace, 'b');
	synq_loop_defer(trace->loop, on_first, trace);
}

static void
test_deferred_calls_run_in_order_at_the_end(void **state)
{
	struct trace *trace = *state;

	synq_loop_defer(trace->loop, on_first, trace);
	synq_loop_defer(trace->loop, on_again, trace);
	synq_loop_defer(trace->loop, on_first, trace);
	assert_int_equal(trace->length, 0);
	synq_loop_turn(trace->loop, 1000);
	assert_memory_equal(trace->text, "aba", 3);
	synq_loop_turn(trace->loop, 1000);
	assert_string_equal(trace->text, "abaa");
}

/* A wait of a second would show. */
static void
test_deferred_call_does_not_wait(void **state)
{
	struct trace *trace = *state;
	uint64_t began_us = synq_clock_mono_us();

	for (int i = 0; i < 5; i++) {
		synq_loop_defer(trace->loop, on_first, trace);
		synq_loop_turn(trace->loop, 1000);
	}
	assert_true(synq_clock_mono_us() - began_us < 900000);
	assert_int_equal(trace->length, 5);
}

static void
test_many_calls_are_deferred(void **state)
{
	struct trace *trace = *state;

	trace->timer = synq_timer_new(trace->loop, on_timer, trace);
	for (int i = 0; i < 1000; i++)
		synq_loop_defer(trace->loop, on_free_timer, trace);
	synq_loop_turn(trace->loop, 0);
	assert_int_equal(trace->count, 1000);
}

static void
on_events(void *ctx, unsigned events)
{
	struct trace *trace = ctx;

	trace->events |= events;
	trace->count++;
}

static void
test_watch_tells_what_it_was_asked(void **state)
{
	struct trace *trace = *state;
	int ends[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(synq_watch_new(trace->loop, ends[0], on_events, trace,
			     &trace->watch),
	    0);
	turns(trace, 5);
	assert_int_equal(trace->count, 0);

	synq_watch_set(trace->watch, SYNQ_READABLE);
	turns(trace, 5);
	assert_int_equal(trace->count, 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	synq_loop_turn(trace->loop, 1000);
	assert_int_equal(trace->events, SYNQ_READABLE);

	trace->events = 0;
	synq_watch_set(trace->watch, SYNQ_WRITABLE);
	synq_loop_turn(trace->loop, 1000);
	assert_int_equal(trace->events, SYNQ_WRITABLE);

	synq_watch_set(trace->watch, 0);
	trace->count = 0;
	turns(trace, 5);
	assert_int_equal(trace->count, 0);
	synq_watch_free(&trace->watch);
	close(ends[0]);
	close(ends[1]);
}

static void
test_watch_tells_of_a_closed_peer(void **state)
{
	struct trace *trace = *state;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(synq_watch_new(trace->loop, ends[1], on_events, trace,
			     &trace->watch),
	    0);
	close(ends[0]);
	synq_watch_set(trace->watch, SYNQ_WRITABLE);
	synq_loop_turn(trace->loop, 1000);
	assert_int_equal(trace->events, SYNQ_WRITABLE);
	/* It is still watched for. */
	trace->events = 0;
	synq_loop_turn(trace->loop, 1000);
	assert_int_equal(trace->events, SYNQ_WRITABLE);
	synq_watch_free(&trace->watch);
	close(ends[1]);
}

static void
test_watch_refuses_a_bad_descriptor(void **state)
{
	struct trace *trace = *state;

	assert_int_equal(
	    synq_watch_new(trace->loop, 9999, on_events, trace, &trace->watch),
	    -SYNQ_E_SYSTEM);
	assert_null(trace->watch);
}

static void *
send_from_thread(void *ctx)
{
	for (int i = 0; i < 100; i++)
		synq_wake_send(ctx);
	return NULL;
}

static void
test_wake_comes_from_another_thread(void **state)
{
	struct trace *trace = *state;
	struct synq_wake *wake = synq_wake_new(trace->loop, on_timer, trace);
	const uint64_t one = 1;
	pthread_t thread;

	assert_non_null(wake);
	turns(trace, 5);
	assert_int_equal(trace->count, 0);
	assert_int_equal(
	    pthread_create(&thread, NULL, send_from_thread, wake), 0);
	pthread_join(thread, NULL);
	synq_loop_turn(trace->loop, 1000);
	assert_int_equal(trace->count, 1);

	assert_int_equal(
	    write(synq_wake_fd(wake), &one, sizeof(one)), sizeof(one));
	synq_loop_turn(trace->loop, 1000);
	assert_int_equal(trace->count, 2);
	synq_wake_send(wake);
	synq_wake_free(&wake);
	synq_wake_free(&wake);
	turns(trace, 5);
	assert_int_equal(trace->count, 2);
}

static void
on_signal(void *ctx, int signum)
{
	struct trace *trace = ctx;

	trace->count = signum;
	synq_loop_stop(trace->loop);
}

static void
test_signal_ends_the_run(void **state)
{
	struct trace *trace = *state;

	assert_int_equal(
	    synq_loop_on_signal(trace->loop, SIGUSR1, on_signal, trace, NULL),
	    0);
	assert_int_equal(raise(SIGUSR1), 0);
	synq_loop_run(trace->loop);
	assert_int_equal(trace->count, SIGUSR1);
	assert_int_equal(
	    synq_loop_on_signal(trace->loop, 9999, on_signal, trace, NULL),
	    -SYNQ_E_SYSTEM);
}

static void
on_stop(void *ctx)
{
	struct trace *trace = ctx;

	synq_loop_stop(trace->loop);
}

static void
test_run_returns_when_stopped_and_runs_again(void **state)
{
	struct trace *trace = *state;

	for (int i = 0; i < 2; i++) {
		synq_loop_defer(trace->loop, on_stop, trace);
		synq_loop_run(trace->loop);
	}
}

static void
test_time_stands_still_in_a_turn(void **state)
{
	struct trace *trace = *state;
	struct timespec pause = { .tv_nsec = 3000000 };
	uint64_t first_us = synq_loop_now_us(trace->loop);
	int64_t wall_us = synq_loop_wall_us(trace->loop);

	nanosleep(&pause, NULL);
	assert_int_equal(synq_loop_now_us(trace->loop), first_us);
	assert_int_equal(synq_loop_wall_us(trace->loop), wall_us);
	synq_loop_turn(trace->loop, 0);
	assert_true(synq_loop_now_us(trace->loop) >= first_us + 3000);
	assert_true(synq_loop_wall_us(trace->loop) > wall_us);
}

static void
on_gap(void *ctx)
{
	note(ctx, 'g');
}

static void
test_gap_is_told_before_anything_else(void **state)
{
	struct trace *trace = *state;
	struct timespec away = { .tv_sec = 1, .tv_nsec = 200000000 };

	trace->timer = synq_timer_new(trace->loop, on_timer, trace);
	synq_loop_on_gap(trace->loop, 1, on_gap, trace);
	synq_timer_start(trace->timer, 1000);
	while (trace->count == 0)
		synq_loop_turn(trace->loop, 10);
	assert_string_equal(trace->text, "t");

	synq_timer_start(trace->timer, 1000);
	nanosleep(&away, NULL);
	synq_loop_turn(trace->loop, 10);
	assert_string_equal(trace->text, "tgt");

	synq_loop_off_gap(trace->loop, on_gap, trace);
	synq_timer_start(trace->timer, 1000);
	nanosleep(&away, NULL);
	synq_loop_turn(trace->loop, 10);
	assert_string_equal(trace->text, "tgtt");
}

static void
on_slow(SYNQ_UNUSED void *ctx)
{
	struct timespec pause = { .tv_nsec = 20000000 };

	nanosleep(&pause, NULL);
}

static void
test_longest_turn_is_kept(void **state)
{
	struct trace *trace = *state;

	synq_loop_defer(trace->loop, on_slow, trace);
	synq_loop_turn(trace->loop, 0);
	assert_true(synq_loop_longest_us(trace->loop) >= 20000);
	assert_int_equal(synq_loop_longest_us(trace->loop), 0);
}

static void
hold_up(int signal_number)
{
	uint64_t until_us = synq_clock_mono_us() + 1500;

	(void)signal_number;
	while (synq_clock_mono_us() < until_us)
		;
}

/* The limit may be over before the wait begins: then there is none. */
static void
test_turn_ends_though_its_thread_was_held_up(void **state)
{
	struct trace *trace = *state;
	struct sigaction action = { .sa_handler = hold_up };
	struct itimerval often = { { 0, 1603 }, { 0, 1603 } }, never = { 0 };
	uint64_t end_us = synq_clock_mono_us() + 1000000;
	uint64_t longest_us = 0, began_us = synq_clock_mono_us(), now_us;

	/* What is left between two signals is too little for an emulation. */
	if (getenv("SYNQ_TEST_UNDER") != NULL)
		skip();
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	for (; began_us < end_us; began_us = now_us) {
		synq_loop_turn(trace->loop, 1);
		now_us = synq_clock_mono_us();
		if (now_us - began_us > longest_us)
			longest_us = now_us - began_us;
	}
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_true(longest_us < 1500000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_timer_never_fires_early),
		CASE(test_timer_fires_once_and_repeats_when_asked),
		CASE(test_stopped_timer_is_silent),
		CASE(test_longest_delay_does_not_overflow),
		CASE(test_timer_may_free_itself),
		CASE(test_deferred_calls_run_in_order_at_the_end),
		CASE(test_deferred_call_does_not_wait),
		CASE(test_many_calls_are_deferred),
		CASE(test_watch_tells_what_it_was_asked),
		CASE(test_watch_tells_of_a_closed_peer),
		CASE(test_watch_refuses_a_bad_descriptor),
		CASE(test_wake_comes_from_another_thread),
		CASE(test_signal_ends_the_run),
		CASE(test_run_returns_when_stopped_and_runs_again),
		CASE(test_time_stands_still_in_a_turn),
		CASE(test_gap_is_told_before_anything_else),
		CASE(test_longest_turn_is_kept),
		CASE(test_turn_ends_though_its_thread_was_held_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
