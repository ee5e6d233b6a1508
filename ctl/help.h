#ifndef CTL_HELP_H
#define CTL_HELP_H

/*
 * Help texts and manual pages, all from the table of commands.
 */

#include "base/slice.h"
#include "ctl/cli.h"

/* Append the overview of all commands to ${out}. */
void help_overview(struct synq_buf *out);

/* Append the commands of the noun ${noun} to ${out}. */
void help_noun(const char *noun, struct synq_buf *out);

/* Append everything about ${command} to ${out}. */
void help_command(const struct cli_command *command, struct synq_buf *out);

/* Append the manual page synq(1) in man format to ${out}. */
void help_manual(struct synq_buf *out);

/* The commands "manual" and "config". */
extern const struct cli_command cli_help_commands[];

#endif
