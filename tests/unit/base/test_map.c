#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/rand.h"

#define KEYS 400

struct entry {
	char key[16];
	int in_map;
	int seen;
};

static struct entry entries[KEYS];

static struct synq_slice
key_of(size_t i)
{
	return synq_slice_of(entries[i].key, sizeof(entries[i].key));
}

static int
make_keys(void **state)
{
	(void)state;
	memset(entries, 0, sizeof(entries));
	for (size_t i = 0; i < KEYS; i++)
		memcpy(entries[i].key, &i, sizeof(i));
	return 0;
}

/* The published vectors of SipHash-2-4: key 00..0f, data 00..n-1. */
static void
test_siphash_gives_published_vectors(void **state)
{
	(void)state;
	uint8_t bytes[64];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;

	assert_true(synq_siphash(bytes, 0, bytes) == 0x726fdb47dd0e0e31);
	assert_true(synq_siphash(bytes, 1, bytes) == 0x74f839c593dc67fd);
	assert_true(synq_siphash(bytes, 15, bytes) == 0xa129ca6149be45e5);
	assert_true(synq_siphash(bytes, 63, bytes) == 0x958a324ceb064572);
}

/* Compared with an array, through growth, graves and rebuilding. */
static void
test_map_agrees_with_an_array(void **state)
{
	(void)state;
	struct synq_map *map = synq_map_new();
	struct synq_rand rand;
	size_t count = 0;

	synq_rand_init(&rand, 3);
	for (int round = 0; round < 40000; round++) {
		/* Waves, so that it both grows and empties. */
		size_t range = round / 4000 % 2 ? KEYS : 8;
		size_t i = synq_rand_below(&rand, range);
		struct entry *entry = &entries[i];
		void *want = entry->in_map ? entry : NULL;

		assert_ptr_equal(synq_map_get(map, key_of(i)), want);
		if (synq_rand_below(&rand, 2)) {
			assert_ptr_equal(
			    synq_map_set(map, key_of(i), entry), want);
			count += !entry->in_map;
			entry->in_map = 1;
		} else {
			assert_ptr_equal(synq_map_remove(map, key_of(i)), want);
			count -= entry->in_map != 0;
			entry->in_map = 0;
		}
		assert_int_equal(synq_map_count(map), count);
	}
	synq_map_free(&map);
	assert_null(map);
	synq_map_free(&map);
}

static void
test_map_iterates_once_over_each_while_removing(void **state)
{
	(void)state;
	struct synq_map *map = synq_map_new();
	struct entry *entry;
	size_t cursor = 0;
	size_t count = 0;

	for (size_t i = 0; i < KEYS; i++)
		synq_map_set(map, key_of(i), &entries[i]);
	while ((entry = synq_map_next(map, &cursor))) {
		assert_int_equal(entry->seen++, 0);
		if (count++ % 3)
			synq_map_remove(map, key_of((size_t)(entry - entries)));
	}

	assert_int_equal(count, KEYS);
	assert_int_equal(synq_map_count(map), (KEYS + 2) / 3);
	synq_map_free(&map);
}

static void
test_map_borrows_the_new_key_when_it_replaces(void **state)
{
	(void)state;
	struct synq_map *map = synq_map_new();
	char first[] = "same";
	char second[] = "same";

	assert_null(synq_map_set(map, synq_slice_text(first), first));
	assert_ptr_equal(
	    synq_map_set(map, synq_slice_text(second), second), first);
	memset(first, 'x', 4);

	assert_ptr_equal(synq_map_get(map, synq_slice_text("same")), second);
	assert_int_equal(synq_map_count(map), 1);
	synq_map_free(&map);
}

static void
test_map_takes_the_empty_key(void **state)
{
	(void)state;
	struct synq_map *map = synq_map_new();
	int value;

	assert_null(synq_map_get(map, synq_slice_of(NULL, 0)));
	synq_map_set(map, synq_slice_of(NULL, 0), &value);
	assert_ptr_equal(synq_map_get(map, synq_slice_text("")), &value);
	synq_map_free(&map);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_gives_published_vectors),
		cmocka_unit_test_setup(
		    test_map_agrees_with_an_array, make_keys),
		cmocka_unit_test_setup(
		    test_map_iterates_once_over_each_while_removing, make_keys),
		cmocka_unit_test(test_map_borrows_the_new_key_when_it_replaces),
		cmocka_unit_test(test_map_takes_the_empty_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
