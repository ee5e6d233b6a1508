#ifndef SYNQ_BASE_HEAP_H
#define SYNQ_BASE_HEAP_H

/*
 * A binary min-heap of nodes that live inside the objects, ordered by a 64-bit
 * key (usually a time in microseconds).  Used for deadlines and retries.
 */

#include <stddef.h>
#include <stdint.h>

struct synq_heap_node {
	uint64_t key;
	size_t place; /* 1-based index in the heap; 0 = in none */
};

struct synq_heap {
	struct synq_heap_node **nodes; /* owned array; the nodes are not */
	size_t count;
	size_t room;
};

/* Make ${heap} empty; allocates nothing. */
void synq_heap_init(struct synq_heap *heap);

/* Free the array of ${heap}; the nodes belong to the caller. */
void synq_heap_done(struct synq_heap *heap);

/* Put ${node}, which is in no heap, into ${heap} with ${key}. */
void synq_heap_push(
    struct synq_heap *heap, struct synq_heap_node *node, uint64_t key);

/* The node with the smallest key, still in ${heap}; NULL if it is empty. */
struct synq_heap_node *synq_heap_first(const struct synq_heap *heap);

/* Take ${node} out of ${heap}; nothing happens if it is in none. */
void synq_heap_remove(struct synq_heap *heap, struct synq_heap_node *node);

#endif
