/*
 * Configuration on any bytes: the first byte chooses whether the rest is
 * synq.yaml, run/servers.yaml, a setting of the command line or a variable of
 * the environment.  What is accepted keeps the table's limits, and shown as
 * settings it is accepted again and means the same; what is refused says why.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "conf/conf.h"

#define MAX_BYTES 8192
#define MAX_SETTINGS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char folder[] = "/tmp/fuzz-conf-XXXXXX";
static char file[64];
static char servers[64];
static char run[64];

static void
must(int truth)
{
	if (!truth)
		abort();
}

static void
clear(void)
{
	(void)unlink(file);
	(void)unlink(servers);
	(void)rmdir(run);
	(void)rmdir(folder);
}

static void
prepare(void)
{
	if (run[0] != '\0')
		return;
	must(mkdtemp(folder) != NULL);
	(void)snprintf(file, sizeof(file), "%s/synq.yaml", folder);
	(void)snprintf(run, sizeof(run), "%s/run", folder);
	(void)snprintf(servers, sizeof(servers), "%s/run/servers.yaml", folder);
	must(mkdir(run, 0700) == 0);
	must(atexit(clear) == 0);
}

static void
write_file(const char *path, const uint8_t *data, size_t bytes)
{
	FILE *out = fopen(path, "w");

	must(out != NULL);
	must(fwrite(data, 1, bytes, out) == bytes);
	must(fclose(out) == 0);
}

/* Every value of ${config} as a setting must give ${config} again. */
static void
check_again(const struct synq_config *config)
{
	static const char *const nothing[] = { NULL };
	static struct synq_buf texts[MAX_SETTINGS];
	const char *settings[MAX_SETTINGS + 1];
	const struct synq_conf_sources sources = { folder, settings, nothing };
	struct synq_config *again = NULL;
	const struct synq_option *option;
	struct synq_buf out;
	struct synq_buf text;
	size_t count;

	for (count = 0; (option = synq_option_at(count)) != NULL; count++) {
		must(count < MAX_SETTINGS);
		synq_buf_init(&texts[count], 2 * MAX_BYTES);
		synq_buf_printf(
		    &texts[count], "%s.%s=", option->section, option->name);
		synq_conf_value(config, option, &texts[count]);
		settings[count] = texts[count].data;
	}
	settings[count] = NULL;
	(void)unlink(file);
	(void)unlink(servers);
	synq_buf_init(&out, 1 << 20);
	must(synq_conf_load(&sources, &again, &out) == 0);
	for (size_t i = 0; i < count; i++) {
		option = synq_option_at(i);
		synq_buf_init(&text, 2 * MAX_BYTES);
		synq_buf_printf(&text, "%s.%s=", option->section, option->name);
		synq_conf_value(again, option, &text);
		must(synq_slice_equal(
		    synq_buf_view(&text), synq_buf_view(&texts[i])));
		must(synq_conf_origin(again, option) == SYNQ_ORIGIN_FLAG);
		synq_buf_done(&text);
		synq_buf_done(&texts[i]);
	}
	synq_buf_done(&out);
	synq_conf_free(&again);
}

static void
check_limits(const struct synq_config *config)
{
	const struct synq_option *option;
	int64_t number;

	for (size_t i = 0; (option = synq_option_at(i)) != NULL; i++) {
		if (option->type != SYNQ_OPTION_INT)
			continue;
		memcpy(&number, (const char *)config + option->offset,
		    sizeof(number));
		must(number >= option->min && number <= option->max);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *settings[] = { NULL, NULL };
	const char *environment[] = { NULL, NULL };
	const struct synq_conf_sources sources = { folder, settings,
		environment };
	struct synq_config *config = NULL;
	char text[MAX_BYTES + 1];
	struct synq_buf out;

	if (bytes == 0 || bytes > MAX_BYTES)
		return 0;
	prepare();
	(void)unlink(file);
	(void)unlink(servers);
	memcpy(text, data + 1, bytes - 1);
	text[bytes - 1] = '\0';
	if (data[0] % 4 == 0)
		write_file(file, data + 1, bytes - 1);
	else if (data[0] % 4 == 1)
		write_file(servers, data + 1, bytes - 1);
	else if (data[0] % 4 == 2)
		settings[0] = text;
	else
		environment[0] = text;

	synq_buf_init(&out, 1 << 20);
	if (synq_conf_load(&sources, &config, &out) == 0) {
		check_limits(config);
		check_again(config);
	} else {
		must(out.bytes > 0 && out.data[out.bytes - 1] == '\n');
	}
	synq_buf_done(&out);
	synq_conf_free(&config);
	return 0;
}
