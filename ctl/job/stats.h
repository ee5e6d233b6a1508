#ifndef CTL_JOB_STATS_H
#define CTL_JOB_STATS_H

/*
 * How long things took, in a fixed amount of memory: counts in buckets whose
 * width is at most 1/64 of their value.
 */

#include <stddef.h>
#include <stdint.h>

#define STATS_STEPS 64U
#define STATS_BUCKETS (STATS_STEPS * 40U)

struct stats {
	uint64_t counts[STATS_BUCKETS];
	uint64_t count;
	uint64_t max_us;
};

/* Count ${us} in ${stats}, which begins zeroed. */
void stats_add(struct stats *stats, uint64_t us);

/*
 * The time below which ${percent} (above 0, up to 100) of what was counted in
 * ${stats} lies, in microseconds, at most 1/64 too high; 0 if nothing was.
 */
uint64_t stats_at(const struct stats *stats, double percent);

#endif
