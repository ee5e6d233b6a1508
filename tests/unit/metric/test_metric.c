/* Metrics: series, their bounds, and the exposition to the byte. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"
#include "metric/metric.h"

static struct synq_metrics *
with_metrics(void **state)
{
	return *state;
}

static void
expect_text(const struct synq_metrics *metrics, const char *text)
{
	struct synq_buf out;

	synq_buf_init(&out, 1 << 20);
	synq_metrics_write(metrics, &out);
	assert_int_equal(out.overflow, 0);
	assert_string_equal(out.data ? out.data : "", text);
	synq_buf_done(&out);
}

/* 1 if ${line} is a whole line of the exposition. */
static int
has_line(const struct synq_metrics *metrics, const char *line)
{
	char wanted[600];
	struct synq_buf out;
	int found;

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	synq_buf_init(&out, 1 << 20);
	synq_metrics_write(metrics, &out);
	found = out.data != NULL && strstr(out.data, wanted) != NULL;
	synq_buf_done(&out);
	return found;
}

static struct synq_series *
series1(struct synq_metrics *metrics, enum synq_metric_id id, const char *value)
{
	return synq_metric_series(metrics, id, (const char *[]){ value });
}

static int
is_name(const char *text)
{
	return text[0] != '\0' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
	           strlen(text);
}

/* What Prometheus demands of names, and its customs about suffixes. */
static void
test_table_keeps_the_rules(void **state)
{
	(void)state;
	for (int i = 0; i < SYNQ_M_COUNT; i++) {
		const struct synq_metric_info *info =
		    synq_metric_info((enum synq_metric_id)i);
		size_t bytes = strlen(info->name);
		int is_total =
		    bytes > 6 && strcmp(info->name + bytes - 6, "_total") == 0;
		int is_seconds = bytes > 8 && strcmp(info->name + bytes - 8,
						  "_seconds") == 0;

		assert_true(is_name(info->name));
		assert_memory_equal(info->name, "synq_", 5);
		assert_int_equal(is_total, info->type == SYNQ_METRIC_COUNTER);
		assert_int_equal(
		    is_seconds, info->type == SYNQ_METRIC_HISTOGRAM);
		assert_null(strpbrk(info->help, "\\\n"));
		assert_int_equal(info->help[strlen(info->help) - 1], '.');
		for (size_t k = 0; info->labels[k] != NULL; k++) {
			assert_true(is_name(info->labels[k]));
			assert_string_not_equal(info->labels[k], "le");
		}
		for (int k = 0; k < i; k++)
			assert_string_not_equal(info->name,
			    synq_metric_info((enum synq_metric_id)k)->name);
	}
}

static void
test_table_is_readable(void **state)
{
	const struct synq_metric_info *info =
	    synq_metric_info(SYNQ_M_HTTP_REQUESTS_TOTAL);

	(void)state;
	assert_string_equal(info->name, "synq_http_requests_total");
	assert_int_equal(info->type, SYNQ_METRIC_COUNTER);
	assert_string_equal(info->labels[0], "route");
	assert_string_equal(info->labels[1], "method");
	assert_string_equal(info->labels[2], "code");
	assert_null(info->labels[3]);
	assert_null(synq_metric_info(SYNQ_M_REDIS_UP)->labels[0]);
}

static void
test_nothing_is_written_without_series(void **state)
{
	expect_text(with_metrics(state), "");
}

static void
test_counters_and_gauges_are_written(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);
	struct synq_series *ok =
	    synq_metric_series(metrics, SYNQ_M_HTTP_REQUESTS_TOTAL,
		(const char *[]){ "/v1/jobs", "POST", "202" });
	struct synq_series *bad =
	    synq_metric_series(metrics, SYNQ_M_HTTP_REQUESTS_TOTAL,
		(const char *[]){ "/v1/jobs", "POST", "400" });
	struct synq_series *open =
	    synq_metric_series(metrics, SYNQ_M_HTTP_CONNECTIONS, NULL);

	synq_series_add(ok, 1);
	synq_series_add(ok, 41);
	synq_series_set(open, 7);
	synq_series_set(open, 3);

	assert_int_equal(synq_series_count(ok), 42);
	assert_int_equal(synq_series_count(bad), 0);
	assert_true(synq_series_value(open) == 3);
	expect_text(metrics,
	    "# HELP synq_http_requests_total HTTP requests answered.\n"
	    "# TYPE synq_http_requests_total counter\n"
	    "synq_http_requests_total"
	    "{route=\"/v1/jobs\",method=\"POST\",code=\"202\"} 42\n"
	    "synq_http_requests_total"
	    "{route=\"/v1/jobs\",method=\"POST\",code=\"400\"} 0\n"
	    "# HELP synq_http_connections HTTP connections that are open.\n"
	    "# TYPE synq_http_connections gauge\n"
	    "synq_http_connections 3\n");
}

static void
test_histogram_is_written(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);
	struct synq_series *series =
	    synq_metric_series(metrics, SYNQ_M_RECORDER_BATCH_SECONDS, NULL);

	/* On a border a value belongs to the lower bucket.  Sums of binary
	 * fractions are exact. */
	synq_series_observe(series, 0.0009765625);
	synq_series_observe(series, 0.5);
	synq_series_observe(series, 0.5009765625);
	synq_series_observe(series, 2);
	synq_series_observe(series, 120);
	synq_series_observe(series, 121.5);
	synq_series_observe(series, (double)NAN);

	assert_int_equal(synq_series_count(series), 6);
	expect_text(metrics,
	    "# HELP synq_recorder_batch_seconds One transaction of the "
	    "recorder, from begin to commit.\n"
	    "# TYPE synq_recorder_batch_seconds histogram\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.001\"} 1\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.0025\"} 1\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.005\"} 1\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.01\"} 1\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.025\"} 1\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.05\"} 1\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.1\"} 1\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.25\"} 1\n"
	    "synq_recorder_batch_seconds_bucket{le=\"0.5\"} 2\n"
	    "synq_recorder_batch_seconds_bucket{le=\"1\"} 3\n"
	    "synq_recorder_batch_seconds_bucket{le=\"2.5\"} 4\n"
	    "synq_recorder_batch_seconds_bucket{le=\"5\"} 4\n"
	    "synq_recorder_batch_seconds_bucket{le=\"10\"} 4\n"
	    "synq_recorder_batch_seconds_bucket{le=\"30\"} 4\n"
	    "synq_recorder_batch_seconds_bucket{le=\"60\"} 4\n"
	    "synq_recorder_batch_seconds_bucket{le=\"120\"} 5\n"
	    "synq_recorder_batch_seconds_bucket{le=\"+Inf\"} 6\n"
	    "synq_recorder_batch_seconds_sum 244.501953125\n"
	    "synq_recorder_batch_seconds_count 6\n");
}

static void
test_histogram_adds_le_to_its_labels(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);

	synq_series_observe(
	    synq_metric_series(metrics, SYNQ_M_JOB_DURATION_SECONDS,
		(const char *[]){ "stub", "m1" }),
	    0.5);
	assert_true(has_line(metrics,
	    "synq_job_duration_seconds_bucket"
	    "{provider=\"stub\",model=\"m1\",le=\"0.25\"} 0"));
	assert_true(has_line(metrics,
	    "synq_job_duration_seconds_bucket"
	    "{provider=\"stub\",model=\"m1\",le=\"+Inf\"} 1"));
	assert_true(has_line(metrics, "synq_job_duration_seconds_sum"
				      "{provider=\"stub\",model=\"m1\"} 0.5"));
	assert_true(has_line(metrics, "synq_job_duration_seconds_count"
				      "{provider=\"stub\",model=\"m1\"} 1"));
}

static void
test_label_values_are_escaped(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);

	synq_series_add(
	    series1(metrics, SYNQ_M_TOKENS_TOTAL, "a\\b\"c\nd\xc3\xa9,}"), 1);
	assert_true(has_line(metrics,
	    "synq_tokens_total{type=\"a\\\\b\\\"c\\nd\xc3\xa9,}\"} 1"));
}

static void
test_label_values_are_made_utf8(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);

	synq_series_add(
	    series1(metrics, SYNQ_M_TOKENS_TOTAL, "x\xff\xc3\xa9"), 1);
	assert_true(has_line(metrics, "synq_tokens_total{type=\"x???\"} 1"));
}

/* 127 letters and a character of two bytes: it goes as a whole. */
static void
test_long_label_values_are_cut(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);
	char value[300];
	char line[400];

	memset(value, 'a', sizeof(value));
	memcpy(value + 127, "\xc3\xa9zzz", 6);
	synq_series_add(series1(metrics, SYNQ_M_TOKENS_TOTAL, value), 1);
	snprintf(
	    line, sizeof(line), "synq_tokens_total{type=\"%.127s\"} 1", value);
	assert_true(has_line(metrics, line));

	memset(value, 'b', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	synq_series_add(series1(metrics, SYNQ_M_TOKENS_TOTAL, value), 1);
	snprintf(
	    line, sizeof(line), "synq_tokens_total{type=\"%.128s\"} 1", value);
	assert_true(has_line(metrics, line));
}

static void
test_numbers_read_back_the_same(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = { { 0, "0" }, { 0.1, "0.1" }, { 1e15, "1e+15" },
		{ 123456789, "123456789" }, { -2.5, "-2.5" },
		{ 0.1 + 0.2, "0.30000000000000004" }, { HUGE_VAL, "+Inf" },
		{ -HUGE_VAL, "-Inf" }, { (double)NAN, "NaN" } };
	struct synq_metrics *metrics = with_metrics(state);
	struct synq_series *series =
	    synq_metric_series(metrics, SYNQ_M_JOBS_QUEUED, NULL);

	for (size_t i = 0; i < SYNQ_COUNT(cases); i++) {
		char line[100];

		synq_series_set(series, cases[i].value);
		snprintf(
		    line, sizeof(line), "synq_jobs_queued %s", cases[i].text);
		assert_true(has_line(metrics, line));
	}
}

static void
test_same_labels_are_the_same_series(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);
	char value[] = "prompt";
	struct synq_series *series =
	    series1(metrics, SYNQ_M_TOKENS_TOTAL, value);

	/* The values were copied. */
	value[0] = 'X';
	assert_ptr_equal(
	    series1(metrics, SYNQ_M_TOKENS_TOTAL, "prompt"), series);
	assert_ptr_not_equal(
	    series1(metrics, SYNQ_M_TOKENS_TOTAL, "Xrompt"), series);
	assert_ptr_not_equal(
	    series1(metrics, SYNQ_M_CACHE_ENTRIES, "prompt"), series);
	assert_ptr_equal(synq_metric_series(metrics, SYNQ_M_PG_UP, NULL),
	    synq_metric_series(metrics, SYNQ_M_PG_UP, NULL));
}

/* "a","bc" and "ab","c" hold the same letters. */
static void
test_borders_between_values_count(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);

	assert_ptr_not_equal(synq_metric_series(metrics, SYNQ_M_JOBS_TOTAL,
				 (const char *[]){ "a", "bc" }),
	    synq_metric_series(
		metrics, SYNQ_M_JOBS_TOTAL, (const char *[]){ "ab", "c" }));
	assert_ptr_not_equal(synq_metric_series(metrics, SYNQ_M_JOBS_TOTAL,
				 (const char *[]){ "", "x" }),
	    synq_metric_series(
		metrics, SYNQ_M_JOBS_TOTAL, (const char *[]){ "x", "" }));
}

static void
test_too_many_series_share_one(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);
	struct synq_series *first = NULL;
	struct synq_series *other = NULL;
	char value[20];

	for (int i = 0; i < 1500; i++) {
		snprintf(value, sizeof(value), "t%d", i);
		struct synq_series *series = synq_metric_series(metrics,
		    SYNQ_M_KAFKA_CONSUMER_LAG, (const char *[]){ value, "0" });

		if (i == 0)
			first = series;
		if (i == 1000)
			other = series;
		if (i > 1000)
			assert_ptr_equal(series, other);
		else if (i > 0)
			assert_ptr_not_equal(series, first);
		synq_series_set(series, i);
	}

	/* The early ones stay what they are; the late ones are together. */
	assert_ptr_equal(synq_metric_series(metrics, SYNQ_M_KAFKA_CONSUMER_LAG,
			     (const char *[]){ "t0", "0" }),
	    first);
	assert_ptr_equal(synq_metric_series(metrics, SYNQ_M_KAFKA_CONSUMER_LAG,
			     (const char *[]){ "other", "other" }),
	    other);
	assert_true(has_line(metrics,
	    "synq_kafka_consumer_lag{topic=\"t999\",partition=\"0\"} 999"));
	assert_true(has_line(metrics,
	    "synq_kafka_consumer_lag{topic=\"other\",partition=\"other\"} "
	    "1499"));
	assert_false(has_line(metrics,
	    "synq_kafka_consumer_lag{topic=\"t1000\",partition=\"0\"} 1000"));
	/* Another metric has its own thousand. */
	synq_series_add(series1(metrics, SYNQ_M_TOKENS_TOTAL, "t1"), 1);
	assert_true(has_line(metrics, "synq_tokens_total{type=\"t1\"} 1"));
}

static void
test_hidden_series_comes_back_with_a_value(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);
	struct synq_series *series =
	    series1(metrics, SYNQ_M_CACHE_ENTRIES, "keys");

	synq_series_set(series, 1);
	synq_series_hide(series);
	expect_text(metrics, "");
	synq_series_set(series, 2);
	assert_true(has_line(metrics, "synq_cache_entries{cache=\"keys\"} 2"));
}

static void
test_overflow_is_told(void **state)
{
	struct synq_metrics *metrics = with_metrics(state);
	struct synq_buf out;

	synq_series_add(series1(metrics, SYNQ_M_TOKENS_TOTAL, "x"), 1);
	synq_buf_init(&out, 50);
	synq_metrics_write(metrics, &out);
	assert_int_equal(out.overflow, 1);
	synq_buf_done(&out);
}

static int
setup(void **state)
{
	*state = synq_metrics_new();
	return 0;
}

static int
teardown(void **state)
{
	struct synq_metrics *metrics = *state;

	synq_metrics_free(&metrics);
	assert_null(metrics);
	synq_metrics_free(&metrics);
	return 0;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_keeps_the_rules),
		cmocka_unit_test(test_table_is_readable),
		EACH(test_nothing_is_written_without_series),
		EACH(test_counters_and_gauges_are_written),
		EACH(test_histogram_is_written),
		EACH(test_histogram_adds_le_to_its_labels),
		EACH(test_label_values_are_escaped),
		EACH(test_label_values_are_made_utf8),
		EACH(test_long_label_values_are_cut),
		EACH(test_numbers_read_back_the_same),
		EACH(test_same_labels_are_the_same_series),
		EACH(test_borders_between_values_count),
		EACH(test_too_many_series_share_one),
		EACH(test_hidden_series_comes_back_with_a_value),
		EACH(test_overflow_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
