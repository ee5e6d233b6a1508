#ifndef SYNQ_BASE_ARENA_H
#define SYNQ_BASE_ARENA_H

/*
 * An arena: memory for one job or one request, dropped whole.  There is no
 * free of a single piece, so there is no cleanup code.
 *
 * Limits: max_bytes given at creation; asking for more ends the process, so a
 * caller checks outside sizes first (synq_arena_fits).
 */

#include <stddef.h>

#include "base/attr.h"
#include "base/slice.h"

struct synq_arena;

/*
 * A new arena that takes memory in chunks of ${chunk_bytes} and holds at most
 * ${max_bytes}.  Empty arenas are kept on a free list per chunk size, so that
 * the next one costs no system call.  The caller frees it.
 */
struct synq_arena *synq_arena_new(size_t chunk_bytes, size_t max_bytes);

/* Free *${arena} and all that was allocated in it; sets it to NULL. */
void synq_arena_free(struct synq_arena **arena);

/* ${bytes} zeroed bytes, aligned for any type, until the arena is freed. */
void *synq_arena_alloc(struct synq_arena *arena, size_t bytes);

/* ${bytes} bytes that are not zeroed, aligned for any type. */
void *synq_arena_raw(struct synq_arena *arena, size_t bytes);

/* A copy of the C string ${text} in ${arena}; NULL gives NULL. */
char *synq_arena_text(struct synq_arena *arena, const char *text);

/* A copy of ${slice} in ${arena}, NUL-terminated behind its last byte. */
struct synq_slice synq_arena_slice(
    struct synq_arena *arena, struct synq_slice slice);

/* The text of ${fmt} as a C string in ${arena}. */
char *synq_arena_printf(struct synq_arena *arena, const char *fmt, ...)
    SYNQ_PRINTF(2, 3);

/* 1 if ${bytes} more bytes fit below the maximum of ${arena}, else 0. */
int synq_arena_fits(const struct synq_arena *arena, size_t bytes);

/* How many bytes ${arena} has taken from the heap. */
size_t synq_arena_bytes(const struct synq_arena *arena);

/* Give the kept empty arenas back to the heap (before exit, in tests). */
void synq_arena_trim(void);

#endif
