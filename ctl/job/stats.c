/*
 * Bucket 0 to 63 hold the values 0 to 63; after that each doubling has 64
 * buckets of equal width.
 */

#include "ctl/job/stats.h"

/* The last doubling ends at 2^45 us, more than a year. */
static size_t
bucket_of(uint64_t us)
{
	unsigned shift;
	size_t bucket;

	if (us < STATS_STEPS)
		return (size_t)us;
	shift = 63U - (unsigned)__builtin_clzll(us) - 6U;
	bucket = (shift + 1U) * STATS_STEPS + ((us >> shift) - STATS_STEPS);
	return bucket < STATS_BUCKETS ? bucket : STATS_BUCKETS - 1;
}

/* The greatest value that falls into ${bucket}. */
static uint64_t
top_of(size_t bucket)
{
	const size_t shift = bucket / STATS_STEPS;

	if (bucket == STATS_BUCKETS - 1)
		return UINT64_MAX;
	if (shift == 0)
		return bucket;
	return ((uint64_t)(bucket % STATS_STEPS + STATS_STEPS + 1)
		   << (shift - 1)) -
	       1;
}

void
stats_add(struct stats *stats, uint64_t us)
{
	stats->counts[bucket_of(us)]++;
	stats->count++;
	if (us > stats->max_us)
		stats->max_us = us;
}

uint64_t
stats_at(const struct stats *stats, double percent)
{
	const double wanted = (double)stats->count * percent / 100;
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < STATS_BUCKETS; i++) {
		seen += stats->counts[i];
		if (stats->counts[i] > 0 && (double)seen >= wanted)
			return top_of(i) < stats->max_us ? top_of(i)
			                                 : stats->max_us;
	}
	return stats->max_us;
}
