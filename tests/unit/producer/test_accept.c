/*
 * From a good request to an accepted one, and to its answer: nothing is
 * answered 2xx before the log has it, and nothing is paid for twice.
 */

#include <stdio.h>
#include <string.h>

#include "job/id.h"
#include "producer/withdraw.h"
#include "proto/request.h"
#include "proto/topics.h"
#include "world.h"

#define INVALID "invalid_request_error"
#define SECOND 1000000ULL
#define CHAT                                                                   \
	"{ \"model\": \"m\", \"messages\": [{\"role\":\"user\"}], \"x\":1.50 " \
	"}"
#define JOB                                                                    \
	"{\"endpoint\":\"/v1/chat/completions\",\"body\":" CHAT                \
	",\"metadata\":{\"team\":\"a\"},\"max_attempts\":5,\"deadline\":60}"

static struct synq_exchange *
chat(struct world *world, const char *const *headers)
{
	return world_send(world, "POST", "/v1/chat/completions", headers, CHAT);
}

static struct synq_exchange *
submit(struct world *world, const char *const *headers)
{
	return world_send(world, "POST", "/v1/jobs", headers, JOB);
}

/* The request in record ${index}. */
static struct synq_request
request_of(const struct world *world, size_t index)
{
	struct synq_request request;

	assert_true(index < world->record_count);
	assert_int_equal(
	    0, synq_request_decode(
		   synq_buf_view(&world->records[index].value), &request));
	return request;
}

/* The cancel in record ${index}. */
static struct synq_cancel
cancel_of(const struct world *world, size_t index)
{
	struct synq_cancel cancel;

	assert_true(index < world->record_count);
	assert_string_equal(SYNQ_TOPIC_CANCELS, world->records[index].topic);
	assert_int_equal(
	    0, synq_cancel_decode(
		   synq_buf_view(&world->records[index].value), &cancel));
	return cancel;
}

/* The dispatcher answers record ${index}. */
static void
reply(struct world *world, size_t index, int32_t status, const char *body)
{
	const struct synq_reply message = {
		.job_id = request_of(world, index).job_id,
		.state = status == 200 ? SYNQ_JOB_SUCCEEDED : SYNQ_JOB_FAILED,
		.answer_status = status,
		.has_body = 1,
		.body = synq_slice_text(body),
		.attempts = 1,
	};

	world_reply(world, &message);
}

static void
test_accept_writes_the_request_as_it_came(void **state)
{
	struct world *world = *state;
	struct synq_request request;

	(void)chat(world, NULL);

	request = request_of(world, 0);
	assert_string_equal(SYNQ_TOPIC_INTERACTIVE, world->records[0].topic);
	assert_int_equal(
	    synq_job_partition(&world->organization_id, &request.job_id, 16, 1),
	    world->records[0].partition);
	assert_true(synq_slice_is(request.body, CHAT));
	assert_true(synq_slice_is(request.model, "m"));
	assert_int_equal(SYNQ_ENDPOINT_CHAT, request.endpoint);
	assert_int_equal(SYNQ_PRIORITY_INTERACTIVE, request.priority);
	assert_int_equal(3, request.max_attempts);
	assert_int_equal(
	    request.created_at + 86400 * 1000000LL, request.deadline_at);
	assert_true(synq_slice_is(request.reply_to, "synq:reply:test"));
	assert_true(
	    synq_uuid_equal(&world->organization_id, &request.organization_id));
}

static void
test_accept_answers_nothing_before_the_acknowledgement(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world, NULL);
	struct synq_request request = request_of(world, 0);
	const char *id;

	world_pass(world, SECOND);
	assert_int_equal(0, world_status(exchange));
	world_ack(world, 0, 0);

	assert_int_equal(202, world_status(exchange));
	id = world_public_id(world, &world->organization_id, &request.job_id);
	assert_string_equal(id, world_text(exchange, "id"));
	assert_string_equal("job", world_text(exchange, "object"));
	assert_string_equal("queued", world_text(exchange, "status"));
	assert_string_equal("m", world_text(exchange, "model"));
	assert_string_equal(
	    "/v1/chat/completions", world_text(exchange, "endpoint"));
	assert_string_equal("a", world_text(exchange, "metadata.team"));
	assert_string_equal(world_header(exchange, "x-request-id"),
	    world_text(exchange, "request_id"));
	assert_string_equal(
	    id, world_header(exchange, "location") + strlen("/v1/jobs/"));
	assert_null(world_header(exchange, "preference-applied"));
}

static void
test_accept_writes_a_job_as_it_was_described(void **state)
{
	struct world *world = *state;
	struct synq_request request;

	(void)submit(world, NULL);
	request = request_of(world, 0);
	assert_true(synq_slice_is(request.body, CHAT));
	assert_true(synq_slice_is(request.metadata, "{\"team\":\"a\"}"));
	assert_int_equal(5, request.max_attempts);
	assert_int_equal(
	    request.created_at + 60 * 1000000LL, request.deadline_at);

	(void)world_send(world, "POST", "/v1/jobs", NULL,
	    "{\"endpoint\":\"\\/v1\\/embeddings\",\"priority\":\"batch\","
	    "\"body\":{\"model\":\"org\\/m\",\"input\":\"i\"}}");
	request = request_of(world, 1);
	assert_string_equal(SYNQ_TOPIC_BATCH, world->records[1].topic);
	assert_int_equal(SYNQ_PRIORITY_BATCH, request.priority);
	assert_int_equal(SYNQ_ENDPOINT_EMBEDDINGS, request.endpoint);
	assert_true(synq_slice_is(request.model, "org/m"));
	assert_true(synq_slice_is(
	    request.body, "{\"model\":\"org\\/m\",\"input\":\"i\"}"));
}

/* A deadline that nobody gave is known all the same. */
static void
test_accept_says_when_the_job_ends_at_last(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange =
	    world_send(world, "POST", "/v1/jobs", NULL,
		"{\"endpoint\":\"/v1/completions\","
		"\"body\":{\"model\":\"m\",\"prompt\":\"\"}}");
	char seconds[32];

	world_ack(world, 0, 0);
	(void)snprintf(seconds, sizeof(seconds), "%lld",
	    (long long)(request_of(world, 0).deadline_at / 1000000));
	assert_string_equal(seconds, world_text(exchange, "deadline_at"));
}

static void
test_accept_answers_a_call_with_the_result(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, NULL);
	struct synq_request request = request_of(world, 0);

	world_ack(world, 0, 0);
	assert_int_equal(0, world_status(exchange));
	reply(world, 0, 200, "{ \"id\" : \"x\" }");

	assert_int_equal(200, world_status(exchange));
	assert_string_equal("{ \"id\" : \"x\" }", world_body(exchange));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &request.job_id),
	    world_header(exchange, "x-synq-job-id"));
	assert_null(world_header(exchange, "x-should-retry"));
}

/* The dispatcher may be faster than the acknowledgement. */
static void
test_accept_takes_a_result_before_the_acknowledgement(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, NULL);

	reply(world, 0, 200, "{}");
	assert_int_equal(200, world_status(exchange));
	world_ack(world, 0, 0);
	assert_int_equal(1, world->record_count);
}

static void
test_accept_tells_the_sdk_not_to_repeat_what_failed(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, NULL);

	world_ack(world, 0, 0);
	reply(world, 0, 502, "{\"error\":{}}");
	assert_int_equal(502, world_status(exchange));
	assert_string_equal("false", world_header(exchange, "x-should-retry"));

	exchange = chat(world, NULL);
	world_ack(world, 1, 0);
	reply(world, 1, 429, "{\"error\":{}}");
	assert_int_equal(429, world_status(exchange));
	assert_string_equal("1", world_header(exchange, "retry-after"));
	assert_null(world_header(exchange, "x-should-retry"));
}

static void
test_accept_ends_a_call_at_its_limit(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, NULL);

	world_ack(world, 0, 0);
	world_pass(world, 279 * SECOND);
	assert_int_equal(0, world_status(exchange));
	world_pass(world, 2 * SECOND);

	world_expect_error(exchange, 504, "server_error", "timeout", NULL);
	assert_string_equal("false", world_header(exchange, "x-should-retry"));
	assert_non_null(
	    strstr(world_header(exchange, "location"), "/v1/jobs/job_"));
	assert_int_equal(1, world->record_count); /* it goes on */
}

static void
test_accept_says_503_when_the_log_takes_nothing(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange;

	world->log_rc = -SYNQ_E_BUSY;
	exchange = chat(world, NULL);
	world_expect_error(
	    exchange, 503, "server_error", "server_is_overloaded", NULL);
	assert_string_equal("1", world_header(exchange, "retry-after"));
	exchange = submit(world, NULL);
	assert_int_equal(503, world_status(exchange));
	world_pass(world, 5 * SECOND);
	assert_int_equal(0, world->query_count); /* nobody waits */
	assert_int_equal(0, withdrawals_count(world->intake.withdrawals));
}

/* Decisions 19: 503 with the id, and a cancel until it is acknowledged. */
static void
test_accept_withdraws_what_may_be_on_the_log(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = submit(world, NULL);
	struct synq_request request = request_of(world, 0);
	struct synq_cancel cancel;

	world_ack(world, 0, -SYNQ_E_UNCERTAIN);

	world_expect_error(
	    exchange, 503, "server_error", "server_is_overloaded", NULL);
	assert_non_null(world_header(exchange, "retry-after"));
	assert_non_null(strstr(world_text(exchange, "error.message"),
	    world_public_id(world, &world->organization_id, &request.job_id)));
	cancel = cancel_of(world, 1);
	assert_true(synq_uuid_equal(&request.job_id, &cancel.job_id));
	assert_int_equal(SYNQ_CANCEL_UNSURE, cancel.reason);
	world_ack(world, 1, -SYNQ_E_UNCERTAIN);
	world_pass(world, 2 * SECOND);
	assert_int_equal(SYNQ_CANCEL_UNSURE, cancel_of(world, 2).reason);
}

static void
test_accept_withdraws_nothing_that_is_not_on_the_log(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, NULL);

	world_ack(world, 0, -SYNQ_E_UNAVAILABLE);

	assert_int_equal(503, world_status(exchange));
	assert_int_equal(1, world->record_count);
}

static void
test_accept_cancels_when_the_caller_leaves(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, NULL);
	struct synq_request request = request_of(world, 0);
	struct synq_cancel cancel;

	world_ack(world, 0, 0);
	world_leave(exchange);

	assert_int_equal(2, world->record_count);
	cancel = cancel_of(world, 1);
	assert_int_equal(SYNQ_CANCEL_GONE, cancel.reason);
	assert_true(synq_uuid_equal(&request.job_id, &cancel.job_id));
	world_ack(world, 1, 0);
	assert_int_equal(0, world->intake.calls);
	world_pass(world, 300 * SECOND);
}

static void
test_accept_cancels_when_the_caller_leaves_early(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, NULL);

	world_leave(exchange);
	assert_int_equal(SYNQ_CANCEL_GONE, cancel_of(world, 1).reason);
	world_ack(world, 0, 0);
	assert_int_equal(0, world->intake.calls);
}

/* A job is the client's own; nobody waits for it on the line. */
static void
test_accept_keeps_a_job_whose_sender_leaves(void **state)
{
	static const char *const headers[] = { "prefer: respond-async", NULL };
	struct world *world = *state;

	world_leave(submit(world, NULL));
	world_leave(chat(world, headers));
	world_ack(world, 0, 0);
	world_ack(world, 1, 0);
	assert_int_equal(2, world->record_count);
}

static void
test_accept_answers_202_to_who_prefers_it(void **state)
{
	static const char *const headers[] = { "prefer: respond-async", NULL };
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, headers);

	assert_int_equal(0, world_status(exchange));
	world_ack(world, 0, 0);

	assert_int_equal(202, world_status(exchange));
	assert_string_equal(
	    "respond-async", world_header(exchange, "preference-applied"));
	assert_non_null(world_header(exchange, "location"));
}

static void
test_accept_waits_as_long_as_is_preferred(void **state)
{
	static const char *const forms[] = { "prefer: respond-async, wait=2",
		"prefer: wait=2,respond-async",
		"prefer: Respond-Async , Wait=2, handling=lenient" };
	struct world *world = *state;
	const char *headers[2] = { NULL, NULL };
	struct synq_exchange *exchange;
	size_t at;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(forms); i++) {
		headers[0] = forms[i];
		at = world->record_count;
		exchange = chat(world, headers);
		world_ack(world, at, 0);
		world_pass(world, SECOND);
		assert_int_equal(0, world_status(exchange));
		world_pass(world, 2 * SECOND);
		assert_int_equal(202, world_status(exchange));

		exchange = chat(world, headers);
		world_ack(world, at + 1, 0);
		world_pass(world, SECOND);
		reply(world, at + 1, 200, "{}");
		assert_int_equal(200, world_status(exchange));
	}
}

/* The wait is over, but nothing is promised before it is on the log. */
static void
test_accept_promises_nothing_while_the_log_is_silent(void **state)
{
	static const char *const headers[] = { "prefer: respond-async, wait=1",
		NULL };
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, headers);

	world_pass(world, 3 * SECOND);
	assert_int_equal(0, world_status(exchange));
	world_ack(world, 0, 0);
	assert_int_equal(202, world_status(exchange));

	exchange = chat(world, headers);
	world_pass(world, 3 * SECOND);
	world_ack(world, 1, -SYNQ_E_UNCERTAIN);
	assert_int_equal(503, world_status(exchange));
}

/* "wait" alone is no wish for 202 (contracts.md 9). */
static void
test_accept_waits_for_the_result_without_respond_async(void **state)
{
	static const char *const headers[] = { "prefer: wait=1", NULL };
	struct world *world = *state;
	struct synq_exchange *exchange = chat(world, headers);

	world_ack(world, 0, 0);
	world_pass(world, 100 * SECOND);
	assert_int_equal(0, world_status(exchange));
}

static void
test_accept_refuses_models_that_do_not_exist(void **state)
{
	struct world *world = *state;

	world_expect_error(world_send(world, "POST", "/v1/completions", NULL,
			       "{\"model\":\"none\",\"prompt\":\"\"}"),
	    404, INVALID, "model_not_found", "model");
	assert_int_equal(0, world->record_count);
}

static void
test_accept_refuses_what_is_no_request(void **state)
{
	struct world *world = *state;

	world_expect_error(
	    world_send(world, "POST", "/v1/chat/completions", NULL,
		"{\"model\":\"m\",\"stream\":true,"
		"\"messages\":[{\"role\":\"user\"}]}"),
	    400, INVALID, "unsupported_value", "stream");
	world_expect_error(
	    world_send(world, "POST", "/v1/embeddings", NULL, ""), 400, INVALID,
	    "invalid_json", NULL);
	assert_int_equal(0, world->record_count);
}

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define NO_TRACE "zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void
test_accept_passes_a_trace_on(void **state)
{
	static const char *const headers[] = { "traceparent: " TRACE, NULL };
	struct world *world = *state;

	(void)chat(world, headers);
	assert_true(synq_slice_is(request_of(world, 0).traceparent, TRACE));
	assert_string_equal(TRACE, world->records[0].trace.data);
}

/* A header from outside must not make a message that nobody can read. */
static void
test_accept_ignores_a_trace_that_is_none(void **state)
{
	static const char *const bad[] = { "traceparent: \xff\xfe",
		"traceparent: " TRACE ", " TRACE, "traceparent: 00-0af7",
		("traceparent: " NO_TRACE) };
	struct world *world = *state;
	char huge[2000] = "traceparent: ";
	const char *headers[2] = { NULL, NULL };
	size_t i;

	memset(huge + strlen(huge), '0', sizeof(huge) - 20);
	for (i = 0; i <= SYNQ_COUNT(bad); i++) {
		headers[0] = i < SYNQ_COUNT(bad) ? bad[i] : huge;
		(void)chat(world, headers);
		assert_int_equal(0, request_of(world, i).traceparent.bytes);
		assert_int_equal(0, world->records[i].trace.bytes);
	}
}

static void
test_accept_shows_all_metadata_that_it_takes(void **state)
{
	static char body[200000];
	struct world *world = *state;
	struct synq_exchange *exchange;
	size_t at;
	int i;

	at = (size_t)snprintf(body, sizeof(body),
	    "{\"endpoint\":\"/v1/completions\","
	    "\"body\":{\"model\":\"m\",\"prompt\":\"\"},\"metadata\":{");
	for (i = 0; i < 16; i++) {
		int k;

		at += (size_t)snprintf(body + at, sizeof(body) - at,
		    "%s\"k%d\":\"", i == 0 ? "" : ",", i);
		for (k = 0; k < 512; k++, at += 12)
			memcpy(body + at, "\\ud83d\\ude00", 12);
		body[at++] = '"';
	}
	memcpy(body + at, "}}", 3);
	exchange = world_send(world, "POST", "/v1/jobs", NULL, body);
	world_ack(world, 0, 0);

	assert_int_equal(202, world_status(exchange));
	assert_string_equal("queued", world_text(exchange, "status"));
	assert_int_equal(512 * 4, strlen(world_text(exchange, "metadata.k15")));
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_accept_writes_the_request_as_it_came),
		TEST(test_accept_answers_nothing_before_the_acknowledgement),
		TEST(test_accept_writes_a_job_as_it_was_described),
		TEST(test_accept_says_when_the_job_ends_at_last),
		TEST(test_accept_answers_a_call_with_the_result),
		TEST(test_accept_takes_a_result_before_the_acknowledgement),
		TEST(test_accept_tells_the_sdk_not_to_repeat_what_failed),
		TEST(test_accept_ends_a_call_at_its_limit),
		TEST(test_accept_says_503_when_the_log_takes_nothing),
		TEST(test_accept_withdraws_what_may_be_on_the_log),
		TEST(test_accept_withdraws_nothing_that_is_not_on_the_log),
		TEST(test_accept_cancels_when_the_caller_leaves),
		TEST(test_accept_cancels_when_the_caller_leaves_early),
		TEST(test_accept_keeps_a_job_whose_sender_leaves),
		TEST(test_accept_answers_202_to_who_prefers_it),
		TEST(test_accept_waits_as_long_as_is_preferred),
		TEST(test_accept_promises_nothing_while_the_log_is_silent),
		TEST(test_accept_waits_for_the_result_without_respond_async),
		TEST(test_accept_refuses_models_that_do_not_exist),
		TEST(test_accept_refuses_what_is_no_request),
		TEST(test_accept_passes_a_trace_on),
		TEST(test_accept_ignores_a_trace_that_is_none),
		TEST(test_accept_shows_all_metadata_that_it_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
