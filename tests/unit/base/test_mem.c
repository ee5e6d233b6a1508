/*
 * Running out of memory is tested in a child process, which must end with
 * exit code 70 and one line, and without a report of the sanitizer.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"

struct outcome {
	int exit_code; /* -1 = killed */
	char said[256];
};

/* Run ${act} in a child; what it wrote on stderr and how it ended. */
static struct outcome
run_in_child(void (*act)(void))
{
	struct outcome outcome = { .exit_code = -1 };
	int ends[2];
	int status;

	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		act();
		_exit(0);
	}
	close(ends[1]);
	ssize_t bytes = read(ends[0], outcome.said, sizeof(outcome.said) - 1);
	assert_true(bytes >= 0);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		outcome.exit_code = WEXITSTATUS(status);
	return outcome;
}

static void
fail_third(void)
{
	synq_mem_fail_at(3);
	void *first = synq_mem_new(8);
	void *second = synq_mem_resize(NULL, 8);
	if (first && second)
		(void)!write(STDERR_FILENO, "two ", 4);
	synq_mem_copy("third", 5);
}

static void
test_mem_nth_allocation_ends_with_70(void **state)
{
	(void)state;

	struct outcome outcome = run_in_child(fail_third);

	assert_int_equal(outcome.exit_code, SYNQ_EXIT_NO_MEMORY);
	assert_true(strncmp(outcome.said, "two ", 4) == 0);
}

static void
fail_none(void)
{
	synq_mem_fail_at(1);
	synq_mem_fail_at(0);
	synq_mem_free(synq_mem_new(8));
}

static void
test_mem_planned_failure_can_be_switched_off(void **state)
{
	(void)state;

	assert_int_equal(run_in_child(fail_none).exit_code, 0);
}

static void
overflow_array(void)
{
	synq_mem_array(SIZE_MAX / 2, 3);
}

static void
overflow_copy(void)
{
	synq_mem_copy("", SIZE_MAX);
}

static void
take_too_much(void)
{
	struct synq_arena *arena = synq_arena_new(64, 100);

	synq_arena_alloc(arena, 101);
}

static void
test_mem_sizes_that_cannot_be_end_with_70(void **state)
{
	(void)state;

	assert_int_equal(run_in_child(overflow_array).exit_code, 70);
	assert_int_equal(run_in_child(overflow_copy).exit_code, 70);
}

static void
test_mem_arena_above_its_maximum_ends_with_70(void **state)
{
	(void)state;

	struct outcome outcome = run_in_child(take_too_much);

	assert_int_equal(outcome.exit_code, 70);
	assert_string_equal(
	    outcome.said, "an arena is larger than its maximum\n");
}

static void
test_mem_says_out_of_memory_on_one_line(void **state)
{
	(void)state;

	struct outcome outcome = run_in_child(overflow_array);

	assert_string_equal(outcome.said, "out of memory\n");
}

static void
test_mem_zero_bytes_may_be_freed(void **state)
{
	(void)state;
	void *none = synq_mem_new(0);
	void *array = synq_mem_array(0, 0);
	void *resized = synq_mem_resize(synq_mem_new(4), 0);

	assert_non_null(none);
	assert_non_null(array);
	assert_non_null(resized);
	synq_mem_free(none);
	synq_mem_free(array);
	synq_mem_free(resized);
	synq_mem_free(NULL);
}

static void
test_mem_copies_end_with_nul(void **state)
{
	(void)state;
	char *copy = synq_mem_copy("abcdef", 3);
	char *empty = synq_mem_copy(NULL, 0);
	char *text = synq_mem_text("xy");

	assert_string_equal(copy, "abc");
	assert_string_equal(empty, "");
	assert_string_equal(text, "xy");
	assert_null(synq_mem_text(NULL));
	synq_mem_free(copy);
	synq_mem_free(empty);
	synq_mem_free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mem_nth_allocation_ends_with_70),
		cmocka_unit_test(test_mem_planned_failure_can_be_switched_off),
		cmocka_unit_test(test_mem_sizes_that_cannot_be_end_with_70),
		cmocka_unit_test(test_mem_arena_above_its_maximum_ends_with_70),
		cmocka_unit_test(test_mem_says_out_of_memory_on_one_line),
		cmocka_unit_test(test_mem_zero_bytes_may_be_freed),
		cmocka_unit_test(test_mem_copies_end_with_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
