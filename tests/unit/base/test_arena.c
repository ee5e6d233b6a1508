#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static int
trim(void **state)
{
	(void)state;
	synq_arena_trim();
	return 0;
}

static void
test_arena_gives_zeroed_aligned_memory(void **state)
{
	(void)state;
	static const char zeros[100];
	struct synq_arena *arena = synq_arena_new(256, 10000);

	for (size_t bytes = 0; bytes < 100; bytes += 7) {
		char *piece = synq_arena_alloc(arena, bytes);

		assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
		assert_memory_equal(piece, zeros, bytes);
		memset(piece, 0xaa, bytes);
	}
	synq_arena_free(&arena);
	assert_null(arena);
	synq_arena_free(&arena);
}

static void
test_arena_keeps_pieces_apart(void **state)
{
	(void)state;
	struct synq_arena *arena = synq_arena_new(128, 1 << 20);
	unsigned char *pieces[200];

	for (size_t i = 0; i < 200; i++) {
		pieces[i] = synq_arena_raw(arena, i);
		memset(pieces[i], (int)i, i);
	}

	for (size_t i = 0; i < 200; i++) {
		for (size_t k = 0; k < i; k++)
			assert_int_equal(pieces[i][k], i);
	}
	synq_arena_free(&arena);
}

static void
test_arena_maximum_counts_what_was_asked_for(void **state)
{
	(void)state;
	struct synq_arena *arena = synq_arena_new(64, 1000);

	assert_true(synq_arena_fits(arena, 1000));
	assert_false(synq_arena_fits(arena, 1001));
	assert_false(synq_arena_fits(arena, SIZE_MAX));
	for (size_t i = 0; i < 999; i++)
		synq_arena_slice(arena, synq_slice_of("x", 1));
	assert_true(synq_arena_fits(arena, 1));
	assert_false(synq_arena_fits(arena, 2));
	synq_arena_free(&arena);
}

static void
test_arena_large_piece_leaves_current_chunk_in_use(void **state)
{
	(void)state;
	struct synq_arena *arena = synq_arena_new(256, 1 << 20);
	char *before = synq_arena_raw(arena, 16);
	char *large = synq_arena_raw(arena, 5000);
	char *after = synq_arena_raw(arena, 16);

	memset(large, 1, 5000);
	assert_ptr_equal(after, before + 16);
	synq_arena_free(&arena);
}

static void
test_arena_copies_text(void **state)
{
	(void)state;
	struct synq_arena *arena = synq_arena_new(64, 1000);

	struct synq_slice copy =
	    synq_arena_slice(arena, synq_slice_of("abcdef", 3));
	struct synq_slice empty =
	    synq_arena_slice(arena, synq_slice_of(NULL, 0));

	assert_string_equal(copy.data, "abc");
	assert_int_equal(copy.bytes, 3);
	assert_string_equal(empty.data, "");
	assert_string_equal(synq_arena_text(arena, "text"), "text");
	assert_null(synq_arena_text(arena, NULL));
	assert_string_equal(synq_arena_printf(arena, "%0100d", 7) + 98, "07");
	synq_arena_free(&arena);
}

static void
test_arena_is_taken_from_the_kept_ones(void **state)
{
	(void)state;
	struct synq_arena *first = synq_arena_new(512, 1000);
	struct synq_arena *was = first;
	size_t empty_bytes = synq_arena_bytes(first);

	synq_arena_raw(first, 900);
	assert_true(synq_arena_bytes(first) > empty_bytes);
	synq_arena_free(&first);
	struct synq_arena *other = synq_arena_new(1024, 50);
	struct synq_arena *again = synq_arena_new(512, 50);

	assert_ptr_not_equal(other, was);
	assert_ptr_equal(again, was);
	assert_int_equal(synq_arena_bytes(again), empty_bytes);
	assert_true(synq_arena_fits(again, 50));
	assert_false(synq_arena_fits(again, 51));
	synq_arena_free(&again);
	synq_arena_free(&other);
}

/* More sizes than there are lists: none may be lost or mixed up. */
static void
test_arena_many_chunk_sizes_work(void **state)
{
	(void)state;
	struct synq_arena *arenas[20];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 20; i++) {
			arenas[i] = synq_arena_new(64 + 16 * i, 1000);
			memset(synq_arena_raw(arenas[i], 64 + 16 * i), 1,
			    64 + 16 * i);
		}
		for (size_t i = 0; i < 20; i++)
			synq_arena_free(&arenas[i]);
	}
}

static void *
free_here(void *ctx)
{
	struct synq_arena *arena = ctx;

	synq_arena_free(&arena);
	arena = synq_arena_new(64, 10);
	synq_arena_raw(arena, 10);
	synq_arena_free(&arena);
	return NULL;
}

/* The leak checker sees it if the thread's end keeps anything. */
static void
test_arena_may_be_freed_by_another_thread(void **state)
{
	(void)state;
	struct synq_arena *arena = synq_arena_new(64, 10);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, free_here, arena), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena_gives_zeroed_aligned_memory),
		cmocka_unit_test(test_arena_keeps_pieces_apart),
		cmocka_unit_test(test_arena_maximum_counts_what_was_asked_for),
		cmocka_unit_test(
		    test_arena_large_piece_leaves_current_chunk_in_use),
		cmocka_unit_test(test_arena_copies_text),
		cmocka_unit_test_setup(
		    test_arena_is_taken_from_the_kept_ones, trim),
		cmocka_unit_test(test_arena_many_chunk_sizes_work),
		cmocka_unit_test(test_arena_may_be_freed_by_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, trim);
}
