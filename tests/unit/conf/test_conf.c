#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"

/*
 * Configuration: what is read, from where it comes, and what every mistake
 * says.
 */

struct fixture {
	char dir[64];
	struct synq_config *config;
	struct synq_buf out;
};

static const char *const no_environment[] = { NULL };

static int
set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));
	char path[128];

	snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/conf-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	snprintf(path, sizeof(path), "%s/run", fixture->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	synq_buf_init(&fixture->out, 1 << 20);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/synq.yaml", fixture->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run/servers.yaml", fixture->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run", fixture->dir);
	rmdir(path);
	rmdir(fixture->dir);
	synq_conf_free(&fixture->config);
	synq_buf_done(&fixture->out);
	test_free(fixture);
	return 0;
}

static void
write_bytes(const struct fixture *fixture, const char *name, const void *data,
    size_t bytes)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	fclose(file);
}

static void
write_file(const struct fixture *fixture, const char *name, const char *text)
{
	write_bytes(fixture, name, text, strlen(text));
}

static int
load_all(struct fixture *fixture, const char *const *settings,
    const char *const *environment)
{
	const struct synq_conf_sources sources = {
		.dir = fixture->dir,
		.settings = settings,
		.environment = environment,
	};

	synq_conf_free(&fixture->config);
	synq_buf_clear(&fixture->out);
	return synq_conf_load(&sources, &fixture->config, &fixture->out);
}

static int
load_text(struct fixture *fixture, const char *yaml)
{
	write_file(fixture, "synq.yaml", yaml);
	return load_all(fixture, NULL, no_environment);
}

/* ${yaml} is refused and one of the lines holds ${expected}. */
static void
assert_refused(struct fixture *fixture, const char *yaml, const char *expected)
{
	assert_int_equal(load_text(fixture, yaml), -SYNQ_E_CONFIG);
	assert_null(fixture->config);
	assert_non_null(fixture->out.data);
	if (strstr(fixture->out.data, expected) == NULL)
		fail_msg(
		    "\"%s\" is not in \"%s\"", expected, fixture->out.data);
}

static size_t
lines_of(const struct fixture *fixture)
{
	size_t lines = 0;
	size_t i;

	for (i = 0; i < fixture->out.bytes; i++)
		lines += fixture->out.data[i] == '\n';
	return lines;
}

static enum synq_origin
origin_of(const struct fixture *fixture, const char *section, const char *name)
{
	const struct synq_option *option;
	size_t i;

	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		if (strcmp(option->section, section) == 0 &&
		    strcmp(option->name, name) == 0)
			return synq_conf_origin(fixture->config, option);
	}
	fail_msg("no option %s.%s", section, name);
	return SYNQ_ORIGIN_DEFAULT;
}

static void
test_conf_without_any_file_is_the_defaults(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(load_all(fixture, NULL, no_environment), 0);

	assert_int_equal(fixture->config->kafka_partitions, 16);
	assert_string_equal(fixture->config->kafka_brokers, "");
	assert_string_equal(fixture->config->log_level, "info");
	assert_int_equal(
	    origin_of(fixture, "log", "level"), SYNQ_ORIGIN_DEFAULT);
	assert_int_equal(fixture->out.bytes, 0);
}

static void
test_conf_every_default_is_allowed(void **state)
{
	const struct synq_option *option;
	size_t i;

	(void)state;
	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		long long value = strtoll(option->value, NULL, 10);

		if (option->type != SYNQ_OPTION_INT)
			continue;
		assert_true(option->min <= value);
		assert_true(value <= option->max);
	}
	assert_true(i > 30);
}

static void
test_conf_the_nearest_source_wins(void **state)
{
	static const char *const environment[] = {
		"SYNQ_CONF_KAFKA__PARTITIONS=3", "SYNQ_CONF_JOB__DEADLINE_S=61",
		"PATH=/bin", NULL
	};
	static const char *const settings[] = { "job.deadline_s=62", NULL };
	struct fixture *fixture = *state;

	write_file(fixture, "run/servers.yaml",
	    "redis:\n  address: 127.0.0.1:1\nkafka:\n  partitions: 1\n");
	write_file(fixture, "synq.yaml",
	    "kafka:\n  partitions: 2\n  replicas: 2\njob:\n  deadline_s: 60\n");

	assert_int_equal(load_all(fixture, settings, environment), 0);

	assert_string_equal(fixture->config->redis_address, "127.0.0.1:1");
	assert_int_equal(
	    origin_of(fixture, "redis", "address"), SYNQ_ORIGIN_SERVERS);
	assert_int_equal(fixture->config->kafka_replicas, 2);
	assert_int_equal(
	    origin_of(fixture, "kafka", "replicas"), SYNQ_ORIGIN_FILE);
	assert_int_equal(fixture->config->kafka_partitions, 3);
	assert_int_equal(
	    origin_of(fixture, "kafka", "partitions"), SYNQ_ORIGIN_ENVIRONMENT);
	assert_int_equal(fixture->config->job_deadline_s, 62);
	assert_int_equal(
	    origin_of(fixture, "job", "deadline_s"), SYNQ_ORIGIN_FLAG);
}

static void
test_conf_reports_all_mistakes_at_once(void **state)
{
	static const char *const environment[] = { "SYNQ_CONF_PG__CONECTIONS=1",
		NULL };
	static const char *const settings[] = { "log.level=loud", NULL };
	struct fixture *fixture = *state;

	write_file(fixture, "synq.yaml",
	    "kafka:\n"
	    "  partitions: many\n"
	    "  brokrs: 127.0.0.1:9092\n"
	    "redsi:\n"
	    "  address: 127.0.0.1:1\n"
	    "job:\n"
	    "  max_attempts: 11\n");

	assert_int_equal(
	    load_all(fixture, settings, environment), -SYNQ_E_CONFIG);

	assert_int_equal(lines_of(fixture), 6);
	assert_non_null(strstr(fixture->out.data,
	    "synq.yaml:2:15: kafka.partitions: \"many\" is not a whole number "
	    "from 1 to 1024 (partitions)\n"));
	assert_non_null(strstr(fixture->out.data,
	    "synq.yaml:3:3: there is no option kafka.brokrs; did you mean "
	    "kafka.brokers?\n"));
	assert_non_null(strstr(fixture->out.data,
	    "synq.yaml:4:1: there is no section \"redsi\"; did you mean "
	    "\"redis\"?\n"));
	assert_non_null(strstr(fixture->out.data,
	    "synq.yaml:7:17: job.max_attempts: \"11\" is not a whole number "
	    "from 1 to 10 (attempts)\n"));
	assert_non_null(strstr(fixture->out.data,
	    "environment: there is no option pg.conections; did you mean "
	    "pg.connections?\n"));
	assert_non_null(strstr(fixture->out.data,
	    "command line: log.level: \"loud\" is not one of "
	    "debug|info|warn|error\n"));
}

static void
test_conf_refuses_what_is_not_two_levels(void **state)
{
	struct fixture *fixture = *state;

	assert_refused(fixture, "- a\n- b\n", ":1:1: a section");
	assert_refused(fixture, "kafka\n", ":1:1: a section");
	assert_refused(
	    fixture, "kafka: 7\n", ":1:8: section kafka must hold lines");
	assert_refused(
	    fixture, "kafka:\n  - brokers\n", "section kafka must hold");
	assert_refused(fixture, "kafka:\n  brokers: [a, b]\n",
	    ":2:12: kafka.brokers: this must be one value");
	assert_refused(fixture, "kafka:\n  brokers:\n    deep: 1\n",
	    "kafka.brokers: this must be one value");
	assert_refused(fixture, "kafka:\n  linger_ms: &a 1\n",
	    "kafka.linger_ms: this must be one value");
	assert_refused(fixture, "kafka:\n  linger_ms: !!str 1\n",
	    "kafka.linger_ms: this must be one value");
	assert_refused(fixture, "kafka: &a\n  linger_ms: 1\nredis: *a\n",
	    "section redis must hold");
	assert_refused(fixture, "? [a]\n: b\n", "the name of a section");
	assert_refused(
	    fixture, "kafka:\n  ? {a: b}\n  : c\n", "the name of an option");
	assert_refused(
	    fixture, "log:\n  level: info\n---\nlog:\n", "a second document");
}

static void
test_conf_goes_on_behind_a_mistake(void **state)
{
	struct fixture *fixture = *state;

	assert_refused(fixture,
	    "kafka:\n  brokers: [a, {b: [c]}]\n  partitions: x\nnone:\n"
	    "  - 1\nlog:\n  level: x\n",
	    "kafka.partitions");

	assert_int_equal(lines_of(fixture), 5);
	assert_non_null(strstr(fixture->out.data, ":7:10: log.level"));
}

static void
test_conf_refuses_the_same_name_twice(void **state)
{
	struct fixture *fixture = *state;

	assert_refused(fixture, "log:\n  level: info\n  level: warn\n",
	    ":3:3: log.level stands here twice");
	assert_refused(fixture, "log:\n  level: info\nlog:\n",
	    ":3:1: section log stands here twice");
}

static void
test_conf_refuses_text_that_is_not_yaml(void **state)
{
	static const char bad_utf8[] = "log:\n  level: \xff\xfe\n";
	static const char nul[] = "log:\n  level: \"in\\0fo\"\n";
	struct fixture *fixture = *state;

	assert_refused(fixture, "log: {\n", ": this is not YAML: ");
	assert_refused(fixture, "log:\n\tlevel: info\n", "this is not YAML");
	write_bytes(fixture, "synq.yaml", bad_utf8, sizeof(bad_utf8) - 1);
	assert_int_equal(
	    load_all(fixture, NULL, no_environment), -SYNQ_E_CONFIG);
	assert_non_null(strstr(fixture->out.data, "this is not YAML"));
	write_bytes(fixture, "synq.yaml", nul, sizeof(nul) - 1);
	assert_int_equal(
	    load_all(fixture, NULL, no_environment), -SYNQ_E_CONFIG);
	assert_non_null(strstr(fixture->out.data, "must be one value"));
}

static void
test_conf_refuses_a_file_that_is_too_large(void **state)
{
	struct fixture *fixture = *state;
	size_t bytes = 2 * 1024 * 1024;
	char *text = test_malloc(bytes);

	memset(text, '#', bytes);
	write_bytes(fixture, "synq.yaml", text, bytes);
	test_free(text);

	assert_int_equal(
	    load_all(fixture, NULL, no_environment), -SYNQ_E_CONFIG);

	assert_non_null(strstr(fixture->out.data, "larger than 1048576"));
}

static void
test_conf_refuses_numbers_that_are_none(void **state)
{
	static const char *const bad[] = { "''", "-1", "+1", "1.0", "1e3",
		"0x10", "99999999999999999999", "1 2", "0", "1025" };
	struct fixture *fixture = *state;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(bad); i++) {
		char yaml[128];

		snprintf(
		    yaml, sizeof(yaml), "kafka:\n  partitions: %s\n", bad[i]);
		assert_refused(
		    fixture, yaml, "is not a whole number from 1 to 1024");
	}
}

static void
test_conf_takes_the_ends_of_a_range(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(load_text(fixture, "kafka:\n  partitions: 1\n"), 0);
	assert_int_equal(fixture->config->kafka_partitions, 1);
	assert_int_equal(load_text(fixture, "kafka:\n  partitions: 1024\n"), 0);
	assert_int_equal(fixture->config->kafka_partitions, 1024);
}

static void
test_conf_takes_empty_files_and_sections(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(load_text(fixture, ""), 0);
	assert_int_equal(load_text(fixture, "# nothing\n"), 0);
	assert_int_equal(load_text(fixture, "---\n"), 0);
	assert_int_equal(load_text(fixture, "kafka:\nredis:\n"), 0);
	assert_int_equal(load_text(fixture, "kafka:\n  brokers:\n"), 0);
	assert_string_equal(fixture->config->kafka_brokers, "");
	assert_int_equal(load_text(fixture, "{log: {level: warn}}\n"), 0);
	assert_string_equal(fixture->config->log_level, "warn");
}

static void
test_conf_checks_addresses(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(
	    load_text(fixture,
		"kafka:\n  brokers: a:1,b.example:9092\n"
		"redis:\n  address: \"[::1]:6379\"\n"
		"pg:\n  url: host=10.0.0.1 port=5432 dbname=synq\n"),
	    0);
	assert_refused(fixture, "kafka:\n  brokers: localhost\n",
	    "is not a list host:port");
	assert_refused(fixture, "kafka:\n  brokers: a:1,\n", "is not a list");
	assert_refused(fixture, "kafka:\n  brokers: a:70000\n", "is not a li");
	assert_refused(
	    fixture, "redis:\n  address: localhost:6379\n", "numeric address");
	assert_refused(
	    fixture, "redis:\n  address: 127.0.0.1\n", "is not host:port");
	assert_refused(
	    fixture, "pg:\n  url: postgres://h/db\n", "is not host=ADDRESS");
	assert_refused(fixture,
	    "pg:\n  url: host=10.0.0.1 dbname=a user=b password=c\n",
	    "secrets/");
	assert_refused(
	    fixture, "pg:\n  url: host=db dbname=a\n", "numeric address");
	assert_refused(
	    fixture, "intake:\n  host: localhost\n", "numeric address");
}

static void
test_conf_refuses_unknown_variables(void **state)
{
	static const char *const environment[] = { "SYNQ_CONF_KAFKA=1",
		"SYNQ_CONF_=1", "SYNQ_CONF___X=1", "SYNQ_CONF_KAFKA__=1",
		"SYNQ_CONFIG=fine", "SYNQ_DIR=fine", NULL };
	struct fixture *fixture = *state;

	assert_int_equal(load_all(fixture, NULL, environment), -SYNQ_E_CONFIG);

	assert_int_equal(lines_of(fixture), 4);
}

static void
test_conf_refuses_malformed_settings(void **state)
{
	static const char *const settings[] = { "kafka", "kafka.brokers", "=",
		"kafka=1.2", "log.level=warn", NULL };
	struct fixture *fixture = *state;

	assert_int_equal(
	    load_all(fixture, settings, no_environment), -SYNQ_E_CONFIG);

	assert_int_equal(lines_of(fixture), 4);
	assert_non_null(strstr(
	    fixture->out.data, "-X kafka=1.2: it is -X section.name=value"));
}

static void
test_conf_refuses_control_characters(void **state)
{
	struct fixture *fixture = *state;

	assert_refused(fixture, "kafka:\n  brokers: \"a:1\\nb\"\n",
	    "one line without control characters");
}

static void
test_conf_shows_values_as_they_are_written(void **state)
{
	struct fixture *fixture = *state;
	const struct synq_option *option;
	size_t i;

	assert_int_equal(load_all(fixture, NULL, no_environment), 0);

	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		struct synq_buf value;

		synq_buf_init(&value, 4096);
		synq_conf_value(fixture->config, option, &value);
		assert_true(
		    synq_slice_is(synq_buf_view(&value), option->value));
		synq_buf_done(&value);
	}
}

/* The sample with its options switched on is valid and changes nothing. */
static void
test_conf_sample_is_valid(void **state)
{
	struct fixture *fixture = *state;
	const struct synq_option *option;
	struct synq_buf sample;
	struct synq_buf live;
	const char *at;
	size_t i;

	synq_buf_init(&sample, 1 << 20);
	synq_buf_init(&live, 1 << 20);
	synq_conf_sample(&sample);
	assert_int_equal(load_text(fixture, sample.data), 0);
	for (at = sample.data; *at != '\0';) {
		size_t bytes = strcspn(at, "\n") + 1;
		const char *colon = memchr(at, ':', bytes);
		const char *space = memchr(at + 4, ' ', bytes - 4);

		if (strncmp(at, "  # ", 4) == 0 && colon != NULL &&
		    (space == NULL || space > colon))
			synq_buf_printf(
			    &live, "  %.*s", (int)bytes - 4, at + 4);
		else
			synq_buf_add(&live, at, bytes);
		at += bytes;
	}

	if (load_text(fixture, live.data) != 0)
		fail_msg("%s", fixture->out.data);

	for (i = 0; (option = synq_option_at(i)) != NULL; i++)
		assert_int_equal(synq_conf_origin(fixture->config, option),
		    SYNQ_ORIGIN_FILE);
	synq_buf_done(&sample);
	synq_buf_done(&live);
}

static void
test_conf_manual_names_every_option(void **state)
{
	const struct synq_option *option;
	struct synq_buf page;
	size_t i;

	(void)state;
	synq_buf_init(&page, 1 << 20);
	synq_conf_manual(&page);
	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		char line[128];

		snprintf(line, sizeof(line), "\n.B %s.%s\n", option->section,
		    option->name);
		assert_non_null(strstr(page.data, line));
	}
	synq_buf_done(&page);
}

static void
test_nearest_finds_slips_only(void **state)
{
	static const char *const words[] = { "status", "scale", "restart", "up",
		NULL };
	char lengthy[200];

	(void)state;
	assert_string_equal(synq_conf_nearest("statsu", words), "status");
	assert_string_equal(synq_conf_nearest("stats", words), "status");
	assert_string_equal(synq_conf_nearest("restart", words), "restart");
	assert_string_equal(synq_conf_nearest("upp", words), "up");
	assert_null(synq_conf_nearest("elephant", words));
	assert_null(synq_conf_nearest("", words));
	memset(lengthy, 'a', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	assert_null(synq_conf_nearest(lengthy, words));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_conf_without_any_file_is_the_defaults),
		CASE(test_conf_every_default_is_allowed),
		CASE(test_conf_the_nearest_source_wins),
		CASE(test_conf_reports_all_mistakes_at_once),
		CASE(test_conf_refuses_what_is_not_two_levels),
		CASE(test_conf_goes_on_behind_a_mistake),
		CASE(test_conf_refuses_the_same_name_twice),
		CASE(test_conf_refuses_text_that_is_not_yaml),
		CASE(test_conf_refuses_a_file_that_is_too_large),
		CASE(test_conf_refuses_numbers_that_are_none),
		CASE(test_conf_takes_the_ends_of_a_range),
		CASE(test_conf_takes_empty_files_and_sections),
		CASE(test_conf_checks_addresses),
		CASE(test_conf_refuses_unknown_variables),
		CASE(test_conf_refuses_malformed_settings),
		CASE(test_conf_refuses_control_characters),
		CASE(test_conf_shows_values_as_they_are_written),
		CASE(test_conf_sample_is_valid),
		CASE(test_conf_manual_names_every_option),
		CASE(test_nearest_finds_slips_only),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
