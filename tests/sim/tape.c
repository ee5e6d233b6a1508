/*
 * The log: entries in the order of their offsets, kept for ever.
 */

#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

#define FIRST_ROOM 64

struct entry *
tape_append(struct sim *sim, struct tape *tape, struct synq_slice value,
    int64_t time_us)
{
	struct entry *entry;

	if (tape->count == tape->room) {
		tape->room = tape->room == 0 ? FIRST_ROOM : tape->room * 2;
		tape->entries = synq_mem_resize(
		    tape->entries, tape->room * sizeof(*tape->entries));
	}
	entry = &tape->entries[tape->count++];
	memset(entry, 0, sizeof(*entry));
	entry->offset = tape->end++;
	entry->time_us = time_us;
	entry->value = synq_arena_slice(sim->arena, value);
	assign_tape_grew(sim, tape);
	return entry;
}

size_t
tape_at_offset(const struct tape *tape, int64_t offset)
{
	size_t low = 0;
	size_t high = tape->count;

	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (tape->entries[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t
tape_at_time(const struct tape *tape, int64_t time_us)
{
	size_t i = 0;

	while (i < tape->count && tape->entries[i].time_us < time_us)
		i++;
	return i;
}
