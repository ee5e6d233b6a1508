#ifndef SYNQ_RECORDER_CUT_H
#define SYNQ_RECORDER_CUT_H

/*
 * Does the log still hold what the database says was recorded?  A broker that
 * lost power may come back with less than it had, and may have taken new
 * records at the same offsets since: those must not be passed over (ADR 0010).
 */

#include <stdint.h>

struct place;

/*
 * Find out for ${place}, of which everything below ${place}->recorded, which is
 * above 0, was recorded and all that is older than ${as_of_at} (0 = not known).
 * read_start or read_rewind follows, unless cut_forget does.
 */
void cut_look(struct place *place, int64_t as_of_at);

/* No longer find out for ${place}. */
void cut_forget(struct place *place);

#endif
