#include "ctl/help.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/print.h"
#include "service/version.h"

/*
 * Everything that people read about commands comes from the rows of the table,
 * so that help, manual and parser cannot differ.
 */

#define MAX_TEXT_BYTES (256 * 1024)

static const char *const common[][2] = {
	{ "--dir DIR",
	    "The installation's folder; else $SYNQ_DIR, else \"var\"." },
	{ "-o, --output FORMAT",
	    "table (default), json, jsonl, and env where said." },
	{ "-X SECTION.NAME=VALUE",
	    "One option of the configuration, above every other source." },
	{ "-q, --quiet", "No progress on the standard error." },
	{ "-y, --yes", "Do not ask before something is destroyed." },
	{ "--no-color", "No colours; also $NO_COLOR." },
	{ "-h, --help", "Help for all of it, a noun or one command." },
	{ "--version", "The version." },
};

static const char *const exit_codes[][2] = {
	{ "0", "Done." },
	{ "1", "Failed." },
	{ "2", "The command line is wrong." },
	{ "3", "The configuration is wrong." },
	{ "4", "The credential is wrong or does not suffice." },
	{ "5", "There is no such thing." },
	{ "6", "Something needed does not answer, or not in time." },
	{ "7", "Some of several things failed." },
};

static void
add_name(const struct cli_command *command, struct synq_buf *out)
{
	synq_buf_printf(out, "synq %s", command->noun);
	if (command->verb != NULL)
		synq_buf_printf(out, " %s", command->verb);
	if (command->args != NULL)
		synq_buf_printf(out, " %s", command->args);
}

static void
add_line(const struct cli_command *command, struct synq_buf *out)
{
	struct synq_buf name;

	synq_buf_init(&name, 512);
	add_name(command, &name);
	/* "synq " is said once, above. */
	synq_buf_printf(
	    out, "  %-34s %s\n", name.data + strlen("synq "), command->summary);
	synq_buf_done(&name);
}

void
help_overview(struct synq_buf *out)
{
	const struct cli_command *command;
	size_t i;

	synq_buf_text(out,
	    "Synq: accept, queue and run language-model requests.\n\n"
	    "  $ synq up                     start everything\n"
	    "  $ eval \"$(synq status -o env)\"  addresses and a key\n"
	    "  $ synq job submit --help      give it work\n\n"
	    "synq [flags] COMMAND\n\n");
	for (i = 0; (command = cli_command_at(i)) != NULL; i++)
		add_line(command, out);
	synq_buf_text(out, "\nFlags of every command:\n");
	for (i = 0; i < SYNQ_COUNT(common); i++)
		synq_buf_printf(
		    out, "  %-24s %s\n", common[i][0], common[i][1]);
	synq_buf_text(out,
	    "\nsynq COMMAND --help says more; synq manual prints the manual "
	    "page.\n");
}

void
help_noun(const char *noun, struct synq_buf *out)
{
	const struct cli_command *command;
	size_t i;

	synq_buf_printf(out, "synq %s VERB\n\n", noun);
	for (i = 0; (command = cli_command_at(i)) != NULL; i++) {
		if (strcmp(command->noun, noun) == 0)
			add_line(command, out);
	}
	synq_buf_printf(out, "\nsynq %s VERB --help says more.\n", noun);
}

void
help_command(const struct cli_command *command, struct synq_buf *out)
{
	const struct cli_flag *flag;
	size_t i;

	if (command->examples != NULL)
		synq_buf_printf(out, "%s\n", command->examples);
	add_name(command, out);
	synq_buf_printf(out, "\n\n%s.\n", command->summary);
	if (command->flags != NULL)
		synq_buf_text(out, "\nFlags:\n");
	for (flag = command->flags; flag != NULL && flag->name != NULL;
	     flag++) {
		char name[80];

		snprintf(name, sizeof(name), "--%s%s%s", flag->name,
		    flag->value == NULL ? "" : " ",
		    flag->value == NULL ? "" : flag->value);
		synq_buf_printf(out, "  %-24s %s\n", name, flag->text);
	}
	synq_buf_text(out, "\nFlags of every command:\n");
	for (i = 0; i < SYNQ_COUNT(common); i++)
		synq_buf_printf(
		    out, "  %-24s %s\n", common[i][0], common[i][1]);
}

/* ${text} so that troff shows it as it is. */
static void
add_roff(struct synq_buf *out, const char *text)
{
	int at_start = 1;

	for (; *text != '\0'; text++) {
		if (at_start && (*text == '.' || *text == '\''))
			synq_buf_text(out, "\\&");
		if (*text == '\\')
			synq_buf_text(out, "\\e");
		else if (*text == '-')
			synq_buf_text(out, "\\-");
		else
			synq_buf_char(out, *text);
		at_start = *text == '\n';
	}
}

static void
add_roff_row(struct synq_buf *out, const char *tag, const char *text)
{
	synq_buf_text(out, ".TP\n.B ");
	add_roff(out, tag);
	synq_buf_char(out, '\n');
	add_roff(out, text);
	synq_buf_char(out, '\n');
}

static void
add_roff_command(const struct cli_command *command, struct synq_buf *out)
{
	const struct cli_flag *flag;
	struct synq_buf name;

	synq_buf_init(&name, 512);
	add_name(command, &name);
	synq_buf_text(out, ".SS \"");
	add_roff(out, name.data);
	synq_buf_text(out, "\"\n");
	add_roff(out, command->summary);
	synq_buf_text(out, ".\n");
	synq_buf_done(&name);

	for (flag = command->flags; flag != NULL && flag->name != NULL;
	     flag++) {
		char tag[80];

		snprintf(tag, sizeof(tag), "--%s%s%s", flag->name,
		    flag->value == NULL ? "" : " ",
		    flag->value == NULL ? "" : flag->value);
		add_roff_row(out, tag, flag->text);
	}
	if (command->examples != NULL) {
		synq_buf_text(out, ".PP\n.nf\n");
		add_roff(out, command->examples);
		synq_buf_text(out, ".fi\n");
	}
}

void
help_manual(struct synq_buf *out)
{
	const struct cli_command *command;
	size_t i;

	synq_buf_printf(out,
	    ".TH SYNQ 1 \"\" \"synq %s\" \"Synq\"\n"
	    ".SH NAME\nsynq \\- start, watch and use a Synq installation\n"
	    ".SH SYNOPSIS\n.B synq\n[flags] COMMAND [arguments]\n"
	    ".SH DESCRIPTION\nSynq accepts language\\-model requests, queues "
	    "them and runs them against providers.  This command starts and "
	    "stops an installation, sets it up and submits work to it.\n"
	    ".SH FLAGS\n",
	    SYNQ_VERSION);
	for (i = 0; i < SYNQ_COUNT(common); i++)
		add_roff_row(out, common[i][0], common[i][1]);
	synq_buf_text(out, ".SH COMMANDS\n");
	for (i = 0; (command = cli_command_at(i)) != NULL; i++)
		add_roff_command(command, out);
	synq_buf_text(out, ".SH EXIT STATUS\n");
	for (i = 0; i < SYNQ_COUNT(exit_codes); i++)
		add_roff_row(out, exit_codes[i][0], exit_codes[i][1]);
	synq_buf_text(out, ".SH SEE ALSO\n.BR synq.yaml (5)\n");
}

static int
run_manual(struct cli *cli)
{
	struct synq_buf text;
	int code = CLI_OK;

	synq_buf_init(&text, MAX_TEXT_BYTES);
	if (cli->arg_count == 0 || strcmp(cli->args[0], "synq") == 0)
		help_manual(&text);
	else if (strcmp(cli->args[0], "synq.yaml") == 0)
		synq_conf_manual(&text);
	else
		code = cli_say(CLI_USAGE,
		    "the pages are synq and synq.yaml, not \"%s\"",
		    cli->args[0]);
	if (code == CLI_OK)
		code = print_all(synq_buf_view(&text));
	synq_buf_done(&text);
	return code;
}

static int
run_sample(struct cli *cli)
{
	struct synq_buf text;
	int code;

	(void)cli;
	synq_buf_init(&text, MAX_TEXT_BYTES);
	synq_conf_sample(&text);
	code = print_all(synq_buf_view(&text));
	synq_buf_done(&text);
	return code;
}

static int
run_show(struct cli *cli)
{
	static const char *const origins[] = { "default", "servers.yaml",
		"synq.yaml", "environment", "command line" };
	static const struct print_column columns[] = {
		{ .name = "option" },
		{ .name = "value" },
		{ .name = "origin" },
	};
	const struct synq_option *option;
	struct print_table *table;
	int code = cli_config(cli);
	size_t i;

	if (code != 0)
		return code;
	table = print_table_new(columns, SYNQ_COUNT(columns));
	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		struct synq_buf value;
		char name[128];

		snprintf(
		    name, sizeof(name), "%s.%s", option->section, option->name);
		synq_buf_init(&value, 64 * 1024);
		synq_conf_value(cli->config, option, &value);
		print_table_add(table,
		    (const char *const[]){ name,
			value.bytes == 0 ? "" : value.data,
			origins[synq_conf_origin(cli->config, option)] });
		synq_buf_done(&value);
	}
	code = print_table_list(cli, table);
	print_table_free(&table);
	return code;
}

static int
run_check(struct cli *cli)
{
	int code = cli_config(cli);

	if (code == 0)
		cli_tell(cli, "the configuration is valid");
	return code;
}

const struct cli_command cli_help_commands[] = {
	{ .noun = "config",
	    .verb = "show",
	    .summary = "Show every option, its value and where that came from",
	    .examples = "$ synq config show\n",
	    .run = run_show },
	{ .noun = "config",
	    .verb = "check",
	    .summary = "Check the configuration and show all its mistakes",
	    .examples = "$ synq config check\n",
	    .run = run_check },
	{ .noun = "config",
	    .verb = "sample",
	    .summary = "Print a sample synq.yaml with every option",
	    .examples = "$ synq config sample >var/synq.yaml\n",
	    .run = run_sample },
	{ .noun = "manual",
	    .args = "[PAGE]",
	    .max_args = 1,
	    .summary = "Print the manual page synq or synq.yaml",
	    .examples = "$ synq manual | man -l -\n",
	    .run = run_manual },
	{ .noun = NULL },
};
