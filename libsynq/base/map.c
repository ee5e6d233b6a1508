/*
 * Open addressing with linear probing over a power of two of slots; at most
 * three in four are taken.  A removed entry whose follower is in use leaves a
 * grave, so that entries never move except when an entry is added: that is
 * what makes removing during an iteration safe.  Graves are swept as soon as
 * the slot behind them is free, and when the table is built anew.
 */

#include "base/map.h"

#include <assert.h>
#include <endian.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"

#define FIRST_SLOTS 16

enum state {
	FREE, /* ends a search; zeroed memory is free */
	GRAVE,
	TAKEN
};

struct slot {
	uint64_t hash;
	struct synq_slice key; /* borrowed */
	void *value;
	enum state state;
};

struct synq_map {
	struct slot *slots;
	size_t room;  /* a power of two */
	size_t count; /* taken */
	size_t graves;
};

static uint8_t process_key[16];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void
make_process_key(void)
{
	synq_rand_system(process_key, sizeof(process_key));
}

static uint64_t
hash_of(struct synq_slice key)
{
	return synq_siphash(key.data, key.bytes, process_key);
}

struct synq_map *
synq_map_new(void)
{
	struct synq_map *map = synq_mem_new(sizeof(*map));

	pthread_once(&key_once, make_process_key);
	map->room = FIRST_SLOTS;
	map->slots = synq_mem_array(map->room, sizeof(*map->slots));
	return map;
}

void
synq_map_free(struct synq_map **map)
{
	if (!*map)
		return;
	synq_mem_free((*map)->slots);
	synq_mem_free(*map);
	*map = NULL;
}

static struct slot *
find(const struct synq_map *map, struct synq_slice key, uint64_t hash)
{
	size_t mask = map->room - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		struct slot *slot = &map->slots[i];

		if (slot->state == FREE)
			return NULL;
		if (slot->state == TAKEN && slot->hash == hash &&
		    synq_slice_equal(slot->key, key))
			return slot;
	}
}

/* The first slot on the way of ${hash} that is not taken. */
static struct slot *
find_room(const struct synq_map *map, uint64_t hash)
{
	size_t mask = map->room - 1;
	size_t i = hash & mask;

	while (map->slots[i].state == TAKEN)
		i = (i + 1) & mask;
	return &map->slots[i];
}

/* Build the table anew, without graves and with at least half of it free. */
static void
rebuild(struct synq_map *map)
{
	struct slot *old = map->slots;
	size_t old_room = map->room;

	map->room = FIRST_SLOTS;
	while (map->room < map->count * 2 + 2)
		map->room *= 2;
	map->slots = synq_mem_array(map->room, sizeof(*map->slots));
	map->graves = 0;
	for (size_t i = 0; i < old_room; i++) {
		if (old[i].state == TAKEN)
			*find_room(map, old[i].hash) = old[i];
	}
	synq_mem_free(old);
}

void *
synq_map_get(const struct synq_map *map, struct synq_slice key)
{
	const struct slot *slot = find(map, key, hash_of(key));

	return slot ? slot->value : NULL;
}

void *
synq_map_set(struct synq_map *map, struct synq_slice key, void *value)
{
	uint64_t hash = hash_of(key);
	struct slot *slot = find(map, key, hash);

	assert(value);
	if (slot) {
		void *before = slot->value;

		slot->key = key;
		slot->value = value;
		return before;
	}
	if ((map->count + map->graves + 1) * 4 > map->room * 3)
		rebuild(map);
	slot = find_room(map, hash);
	if (slot->state == GRAVE)
		map->graves--;
	*slot = (struct slot){
		.hash = hash,
		.key = key,
		.value = value,
		.state = TAKEN,
	};
	map->count++;
	return NULL;
}

void *
synq_map_remove(struct synq_map *map, struct synq_slice key)
{
	struct slot *slot = find(map, key, hash_of(key));
	size_t mask = map->room - 1;

	if (!slot)
		return NULL;
	void *value = slot->value;
	*slot = (struct slot){ .state = GRAVE };
	map->count--;
	map->graves++;

	size_t i = (size_t)(slot - map->slots);
	if (map->slots[(i + 1) & mask].state != FREE)
		return value;
	for (; map->slots[i].state == GRAVE; i = (i - 1) & mask) {
		map->slots[i].state = FREE;
		map->graves--;
	}
	return value;
}

size_t
synq_map_count(const struct synq_map *map)
{
	return map->count;
}

void *
synq_map_next(const struct synq_map *map, size_t *cursor)
{
	while (*cursor < map->room) {
		const struct slot *slot = &map->slots[(*cursor)++];

		if (slot->state == TAKEN)
			return slot->value;
	}
	return NULL;
}

static inline uint64_t
rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* ${bytes} (at most 8) bytes at ${data} as a little-endian number. */
static uint64_t
load(const uint8_t *data, size_t bytes)
{
	uint64_t word = 0;

	for (size_t i = 0; i < bytes; i++)
		word |= (uint64_t)data[i] << (8 * i);
	return word;
}

static inline uint64_t
load_word(const uint8_t *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return le64toh(word);
}

static inline void
sip_rounds(uint64_t v[4], unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

uint64_t
synq_siphash(const void *data, size_t bytes, const uint8_t key[16])
{
	const uint8_t *at = data;
	size_t left = bytes;
	uint64_t k0 = load_word(key);
	uint64_t k1 = load_word(key + 8);
	uint64_t v[4] = {
		k0 ^ 0x736f6d6570736575,
		k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573,
	};

	for (; left >= 8; left -= 8, at += 8) {
		uint64_t word = load_word(at);

		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	uint64_t last = (uint64_t)bytes << 56 | load(at, left);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
