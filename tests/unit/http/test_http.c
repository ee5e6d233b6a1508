/*
 * Requests, answers, limits, and what the program may do in done.
 */

#include "tests/unit/http/fixture.h"

static void
test_post_is_sent_and_answered(SYNQ_UNUSED void **state)
{
	const char *const headers[] = { "X-Key: v",
		"Content-Type: application/json", NULL };
	struct fixture f;
	struct synq_http_request req;
	struct outcome *o;

	start(&f);
	req = request_to(&f, "/ok?q=1");
	req.headers = headers;
	o = launch(&req);
	assert_int_equal(o->runs, 0);
	assert_int_equal(synq_http_in_flight(f.http), 1);
	turn_until(&f, o);

	assert_int_equal(o->rc, 0);
	assert_int_equal(o->status, 200);
	assert_string_equal(o->body, "hello");
	assert_string_equal(o->header, "b");
	assert_true(o->result.first_byte_us > 0);
	assert_true(o->result.total_us >= o->result.first_byte_us);
	assert_memory_equal(f.last, "POST /ok?q=1 HTTP/1.1\r\n", 23);
	assert_non_null(strstr(f.last, "\r\nX-Key: v\r\n"));
	assert_non_null(strstr(f.last, "\r\nUser-Agent: synq-test\r\n"));
	assert_non_null(strstr(f.last, "\r\nContent-Length: 8\r\n"));
	assert_non_null(
	    strstr(f.last, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(f.last, "\r\n\r\nthe body"));
	assert_null(strstr(f.last, "Expect"));
	assert_int_equal(synq_http_in_flight(f.http), 0);
	stop(&f);
}

static void
test_methods_do_not_stick_to_a_kept_handle(SYNQ_UNUSED void **state)
{
	static const char *const methods[] = { "POST", "GET", "DELETE", "HEAD",
		"PUT", "GET", "POST" };
	struct fixture f;

	start(&f);
	for (size_t i = 0; i < SYNQ_COUNT(methods); i++) {
		int is_head = strcmp(methods[i], "HEAD") == 0;
		int bare = is_head || strcmp(methods[i], "GET") == 0;
		struct synq_http_request req =
		    request_to(&f, is_head ? "/head" : "/ok");
		struct outcome *o;
		char line[32];

		req.method = methods[i];
		o = launch(&req);
		turn_until(&f, o);
		assert_int_equal(o->rc, 0);
		snprintf(line, sizeof(line), "%s /", methods[i]);
		assert_memory_equal(f.last, line, strlen(line));
		assert_int_equal(strstr(f.last, "the body") == NULL, bare);
		assert_null(strstr(f.last, "Content-Type"));
	}
	assert_int_equal(f.peer_count, 1);
	stop(&f);
}

static void
test_any_status_is_an_answer_and_redirects_too(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct outcome *o;

	start(&f);
	o = run(&f, "/429");
	assert_int_equal(o->rc, 0);
	assert_int_equal(o->status, 429);
	assert_true(
	    synq_slice_is(synq_http_header(&o->result, "retry-after"), "3"));
	assert_int_equal(synq_http_header(&o->result, "none").bytes, 0);
	o = run(&f, "/redirect");
	assert_int_equal(o->status, 302);
	assert_int_equal(f.requests, 2);
	o = run(&f, "/continue");
	assert_int_equal(o->status, 201);
	assert_string_equal(o->header, "yes");
	assert_string_equal(o->body, "ab");
	stop(&f);
}

static void
test_environment_s_proxy_is_ignored(SYNQ_UNUSED void **state)
{
	struct fixture f;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	start(&f);
	assert_int_equal(run(&f, "/ok")->rc, 0);
	unsetenv("http_proxy");
	stop(&f);
}

static void
test_bad_requests_are_invalid(SYNQ_UNUSED void **state)
{
	static const char *const urls[] = { "", "127.0.0.1", "ftp://a/",
		"http://", "http://u:p@a/", "http://a:99999/", "file:///etc",
		"http://a b/" };
	const char *const headers[] = { "X: a\r\nY: b", NULL };
	struct fixture f;
	struct synq_http_request req;
	struct synq_http_call *call = NULL;
	struct synq_err err;

	start(&f);
	req = request_to(&f, "/ok");
	for (size_t i = 0; i < SYNQ_COUNT(urls); i++) {
		struct synq_http_request bad = req;

		bad.url = urls[i];
		assert_int_equal(synq_http_start(f.http, &bad, &call, &err),
		    -SYNQ_E_INVALID);
	}
	req.headers = headers;
	assert_int_equal(
	    synq_http_start(f.http, &req, &call, &err), -SYNQ_E_INVALID);
	assert_null(call);
	assert_int_equal(synq_http_in_flight(f.http), 0);
	assert_int_equal(run(&f, "/ok")->rc, 0);
	stop(&f);
}

static void
test_calls_in_flight_are_limited(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;
	struct synq_http_call *call;
	struct synq_err err;
	uint64_t end_us;

	start(&f);
	for (int i = 0; i < 32; i++) {
		req = request_to(&f, "/never");
		launch(&req);
	}
	req = request_to(&f, "/never");
	assert_int_equal(
	    synq_http_start(f.http, &req, &call, &err), -SYNQ_E_LIMIT);
	end_us = synq_clock_mono_us() + 10000000;
	while (f.requests < 8 && synq_clock_mono_us() < end_us)
		turn_for(&f, 1000);
	turn_for(&f, 20000);
	/* Of these, as many as may have a connection were sent. */
	assert_int_equal(f.requests, 8);
	stop(&f);
}

static void
test_cancelled_call_is_never_done(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;
	struct outcome *early, *late;

	start(&f);
	req = request_to(&f, "/ok");
	early = launch(&req);
	synq_http_cancel(&early->call);
	assert_null(early->call);
	synq_http_cancel(&early->call);

	req = request_to(&f, "/stall");
	req.silence_limit_ms = 10;
	late = launch(&req);
	while (f.requests == 0)
		synq_loop_turn(f.loop, 1);
	synq_http_cancel(&late->call);
	turn_for(&f, 30000);

	assert_int_equal(early->runs, 0);
	assert_int_equal(late->runs, 0);
	assert_int_equal(f.requests, 1);
	assert_int_equal(run(&f, "/ok")->rc, 0);
	stop(&f);
}

static void
test_done_may_start_cancel_and_free(SYNQ_UNUSED void **state)
{
	static const int whats[] = { 's', 'c', 'f' };

	for (size_t i = 0; i < SYNQ_COUNT(whats); i++) {
		struct fixture f;
		struct synq_http_request first, second;

		start(&f);
		first = request_to(&f, "/ok");
		second = request_to(&f, "/never");
		f.calls[0].then = whats[i];
		launch(&first);
		launch(&second);
		turn_until(&f, &f.calls[0]);
		turn_for(&f, 20000);
		assert_int_equal(f.calls[1].runs, 0);
		if (whats[i] == 's')
			assert_int_equal(f.calls[2].runs, 1);
		if (whats[i] == 'f')
			assert_null(f.http);
		stop(&f);
	}
}

static void
test_done_may_free_when_silence_ends_a_call(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;

	start(&f);
	req = request_to(&f, "/stall");
	req.silence_limit_ms = 10;
	f.calls[0].then = 'f';
	launch(&req);
	turn_until(&f, &f.calls[0]);
	assert_null(f.http);
	stop(&f);
}

static void
test_free_right_after_start(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;
	struct outcome *o;

	start(&f);
	req = request_to(&f, "/ok");
	o = launch(&req);
	synq_http_free(&f.http);
	turn_for(&f, 10000);
	assert_int_equal(o->runs, 0);
	stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_post_is_sent_and_answered),
		cmocka_unit_test(test_methods_do_not_stick_to_a_kept_handle),
		cmocka_unit_test(
		    test_any_status_is_an_answer_and_redirects_too),
		cmocka_unit_test(test_environment_s_proxy_is_ignored),
		cmocka_unit_test(test_bad_requests_are_invalid),
		cmocka_unit_test(test_calls_in_flight_are_limited),
		cmocka_unit_test(test_cancelled_call_is_never_done),
		cmocka_unit_test(test_done_may_start_cancel_and_free),
		cmocka_unit_test(test_done_may_free_when_silence_ends_a_call),
		cmocka_unit_test(test_free_right_after_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
