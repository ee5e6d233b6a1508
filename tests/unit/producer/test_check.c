/*
 * Bodies of the OpenAI endpoints: what passes, what is refused, and how the
 * refusal names the place.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "producer/check.h"

#define CHAT "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]"
#define COMPLETION "{\"model\":\"m\",\"prompt\":\"p\""
#define EMBEDDING "{\"model\":\"m\",\"input\":\"i\""

/* Check ${text} in memory of exactly its size. */
static int
check(enum synq_endpoint endpoint, const char *text, struct check_fault *fault)
{
	struct check_request request = { .arena = NULL };
	size_t bytes = strlen(text);
	char *exact = synq_mem_resize(NULL, bytes);
	int rc;

	memset(fault, 0, sizeof(*fault));
	memcpy(exact, text, bytes);
	rc = check_request(
	    endpoint, synq_slice_of(exact, bytes), &request, fault);
	if (rc == 0)
		assert_true(synq_slice_is(request.model, "m"));
	synq_mem_free(exact);
	return rc;
}

static void
passes(enum synq_endpoint endpoint, const char *text)
{
	struct check_fault fault;

	if (check(endpoint, text, &fault) != 0)
		fail_msg("%s: %s: %s", text, fault.param, fault.message);
}

/* ${text} is refused with 400, ${code} and ${param}, which the message names.
 */
static void
refused(enum synq_endpoint endpoint, const char *text, const char *code,
    const char *param)
{
	struct check_fault fault;

	if (check(endpoint, text, &fault) == 0)
		fail_msg("passed: %s", text);
	assert_int_equal(400, fault.status);
	if (strcmp(code, fault.code) != 0 || strcmp(param, fault.param) != 0)
		fail_msg("%s: %s of '%s'", text, fault.code, fault.param);
	assert_true(strlen(fault.message) > 10);
	if (param[0] != '\0')
		assert_non_null(strstr(fault.message, param));
}

/* ${start} with the member ${name}: ${value} added. */
static const char *
with(const char *start, const char *name, const char *value)
{
	static char text[512];

	(void)snprintf(text, sizeof(text), "%s,\"%s\":%s}", start, name, value);
	return text;
}

struct range {
	enum synq_endpoint endpoint;
	const char *start;
	const char *name;
	const char *good[4];
	const char *bad[4];  /* out of range */
	const char *type[4]; /* of another type */
};

static const struct range ranges[] = {
	{ SYNQ_ENDPOINT_CHAT, CHAT, "temperature", { "0", "2", "0.7", "1e0" },
	    { "-0.1", "2.01", "1e400" }, { "\"1\"", "true", "[]", "{}" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "top_p", { "0", "1", "1.0" },
	    { "-1", "1.0001" }, { "\"1\"", "[1]" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "frequency_penalty", { "-2", "2", "0" },
	    { "-2.1", "2.1" }, { "\"\"", "{}" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "presence_penalty", { "-2", "2", "0.5" },
	    { "-3", "3" }, { "false" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "n", { "1", "128" }, { "0", "129", "-1" },
	    { "1.5", "\"1\"", "true" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "max_tokens", { "1", "1000000" },
	    { "0", "-1" }, { "\"5\"", "0.5" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "max_completion_tokens", { "1", "128000" },
	    { "0" }, { "\"5\"", "[]" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "top_logprobs", { "0", "20" },
	    { "-1", "21" }, { "true", "\"5\"" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "logprobs", { "true", "false" }, { NULL },
	    { "1", "\"true\"" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "logit_bias", { "{}", "{\"50256\":-100}" },
	    { NULL }, { "[]", "\"\"", "1" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "seed",
	    { "0", "-1", "9223372036854775807", "-9223372036854775808" },
	    { NULL }, { "1.5", "\"1\"", "9223372036854775808" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "stop", { "\"a\"", "[\"a\",\"b\"]", "[]" },
	    { NULL }, { "1", "{}", "true" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "stream", { "false" }, { NULL },
	    { "0", "\"false\"", "[]" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "stream_options", { "{}" }, { NULL },
	    { "[]", "true" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "tools", { "[]", "[{}]" }, { NULL },
	    { "{}", "\"\"" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "parallel_tool_calls", { "true" }, { NULL },
	    { "1" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "response_format",
	    { "{\"type\":\"json_object\"}" }, { NULL }, { "\"text\"", "[]" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "user", { "\"u\"", "\"\"" }, { NULL },
	    { "1", "{}" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "store", { "true" }, { NULL }, { "1" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "service_tier", { "\"flex\"" }, { NULL },
	    { "1" } },
	{ SYNQ_ENDPOINT_CHAT, CHAT, "reasoning_effort", { "\"low\"" }, { NULL },
	    { "3", "{}" } },
	{ SYNQ_ENDPOINT_COMPLETIONS, COMPLETION, "temperature", { "0", "2" },
	    { "2.5" }, { "\"1\"" } },
	{ SYNQ_ENDPOINT_COMPLETIONS, COMPLETION, "n", { "1", "128" }, { "0" },
	    { "[]" } },
	{ SYNQ_ENDPOINT_COMPLETIONS, COMPLETION, "best_of", { "1", "20" },
	    { "0", "21" }, { "\"1\"" } },
	{ SYNQ_ENDPOINT_COMPLETIONS, COMPLETION, "logprobs", { "0", "5" },
	    { "6", "-1" }, { "true" } },
	{ SYNQ_ENDPOINT_COMPLETIONS, COMPLETION, "max_tokens", { "0", "16" },
	    { "-1" }, { "1.5" } },
	{ SYNQ_ENDPOINT_COMPLETIONS, COMPLETION, "echo", { "true" }, { NULL },
	    { "1" } },
	{ SYNQ_ENDPOINT_COMPLETIONS, COMPLETION, "suffix", { "\"s\"" },
	    { NULL }, { "[]" } },
	{ SYNQ_ENDPOINT_COMPLETIONS, COMPLETION, "stop", { "[\"a\"]" },
	    { NULL }, { "{}" } },
	{ SYNQ_ENDPOINT_EMBEDDINGS, EMBEDDING, "encoding_format",
	    { "\"float\"", "\"base64\"", "\"fl\\u006fat\"" },
	    { "\"hex\"", "\"\"", "\"FLOAT\"" }, { "1", "[]" } },
	{ SYNQ_ENDPOINT_EMBEDDINGS, EMBEDDING, "dimensions", { "1", "3072" },
	    { "0", "-1" }, { "\"1\"", "1.5" } },
	{ SYNQ_ENDPOINT_EMBEDDINGS, EMBEDDING, "user", { "\"u\"" }, { NULL },
	    { "1" } },
};

static void
test_check_takes_each_member_in_its_range_only(void **state)
{
	const struct range *range;
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(ranges); i++) {
		range = &ranges[i];
		for (k = 0; k < 4 && range->good[k] != NULL; k++)
			passes(range->endpoint,
			    with(range->start, range->name, range->good[k]));
		for (k = 0; k < 4 && range->bad[k] != NULL; k++)
			refused(range->endpoint,
			    with(range->start, range->name, range->bad[k]),
			    "invalid_value", range->name);
		for (k = 0; k < 4 && range->type[k] != NULL; k++)
			refused(range->endpoint,
			    with(range->start, range->name, range->type[k]),
			    "invalid_type", range->name);
	}
}

/* The SDKs send null where nothing was given. */
static void
test_check_takes_null_as_not_given(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(ranges); i++)
		passes(ranges[i].endpoint,
		    with(ranges[i].start, ranges[i].name, "null"));
}

static void
test_check_lets_unknown_members_pass(void **state)
{
	(void)state;
	passes(SYNQ_ENDPOINT_CHAT, with(CHAT, "brand_new", "{\"a\":[1]}"));
	passes(SYNQ_ENDPOINT_CHAT, with(CHAT, "metadata", "{\"a\":\"b\"}"));
	passes(SYNQ_ENDPOINT_COMPLETIONS, with(COMPLETION, "x", "null"));
	passes(SYNQ_ENDPOINT_EMBEDDINGS, with(EMBEDDING, "temperature", "9"));
}

static void
test_check_names_what_is_missing(void **state)
{
	(void)state;
	refused(
	    SYNQ_ENDPOINT_CHAT, "{}", "missing_required_parameter", "model");
	refused(SYNQ_ENDPOINT_CHAT, "{\"model\":\"m\"}",
	    "missing_required_parameter", "messages");
	refused(SYNQ_ENDPOINT_CHAT, "{\"model\":\"m\",\"messages\":null}",
	    "missing_required_parameter", "messages");
	refused(SYNQ_ENDPOINT_COMPLETIONS, "{\"model\":\"m\"}",
	    "missing_required_parameter", "prompt");
	refused(SYNQ_ENDPOINT_EMBEDDINGS, "{\"model\":\"m\",\"input\":null}",
	    "missing_required_parameter", "input");
}

static void
test_check_refuses_a_model_that_is_no_name(void **state)
{
	char text[512];

	(void)state;
	refused(SYNQ_ENDPOINT_COMPLETIONS, "{\"model\":null,\"prompt\":\"\"}",
	    "invalid_type", "model");
	refused(SYNQ_ENDPOINT_COMPLETIONS, "{\"model\":5,\"prompt\":\"\"}",
	    "invalid_type", "model");
	refused(SYNQ_ENDPOINT_COMPLETIONS, "{\"model\":\"\",\"prompt\":\"\"}",
	    "invalid_value", "model");
	(void)snprintf(
	    text, sizeof(text), "{\"model\":\"%0257d\",\"prompt\":\"\"}", 0);
	refused(SYNQ_ENDPOINT_COMPLETIONS, text, "invalid_value", "model");
}

/* What the model of ${text} is read as. */
static struct synq_slice
model_of(const char *text, struct synq_arena *arena)
{
	struct check_request request = { .arena = arena };
	struct check_fault fault;

	if (check_request(SYNQ_ENDPOINT_COMPLETIONS, synq_slice_text(text),
		&request, &fault) != 0)
		fail_msg("%s: %s", text, fault.message);
	return request.model;
}

/* Some languages write "/" as "\/" in JSON; both are the same name. */
static void
test_check_reads_a_model_with_slashes_and_escapes(void **state)
{
	struct synq_arena *arena = synq_arena_new(4096, 65536);

	(void)state;
	assert_true(synq_slice_is(
	    model_of("{\"model\":\"org/m\",\"prompt\":\"\"}", arena), "org/m"));
	assert_true(synq_slice_is(
	    model_of("{\"model\":\"org\\/m\",\"prompt\":\"\"}", arena),
	    "org/m"));
	assert_true(synq_slice_is(
	    model_of("{\"mod\\u0065l\":\"\\u006d\",\"prompt\":\"\"}", arena),
	    "m"));
	synq_arena_free(&arena);
	synq_arena_trim();
}

static void
test_check_counts_a_model_without_its_escapes(void **state)
{
	struct synq_arena *arena = synq_arena_new(4096, 65536);
	struct check_request request = { .arena = arena };
	struct check_fault fault;
	char text[2048] = "{\"prompt\":\"\",\"model\":\"";
	size_t i;

	(void)state;
	for (i = 0; i < 256; i++)
		memcpy(text + strlen(text), "\\u006d", 7);
	memcpy(text + strlen(text), "\"}", 3);
	assert_int_equal(0, check_request(SYNQ_ENDPOINT_COMPLETIONS,
				synq_slice_text(text), &request, &fault));
	assert_int_equal(256, request.model.bytes);

	memcpy(text + strlen(text) - 2, "\\u006d\"}", 9);
	assert_int_equal(-1, check_request(SYNQ_ENDPOINT_COMPLETIONS,
				 synq_slice_text(text), &request, &fault));
	assert_string_equal("invalid_value", fault.code);
	synq_arena_free(&arena);
	synq_arena_trim();
}

static void
test_check_knows_every_role(void **state)
{
	static const char *const roles[] = { "system", "developer", "user",
		"assistant", "tool", "function", "us\\u0065r", "\\u0074ool" };
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(roles); i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"model\":\"m\",\"messages\":[{\"role\":\"%s\","
		    "\"content\":\"x\"}]}",
		    roles[i]);
		passes(SYNQ_ENDPOINT_CHAT, text);
	}
}

static void
test_check_names_the_message_that_is_wrong(void **state)
{
#define THIRD(message)                                                         \
	"{\"model\":\"m\",\"messages\":[{\"role\":\"system\"},"                \
	"{\"role\":\"user\",\"content\":[{}]}," message "]}"
	(void)state;
	refused(SYNQ_ENDPOINT_CHAT, THIRD("{\"role\":\"robot\"}"),
	    "invalid_value", "messages[2].role");
	refused(SYNQ_ENDPOINT_CHAT, THIRD("{\"role\":null}"), "invalid_value",
	    "messages[2].role");
	refused(SYNQ_ENDPOINT_CHAT, THIRD("{\"role\":\"USER\"}"),
	    "invalid_value", "messages[2].role");
	refused(SYNQ_ENDPOINT_CHAT, THIRD("{\"content\":\"x\"}"),
	    "missing_required_parameter", "messages[2].role");
	refused(SYNQ_ENDPOINT_CHAT, THIRD("{\"role\":\"user\",\"content\":1}"),
	    "invalid_type", "messages[2].content");
	refused(SYNQ_ENDPOINT_CHAT, THIRD("{\"role\":\"user\",\"content\":{}}"),
	    "invalid_type", "messages[2].content");
	refused(SYNQ_ENDPOINT_CHAT, THIRD("\"hello\""), "invalid_type",
	    "messages[2]");
	refused(
	    SYNQ_ENDPOINT_CHAT, THIRD("null"), "invalid_type", "messages[2]");
	passes(SYNQ_ENDPOINT_CHAT,
	    THIRD("{\"role\":\"assistant\",\"content\":null}"));
#undef THIRD
}

static void
test_check_wants_messages_in_an_array(void **state)
{
	(void)state;
	refused(SYNQ_ENDPOINT_CHAT, "{\"model\":\"m\",\"messages\":[]}",
	    "invalid_value", "messages");
	refused(SYNQ_ENDPOINT_CHAT, "{\"model\":\"m\",\"messages\":{}}",
	    "invalid_type", "messages");
	refused(SYNQ_ENDPOINT_CHAT, "{\"model\":\"m\",\"messages\":\"hi\"}",
	    "invalid_type", "messages");
}

static void
test_check_does_not_stream_yet(void **state)
{
	(void)state;
	refused(SYNQ_ENDPOINT_CHAT, with(CHAT, "stream", "true"),
	    "unsupported_value", "stream");
	refused(SYNQ_ENDPOINT_COMPLETIONS, with(COMPLETION, "stream", "true"),
	    "unsupported_value", "stream");
}

/* An embedding body with an input of ${count} texts. */
static char *
inputs(size_t count)
{
	static const char start[] = "{\"model\":\"m\",\"input\":[\"\"";
	char *text = synq_mem_new(sizeof(start) + count * 3 + 2);
	char *at = text + sizeof(start) - 1;

	memcpy(text, start, sizeof(start));
	for (; count > 1; count--, at += 3)
		memcpy(at, ",\"\"", 3);
	memcpy(at, "]}", 2);
	return text;
}

static void
test_check_takes_1_to_2048_inputs(void **state)
{
	char *most = inputs(2048);
	char *more = inputs(2049);

	(void)state;
	passes(SYNQ_ENDPOINT_EMBEDDINGS, most);
	refused(SYNQ_ENDPOINT_EMBEDDINGS, more, "invalid_value", "input");
	refused(SYNQ_ENDPOINT_EMBEDDINGS, "{\"model\":\"m\",\"input\":[]}",
	    "invalid_value", "input");
	refused(SYNQ_ENDPOINT_EMBEDDINGS, "{\"model\":\"m\",\"input\":7}",
	    "invalid_type", "input");
	passes(SYNQ_ENDPOINT_EMBEDDINGS,
	    "{\"model\":\"m\",\"input\":[[1,2],[3]]}");
	synq_mem_free(most);
	synq_mem_free(more);
}

static void
test_check_takes_a_prompt_as_text_or_array(void **state)
{
	(void)state;
	passes(SYNQ_ENDPOINT_COMPLETIONS, COMPLETION "}");
	passes(SYNQ_ENDPOINT_COMPLETIONS,
	    "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"]}");
	passes(SYNQ_ENDPOINT_COMPLETIONS, "{\"model\":\"m\",\"prompt\":[1,2]}");
	refused(SYNQ_ENDPOINT_COMPLETIONS, "{\"model\":\"m\",\"prompt\":{}}",
	    "invalid_type", "prompt");
}

static void
test_check_says_where_json_breaks(void **state)
{
	struct check_fault fault;

	(void)state;
	assert_int_equal(
	    -1, check(SYNQ_ENDPOINT_CHAT, "{\n  \"a\": tru}", &fault));
	assert_string_equal("invalid_json", fault.code);
	assert_string_equal("", fault.param);
	assert_non_null(strstr(fault.message, "line 2"));
	refused(SYNQ_ENDPOINT_CHAT, "", "invalid_json", "");
	refused(SYNQ_ENDPOINT_CHAT, "   ", "invalid_json", "");
	refused(SYNQ_ENDPOINT_CHAT, CHAT, "invalid_json", "");
	refused(SYNQ_ENDPOINT_CHAT, CHAT "} x", "invalid_json", "");
	refused(SYNQ_ENDPOINT_CHAT, "{\"model\":\"m\",\"model\":\"m\"}",
	    "invalid_json", "");
	refused(SYNQ_ENDPOINT_CHAT, "{\"model\":\"\xff\"}", "invalid_json", "");
}

static void
test_check_wants_an_object(void **state)
{
	(void)state;
	refused(SYNQ_ENDPOINT_CHAT, "[]", "invalid_type", "");
	refused(SYNQ_ENDPOINT_CHAT, "\"x\"", "invalid_type", "");
	refused(SYNQ_ENDPOINT_CHAT, "null", "invalid_type", "");
}

/* A number in a message is written so that a person can read it. */
static void
test_check_writes_limits_without_exponents(void **state)
{
	struct check_fault fault;

	(void)state;
	assert_int_equal(-1,
	    check(SYNQ_ENDPOINT_CHAT, with(CHAT, "max_tokens", "0"), &fault));
	assert_null(strstr(fault.message, "e+"));
	assert_non_null(strstr(fault.message, "1000000000"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_check_takes_each_member_in_its_range_only),
		cmocka_unit_test(test_check_takes_null_as_not_given),
		cmocka_unit_test(test_check_lets_unknown_members_pass),
		cmocka_unit_test(test_check_names_what_is_missing),
		cmocka_unit_test(test_check_refuses_a_model_that_is_no_name),
		cmocka_unit_test(
		    test_check_reads_a_model_with_slashes_and_escapes),
		cmocka_unit_test(test_check_counts_a_model_without_its_escapes),
		cmocka_unit_test(test_check_knows_every_role),
		cmocka_unit_test(test_check_names_the_message_that_is_wrong),
		cmocka_unit_test(test_check_wants_messages_in_an_array),
		cmocka_unit_test(test_check_does_not_stream_yet),
		cmocka_unit_test(test_check_takes_1_to_2048_inputs),
		cmocka_unit_test(test_check_takes_a_prompt_as_text_or_array),
		cmocka_unit_test(test_check_says_where_json_breaks),
		cmocka_unit_test(test_check_wants_an_object),
		cmocka_unit_test(test_check_writes_limits_without_exponents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
