/*
 * xoshiro256** as its authors describe it, seeded through splitmix64 so that
 * near seeds give unlike sequences and no seed gives the all-zero state.
 *
 * The kernel's generator cannot fail for a sane request; if it does, there is
 * no way on without randomness and the process ends.
 */

#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t
rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static uint64_t
splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void
synq_rand_init(struct synq_rand *rand, uint64_t seed)
{
	for (size_t i = 0; i < 4; i++)
		rand->state[i] = splitmix(&seed);
}

uint64_t
synq_rand_next(struct synq_rand *rand)
{
	uint64_t *s = rand->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t
synq_rand_below(struct synq_rand *rand, uint64_t below)
{
	if (below == 0)
		return 0;

	/* 2^64 mod below: numbers under it would favour small results. */
	uint64_t unfair = (0 - below) % below;
	uint64_t number = synq_rand_next(rand);
	while (number < unfair)
		number = synq_rand_next(rand);
	return number % below;
}

void
synq_rand_system(void *ret, size_t bytes)
{
	char *at = ret;

	while (bytes > 0) {
		ssize_t got = getrandom(at, bytes, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		bytes -= (size_t)got;
	}
}
