#ifndef SYNQ_CONF_CONF_H
#define SYNQ_CONF_CONF_H

/*
 * Configuration: one table (options.def) → one checked struct.
 *
 * Where a value comes from, first wins: -X section.name=value on the command
 * line, SYNQ_CONF_<SECTION>__<NAME> in the environment, <dir>/synq.yaml,
 * <dir>/run/servers.yaml (written by synq up: the private servers' addresses),
 * the default.
 *
 * All mistakes are reported at once, each with file, line, key, what is
 * allowed and the nearest known key.  This folder is the only one that sees
 * libyaml.  Blocking: at start and at SIGHUP only.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_config {
#define SYNQ_CONF_TEXT(section, name, value, reload, text)                     \
	const char *section##_##name;
#define SYNQ_CONF_INT(section, name, value, min, max, unit, reload, text)      \
	int64_t section##_##name;
#define SYNQ_CONF_ENUM(section, name, value, choices, reload, text)            \
	const char *section##_##name;
#include "conf/options.def"
#undef SYNQ_CONF_TEXT
#undef SYNQ_CONF_INT
#undef SYNQ_CONF_ENUM
};

enum synq_option_type { SYNQ_OPTION_TEXT, SYNQ_OPTION_INT, SYNQ_OPTION_ENUM };

/* One row of the table, for help, manual and sample file. */
struct synq_option {
	const char *section;
	const char *name;
	enum synq_option_type type;
	const char *value; /* default, as text */
	int64_t min;
	int64_t max;
	const char *unit;
	const char *choices; /* "a|b|c" */
	int live;            /* 1 = taken over at SIGHUP */
	const char *sentence;
	size_t offset; /* in struct synq_config */
};

/* Row ${index} of the table; NULL beyond its end. */
const struct synq_option *synq_option_at(size_t index);

/* Where a value came from. */
enum synq_origin {
	SYNQ_ORIGIN_DEFAULT,
	SYNQ_ORIGIN_SERVERS,
	SYNQ_ORIGIN_FILE,
	SYNQ_ORIGIN_ENVIRONMENT,
	SYNQ_ORIGIN_FLAG
};

struct synq_conf_sources {
	const char *dir;             /* the installation */
	const char *const *settings; /* "section.name=value", NULL-terminated */
	const char *const *environment; /* as environ; NULL = the process's */
};

/*
 * The configuration from ${sources}, into ${ret}, which the caller frees.
 * Every mistake is appended to ${out} as one line.  Errors: CONFIG, SYSTEM.
 */
SYNQ_MUST_CHECK int synq_conf_load(const struct synq_conf_sources *sources,
    struct synq_config **ret, struct synq_buf *out);

/* Where the value of ${option} in ${config} came from. */
enum synq_origin synq_conf_origin(
    const struct synq_config *config, const struct synq_option *option);

/* The value of ${option} in ${config} as text, appended to ${out}. */
void synq_conf_value(const struct synq_config *config,
    const struct synq_option *option, struct synq_buf *out);

/* Free *${config}; sets it to NULL. */
void synq_conf_free(struct synq_config **config);

/* Append a sample synq.yaml, every option with its sentence, to ${out}. */
void synq_conf_sample(struct synq_buf *out);

/* Append the manual page synq.yaml(5) in man format to ${out}. */
void synq_conf_manual(struct synq_buf *out);

/*
 * The word of ${words} (NULL-terminated) nearest to ${word} by edit distance,
 * at most a third of its letters away; NULL if none is near.  Also for the
 * command line's verbs.
 */
const char *synq_conf_nearest(const char *word, const char *const *words);

#endif
