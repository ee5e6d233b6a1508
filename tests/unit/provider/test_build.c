#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "provider/provider.h"

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

static struct synq_request
a_request(void)
{
	return (struct synq_request){
		.endpoint = SYNQ_ENDPOINT_CHAT,
		.model = synq_slice_text("fast"),
		.body = synq_slice_text(
		    "{\"model\": \"fast\", \"temperature\": 0.70}"),
	};
}

static struct synq_provider_target
a_target(void)
{
	return (struct synq_provider_target){
		.name = "primary",
		.base_url = "https://api.example.com/v1",
		.credential = synq_slice_text("sk-secret"),
		.upstream_model = synq_slice_text("gpt-5"),
		.job_id = "0190a0b1-c2d3-7e4f-8a5b-000000000001",
		.attempt_id = "0190a0b1-c2d3-7e4f-8a5b-000000000005",
		.attempt = 3,
	};
}

static int
has_header(const struct synq_provider_call *call, const char *header)
{
	for (size_t i = 0; call->headers[i]; i++)
		if (strcmp(call->headers[i], header) == 0)
			return 1;
	return 0;
}

static size_t
count_headers(const struct synq_provider_call *call)
{
	size_t count = 0;

	while (call->headers[count])
		count++;
	return count;
}

static void
test_build_says_who_calls_and_which_attempt(void **state)
{
	(void)state;
	struct synq_request request = a_request();
	struct synq_provider_target target = a_target();
	struct synq_provider_call call;

	assert_int_equal(
	    openai->build(&request, &target, arena, &call, NULL), 0);
	assert_string_equal(
	    call.url, "https://api.example.com/v1/chat/completions");
	assert_true(has_header(&call, "Authorization: Bearer sk-secret"));
	assert_true(has_header(&call, "Content-Type: application/json"));
	assert_true(has_header(&call, "Accept: application/json"));
	assert_true(has_header(
	    &call, "x-synq-job-id: 0190a0b1-c2d3-7e4f-8a5b-000000000001"));
	assert_true(has_header(
	    &call, "x-synq-attempt-id: 0190a0b1-c2d3-7e4f-8a5b-000000000005"));
	assert_true(has_header(&call, "x-synq-attempt: 3"));
	assert_int_equal(count_headers(&call), 6);
	assert_true(synq_slice_is(
	    call.body, "{\"model\": \"gpt-5\", \"temperature\": 0.70}"));
}

static void
test_build_joins_urls_with_or_without_a_slash(void **state)
{
	(void)state;
	static const char *const urls[][2] = {
		{ "http://h/v1", "http://h/v1/embeddings" },
		{ "http://h/v1/", "http://h/v1/embeddings" },
		{ "http://h/v1//", "http://h/v1/embeddings" },
		{ "http://h/openai/v1", "http://h/openai/v1/embeddings" },
		{ "http://h:8080", "http://h:8080/embeddings" },
	};
	struct synq_request request = a_request();
	struct synq_provider_target target = a_target();
	struct synq_provider_call call;

	request.endpoint = SYNQ_ENDPOINT_EMBEDDINGS;
	for (size_t i = 0; i < SYNQ_COUNT(urls); i++) {
		target.base_url = urls[i][0];
		assert_int_equal(
		    openai->build(&request, &target, arena, &call, NULL), 0);
		assert_string_equal(call.url, urls[i][1]);
	}
}

static void
test_build_forwards_the_clients_bytes(void **state)
{
	(void)state;
	struct synq_request request = a_request();
	struct synq_provider_target target = a_target();
	struct synq_provider_call call;

	target.upstream_model = request.model;
	assert_int_equal(
	    openai->build(&request, &target, arena, &call, NULL), 0);
	assert_ptr_equal(call.body.data, request.body.data);
	target.upstream_model = synq_slice_text("");
	assert_int_equal(
	    openai->build(&request, &target, arena, &call, NULL), 0);
	assert_ptr_equal(call.body.data, request.body.data);
}

static void
test_build_leaves_out_what_it_is_not_given(void **state)
{
	(void)state;
	struct synq_request request = a_request();
	struct synq_provider_target target = {
		.name = "local",
		.base_url = "http://127.0.0.1:1/v1",
	};
	struct synq_provider_call call;

	assert_int_equal(
	    openai->build(&request, &target, arena, &call, NULL), 0);
	assert_int_equal(count_headers(&call), 2);
}

static void
test_build_refuses_what_it_cannot_send(void **state)
{
	(void)state;
	struct synq_request request = a_request();
	struct synq_provider_target target = a_target();
	struct synq_provider_call call;
	struct synq_err err = { .code = 0 };

	target.credential = synq_slice_text("sk\r\nHost: evil");
	assert_int_equal(openai->build(&request, &target, arena, &call, &err),
	    -SYNQ_E_INVALID);
	assert_null(strstr(err.text, "evil"));
	target = a_target();
	target.base_url = NULL;
	assert_int_equal(openai->build(&request, &target, arena, &call, &err),
	    -SYNQ_E_INVALID);
	target = a_target();
	request.endpoint = (enum synq_endpoint)99;
	assert_int_equal(openai->build(&request, &target, arena, &call, &err),
	    -SYNQ_E_INVALID);
}

/* An arena that is too small must not end the process. */
static void
test_build_refuses_a_body_that_does_not_fit(void **state)
{
	(void)state;
	struct synq_request request = a_request();
	struct synq_provider_target target = a_target();
	struct synq_provider_call call;
	static char body[900000];
	struct synq_arena *small = synq_arena_new(4096, 100000);

	memset(body, ' ', sizeof(body));
	request.body = synq_slice_of(body, sizeof(body));
	assert_int_equal(openai->build(&request, &target, small, &call, NULL),
	    -SYNQ_E_TOO_LARGE);
	synq_arena_free(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build_says_who_calls_and_which_attempt),
		cmocka_unit_test(test_build_joins_urls_with_or_without_a_slash),
		cmocka_unit_test(test_build_forwards_the_clients_bytes),
		cmocka_unit_test(test_build_leaves_out_what_it_is_not_given),
		cmocka_unit_test(test_build_refuses_what_it_cannot_send),
		cmocka_unit_test(test_build_refuses_a_body_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
