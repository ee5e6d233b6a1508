/*
 * Few names are compared each with each, first by a tag that costs nothing to
 * make; whatever is sent, that is at most FEW / 2 times the length of the
 * names.  More go through a hash table on the stack, by SipHash with a key of
 * the process, so that nobody can choose names that collide.
 *
 * A name is hashed as what it stands for, in pieces, so that its length does
 * not matter.
 */

#include "json/names.h"

#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/rand.h"
#include "json/scan.h"
#include "json/unescape.h"

#define FEW 16
#define SLOTS ((size_t)SYNQ_JSON_MAX_MEMBERS * 2)
#define PIECE_BYTES 248

static uint8_t process_key[16];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void
make_process_key(void)
{
	synq_rand_system(process_key, sizeof(process_key));
}

static struct synq_slice
inside_of(const char *text, const struct synq_json_name *name)
{
	return synq_slice_of(text + name->offset, name->bytes);
}

static int
is_same(const char *text, const struct synq_json_name *a,
    const struct synq_json_name *b)
{
	struct synq_slice left = inside_of(text, a);
	struct synq_slice right = inside_of(text, b);

	if (memchr(left.data, '\\', left.bytes) ||
	    memchr(right.data, '\\', right.bytes))
		return synq_json_same(left, right);
	return synq_slice_equal(left, right);
}

static size_t
duplicate_of_few(
    const char *text, const struct synq_json_name *names, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (names[i].tag != names[k].tag && names[i].tag &&
			    names[k].tag)
				continue;
			if (is_same(text, &names[i], &names[k]))
				return i;
		}
	}
	return count;
}

/* The hash of what ${inside} stands for: each piece with the hash before it. */
static uint64_t
hash_escaped(struct synq_slice inside)
{
	struct synq_json_bytes bytes = synq_json_bytes_of(inside);
	uint8_t piece[sizeof(uint64_t) + PIECE_BYTES];
	uint64_t hash = 0;
	int byte;

	for (;;) {
		size_t filled = sizeof(hash);

		memcpy(piece, &hash, sizeof(hash));
		while (filled < sizeof(piece) &&
		       (byte = synq_json_bytes_next(&bytes)) >= 0)
			piece[filled++] = (uint8_t)byte;
		hash = synq_siphash(piece, filled, process_key);
		if (filled < sizeof(piece))
			return hash;
	}
}

/* The same for a name without escapes, without looking at each byte. */
static uint64_t
hash_plain(struct synq_slice inside)
{
	uint8_t piece[sizeof(uint64_t) + PIECE_BYTES];
	uint64_t hash = 0;

	for (;;) {
		size_t bytes =
		    inside.bytes < PIECE_BYTES ? inside.bytes : PIECE_BYTES;

		memcpy(piece, &hash, sizeof(hash));
		memcpy(piece + sizeof(hash), inside.data, bytes);
		hash = synq_siphash(piece, sizeof(hash) + bytes, process_key);
		if (bytes < PIECE_BYTES)
			return hash;
		inside.data += bytes;
		inside.bytes -= bytes;
	}
}

static size_t
duplicate_of_many(const char *text, struct synq_json_name *names, size_t count)
{
	uint16_t slots[SLOTS]; /* index + 1 of a name; 0 = free */
	size_t room = 64;

	pthread_once(&key_once, make_process_key);
	while (room < count * 2)
		room *= 2;
	memset(slots, 0, room * sizeof(slots[0]));
	for (size_t i = 0; i < count; i++) {
		struct synq_slice inside = inside_of(text, &names[i]);
		uint64_t hash =
		    names[i].tag ? hash_plain(inside) : hash_escaped(inside);
		size_t slot = hash & (room - 1);

		names[i].tag = (uint32_t)(hash >> 32);
		for (; slots[slot]; slot = (slot + 1) & (room - 1)) {
			struct synq_json_name *other = &names[slots[slot] - 1];

			if (other->tag == names[i].tag &&
			    is_same(text, other, &names[i]))
				return i;
		}
		slots[slot] = (uint16_t)(i + 1);
	}
	return count;
}

size_t
synq_json_duplicate(
    const char *text, struct synq_json_name *names, size_t count)
{
	if (count <= FEW)
		return duplicate_of_few(text, names, count);
	return duplicate_of_many(text, names, count);
}
