#include "histogram.h"

/*
 * Below 64 each value has a bucket; above, the bits under the highest one
 * choose among the steps of its doubling.
 */

static unsigned
bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < HISTOGRAM_STEPS)
		return (unsigned)ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - 6;
	return (shift + 1) * HISTOGRAM_STEPS +
	       (unsigned)((ns >> shift) & (HISTOGRAM_STEPS - 1));
}

/* The middle of the bucket ${bucket}. */
static uint64_t
value_of(unsigned bucket)
{
	unsigned shift;
	uint64_t step;

	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	shift = bucket / HISTOGRAM_STEPS - 1;
	step = HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS;
	return (step << shift) + ((1ULL << shift) >> 1);
}

void
histogram_add(struct histogram *histogram, uint64_t ns)
{
	histogram->buckets[bucket_of(ns)]++;
	histogram->count++;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

uint64_t
histogram_at(const struct histogram *histogram, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)histogram->count);
	uint64_t seen = 0;
	unsigned i;

	if (histogram->count == 0)
		return 0;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > wanted)
			return value_of(i) < histogram->max_ns
			           ? value_of(i)
			           : histogram->max_ns;
	}
	return histogram->max_ns;
}
