#ifndef SYNQ_LOOP_LOOP_H
#define SYNQ_LOOP_LOOP_H

/*
 * The event loop: timers, descriptors to watch, deferred calls, signals and
 * the clock, over libuv.  One loop per process, on the main thread; nothing
 * that runs on it may block.
 *
 * Callbacks run from the loop only, never inside the call that registered
 * them and never after the matching stop or free.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct uv_loop_s;
struct synq_loop;
struct synq_timer;
struct synq_watch;
struct synq_wake;

/* Called from the loop with the ${ctx} of the registration. */
typedef void synq_loop_fn(void *ctx);
/* Called when a watched descriptor has ${events} (SYNQ_READABLE, ...). */
typedef void synq_watch_fn(void *ctx, unsigned events);
/* Called for the signal ${signum}. */
typedef void synq_signal_fn(void *ctx, int signum);

#define SYNQ_READABLE 1U
#define SYNQ_WRITABLE 2U

/* A new loop into ${ret}; the caller frees it last.  Error: SYSTEM. */
SYNQ_MUST_CHECK int synq_loop_new(struct synq_loop **ret, struct synq_err *err);

/* Free *${loop}; all timers and watches must be freed.  Sets it to NULL. */
void synq_loop_free(struct synq_loop **loop);

/* Run ${loop} until synq_loop_stop; may be called again afterwards. */
void synq_loop_run(struct synq_loop *loop);

/* Run what is due on ${loop} and wait at most ${limit_ms} for more.  Tests. */
void synq_loop_turn(struct synq_loop *loop, uint32_t limit_ms);

/*
 * Call ${fn} before any other callback of ${loop} when the process was away,
 * stopped or blocked, for longer than ${limit_us} (at least 1 s); stays until
 * synq_loop_off_gap.  What happened meanwhile is then heard before work that
 * relied on the old state goes on.
 */
void synq_loop_on_gap(
    struct synq_loop *loop, uint64_t limit_us, synq_loop_fn *fn, void *ctx);

/* Take back the synq_loop_on_gap of ${fn} and ${ctx} from ${loop}. */
void synq_loop_off_gap(struct synq_loop *loop, synq_loop_fn *fn, void *ctx);

/* The longest that one turn of ${loop} took since this was last called. */
uint64_t synq_loop_longest_us(struct synq_loop *loop);

/* Make synq_loop_run return after this turn. */
void synq_loop_stop(struct synq_loop *loop);

/* The libuv loop inside, for the I/O modules that may see <uv.h>. */
struct uv_loop_s *synq_loop_uv(struct synq_loop *loop);

/* Monotonic time of this turn in microseconds (read once a turn). */
uint64_t synq_loop_now_us(const struct synq_loop *loop);

/* Wall-clock time of this turn in microseconds since 1970. */
int64_t synq_loop_wall_us(const struct synq_loop *loop);

/*
 * Call ${fn} at the end of this turn of ${loop}, once, in the order of these
 * calls.  This is how objects unlinked in a callback are freed.
 */
void synq_loop_defer(struct synq_loop *loop, synq_loop_fn *fn, void *ctx);

/* Deliver the signal ${signum} to ${fn}; stays until the loop is freed. */
SYNQ_MUST_CHECK int synq_loop_on_signal(struct synq_loop *loop, int signum,
    synq_signal_fn *fn, void *ctx, struct synq_err *err);

/* A stopped timer of ${loop} that will call ${fn}; the caller frees it. */
struct synq_timer *synq_timer_new(
    struct synq_loop *loop, synq_loop_fn *fn, void *ctx);

/* Let ${timer} fire once in ${delay_us} (rounded up to 1 ms); re-arms it. */
void synq_timer_start(struct synq_timer *timer, uint64_t delay_us);

/* Let ${timer} fire every ${period_us} from now. */
void synq_timer_repeat(struct synq_timer *timer, uint64_t period_us);

/* Stop ${timer}: it will not fire.  NULL is fine. */
void synq_timer_stop(struct synq_timer *timer);

/* 1 if ${timer} will fire, else 0. */
int synq_timer_active(const struct synq_timer *timer);

/* Stop and free *${timer}; sets it to NULL. */
void synq_timer_free(struct synq_timer **timer);

/*
 * Watch the descriptor ${fd} of ${loop} for nothing yet; the caller frees the
 * watch before it closes the descriptor.  Error: SYSTEM.
 */
SYNQ_MUST_CHECK int synq_watch_new(struct synq_loop *loop, int fd,
    synq_watch_fn *fn, void *ctx, struct synq_watch **ret);

/* Watch for ${events}, or'ed SYNQ_READABLE and SYNQ_WRITABLE; 0 = nothing. */
void synq_watch_set(struct synq_watch *watch, unsigned events);

/* Stop watching and free *${watch}; the descriptor stays open. */
void synq_watch_free(struct synq_watch **watch);

/*
 * A wake-up of ${loop} that other threads may send: ${fn} runs on the loop
 * once or more after each synq_wake_send.  The caller frees it.  NULL if the
 * process has no descriptor left.
 */
struct synq_wake *synq_wake_new(
    struct synq_loop *loop, synq_loop_fn *fn, void *ctx);

/* Wake the loop by ${wake}.  The only function here that any thread may call.
 */
void synq_wake_send(struct synq_wake *wake);

/* The descriptor to which 8 bytes written wake ${wake} (for librdkafka). */
int synq_wake_fd(const struct synq_wake *wake);

/* Free *${wake}; no other thread may use it any more.  Sets it to NULL. */
void synq_wake_free(struct synq_wake **wake);

#endif
