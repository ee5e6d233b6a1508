#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "provider/provider.h"
#include "json/scan.h"

static struct synq_arena *arena;
static const struct synq_dialect *openai;

static int
setup(void **state)
{
	(void)state;
	arena = synq_arena_new(4096, 1 << 20);
	openai = synq_dialect_find("openai");
	return openai ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	synq_arena_free(&arena);
	synq_arena_trim();
	return 0;
}

static struct synq_provider_verdict
judge(int rc, int status, const char *body)
{
	struct synq_request request = { .endpoint = SYNQ_ENDPOINT_CHAT };
	struct synq_provider_answer answer = {
		.rc = rc,
		.status = status,
		.body = synq_slice_text(body),
	};
	struct synq_provider_verdict verdict;
	struct synq_json root;

	memset(&verdict, 0xee, sizeof(verdict));
	openai->judge(&request, &answer, 0, arena, &verdict);
	assert_int_equal(synq_json_parse(verdict.body, &root, NULL), 0);
	assert_int_equal(root.type, SYNQ_JSON_OBJECT);
	if (verdict.succeeded)
		return verdict;

	/* A client of OpenAI's can read every failure. */
	assert_int_equal(
	    synq_json_path(root, "error.message").type, SYNQ_JSON_STRING);
	assert_int_equal(
	    synq_json_path(root, "error.type").type, SYNQ_JSON_STRING);
	assert_true(synq_json_path(root, "error.param").type != SYNQ_JSON_NONE);
	assert_true(synq_json_path(root, "error.code").type != SYNQ_JSON_NONE);
	assert_true(verdict.error_code.bytes > 0);
	assert_true(verdict.error.bytes > 0);
	assert_true(synq_slice_utf8(verdict.error));
	assert_in_range(verdict.answer_status, 400, 599);
	return verdict;
}

/* The string at ${path} of the verdict's body is ${text}. */
static void
assert_says(const struct synq_provider_verdict *verdict, const char *path,
    const char *text)
{
	struct synq_json root;

	assert_int_equal(synq_json_parse(verdict->body, &root, NULL), 0);
	if (!synq_json_is(synq_json_path(root, path), text))
		fail_msg("%s is not %s in %.*s", path, text,
		    (int)verdict->body.bytes, verdict->body.data);
}

static void
test_judge_gives_the_answer_as_it_came(void **state)
{
	(void)state;
	const char *body =
	    "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":\"Hi\"}}],"
	    "\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":22,"
	    "\"total_tokens\":33,\"prompt_tokens_details\":"
	    "{\"cached_tokens\":5},\"completion_tokens_details\":"
	    "{\"reasoning_tokens\":7}}}";
	struct synq_provider_verdict verdict = judge(0, 200, body);

	assert_true(verdict.succeeded);
	assert_int_equal(verdict.answer_status, 200);
	assert_ptr_equal(verdict.body.data, body);
	assert_int_equal(verdict.usage.input_tokens, 11);
	assert_int_equal(verdict.usage.output_tokens, 22);
	assert_int_equal(verdict.usage.cached_tokens, 5);
	assert_int_equal(verdict.usage.reasoning_tokens, 7);
	assert_int_equal(verdict.retry_after_us, -1);
	assert_int_equal(verdict.error_code.bytes, 0);
}

static void
test_judge_takes_usage_as_far_as_it_is_reported(void **state)
{
	(void)state;
	struct synq_provider_verdict verdict = judge(0, 200,
	    "{\"data\":[],\"usage\":{\"prompt_tokens\":8,"
	    "\"total_tokens\":8}}");

	assert_int_equal(verdict.usage.input_tokens, 8);
	assert_int_equal(verdict.usage.output_tokens, -1);
	assert_int_equal(verdict.usage.cached_tokens, -1);
	assert_int_equal(verdict.usage.reasoning_tokens, -1);

	verdict = judge(0, 200,
	    "{\"usage\":{\"prompt_tokens\":-4,\"completion_tokens\":1.5,"
	    "\"prompt_tokens_details\":null,"
	    "\"completion_tokens_details\":{\"reasoning_tokens\":\"9\"}}}");
	assert_true(verdict.succeeded);
	assert_int_equal(verdict.usage.input_tokens, -1);
	assert_int_equal(verdict.usage.output_tokens, -1);
	assert_int_equal(verdict.usage.cached_tokens, -1);
	assert_int_equal(verdict.usage.reasoning_tokens, -1);
	assert_true(judge(0, 200, "{\"usage\":null}").succeeded);
}

static void
test_judge_tries_again_after_an_answer_that_is_none(void **state)
{
	(void)state;
	static const char *const bodies[] = { "", "<html>", "{\"id\":", "[]",
		"null", "\"text\"", "{\"a\":1}{\"a\":2}", "{\"a\":\"\xff\"}" };

	for (size_t i = 0; i < SYNQ_COUNT(bodies); i++) {
		struct synq_provider_verdict verdict = judge(0, 200, bodies[i]);

		assert_false(verdict.succeeded);
		assert_int_equal(verdict.class, SYNQ_RETRY_LATER);
		assert_int_equal(verdict.answer_status, 502);
		assert_true(synq_slice_is(
		    verdict.error_code, "invalid_provider_response"));
		assert_says(
		    &verdict, "error.code", "invalid_provider_response");
	}
	assert_int_equal(judge(0, 204, "").class, SYNQ_RETRY_LATER);
}

/* Models cut pairs in half and write NUL; the answer is paid for. */
static void
test_judge_mends_half_surrogates_and_nul(void **state)
{
	(void)state;
	struct synq_provider_verdict verdict = judge(0, 200,
	    "{\"a\":\"x\\ud83d\",\"b\":\"\\u0000y\\udc00\","
	    "\"usage\":{\"prompt_tokens\":3}}");

	assert_true(verdict.succeeded);
	assert_true(synq_slice_is(verdict.body,
	    "{\"a\":\"x\\ufffd\",\"b\":\"\\ufffdy\\ufffd\","
	    "\"usage\":{\"prompt_tokens\":3}}"));
	assert_int_equal(verdict.usage.input_tokens, 3);

	/* What is no escape at all is not mended. */
	assert_false(judge(0, 200, "{\"a\":\"\\u00zz\"}").succeeded);
	assert_false(judge(0, 200, "{\"a\":\"\\ud8").succeeded);
}

static void
test_judge_finds_an_error_behind_a_200(void **state)
{
	(void)state;
	struct synq_provider_verdict verdict = judge(
	    0, 200, "{\"error\":{\"message\":\"upstream died\",\"code\":502}}");

	assert_false(verdict.succeeded);
	assert_int_equal(verdict.class, SYNQ_RETRY_LATER);
	assert_int_equal(verdict.answer_status, 502);
	assert_says(&verdict, "error.message", "upstream died");
	assert_true(judge(0, 200, "{\"id\":\"x\",\"error\":null}").succeeded);
}

static const char shaped[] =
    "{\"error\":{\"message\":\"too long\",\"type\":\"invalid_request_error\","
    "\"param\":\"messages\",\"code\":\"context_length_exceeded\"}}";

static void
test_judge_passes_the_clients_own_mistakes_on(void **state)
{
	(void)state;
	static const int statuses[] = { 400, 404, 405, 413, 415, 422 };

	for (size_t i = 0; i < SYNQ_COUNT(statuses); i++) {
		struct synq_provider_verdict verdict =
		    judge(0, statuses[i], shaped);

		assert_int_equal(verdict.class, SYNQ_RETRY_NEVER);
		assert_int_equal(verdict.answer_status, statuses[i]);
		assert_true(synq_slice_is(verdict.body, shaped));
		assert_true(synq_slice_is(
		    verdict.error_code, "context_length_exceeded"));
		assert_true(synq_slice_is(verdict.error, "too long"));
	}
}

static void
test_judge_puts_other_errors_into_shape(void **state)
{
	(void)state;
	static const char *const bodies[][2] = {
		{ "{\"error\":\"bad \\u00e9\"}", "bad \xc3\xa9" },
		{ "{\"message\":\"bad\"}", "bad" },
		{ "{\"detail\":\"bad\"}", "bad" },
		{ "{\"error\":{\"message\":\"bad\"}}", "bad" },
		{ "{\"error\":{\"message\":\"bad\",\"type\":\"t\","
		  "\"param\":null,\"code\":400}}",
		    "bad" },
		{ "", "the provider refused the request" },
		{ "<html>400</html>", "the provider refused the request" },
		{ "{\"error\":{\"message\":\"\"}}",
		    "the provider refused the request" },
		{ "[1]", "the provider refused the request" },
	};

	for (size_t i = 0; i < SYNQ_COUNT(bodies); i++) {
		struct synq_provider_verdict verdict =
		    judge(0, 400, bodies[i][0]);

		assert_int_equal(verdict.class, SYNQ_RETRY_NEVER);
		assert_int_equal(verdict.answer_status, 400);
		assert_says(&verdict, "error.message", bodies[i][1]);
		assert_says(&verdict, "error.type", "invalid_request_error");
		assert_true(synq_slice_is(verdict.error, bodies[i][1]));
	}
}

/* It is our credential; nothing of it may reach the client. */
static void
test_judge_keeps_the_installations_account_to_itself(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *code;
		enum synq_retry_class class;
		int answer;
	} rows[] = {
		{ 401, "provider_auth_failed", SYNQ_RETRY_NEVER, 502 },
		{ 403, "provider_auth_failed", SYNQ_RETRY_NEVER, 502 },
		{ 407, "provider_auth_failed", SYNQ_RETRY_NEVER, 502 },
		{ 402, "provider_quota_exhausted", SYNQ_RETRY_NEVER, 502 },
		{ 429, "rate_limit_exceeded", SYNQ_RETRY_LATER, 429 },
	};

	for (size_t i = 0; i < SYNQ_COUNT(rows); i++) {
		struct synq_provider_verdict verdict = judge(0, rows[i].status,
		    "{\"error\":{\"message\":\"Incorrect API key provided: "
		    "sk-live1234 of org-77\",\"type\":\"t\",\"param\":null,"
		    "\"code\":\"invalid_api_key\"}}");

		assert_int_equal(verdict.class, rows[i].class);
		assert_int_equal(verdict.answer_status, rows[i].answer);
		assert_true(synq_slice_is(verdict.error_code, rows[i].code));
		assert_says(&verdict, "error.code", rows[i].code);
		assert_null(
		    memmem(verdict.body.data, verdict.body.bytes, "1234", 4));
		assert_null(memmem(
		    verdict.error.data, verdict.error.bytes, "org-77", 6));
	}
}

static void
test_judge_does_not_wait_for_a_quota_that_is_used_up(void **state)
{
	(void)state;
	struct synq_provider_verdict verdict = judge(0, 429,
	    "{\"error\":{\"message\":\"quota\",\"type\":\"insufficient_quota\","
	    "\"param\":null,\"code\":\"insufficient_quota\"}}");

	assert_int_equal(verdict.class, SYNQ_RETRY_NEVER);
	assert_true(
	    synq_slice_is(verdict.error_code, "provider_quota_exhausted"));
}

static void
test_judge_classes_of_statuses(void **state)
{
	(void)state;
	static const struct {
		int status;
		enum synq_retry_class class;
		int answer;
	} rows[] = {
		{ 408, SYNQ_RETRY_LATER, 504 },
		{ 409, SYNQ_RETRY_LATER, 502 },
		{ 425, SYNQ_RETRY_LATER, 503 },
		{ 429, SYNQ_RETRY_LATER, 429 },
		{ 500, SYNQ_RETRY_LATER, 502 },
		{ 502, SYNQ_RETRY_LATER, 502 },
		{ 503, SYNQ_RETRY_LATER, 503 },
		{ 504, SYNQ_RETRY_LATER, 504 },
		{ 520, SYNQ_RETRY_LATER, 502 },
		{ 529, SYNQ_RETRY_LATER, 503 },
		{ 501, SYNQ_RETRY_NEVER, 502 },
		{ 505, SYNQ_RETRY_NEVER, 502 },
		{ 100, SYNQ_RETRY_NEVER, 502 },
		{ 301, SYNQ_RETRY_NEVER, 502 },
		{ 0, SYNQ_RETRY_NEVER, 502 },
		{ 418, SYNQ_RETRY_NEVER, 418 },
	};

	for (size_t i = 0; i < SYNQ_COUNT(rows); i++) {
		struct synq_provider_verdict verdict =
		    judge(0, rows[i].status, "");

		assert_false(verdict.succeeded);
		assert_int_equal(verdict.class, rows[i].class);
		assert_int_equal(verdict.answer_status, rows[i].answer);
	}
}

static void
test_judge_classes_of_calls_without_an_answer(void **state)
{
	(void)state;
	static const struct {
		int rc;
		enum synq_retry_class class;
		int answer;
		const char *code;
	} rows[] = {
		{ -SYNQ_E_TIMEOUT, SYNQ_RETRY_LATER, 504, "provider_timeout" },
		{ -SYNQ_E_SYSTEM, SYNQ_RETRY_LATER, 503,
		    "provider_unavailable" },
		{ -SYNQ_E_UNAVAILABLE, SYNQ_RETRY_LATER, 503,
		    "provider_unavailable" },
		{ -SYNQ_E_LIMIT, SYNQ_RETRY_LATER, 503,
		    "provider_unavailable" },
		{ -SYNQ_E_UNCERTAIN, SYNQ_RETRY_ASK, 502,
		    "provider_no_answer" },
		{ -SYNQ_E_TOO_LARGE, SYNQ_RETRY_NEVER, 502,
		    "result_too_large" },
		{ -SYNQ_E_INVALID, SYNQ_RETRY_NEVER, 503,
		    "provider_unavailable" },
	};

	for (size_t i = 0; i < SYNQ_COUNT(rows); i++) {
		struct synq_provider_verdict verdict =
		    judge(rows[i].rc, 0, NULL);

		assert_false(verdict.succeeded);
		assert_int_equal(verdict.class, rows[i].class);
		assert_int_equal(verdict.answer_status, rows[i].answer);
		assert_true(synq_slice_is(verdict.error_code, rows[i].code));
		assert_int_equal(verdict.usage.input_tokens, -1);
	}
}

static void
test_judge_reports_how_long_to_wait(void **state)
{
	(void)state;
	struct synq_request request = { .endpoint = SYNQ_ENDPOINT_CHAT };
	struct synq_provider_answer answer = {
		.status = 429,
		.retry_after = synq_slice_text("7"),
	};
	struct synq_provider_verdict verdict;

	openai->judge(&request, &answer, 0, arena, &verdict);
	assert_int_equal(verdict.retry_after_us, 7000000);
}

/* A provider's text is cut between characters, whatever it escapes to. */
static void
test_judge_cuts_long_texts(void **state)
{
	(void)state;
	static char body[20000];
	size_t at = (size_t)snprintf(body, sizeof(body), "{\"error\":\"");
	struct synq_provider_verdict verdict;

	while (at < 19000) {
		memcpy(body + at, "\xe2\x82\xac\\n\\u0001", 11);
		at += 11;
	}
	memcpy(body + at, "\"}", 3);
	verdict = judge(0, 400, body);
	assert_in_range(verdict.error.bytes, 990, 1000);

	/* A code that is long is cut, too; the body goes on whole. */
	at = (size_t)snprintf(body, sizeof(body),
	    "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,"
	    "\"code\":\"");
	memset(body + at, 'c', 5000);
	memcpy(body + at + 5000, "\"}}", 4);
	verdict = judge(0, 400, body);
	assert_int_equal(verdict.error_code.bytes, 100);
	assert_int_equal(verdict.body.bytes, strlen(body));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge_gives_the_answer_as_it_came),
		cmocka_unit_test(
		    test_judge_takes_usage_as_far_as_it_is_reported),
		cmocka_unit_test(
		    test_judge_tries_again_after_an_answer_that_is_none),
		cmocka_unit_test(test_judge_mends_half_surrogates_and_nul),
		cmocka_unit_test(test_judge_finds_an_error_behind_a_200),
		cmocka_unit_test(test_judge_passes_the_clients_own_mistakes_on),
		cmocka_unit_test(test_judge_puts_other_errors_into_shape),
		cmocka_unit_test(
		    test_judge_keeps_the_installations_account_to_itself),
		cmocka_unit_test(
		    test_judge_does_not_wait_for_a_quota_that_is_used_up),
		cmocka_unit_test(test_judge_classes_of_statuses),
		cmocka_unit_test(test_judge_classes_of_calls_without_an_answer),
		cmocka_unit_test(test_judge_reports_how_long_to_wait),
		cmocka_unit_test(test_judge_cuts_long_texts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
