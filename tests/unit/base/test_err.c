#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/slice.h"

static void
test_err_wrap_reads_from_the_outside_in(void **state)
{
	(void)state;
	struct synq_err err;

	int rc = synq_fail(&err, SYNQ_E_TIMEOUT, "connect %s", "db1");
	assert_int_equal(rc, -SYNQ_E_TIMEOUT);
	rc = synq_wrap(&err, rc, "load tenant %d", 7);

	assert_int_equal(rc, -SYNQ_E_TIMEOUT);
	assert_int_equal(err.code, SYNQ_E_TIMEOUT);
	assert_string_equal(err.text, "load tenant 7: connect db1");
}

static void
test_err_wrap_of_an_unfilled_error_uses_the_table(void **state)
{
	(void)state;
	struct synq_err err = { 0 };

	assert_int_equal(synq_wrap(&err, -SYNQ_E_BUSY, "push"), -SYNQ_E_BUSY);

	assert_int_equal(err.code, SYNQ_E_BUSY);
	assert_string_equal(err.text, "push: a queue is full");
}

static void
test_err_null_is_allowed(void **state)
{
	(void)state;

	assert_int_equal(synq_fail(NULL, SYNQ_E_LIMIT, "x"), -SYNQ_E_LIMIT);
	assert_int_equal(synq_wrap(NULL, -SYNQ_E_LIMIT, "x"), -SYNQ_E_LIMIT);
}

static void
test_err_arguments_may_lie_in_the_error(void **state)
{
	(void)state;
	struct synq_err err;

	synq_fail(&err, SYNQ_E_INVALID, "inner");
	synq_fail(&err, SYNQ_E_CONFIG, "<%s>", err.text);
	assert_string_equal(err.text, "<inner>");
	synq_wrap(&err, -SYNQ_E_CONFIG, "(%s)", err.text);

	assert_string_equal(err.text, "(<inner>): <inner>");
}

/* Whatever falls on the edge, the cut text stays valid UTF-8. */
static void
test_err_long_text_is_cut_between_characters(void **state)
{
	(void)state;
	char text[400];
	struct synq_err err;

	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', sizeof(text));
		for (size_t i = shift; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 4);
		text[sizeof(text) - 1] = '\0';

		synq_fail(&err, SYNQ_E_INVALID, "%s", text);
		assert_true(synq_slice_utf8(synq_slice_text(err.text)));
		assert_true(strlen(err.text) > sizeof(err.text) - 5);
		synq_wrap(&err, -SYNQ_E_INVALID, "%s", "\xc3\xa9\xc3\xa9");
		assert_true(synq_slice_utf8(synq_slice_text(err.text)));
		assert_true(strlen(err.text) > sizeof(err.text) - 5);
	}
}

static void
test_err_table_answers_for_either_sign(void **state)
{
	(void)state;

	assert_string_equal(synq_err_name(-SYNQ_E_TOO_LARGE), "too_large");
	assert_string_equal(synq_err_name(SYNQ_E_TOO_LARGE), "too_large");
	assert_string_equal(synq_err_name(0), "ok");
	assert_int_equal(synq_err_http(-SYNQ_E_LIMIT), 429);
	assert_int_equal(synq_err_http(SYNQ_E_LIMIT), 429);
	assert_int_equal(synq_err_retry(-SYNQ_E_UNCERTAIN), SYNQ_RETRY_ASK);
	assert_int_equal(synq_err_retry(-SYNQ_E_BUSY), SYNQ_RETRY_LATER);
	assert_int_equal(synq_err_retry(-SYNQ_E_REFUSED), SYNQ_RETRY_NEVER);
}

static void
test_err_unknown_codes_have_an_answer(void **state)
{
	(void)state;
	static const int codes[] = { SYNQ_E_COUNT, -SYNQ_E_COUNT, INT_MAX,
		INT_MIN };

	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(synq_err_name(codes[i]), "unknown");
		assert_int_equal(synq_err_http(codes[i]), 500);
		assert_int_equal(synq_err_retry(codes[i]), SYNQ_RETRY_NEVER);
		assert_true(strlen(synq_err_text(codes[i])) > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_wrap_reads_from_the_outside_in),
		cmocka_unit_test(
		    test_err_wrap_of_an_unfilled_error_uses_the_table),
		cmocka_unit_test(test_err_null_is_allowed),
		cmocka_unit_test(test_err_arguments_may_lie_in_the_error),
		cmocka_unit_test(test_err_long_text_is_cut_between_characters),
		cmocka_unit_test(test_err_table_answers_for_either_sign),
		cmocka_unit_test(test_err_unknown_codes_have_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
