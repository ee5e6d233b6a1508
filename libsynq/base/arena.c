/*
 * The arena's record lies at the start of its first chunk, so that an empty
 * arena is one block of the heap.  When the current chunk is full a new one
 * becomes current; a piece larger than a chunk gets a chunk of its own behind
 * it.  What is left at the end of a chunk is not searched again.
 *
 * Freed arenas are kept, each with its first chunk, on a list of the thread
 * per chunk size (no lock), up to KEEP_BYTES each; the thread's end gives
 * them back.  A thread may free an arena that another one made.
 */

#include "base/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/poison.h"

/* How much memory one kept list may hold, and how many lists there are. */
#define KEEP_BYTES ((size_t)4 << 20)
#define KEEP_LISTS 8

struct chunk {
	struct chunk *next;
	size_t room; /* bytes behind this record */
	alignas(max_align_t) char data[];
};

struct synq_arena {
	struct chunk *chunks; /* the current one first */
	struct chunk *first;  /* holds this record */
	char *at;             /* free bytes of the current chunk */
	char *end;
	size_t chunk_bytes;
	size_t max_bytes;
	size_t used;  /* what callers asked for */
	size_t taken; /* what the heap gave */
	struct synq_arena *next_kept;
};

struct keep {
	size_t chunk_bytes;
	size_t count;
	struct synq_arena *arenas;
};

static thread_local struct keep keeps[KEEP_LISTS];
static thread_local int trims_at_end;
static tss_t trim_key;
static once_flag trim_once = ONCE_FLAG_INIT;

SYNQ_NORETURN static void
arena_is_full(void)
{
	static const char line[] = "an arena is larger than its maximum\n";
	ssize_t written;

	do {
		written = write(STDERR_FILENO, line, sizeof(line) - 1);
	} while (written < 0 && errno == EINTR);
	_exit(SYNQ_EXIT_NO_MEMORY);
}

static struct chunk *
new_chunk(size_t room)
{
	struct chunk *chunk = synq_mem_resize(NULL, sizeof(*chunk) + room);

	chunk->next = NULL;
	chunk->room = room;
	return chunk;
}

static void
free_chunk(struct chunk *chunk)
{
	synq_unpoison(chunk->data, chunk->room);
	synq_mem_free(chunk);
}

static void
trim_at_thread_end(void *unused SYNQ_UNUSED)
{
	synq_arena_trim();
}

static void
make_trim_key(void)
{
	if (tss_create(&trim_key, trim_at_thread_end) != thrd_success)
		arena_is_full();
}

/* The list of this thread for ${chunk_bytes}; NULL if all are in use. */
static struct keep *
keep_of(size_t chunk_bytes)
{
	struct keep *spare = NULL;

	for (size_t i = 0; i < KEEP_LISTS; i++) {
		if (keeps[i].chunk_bytes == chunk_bytes)
			return &keeps[i];
		if (keeps[i].count == 0)
			spare = &keeps[i];
	}
	if (spare)
		spare->chunk_bytes = chunk_bytes;
	return spare;
}

/* Make ${arena} as if it had just been made; its first chunk is all it has. */
static void
reset(struct synq_arena *arena, size_t max_bytes)
{
	struct chunk *first = arena->first;

	arena->chunks = first;
	arena->at = first->data + sizeof(*arena);
	arena->end = first->data + first->room;
	arena->max_bytes = max_bytes;
	arena->used = 0;
	arena->taken = sizeof(*first) + first->room;
	synq_poison(arena->at, (size_t)(arena->end - arena->at));
}

struct synq_arena *
synq_arena_new(size_t chunk_bytes, size_t max_bytes)
{
	struct keep *keep = keep_of(chunk_bytes);

	if (keep && keep->count > 0) {
		struct synq_arena *kept = keep->arenas;

		keep->arenas = kept->next_kept;
		keep->count--;
		reset(kept, max_bytes);
		return kept;
	}

	struct chunk *first =
	    new_chunk(sizeof(struct synq_arena) + chunk_bytes);
	struct synq_arena *arena = (struct synq_arena *)(void *)first->data;
	*arena = (struct synq_arena){
		.first = first,
		.chunk_bytes = chunk_bytes,
	};
	reset(arena, max_bytes);
	return arena;
}

void
synq_arena_free(struct synq_arena **arena)
{
	struct synq_arena *gone = *arena;

	if (!gone)
		return;
	*arena = NULL;
	for (struct chunk *chunk = gone->chunks; chunk;) {
		struct chunk *next = chunk->next;

		if (chunk != gone->first)
			free_chunk(chunk);
		chunk = next;
	}
	gone->first->next = NULL;

	struct keep *keep = keep_of(gone->chunk_bytes);
	if (!keep || (keep->count + 1) * gone->first->room > KEEP_BYTES) {
		free_chunk(gone->first);
		return;
	}
	if (!trims_at_end) {
		call_once(&trim_once, make_trim_key);
		tss_set(trim_key, &trims_at_end);
		trims_at_end = 1;
	}
	reset(gone, 0);
	gone->next_kept = keep->arenas;
	keep->arenas = gone;
	keep->count++;
}

/* Add a chunk with room for ${bytes}; returns where they begin. */
static char *
grow(struct synq_arena *arena, size_t bytes)
{
	int is_large = bytes > arena->chunk_bytes;
	struct chunk *chunk = new_chunk(is_large ? bytes : arena->chunk_bytes);

	arena->taken += sizeof(*chunk) + chunk->room;
	if (is_large) {
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
		return chunk->data;
	}
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->at = chunk->data + bytes;
	arena->end = chunk->data + chunk->room;
	synq_poison(arena->at, chunk->room - bytes);
	return chunk->data;
}

/* ${bytes} bytes at a multiple of ${align}, of which ${counted} count. */
static void *
take(struct synq_arena *arena, size_t bytes, size_t counted, size_t align)
{
	if (!synq_arena_fits(arena, counted))
		arena_is_full();
	arena->used += counted;

	size_t gap = (size_t)(0 - (uintptr_t)arena->at) & (align - 1);
	size_t room = (size_t)(arena->end - arena->at);
	if (gap > room || bytes > room - gap)
		return grow(arena, bytes);

	char *piece = arena->at + gap;
	arena->at = piece + bytes;
	synq_unpoison(piece, bytes);
	return piece;
}

void *
synq_arena_alloc(struct synq_arena *arena, size_t bytes)
{
	void *piece = synq_arena_raw(arena, bytes);

	return memset(piece, 0, bytes);
}

void *
synq_arena_raw(struct synq_arena *arena, size_t bytes)
{
	return take(arena, bytes, bytes, alignof(max_align_t));
}

char *
synq_arena_text(struct synq_arena *arena, const char *text)
{
	if (!text)
		return NULL;

	size_t bytes = strlen(text);
	char *copy = take(arena, bytes + 1, bytes, 1);
	return memcpy(copy, text, bytes + 1);
}

struct synq_slice
synq_arena_slice(struct synq_arena *arena, struct synq_slice slice)
{
	/* The NUL is free of charge, so that what fits by its size does. */
	if (slice.bytes == SIZE_MAX)
		arena_is_full();
	char *copy = take(arena, slice.bytes + 1, slice.bytes, 1);

	if (slice.bytes > 0)
		memcpy(copy, slice.data, slice.bytes);
	copy[slice.bytes] = '\0';
	return synq_slice_of(copy, slice.bytes);
}

char *
synq_arena_printf(struct synq_arena *arena, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int wanted = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	assert(wanted >= 0);

	size_t bytes = (size_t)wanted;
	char *text = take(arena, bytes + 1, bytes, 1);
	va_start(args, fmt);
	vsnprintf(text, bytes + 1, fmt, args);
	va_end(args);
	return text;
}

int
synq_arena_fits(const struct synq_arena *arena, size_t bytes)
{
	return bytes <= arena->max_bytes - arena->used;
}

size_t
synq_arena_bytes(const struct synq_arena *arena)
{
	return arena->taken;
}

void
synq_arena_trim(void)
{
	for (size_t i = 0; i < KEEP_LISTS; i++) {
		while (keeps[i].arenas) {
			struct synq_arena *arena = keeps[i].arenas;

			keeps[i].arenas = arena->next_kept;
			free_chunk(arena->first);
		}
		keeps[i].count = 0;
	}
}
