#include "ctl/cli.h"

/*
 * The commands that start, stop and show an installation.
 */

extern const struct cli_command cli_up_commands[];
const struct cli_command cli_up_commands[] = {
	{ .noun = NULL },
};
