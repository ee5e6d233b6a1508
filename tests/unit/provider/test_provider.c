#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "provider/provider.h"

static struct synq_arena *arena;

static int
make_arena(void **state)
{
	(void)state;
	arena = synq_arena_new(4096, 1 << 20);
	return 0;
}

static int
free_arena(void **state)
{
	(void)state;
	synq_arena_free(&arena);
	synq_arena_trim();
	return 0;
}

static void
test_dialects_are_found_by_name(void **state)
{
	(void)state;
	assert_non_null(synq_dialect_find("openai"));
	assert_string_equal(synq_dialect_find("openai")->name, "openai");
	assert_null(synq_dialect_find("OpenAI"));
	assert_null(synq_dialect_find(""));
}

static void
assert_spliced(const char *body, const char *model, const char *expected)
{
	struct synq_slice made = synq_provider_splice_model(
	    synq_slice_text(body), synq_slice_text(model), arena);

	if (!synq_slice_is(made, expected))
		fail_msg("%s gave %.*s", body, (int)made.bytes, made.data);
}

static void
test_splice_replaces_only_the_model(void **state)
{
	(void)state;
	assert_spliced("{\"model\":\"a\"}", "b", "{\"model\":\"b\"}");
	assert_spliced(
	    " {\t\"x\" : 1.50e+00 , \"model\"\n:  \"gpt\"  ,\"y\":[]} ",
	    "other/model",
	    " {\t\"x\" : 1.50e+00 , \"model\"\n:  \"other/model\"  "
	    ",\"y\":[]} ");
	/* Only at the top, and only a name. */
	assert_spliced("{\"a\":{\"model\":\"n\"},\"b\":\"model\","
		       "\"model\":\"m\",\"c\":[{\"model\":\"o\"}]}",
	    "z",
	    "{\"a\":{\"model\":\"n\"},\"b\":\"model\","
	    "\"model\":\"z\",\"c\":[{\"model\":\"o\"}]}");
	assert_spliced("{\"mod\\u0065l\":\"a\",\"z\":0}", "b",
	    "{\"mod\\u0065l\":\"b\",\"z\":0}");
}

static void
test_splice_escapes_the_model(void **state)
{
	(void)state;
	assert_spliced("{\"model\":\"a\"}", "x\"},\"y\":{\"\\\n",
	    "{\"model\":\"x\\\"},\\\"y\\\":{\\\"\\\\\\n\"}");
}

static void
assert_untouched(const char *body, const char *model)
{
	struct synq_slice text = synq_slice_text(body);
	struct synq_slice made =
	    synq_provider_splice_model(text, synq_slice_text(model), arena);

	assert_ptr_equal(made.data, text.data);
	assert_int_equal(made.bytes, text.bytes);
}

static void
test_splice_leaves_the_body_where_nothing_changes(void **state)
{
	(void)state;
	assert_untouched("{\"model\":\"gpt-5\"}", "gpt-5");
	assert_untouched("{\"model\":\"gpt\\u002d5\"}", "gpt-5");
	assert_untouched("{\"messages\":[]}", "gpt-5");
	assert_untouched("[\"model\",\"x\"]", "gpt-5");
	assert_untouched("{\"model\":\"gpt-4\"", "gpt-5");
	assert_untouched("", "gpt-5");
}

#define NOW INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z, a Thursday */

static int64_t
wait_for(const char *after_ms, const char *after)
{
	struct synq_provider_answer answer = {
		.retry_after_ms = synq_slice_text(after_ms),
		.retry_after = synq_slice_text(after),
	};

	return synq_provider_retry_after(&answer, NOW);
}

static void
test_retry_after_reads_seconds_and_milliseconds(void **state)
{
	(void)state;
	assert_int_equal(wait_for(NULL, NULL), -1);
	assert_int_equal(wait_for(NULL, "2"), 2000000);
	assert_int_equal(wait_for(NULL, " 0 "), 0);
	assert_int_equal(wait_for(NULL, "1.5"), 1500000);
	assert_int_equal(wait_for(NULL, "0.000001"), 1);
	assert_int_equal(wait_for("1500", NULL), 1500000);
	assert_int_equal(wait_for("0.25", NULL), 250);
	/* The finer one counts; if it is nonsense, the other. */
	assert_int_equal(wait_for("20", "9"), 20000);
	assert_int_equal(wait_for("soon", "9"), 9000000);
}

static void
test_retry_after_refuses_nonsense(void **state)
{
	(void)state;
	static const char *const texts[] = { "", " ", ".", "-1", "+1", "1s",
		"1 2", "1e3", "0x10", "1..2", "NaN", "tomorrow", "1.2.3" };

	for (size_t i = 0; i < SYNQ_COUNT(texts); i++)
		assert_int_equal(wait_for(texts[i], texts[i]), -1);
}

static void
test_retry_after_reads_dates(void **state)
{
	(void)state;
	assert_int_equal(
	    wait_for(NULL, "Thu, 01 Jan 2026 00:00:10 GMT"), 10000000);
	assert_int_equal(wait_for(NULL, "Thu, 01 Jan 2026 01:00:00 GMT"),
	    INT64_C(3600000000));
	assert_int_equal(wait_for(NULL, "Sun, 06 Nov 1994 08:49:37 GMT"), 0);
	assert_int_equal(wait_for(NULL, "Wed, 31 Dec 2025 23:59:59 GMT"), 0);
	assert_int_equal(wait_for(NULL, "Fri, 02 Jan 2026 00:00:60 GMT"),
	    INT64_C(86460000000));
}

/* Days of each month and leap years, one day apart. */
static void
test_retry_after_counts_days_as_the_calendar_does(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{ "Wed, 28 Feb 2024 12:00:00 GMT",
		    "Thu, 29 Feb 2024 12:00:00 GMT" },
		{ "Thu, 29 Feb 2024 12:00:00 GMT",
		    "Fri, 01 Mar 2024 12:00:00 GMT" },
		{ "Fri, 28 Feb 2025 12:00:00 GMT",
		    "Sat, 01 Mar 2025 12:00:00 GMT" },
		{ "Sun, 28 Feb 2100 12:00:00 GMT",
		    "Mon, 01 Mar 2100 12:00:00 GMT" },
		{ "Tue, 31 Dec 2024 12:00:00 GMT",
		    "Wed, 01 Jan 2025 12:00:00 GMT" },
		{ "Wed, 30 Apr 2025 12:00:00 GMT",
		    "Thu, 01 May 2025 12:00:00 GMT" },
	};

	for (size_t i = 0; i < SYNQ_COUNT(pairs); i++) {
		struct synq_provider_answer answer = {
			.retry_after = synq_slice_text(pairs[i][0]),
		};
		/* The first date, found as the time at which it is now. */
		int64_t low = 0;
		int64_t high = INT64_C(8000000000000000);

		while (low < high) {
			int64_t middle = (low + high) / 2;

			if (synq_provider_retry_after(&answer, middle) > 0)
				low = middle + 1;
			else
				high = middle;
		}
		answer.retry_after = synq_slice_text(pairs[i][1]);
		assert_int_equal(synq_provider_retry_after(&answer, low),
		    INT64_C(86400000000));
	}
}

static void
test_retry_after_refuses_bad_dates(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"Thu, 01 Jan 2026 00:00:10 CET",
		"Thu, 01 Jan 2026 00:00:10 GM",
		"Thu, 01 Jan 2026 00:00:10 GMTx",
		"Thu, 00 Jan 2026 00:00:10 GMT",
		"Thu, 32 Jan 2026 00:00:10 GMT",
		"Thu, 01 Foo 2026 00:00:10 GMT",
		"Thu, 01 anF 2026 00:00:10 GMT",
		"Thu, 01 Jan 1969 00:00:10 GMT",
		"Thu, 01 Jan 2026 24:00:10 GMT",
		"Thu, 01 Jan 2026 00:60:10 GMT",
		"Thu, 01 Jan 2026 00:00:61 GMT",
		"Thu, 0x Jan 2026 00:00:10 GMT",
		"Thu, 01-Jan-2026 00:00:10 GMT",
		"2026-01-01T00:00:10Z",
	};

	for (size_t i = 0; i < SYNQ_COUNT(texts); i++)
		assert_int_equal(wait_for(NULL, texts[i]), -1);
}

static void
test_retry_after_has_an_end(void **state)
{
	(void)state;
	const int64_t month_us = INT64_C(30) * 86400 * 1000000;

	assert_true(wait_for(NULL, "99999999999999999999999999") == month_us);
	assert_true(wait_for("99999999999999999999.9", NULL) == month_us);
	assert_true(
	    wait_for(NULL, "Fri, 31 Dec 9999 23:59:59 GMT") == month_us);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialects_are_found_by_name),
		cmocka_unit_test(test_splice_replaces_only_the_model),
		cmocka_unit_test(test_splice_escapes_the_model),
		cmocka_unit_test(
		    test_splice_leaves_the_body_where_nothing_changes),
		cmocka_unit_test(
		    test_retry_after_reads_seconds_and_milliseconds),
		cmocka_unit_test(test_retry_after_refuses_nonsense),
		cmocka_unit_test(test_retry_after_reads_dates),
		cmocka_unit_test(
		    test_retry_after_counts_days_as_the_calendar_does),
		cmocka_unit_test(test_retry_after_refuses_bad_dates),
		cmocka_unit_test(test_retry_after_has_an_end),
	};

	return cmocka_run_group_tests(tests, make_arena, free_arena);
}
