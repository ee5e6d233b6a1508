#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/cli.h"
#include "ctl/help.h"

/*
 * Reading the words of the command line.
 */

#define MAX_WORDS 16

static int
set_up(void **state)
{
	*state = test_calloc(1, sizeof(struct cli));
	return 0;
}

static int
tear_down(void **state)
{
	cli_done(*state);
	test_free(*state);
	return 0;
}

/* Read ${line}, words with one blank between them. */
static int
read_line(struct cli *cli, char *line)
{
	char *argv[MAX_WORDS + 1] = { line };
	int argc = 1;
	char *at;

	cli_done(cli);
	memset(cli, 0, sizeof(*cli));
	for (at = line; (at = strchr(at, ' ')) != NULL && argc < MAX_WORDS;) {
		*at++ = '\0';
		argv[argc++] = at;
	}
	return cli_read(cli, argc, argv);
}

static void
test_read_finds_the_command_and_its_arguments(void **state)
{
	struct cli *cli = *state;
	char line[] = "synq scale dispatcher 2";

	assert_int_equal(read_line(cli, line), -1);

	assert_string_equal(cli->command->noun, "scale");
	assert_int_equal(cli->arg_count, 2);
	assert_string_equal(cli->args[0], "dispatcher");
	assert_string_equal(cli->args[1], "2");
	assert_null(cli->args[2]);
}

static void
test_read_takes_flags_in_any_place(void **state)
{
	struct cli *cli = *state;
	char line[] = "synq --dir /tmp/a config -X a.b=1 show -Xc.d=2 -o json "
		      "--yes";

	assert_int_equal(read_line(cli, line), -1);

	assert_string_equal(cli->command->verb, "show");
	assert_string_equal(cli->dir, "/tmp/a");
	assert_int_equal(cli->format, CLI_JSON);
	assert_int_equal(cli->format_given, 1);
	assert_int_equal(cli->yes, 1);
	assert_int_equal(cli->setting_count, 2);
	assert_string_equal(cli->settings[0], "a.b=1");
	assert_string_equal(cli->settings[1], "c.d=2");
	assert_null(cli->settings[2]);
}

static void
test_read_takes_values_behind_equals(void **state)
{
	struct cli *cli = *state;
	char line[] = "synq status --dir=/tmp/a=b --output=env";

	assert_int_equal(read_line(cli, line), -1);

	assert_string_equal(cli->dir, "/tmp/a=b");
	assert_int_equal(cli->format, CLI_ENV);
}

static void
test_read_takes_words_behind_two_dashes_as_they_are(void **state)
{
	struct cli *cli = *state;
	char line[] = "synq restart -- --help";

	assert_int_equal(read_line(cli, line), -1);

	assert_string_equal(cli->args[0], "--help");
}

static void
test_read_refuses_what_fits_nowhere(void **state)
{
	static const char *const lines[] = {
		"synq",
		"synq statsu",
		"synq config",
		"synq config shwo",
		"synq config show more",
		"synq scale dispatcher",
		"synq scale dispatcher 2 3",
		"synq status --nothing",
		"synq status --dir",
		"synq status --yes=1",
		"synq status -z",
		"synq status -qx",
		"synq status -o",
		"synq status -o yaml",
		"synq up -o env",
		"synq --nothing status",
	};
	struct cli *cli = *state;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(lines); i++) {
		char line[128];

		snprintf(line, sizeof(line), "%s", lines[i]);
		assert_int_equal(read_line(cli, line), CLI_USAGE);
	}
}

static void
test_read_help_and_version_are_no_failures(void **state)
{
	static const char *const lines[] = { "synq --help", "synq -h",
		"synq config --help", "synq config show -h", "synq up --help",
		"synq --version" };
	struct cli *cli = *state;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(lines); i++) {
		char line[128];

		snprintf(line, sizeof(line), "%s", lines[i]);
		assert_int_equal(read_line(cli, line), CLI_OK);
	}
}

static void
test_read_numbers_have_bounds(void **state)
{
	struct cli cli = { .given = { { "count", "7" }, { "big", "12" },
			       { "bad", "7x" }, { "sign", "-1" } },
		.given_count = 4 };
	long long number = 3;

	(void)state;
	assert_int_equal(cli_flag_number(&cli, "none", 1, 10, &number), 0);
	assert_int_equal(number, 3);
	assert_int_equal(cli_flag_number(&cli, "count", 1, 10, &number), 0);
	assert_int_equal(number, 7);
	assert_int_equal(
	    cli_flag_number(&cli, "big", 1, 10, &number), CLI_USAGE);
	assert_int_equal(
	    cli_flag_number(&cli, "bad", 1, 10, &number), CLI_USAGE);
	assert_int_equal(
	    cli_flag_number(&cli, "sign", 0, 10, &number), CLI_USAGE);
	assert_int_equal(number, 7);
}

static void
test_read_last_flag_wins(void **state)
{
	struct cli cli = { .given = { { "org", "a" }, { "org", "b" } },
		.given_count = 2 };

	(void)state;
	assert_string_equal(cli_flag(&cli, "org"), "b");
	assert_true(cli_has(&cli, "org"));
	assert_null(cli_flag(&cli, "other"));
	assert_false(cli_has(&cli, "other"));
}

static void
test_exit_codes_follow_the_error(void **state)
{
	(void)state;
	assert_int_equal(cli_exit_of(0), CLI_OK);
	assert_int_equal(cli_exit_of(-SYNQ_E_SYSTEM), CLI_FAILED);
	assert_int_equal(cli_exit_of(-SYNQ_E_INVALID), CLI_USAGE);
	assert_int_equal(cli_exit_of(SYNQ_E_CONFIG), CLI_CONFIG);
	assert_int_equal(cli_exit_of(-SYNQ_E_DENIED), CLI_AUTH);
	assert_int_equal(cli_exit_of(-SYNQ_E_NOT_FOUND), CLI_NOT_FOUND);
	assert_int_equal(cli_exit_of(-SYNQ_E_UNAVAILABLE), CLI_UNAVAILABLE);
	assert_int_equal(cli_exit_of(-SYNQ_E_TIMEOUT), CLI_UNAVAILABLE);
}

/* Help, manual and parser come from the same rows: each row must be whole. */
static void
test_every_command_is_in_the_manual(void **state)
{
	const struct cli_command *command;
	struct synq_buf page;
	size_t i;

	(void)state;
	synq_buf_init(&page, 1 << 20);
	help_manual(&page);
	for (i = 0; (command = cli_command_at(i)) != NULL; i++) {
		assert_non_null(command->summary);
		assert_non_null(command->run);
		assert_true(command->max_args >= command->min_args);
		assert_true((command->args != NULL) == (command->max_args > 0));
		assert_non_null(strstr(page.data, command->noun));
	}
	synq_buf_done(&page);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_read_finds_the_command_and_its_arguments),
		CASE(test_read_takes_flags_in_any_place),
		CASE(test_read_takes_values_behind_equals),
		CASE(test_read_takes_words_behind_two_dashes_as_they_are),
		CASE(test_read_refuses_what_fits_nowhere),
		CASE(test_read_help_and_version_are_no_failures),
		CASE(test_read_numbers_have_bounds),
		CASE(test_read_last_flag_wins),
		CASE(test_exit_codes_follow_the_error),
		CASE(test_every_command_is_in_the_manual),
	};

	return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
