#ifndef SYNQ_METRIC_METRIC_H
#define SYNQ_METRIC_METRIC_H

/*
 * Metrics: counters, gauges and histograms of the table metrics.def, written
 * as Prometheus' text exposition format 0.0.4.
 *
 * A metric has one series per set of label values.  Finding a series costs a
 * hash look-up; a hot path does it once and keeps the pointer, which stays
 * valid as long as the metrics do.
 *
 * Thread: all functions on one set of metrics run on one thread.
 * Limits: 1,000 series per metric, above which all others share one whose
 * labels are "other"; a label value is cut at 128 bytes.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

#define SYNQ_METRIC_MAX_SERIES 1000
#define SYNQ_METRIC_MAX_LABELS 4
#define SYNQ_METRIC_MAX_VALUE_BYTES 128

enum synq_metric_type {
	SYNQ_METRIC_COUNTER,  /* only grows: synq_series_add */
	SYNQ_METRIC_GAUGE,    /* goes up and down: synq_series_set */
	SYNQ_METRIC_HISTOGRAM /* seconds in buckets: synq_series_observe */
};

enum synq_metric_id {
#define SYNQ_METRIC(id, ...) SYNQ_M_##id,
#include "metric/metrics.def"
	SYNQ_M_COUNT
};

/* One row of the table. */
struct synq_metric_info {
	const char *name;
	enum synq_metric_type type;
	const char *help;
	const char *labels[SYNQ_METRIC_MAX_LABELS + 1]; /* ended by NULL */
};

struct synq_metrics;
struct synq_series;

/* The row of the metric ${id}. */
const struct synq_metric_info *synq_metric_info(enum synq_metric_id id);

/* A set of all metrics of the table, without any series.  The caller frees
 * it. */
struct synq_metrics *synq_metrics_new(void);

/* Free *${metrics} and all its series; sets it to NULL. */
void synq_metrics_free(struct synq_metrics **metrics);

/*
 * The series of the metric ${id} in ${metrics} with ${label_values}, one for
 * each label of the row in its order, which are copied; NULL if the row has no
 * labels.  It is made if it is not there yet, then with the value 0.
 */
struct synq_series *synq_metric_series(struct synq_metrics *metrics,
    enum synq_metric_id id, const char *const *label_values);

/* Add ${count} to the counter ${series}. */
void synq_series_add(struct synq_series *series, uint64_t count);

/* Set the gauge ${series} to ${value}. */
void synq_series_set(struct synq_series *series, double value);

/* Count ${seconds} in the histogram ${series}; what is not a number is not
 * counted. */
void synq_series_observe(struct synq_series *series, double seconds);

/*
 * Leave ${series} out of the exposition until its next add, set or observe:
 * the lag of a partition that now belongs to another process is not ours to
 * show.
 */
void synq_series_hide(struct synq_series *series);

/* The counter ${series}, or how often the histogram ${series} was observed. */
uint64_t synq_series_count(const struct synq_series *series);

/* The gauge ${series}, or the sum of what the histogram ${series} observed. */
double synq_series_value(const struct synq_series *series);

/*
 * Append all series of ${metrics} to ${out}, metrics in the table's order and
 * series in the order of their making.  A metric without series is left out.
 * If it does not fit, ${out}->overflow is set.
 */
void synq_metrics_write(
    const struct synq_metrics *metrics, struct synq_buf *out);

#endif
