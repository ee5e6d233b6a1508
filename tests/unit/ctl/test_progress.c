#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "ctl/progress.h"

/*
 * The line that shows how far a long work has come.
 */

static void
assert_line(const struct progress *progress, uint64_t now_us, size_t columns,
    const char *wanted)
{
	struct synq_buf line;

	synq_buf_init(&line, 1024);
	progress_line(progress, now_us, columns, &line);
	assert_string_equal(line.data, wanted);
	synq_buf_done(&line);
}

static void
test_line_says_done_failed_rate_and_time_left(SYNQ_UNUSED void **state)
{
	struct progress progress = {
		.total = 5000, .done = 1000, .failed = 3, .start_us = 0
	};

	assert_line(&progress, 10000000, 0,
	    "1000 of 5000 done, 3 failed, 100.0/s, 0:40 left");
}

static void
test_what_was_done_before_is_not_speed(SYNQ_UNUSED void **state)
{
	struct progress progress = {
		.total = 5000, .done = 1000, .before = 990, .start_us = 0
	};

	assert_line(&progress, 10000000, 0,
	    "1000 of 5000 done, 0 failed, 1.0/s, 1:06:40 left");
}

static void
test_no_time_left_is_not_shown(SYNQ_UNUSED void **state)
{
	struct progress progress = { .total = 10, .done = 10 };

	assert_line(&progress, 1000000, 0, "10 of 10 done, 0 failed, 10.0/s");
	progress = (struct progress){ .total = 10, .done = 0 };
	assert_line(&progress, 0, 0, "0 of 10 done, 0 failed, 0.0/s");
}

static void
test_bar_fills_what_the_columns_leave(SYNQ_UNUSED void **state)
{
	struct progress progress = { .total = 10, .done = 5 };

	assert_line(&progress, 1000000, 60,
	    "[########--------] 5 of 10 done, 0 failed, 5.0/s, 0:01 left");
}

/* A line that wraps could not be wiped any more. */
static void
test_line_never_reaches_the_last_column(SYNQ_UNUSED void **state)
{
	struct progress progress = { .total = 1000000, .done = 500000 };
	size_t columns;

	for (columns = 1; columns < 200; columns++) {
		struct synq_buf line;

		synq_buf_init(&line, 1024);
		progress_line(&progress, 1000000, columns, &line);
		assert_true(line.bytes < columns);
		synq_buf_done(&line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_says_done_failed_rate_and_time_left),
		cmocka_unit_test(test_what_was_done_before_is_not_speed),
		cmocka_unit_test(test_no_time_left_is_not_shown),
		cmocka_unit_test(test_bar_fills_what_the_columns_leave),
		cmocka_unit_test(test_line_never_reaches_the_last_column),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
