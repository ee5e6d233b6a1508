#ifndef SYNQ_LIMIT_BUCKET_H
#define SYNQ_LIMIT_BUCKET_H

/*
 * A token bucket by GCRA (ITU-T I.371): one theoretical arrival time instead
 * of a count, so that it needs no timer.  Pure: the time is an argument.
 * Used for logs and refusals that a peer can provoke at will.
 */

#include <stdint.h>

struct synq_bucket {
	uint64_t interval_us; /* between two tokens */
	uint64_t burst_us;    /* how far ahead the arrival time may run */
	uint64_t arrival_us;  /* theoretical arrival of the next token */
};

/* Make ${bucket} give ${per_second} (>= 1) tokens with a burst of ${burst}. */
void synq_bucket_init(
    struct synq_bucket *bucket, uint32_t per_second, uint32_t burst);

/*
 * Take ${count} tokens at ${now_us}: 0 if they are there, else nothing is
 * taken and the wait in microseconds is returned, UINT64_MAX if there will
 * never be so many.
 */
uint64_t synq_bucket_take(
    struct synq_bucket *bucket, uint32_t count, uint64_t now_us);

#endif
