/*
 * A new uuid takes its ten random bytes from a pool of the thread, which is
 * filled from the kernel once in a hundred times: a system call each would
 * cost more than the rest of accepting a request.
 *
 * After fork the child would repeat the parent's bytes; so the pool notes the
 * generation of the process that filled it and is thrown away in a child.
 */

#include "base/uuid.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/err.h"
#include "base/rand.h"

#define RANDOM_BYTES 10
#define POOL_BYTES ((size_t)RANDOM_BYTES * 100)

struct pool {
	unsigned char bytes[POOL_BYTES];
	size_t left;
	unsigned generation;
};

static _Thread_local struct pool pool;
static atomic_uint generation;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static void
note_fork(void)
{
	atomic_fetch_add(&generation, 1);
}

static void
watch_forks(void)
{
	pthread_atfork(NULL, NULL, note_fork);
}

static void
fill_pool(unsigned now)
{
	pthread_once(&watch_once, watch_forks);
	synq_rand_system(pool.bytes, sizeof(pool.bytes));
	pool.left = sizeof(pool.bytes);
	pool.generation = now;
}

struct synq_uuid
synq_uuid_new(int64_t wall_us)
{
	uint64_t ms = wall_us > 0 ? (uint64_t)wall_us / 1000 : 0;
	unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);
	struct synq_uuid id;

	if (pool.left == 0 || pool.generation != now)
		fill_pool(now);
	pool.left -= RANDOM_BYTES;
	for (unsigned i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	memcpy(id.bytes + 6, pool.bytes + pool.left, RANDOM_BYTES);

	id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f));
	id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
	return id;
}

int64_t
synq_uuid_time_us(const struct synq_uuid *id)
{
	int64_t ms = 0;

	for (size_t i = 0; i < 6; i++)
		ms = ms << 8 | id->bytes[i];
	return ms * 1000;
}

/* 1 if a hyphen stands before byte ${i} of the text form. */
static int
is_hyphen_before(size_t i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

void
synq_uuid_format(const struct synq_uuid *id, char ret[37])
{
	static const char digits[] = "0123456789abcdef";
	char *at = ret;

	for (size_t i = 0; i < sizeof(id->bytes); i++) {
		if (is_hyphen_before(i))
			*at++ = '-';
		*at++ = digits[id->bytes[i] >> 4];
		*at++ = digits[id->bytes[i] & 15];
	}
	*at = '\0';
}

/* The value of the hex digit ${c}, or -1. */
static int
digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
synq_uuid_parse(struct synq_slice text, struct synq_uuid *ret)
{
	struct synq_uuid id = { { 0 } };
	const char *at = text.data;

	if (text.bytes != SYNQ_UUID_CHARS)
		return -SYNQ_E_INVALID;
	for (size_t i = 0; i < sizeof(id.bytes); i++) {
		if (is_hyphen_before(i) && *at++ != '-')
			return -SYNQ_E_INVALID;

		int high = digit_of(at[0]);
		int low = digit_of(at[1]);
		if (high < 0 || low < 0)
			return -SYNQ_E_INVALID;
		id.bytes[i] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	*ret = id;
	return 0;
}

int
synq_uuid_equal(const struct synq_uuid *a, const struct synq_uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int
synq_uuid_is_nil(const struct synq_uuid *id)
{
	static const struct synq_uuid nil;

	return synq_uuid_equal(id, &nil);
}

struct synq_slice
synq_uuid_slice(const struct synq_uuid *id)
{
	return synq_slice_of(id->bytes, sizeof(id->bytes));
}
