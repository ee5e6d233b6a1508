#include "ctl/cli.h"

/*
 * All commands as one table: the arrays that commands.def names, one after the
 * other.
 */

#define CLI_NOUN(name) extern const struct cli_command cli_##name##_commands[];
#include "ctl/commands.def"
#undef CLI_NOUN

static const struct cli_command *const nouns[] = {
#define CLI_NOUN(name) cli_##name##_commands,
#include "ctl/commands.def"
#undef CLI_NOUN
};

const struct cli_command *
cli_command_at(size_t index)
{
	size_t i;

	for (i = 0; i < SYNQ_COUNT(nouns); i++) {
		const struct cli_command *row;

		for (row = nouns[i]; row->noun != NULL; row++) {
			if (index-- == 0)
				return row;
		}
	}
	return NULL;
}
