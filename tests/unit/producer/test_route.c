/*
 * From method and path to a route.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "producer/handlers.h"
#include "producer/route.h"

/* What route_find said. */
struct found {
	int status;
	const struct api_route *route;
	char segment[128];
	char allow[64];
};

static struct found
find(const char *method, const char *path)
{
	struct found found = { .status = 0 };
	struct synq_slice segment = { NULL, 0 };
	struct synq_buf allow;

	synq_buf_init(&allow, sizeof(found.allow) - 1);
	found.status = route_find(synq_slice_text(method),
	    synq_slice_text(path), &found.route, &segment, &allow);
	if (found.status == 0 && segment.bytes > 0)
		memcpy(found.segment, segment.data, segment.bytes);
	if (allow.bytes > 0)
		memcpy(found.allow, allow.data, allow.bytes);
	assert_false(allow.overflow);
	synq_buf_done(&allow);
	return found;
}

/* ${method} ${path} goes to ${handler} with ${segment}. */
static void
goes_to(const char *method, const char *path, api_handler *handler,
    const char *segment)
{
	struct found found = find(method, path);

	if (found.status != 0 || found.route->handler != handler)
		fail_msg("%s %s: %d", method, path, found.status);
	assert_string_equal(segment, found.segment);
}

static void
is_unknown(const char *path)
{
	static const char *const methods[] = { "GET", "POST", "DELETE" };
	size_t i;

	for (i = 0; i < SYNQ_COUNT(methods); i++) {
		if (find(methods[i], path).status != 404)
			fail_msg("%s %s is known", methods[i], path);
	}
}

static void
test_route_finds_every_route(void **state)
{
	(void)state;
	goes_to("POST", "/v1/chat/completions", openai_chat, "");
	goes_to("POST", "/v1/completions", openai_completions, "");
	goes_to("POST", "/v1/embeddings", openai_embeddings, "");
	goes_to("GET", "/v1/models", models_list, "");
	goes_to("GET", "/v1/models/m", models_get, "m");
	goes_to("POST", "/v1/jobs", jobs_submit, "");
	goes_to("GET", "/v1/jobs", jobs_list, "");
	goes_to("GET", "/v1/jobs/job_1", jobs_get, "job_1");
	goes_to("GET", "/v1/jobs/job_1/result", jobs_result, "job_1");
	goes_to("POST", "/v1/jobs/job_1/cancel", jobs_cancel, "job_1");
	goes_to("GET", "/livez", probe_answer, "");
	goes_to("GET", "/readyz", probe_answer, "");
	goes_to("GET", "/metrics", probe_answer, "");
}

static void
test_route_answers_head_as_get(void **state)
{
	(void)state;
	goes_to("HEAD", "/v1/models", models_list, "");
	goes_to("HEAD", "/v1/jobs", jobs_list, "");
	goes_to("HEAD", "/livez", probe_answer, "");
	assert_int_equal(405, find("HEAD", "/v1/chat/completions").status);
}

static void
test_route_says_what_is_allowed(void **state)
{
	struct found found = find("DELETE", "/v1/jobs");

	(void)state;
	assert_int_equal(405, found.status);
	assert_string_equal("GET, HEAD, POST, OPTIONS", found.allow);
	found = find("GET", "/v1/chat/completions");
	assert_int_equal(405, found.status);
	assert_string_equal("POST, OPTIONS", found.allow);
	found = find("POST", "/v1/models/a/b");
	assert_int_equal(405, found.status);
	assert_string_equal("GET, HEAD, OPTIONS", found.allow);
	found = find("GET", "/v1/jobs/job_1/cancel");
	assert_int_equal(405, found.status);
	assert_string_equal("POST, OPTIONS", found.allow);
	found = find("OPTIONS", "*");
	assert_int_equal(405, found.status);
	assert_string_equal("GET, HEAD, POST, OPTIONS", found.allow);
}

/* RFC 9110, 9.1: no such method is another thing than not allowed here. */
static void
test_route_does_not_know_every_method(void **state)
{
	(void)state;
	assert_int_equal(501, find("BREW", "/livez").status);
	assert_int_equal(501, find("get", "/livez").status);
	assert_int_equal(501, find("", "/livez").status);
	assert_int_equal(501, find("BREW", "/nothing").status);
	assert_int_equal(405, find("TRACE", "/livez").status);
	assert_int_equal(405, find("PATCH", "/livez").status);
}

static void
test_route_takes_slashes_in_a_model(void **state)
{
	(void)state;
	goes_to("GET", "/v1/models/org/m", models_get, "org/m");
	goes_to("GET", "/v1/models/org%2Fm", models_get, "org%2Fm");
	goes_to("GET", "/v1/models/a/b/c", models_get, "a/b/c");
	goes_to("GET", "/v1/models//", models_get, "/");
}

/* An encoded slash is part of the segment, never a border. */
static void
test_route_takes_no_slash_in_an_id(void **state)
{
	(void)state;
	goes_to("GET", "/v1/jobs/a%2Fresult", jobs_get, "a%2Fresult");
	is_unknown("/v1/jobs/a/b");
	is_unknown("/v1/jobs/a/b/result");
	is_unknown("/v1/jobs/a//result");
}

static void
test_route_takes_no_empty_segment(void **state)
{
	(void)state;
	is_unknown("/v1/models/");
	is_unknown("/v1/jobs/");
	is_unknown("/v1/jobs//result");
	is_unknown("/v1/jobs//cancel");
	is_unknown("/v1//jobs");
	is_unknown("//v1/jobs");
}

static void
test_route_knows_nothing_else(void **state)
{
	(void)state;
	is_unknown("");
	is_unknown("/");
	is_unknown("/v1");
	is_unknown("/V1/jobs");
	is_unknown("/v1/jobs/job_1/results");
	is_unknown("/v1/jobs/job_1/result/");
	is_unknown("/v1/chat/completions/");
	is_unknown("/v1/chat%2Fcompletions");
	is_unknown("/livez/");
}

/* Only what tells nothing about a tenant is open. */
static void
test_route_is_open_for_probes_only(void **state)
{
	const struct api_route *route;
	size_t i;

	(void)state;
	for (i = 0; (route = route_at(i)) != NULL; i++)
		assert_int_equal(route->handler == probe_answer,
		    (route->flags & ROUTE_OPEN) != 0);
	assert_int_equal(13, i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route_finds_every_route),
		cmocka_unit_test(test_route_answers_head_as_get),
		cmocka_unit_test(test_route_says_what_is_allowed),
		cmocka_unit_test(test_route_does_not_know_every_method),
		cmocka_unit_test(test_route_takes_slashes_in_a_model),
		cmocka_unit_test(test_route_takes_no_slash_in_an_id),
		cmocka_unit_test(test_route_takes_no_empty_segment),
		cmocka_unit_test(test_route_knows_nothing_else),
		cmocka_unit_test(test_route_is_open_for_probes_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
