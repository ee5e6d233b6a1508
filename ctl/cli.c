#include "ctl/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "service/install.h"

/*
 * What commands call for their flags, their configuration and their
 * complaints.  Reading the words is in read.c.
 */

const char *
cli_flag(const struct cli *cli, const char *name)
{
	size_t i;

	for (i = cli->given_count; i > 0; i--) {
		if (strcmp(cli->given[i - 1].name, name) == 0)
			return cli->given[i - 1].value;
	}
	return NULL;
}

int
cli_has(const struct cli *cli, const char *name)
{
	size_t i;

	for (i = 0; i < cli->given_count; i++) {
		if (strcmp(cli->given[i].name, name) == 0)
			return 1;
	}
	return 0;
}

int
cli_flag_number(const struct cli *cli, const char *name, long long min,
    long long max, long long *ret)
{
	const char *text = cli_flag(cli, name);
	struct synq_slice digits = synq_slice_text(text);
	uint64_t number;

	if (text == NULL)
		return 0;
	if (synq_slice_u64(digits, INT64_MAX, &number) != 0 ||
	    (long long)number < min || (long long)number > max)
		return cli_say(CLI_USAGE,
		    "--%s takes a whole number from %lld to %lld, not \"%s\"",
		    name, min, max, text);
	*ret = (long long)number;
	return 0;
}

int
cli_config(struct cli *cli)
{
	const struct synq_conf_sources sources = {
		.dir = cli->dir,
		.settings = cli->settings,
	};
	struct synq_buf mistakes;
	int code = 0;

	if (cli->config != NULL)
		return 0;
	synq_buf_init(&mistakes, 64 * 1024);
	if (synq_conf_load(&sources, &cli->config, &mistakes) != 0) {
		fprintf(stderr, "%s", mistakes.bytes == 0 ? "" : mistakes.data);
		code = cli_say(CLI_CONFIG,
		    "the configuration is not valid; mend it and repeat");
	}
	synq_buf_done(&mistakes);
	return code;
}

int
cli_exit_of(int rc)
{
	switch (rc < 0 ? -rc : rc) {
	case SYNQ_E_OK:
		return CLI_OK;
	case SYNQ_E_INVALID:
		return CLI_USAGE;
	case SYNQ_E_CONFIG:
		return CLI_CONFIG;
	case SYNQ_E_DENIED:
		return CLI_AUTH;
	case SYNQ_E_NOT_FOUND:
		return CLI_NOT_FOUND;
	case SYNQ_E_UNAVAILABLE:
	case SYNQ_E_TIMEOUT:
	case SYNQ_E_UNCERTAIN:
	case SYNQ_E_BUSY:
		return CLI_UNAVAILABLE;
	default:
		return CLI_FAILED;
	}
}

int
cli_fail(const struct synq_err *err)
{
	fprintf(stderr, "synq: %s\n", err->text);
	return cli_exit_of(err->code);
}

int
cli_say(enum cli_exit code, const char *fmt, ...)
{
	va_list args;

	fputs("synq: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return (int)code;
}

void
cli_tell(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	if (cli->quiet)
		return;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

int
cli_agree(const struct cli *cli, const char *question)
{
	char line[16];

	if (cli->yes)
		return 1;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return 0;
	fprintf(stderr, "%s [y/N] ", question);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return 0;
	return line[0] == 'y' || line[0] == 'Y';
}

void
cli_done(struct cli *cli)
{
	synq_conf_free(&cli->config);
	synq_mem_free(cli->dir);
	cli->dir = NULL;
}
