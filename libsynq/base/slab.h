#ifndef SYNQ_BASE_SLAB_H
#define SYNQ_BASE_SLAB_H

/*
 * A slab: objects of one size, named and counted, for records in flight.
 *
 * Limits: at most max_count objects exist at once; above that take returns
 * NULL, which is the caller's signal to refuse work, not an error of memory.
 */

#include <stddef.h>

struct synq_slab;

/*
 * A slab named ${name} (a literal) for up to ${max_count} objects of
 * ${bytes}.  The caller frees it.
 */
struct synq_slab *synq_slab_new(
    const char *name, size_t bytes, size_t max_count);

/* Free *${slab} and all its objects; sets it to NULL. */
void synq_slab_free(struct synq_slab **slab);

/* A zeroed object of ${slab}, or NULL if max_count are in use. */
void *synq_slab_take(struct synq_slab *slab);

/* Give ${object} back to ${slab}; NULL is fine. */
void synq_slab_give(struct synq_slab *slab, void *object);

/* How many objects of ${slab} are in use. */
size_t synq_slab_used(const struct synq_slab *slab);

/* The name of ${slab}. */
const char *synq_slab_name(const struct synq_slab *slab);

#endif
