#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "ctl/job/lines.h"

/*
 * Lines of a file whatever it holds, and what a batch line must say.
 */

/* A nameless file that holds the ${bytes} bytes at ${data}. */
static int
file_of(const char *data, size_t bytes)
{
	char path[] = "/tmp/lines-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
	return fd;
}

static void
assert_next(struct lines *lines, uint64_t number, const char *text)
{
	struct line line;

	assert_int_equal(lines_next(lines, &line, NULL), 1);
	assert_int_equal(line.number, number);
	assert_true(synq_slice_is(line.text, text));
}

static void
test_lines_come_in_order_without_blank_ones(SYNQ_UNUSED void **state)
{
	static const char text[] = "\xef\xbb\xbfone\r\n\n \t\r\ntwo\nthree";
	int fd = file_of(text, sizeof(text) - 1);
	struct lines *lines = lines_new(fd, 100);
	struct line line;
	uint64_t count;

	assert_next(lines, 1, "one");
	assert_next(lines, 4, "two");
	assert_int_equal(lines_next(lines, &line, NULL), 1);
	assert_true(synq_slice_is(line.text, "three"));
	assert_int_equal(line.is_torn, 1);
	assert_int_equal(line.offset, sizeof(text) - 1 - 5);
	assert_int_equal(lines_next(lines, &line, NULL), 0);
	assert_int_equal(lines_next(lines, &line, NULL), 0);
	lines_free(&lines);

	assert_int_equal(lines_count(fd, 10, &count, NULL), 0);
	assert_int_equal(count, 3);
	close(fd);
}

static void
test_empty_file_has_no_line(SYNQ_UNUSED void **state)
{
	int fd = file_of("", 0);
	struct lines *lines = lines_new(fd, 100);
	struct line line;
	uint64_t count = 7;

	assert_int_equal(lines_next(lines, &line, NULL), 0);
	lines_free(&lines);
	assert_int_equal(lines_count(fd, 10, &count, NULL), 0);
	assert_int_equal(count, 0);
	close(fd);
}

/* Far longer than what is read at once, so that it passes in parts. */
static void
test_too_long_line_is_passed_over(SYNQ_UNUSED void **state)
{
	const size_t bytes = 3 << 20;
	char *text = test_malloc(bytes + 8);
	struct lines *lines;
	struct line line;
	int fd;

	memset(text, 'x', bytes);
	memcpy(text, "a\n", 2);
	memcpy(text + bytes, "\nb\n", 4);
	fd = file_of(text, bytes + 3);
	lines = lines_new(fd, 1000);
	assert_next(lines, 1, "a");
	assert_int_equal(lines_next(lines, &line, NULL), 1);
	assert_int_equal(line.is_too_long, 1);
	assert_int_equal(line.text.bytes, 0);
	assert_int_equal(line.offset, 2);
	assert_next(lines, 3, "b");
	lines_free(&lines);
	close(fd);
	test_free(text);
}

static void
test_line_of_exactly_the_limit_is_taken(SYNQ_UNUSED void **state)
{
	int fd = file_of("abcde\nabcdef\nx", 14);
	struct lines *lines = lines_new(fd, 5);
	struct line line;

	assert_next(lines, 1, "abcde");
	assert_int_equal(lines_next(lines, &line, NULL), 1);
	assert_int_equal(line.is_too_long, 1);
	assert_next(lines, 3, "x");
	lines_free(&lines);
	close(fd);
}

static void
test_batch_line_is_read(SYNQ_UNUSED void **state)
{
	static const char text[] =
	    "{\"custom_id\":\"a\\u0062\",\"method\":\"POST\","
	    "\"url\":\"/v1/embeddings\",\"body\": {\"n\":1.0} ,\"more\":0}";
	struct lines_request request;
	struct lines_fault fault;

	assert_int_equal(
	    lines_parse(synq_slice_text(text), &request, &fault), 0);
	assert_true(synq_slice_is(request.custom_id, "\"a\\u0062\""));
	assert_true(synq_slice_is(request.body, "{\"n\":1.0}"));
	assert_string_equal(request.endpoint, "/v1/embeddings");
}

static void
test_fault_keeps_a_good_custom_id(SYNQ_UNUSED void **state)
{
	static const char text[] =
	    "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v2\"}";
	struct lines_request request;
	struct lines_fault fault;

	assert_int_equal(
	    lines_parse(synq_slice_text(text), &request, &fault), -1);
	assert_string_equal(fault.code, "invalid_url");
	assert_true(synq_slice_is(request.custom_id, "\"a\""));

	assert_int_equal(lines_parse(synq_slice_text("{\"custom_id\":\"\"}"),
			     &request, &fault),
	    -1);
	assert_int_equal(request.custom_id.bytes, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_come_in_order_without_blank_ones),
		cmocka_unit_test(test_empty_file_has_no_line),
		cmocka_unit_test(test_too_long_line_is_passed_over),
		cmocka_unit_test(test_line_of_exactly_the_limit_is_taken),
		cmocka_unit_test(test_batch_line_is_read),
		cmocka_unit_test(test_fault_keeps_a_good_custom_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
