#ifndef SYNQ_TRACK_TRACK_H
#define SYNQ_TRACK_TRACK_H

/*
 * The offset tracker of one partition: which records are done while earlier
 * ones still run, and the map of that as text in the commit's metadata
 * (after Parallel Consumer; kafka.md 1.1 to 1.4; decisions 6 and 8).
 *
 * Pure: no clock, no I/O.  A ring of 2-bit states over the offsets from base
 * to the highest seen.  O(1) per mark; base advances by whole words.
 *
 * Limits: at most SYNQ_TRACK_MAX_WINDOW offsets, and the encoded map at most
 * SYNQ_TRACK_MAX_CHARS, always; synq_track_room says when to stop reading.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

#define SYNQ_TRACK_MAX_WINDOW 65536
#define SYNQ_TRACK_MAX_CHARS 3500

struct synq_track;

enum synq_track_state {
	SYNQ_TRACK_DONE = 0,    /* finished, or never a record (gap) */
	SYNQ_TRACK_QUEUED = 1,  /* read, waits */
	SYNQ_TRACK_RUNNING = 2, /* its call is out: never evicted */
	SYNQ_TRACK_WAITING = 3  /* waits for its retry, or is held */
};

/* A tracker that starts with base ${base}; the caller frees it. */
struct synq_track *synq_track_new(int64_t base);

/* Free *${track}; sets it to NULL. */
void synq_track_free(struct synq_track **track);

/*
 * A tracker as it was when ${metadata} was committed with ${base}, into
 * ${ret}.  Whatever does not decode, fails its CRC or reaches past
 * ${high_watermark} (-1 = unknown) means: nothing is known but ${base}; then
 * the return is CORRUPT and ${ret} is such a tracker all the same.  What is
 * not DONE in the map will come again as fresh records.  Empty metadata says
 * nothing and is no error.
 */
int synq_track_restore(int64_t base, struct synq_slice metadata,
    int64_t high_watermark, struct synq_track **ret);

/*
 * The record ${offset} was read.  Returns 1 if it is to be worked on (it is
 * now QUEUED), 0 if it is known to be done, was read before or is below base.
 * Offsets come in rising order; what lies between counts as done.
 *
 * Returns -LIMIT if it does not fit, which after synq_track_room happens only
 * where a gap of more than a thousand offsets lies before it: the record must
 * be kept, not worked on, and asked about again when base has moved.
 */
int synq_track_seen(struct synq_track *track, int64_t offset);

/*
 * Mark ${offset} ${state}.  DONE is final: a later mark changes nothing.
 * An offset not yet seen may be marked DONE (a result that was reconciled);
 * it is then known when it is read.  If it lies so far ahead that the map could
 * not hold it, it is not marked and results_offset stays as it is until base
 * has passed it.  Any other mark of an unseen offset, and any mark below base,
 * changes nothing.
 */
void synq_track_mark(
    struct synq_track *track, int64_t offset, enum synq_track_state state);

/* The state of ${offset}; DONE below base, QUEUED beyond what is known. */
enum synq_track_state synq_track_get(
    const struct synq_track *track, int64_t offset);

/* The lowest offset that is not done: what to commit. */
int64_t synq_track_base(const struct synq_track *track);

/* One more than the highest offset that was read or marked. */
int64_t synq_track_next(const struct synq_track *track);

/* How many records were read and are not done. */
size_t synq_track_open(const struct synq_track *track);

/*
 * 1 if another record may be read: the window stays below its limit and the
 * map below its, whichever of the open records are done next and in whatever
 * order.  The bound comes from two counters: about 20,000 offsets with any
 * number open, 65,000 with up to about 1,000 open.
 */
int synq_track_room(const struct synq_track *track);

/*
 * The results_offset that the map carries: every result below it that belongs
 * to this partition is in the map; -1 = none (read from the start).
 */
int64_t synq_track_results_offset(const struct synq_track *track);

/* Set it to ${offset}, once all marks are held; it never goes back. */
void synq_track_set_results_offset(struct synq_track *track, int64_t offset);

/* Results are lost from ${offset} on: set it below that, if it is not. */
void synq_track_cut_results(struct synq_track *track, int64_t offset);

/* 1 if a commit now would say something new, else 0. */
int synq_track_dirty(const struct synq_track *track);

/*
 * Append the metadata for a commit at synq_track_base to ${out} and count as
 * clean.  Always at most SYNQ_TRACK_MAX_CHARS.  Form:
 * "S1:" + base64url(type 1 | flags 1 | results_offset+1 varint | count varint |
 * payload | crc32c 4, little-endian), the smallest of
 *
 *	type 0  nothing: count is 0, nothing behind base is done
 *	type 1  a bit per offset from base on, lowest bit first; 1 = done
 *	type 2  varint lengths of runs: not done, done, not done, ... done
 *
 * The last of the count offsets is done; what follows is not worth saying.
 * All bits of flags and the other types are reserved for what an offset may be
 * besides done and not done; a reader that meets one knows nothing.
 */
void synq_track_encode(struct synq_track *track, struct synq_buf *out);

#endif
