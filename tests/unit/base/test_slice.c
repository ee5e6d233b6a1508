#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/slice.h"

static void
test_slice_compares_bytes(void **state)
{
	(void)state;
	struct synq_slice abc = synq_slice_of("abcdef", 3);
	struct synq_slice empty = { NULL, 0 };

	assert_true(synq_slice_is(abc, "abc"));
	assert_false(synq_slice_is(abc, "abcd"));
	assert_false(synq_slice_is(abc, "ab"));
	assert_true(synq_slice_is(empty, ""));
	assert_true(synq_slice_equal(empty, synq_slice_text(NULL)));
	assert_true(synq_slice_is_nocase(abc, "aBC"));
	assert_false(synq_slice_is_nocase(abc, "aBx"));
	assert_false(synq_slice_is_nocase(synq_slice_text("@["), "`{"));
	assert_true(synq_slice_starts(abc, "ab"));
	assert_true(synq_slice_starts(empty, ""));
	assert_false(synq_slice_starts(abc, "abcd"));
}

static void
test_slice_trim_takes_spaces_and_tabs_only(void **state)
{
	(void)state;

	assert_true(synq_slice_is(
	    synq_slice_trim(synq_slice_text(" \t a b\t ")), "a b"));
	assert_true(
	    synq_slice_is(synq_slice_trim(synq_slice_text("\na\r")), "\na\r"));
	assert_int_equal(synq_slice_trim(synq_slice_text(" \t ")).bytes, 0);
	assert_int_equal(synq_slice_trim(synq_slice_text(NULL)).bytes, 0);
}

static void
test_slice_u64_takes_digits_up_to_its_maximum(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "-1", "+1", " 1", "1 ", "1a",
		"0x1", "18446744073709551616", "99999999999999999999999" };
	uint64_t number = 7;

	for (size_t i = 0; i < SYNQ_COUNT(wrong); i++)
		assert_int_equal(synq_slice_u64(synq_slice_text(wrong[i]),
				     UINT64_MAX, &number),
		    -SYNQ_E_INVALID);
	assert_int_equal(synq_slice_u64(synq_slice_text("256"), 255, &number),
	    -SYNQ_E_INVALID);
	assert_int_equal(
	    synq_slice_u64(synq_slice_text("5"), 3, &number), -SYNQ_E_INVALID);
	assert_true(number == 7);

	assert_int_equal(synq_slice_u64(synq_slice_text("18446744073709551615"),
			     UINT64_MAX, &number),
	    0);
	assert_true(number == UINT64_MAX);
	assert_int_equal(
	    synq_slice_u64(synq_slice_text("0255"), 255, &number), 0);
	assert_true(number == 255);
	assert_int_equal(synq_slice_u64(synq_slice_text("0"), 0, &number), 0);
	assert_true(number == 0);
}

/* Each bad sequence at each place among the bytes taken eight at a time. */
static void
test_slice_utf8_refuses_what_is_not(void **state)
{
	(void)state;
	static const char *const wrong[] = { "\x80", "\xc0\x80", "\xc1\xbf",
		"\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xff", "\xc3", "\xe4\xbd", "\xf0\x9f\x98", "\xc3\xc3",
		"\xe4\xbd\x41" };
	static const char *const right[] = { "", "\x7f", "\xc2\x80", "\xdf\xbf",
		"\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };

	for (size_t before = 0; before < 20; before++) {
		char text[64];

		memset(text, 'x', sizeof(text));
		for (size_t i = 0; i < SYNQ_COUNT(wrong); i++) {
			size_t n = strlen(wrong[i]);

			memcpy(text + before, wrong[i], n);
			assert_false(
			    synq_slice_utf8(synq_slice_of(text, before + n)));
			assert_false(synq_slice_utf8(synq_slice_of(text, 40)));
			memset(text, 'x', sizeof(text));
		}
		for (size_t i = 0; i < SYNQ_COUNT(right); i++) {
			memcpy(text + before, right[i], strlen(right[i]));
			assert_true(synq_slice_utf8(synq_slice_of(text, 40)));
			memset(text, 'x', sizeof(text));
		}
	}
}

static void
test_buf_adds_all_or_nothing(void **state)
{
	(void)state;
	struct synq_buf buf;

	synq_buf_init(&buf, 5);
	assert_int_equal(synq_buf_text(&buf, "abc"), 0);
	assert_int_equal(synq_buf_text(&buf, "def"), -SYNQ_E_TOO_LARGE);
	assert_int_equal(buf.overflow, 1);
	assert_string_equal(buf.data, "abc");
	assert_int_equal(synq_buf_printf(&buf, "%d", 123), -SYNQ_E_TOO_LARGE);
	assert_int_equal(synq_buf_text(&buf, "de"), 0);
	assert_int_equal(synq_buf_char(&buf, 'f'), -SYNQ_E_TOO_LARGE);

	assert_string_equal(buf.data, "abcde");
	assert_int_equal(buf.overflow, 1);
	synq_buf_clear(&buf);
	assert_int_equal(buf.overflow, 0);
	assert_string_equal(buf.data, "");
	synq_buf_done(&buf);
	assert_int_equal(synq_buf_text(&buf, "again"), 0);
	synq_buf_done(&buf);
}

static void
test_buf_grows_to_exactly_its_maximum(void **state)
{
	(void)state;
	static const size_t maxima[] = { 0, 1, 63, 64, 65, 1000, 4096 };

	for (size_t i = 0; i < SYNQ_COUNT(maxima); i++) {
		struct synq_buf buf;

		synq_buf_init(&buf, maxima[i]);
		for (size_t n = 0; n < maxima[i]; n++)
			assert_int_equal(synq_buf_char(&buf, 'x'), 0);
		assert_int_equal(synq_buf_char(&buf, 'x'), -SYNQ_E_TOO_LARGE);
		assert_int_equal(buf.bytes, maxima[i]);
		if (buf.data)
			assert_int_equal(strlen(buf.data), maxima[i]);
		synq_buf_done(&buf);
	}
}

static void
test_buf_huge_sizes_do_not_wrap(void **state)
{
	(void)state;
	volatile size_t huge = SIZE_MAX; /* the compiler is not to know */
	struct synq_buf buf;

	synq_buf_init(&buf, 100);
	synq_buf_text(&buf, "abc");
	assert_int_equal(synq_buf_add(&buf, "", huge), -SYNQ_E_TOO_LARGE);
	assert_int_equal(synq_buf_add(&buf, "", huge - 2), -SYNQ_E_TOO_LARGE);
	assert_null(synq_buf_reserve(&buf, SIZE_MAX));
	assert_null(synq_buf_reserve(&buf, 98));
	assert_string_equal(buf.data, "abc");
	synq_buf_done(&buf);
}

static void
test_buf_printf_takes_short_and_long_texts(void **state)
{
	(void)state;
	struct synq_buf buf;

	synq_buf_init(&buf, 10000);
	assert_int_equal(synq_buf_printf(&buf, "%s-%d.", "a", 1), 0);
	assert_int_equal(synq_buf_printf(&buf, "%0255d", 1), 0);
	assert_int_equal(synq_buf_printf(&buf, "%0256d", 2), 0);
	assert_int_equal(synq_buf_printf(&buf, "%05000d", 3), 0);

	assert_int_equal(buf.bytes, 4 + 255 + 256 + 5000);
	assert_int_equal(strlen(buf.data), buf.bytes);
	assert_int_equal(buf.data[4 + 255 - 1], '1');
	assert_int_equal(buf.data[4 + 255 + 256 - 1], '2');
	assert_int_equal(buf.data[buf.bytes - 1], '3');
	synq_buf_done(&buf);
}

static void
test_buf_writes_whole_numbers(void **state)
{
	(void)state;
	struct synq_buf buf;

	synq_buf_init(&buf, 100);
	synq_buf_i64(&buf, 0);
	synq_buf_char(&buf, ' ');
	synq_buf_i64(&buf, -1);
	synq_buf_char(&buf, ' ');
	synq_buf_i64(&buf, INT64_MAX);
	synq_buf_char(&buf, ' ');
	synq_buf_i64(&buf, INT64_MIN);
	assert_string_equal(
	    buf.data, "0 -1 9223372036854775807 -9223372036854775808");
	synq_buf_done(&buf);
}

static void
test_buf_reserve_and_consume(void **state)
{
	(void)state;
	struct synq_buf buf;

	synq_buf_init(&buf, 10);
	char *room = synq_buf_reserve(&buf, 10);
	memcpy(room, "0123456789", 10);
	buf.bytes += 10;
	assert_string_equal(buf.data, "0123456789");
	synq_buf_consume(&buf, 4);
	assert_true(synq_slice_is(synq_buf_view(&buf), "456789"));
	assert_non_null(synq_buf_reserve(&buf, 4));
	assert_null(synq_buf_reserve(&buf, 5));
	assert_int_equal(buf.overflow, 0);
	synq_buf_consume(&buf, 6);
	assert_string_equal(buf.data, "");
	synq_buf_done(&buf);
	synq_buf_consume(&buf, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slice_compares_bytes),
		cmocka_unit_test(test_slice_trim_takes_spaces_and_tabs_only),
		cmocka_unit_test(test_slice_u64_takes_digits_up_to_its_maximum),
		cmocka_unit_test(test_slice_utf8_refuses_what_is_not),
		cmocka_unit_test(test_buf_adds_all_or_nothing),
		cmocka_unit_test(test_buf_grows_to_exactly_its_maximum),
		cmocka_unit_test(test_buf_huge_sizes_do_not_wrap),
		cmocka_unit_test(test_buf_printf_takes_short_and_long_texts),
		cmocka_unit_test(test_buf_writes_whole_numbers),
		cmocka_unit_test(test_buf_reserve_and_consume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
