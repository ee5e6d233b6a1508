#ifndef CTL_CLI_H
#define CTL_CLI_H

/*
 * The command line: what every command gets, and the table that commands stand
 * in.  Each noun has a file of its own with an array of struct cli_command,
 * which commands.def names; from the same rows come parsing, --help, near-miss
 * suggestions and the manual page.
 *
 * Data goes to the standard output, everything else to the standard error.
 */

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

struct synq_config;

/* Exit codes, as documented in the manual. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_CONFIG = 3,
	CLI_AUTH = 4,
	CLI_NOT_FOUND = 5,
	CLI_UNAVAILABLE = 6, /* or no answer in time */
	CLI_PARTIAL = 7      /* some of several things failed */
};

/* How data is written (-o). */
enum cli_format { CLI_TABLE, CLI_JSON, CLI_JSONL, CLI_ENV };

#define CLI_MAX_ARGS 256

/* A flag of one command; arrays of them end with name NULL. */
struct cli_flag {
	const char *name;  /* without "--" */
	const char *value; /* what follows, as "NAME"; NULL = a switch */
	const char *text;  /* one sentence */
};

struct cli;

struct cli_command {
	const char *noun;
	const char *verb; /* NULL: the noun is the whole command */
	const char *args; /* as "NAME [N]"; NULL = none */
	size_t min_args;
	size_t max_args;
	const char *summary;  /* one line, no full stop */
	const char *examples; /* whole lines, "$ synq ..."; may be NULL */
	const struct cli_flag *flags; /* may be NULL */
	int takes_env;                /* 1 = "-o env" is possible */
	/* Do it; returns the exit code. */
	int (*run)(struct cli *cli);
};

/* One occurrence of a flag of the command, in the order given. */
struct cli_given {
	const char *name;
	const char *value; /* NULL for a switch */
};

struct cli {
	const struct cli_command *command;
	const char *program; /* argv[0] */
	char *dir;           /* the installation, absolute; owned */
	enum cli_format format;
	int format_given; /* 1 = -o was used */
	int yes;          /* --yes: do not ask */
	int quiet;        /* --quiet: no progress */
	int colour;       /* 1 = the standard output takes colours */
	const char *settings[CLI_MAX_ARGS + 1]; /* of -X, NULL-terminated */
	size_t setting_count;
	const char *args[CLI_MAX_ARGS + 1]; /* NULL-terminated */
	size_t arg_count;
	struct cli_given given[CLI_MAX_ARGS];
	size_t given_count;
	struct synq_config *config; /* by cli_config; owned */
};

/*
 * Every command: row ${index} of the table in the manual's order; NULL beyond
 * its end.
 */
const struct cli_command *cli_command_at(size_t index);

/*
 * Read ${argv} into ${cli}, which cli_done frees.  Returns -1 to go on, else
 * the exit code: help, a version or a complaint was written.
 */
SYNQ_MUST_CHECK int cli_read(struct cli *cli, int argc, char **argv);

/* Free what ${cli} owns. */
void cli_done(struct cli *cli);

/* The last value of the flag ${name} of the command; NULL if not given. */
const char *cli_flag(const struct cli *cli, const char *name);

/* 1 if the flag ${name} of the command was given, else 0. */
int cli_has(const struct cli *cli, const char *name);

/*
 * The whole number that the flag ${name} gives, from ${min} to ${max}, into
 * ${ret}, which keeps its value if it was not given.  Returns 0, or CLI_USAGE
 * after a complaint.
 */
SYNQ_MUST_CHECK int cli_flag_number(const struct cli *cli, const char *name,
    long long min, long long max, long long *ret);

/*
 * Load the configuration of the installation into ${cli}->config, once.
 * Returns 0, or the exit code after all mistakes were written.
 */
SYNQ_MUST_CHECK int cli_config(struct cli *cli);

/* The exit code for the error ${rc} (of either sign). */
int cli_exit_of(int rc);

/* Say what ${err} says; returns the exit code for it. */
int cli_fail(const struct synq_err *err);

/* Say ${fmt} as a complaint; returns ${code}. */
int cli_say(enum cli_exit code, const char *fmt, ...) SYNQ_PRINTF(2, 3);

/* Tell ${fmt} on the standard error as progress, unless --quiet. */
void cli_tell(const struct cli *cli, const char *fmt, ...) SYNQ_PRINTF(2, 3);

/*
 * Ask ${question} on a terminal; 1 if the answer is yes or --yes was given, 0
 * otherwise, and always 0 without a terminal.
 */
int cli_agree(const struct cli *cli, const char *question);

#endif
