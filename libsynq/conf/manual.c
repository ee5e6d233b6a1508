#include <string.h>

#include "conf/conf.h"
#include "conf/inner.h"

/*
 * What people read about options, from the table: the sample file, in which
 * every option stands with its default, and the manual page.
 */

static void
add_allowed(const struct synq_option *option, struct synq_buf *out)
{
	switch (option->type) {
	case SYNQ_OPTION_INT:
		synq_buf_printf(out, "%lld to %lld %s", (long long)option->min,
		    (long long)option->max, option->unit);
		break;
	case SYNQ_OPTION_ENUM:
		synq_buf_text(out, option->choices);
		break;
	case SYNQ_OPTION_TEXT:
		synq_buf_text(out, "text");
		break;
	}
	synq_buf_text(
	    out, option->live ? "; taken over at SIGHUP" : "; needs a restart");
}

void
synq_conf_sample(struct synq_buf *out)
{
	const struct synq_option *option;
	const char *section = "";
	size_t i;

	synq_buf_text(out,
	    "# synq.yaml: the configuration of all programs of one\n"
	    "# installation.  Every option stands here with its default.\n");
	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		if (strcmp(section, option->section) != 0)
			synq_buf_printf(out, "\n%s:\n", option->section);
		section = option->section;
		synq_buf_printf(out, "  # %s\n  # ", option->sentence);
		add_allowed(option, out);
		synq_buf_printf(out,
		    option->type == SYNQ_OPTION_TEXT ? "\n  # %s: \"%s\"\n"
						     : "\n  # %s: %s\n",
		    option->name, option->value);
	}
}

static void
add_roff(struct synq_buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			synq_buf_text(out, "\\e");
		else if (*text == '-')
			synq_buf_text(out, "\\-");
		else
			synq_buf_char(out, *text);
	}
}

static void
add_page_row(const struct synq_option *option, struct synq_buf *out)
{
	struct synq_buf allowed;

	synq_buf_init(&allowed, 1024);
	add_allowed(option, &allowed);
	synq_buf_text(out, ".TP\n.B ");
	add_roff(out, option->section);
	synq_buf_char(out, '.');
	add_roff(out, option->name);
	synq_buf_text(out, "\n");
	add_roff(out, option->sentence);
	synq_buf_text(out, "\nDefault: ");
	add_roff(out, option->value[0] == '\0' ? "empty" : option->value);
	synq_buf_text(out, "; ");
	add_roff(out, allowed.data);
	synq_buf_text(out, ".\n");
	synq_buf_done(&allowed);
}

void
synq_conf_manual(struct synq_buf *out)
{
	const struct synq_option *option;
	size_t i;

	synq_buf_text(out,
	    ".TH SYNQ.YAML 5 \"\" \"synq\" \"Synq\"\n"
	    ".SH NAME\nsynq.yaml \\- configuration of all programs of Synq\n"
	    ".SH DESCRIPTION\nThe file lies in the installation's folder.  It "
	    "has two levels: sections, and in them lines name: value.\n"
	    ".PP\nA value comes from the first of: \\-X section.name=value on "
	    "the command line, SYNQ_CONF_<SECTION>__<NAME> in the "
	    "environment, synq.yaml, run/servers.yaml (written by synq up), "
	    "the default.\n"
	    ".PP\nOn SIGHUP a program reads it again; if it has a mistake the "
	    "old one stays in force.\n"
	    ".SH OPTIONS\n");
	for (i = 0; (option = synq_option_at(i)) != NULL; i++)
		add_page_row(option, out);
	synq_buf_text(out, ".SH SEE ALSO\n.BR synq (1)\n");
}
