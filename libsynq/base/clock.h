#ifndef SYNQ_BASE_CLOCK_H
#define SYNQ_BASE_CLOCK_H

/*
 * The two clocks.  Code that decides by time gets the time as an argument;
 * only the loop and programs' edges read these.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

/* Wall-clock time: microseconds since 1970, UTC. */
int64_t synq_clock_wall_us(void);

/* Monotonic time in microseconds; never goes back, does not count suspend. */
uint64_t synq_clock_mono_us(void);

/* Write ${wall_us} as RFC 3339 UTC with microseconds and a NUL to ${ret}. */
void synq_clock_format(int64_t wall_us, char ret[28]);

/*
 * Read an RFC 3339 time, with any offset and up to 9 fraction digits, or a
 * whole number of seconds since 1970, into ${ret}.  Error: INVALID.
 */
SYNQ_MUST_CHECK int synq_clock_parse(struct synq_slice text, int64_t *ret);

#endif
