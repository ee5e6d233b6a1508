/*
 * GCRA: taking moves the theoretical arrival time ahead by one interval per
 * token; it may run ahead of the clock by as much as the burst.
 */

#include "limit/bucket.h"

#define US_PER_S UINT64_C(1000000)

void
synq_bucket_init(
    struct synq_bucket *bucket, uint32_t per_second, uint32_t burst)
{
	if (per_second < 1)
		per_second = 1;
	if (burst < 1)
		burst = 1;
	/* Rounded up: never more than was asked for. */
	bucket->interval_us = (US_PER_S + per_second - 1) / per_second;
	bucket->burst_us = bucket->interval_us * burst;
	bucket->arrival_us = 0;
}

uint64_t
synq_bucket_take(struct synq_bucket *bucket, uint32_t count, uint64_t now_us)
{
	uint64_t cost_us = bucket->interval_us * count;
	uint64_t ahead_us = 0;

	if (cost_us > bucket->burst_us)
		return UINT64_MAX;
	if (bucket->arrival_us > now_us)
		ahead_us = bucket->arrival_us - now_us;
	if (ahead_us + cost_us > bucket->burst_us)
		return ahead_us + cost_us - bucket->burst_us;
	bucket->arrival_us = now_us + ahead_us + cost_us;
	return 0;
}
