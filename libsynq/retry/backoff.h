#ifndef SYNQ_RETRY_BACKOFF_H
#define SYNQ_RETRY_BACKOFF_H

/*
 * When to try again: exponential backoff with full jitter (Brooker 2015), the
 * provider's own wish first, within the job's deadline.  Pure.
 */

#include <stdint.h>

struct synq_rand;

struct synq_backoff {
	uint64_t first_us; /* upper end of the first wait */
	uint64_t max_us;   /* upper end of any wait */
};

/*
 * The wait before try ${attempt} + 1, after ${attempt} (1..) have failed: a
 * random time up to min(max, first * 2^(attempt-1)), never below 1 ms.
 */
uint64_t synq_backoff_us(const struct synq_backoff *backoff, uint32_t attempt,
    struct synq_rand *rand);

/*
 * The same after a provider asked to wait ${asked_us} (-1 = it did not): never
 * sooner than asked, with up to 10 % more so that not all come back at once.
 */
uint64_t synq_backoff_asked_us(const struct synq_backoff *backoff,
    uint32_t attempt, int64_t asked_us, struct synq_rand *rand);

#endif
