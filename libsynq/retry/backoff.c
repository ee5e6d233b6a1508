/*
 * The wait before another try: a random part of a limit that doubles.
 */

#include "retry/backoff.h"

#include "base/rand.h"

#define MIN_WAIT_US 1000

uint64_t
synq_backoff_us(const struct synq_backoff *backoff, uint32_t attempt,
    struct synq_rand *rand)
{
	uint64_t limit_us = backoff->first_us;
	uint64_t wait_us;

	for (uint32_t i = 1; i < attempt && limit_us < backoff->max_us; i++)
		limit_us =
		    limit_us > UINT64_MAX / 2 ? UINT64_MAX : limit_us * 2;
	if (limit_us > backoff->max_us)
		limit_us = backoff->max_us;

	wait_us = synq_rand_below(
	    rand, limit_us < UINT64_MAX ? limit_us + 1 : limit_us);
	return wait_us < MIN_WAIT_US ? MIN_WAIT_US : wait_us;
}

uint64_t
synq_backoff_asked_us(const struct synq_backoff *backoff, uint32_t attempt,
    int64_t asked_us, struct synq_rand *rand)
{
	uint64_t wait_us = synq_backoff_us(backoff, attempt, rand);
	uint64_t asked;

	if (asked_us <= 0)
		return wait_us;
	asked = (uint64_t)asked_us;
	asked += synq_rand_below(rand, asked / 10 + 1);
	return asked > wait_us ? asked : wait_us;
}
