/*
 * How a call that got no answer is reported: was it sent, and how often?
 */

#include "tests/unit/http/fixture.h"

static void
test_refused_connection_is_unavailable(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;
	struct outcome *o;

	start(&f);
	req = request_to(&f, "/ok");
	req.url = "http://127.0.0.1:1/";
	o = launch(&req);
	turn_until(&f, o);
	assert_int_equal(o->rc, -SYNQ_E_UNAVAILABLE);
	assert_int_not_equal(o->error[0], 0);
	stop(&f);
}

static void
test_timeout_before_sending_is_timeout(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;
	struct outcome *o;
	int full[4];

	start(&f);
	/* A listener with a full backlog does not complete the handshake. */
	synq_watch_set(f.listen_watch, 0);
	assert_int_equal(listen(f.listen_fd, 0), 0);
	for (size_t i = 0; i < SYNQ_COUNT(full); i++) {
		struct sockaddr_in at = { .sin_family = AF_INET,
			.sin_port = htons(f.port) };

		at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(
		    full[i], (const struct sockaddr *)&at, sizeof(at));
	}
	req = request_to(&f, "/ok");
	req.deadline_us = synq_clock_mono_us() + 50000;
	o = launch(&req);
	turn_until(&f, o);
	assert_int_equal(o->rc, -SYNQ_E_TIMEOUT);

	req = request_to(&f, "/ok");
	req.connect_limit_ms = 50;
	o = launch(&req);
	turn_until(&f, o);
	assert_int_equal(o->rc, -SYNQ_E_TIMEOUT);
	for (size_t i = 0; i < SYNQ_COUNT(full); i++)
		close(full[i]);
	stop(&f);
}

static void
test_timeout_after_sending_is_uncertain(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;
	struct outcome *o;

	start(&f);
	req = request_to(&f, "/never");
	/* Enough to send it, on whatever runs the test. */
	req.deadline_us = synq_clock_mono_us() + 500000;
	o = launch(&req);
	turn_until(&f, o);
	assert_int_equal(o->rc, -SYNQ_E_UNCERTAIN);
	assert_int_equal(f.requests, 1);
	stop(&f);
}

static void
test_silence_is_measured_between_bytes_of_the_answer(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;
	struct outcome *stalled, *waiting;

	start(&f);
	req = request_to(&f, "/stall");
	req.silence_limit_ms = 40;
	stalled = launch(&req);
	req = request_to(&f, "/never");
	req.silence_limit_ms = 40;
	waiting = launch(&req);
	turn_until(&f, stalled);
	assert_int_equal(stalled->rc, -SYNQ_E_UNCERTAIN);
	turn_for(&f, 100000);
	assert_int_equal(waiting->runs, 0);
	stop(&f);
	assert_int_equal(waiting->runs, 0);
}

static void
test_cut_or_wrong_answer_is_uncertain(SYNQ_UNUSED void **state)
{
	static const char *const paths[] = { "/cut", "/die", "/noise" };
	struct fixture f;

	start(&f);
	for (size_t i = 0; i < SYNQ_COUNT(paths); i++)
		assert_int_equal(run(&f, paths[i])->rc, -SYNQ_E_UNCERTAIN);
	assert_int_equal(f.requests, 3);
	stop(&f);
}

static void
test_reused_connection_that_dies_does_not_repeat_a_post(
    SYNQ_UNUSED void **state)
{
	struct fixture f;

	start(&f);
	assert_int_equal(run(&f, "/ok")->rc, 0);
	assert_int_equal(run(&f, "/die")->rc, -SYNQ_E_UNCERTAIN);
	turn_for(&f, 20000);

	assert_int_equal(f.requests, 2);
	/* Curl connects again before it asks whether it may send. */
	assert_true(f.peer_count <= 2);
	assert_int_equal(run(&f, "/ok")->rc, 0);
	stop(&f);
}

static void
test_reused_connection_that_dies_repeats_a_get(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_http_request req;
	struct outcome *o;

	start(&f);
	assert_int_equal(run(&f, "/ok")->rc, 0);
	req = request_to(&f, "/die");
	req.method = "GET";
	o = launch(&req);
	turn_until(&f, o);

	assert_int_equal(o->rc, -SYNQ_E_UNCERTAIN);
	assert_int_equal(f.requests, 3);
	stop(&f);
}

static void
test_connection_closed_while_idle_costs_nothing(SYNQ_UNUSED void **state)
{
	struct fixture f;

	start(&f);
	assert_int_equal(run(&f, "/ok")->rc, 0);
	hang_up(&f.peers[0]);
	assert_int_equal(run(&f, "/ok")->rc, 0);
	assert_int_equal(f.requests, 2);
	assert_int_equal(f.peer_count, 2);
	stop(&f);
}

static void
test_answer_above_the_limit_is_too_large(SYNQ_UNUSED void **state)
{
	static const char *const paths[] = { "/ok", "/endless" };
	struct fixture f;

	start(&f);
	for (size_t i = 0; i < SYNQ_COUNT(paths); i++) {
		struct synq_http_request req = request_to(&f, paths[i]);
		struct outcome *o;

		req.max_result_bytes = 4;
		o = launch(&req);
		turn_until(&f, o);
		assert_int_equal(o->rc, -SYNQ_E_TOO_LARGE);
		assert_int_equal(o->status, 200);
	}
	stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_connection_is_unavailable),
		cmocka_unit_test(test_timeout_before_sending_is_timeout),
		cmocka_unit_test(test_timeout_after_sending_is_uncertain),
		cmocka_unit_test(
		    test_silence_is_measured_between_bytes_of_the_answer),
		cmocka_unit_test(test_cut_or_wrong_answer_is_uncertain),
		cmocka_unit_test(
		    test_reused_connection_that_dies_does_not_repeat_a_post),
		cmocka_unit_test(
		    test_reused_connection_that_dies_repeats_a_get),
		cmocka_unit_test(
		    test_connection_closed_while_idle_costs_nothing),
		cmocka_unit_test(test_answer_above_the_limit_is_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
