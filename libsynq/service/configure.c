#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "service/inner.h"

/*
 * The configuration of a running program.  At SIGHUP live options take their
 * new values; the others keep those with which the program started, and a
 * warning names each that differs.
 *
 * Every configuration that was in force is kept until the end, because
 * programs borrow texts of it; SERVICE_MAX_RELOADS bounds that.
 */

#define MAX_MISTAKE_BYTES (64 * 1024)

static int
load(struct synq_service *service, struct synq_config **ret,
    struct synq_buf *out)
{
	const struct synq_conf_sources sources = {
		.dir = service->dir,
		.settings = service->settings,
	};

	return synq_conf_load(&sources, ret, out);
}

static void
take_over(struct synq_service *service, struct synq_config *config)
{
	static const char *const levels[] = { "debug", "info", "warn",
		"error" };
	size_t i;

	service->configs[service->config_count++] = config;
	for (i = 0; i < SYNQ_COUNT(levels); i++) {
		if (strcmp(config->log_level, levels[i]) == 0)
			synq_log_setup(
			    service->program->name, (enum synq_log_level)i);
	}
}

int
service_configure(struct synq_service *service)
{
	struct synq_config *config = NULL;
	struct synq_buf mistakes;
	int code = 0;

	synq_buf_init(&mistakes, MAX_MISTAKE_BYTES);
	if (load(service, &config, &mistakes) == 0) {
		take_over(service, config);
	} else {
		fprintf(stderr, "%s", mistakes.bytes == 0 ? "" : mistakes.data);
		code = 3;
	}
	synq_buf_done(&mistakes);
	return code;
}

/* Log each line of ${mistakes}. */
static void
log_mistakes(const struct synq_buf *mistakes)
{
	const char *at = mistakes->bytes == 0 ? "" : mistakes->data;

	while (*at != '\0') {
		size_t bytes = strcspn(at, "\n");

		synq_log(SYNQ_LOG_ERROR, "config.refused",
		    SYNQ_F_SLICE("mistake", synq_slice_of(at, bytes)),
		    SYNQ_F_END);
		at += bytes + (at[bytes] == '\n');
	}
}

static int
same_value(const struct synq_config *a, const struct synq_config *b,
    const struct synq_option *option)
{
	const char *at = (const char *)a + option->offset;
	const char *other = (const char *)b + option->offset;

	if (option->type == SYNQ_OPTION_INT)
		return memcmp(at, other, sizeof(int64_t)) == 0;
	return strcmp(*(const char *const *)(const void *)at,
		   *(const char *const *)(const void *)other) == 0;
}

/* Give every option of ${fresh} that needs a restart its value in ${old}. */
static void
keep_fixed(const struct synq_config *old, struct synq_config *fresh)
{
	const struct synq_option *option;
	size_t i;

	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		size_t bytes = sizeof(char *);

		if (option->type == SYNQ_OPTION_INT)
			bytes = sizeof(int64_t);
		if (option->live)
			continue;
		if (!same_value(old, fresh, option))
			synq_log(SYNQ_LOG_WARN, "config.needs_restart",
			    SYNQ_F_TEXT("section", option->section),
			    SYNQ_F_TEXT("option", option->name), SYNQ_F_END);
		memcpy((char *)fresh + option->offset,
		    (const char *)old + option->offset, bytes);
	}
}

int
service_reconfigure(struct synq_service *service)
{
	struct synq_config *config = NULL;
	struct synq_buf mistakes;
	int taken = 0;

	if (service->config_count == SERVICE_MAX_RELOADS) {
		synq_log(SYNQ_LOG_ERROR, "config.refused",
		    SYNQ_F_TEXT("mistake", "too many reloads; restart"),
		    SYNQ_F_END);
		return 0;
	}
	synq_buf_init(&mistakes, MAX_MISTAKE_BYTES);
	if (load(service, &config, &mistakes) == 0) {
		keep_fixed(service->configs[service->config_count - 1], config);
		take_over(service, config);
		synq_log(SYNQ_LOG_INFO, "config.reloaded", SYNQ_F_END);
		taken = 1;
	} else {
		log_mistakes(&mistakes);
	}
	synq_buf_done(&mistakes);
	return taken;
}
