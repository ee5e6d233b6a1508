#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "crypto/secret.h"
#include "ctl/cli.h"

/*
 * synq: the operator's command.  Read the words, find the command in the
 * table, run it; its exit code is ours.
 */

int
main(int argc, char **argv)
{
	static struct cli cli;
	struct synq_err err;
	int code;

	/* A reader that left is seen as an error of write. */
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "C.UTF-8");
	if (synq_crypto_init(&err) != 0)
		return cli_fail(&err);

	code = cli_read(&cli, argc, argv);
	if (code == -1)
		code = cli.command->run(&cli);
	cli_done(&cli);
	if (fflush(stdout) != 0 && code == CLI_OK)
		code = CLI_FAILED;
	return code;
}
