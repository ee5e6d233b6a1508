#include <string.h>

#include "conf/inner.h"

/*
 * The table options.def as rows, and finding one.
 */

#define RELOAD_LIVE 1
#define RELOAD_START 0

/* clang-format off */
#define SYNQ_CONF_TEXT(row_section, row_name, row_value, reload, text) \
	{ .section = #row_section, .name = #row_name, \
	  .type = SYNQ_OPTION_TEXT, .value = row_value, \
	  .live = RELOAD_##reload, .sentence = text, \
	  .offset = offsetof(struct synq_config, row_section##_##row_name) },
#define SYNQ_CONF_INT( \
	row_section, row_name, row_value, low, high, row_unit, reload, text) \
	{ .section = #row_section, .name = #row_name, \
	  .type = SYNQ_OPTION_INT, .value = #row_value, .min = low, \
	  .max = high, .unit = row_unit, .live = RELOAD_##reload, \
	  .sentence = text, \
	  .offset = offsetof(struct synq_config, row_section##_##row_name) },
#define SYNQ_CONF_ENUM( \
	row_section, row_name, row_value, row_choices, reload, text) \
	{ .section = #row_section, .name = #row_name, \
	  .type = SYNQ_OPTION_ENUM, .value = row_value, \
	  .choices = row_choices, .live = RELOAD_##reload, \
	  .sentence = text, \
	  .offset = offsetof(struct synq_config, row_section##_##row_name) },
/* clang-format on */

static const struct synq_option rows[CONF_ROWS] = {
#include "conf/options.def"
};

const struct synq_option *
synq_option_at(size_t index)
{
	return index < CONF_ROWS ? &rows[index] : NULL;
}

int
conf_find(const char *section, const char *name)
{
	int i;

	for (i = 0; i < CONF_ROWS; i++) {
		if (strcmp(rows[i].section, section) == 0 &&
		    strcmp(rows[i].name, name) == 0)
			return i;
	}
	return -1;
}

int
conf_has_section(const char *section)
{
	size_t i;

	for (i = 0; i < CONF_ROWS; i++) {
		if (strcmp(rows[i].section, section) == 0)
			return 1;
	}
	return 0;
}
