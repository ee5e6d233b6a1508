#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "job/state.h"

static char page[16384];

/* Runs in the root of the repository. */
static int
read_page(void **state)
{
	(void)state;
	FILE *file = fopen("schema/job-states.md", "r");
	size_t bytes;

	if (!file)
		return -1;
	bytes = fread(page, 1, sizeof(page) - 1, file);
	page[bytes] = '\0';
	fclose(file);
	return bytes > 0 && bytes < sizeof(page) - 1 ? 0 : -1;
}

static int
page_has(const char *row)
{
	return strstr(page, row) != NULL;
}

/* A move is legal exactly if the page has a row for it. */
static void
test_moves_are_those_of_the_page(void **state)
{
	(void)state;
	char row[64];

	for (int i = 0; i < SYNQ_JOB_STATES; i++) {
		for (int j = 0; j < SYNQ_JOB_STATES; j++) {
			enum synq_job_state from = (enum synq_job_state)i;
			enum synq_job_state to = (enum synq_job_state)j;

			snprintf(row, sizeof(row), "\n| %s | %s | ",
			    synq_job_state_name(from), synq_job_state_name(to));
			if (page_has(row) != synq_job_may(from, to))
				fail_msg("page and table differ:%s", row);
		}
	}
}

/* No row of the page names a move that the loop above cannot meet. */
static void
test_page_has_no_other_moves(void **state)
{
	(void)state;
	const char *at = strstr(page, "| from | to |");
	size_t rows = 0;
	size_t moves = 0;

	assert_non_null(at);
	while ((at = strstr(at, "\n| "))) {
		at += 3;
		rows += *at != '-';
	}
	for (int i = 0; i < SYNQ_JOB_STATES; i++)
		for (int j = 0; j < SYNQ_JOB_STATES; j++)
			moves += (size_t)synq_job_may(
			    (enum synq_job_state)i, (enum synq_job_state)j);
	assert_int_equal(rows, moves);
}

static void
test_states_are_those_of_the_page(void **state)
{
	(void)state;
	char row[64];

	for (int i = 0; i < SYNQ_JOB_STATES; i++) {
		enum synq_job_state each = (enum synq_job_state)i;

		snprintf(row, sizeof(row), "\n| %s | %d | %s | ",
		    synq_job_state_name(each), synq_job_rank(each),
		    synq_job_final(each) ? "yes" : "no");
		if (!page_has(row))
			fail_msg("not in the page:%s", row);
	}
}

static void
test_final_states_have_no_way_out_and_the_highest_rank(void **state)
{
	(void)state;
	for (int i = 0; i < SYNQ_JOB_STATES; i++) {
		enum synq_job_state from = (enum synq_job_state)i;
		int ways = 0;

		for (int j = 0; j < SYNQ_JOB_STATES; j++)
			ways += synq_job_may(from, (enum synq_job_state)j);
		assert_int_equal(ways == 0, synq_job_final(from));
		assert_int_equal(
		    synq_job_rank(from) == 9, synq_job_final(from));
	}
}

static void
test_no_move_lowers_the_rank(void **state)
{
	(void)state;
	for (int i = 0; i < SYNQ_JOB_STATES; i++) {
		for (int j = 0; j < SYNQ_JOB_STATES; j++) {
			enum synq_job_state from = (enum synq_job_state)i;
			enum synq_job_state to = (enum synq_job_state)j;

			if (synq_job_may(from, to))
				assert_true(
				    synq_job_rank(to) >= synq_job_rank(from));
		}
	}
}

static void
test_names_lead_back(void **state)
{
	(void)state;
	enum synq_job_state got;

	for (int i = 0; i < SYNQ_JOB_STATES; i++) {
		const char *name = synq_job_state_name((enum synq_job_state)i);

		assert_int_equal(
		    synq_job_state_parse(synq_slice_text(name), &got), 0);
		assert_int_equal((int)got, i);
	}
	assert_int_equal(synq_job_state_parse(synq_slice_text("Queued"), &got),
	    -SYNQ_E_INVALID);
	assert_int_equal(
	    synq_job_state_parse(synq_slice_text(""), &got), -SYNQ_E_INVALID);
	assert_int_equal(synq_job_state_parse(synq_slice_text("queue"), &got),
	    -SYNQ_E_INVALID);
}

/* Numbers come from messages and rows. */
static void
test_numbers_that_are_no_state_are_harmless(void **state)
{
	(void)state;
	enum synq_job_state wild = (enum synq_job_state)200;

	assert_int_equal(synq_job_may(wild, SYNQ_JOB_QUEUED), 0);
	assert_int_equal(synq_job_may(SYNQ_JOB_QUEUED, wild), 0);
	assert_int_equal(synq_job_final(wild), 0);
	assert_int_equal(synq_job_rank(wild), 0);
	assert_string_equal(synq_job_state_name(wild), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves_are_those_of_the_page),
		cmocka_unit_test(test_page_has_no_other_moves),
		cmocka_unit_test(test_states_are_those_of_the_page),
		cmocka_unit_test(
		    test_final_states_have_no_way_out_and_the_highest_rank),
		cmocka_unit_test(test_no_move_lowers_the_rank),
		cmocka_unit_test(test_names_lead_back),
		cmocka_unit_test(test_numbers_that_are_no_state_are_harmless),
	};

	return cmocka_run_group_tests(tests, read_page, NULL);
}
