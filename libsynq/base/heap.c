/*
 * The children of place p are 2p and 2p + 1, counted from 1.  Each node knows
 * its place, so that taking out any of them costs no search.
 */

#include "base/heap.h"

#include <assert.h>

#include "base/mem.h"

#define FIRST_ROOM 64

void
synq_heap_init(struct synq_heap *heap)
{
	*heap = (struct synq_heap){ 0 };
}

void
synq_heap_done(struct synq_heap *heap)
{
	synq_mem_free(heap->nodes);
	synq_heap_init(heap);
}

static void
put_at(struct synq_heap *heap, struct synq_heap_node *node, size_t place)
{
	heap->nodes[place - 1] = node;
	node->place = place;
}

/* Let ${node}, which belongs at ${place}, rise to where its parent is less. */
static void
rise(struct synq_heap *heap, struct synq_heap_node *node, size_t place)
{
	while (place > 1) {
		struct synq_heap_node *parent = heap->nodes[place / 2 - 1];

		if (parent->key <= node->key)
			break;
		put_at(heap, parent, place);
		place /= 2;
	}
	put_at(heap, node, place);
}

/* Let ${node}, which belongs at ${place}, sink to where no child is less. */
static void
sink(struct synq_heap *heap, struct synq_heap_node *node, size_t place)
{
	for (;;) {
		size_t child = place * 2;

		if (child > heap->count)
			break;
		if (child < heap->count &&
		    heap->nodes[child]->key < heap->nodes[child - 1]->key)
			child++;
		if (node->key <= heap->nodes[child - 1]->key)
			break;
		put_at(heap, heap->nodes[child - 1], place);
		place = child;
	}
	put_at(heap, node, place);
}

void
synq_heap_push(
    struct synq_heap *heap, struct synq_heap_node *node, uint64_t key)
{
	assert(node->place == 0);
	if (heap->count == heap->room) {
		heap->room = heap->room ? heap->room * 2 : FIRST_ROOM;
		heap->nodes = synq_mem_resize(
		    heap->nodes, heap->room * sizeof(struct synq_heap_node *));
	}
	node->key = key;
	heap->count++;
	rise(heap, node, heap->count);
}

struct synq_heap_node *
synq_heap_first(const struct synq_heap *heap)
{
	return heap->count ? heap->nodes[0] : NULL;
}

void
synq_heap_remove(struct synq_heap *heap, struct synq_heap_node *node)
{
	size_t place = node->place;

	if (place == 0)
		return;
	assert(place <= heap->count && heap->nodes[place - 1] == node);
	struct synq_heap_node *last = heap->nodes[heap->count - 1];
	heap->count--;
	node->place = 0;
	if (last == node)
		return;
	if (place > 1 && heap->nodes[place / 2 - 1]->key > last->key)
		rise(heap, last, place);
	else
		sink(heap, last, place);
}
