/*
 * Objects come from blocks of about BLOCK_BYTES that are taken from the heap
 * as they are needed and kept until the slab is freed, so that memory follows
 * the highest use there was.  Free objects form a list through their first
 * bytes.
 */

#include "base/slab.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/poison.h"

#define BLOCK_BYTES ((size_t)64 << 10)

struct block {
	struct block *next;
	alignas(max_align_t) char data[];
};

struct unused {
	struct unused *next;
};

struct synq_slab {
	const char *name;
	size_t bytes;     /* of one object, as asked for */
	size_t step;      /* from one object to the next in a block */
	size_t per_block; /* objects */
	size_t max_count;
	size_t used;
	struct unused *unused;
	struct block *blocks;
};

struct synq_slab *
synq_slab_new(const char *name, size_t bytes, size_t max_count)
{
	struct synq_slab *slab = synq_mem_new(sizeof(*slab));
	size_t step =
	    bytes < sizeof(struct unused) ? sizeof(struct unused) : bytes;

	assert(bytes <= SIZE_MAX / 2);
	step = (step + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	slab->name = name;
	slab->bytes = bytes;
	slab->step = step;
	slab->per_block = step < BLOCK_BYTES ? BLOCK_BYTES / step : 1;
	slab->max_count = max_count;
	return slab;
}

void
synq_slab_free(struct synq_slab **slab)
{
	if (!*slab)
		return;
	for (struct block *block = (*slab)->blocks; block;) {
		struct block *next = block->next;

		synq_unpoison(block->data, (*slab)->per_block * (*slab)->step);
		synq_mem_free(block);
		block = next;
	}
	synq_mem_free(*slab);
	*slab = NULL;
}

/* Put ${object} on the list of those that may be taken. */
static void
put_back(struct synq_slab *slab, void *object)
{
	struct unused *unused = object;

	unused->next = slab->unused;
	slab->unused = unused;
	synq_poison(object, slab->step);
}

static void
add_block(struct synq_slab *slab)
{
	struct block *block = synq_mem_resize(
	    NULL, sizeof(*block) + slab->per_block * slab->step);

	block->next = slab->blocks;
	slab->blocks = block;
	/* The last first, so that they are taken in the order of addresses. */
	for (size_t i = slab->per_block; i > 0; i--)
		put_back(slab, block->data + (i - 1) * slab->step);
}

void *
synq_slab_take(struct synq_slab *slab)
{
	if (slab->used >= slab->max_count)
		return NULL;
	if (!slab->unused)
		add_block(slab);
	assert(slab->unused);

	struct unused *object = slab->unused;
	synq_unpoison(object, sizeof(*object));
	slab->unused = object->next;
	slab->used++;
	/* What lies between two objects stays forbidden. */
	synq_poison(object, slab->step);
	synq_unpoison(object, slab->bytes);
	return memset(object, 0, slab->bytes);
}

void
synq_slab_give(struct synq_slab *slab, void *object)
{
	if (!object)
		return;
	assert(slab->used > 0);
	slab->used--;
	synq_unpoison(object, slab->step);
	put_back(slab, object);
}

size_t
synq_slab_used(const struct synq_slab *slab)
{
	return slab->used;
}

const char *
synq_slab_name(const struct synq_slab *slab)
{
	return slab->name;
}
