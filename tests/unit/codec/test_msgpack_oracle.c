/*
 * The msgpack reader against msgpack-c: on mutated and on random input the
 * same verdict and the same values.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <msgpack.h>

#include "base/err.h"
#include "base/rand.h"
#include "base/slice.h"
#include "codec/msgpack.h"

#define MAX 64

/* A map with one member of each kind that is skipped, then a number. */
static const char skipped[] = "\xde\x00\x11"
			      "\x00\xc0"
			      "\x01\xc2"
			      "\x02\xc3"
			      "\x03\xca\x00\x00\x00\x00"
			      "\x04\xcb\x00\x00\x00\x00\x00\x00\x00\x00"
			      "\x05\x93\x01\xa1x\xc4\x01\x00"
			      "\x06\x82\xa1k\x01\xc0\x90"
			      "\x07\xd4\x00\x00"
			      "\x08\xd5\x00\x00\x00"
			      "\x09\xd6\x00\x00\x00\x00\x00"
			      "\x0a\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			      "\x0b\xd8\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			      "\x00\x00\x00\x00\x00\x00\x00\x00"
			      "\x0c\xc7\x02\x00\x00\x00"
			      "\x0d\xc8\x00\x01\x00\x00"
			      "\x0e\xdc\x00\x02\x01\x01"
			      "\x0f\xdf\x00\x00\x00\x01\x01\x01"
			      "\x10\xce\x00\x00\x00\x05";

/* Levels of ${object}, itself included if it is a list. */
static unsigned
oracle_depth(const msgpack_object *object)
{
	unsigned deepest = 0;

	if (object->type == MSGPACK_OBJECT_ARRAY) {
		for (uint32_t i = 0; i < object->via.array.size; i++) {
			unsigned d = oracle_depth(&object->via.array.ptr[i]);
			deepest = d > deepest ? d : deepest;
		}
		return deepest + 1;
	}
	if (object->type != MSGPACK_OBJECT_MAP)
		return 0;
	for (uint32_t i = 0; i < object->via.map.size; i++) {
		unsigned d = oracle_depth(&object->via.map.ptr[i].key);
		deepest = d > deepest ? d : deepest;
		d = oracle_depth(&object->via.map.ptr[i].val);
		deepest = d > deepest ? d : deepest;
	}
	return deepest + 1;
}

/* What the rules of the reader say about ${map}, as its result. */
static int
oracle_judge(const msgpack_object *object)
{
	const msgpack_object_map *map = &object->via.map;

	if (object->type != MSGPACK_OBJECT_MAP)
		return -SYNQ_E_CORRUPT;
	if (map->size > MAX)
		return -SYNQ_E_TOO_LARGE;
	if (oracle_depth(object) > 8)
		return -SYNQ_E_CORRUPT;
	for (uint32_t i = 0; i < map->size; i++) {
		const msgpack_object *key = &map->ptr[i].key;
		const msgpack_object *val = &map->ptr[i].val;

		if (key->type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
		    key->via.u64 > UINT32_MAX)
			return -SYNQ_E_CORRUPT;
		for (uint32_t k = 0; k < i; k++)
			if (map->ptr[k].key.via.u64 == key->via.u64)
				return -SYNQ_E_CORRUPT;
		if (val->type == MSGPACK_OBJECT_STR &&
		    !synq_slice_utf8(
			synq_slice_of(val->via.str.ptr, val->via.str.size)))
			return -SYNQ_E_CORRUPT;
	}
	return 0;
}

static void
expect_same_value(
    const struct synq_mp_member *member, const msgpack_object *val)
{
	struct synq_slice slice = member->slice;

	switch (member->type) {
	case SYNQ_MP_INT:
		assert_true(val->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
			    val->type == MSGPACK_OBJECT_NEGATIVE_INTEGER);
		assert_true(val->via.i64 == member->number);
		break;
	case SYNQ_MP_TEXT:
		assert_int_equal(val->type, MSGPACK_OBJECT_STR);
		assert_true(synq_slice_equal(
		    slice, synq_slice_of(val->via.str.ptr, val->via.str.size)));
		break;
	case SYNQ_MP_BYTES:
		assert_int_equal(val->type, MSGPACK_OBJECT_BIN);
		assert_true(synq_slice_equal(
		    slice, synq_slice_of(val->via.bin.ptr, val->via.bin.size)));
		break;
	case SYNQ_MP_OTHER:
		assert_true(val->type != MSGPACK_OBJECT_STR &&
			    val->type != MSGPACK_OBJECT_BIN &&
			    val->type != MSGPACK_OBJECT_NEGATIVE_INTEGER);
		if (val->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
			assert_true(val->via.u64 > INT64_MAX);
		break;
	}
}

/* 1 if both accept the input; fails the test if they differ. */
static int
expect_same(const unsigned char *data, size_t bytes)
{
	struct synq_mp_member members[MAX];
	msgpack_unpacked unpacked;
	size_t offset = 0;
	size_t count;
	int wanted = -SYNQ_E_CORRUPT;
	int rc = synq_mp_read(synq_slice_of(data, bytes), members, MAX, &count);

	/* Too many members are told before the rest has been read. */
	if (rc == -SYNQ_E_TOO_LARGE)
		return 0;
	/* msgpack-c reserves what is claimed: gigabytes, for 5 bytes. */
	for (size_t i = 0; i + 2 < bytes; i++)
		if ((data[i] == 0xdd || data[i] == 0xdf) &&
		    (data[i + 1] != 0 || data[i + 2] != 0))
			return 0;
	msgpack_unpacked_init(&unpacked);
	if (msgpack_unpack_next(&unpacked, (const char *)data, bytes,
		&offset) == MSGPACK_UNPACK_SUCCESS &&
	    offset == bytes)
		wanted = oracle_judge(&unpacked.data);
	assert_int_equal(rc, wanted);
	if (rc == 0) {
		assert_int_equal(count, unpacked.data.via.map.size);
		for (size_t i = 0; i < count; i++) {
			msgpack_object_kv *kv = &unpacked.data.via.map.ptr[i];
			assert_true(kv->key.via.u64 == members[i].key);
			expect_same_value(&members[i], &kv->val);
		}
	}
	msgpack_unpacked_destroy(&unpacked);
	return rc == 0;
}

/* An input that is often nearly right: bytes that begin items, few others. */
static size_t
make_input(struct synq_rand *rand, unsigned char *to, size_t room)
{
	size_t bytes = synq_rand_below(rand, room);

	for (size_t i = 0; i < bytes; i++) {
		uint64_t random = synq_rand_next(rand);

		switch (random >> 60) {
		case 0:
		case 1:
		case 2:
			to[i] = (unsigned char)(0xc0 | (random & 0x1f));
			break;
		case 3:
			to[i] = (unsigned char)(0x80 | (random & 0x23));
			break;
		case 4:
			to[i] = (unsigned char)random;
			break;
		default:
			to[i] = (unsigned char)(random & 0x0f);
		}
	}
	if (bytes > 0)
		to[0] = (unsigned char)(0x80 | (to[0] & 0x0f));
	return bytes;
}

static void
test_reader_agrees_with_msgpack_c_on_random_input(void **state)
{
	unsigned char input[48];
	struct synq_rand rand;
	unsigned good = 0;

	(void)state;
	synq_rand_init(&rand, 3);
	for (int i = 0; i < 50000; i++) {
		size_t bytes = make_input(&rand, input, sizeof(input));
		good += (unsigned)expect_same(input, bytes);
	}
	/* Otherwise the test says little. */
	assert_true(good > 100);
}

static void
test_reader_agrees_with_msgpack_c_on_mutations(void **state)
{
	unsigned char input[sizeof(skipped) - 1];
	struct synq_rand rand;
	unsigned good = 0;

	(void)state;
	synq_rand_init(&rand, 4);
	for (int i = 0; i < 20000; i++) {
		memcpy(input, skipped, sizeof(input));
		for (uint64_t n = synq_rand_below(&rand, 3) + 1; n > 0; n--)
			input[synq_rand_below(&rand, sizeof(input))] =
			    (unsigned char)synq_rand_next(&rand);
		good += (unsigned)expect_same(input, sizeof(input));
	}
	assert_true(good > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_reader_agrees_with_msgpack_c_on_random_input),
		cmocka_unit_test(
		    test_reader_agrees_with_msgpack_c_on_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
