#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/cli.h"
#include "ctl/help.h"
#include "ctl/print.h"

#include "service/install.h"
#include "service/version.h"

/*
 * Reading the words of the command line, in one pass:
 *
 *	synq [flags] NOUN [VERB] [flags and arguments in any order]
 *
 * A word that does not begin with "-" is the noun, then the verb, then an
 * argument; after "--" every word is.  "-" alone is an argument (a pipe).
 * Flags are those of every command and, once the command is known, its own.
 * A word that fits nothing is a complaint with the nearest that would.
 */

struct reader {
	struct cli *cli;
	char **argv;
	int argc;
	int at;
	const char *noun;
	const char *dir;
	const char *output;
	int wants_help;
	int wants_version;
	int no_colour;
	int only_args; /* after "--" */
};

static const struct cli_flag common_flags[] = {
	{ "dir", "DIR", NULL },
	{ "output", "FORMAT", NULL },
	{ "setting", "SECTION.NAME=VALUE", NULL },
	{ "yes", NULL, NULL },
	{ "quiet", NULL, NULL },
	{ "no-color", NULL, NULL },
	{ "no-input", NULL, NULL },
	{ "help", NULL, NULL },
	{ "version", NULL, NULL },
	{ NULL, NULL, NULL },
};

static const struct cli_flag *
find_flag(const struct cli_flag *flags, const char *name, size_t bytes)
{
	for (; flags != NULL && flags->name != NULL; flags++) {
		if (strlen(flags->name) == bytes &&
		    memcmp(flags->name, name, bytes) == 0)
			return flags;
	}
	return NULL;
}

static int
unknown_flag(const struct reader *reader, const char *word)
{
	const char *words[64];
	const struct cli_command *command = reader->cli->command;
	const struct cli_flag *flag;
	const char *near;
	char name[64];
	size_t count = 0;

	for (flag = common_flags; flag->name != NULL; flag++)
		words[count++] = flag->name;
	flag = command == NULL ? NULL : command->flags;
	for (; flag != NULL && flag->name != NULL && count < 63; flag++)
		words[count++] = flag->name;
	words[count] = NULL;

	snprintf(
	    name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	near = synq_conf_nearest(name, words);
	if (near != NULL)
		return cli_say(CLI_USAGE,
		    "there is no flag --%s; did you mean --%s?", name, near);
	if (command == NULL)
		return cli_say(CLI_USAGE,
		    "there is no flag --%s before a command; try synq --help",
		    name);
	return cli_say(CLI_USAGE,
	    "there is no flag --%s; synq %s%s%s --help shows those there are",
	    name, command->noun, command->verb == NULL ? "" : " ",
	    command->verb == NULL ? "" : command->verb);
}

/* Take over the common flag ${name} with ${value}. */
static int
take_common(struct reader *reader, const char *name, const char *value)
{
	struct cli *cli = reader->cli;

	switch (name[0]) {
	case 'd':
		reader->dir = value;
		return -1;
	case 'o':
		reader->output = value;
		return -1;
	case 's':
		if (cli->setting_count == CLI_MAX_ARGS)
			return cli_say(CLI_USAGE, "too many -X");
		cli->settings[cli->setting_count++] = value;
		return -1;
	case 'y':
		cli->yes = 1;
		return -1;
	case 'q':
		cli->quiet = 1;
		return -1;
	case 'n':
		if (strcmp(name, "no-color") == 0)
			reader->no_colour = 1;
		return -1;
	case 'h':
		reader->wants_help = 1;
		return -1;
	default:
		reader->wants_version = 1;
		return -1;
	}
}

static int
read_long_flag(struct reader *reader, char *word)
{
	struct cli *cli = reader->cli;
	const char *equals = strchr(word, '=');
	const char *value = equals == NULL ? NULL : equals + 1;
	size_t bytes = strcspn(word + 2, "=");
	const struct cli_flag *flag = find_flag(common_flags, word + 2, bytes);
	int common = flag != NULL;

	if (flag == NULL && cli->command != NULL)
		flag = find_flag(cli->command->flags, word + 2, bytes);
	if (flag == NULL)
		return unknown_flag(reader, word);
	if (flag->value == NULL && value != NULL)
		return cli_say(CLI_USAGE, "--%s takes no value", flag->name);
	if (flag->value != NULL && value == NULL) {
		if (reader->at + 1 == reader->argc)
			return cli_say(CLI_USAGE, "--%s needs a value: --%s %s",
			    flag->name, flag->name, flag->value);
		value = reader->argv[++reader->at];
	}
	if (common)
		return take_common(reader, flag->name, value);
	if (cli->given_count == CLI_MAX_ARGS)
		return cli_say(CLI_USAGE, "too many flags");
	cli->given[cli->given_count].name = flag->name;
	cli->given[cli->given_count++].value = value;
	return -1;
}

/* -o FORMAT, -X SETTING (also without the space), -h, -q, -y. */
static int
read_short_flag(struct reader *reader, char *word)
{
	static const struct {
		char letter;
		const char *name;
		int takes_value;
	} shorts[] = {
		{ 'o', "output", 1 },
		{ 'X', "setting", 1 },
		{ 'h', "help", 0 },
		{ 'q', "quiet", 0 },
		{ 'y', "yes", 0 },
	};
	size_t i;

	for (i = 0; i < SYNQ_COUNT(shorts); i++) {
		const char *value = word[2] != '\0' ? word + 2 : NULL;

		if (word[1] != shorts[i].letter)
			continue;
		if (!shorts[i].takes_value && value != NULL)
			break;
		if (shorts[i].takes_value && value == NULL) {
			if (reader->at + 1 == reader->argc)
				return cli_say(
				    CLI_USAGE, "-%c needs a value", word[1]);
			value = reader->argv[++reader->at];
		}
		return take_common(reader, shorts[i].name, value);
	}
	return cli_say(CLI_USAGE,
	    "there is no flag %s; flags are long: --dir, --help, ...", word);
}

/* Complain that ${word} is no ${what}; the nouns or verbs are candidates. */
static int
unknown_word(const char *noun, const char *word)
{
	const char *words[256];
	const struct cli_command *command;
	const char *near;
	size_t count = 0;
	size_t i;

	for (i = 0; (command = cli_command_at(i)) != NULL && count < 255; i++) {
		if (noun == NULL)
			words[count++] = command->noun;
		else if (strcmp(command->noun, noun) == 0)
			words[count++] = command->verb;
	}
	words[count] = NULL;
	near = synq_conf_nearest(word, words);
	if (near != NULL)
		return cli_say(CLI_USAGE,
		    "there is no command \"%s%s%s\"; did you mean \"synq "
		    "%s%s%s\"?",
		    noun == NULL ? "" : noun, noun == NULL ? "" : " ", word,
		    noun == NULL ? "" : noun, noun == NULL ? "" : " ", near);
	return cli_say(CLI_USAGE,
	    "there is no command \"%s%s%s\"; synq %s%s--help shows those "
	    "there are",
	    noun == NULL ? "" : noun, noun == NULL ? "" : " ", word,
	    noun == NULL ? "" : noun, noun == NULL ? "" : " ");
}

static int
read_noun(struct reader *reader, const char *word)
{
	const struct cli_command *command;
	size_t i;

	for (i = 0; (command = cli_command_at(i)) != NULL; i++) {
		if (strcmp(command->noun, word) != 0)
			continue;
		reader->noun = word;
		if (command->verb == NULL)
			reader->cli->command = command;
		return -1;
	}
	return unknown_word(NULL, word);
}

static int
read_verb(struct reader *reader, const char *word)
{
	const struct cli_command *command;
	size_t i;

	for (i = 0; (command = cli_command_at(i)) != NULL; i++) {
		if (strcmp(command->noun, reader->noun) == 0 &&
		    strcmp(command->verb, word) == 0) {
			reader->cli->command = command;
			return -1;
		}
	}
	return unknown_word(reader->noun, word);
}

static int
read_word(struct reader *reader, char *word)
{
	struct cli *cli = reader->cli;

	if (!reader->only_args && word[0] == '-' && word[1] != '\0') {
		if (strcmp(word, "--") == 0) {
			reader->only_args = 1;
			return -1;
		}
		return word[1] == '-' ? read_long_flag(reader, word)
		                      : read_short_flag(reader, word);
	}
	if (reader->noun == NULL)
		return read_noun(reader, word);
	if (cli->command == NULL)
		return read_verb(reader, word);
	if (cli->arg_count == CLI_MAX_ARGS)
		return cli_say(CLI_USAGE, "too many arguments");
	cli->args[cli->arg_count++] = word;
	return -1;
}

static int
show_help(const struct reader *reader)
{
	struct synq_buf text;
	int code;

	synq_buf_init(&text, 256 * 1024);
	if (reader->cli->command != NULL)
		help_command(reader->cli->command, &text);
	else if (reader->noun != NULL)
		help_noun(reader->noun, &text);
	else
		help_overview(&text);
	code = print_all(synq_buf_view(&text));
	synq_buf_done(&text);
	return code;
}

static int
choose_format(struct reader *reader)
{
	static const char *const names[] = { "table", "json", "jsonl", "env",
		NULL };
	struct cli *cli = reader->cli;
	size_t i;

	if (reader->output == NULL)
		return -1;
	for (i = 0; names[i] != NULL; i++) {
		if (strcmp(names[i], reader->output) == 0)
			break;
	}
	if (names[i] == NULL)
		return cli_say(CLI_USAGE,
		    "-o takes table, json, jsonl or env, not \"%s\"",
		    reader->output);
	cli->format = (enum cli_format)i;
	cli->format_given = 1;
	if (cli->format == CLI_ENV && !cli->command->takes_env)
		return cli_say(CLI_USAGE, "this command has no -o env");
	return -1;
}

static int
check_args(const struct cli *cli)
{
	const struct cli_command *command = cli->command;

	if (cli->arg_count >= command->min_args &&
	    cli->arg_count <= command->max_args)
		return -1;
	return cli_say(CLI_USAGE, "%s: it is synq %s%s%s%s%s",
	    cli->arg_count < command->min_args ? "something is missing"
					       : "that is one word too many",
	    command->noun, command->verb == NULL ? "" : " ",
	    command->verb == NULL ? "" : command->verb,
	    command->args == NULL ? "" : " ",
	    command->args == NULL ? "" : command->args);
}

static int
finish(struct reader *reader)
{
	struct cli *cli = reader->cli;
	const char *term = getenv("TERM");
	int code;

	if (reader->wants_version) {
		printf("synq %s\n", SYNQ_VERSION);
		return CLI_OK;
	}
	if (reader->wants_help)
		return show_help(reader);
	if (reader->noun == NULL)
		return cli_say(
		    CLI_USAGE, "which command? synq --help shows them");
	if (cli->command == NULL)
		return cli_say(CLI_USAGE,
		    "synq %s what? synq %s --help shows the verbs",
		    reader->noun, reader->noun);
	code = choose_format(reader);
	if (code == -1)
		code = check_args(cli);
	if (code != -1)
		return code;

	cli->dir = synq_install_dir(reader->dir);
	cli->colour = !reader->no_colour && isatty(STDOUT_FILENO) &&
	              getenv("NO_COLOR") == NULL &&
	              (term == NULL || strcmp(term, "dumb") != 0);
	return -1;
}

int
cli_read(struct cli *cli, int argc, char **argv)
{
	struct reader reader = { .cli = cli, .argv = argv, .argc = argc };
	int code = -1;

	cli->program = argv[0];
	for (reader.at = 1; reader.at < argc && code == -1; reader.at++)
		code = read_word(&reader, argv[reader.at]);
	return code == -1 ? finish(&reader) : code;
}
