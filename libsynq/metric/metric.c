/*
 * A series is found by its metric and its label values in one map; it keeps
 * its labels as they will be written, so that an exposition only copies text
 * and prints numbers.  Each metric lists its series in the order of making.
 *
 * What fails: too many series of one metric, which are then counted together
 * under "other", so that a label with unforeseen values costs a bounded amount
 * of memory and the sum stays right; label values that are too long or not
 * UTF-8, which are cut or lose their foreign bytes.
 */

#include "metric/metric.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

static const struct synq_metric_info infos[SYNQ_M_COUNT] = {
#define SYNQ_METRIC(id, metric_name, metric_type, metric_help, ...)            \
	[SYNQ_M_##id] = { .name = (metric_name),                               \
		.type = SYNQ_METRIC_##metric_type,                             \
		.help = (metric_help),                                         \
		.labels = { __VA_ARGS__ } },
#include "metric/metrics.def"
};

static const struct bucket {
	double max; /* seconds */
	const char *text;
} buckets[] = {
#define SYNQ_BUCKET(seconds) { (seconds), #seconds },
#include "metric/metrics.def"
};

#define BUCKETS SYNQ_COUNT(buckets)

struct synq_series {
	const struct synq_metric_info *info;
	char *key; /* owned: metric, then each value and a NUL */
	size_t key_bytes;
	char *labels; /* owned: name="value",...; empty without labels */
	int hidden;
	uint64_t count;       /* counter, or observations */
	double value;         /* gauge, or sum of observations */
	uint64_t in_bucket[]; /* histograms only: BUCKETS and +Inf */
};

/* The series of one metric. */
struct family {
	struct synq_series **series; /* owned */
	size_t count;
	size_t room;
};

struct synq_metrics {
	struct family families[SYNQ_M_COUNT];
	struct synq_map *map; /* key => struct synq_series */
};

const struct synq_metric_info *
synq_metric_info(enum synq_metric_id id)
{
	assert(id < SYNQ_M_COUNT);
	return &infos[id];
}

struct synq_metrics *
synq_metrics_new(void)
{
	struct synq_metrics *metrics = synq_mem_new(sizeof(*metrics));

	metrics->map = synq_map_new();
	return metrics;
}

static void
series_free(struct synq_series *series)
{
	synq_mem_free(series->key);
	synq_mem_free(series->labels);
	synq_mem_free(series);
}

void
synq_metrics_free(struct synq_metrics **metrics)
{
	if (*metrics == NULL)
		return;

	/* The map lends the keys of the series, so it goes first. */
	synq_map_free(&(*metrics)->map);
	for (size_t i = 0; i < SYNQ_M_COUNT; i++) {
		struct family *family = &(*metrics)->families[i];

		for (size_t k = 0; k < family->count; k++)
			series_free(family->series[k]);
		synq_mem_free(family->series);
	}
	synq_mem_free(*metrics);
	*metrics = NULL;
}

/* ---- labels -------------------------------------------------------------- */

/* Metric, values and NULs: what a series is found by. */
struct key {
	size_t bytes;
	char text[1 +
		  SYNQ_METRIC_MAX_LABELS * (SYNQ_METRIC_MAX_VALUE_BYTES + 1)];
};

/* Append ${value} to ${key}, cut at a character's border and made UTF-8. */
static void
key_add(struct key *key, const char *value)
{
	char *to = key->text + key->bytes;
	size_t bytes = strnlen(value, SYNQ_METRIC_MAX_VALUE_BYTES + 1);

	if (bytes > SYNQ_METRIC_MAX_VALUE_BYTES) {
		bytes = SYNQ_METRIC_MAX_VALUE_BYTES;
		while (
		    bytes > 0 && ((unsigned char)value[bytes] & 0xc0) == 0x80)
			bytes--;
	}
	memcpy(to, value, bytes);
	to[bytes] = '\0';
	key->bytes += bytes + 1;

	if (synq_slice_utf8(synq_slice_of(to, bytes)))
		return;
	for (; *to != '\0'; to++)
		if ((unsigned char)*to >= 0x80)
			*to = '?';
}

/* The key of the metric ${id} with ${values}; NULL stands for all "other". */
static void
key_make(struct key *key, enum synq_metric_id id, const char *const *values)
{
	const char *const *labels = infos[id].labels;

	_Static_assert(SYNQ_M_COUNT < 128, "a metric's id is one byte");
	key->text[0] = (char)id;
	key->bytes = 1;
	for (size_t i = 0; labels[i] != NULL; i++)
		key_add(key, values != NULL ? values[i] : "other");
}

static struct synq_slice
key_slice(const struct key *key)
{
	return synq_slice_of(key->text, key->bytes);
}

/* Append ${value} to ${out} as the format wants it between quotes. */
static void
write_escaped(struct synq_buf *out, const char *value)
{
	for (; *value != '\0'; value++) {
		switch (*value) {
		case '\\':
			synq_buf_text(out, "\\\\");
			break;
		case '"':
			synq_buf_text(out, "\\\"");
			break;
		case '\n':
			synq_buf_text(out, "\\n");
			break;
		default:
			synq_buf_char(out, *value);
		}
	}
}

/* The text between the braces for the values in ${key}; the caller frees it. */
static char *
labels_make(const struct synq_metric_info *info, const char *key)
{
	const char *value = key + 1;
	struct synq_buf out;
	char *text;

	synq_buf_init(&out, (size_t)SYNQ_METRIC_MAX_LABELS *
				(2 * SYNQ_METRIC_MAX_VALUE_BYTES + 64));
	for (size_t i = 0; info->labels[i] != NULL; i++) {
		synq_buf_printf(
		    &out, "%s%s=\"", i > 0 ? "," : "", info->labels[i]);
		write_escaped(&out, value);
		synq_buf_char(&out, '"');
		value += strlen(value) + 1;
	}
	text = synq_mem_copy(out.data, out.bytes);
	synq_buf_done(&out);
	return text;
}

/* ---- series -------------------------------------------------------------- */

static struct synq_series *
series_make(
    struct synq_metrics *metrics, enum synq_metric_id id, const struct key *key)
{
	struct family *family = &metrics->families[id];
	size_t bytes = sizeof(struct synq_series);
	struct synq_series *series;

	if (infos[id].type == SYNQ_METRIC_HISTOGRAM)
		bytes += (BUCKETS + 1) * sizeof(series->in_bucket[0]);
	series = synq_mem_new(bytes);
	series->info = &infos[id];
	series->key = synq_mem_copy(key->text, key->bytes);
	series->key_bytes = key->bytes;
	series->labels = labels_make(series->info, series->key);

	if (family->count == family->room) {
		family->room = family->room > 0 ? 2 * family->room : 4;
		family->series = synq_mem_resize(family->series,
		    family->room * sizeof(struct synq_series *));
	}
	family->series[family->count++] = series;
	synq_map_set(metrics->map,
	    synq_slice_of(series->key, series->key_bytes), series);
	return series;
}

struct synq_series *
synq_metric_series(struct synq_metrics *metrics, enum synq_metric_id id,
    const char *const *label_values)
{
	struct synq_series *series;
	struct key key;

	assert(id < SYNQ_M_COUNT);
	assert(label_values != NULL || infos[id].labels[0] == NULL);
	key_make(&key, id, label_values);
	series = synq_map_get(metrics->map, key_slice(&key));
	if (series != NULL)
		return series;

	if (metrics->families[id].count >= SYNQ_METRIC_MAX_SERIES) {
		key_make(&key, id, NULL);
		series = synq_map_get(metrics->map, key_slice(&key));
		if (series != NULL)
			return series;
	}
	return series_make(metrics, id, &key);
}

void
synq_series_add(struct synq_series *series, uint64_t count)
{
	assert(series->info->type == SYNQ_METRIC_COUNTER);
	series->hidden = 0;
	series->count += count;
}

void
synq_series_set(struct synq_series *series, double value)
{
	assert(series->info->type == SYNQ_METRIC_GAUGE);
	series->hidden = 0;
	series->value = value;
}

void
synq_series_observe(struct synq_series *series, double seconds)
{
	size_t i = 0;

	assert(series->info->type == SYNQ_METRIC_HISTOGRAM);
	if (isnan(seconds))
		return;
	while (i < BUCKETS && seconds > buckets[i].max)
		i++;
	series->in_bucket[i]++;
	series->count++;
	series->value += seconds;
	series->hidden = 0;
}

void
synq_series_hide(struct synq_series *series)
{
	series->hidden = 1;
}

uint64_t
synq_series_count(const struct synq_series *series)
{
	return series->count;
}

double
synq_series_value(const struct synq_series *series)
{
	return series->value;
}

/* ---- exposition ---------------------------------------------------------- */

/* Begin a line: the name, ${suffix}, and the labels with ${more} in braces. */
static void
write_name(struct synq_buf *out, const struct synq_series *series,
    const char *suffix, const char *more)
{
	int has_labels = series->labels[0] != '\0';

	synq_buf_text(out, series->info->name);
	synq_buf_text(out, suffix);
	if (has_labels || more[0] != '\0') {
		synq_buf_char(out, '{');
		synq_buf_text(out, series->labels);
		if (has_labels && more[0] != '\0')
			synq_buf_char(out, ',');
		synq_buf_text(out, more);
		synq_buf_char(out, '}');
	}
	synq_buf_char(out, ' ');
}

/* End a line with ${value} in as few digits as read back the same. */
static void
write_double(struct synq_buf *out, double value)
{
	char text[40];

	if (isnan(value)) {
		synq_buf_text(out, "NaN\n");
		return;
	}
	if (isinf(value)) {
		synq_buf_text(out, value > 0 ? "+Inf\n" : "-Inf\n");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	synq_buf_text(out, text);
	synq_buf_char(out, '\n');
}

static void
write_histogram(struct synq_buf *out, const struct synq_series *series)
{
	uint64_t sum = 0;

	for (size_t i = 0; i <= BUCKETS; i++) {
		char le[32];

		snprintf(le, sizeof(le), "le=\"%s\"",
		    i < BUCKETS ? buckets[i].text : "+Inf");
		sum += series->in_bucket[i];
		write_name(out, series, "_bucket", le);
		synq_buf_printf(out, "%" PRIu64 "\n", sum);
	}
	write_name(out, series, "_sum", "");
	write_double(out, series->value);
	write_name(out, series, "_count", "");
	synq_buf_printf(out, "%" PRIu64 "\n", series->count);
}

static void
write_series(struct synq_buf *out, const struct synq_series *series)
{
	switch (series->info->type) {
	case SYNQ_METRIC_COUNTER:
		write_name(out, series, "", "");
		synq_buf_printf(out, "%" PRIu64 "\n", series->count);
		break;
	case SYNQ_METRIC_GAUGE:
		write_name(out, series, "", "");
		write_double(out, series->value);
		break;
	case SYNQ_METRIC_HISTOGRAM:
		write_histogram(out, series);
		break;
	}
}

static void
write_head(struct synq_buf *out, const struct synq_metric_info *info)
{
	static const char *const types[] = {
		[SYNQ_METRIC_COUNTER] = "counter",
		[SYNQ_METRIC_GAUGE] = "gauge",
		[SYNQ_METRIC_HISTOGRAM] = "histogram",
	};

	/* The help texts are ours: nothing in them needs an escape. */
	synq_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", info->name,
	    info->help, info->name, types[info->type]);
}

void
synq_metrics_write(const struct synq_metrics *metrics, struct synq_buf *out)
{
	for (size_t i = 0; i < SYNQ_M_COUNT; i++) {
		const struct family *family = &metrics->families[i];
		int has_head = 0;

		for (size_t k = 0; k < family->count; k++) {
			if (family->series[k]->hidden)
				continue;
			if (!has_head)
				write_head(out, &infos[i]);
			has_head = 1;
			write_series(out, family->series[k]);
		}
	}
}
