#ifndef SYNQ_BASE_RAND_H
#define SYNQ_BASE_RAND_H

/*
 * A small, fast, seedable generator (xoshiro256**, Blackman and Vigna 2018)
 * for jitter and sampling.  Never for secrets; those come from crypto.
 */

#include <stddef.h>
#include <stdint.h>

struct synq_rand {
	uint64_t state[4];
};

/* Start ${rand} from ${seed}; the same seed gives the same numbers. */
void synq_rand_init(struct synq_rand *rand, uint64_t seed);

/* The next 64 random bits of ${rand}. */
uint64_t synq_rand_next(struct synq_rand *rand);

/* A number of ${rand} from 0 to ${below} - 1; 0 if ${below} is 0. */
uint64_t synq_rand_below(struct synq_rand *rand, uint64_t below);

/* Fill ${bytes} bytes at ${ret} from the kernel's generator. */
void synq_rand_system(void *ret, size_t bytes);

#endif
