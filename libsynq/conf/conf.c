#include "conf/conf.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/inner.h"

/*
 * Happy path: the defaults, then servers.yaml, synq.yaml, the environment and
 * the flags, each overwriting what came before.  A value is checked when it is
 * read, also one that is overwritten later: a mistake is a mistake.
 *
 * Failure: every mistake becomes a line of its own, the load goes on, and only
 * its end is CONFIG.
 */

#define ENV_PREFIX "SYNQ_CONF_"

static const char *
place_of(const struct conf_load *load)
{
	switch (load->origin) {
	case SYNQ_ORIGIN_ENVIRONMENT:
		return "environment";
	case SYNQ_ORIGIN_FLAG:
		return "command line";
	case SYNQ_ORIGIN_DEFAULT:
	case SYNQ_ORIGIN_SERVERS:
	case SYNQ_ORIGIN_FILE:
		break;
	}
	return load->file == NULL ? "default" : load->file;
}

void
conf_complain(
    struct conf_load *load, struct conf_mark mark, const char *fmt, ...)
{
	va_list args;

	load->mistakes++;
	synq_buf_text(load->out, place_of(load));
	if (mark.line > 0)
		synq_buf_printf(load->out, ":%zu:%zu", mark.line, mark.column);
	synq_buf_text(load->out, ": ");
	va_start(args, fmt);
	synq_buf_vprintf(load->out, fmt, args);
	va_end(args);
	synq_buf_char(load->out, '\n');
}

void
conf_unknown_section(
    struct conf_load *load, struct conf_mark mark, const char *section)
{
	const char *names[CONF_ROWS + 1] = { NULL };
	const char *near;
	struct synq_buf list;
	size_t count = 0;
	size_t i;

	synq_buf_init(&list, 4096);
	for (i = 0; i < CONF_ROWS; i++) {
		const char *name = synq_option_at(i)->section;

		if (count > 0 && strcmp(names[count - 1], name) == 0)
			continue;
		names[count++] = name;
		synq_buf_printf(&list, "%s%s", count > 1 ? ", " : "", name);
	}
	names[count] = NULL;
	near = synq_conf_nearest(section, names);
	if (near != NULL)
		conf_complain(load, mark,
		    "there is no section \"%s\"; did you mean \"%s\"?", section,
		    near);
	else
		conf_complain(load, mark,
		    "there is no section \"%s\"; there are %s", section,
		    list.data);
	synq_buf_done(&list);
}

void
conf_unknown_name(struct conf_load *load, struct conf_mark mark,
    const char *section, const char *name)
{
	const char *names[CONF_ROWS + 1] = { NULL };
	const char *near;
	struct synq_buf list;
	size_t count = 0;
	size_t i;

	synq_buf_init(&list, 4096);
	for (i = 0; i < CONF_ROWS; i++) {
		const struct synq_option *option = synq_option_at(i);

		if (strcmp(option->section, section) != 0)
			continue;
		names[count++] = option->name;
		synq_buf_printf(
		    &list, "%s%s", count > 1 ? ", " : "", option->name);
	}
	names[count] = NULL;
	near = synq_conf_nearest(name, names);
	if (near != NULL)
		conf_complain(load, mark,
		    "there is no option %s.%s; did you mean %s.%s?", section,
		    name, section, near);
	else
		conf_complain(load, mark,
		    "there is no option %s.%s; section %s has %s", section,
		    name, section, list.data);
	synq_buf_done(&list);
}

static void *
member_of(struct conf_whole *whole, const struct synq_option *option)
{
	return (char *)&whole->config + option->offset;
}

static void
set_text(struct conf_load *load, int index, struct synq_slice text)
{
	const struct synq_option *option = synq_option_at((size_t)index);
	const char **member = member_of(load->whole, option);

	synq_mem_free(load->whole->texts[index]);
	load->whole->texts[index] = synq_mem_copy(text.data, text.bytes);
	*member = load->whole->texts[index];
}

static int
is_choice(const char *choices, struct synq_slice text)
{
	while (*choices != '\0') {
		size_t bytes = strcspn(choices, "|");

		if (synq_slice_equal(synq_slice_of(choices, bytes), text))
			return 1;
		choices += bytes + (choices[bytes] == '|');
	}
	return 0;
}

static int
set_enum(struct conf_load *load, struct conf_mark mark, int index,
    struct synq_slice text)
{
	const struct synq_option *option = synq_option_at((size_t)index);

	if (is_choice(option->choices, text)) {
		set_text(load, index, text);
		return 0;
	}
	conf_complain(load, mark, "%s.%s: \"%.*s\" is not one of %s",
	    option->section, option->name, (int)text.bytes, text.data,
	    option->choices);
	return -1;
}

static int
set_int(struct conf_load *load, struct conf_mark mark, int index,
    struct synq_slice text)
{
	const struct synq_option *option = synq_option_at((size_t)index);
	int64_t *member = member_of(load->whole, option);
	uint64_t number;

	if (synq_slice_u64(text, (uint64_t)option->max, &number) == 0 &&
	    (int64_t)number >= option->min) {
		*member = (int64_t)number;
		return 0;
	}
	conf_complain(load, mark,
	    "%s.%s: \"%.*s\" is not a whole number from %lld to %lld (%s)",
	    option->section, option->name, (int)text.bytes, text.data,
	    (long long)option->min, (long long)option->max, option->unit);
	return -1;
}

static int
set_free_text(struct conf_load *load, struct conf_mark mark, int index,
    struct synq_slice text)
{
	const struct synq_option *option = synq_option_at((size_t)index);
	const char *wrong;
	char *copy = synq_mem_copy(text.data, text.bytes);

	wrong = conf_form(option, copy);
	if (wrong == NULL)
		set_text(load, index, text);
	else
		conf_complain(load, mark, "%s.%s: \"%s\" is not %s",
		    option->section, option->name, copy, wrong);
	synq_mem_free(copy);
	return wrong == NULL ? 0 : -1;
}

void
conf_set(struct conf_load *load, struct conf_mark mark, int index,
    struct synq_slice text)
{
	const struct synq_option *option = synq_option_at((size_t)index);
	size_t i;
	int rc = 0;

	if (text.bytes > CONF_MAX_VALUE_BYTES) {
		conf_complain(load, mark,
		    "%s.%s: a value has at most %d bytes, this one %zu",
		    option->section, option->name, CONF_MAX_VALUE_BYTES,
		    text.bytes);
		return;
	}
	for (i = 0; i < text.bytes; i++) {
		if ((unsigned char)text.data[i] >= 0x20)
			continue;
		conf_complain(load, mark,
		    "%s.%s: a value is one line without control characters",
		    option->section, option->name);
		return;
	}
	switch (option->type) {
	case SYNQ_OPTION_TEXT:
		rc = set_free_text(load, mark, index, text);
		break;
	case SYNQ_OPTION_INT:
		rc = set_int(load, mark, index, text);
		break;
	case SYNQ_OPTION_ENUM:
		rc = set_enum(load, mark, index, text);
		break;
	}
	if (rc == 0)
		load->whole->origins[index] = load->origin;
}

static void
read_defaults(struct conf_load *load)
{
	const struct conf_mark nowhere = { 0, 0 };
	int i;

	load->origin = SYNQ_ORIGIN_DEFAULT;
	for (i = 0; i < CONF_ROWS; i++)
		conf_set(load, nowhere, i,
		    synq_slice_text(synq_option_at((size_t)i)->value));
}

static void
read_file(struct conf_load *load, const char *path, enum synq_origin origin)
{
	load->origin = origin;
	load->file = path;
	conf_read_file(load);
	load->file = NULL;
}

/* The variable's name as section and name in lower case; -1 if it has none. */
static int
split_variable(const char *variable, char section[64], char name[64])
{
	const char *at = variable + strlen(ENV_PREFIX);
	const char *split = strstr(at, "__");
	size_t bytes = strcspn(at, "=");
	size_t i;

	if (split == NULL || split >= at + bytes || split == at)
		return -1;
	if ((size_t)(split - at) > 63 || bytes - (size_t)(split - at) - 2 > 63)
		return -1;
	for (i = 0; at + i < split; i++)
		section[i] = (char)tolower((unsigned char)at[i]);
	section[i] = '\0';
	for (i = 0; split + 2 + i < at + bytes; i++)
		name[i] = (char)tolower((unsigned char)split[2 + i]);
	name[i] = '\0';
	return 0;
}

static void
read_variable(struct conf_load *load, const char *variable)
{
	const struct conf_mark nowhere = { 0, 0 };
	const char *value = strchr(variable, '=');
	char section[64];
	char name[64];
	int index;

	if (value == NULL)
		return;
	if (split_variable(variable, section, name) != 0) {
		conf_complain(load, nowhere,
		    "%.*s: it is " ENV_PREFIX "<SECTION>__<NAME>",
		    (int)strcspn(variable, "="), variable);
		return;
	}
	index = conf_find(section, name);
	if (index >= 0)
		conf_set(load, nowhere, index, synq_slice_text(value + 1));
	else if (conf_has_section(section))
		conf_unknown_name(load, nowhere, section, name);
	else
		conf_unknown_section(load, nowhere, section);
}

static void
read_environment(struct conf_load *load, const char *const *environment)
{
	load->origin = SYNQ_ORIGIN_ENVIRONMENT;
	for (; *environment != NULL; environment++) {
		if (strncmp(*environment, ENV_PREFIX, strlen(ENV_PREFIX)) == 0)
			read_variable(load, *environment);
	}
}

static void
read_setting(struct conf_load *load, const char *setting)
{
	const struct conf_mark nowhere = { 0, 0 };
	const char *dot = strchr(setting, '.');
	const char *equals = strchr(setting, '=');
	char section[64];
	char name[64];
	int index;

	if (dot == NULL || equals == NULL || dot > equals ||
	    dot - setting > 63 || equals - dot - 1 > 63) {
		conf_complain(load, nowhere,
		    "-X %s: it is -X section.name=value", setting);
		return;
	}
	snprintf(
	    section, sizeof(section), "%.*s", (int)(dot - setting), setting);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - dot - 1), dot + 1);
	index = conf_find(section, name);
	if (index >= 0)
		conf_set(load, nowhere, index, synq_slice_text(equals + 1));
	else if (conf_has_section(section))
		conf_unknown_name(load, nowhere, section, name);
	else
		conf_unknown_section(load, nowhere, section);
}

int
synq_conf_load(const struct synq_conf_sources *sources,
    struct synq_config **ret, struct synq_buf *out)
{
	const char *const *setting;
	struct synq_config *config;
	struct conf_load load = { .out = out };
	struct synq_buf path;

	load.whole = synq_mem_new(sizeof(*load.whole));
	config = &load.whole->config;
	read_defaults(&load);

	synq_buf_init(&path, 64 * 1024);
	synq_buf_printf(&path, "%s/run/servers.yaml", sources->dir);
	read_file(&load, path.data, SYNQ_ORIGIN_SERVERS);
	synq_buf_clear(&path);
	synq_buf_printf(&path, "%s/synq.yaml", sources->dir);
	read_file(&load, path.data, SYNQ_ORIGIN_FILE);
	synq_buf_done(&path);

	read_environment(&load, sources->environment != NULL
				    ? sources->environment
				    : (const char *const *)environ);
	load.origin = SYNQ_ORIGIN_FLAG;
	for (setting = sources->settings; setting != NULL && *setting != NULL;
	     setting++)
		read_setting(&load, *setting);

	if (load.mistakes > 0) {
		synq_conf_free(&config);
		return -SYNQ_E_CONFIG;
	}
	*ret = config;
	return 0;
}

enum synq_origin
synq_conf_origin(
    const struct synq_config *config, const struct synq_option *option)
{
	const struct conf_whole *whole = (const struct conf_whole *)config;

	return whole->origins[option - synq_option_at(0)];
}

void
synq_conf_value(const struct synq_config *config,
    const struct synq_option *option, struct synq_buf *out)
{
	const void *member = (const char *)config + option->offset;

	if (option->type == SYNQ_OPTION_INT)
		synq_buf_printf(
		    out, "%lld", (long long)*(const int64_t *)member);
	else
		synq_buf_text(out, *(const char *const *)member);
}

void
synq_conf_free(struct synq_config **config)
{
	struct conf_whole *whole = (struct conf_whole *)*config;
	size_t i;

	if (whole == NULL)
		return;
	for (i = 0; i < CONF_ROWS; i++)
		synq_mem_free(whole->texts[i]);
	synq_mem_free(whole);
	*config = NULL;
}
