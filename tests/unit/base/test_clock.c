#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"

static void
assert_reads(const char *text, int64_t want_us)
{
	int64_t got_us = -1;

	if (synq_clock_parse(synq_slice_text(text), &got_us))
		fail_msg("%s is refused", text);
	assert_true(got_us == want_us);
}

static void
test_clock_reads_what_it_wrote_for_every_day(void **state)
{
	(void)state;
	char text[28];

	for (int64_t s = -62167219200; s <= 253402300799; s += 86399) {
		int64_t us = s * 1000000 + (s & 0xffff);

		synq_clock_format(us, text);
		assert_int_equal(strlen(text), 27);
		assert_reads(text, us);
	}
}

static void
test_clock_agrees_with_the_c_library(void **state)
{
	(void)state;
	char text[28];
	char want[64];

	for (int64_t s = -62167219200; s <= 253402300799; s += 6048017) {
		time_t now = s;
		struct tm tm;

		gmtime_r(&now, &tm);
		snprintf(want, sizeof(want),
		    "%04d-%02d-%02dT%02d:%02d:%02d.000000Z", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
		synq_clock_format(s * 1000000, text);
		assert_string_equal(text, want);
	}
}

static void
test_clock_writes_times_that_no_year_has_as_the_nearest(void **state)
{
	(void)state;
	char text[28];

	synq_clock_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.000000Z");
	synq_clock_format(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000000Z");
	synq_clock_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
}

static void
test_clock_reads_offsets_and_fractions(void **state)
{
	(void)state;

	assert_reads("1970-01-01T00:00:00Z", 0);
	assert_reads("1970-01-01t00:00:00z", 0);
	assert_reads("1970-01-01 01:00:00+01:00", 0);
	assert_reads("1969-12-31T18:29:00-05:31", 0);
	assert_reads("1970-01-01T00:00:00-00:00", 0);
	assert_reads("1970-01-01T00:00:00.5Z", 500000);
	assert_reads("1970-01-01T00:00:00.123456789Z", 123456);
	assert_reads("2000-02-29T00:00:00Z", 951782400000000);
	assert_reads("2016-12-31T23:59:60Z", 1483228800000000);
	assert_reads("0", 0);
	assert_reads("1763716800", 1763716800000000);
	assert_reads("253402300799", 253402300799000000);
}

static void
test_clock_refuses_everything_else(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "-1", "1.5", "253402300800",
		"99999999999999999999", "1970-01-01", "1970-01-01T00:00:00",
		"1970-01-01T00:00Z", "1970-1-01T00:00:00Z",
		"1970-00-01T00:00:00Z", "1970-13-01T00:00:00Z",
		"1970-01-00T00:00:00Z", "1970-01-32T00:00:00Z",
		"1970-04-31T00:00:00Z", "1900-02-29T00:00:00Z",
		"2001-02-29T00:00:00Z", "1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z",
		"1970-01-01T00:00:00.Z", "1970-01-01T00:00:00.1234567890Z",
		"1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+00:60",
		"1970-01-01T00:00:00+0000", "1970-01-01T00:00:00+00",
		"1970-01-01T00:00:00Zx", " 1970-01-01T00:00:00Z",
		"1970-01-01X00:00:00Z", "1970/01/01T00:00:00Z",
		"+970-01-01T00:00:00Z" };

	for (size_t i = 0; i < SYNQ_COUNT(wrong); i++) {
		int64_t us = 42;

		if (synq_clock_parse(synq_slice_text(wrong[i]), &us) !=
		    -SYNQ_E_INVALID)
			fail_msg("'%s' is accepted", wrong[i]);
		assert_true(us == 42);
	}
}

static void
test_clock_monotonic_time_does_not_go_back(void **state)
{
	(void)state;
	uint64_t last = synq_clock_mono_us();

	for (int i = 0; i < 1000; i++) {
		uint64_t now = synq_clock_mono_us();

		assert_true(now >= last);
		last = now;
	}
	/* 2020 at least: the wall clock is in microseconds. */
	assert_true(synq_clock_wall_us() > 1577836800000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_reads_what_it_wrote_for_every_day),
		cmocka_unit_test(test_clock_agrees_with_the_c_library),
		cmocka_unit_test(
		    test_clock_writes_times_that_no_year_has_as_the_nearest),
		cmocka_unit_test(test_clock_reads_offsets_and_fractions),
		cmocka_unit_test(test_clock_refuses_everything_else),
		cmocka_unit_test(test_clock_monotonic_time_does_not_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
