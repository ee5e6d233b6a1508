#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/heap.h"
#include "base/rand.h"

#define NODES 500

static void
check_order(const struct synq_heap *heap)
{
	for (size_t place = 1; place <= heap->count; place++) {
		assert_int_equal(heap->nodes[place - 1]->place, place);
		if (place > 1)
			assert_true(heap->nodes[place / 2 - 1]->key <=
				    heap->nodes[place - 1]->key);
	}
}

static void
test_heap_gives_smallest_key_first(void **state)
{
	(void)state;
	struct synq_heap_node nodes[NODES] = { 0 };
	struct synq_heap heap;
	struct synq_rand rand;
	uint64_t last = 0;

	synq_heap_init(&heap);
	synq_rand_init(&rand, 1);
	for (size_t i = 0; i < NODES; i++)
		synq_heap_push(&heap, &nodes[i], synq_rand_below(&rand, NODES));

	for (size_t i = 0; i < NODES; i++) {
		struct synq_heap_node *node = synq_heap_first(&heap);

		assert_true(node->key >= last);
		last = node->key;
		synq_heap_remove(&heap, node);
		assert_int_equal(node->place, 0);
	}
	assert_null(synq_heap_first(&heap));
	synq_heap_done(&heap);
}

static void
test_heap_any_node_can_be_removed(void **state)
{
	(void)state;
	struct synq_heap_node nodes[NODES] = { 0 };
	struct synq_heap heap;
	struct synq_rand rand;

	synq_heap_init(&heap);
	synq_rand_init(&rand, 2);
	for (size_t i = 0; i < 20 * (size_t)NODES; i++) {
		size_t which = synq_rand_below(&rand, NODES);

		if (nodes[which].place)
			synq_heap_remove(&heap, &nodes[which]);
		else
			synq_heap_push(
			    &heap, &nodes[which], synq_rand_below(&rand, 99));
		if (i % 64 == 0)
			check_order(&heap);
	}
	check_order(&heap);
	synq_heap_done(&heap);
}

static void
test_heap_removing_what_is_not_there_is_harmless(void **state)
{
	(void)state;
	struct synq_heap_node in = { 0 };
	struct synq_heap_node out = { 0 };
	struct synq_heap heap;

	synq_heap_init(&heap);
	synq_heap_push(&heap, &in, UINT64_MAX);
	synq_heap_remove(&heap, &out);

	assert_ptr_equal(synq_heap_first(&heap), &in);
	assert_int_equal(heap.count, 1);
	synq_heap_done(&heap);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_gives_smallest_key_first),
		cmocka_unit_test(test_heap_any_node_can_be_removed),
		cmocka_unit_test(
		    test_heap_removing_what_is_not_there_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
