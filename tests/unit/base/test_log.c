/*
 * stderr is a pipe or a terminal of the test's own while a line is written;
 * json-c says whether a line is JSON.
 */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"

static char out[1 << 16];
static int kept_stderr;
static int reader;

/* Let  be stderr and  where the test reads it. */
static void
begin(int from, int writer)
{
	reader = from;
	kept_stderr = dup(STDERR_FILENO);
	dup2(writer, STDERR_FILENO);
	close(writer);
	memset(out, 0, sizeof(out));
}

static void
begin_pipe(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	begin(ends[0], ends[1]);
	synq_log_setup("test", SYNQ_LOG_INFO);
}

/* Give stderr back; what was written, up to ${max} bytes, is in out. */
static size_t
end(size_t max)
{
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	ssize_t bytes = read(reader, out, max);
	close(reader);
	return bytes > 0 ? (size_t)bytes : 0;
}

static const char *
text_of(struct json_object *line, const char *name)
{
	return json_object_get_string(json_object_object_get(line, name));
}

static void
test_log_writes_one_json_object_a_line(void **state)
{
	(void)state;
	struct synq_uuid id = { { 1, 2 } };
	struct synq_err err = { 0 };

	synq_fail(&err, SYNQ_E_TIMEOUT, "connect %s", "db");
	begin_pipe();
	synq_log(SYNQ_LOG_WARN, "job.retried",
	    SYNQ_F_TEXT("job_id", "a\"\\\n\x1b\xc2\x9b\xff\xc3\xa9"),
	    SYNQ_F_SLICE("cut", synq_slice_of("abc", 2)),
	    SYNQ_F_INT("low", INT64_MIN), SYNQ_F_UINT("high", UINT64_MAX),
	    SYNQ_F_UUID("uuid", &id), SYNQ_F_ERR(&err), SYNQ_F_END);
	size_t bytes = end(sizeof(out) - 1);

	struct json_object *line = json_tokener_parse(out);
	assert_non_null(line);
	assert_int_equal(out[bytes - 1], '\n');
	assert_memory_equal(out, "{\"ts\":\"2", 8);
	assert_int_equal(strlen(text_of(line, "ts")), 27);
	assert_string_equal(text_of(line, "level"), "warn");
	assert_string_equal(text_of(line, "component"), "test");
	assert_string_equal(text_of(line, "event"), "job.retried");
	assert_string_equal(
	    text_of(line, "job_id"), "a\"\\\n\x1b\xc2\x9b\xef\xbf\xbd\xc3\xa9");
	assert_string_equal(text_of(line, "cut"), "ab");
	assert_string_equal(text_of(line, "low"), "-9223372036854775808");
	assert_string_equal(text_of(line, "high"), "18446744073709551615");
	assert_string_equal(
	    text_of(line, "uuid"), "01020000-0000-0000-0000-000000000000");
	assert_string_equal(text_of(line, "err"), "connect db");
	assert_null(strchr(out, '\x1b'));
	assert_null(strstr(out, "\xc2\x9b"));
	json_object_put(line);
}

static void
test_log_null_objects_are_null(void **state)
{
	(void)state;

	begin_pipe();
	synq_log(SYNQ_LOG_ERROR, "x", SYNQ_F_TEXT("text", NULL),
	    SYNQ_F_UUID("uuid", NULL), SYNQ_F_ERR(NULL), SYNQ_F_END);
	end(sizeof(out) - 1);

	assert_non_null(
	    strstr(out, "\"text\":\"\",\"uuid\":null,\"err\":null}\n"));
}

/* The lengths around every edge of the buffer, and many long fields. */
static void
test_log_line_stays_json_below_4_kib(void **state)
{
	(void)state;
	static char text[6000];

	for (size_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "\xe4\xbd\xa0", 3);
	for (size_t bytes = 600; bytes < 1500; bytes++) {
		struct synq_slice slice = synq_slice_of(text, bytes);

		begin_pipe();
		synq_log(SYNQ_LOG_INFO, "long", SYNQ_F_SLICE("a", slice),
		    SYNQ_F_SLICE("b", slice), SYNQ_F_SLICE("c", slice),
		    SYNQ_F_SLICE("d", slice), SYNQ_F_SLICE("e", slice),
		    SYNQ_F_INT("last", 7), SYNQ_F_END);
		size_t got = end(sizeof(out) - 1);

		assert_in_range(got, 2000, 4096);
		assert_int_equal(out[got - 1], '\n');
		struct json_object *line = json_tokener_parse(out);
		assert_non_null(line);
		assert_true(synq_slice_utf8(synq_slice_of(out, got)));
		assert_non_null(json_object_object_get(line, "a"));
		json_object_put(line);
	}
}

static void
test_log_drops_below_its_level(void **state)
{
	(void)state;

	begin_pipe();
	synq_log_setup("test", SYNQ_LOG_WARN);
	assert_false(synq_log_wants(SYNQ_LOG_INFO));
	assert_true(synq_log_wants(SYNQ_LOG_WARN));
	synq_log(SYNQ_LOG_INFO, "dropped", SYNQ_F_END);
	synq_log(SYNQ_LOG_WARN, "kept", SYNQ_F_END);
	end(sizeof(out) - 1);

	assert_null(strstr(out, "dropped"));
	assert_non_null(strstr(out, "\"event\":\"kept\"}\n"));
}

static void
test_log_on_a_terminal_is_readable_and_harmless(void **state)
{
	(void)state;
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	begin(master, open(ptsname(master), O_RDWR | O_NOCTTY));
	synq_log_setup("test", SYNQ_LOG_INFO);
	synq_log(SYNQ_LOG_INFO, "job.done", SYNQ_F_TEXT("id", "job_1"),
	    SYNQ_F_TEXT("text", "two words\x1b[31m"), SYNQ_F_INT("n", 3),
	    SYNQ_F_END);
	/* A terminal's end keeps nothing once its other end is closed. */
	ssize_t bytes = read(master, out, sizeof(out) - 1);
	end(1);

	assert_true(bytes > 0);
	out[bytes] = '\0';
	assert_non_null(strstr(out, "Z info  test job.done id=job_1 "
				    "text=\"two words\\u001b[31m\" n=3"));
	assert_null(strchr(out, '\x1b'));
}

static void *
write_many(void *ctx)
{
	for (int i = 0; i < 100; i++)
		synq_log(
		    SYNQ_LOG_INFO, "many", SYNQ_F_TEXT("who", ctx), SYNQ_F_END);
	return NULL;
}

static void
test_log_lines_of_threads_do_not_mix(void **state)
{
	(void)state;
	static char names[4][2] = { "a", "b", "c", "d" };
	pthread_t threads[4];
	int lines = 0;

	begin_pipe();
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_many, names[i]);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	end(sizeof(out) - 1);

	for (char *at = out; *at; lines++) {
		char *next = strchr(at, '\n');

		assert_non_null(next);
		*next = '\0';
		struct json_object *line = json_tokener_parse(at);
		assert_non_null(line);
		assert_string_equal(text_of(line, "event"), "many");
		json_object_put(line);
		at = next + 1;
	}
	assert_int_equal(lines, 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_writes_one_json_object_a_line),
		cmocka_unit_test(test_log_null_objects_are_null),
		cmocka_unit_test(test_log_line_stays_json_below_4_kib),
		cmocka_unit_test(test_log_drops_below_its_level),
		cmocka_unit_test(
		    test_log_on_a_terminal_is_readable_and_harmless),
		cmocka_unit_test(test_log_lines_of_threads_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
