#ifndef SYNQ_CONF_INNER_H
#define SYNQ_CONF_INNER_H

/*
 * Inside of conf: the load under way and where a value stands.
 */

#include "conf/conf.h"

/* The longest value of an option, and the longest file. */
#define CONF_MAX_VALUE_BYTES 4096
#define CONF_MAX_FILE_BYTES (1024 * 1024)

/* How many rows the table has. */
enum {
#define SYNQ_CONF_TEXT(section, name, ...) CONF_ROW_##section##_##name,
#define SYNQ_CONF_INT(section, name, ...) CONF_ROW_##section##_##name,
#define SYNQ_CONF_ENUM(section, name, ...) CONF_ROW_##section##_##name,
#include "conf/options.def"
#undef SYNQ_CONF_TEXT
#undef SYNQ_CONF_INT
#undef SYNQ_CONF_ENUM
	CONF_ROWS
};

/* What is behind the public struct synq_config. */
struct conf_whole {
	struct synq_config config; /* first: the two share their address */
	enum synq_origin origins[CONF_ROWS];
	char *texts[CONF_ROWS]; /* owned; of TEXT and ENUM rows */
};

struct conf_load {
	struct conf_whole *whole;
	struct synq_buf *out; /* mistakes, one a line */
	size_t mistakes;
	enum synq_origin origin; /* of what is read now */
	const char *file;        /* NULL = not from a file */
};

/* Where something stands; line 0 = nowhere in a file. */
struct conf_mark {
	size_t line;
	size_t column;
};

/* Note the mistake ${fmt} of ${load} at ${mark}. */
void conf_complain(struct conf_load *load, struct conf_mark mark,
    const char *fmt, ...) SYNQ_PRINTF(3, 4);

/* The index of the option ${section}.${name}; -1 if there is none. */
int conf_find(const char *section, const char *name);

/* 1 if a section is called ${section}, else 0. */
int conf_has_section(const char *section);

/* Complain at ${mark} that there is no section ${section}. */
void conf_unknown_section(
    struct conf_load *load, struct conf_mark mark, const char *section);

/* Complain at ${mark} that ${section} has no option ${name}. */
void conf_unknown_name(struct conf_load *load, struct conf_mark mark,
    const char *section, const char *name);

/* Check ${text} for the option ${index} and take it over, or complain. */
void conf_set(struct conf_load *load, struct conf_mark mark, int index,
    struct synq_slice text);

/*
 * What is wrong with the form of ${text} for ${option}, a literal that
 * completes "it is not ..."; NULL if nothing is.
 */
const char *conf_form(const struct synq_option *option, const char *text);

/* Read the file ${load}->file, if it exists, into ${load}. */
void conf_read_file(struct conf_load *load);

#endif
