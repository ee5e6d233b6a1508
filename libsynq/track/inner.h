#ifndef SYNQ_TRACK_INNER_H
#define SYNQ_TRACK_INNER_H

/*
 * The tracker's ring, shared by its two files.  Inside track only.
 *
 *	base                  read                  next
 *	 |  read: open or done |  known, not read:   |  nothing is known
 *	 |                     |  done or not done   |
 *
 * Slots outside [base, next) are 0 (DONE), so that growing the window over a
 * gap costs nothing.  In [read, next) QUEUED means "not done".
 */

#include <stddef.h>
#include <stdint.h>

#include "track/track.h"

struct synq_track {
	int64_t base; /* the lowest offset that is not done, else next */
	int64_t next; /* one more than the highest known */
	int64_t read; /* one more than the highest read; at least base */
	uint64_t *ring;
	size_t slots;  /* a power of two, at least next - base */
	size_t undone; /* offsets in [base, next) that are not done */
	size_t open;   /* those of them below read */

	int64_t results_offset; /* what the map carries */
	int64_t results_wanted; /* what it will carry when nothing is lost */
	int64_t lost_end; /* marks below it did not fit; 0 = none did so */
	int dirty;
};

/*
 * The lowest offset of ${track} from ${from} on that is done (${done} 1) or
 * not done (0); ${end} if there is none below it.
 */
int64_t synq_track_find(
    const struct synq_track *track, int64_t from, int64_t end, int done);

/*
 * Move next of ${track} up to ${end}; what is new is done if ${done} is 1.
 * The window must be checked before.
 */
void synq_track_extend(struct synq_track *track, int64_t end, int done);

/*
 * 1 if a window of ${window} offsets, ${undone} of them not done, fits into
 * ${max_chars} of metadata now and whatever is done next, else 0.
 */
int synq_track_fits(int64_t window, size_t undone, size_t max_chars);

#endif
