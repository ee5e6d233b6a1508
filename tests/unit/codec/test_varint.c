/* Varints in their shortest form only, and CRC-32C against published values. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rand.h"
#include "base/slice.h"
#include "codec/varint.h"

static void
expect_form(uint64_t value, const char *bytes, size_t count)
{
	struct synq_buf out;
	struct synq_slice rest;
	uint64_t back = ~value;

	synq_buf_init(&out, 64);
	assert_int_equal(synq_varint_put(&out, value), 0);
	assert_int_equal(out.bytes, count);
	assert_memory_equal(out.data, bytes, count);

	rest = synq_buf_view(&out);
	assert_int_equal(synq_varint_get(&rest, &back), 0);
	assert_true(back == value);
	assert_int_equal(rest.bytes, 0);
	synq_buf_done(&out);
}

static void
expect_corrupt(const char *bytes, size_t count)
{
	struct synq_slice rest = synq_slice_of(bytes, count);
	uint64_t value = 77;

	assert_int_equal(synq_varint_get(&rest, &value), -SYNQ_E_CORRUPT);
	assert_ptr_equal(rest.data, bytes);
	assert_int_equal(rest.bytes, count);
	assert_int_equal(value, 77);
}

static void
test_varint_has_the_known_forms(void **state)
{
	(void)state;
	expect_form(0, "\x00", 1);
	expect_form(1, "\x01", 1);
	expect_form(127, "\x7f", 1);
	expect_form(128, "\x80\x01", 2);
	expect_form(300, "\xac\x02", 2);
	expect_form(16383, "\xff\x7f", 2);
	expect_form(16384, "\x80\x80\x01", 3);
	expect_form(UINT32_MAX, "\xff\xff\xff\xff\x0f", 5);
	expect_form(INT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9);
	expect_form(UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
}

static void
test_varint_survives_any_number(void **state)
{
	struct synq_rand rand;
	struct synq_buf out;
	uint64_t numbers[500];

	(void)state;
	synq_rand_init(&rand, 1);
	synq_buf_init(&out, 10000);
	for (size_t i = 0; i < 500; i++) {
		numbers[i] =
		    synq_rand_next(&rand) >> synq_rand_below(&rand, 64);
		assert_int_equal(synq_varint_put(&out, numbers[i]), 0);
	}

	struct synq_slice rest = synq_buf_view(&out);
	for (size_t i = 0; i < 500; i++) {
		uint64_t value;
		assert_int_equal(synq_varint_get(&rest, &value), 0);
		assert_true(value == numbers[i]);
	}
	assert_int_equal(rest.bytes, 0);
	synq_buf_done(&out);
}

static void
test_varint_refuses_what_is_cut(void **state)
{
	(void)state;
	expect_corrupt(NULL, 0);
	expect_corrupt("\x80", 1);
	expect_corrupt("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9);
}

static void
test_varint_refuses_longer_forms(void **state)
{
	(void)state;
	expect_corrupt("\x80\x00", 2);
	expect_corrupt("\xff\x00", 2);
	expect_corrupt("\x80\x80\x80\x00", 4);
	expect_corrupt("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10);
}

static void
test_varint_refuses_above_64_bits(void **state)
{
	(void)state;
	expect_corrupt("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
	expect_corrupt("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10);
	expect_corrupt("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11);
	expect_corrupt("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11);
}

static void
test_varint_takes_only_its_own_bytes(void **state)
{
	struct synq_slice rest = synq_slice_of("\xac\x02\x80", 3);
	uint64_t value;

	(void)state;
	assert_int_equal(synq_varint_get(&rest, &value), 0);
	assert_int_equal(value, 300);
	assert_int_equal(rest.bytes, 1);
}

static void
test_varint_is_whole_or_not_at_all(void **state)
{
	struct synq_buf out;

	(void)state;
	synq_buf_init(&out, 2);
	assert_int_equal(synq_varint_put(&out, 1u << 20), -SYNQ_E_TOO_LARGE);
	assert_int_equal(out.bytes, 0);
	assert_int_equal(out.overflow, 1);
	synq_buf_done(&out);
}

/* The check value of the catalogue, and those of RFC 3720 B.4. */
static void
test_crc32c_has_the_known_values(void **state)
{
	unsigned char block[32];

	(void)state;
	assert_int_equal(synq_crc32c(synq_slice_text("123456789")), 0xe3069283);
	assert_int_equal(synq_crc32c(synq_slice_text("")), 0);

	memset(block, 0, sizeof(block));
	assert_int_equal(synq_crc32c(synq_slice_of(block, 32)), 0x8a9136aa);
	memset(block, 0xff, sizeof(block));
	assert_int_equal(synq_crc32c(synq_slice_of(block, 32)), 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		block[i] = (unsigned char)i;
	assert_int_equal(synq_crc32c(synq_slice_of(block, 32)), 0x46dd794e);
	for (unsigned i = 0; i < 32; i++)
		block[i] = (unsigned char)(31 - i);
	assert_int_equal(synq_crc32c(synq_slice_of(block, 32)), 0x113fdb5c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_varint_has_the_known_forms),
		cmocka_unit_test(test_varint_survives_any_number),
		cmocka_unit_test(test_varint_refuses_what_is_cut),
		cmocka_unit_test(test_varint_refuses_longer_forms),
		cmocka_unit_test(test_varint_refuses_above_64_bits),
		cmocka_unit_test(test_varint_takes_only_its_own_bytes),
		cmocka_unit_test(test_varint_is_whole_or_not_at_all),
		cmocka_unit_test(test_crc32c_has_the_known_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
