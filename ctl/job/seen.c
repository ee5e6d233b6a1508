/*
 * Open addressing with linear steps, at most half full.  The hash is 126 bits
 * of BLAKE2b, so that two names of a million never share one; the two bits
 * left hold the flags.
 */

#include "ctl/job/seen.h"

#include <string.h>

#include "base/mem.h"
#include "crypto/hash.h"

#define FIRST_ROOM 1024
#define FLAG_MASK 3U
#define NAME_MAX_BYTES 8192

struct slot {
	uint64_t high; /* all zero = free */
	uint64_t low;  /* its lowest two bits are the flags */
};

struct seen {
	struct slot *slots; /* owned; room is a power of two */
	size_t room;
	size_t count;
};

struct seen *
seen_new(void)
{
	struct seen *seen = synq_mem_new(sizeof(*seen));

	seen->room = FIRST_ROOM;
	seen->slots = synq_mem_array(seen->room, sizeof(*seen->slots));
	return seen;
}

void
seen_free(struct seen **seen)
{
	if (*seen == NULL)
		return;
	synq_mem_free((*seen)->slots);
	synq_mem_free(*seen);
	*seen = NULL;
}

/* The slot of ${wanted}, or the free one where it belongs. */
static struct slot *
find(struct slot *slots, size_t room, const struct slot *wanted)
{
	size_t at = (size_t)(wanted->low >> 2) & (room - 1);

	while (slots[at].high != 0 || slots[at].low != 0) {
		if (slots[at].high == wanted->high &&
		    ((slots[at].low ^ wanted->low) & ~(uint64_t)FLAG_MASK) == 0)
			break;
		at = (at + 1) & (room - 1);
	}
	return &slots[at];
}

static void
grow(struct seen *seen)
{
	const size_t room = seen->room * 2;
	struct slot *slots = synq_mem_array(room, sizeof(*slots));
	size_t i;

	for (i = 0; i < seen->room; i++) {
		if (seen->slots[i].high != 0 || seen->slots[i].low != 0)
			*find(slots, room, &seen->slots[i]) = seen->slots[i];
	}
	synq_mem_free(seen->slots);
	seen->slots = slots;
	seen->room = room;
}

static struct slot
hash_of(char kind, struct synq_slice name)
{
	struct slot slot;
	struct synq_buf text;
	uint8_t hash[16];

	synq_buf_init(&text, NAME_MAX_BYTES);
	(void)synq_buf_char(&text, kind);
	(void)synq_buf_slice(&text, name);
	synq_hash(NULL, synq_buf_view(&text), hash, sizeof(hash));
	synq_buf_done(&text);
	memcpy(&slot.high, hash, 8);
	memcpy(&slot.low, hash + 8, 8);
	slot.high |= 1; /* not free */
	slot.low &= ~(uint64_t)FLAG_MASK;
	return slot;
}

unsigned
seen_add(struct seen *seen, char kind, struct synq_slice name, unsigned flag)
{
	const struct slot wanted = hash_of(kind, name);
	struct slot *slot;
	unsigned before;

	if ((seen->count + 1) * 2 > seen->room)
		grow(seen);
	slot = find(seen->slots, seen->room, &wanted);
	if (slot->high == 0 && slot->low == 0) {
		*slot = wanted;
		seen->count++;
	}
	before = (unsigned)(slot->low & FLAG_MASK);
	slot->low |= flag & FLAG_MASK;
	return before;
}
