#ifndef SYNQ_BASE_MAP_H
#define SYNQ_BASE_MAP_H

/*
 * A hash map from bytes to a pointer.  Keys are hashed by SipHash-2-4 with a
 * key that is random per process, so that no client can choose collisions.
 *
 * Ownership: the map borrows the key's bytes, which usually live in the value;
 * they must not move or change while the entry is there.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct synq_map;

/* A new, empty map.  The caller frees it. */
struct synq_map *synq_map_new(void);

/* Free *${map}, not its values; sets it to NULL. */
void synq_map_free(struct synq_map **map);

/* The value of ${key} in ${map}, or NULL. */
void *synq_map_get(const struct synq_map *map, struct synq_slice key);

/*
 * Set ${key} of ${map} to ${value}, which is not NULL.  Returns the value that
 * was there (its key bytes are no longer borrowed), or NULL.
 */
void *synq_map_set(struct synq_map *map, struct synq_slice key, void *value);

/* Take ${key} out of ${map}; returns its value, or NULL if it was not there. */
void *synq_map_remove(struct synq_map *map, struct synq_slice key);

/* How many entries ${map} has. */
size_t synq_map_count(const struct synq_map *map);

/*
 * Iterate: *${cursor} starts at 0; returns the next value of ${map}, NULL at
 * the end.  Entries must not be added meanwhile; the one just returned may be
 * removed.
 */
void *synq_map_next(const struct synq_map *map, size_t *cursor);

/*
 * SipHash-2-4 of ${bytes} bytes at ${data} with the 16 bytes at ${key}
 * (Aumasson and Bernstein, 2012).  Also fixes an organization's partitions.
 */
uint64_t synq_siphash(const void *data, size_t bytes, const uint8_t key[16]);

#endif
