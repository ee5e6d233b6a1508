/*
 * msgpack maps: golden bytes, round trips, hostile input; and, on mutated and
 * random input, the same verdict and the same values as msgpack-c.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <msgpack.h>

#include "base/err.h"
#include "base/rand.h"
#include "base/slice.h"
#include "codec/msgpack.h"

#define MAX 64

/* The result of reading a copy that has no byte too many. */
static int
read_exact(const void *data, size_t bytes, struct synq_mp_member *members,
    size_t *count)
{
	static char *copy;
	struct synq_slice input;
	int rc;

	free(copy);
	copy = malloc(bytes > 0 ? bytes : 1);
	if (bytes > 0)
		memcpy(copy, data, bytes);
	input = synq_slice_of(copy, bytes);
	*count = 77;
	rc = synq_mp_read(input, members, MAX, count);
	if (rc != 0)
		assert_int_equal(*count, 77);
	/* The members borrow it until the next call. */
	return rc;
}

static void
expect_corrupt(const char *data, size_t bytes)
{
	struct synq_mp_member members[MAX];
	size_t count;

	assert_int_equal(
	    read_exact(data, bytes, members, &count), -SYNQ_E_CORRUPT);
}

static void
test_writer_has_golden_bytes(void **state)
{
	static const char golden[] = "\x87"
				     "\x00\x01"
				     "\x01\xcd\x01\x00"
				     "\x02\xff"
				     "\x03\xa2hi"
				     "\x04\xc4\x03\x00\x01\xff"
				     "\xcc\xc8\xd1\xff\x00"
				     "\xcd\x01\x2c\xcf\xff\xff\xff\xff\xff\xff"
				     "\xff\xff";
	struct synq_buf out;

	(void)state;
	synq_buf_init(&out, 1000);
	synq_mp_map(&out, 7);
	synq_mp_uint(&out, 0, 1);
	synq_mp_uint(&out, 1, 256);
	synq_mp_int(&out, 2, -1);
	synq_mp_text(&out, 3, synq_slice_text("hi"));
	synq_mp_bytes(&out, 4, synq_slice_of("\x00\x01\xff", 3));
	synq_mp_int(&out, 200, -256);
	synq_mp_uint(&out, 300, UINT64_MAX);

	assert_int_equal(out.overflow, 0);
	assert_int_equal(out.bytes, sizeof(golden) - 1);
	assert_memory_equal(out.data, golden, sizeof(golden) - 1);
	synq_buf_done(&out);
}

static void
test_writer_says_when_it_does_not_fit(void **state)
{
	struct synq_buf out;

	(void)state;
	synq_buf_init(&out, 6);
	synq_mp_map(&out, 1);
	synq_mp_text(&out, 1, synq_slice_text("hello"));
	assert_int_equal(out.overflow, 1);

	/* Lengths above 32 bits are not cut; the data is never touched. */
	synq_buf_clear(&out);
	synq_mp_text(&out, 1, synq_slice_of("x", (size_t)UINT32_MAX + 1));
	assert_int_equal(out.overflow, 1);
	synq_buf_clear(&out);
	synq_mp_bytes(&out, 1, synq_slice_of("x", (size_t)UINT32_MAX + 1));
	assert_int_equal(out.overflow, 1);
	synq_buf_done(&out);
}

static void
test_reader_lends_what_was_written(void **state)
{
	struct synq_mp_member members[MAX];
	struct synq_buf out;
	size_t count;

	(void)state;
	synq_buf_init(&out, 100000);
	synq_mp_map(&out, 6);
	synq_mp_int(&out, 0, INT64_MIN);
	synq_mp_uint(&out, 1, INT64_MAX);
	synq_mp_text(&out, 70000, synq_slice_text("gr\xc3\xbc\xc3\x9f"));
	synq_mp_bytes(&out, UINT32_MAX, synq_slice_of("\xff\x00", 2));
	synq_mp_text(&out, 5, synq_slice_text(""));
	synq_mp_uint(&out, 6, (uint64_t)INT64_MAX + 1);

	assert_int_equal(read_exact(out.data, out.bytes, members, &count), 0);
	assert_int_equal(count, 6);
	assert_int_equal(members[0].key, 0);
	assert_int_equal(members[0].type, SYNQ_MP_INT);
	assert_true(members[0].number == INT64_MIN);
	assert_true(members[1].number == INT64_MAX);
	assert_int_equal(members[2].key, 70000);
	assert_int_equal(members[2].type, SYNQ_MP_TEXT);
	assert_true(synq_slice_is(members[2].slice, "gr\xc3\xbc\xc3\x9f"));
	assert_true(members[3].key == UINT32_MAX);
	assert_int_equal(members[3].type, SYNQ_MP_BYTES);
	assert_int_equal(members[3].slice.bytes, 2);
	assert_int_equal(members[4].type, SYNQ_MP_TEXT);
	assert_int_equal(members[4].slice.bytes, 0);
	assert_int_equal(members[5].type, SYNQ_MP_OTHER);
	synq_buf_done(&out);
}

/* Around each border where the writer changes the form. */
static void
test_reader_takes_every_form_of_a_number(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int64_t near = -2; near <= 2; near++) {
			struct synq_mp_member member[1];
			struct synq_buf out;
			size_t count;
			int64_t value =
			    (int64_t)((1ull << shift) + (uint64_t)near);

			for (int sign = 0; sign < 2; sign++) {
				synq_buf_init(&out, 100);
				synq_mp_map(&out, 1);
				synq_mp_int(&out, 1, value);
				assert_int_equal(
				    synq_mp_read(
					synq_buf_view(&out), member, 1, &count),
				    0);
				assert_int_equal(member[0].type, SYNQ_MP_INT);
				assert_true(member[0].number == value);
				synq_buf_done(&out);
				value = (int64_t)(0 - (uint64_t)value);
			}
		}
	}
}

static void
test_reader_takes_every_form_of_a_length(void **state)
{
	static const size_t sizes[] = { 0, 1, 31, 32, 255, 256, 65535, 65536 };
	static char zeros[65536];

	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(sizes); i++) {
		struct synq_slice value = synq_slice_of(zeros, sizes[i]);
		struct synq_mp_member members[MAX];
		struct synq_buf out;
		size_t count;

		synq_buf_init(&out, 200000);
		synq_mp_map(&out, 2);
		synq_mp_text(&out, 1, value);
		synq_mp_bytes(&out, 2, value);
		assert_int_equal(
		    read_exact(out.data, out.bytes, members, &count), 0);
		assert_int_equal(members[0].type, SYNQ_MP_TEXT);
		assert_int_equal(members[0].slice.bytes, sizes[i]);
		assert_int_equal(members[1].type, SYNQ_MP_BYTES);
		assert_int_equal(members[1].slice.bytes, sizes[i]);
		synq_buf_done(&out);
	}
}

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

static void
test_reader_skips_what_it_does_not_know(void **state)
{
	struct synq_mp_member members[MAX];
	size_t count;

	(void)state;
	assert_int_equal(
	    read_exact(skipped, sizeof(skipped) - 1, members, &count), 0);
	assert_int_equal(count, 17);
	for (size_t i = 0; i < 16; i++) {
		assert_int_equal(members[i].key, i);
		assert_int_equal(members[i].type, SYNQ_MP_OTHER);
		assert_int_equal(members[i].slice.bytes, 0);
	}
	assert_int_equal(members[16].type, SYNQ_MP_INT);
	assert_int_equal(members[16].number, 5);
}

static void
test_reader_refuses_every_truncation(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < sizeof(skipped) - 1; bytes++)
		expect_corrupt(skipped, bytes);
}

static void
test_reader_refuses_what_is_behind_the_map(void **state)
{
	(void)state;
	expect_corrupt("\x80\x00", 2);
	expect_corrupt("\x81\x01\x01\xc0", 4);
	expect_corrupt(skipped, sizeof(skipped)); /* its NUL */
}

static void
test_reader_refuses_what_is_no_map(void **state)
{
	(void)state;
	expect_corrupt("", 0);
	expect_corrupt("\x01", 1);
	expect_corrupt("\x90", 1);
	expect_corrupt("\xc0", 1);
	expect_corrupt("\xa1x", 2);
	expect_corrupt("\xc1", 1);
	expect_corrupt("\x81\x01\xc1", 3);
	expect_corrupt("\x81\x01\x91\xc1", 4);
}

static void
test_reader_refuses_bad_keys(void **state)
{
	(void)state;
	expect_corrupt("\x81\xff\x01", 3);                  /* -1 */
	expect_corrupt("\x81\xa1k\x01", 4);                 /* text */
	expect_corrupt("\x81\xc0\x01", 3);                  /* nil */
	expect_corrupt("\x81\x90\x01", 3);                  /* array */
	expect_corrupt("\x81\xcf\0\0\0\1\0\0\0\0\x01", 11); /* 2^32 */
	expect_corrupt("\x82\x05\x01\x05\x02", 5);
	expect_corrupt("\x82\x05\x01\xcc\x05\x02", 6);
	expect_corrupt("\x82\xcc\x40\x01\xcc\x40\x02", 7);
	expect_corrupt("\x83\xcc\x40\x01\x01\x01\xcd\x00\x40\x02", 10);
}

static void
test_reader_refuses_text_that_is_not_utf8(void **state)
{
	(void)state;
	expect_corrupt("\x81\x01\xa1\xff", 4);
	expect_corrupt("\x81\x01\xa2\xc0\x80", 5);
	expect_corrupt("\x81\x01\xa3\xed\xa0\x80", 6);
}

/* What claims more than can be there is refused, whatever the claim. */
static void
test_reader_refuses_claims_beyond_the_input(void **state)
{
	static const char *const claims[] = { "\xdd\xff\xff\xff\xff",
		"\xdd\x08\x00\x00\x00", "\xdf\xff\xff\xff\xff",
		"\xdf\x80\x00\x00\x00", "\xc6\xff\xff\xff\xff",
		"\xdb\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff" };

	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(claims); i++) {
		char input[8] = "\x81\x01";

		memcpy(input + 2, claims[i], 5);
		expect_corrupt(input + 2, 5);
		expect_corrupt(input, 7);
		expect_corrupt(input, 8);
	}
}

/* Nesting of ${levels}, the map included, around a nil. */
static int
read_nested(size_t levels, char open)
{
	struct synq_mp_member members[MAX];
	char *input = malloc(2 * levels + 4);
	size_t bytes = 0;
	size_t count;

	input[bytes++] = (char)0x81;
	input[bytes++] = 1;
	for (size_t i = 1; i < levels; i++) {
		input[bytes++] = open;
		if (open == (char)0x81)
			input[bytes++] = 1;
	}
	input[bytes++] = (char)0xc0;
	int rc = read_exact(input, bytes, members, &count);
	free(input);
	return rc;
}

static void
test_reader_limits_nesting(void **state)
{
	static const char opens[] = { (char)0x91, (char)0x81 };

	(void)state;
	for (size_t i = 0; i < sizeof(opens); i++) {
		assert_int_equal(read_nested(1, opens[i]), 0);
		assert_int_equal(read_nested(8, opens[i]), 0);
		assert_int_equal(read_nested(9, opens[i]), -SYNQ_E_CORRUPT);
		assert_int_equal(
		    read_nested(100000, opens[i]), -SYNQ_E_CORRUPT);
	}
}

/* Siblings do not add up to depth. */
static void
test_reader_counts_levels_not_lists(void **state)
{
	char input[3 + 40] = "\x81\x01\xdc\x00\x26";
	struct synq_mp_member members[MAX];
	size_t count;

	(void)state;
	memset(input + 5, '\x90', 38);
	assert_int_equal(read_exact(input, sizeof(input), members, &count), 0);
}

static void
test_reader_limits_members(void **state)
{
	struct synq_mp_member members[MAX + 1];
	struct synq_buf out;
	size_t count;

	(void)state;
	for (uint32_t n = 64; n <= 65; n++) {
		synq_buf_init(&out, 1000);
		synq_mp_map(&out, n);
		for (uint32_t key = 0; key < n; key++)
			synq_mp_uint(&out, key, 1);
		assert_int_equal(
		    synq_mp_read(synq_buf_view(&out), members, MAX + 1, &count),
		    n == 64 ? 0 : -SYNQ_E_TOO_LARGE);
		assert_int_equal(
		    synq_mp_read(synq_buf_view(&out), members, 63, &count),
		    -SYNQ_E_TOO_LARGE);
		synq_buf_done(&out);
	}
	assert_int_equal(
	    synq_mp_read(synq_slice_of("\x80", 1), NULL, 0, &count), 0);
	assert_int_equal(count, 0);
}

/* ---- against msgpack-c --------------------------------------------------- */

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
	int rc = read_exact(data, bytes, members, &count);

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
		cmocka_unit_test(test_writer_has_golden_bytes),
		cmocka_unit_test(test_writer_says_when_it_does_not_fit),
		cmocka_unit_test(test_reader_lends_what_was_written),
		cmocka_unit_test(test_reader_takes_every_form_of_a_number),
		cmocka_unit_test(test_reader_takes_every_form_of_a_length),
		cmocka_unit_test(test_reader_skips_what_it_does_not_know),
		cmocka_unit_test(test_reader_refuses_every_truncation),
		cmocka_unit_test(test_reader_refuses_what_is_behind_the_map),
		cmocka_unit_test(test_reader_refuses_what_is_no_map),
		cmocka_unit_test(test_reader_refuses_bad_keys),
		cmocka_unit_test(test_reader_refuses_text_that_is_not_utf8),
		cmocka_unit_test(test_reader_refuses_claims_beyond_the_input),
		cmocka_unit_test(test_reader_limits_nesting),
		cmocka_unit_test(test_reader_counts_levels_not_lists),
		cmocka_unit_test(test_reader_limits_members),
		cmocka_unit_test(
		    test_reader_agrees_with_msgpack_c_on_random_input),
		cmocka_unit_test(
		    test_reader_agrees_with_msgpack_c_on_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
