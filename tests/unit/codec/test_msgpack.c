/* msgpack maps: golden bytes, round trips, hostile input. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
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

static void
expect_number(int64_t value)
{
	struct synq_mp_member member;
	struct synq_buf out;
	size_t count;

	synq_buf_init(&out, 100);
	synq_mp_map(&out, 1);
	synq_mp_int(&out, 1, value);
	assert_int_equal(
	    synq_mp_read(synq_buf_view(&out), &member, 1, &count), 0);
	assert_int_equal(member.type, SYNQ_MP_INT);
	assert_true(member.number == value);
	synq_buf_done(&out);
}

/* Around each border where the writer changes the form. */
static void
test_reader_takes_every_form_of_a_number(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift++) {
		for (unsigned near = 0; near < 5; near++) {
			uint64_t value = (1ull << shift) + near - 2;

			expect_number((int64_t)value);
			expect_number((int64_t)(0 - value));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
