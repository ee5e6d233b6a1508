#ifndef TESTS_LIB_HISTOGRAM_H
#define TESTS_LIB_HISTOGRAM_H

/*
 * How often each duration was seen, to within 1 %: 64 steps for each doubling.
 * Fixed size, no allocation.
 */

#include <stdint.h>

#define HISTOGRAM_STEPS 64
#define HISTOGRAM_BUCKETS (59 * HISTOGRAM_STEPS)

struct histogram {
	uint64_t count;
	uint64_t max_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Count ${ns} in ${histogram}. */
void histogram_add(struct histogram *histogram, uint64_t ns);

/*
 * The duration in ns that the share ${share} (0 to 1) of what ${histogram}
 * counted does not exceed; 0 when it is empty.
 */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
