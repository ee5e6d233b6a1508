/*
 * From the head of a request to its handler, and what refusals look like.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "producer/api.h"
#include "world.h"

#define CHAT "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}"
#define INVALID "invalid_request_error"

static void
test_api_does_not_know_other_urls(void **state)
{
	struct world *world = *state;

	world_expect_error(world_send(world, "GET", "/v2/jobs", NULL, NULL),
	    404, INVALID, "unknown_url", NULL);
	world_expect_error(world_send(world, "POST", "/", NULL, NULL), 404,
	    INVALID, "unknown_url", NULL);
	assert_int_equal(0, world->auth_asked);
}

static void
test_api_says_which_methods_are_allowed(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange =
	    world_send(world, "DELETE", "/v1/jobs", NULL, NULL);

	world_expect_error(exchange, 405, INVALID, "method_not_allowed", NULL);
	assert_string_equal(
	    "GET, HEAD, POST, OPTIONS", world_header(exchange, "allow"));
}

static void
test_api_answers_options_with_what_is_allowed(void **state)
{
	struct synq_exchange *exchange =
	    world_send(*state, "OPTIONS", "/v1/embeddings", NULL, NULL);

	assert_int_equal(204, world_status(exchange));
	assert_string_equal("POST, OPTIONS", world_header(exchange, "allow"));
	assert_null(world_header(exchange, "content-type"));
	assert_string_equal("", world_body(exchange));
	assert_non_null(world_header(exchange, "x-request-id"));

	exchange = world_send(*state, "OPTIONS", "*", NULL, NULL);
	assert_int_equal(204, world_status(exchange));
	assert_string_equal(
	    "GET, HEAD, POST, OPTIONS", world_header(exchange, "allow"));
}

static void
test_api_says_501_to_methods_that_do_not_exist(void **state)
{
	struct synq_exchange *exchange =
	    world_send(*state, "BREW", "/v1/models", NULL, NULL);

	world_expect_error(
	    exchange, 501, "server_error", "method_not_implemented", NULL);
	assert_string_equal("false", world_header(exchange, "x-should-retry"));
	assert_null(world_header(exchange, "allow"));
}

static void
test_api_needs_a_length_where_it_needs_a_body(void **state)
{
	world_expect_error(world_send(*state, "POST", "/v1/jobs", NULL, NULL),
	    411, INVALID, "length_required", NULL);
	assert_int_equal(400,
	    world_status(world_send(*state, "POST", "/v1/jobs", NULL, "")));
}

static void
test_api_takes_no_compressed_body(void **state)
{
	const char *headers[2] = { "content-encoding: gzip", NULL };
	struct synq_exchange *exchange;

	exchange = world_send(*state, "POST", "/v1/jobs", headers, "{}");
	world_expect_error(
	    exchange, 415, INVALID, "unsupported_media_type", NULL);
	assert_string_equal(
	    "identity", world_header(exchange, "accept-encoding"));

	headers[0] = "content-encoding: Identity";
	world_expect_error(
	    world_send(*state, "POST", "/v1/jobs", headers, "{}"), 400, INVALID,
	    "missing_required_parameter", "endpoint");
}

static void
test_api_stays_json_whatever_the_path_holds(void **state)
{
	char path[700] = "/\"\\<\x01\xff";

	world_expect_error(world_send(*state, "GET", path, NULL, NULL), 404,
	    INVALID, "unknown_url", NULL);
	memset(path + 1, 'p', sizeof(path) - 2);
	world_expect_error(world_send(*state, "GET", path, NULL, NULL), 404,
	    INVALID, "unknown_url", NULL);
}

static void
test_api_refuses_bad_credentials(void **state)
{
	static const enum synq_auth_answer answers[] = { SYNQ_AUTH_MISSING,
		SYNQ_AUTH_MALFORMED, SYNQ_AUTH_UNKNOWN, SYNQ_AUTH_REVOKED };
	struct world *world = *state;
	struct synq_exchange *exchange;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(answers); i++) {
		world->auth = answers[i];
		exchange = world_send(world, "GET", "/v1/models", NULL, NULL);
		world_expect_error(exchange, 401, "authentication_error",
		    "invalid_api_key", NULL);
		assert_string_equal(
		    "Bearer", world_header(exchange, "www-authenticate"));
	}
}

static void
test_api_says_503_while_keys_cannot_be_checked(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->auth = SYNQ_AUTH_UNABLE;
	exchange = world_send(world, "GET", "/v1/models", NULL, NULL);

	world_expect_error(
	    exchange, 503, "server_error", "service_unavailable", NULL);
	assert_string_equal("1", world_header(exchange, "retry-after"));
	assert_null(world_header(exchange, "www-authenticate"));
	assert_null(world_header(exchange, "x-should-retry"));
}

/* A credential that PostgreSQL must be asked for. */
static void
decide(struct world *world, enum synq_auth_answer answer)
{
	struct synq_principal principal = { .organization_id =
						world->organization_id };

	world->auth_fn(world->auth_ctx, answer,
	    answer == SYNQ_AUTH_OK ? &principal : NULL);
}

static void
test_api_handles_the_body_when_the_credential_is_known(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->auth_later = 1;
	exchange = world_send(world, "GET", "/v1/models", NULL, NULL);
	assert_int_equal(0, world_status(exchange));
	decide(world, SYNQ_AUTH_OK);
	assert_int_equal(200, world_status(exchange));

	(void)world_send(world, "POST", "/v1/chat/completions", NULL, CHAT);
	assert_int_equal(0, world->record_count);
	decide(world, SYNQ_AUTH_OK);
	assert_int_equal(1, world->record_count);
}

/* The client waits for a word before it sends its body. */
static void
test_api_asks_for_the_body_of_whom_it_knows(void **state)
{
	const char *const headers[] = { "expect: 100-continue", NULL };
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->auth_later = 1;
	exchange =
	    world_send(world, "POST", "/v1/chat/completions", headers, CHAT);
	assert_int_equal(0, world_continued(exchange));
	decide(world, SYNQ_AUTH_OK);
	assert_int_equal(1, world_continued(exchange));
	world_come(exchange);
	assert_int_equal(1, world->record_count);

	exchange =
	    world_send(world, "POST", "/v1/chat/completions", headers, CHAT);
	decide(world, SYNQ_AUTH_UNKNOWN);
	world_expect_error(
	    exchange, 401, "authentication_error", "invalid_api_key", NULL);
	assert_int_equal(0, world_continued(exchange));
	assert_int_equal(1, world->record_count);

	world->auth_later = 0;
	exchange =
	    world_send(world, "POST", "/v1/chat/completions", headers, CHAT);
	assert_int_equal(1, world_continued(exchange));
}

static void
test_api_refuses_a_credential_that_is_late(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->auth_later = 1;
	exchange =
	    world_send(world, "POST", "/v1/chat/completions", NULL, CHAT);
	decide(world, SYNQ_AUTH_UNKNOWN);

	world_expect_error(
	    exchange, 401, "authentication_error", "invalid_api_key", NULL);
	assert_int_equal(0, world->record_count);
}

static void
test_api_survives_who_leaves_before_the_credential_is_known(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->auth_later = 1;
	exchange =
	    world_send(world, "POST", "/v1/chat/completions", NULL, CHAT);
	world_leave(exchange);
	decide(world, SYNQ_AUTH_OK);

	assert_int_equal(0, world->record_count);
	assert_int_equal(0, world->intake.calls);
}

static void
test_api_takes_json_only(void **state)
{
	static const char *const good[] = { "content-type: application/json",
		"content-type: application/json; charset=utf-8",
		"content-type: APPLICATION/JSON ;charset=utf-8",
		"content-type: application/json; a=b; Charset=\"UTF-8\";",
		"content-type: application/json;charset" };
	static const char *const bad[] = { "content-type: text/plain",
		"content-type: application/x-www-form-urlencoded",
		"content-type: application/jsonl", "content-type: ",
		"content-type: application/json; charset=latin1",
		"content-type: application/json; a=b; charset=utf-16",
		"content-type: application/json; charset=",
		"content-type: application/json, application/json" };
	struct world *world = *state;
	const char *headers[2] = { NULL, NULL };
	size_t i;

	for (i = 0; i < SYNQ_COUNT(good); i++) {
		headers[0] = good[i];
		world_expect_error(
		    world_send(world, "POST", "/v1/jobs", headers, "{}"), 400,
		    INVALID, "missing_required_parameter", "endpoint");
	}
	for (i = 0; i < SYNQ_COUNT(bad); i++) {
		headers[0] = bad[i];
		world_expect_error(
		    world_send(world, "POST", "/v1/jobs", headers, "{}"), 415,
		    INVALID, "unsupported_media_type", NULL);
	}
	/* The SDKs name a type on requests without a body too. */
	headers[0] = "content-type: text/plain";
	assert_int_equal(200, world_status(world_send(
				  world, "GET", "/v1/models", headers, NULL)));
	world_expect_error(world_send(world, "POST", "/v1/jobs", NULL, "{}"),
	    400, INVALID, "missing_required_parameter", "endpoint");
}

static void
test_api_has_a_limit_of_calls(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->config.intake_max_pending = 1;
	(void)world_send(world, "POST", "/v1/chat/completions", NULL, CHAT);
	exchange = world_send(world, "GET", "/v1/models", NULL, NULL);

	world_expect_error(
	    exchange, 503, "server_error", "server_is_overloaded", NULL);
	assert_string_equal("1", world_header(exchange, "retry-after"));
}

static void
test_api_answers_probes_to_everybody(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->auth = SYNQ_AUTH_MISSING;
	exchange = world_send(world, "GET", "/readyz?verbose", NULL, NULL);

	assert_int_equal(200, world_status(exchange));
	assert_string_equal("/readyz", world_body(exchange));
	assert_int_equal(0, world->auth_asked);
}

/* contracts.md 1.3: on all answers, errors and probes included. */
static void
test_api_gives_every_answer_a_request_id_of_its_own(void **state)
{
	struct world *world = *state;
	struct synq_exchange *probe =
	    world_send(world, "GET", "/livez", NULL, NULL);
	struct synq_exchange *models =
	    world_send(world, "GET", "/v1/models", NULL, NULL);
	struct synq_exchange *unknown =
	    world_send(world, "GET", "/nowhere", NULL, NULL);

	assert_non_null(world_header(probe, "x-request-id"));
	assert_non_null(world_header(models, "x-request-id"));
	assert_non_null(world_header(unknown, "x-request-id"));
	assert_string_not_equal(world_header(probe, "x-request-id"),
	    world_header(models, "x-request-id"));
}

/* What the server answers itself, such as 413, looks like the rest. */
static void
test_api_shapes_the_errors_of_the_server(void **state)
{
	struct synq_buf out;

	(void)state;
	synq_buf_init(&out, 4096);
	api_events().on_error(NULL, 413, "the \"body\" is too large", &out);
	assert_string_equal(
	    "{\"error\":{\"message\":\"the \\\"body\\\" is too large\","
	    "\"type\":\"invalid_request_error\",\"param\":null,"
	    "\"code\":null}}",
	    out.data);
	synq_buf_clear(&out);
	api_events().on_error(NULL, 503, "busy", &out);
	assert_non_null(strstr(out.data, "\"server_error\""));
	synq_buf_done(&out);
}

static void
test_api_gives_errors_types_by_status(void **state)
{
	static const struct {
		int status;
		const char *type;
	} rows[] = { { 400, INVALID }, { 401, "authentication_error" },
		{ 403, "permission_error" }, { 404, INVALID }, { 409, INVALID },
		{ 422, INVALID }, { 429, "rate_limit_error" },
		{ 500, "server_error" }, { 503, "server_error" },
		{ 504, "server_error" } };
	struct api_error error = { .code = "c", .param = "p" };
	char expected[256];
	struct synq_buf out;
	size_t i;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(rows); i++) {
		error.status = rows[i].status;
		synq_buf_init(&out, 4096);
		api_error_body(&error, synq_slice_text("m"), &out);
		(void)snprintf(expected, sizeof(expected),
		    "{\"error\":{\"message\":\"m\",\"type\":\"%s\","
		    "\"param\":\"p\",\"code\":\"c\"}}",
		    rows[i].type);
		assert_string_equal(expected, out.data);
		synq_buf_done(&out);
	}
}

static void
test_api_decodes_the_segment_of_the_path(void **state)
{
	static const char *const targets[] = { "/v1/models/org/m",
		"/v1/models/org%2Fm", "/v1/models/org%2fm?x=1",
		"/v1/models/%6Frg/%6d" };
	struct world *world = *state;
	struct synq_exchange *exchange;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(targets); i++) {
		exchange = world_send(world, "GET", targets[i], NULL, NULL);
		assert_int_equal(200, world_status(exchange));
		assert_string_equal("org/m", world_text(exchange, "id"));
	}
}

static void
test_api_refuses_a_segment_that_is_no_text(void **state)
{
	struct world *world = *state;
	char path[1200] = "/v1/models/";

	world_expect_error(
	    world_send(world, "GET", "/v1/models/m%00", NULL, NULL), 404,
	    INVALID, "unknown_url", NULL);
	world_expect_error(
	    world_send(world, "GET", "/v1/models/m%2", NULL, NULL), 404,
	    INVALID, "unknown_url", NULL);
	memset(path + 11, 'm', 1100);
	world_expect_error(world_send(world, "GET", path, NULL, NULL), 404,
	    INVALID, "unknown_url", NULL);
}

static void
test_api_lists_models_once_each(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->models[0] = "a";
	world->models[1] = "a"; /* from a second provider */
	world->models[2] = "b";
	exchange = world_send(world, "GET", "/v1/models", NULL, NULL);

	assert_int_equal(200, world_status(exchange));
	assert_string_equal("list", world_text(exchange, "object"));
	assert_string_equal("a", world_text(exchange, "data.0.id"));
	assert_string_equal("model", world_text(exchange, "data.0.object"));
	assert_string_equal("stub", world_text(exchange, "data.0.owned_by"));
	assert_string_equal(
	    "1800000000", world_text(exchange, "data.0.created"));
	assert_string_equal("b", world_text(exchange, "data.1.id"));
	assert_null(strstr(world_body(exchange), "has_more"));
}

static void
test_api_names_the_model_that_does_not_exist(void **state)
{
	struct synq_exchange *exchange =
	    world_send(*state, "GET", "/v1/models/org%2Fnone", NULL, NULL);

	world_expect_error(exchange, 404, INVALID, "model_not_found", "model");
	assert_non_null(
	    strstr(world_text(exchange, "error.message"), "org/none"));
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_api_does_not_know_other_urls),
		TEST(test_api_says_which_methods_are_allowed),
		TEST(test_api_answers_options_with_what_is_allowed),
		TEST(test_api_says_501_to_methods_that_do_not_exist),
		TEST(test_api_needs_a_length_where_it_needs_a_body),
		TEST(test_api_takes_no_compressed_body),
		TEST(test_api_stays_json_whatever_the_path_holds),
		TEST(test_api_refuses_bad_credentials),
		TEST(test_api_says_503_while_keys_cannot_be_checked),
		TEST(test_api_handles_the_body_when_the_credential_is_known),
		TEST(test_api_asks_for_the_body_of_whom_it_knows),
		TEST(test_api_refuses_a_credential_that_is_late),
		TEST(
		    test_api_survives_who_leaves_before_the_credential_is_known),
		TEST(test_api_takes_json_only),
		TEST(test_api_has_a_limit_of_calls),
		TEST(test_api_answers_probes_to_everybody),
		TEST(test_api_gives_every_answer_a_request_id_of_its_own),
		TEST(test_api_shapes_the_errors_of_the_server),
		TEST(test_api_gives_errors_types_by_status),
		TEST(test_api_decodes_the_segment_of_the_path),
		TEST(test_api_refuses_a_segment_that_is_no_text),
		TEST(test_api_lists_models_once_each),
		TEST(test_api_names_the_model_that_does_not_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
