#ifndef CTL_JOB_SEEN_H
#define CTL_JOB_SEEN_H

/*
 * Which names have been met, by their hash: 16 bytes for each, so that a
 * million take 32 MiB.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define SEEN_INPUT 1U  /* met in the input */
#define SEEN_OUTPUT 2U /* its result is in the output already */

struct seen;

/* An empty set.  The caller frees it. */
struct seen *seen_new(void);

/* Free *${seen}; sets it to NULL. */
void seen_free(struct seen **seen);

/*
 * Add ${flag} to what is known of ${name} of the kind ${kind} (any character);
 * returns what was known before, 0 if nothing.
 */
unsigned seen_add(
    struct seen *seen, char kind, struct synq_slice name, unsigned flag);

#endif
