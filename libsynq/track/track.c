/*
 * The happy path: a record is read and its slot is QUEUED; its state changes
 * as the dispatcher works on it; when it is done, and it was the lowest, base
 * moves up over everything that is done behind it.
 *
 * Why the map always fits: two numbers bound the size of any map that the
 * window can come to have without growing.  With window W and u offsets not
 * done, the bitset is W / 8 bytes, and the run lengths at most 2u (each run of
 * not done has at least one of the u) + W / 128 + W / 16,384 (a length takes a
 * second byte from 128 on and a third from 16,384 on, and all lengths sum up to
 * W).  Marks only lower u, base only lowers W, so what is checked when the
 * window grows holds until it grows again.
 *
 * What can go wrong: a record behind a gap that is too wide (synq_track_seen
 * says LIMIT); a reconciled result too far ahead, which is not marked: then
 * results_offset stands still, so that the next owner reads that result again.
 */

#include "track/inner.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define PER_WORD 32
#define FIRST_SLOTS 1024
#define LOW_BITS UINT64_C(0x5555555555555555)

/* No log comes so far, but a bad record may say so: nothing above counts. */
#define MAX_OFFSET (INT64_MAX - SYNQ_TRACK_MAX_WINDOW)

/* What room keeps free: for gaps, and for marks in another order. */
#define SPARE_WINDOW 1024
#define SPARE_CHARS 100

struct synq_track *
synq_track_new(int64_t base)
{
	struct synq_track *track = synq_mem_new(sizeof(*track));

	assert(base >= 0 && base <= MAX_OFFSET);
	track->base = track->next = track->read = base;
	track->slots = FIRST_SLOTS;
	track->ring = synq_mem_array(FIRST_SLOTS / PER_WORD, sizeof(uint64_t));
	track->results_offset = track->results_wanted = -1;
	return track;
}

void
synq_track_free(struct synq_track **track)
{
	if (*track)
		synq_mem_free((*track)->ring);
	synq_mem_free(*track);
	*track = NULL;
}

/* ---- the ring ----------------------------------------------------------- */

static size_t
slot_of(const struct synq_track *track, int64_t offset)
{
	return (size_t)offset & (track->slots - 1);
}

static enum synq_track_state
slot_get(const struct synq_track *track, int64_t offset)
{
	size_t slot = slot_of(track, offset);

	return (enum synq_track_state)(
	    track->ring[slot / PER_WORD] >> 2 * (slot % PER_WORD) & 3);
}

static void
slot_set(struct synq_track *track, int64_t offset, enum synq_track_state state)
{
	size_t slot = slot_of(track, offset);
	uint64_t *word = &track->ring[slot / PER_WORD];
	unsigned shift = 2 * (unsigned)(slot % PER_WORD);

	*word = (*word & ~(UINT64_C(3) << shift)) | (uint64_t)state << shift;
}

int64_t
synq_track_find(
    const struct synq_track *track, int64_t from, int64_t end, int done)
{
	while (from < end) {
		size_t slot = slot_of(track, from);
		unsigned first = (unsigned)(slot % PER_WORD);
		uint64_t word = track->ring[slot / PER_WORD];
		uint64_t found = (word | word >> 1) & LOW_BITS;

		if (done)
			found ^= LOW_BITS;
		found >>= 2 * first;
		if (found) {
			from += __builtin_ctzll(found) / 2;
			break;
		}
		from += PER_WORD - first;
	}
	return from < end ? from : end;
}

/* Double the ring of ${track} until it holds ${window} offsets. */
static void
ring_grow(struct synq_track *track, int64_t window)
{
	struct synq_track old = *track;

	if ((size_t)window <= track->slots)
		return;
	while (track->slots < (size_t)window)
		track->slots *= 2;
	track->ring = synq_mem_array(track->slots / PER_WORD, sizeof(uint64_t));
	for (int64_t i = old.base; i < old.next; i++)
		slot_set(track, i, slot_get(&old, i));
	synq_mem_free(old.ring);
}

void
synq_track_extend(struct synq_track *track, int64_t end, int done)
{
	ring_grow(track, end - track->base);
	if (!done) {
		for (int64_t i = track->next; i < end; i++)
			slot_set(track, i, SYNQ_TRACK_QUEUED);
		track->undone += (size_t)(end - track->next);
	}
	track->next = end;
}

/* Set base to ${base}, which is above it. */
static void
base_move(struct synq_track *track, int64_t base)
{
	track->base = base;
	if (track->next < base)
		track->next = base;
	if (track->read < base)
		track->read = base;
	track->dirty = 1;
	if (base >= track->lost_end) {
		track->lost_end = 0;
		track->results_offset = track->results_wanted;
	}
}

/* Move base up to the lowest offset that is not done. */
static void
base_advance(struct synq_track *track)
{
	int64_t base = synq_track_find(track, track->base, track->next, 0);

	if (base > track->base)
		base_move(track, base);
}

/* Mark ${offset}, which is in the window and not done, as done. */
static void
slot_finish(struct synq_track *track, int64_t offset)
{
	slot_set(track, offset, SYNQ_TRACK_DONE);
	track->undone--;
	if (offset < track->read)
		track->open--;
	track->dirty = 1;
}

/* ---- limits ------------------------------------------------------------- */

int
synq_track_fits(int64_t window, size_t undone, size_t max_chars)
{
	/* "S1:" in front; 4 characters for 3 bytes; 19 bytes are the most
	 * that type, flags, two varints and the checksum take. */
	uint64_t room = (max_chars - 3) * 3 / 4 - 19;
	uint64_t bits = ((uint64_t)window + 7) / 8;
	uint64_t runs = 2 * (uint64_t)undone + (uint64_t)window / 128 +
	                (uint64_t)window / 16384;

	return window <= SYNQ_TRACK_MAX_WINDOW &&
	       (bits <= room || runs <= room);
}

int
synq_track_room(const struct synq_track *track)
{
	/* What is known already costs nothing to read. */
	if (track->read < track->next)
		return 1;

	int64_t window = track->next - track->base + 1;
	return window <= SYNQ_TRACK_MAX_WINDOW - SPARE_WINDOW &&
	       synq_track_fits(window, track->undone + 1,
		   SYNQ_TRACK_MAX_CHARS - SPARE_CHARS);
}

/* ---- records ------------------------------------------------------------ */

/* Nothing will be read in [read, ${end}) any more: it counts as done. */
static void
skip_to(struct synq_track *track, int64_t end)
{
	int64_t at = track->read;

	while ((at = synq_track_find(track, at, end, 0)) < end)
		slot_finish(track, at++);
	/* Only now, as none of them was open. */
	if (track->read < end)
		track->read = end;
	base_advance(track);
}

int
synq_track_seen(struct synq_track *track, int64_t offset)
{
	if (offset < track->read || offset > MAX_OFFSET)
		return 0;
	if (offset < track->next) {
		skip_to(track, offset);
		if (synq_track_get(track, offset) == SYNQ_TRACK_DONE) {
			skip_to(track, offset + 1);
			return 0;
		}
		track->read = offset + 1;
		track->open++;
		return 1;
	}

	skip_to(track, track->next);
	/* An empty window goes wherever the record is. */
	if (track->base == track->next && track->base < offset)
		base_move(track, offset);
	if (!synq_track_fits(offset + 1 - track->base, track->undone + 1,
		SYNQ_TRACK_MAX_CHARS))
		return -SYNQ_E_LIMIT;
	if (offset > track->next)
		track->dirty = 1;
	synq_track_extend(track, offset, 1);
	synq_track_extend(track, offset + 1, 0);
	track->read = offset + 1;
	track->open++;
	return 1;
}

/* ${offset}, of which nothing is known yet, is done. */
static void
finish_ahead(struct synq_track *track, int64_t offset)
{
	size_t between = (size_t)(offset - track->next);

	if (offset - track->base >= SYNQ_TRACK_MAX_WINDOW ||
	    !synq_track_fits(offset + 1 - track->base, track->undone + between,
		SYNQ_TRACK_MAX_CHARS)) {
		if (track->lost_end <= offset)
			track->lost_end = offset + 1;
		return;
	}
	synq_track_extend(track, offset, 0);
	synq_track_extend(track, offset + 1, 1);
	track->dirty = 1;
	base_advance(track);
}

void
synq_track_mark(
    struct synq_track *track, int64_t offset, enum synq_track_state state)
{
	if (offset < track->base || offset > MAX_OFFSET)
		return;
	if (state != SYNQ_TRACK_DONE) {
		if (offset < track->read &&
		    slot_get(track, offset) != SYNQ_TRACK_DONE)
			slot_set(track, offset, state);
		return;
	}

	if (offset >= track->next) {
		finish_ahead(track, offset);
	} else if (slot_get(track, offset) != SYNQ_TRACK_DONE) {
		slot_finish(track, offset);
		if (offset == track->base)
			base_advance(track);
	}
}

enum synq_track_state
synq_track_get(const struct synq_track *track, int64_t offset)
{
	if (offset < track->base)
		return SYNQ_TRACK_DONE;
	if (offset >= track->next)
		return SYNQ_TRACK_QUEUED;
	return slot_get(track, offset);
}

int64_t
synq_track_base(const struct synq_track *track)
{
	return track->base;
}

int64_t
synq_track_next(const struct synq_track *track)
{
	return track->next;
}

size_t
synq_track_open(const struct synq_track *track)
{
	return track->open;
}

/* ---- the results' offset ------------------------------------------------ */

int64_t
synq_track_results_offset(const struct synq_track *track)
{
	return track->results_offset;
}

void
synq_track_set_results_offset(struct synq_track *track, int64_t offset)
{
	if (offset <= track->results_wanted)
		return;
	track->results_wanted = offset;
	if (track->lost_end > 0)
		return;
	track->results_offset = offset;
	track->dirty = 1;
}

void
synq_track_cut_results(struct synq_track *track, int64_t offset)
{
	if (track->results_wanted >= offset)
		track->results_wanted = offset - 1;
	if (track->results_offset < offset)
		return;
	track->results_offset = offset - 1;
	track->dirty = 1;
}

int
synq_track_dirty(const struct synq_track *track)
{
	return track->dirty;
}
