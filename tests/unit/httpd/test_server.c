/*
 * Requests and their answers: bytes where they matter, refusals, pipelining,
 * bodies, clients that leave.
 */

#include "tests/unit/httpd/fixture.h"

static void
test_answer_has_the_default_headers_and_no_others(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(
	    fd, "POST /now HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
	answer = hear(&f, fd, &end);

	assert_int_equal(end, 0);
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\nDate: ", 23);
	assert_memory_equal(answer + 48, " GMT\r\n", 6);
	assert_string_equal(answer + 54,
	    "Content-Type: text/plain\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
	    "Referrer-Policy: no-referrer\r\n"
	    "Content-Security-Policy: default-src 'none'; "
	    "frame-ancestors 'none'\r\nContent-Length: 5\r\n\r\n"
	    "hello");
	assert_int_equal(f.gone_answered, 1);
	assert_string_equal(f.last_peer, "127.0.0.1");
	close(fd);
	stop(&f);
}

static void
test_connection_is_kept_unless_asked_otherwise(SYNQ_UNUSED void **state)
{
	struct fixture f;

	start_plain(&f);
	check(&f, "GET /now HTTP/1.1\r\n" HOST "\r\n", "200", 0);
	check(&f, "GET /now HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
	    "200", 1);
	check(&f, "GET /now HTTP/1.0\r\n\r\n", "200", 1);
	check(&f, "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200",
	    1);
	stop(&f);
}

static void
test_framing_errors_are_refused_and_closed(SYNQ_UNUSED void **state)
{
	struct fixture f;

	start_plain(&f);
	check(&f, "GET / HTTP/1.1\n" HOST "\r\n", "400", 1);
	check(&f,
	    "POST / HTTP/1.1\r\n" HOST
	    "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "0\r\n\r\nGET /now HTTP/1.1\r\n" HOST "\r\n",
	    "400", 1);
	check(&f,
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "zz\r\n",
	    "400", 1);
	check(&f, "GET / HTTP/3.0\r\n" HOST "\r\n", "505", 1);
	check(&f, "GET / HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n", "417", 1);
	check(&f,
	    "POST / HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: gzip, chunked\r\n\r\n",
	    "501", 1);
	assert_int_equal(f.bodies, 0);
	stop(&f);
}

static void
test_refusal_has_the_program_s_body(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET / HTTP/1.1\r\n\r\n");
	answer = hear(&f, fd, &end);

	assert_true(has(answer, "Content-Type: application/json\r\n"));
	assert_true(has(answer, "{\"400\":\"there is no Host field\"}"));
	assert_int_equal(f.heads, 0);
	assert_int_equal(f.refused_status, 400);
	close(fd);
	stop(&f);
}

static void
test_request_may_come_byte_by_byte(SYNQ_UNUSED void **state)
{
	static const char request[] =
	    "POST /now?q HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n"
	    "GET /late HTTP/1.1\r\n" HOST "\r\n";
	struct fixture f;
	int fd, end;

	start_plain(&f);
	fd = dial(&f);
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
		turn(&f, 1);
		if (f.bodies == 1)
			assert_string_equal(f.last_body, "abcde");
	}

	assert_true(has(hear(&f, fd, &end), "\r\n\r\nabcde"));
	assert_int_equal(f.bodies, 2);
	assert_int_equal(f.held_count, 1);
	close(fd);
	stop(&f);
}

static void
test_pipelined_requests_are_answered_in_order(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "POST /late HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n1"
		 "POST /now HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n2"
		 "POST /now HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n3");
	assert_string_equal(hear(&f, fd, &end), "");
	assert_int_equal(f.heads, 1);

	synq_exchange_answer(f.held[0], 202, NULL, synq_slice_text("late"));
	answer = hear(&f, fd, &end);

	answer = strstr(answer, "\r\n\r\nlateHTTP/1.1 200 OK");
	assert_non_null(answer);
	answer = strstr(answer, "\r\n\r\n2HTTP/1.1 200 OK");
	assert_non_null(answer);
	assert_non_null(strstr(answer, "\r\n\r\n3"));
	assert_int_equal(f.gone_answered, 3);
	close(fd);
	stop(&f);
}

static void
test_early_input_is_bounded(SYNQ_UNUSED void **state)
{
	static char junk[4000000];
	struct fixture f;
	int fd;
	ssize_t total = 0;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	assert_int_equal(f.held_count, 1);
	memset(junk, 'j', sizeof(junk));
	for (int i = 0; i < 50; i++) {
		ssize_t n =
		    send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			total += n;
		turn(&f, 1);
	}

	/* What the kernel buffers, and no more than a little of ours. */
	assert_true(total < 20000000);
	assert_int_equal(f.gone_unanswered, 0);
	close(fd);
	stop(&f);
}

static void
test_client_that_leaves_is_noticed(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	assert_non_null(f.held[0]);

	shutdown(fd, SHUT_WR);
	turn(&f, 3);

	assert_null(f.held[0]);
	assert_int_equal(f.gone_unanswered, 1);
	assert_int_equal(synq_httpd_connections(f.httpd), 0);
	close(fd);
	stop(&f);
}

static void
test_client_that_resets_is_noticed(SYNQ_UNUSED void **state)
{
	struct linger hard = { .l_onoff = 1 };
	struct fixture f;
	int fd;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	assert_non_null(f.held[0]);

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	turn(&f, 3);

	assert_null(f.held[0]);
	assert_int_equal(f.gone_unanswered, 1);
	stop(&f);
}

static void
test_request_with_fin_behind_is_answered_if_at_once(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /now HTTP/1.1\r\n" HOST "\r\n");
	shutdown(fd, SHUT_WR);

	assert_true(has(hear(&f, fd, &end), "HTTP/1.1 200"));
	assert_int_equal(end, 1);
	close(fd);
	stop(&f);
}

static void
test_continue_is_sent_only_when_the_body_is_wanted(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "POST /now HTTP/1.1\r\n" HOST
		 "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	assert_string_equal(
	    hear(&f, fd, &end), "HTTP/1.1 100 Continue\r\n\r\n");
	tell(fd, "ab");
	assert_memory_equal(hear(&f, fd, &end), "HTTP/1.1 200", 12);
	assert_int_equal(end, 0);
	close(fd);

	fd = dial(&f);
	tell(fd, "POST /head HTTP/1.1\r\n" HOST
		 "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	answer = hear(&f, fd, &end);
	assert_memory_equal(answer, "HTTP/1.1 401", 12);
	assert_true(has(answer, "Connection: close\r\n"));
	assert_int_equal(end, 1);
	close(fd);

	fd = dial(&f);
	tell(fd, "POST /now HTTP/1.1\r\n" HOST
		 "Content-Length: 200000\r\nExpect: 100-continue\r\n\r\n");
	assert_memory_equal(hear(&f, fd, &end), "HTTP/1.1 413", 12);
	close(fd);
	stop(&f);
}

#define ASK                                                                    \
	"POST /ask HTTP/1.1\r\n" HOST                                          \
	"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"

/* Whoever asks must not be told to go on before the program knows. */
static void
test_continue_waits_until_the_program_says_so(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, ASK);
	assert_string_equal(hear(&f, fd, &end), "");
	synq_exchange_continue(f.held[0]);
	assert_string_equal(
	    hear(&f, fd, &end), "HTTP/1.1 100 Continue\r\n\r\n");
	synq_exchange_continue(f.held[0]);
	assert_string_equal(hear(&f, fd, &end), "");
	tell(fd, "ok");
	assert_true(has(hear(&f, fd, &end), "HTTP/1.1 200"));
	assert_string_equal(f.last_body, "ok");
	assert_int_equal(end, 0);

	/* It sent on without waiting: 100 would say nothing any more. */
	tell(fd, ASK);
	turn(&f, 3);
	tell(fd, "o");
	turn(&f, 3);
	synq_exchange_continue(f.held[1]);
	assert_string_equal(hear(&f, fd, &end), "");
	tell(fd, "k");
	assert_true(has(hear(&f, fd, &end), "HTTP/1.1 200"));
	close(fd);
	stop(&f);
}

static void
test_refusal_before_the_body_needs_none(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, ASK);
	turn(&f, 3);
	synq_exchange_answer(f.held[0], 401, NULL, synq_slice_text("no"));
	synq_exchange_continue(f.held[0]);
	answer = hear(&f, fd, &end);

	assert_memory_equal(answer, "HTTP/1.1 401", 12);
	assert_true(has(answer, "\r\nConnection: close\r\n"));
	assert_int_equal(end, 1);
	assert_int_equal(f.bodies, 0);
	close(fd);
	turn(&f, 3);
	stop(&f);
}

/* RFC 9110, 9.3.2: HEAD is answered without a body whatever the answer. */
static void
test_refusal_of_head_has_no_body(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "HEAD / HTTP/1.1\r\nHost : a\r\n\r\n");
	answer = hear(&f, fd, &end);

	assert_memory_equal(answer, "HTTP/1.1 400", 12);
	assert_true(has(answer, "\r\nContent-Length: "));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	assert_int_equal(end, 1);
	close(fd);
	turn(&f, 3);
	stop(&f);
}

static void
test_length_is_known_to_be_said(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "POST /late HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
	turn(&f, 3);
	assert_int_equal(synq_exchange_says_length(f.held[0]), 1);
	synq_exchange_answer(f.held[0], 200, NULL, synq_slice_text("x"));
	turn(&f, 3);
	tell(fd, "POST /late HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	assert_int_equal(synq_exchange_says_length(f.held[1]), 0);
	close(fd);
	turn(&f, 3);
	stop(&f);
}

static void
test_unwanted_small_body_is_skipped(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "POST /head HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n");
	answer = hear(&f, fd, &end);
	assert_memory_equal(answer, "HTTP/1.1 401", 12);
	assert_null(strstr(answer, "Connection: close"));
	assert_int_equal(f.gone_answered, 0);

	tell(fd, "GET GET /now HTTP/1.1\r\n" HOST "\r\n");
	assert_memory_equal(hear(&f, fd, &end), "HTTP/1.1 200", 12);
	assert_int_equal(f.bodies, 1);
	assert_int_equal(f.gone_answered, 2);
	close(fd);
	stop(&f);
}

/* Send ${bytes} of body, as far as the server takes them. */
static void
pour(struct fixture *f, int fd, size_t bytes)
{
	static char junk[65536];

	while (bytes > 0) {
		size_t n = bytes < sizeof(junk) ? bytes : sizeof(junk);
		ssize_t sent = send(fd, junk, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent > 0)
			bytes -= (size_t)sent;
		turn(f, 1);
	}
}

static void
test_too_large_body_is_told_though_the_client_sends_all(
    SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;

	start_plain(&f);
	fd = dial(&f);
	tell(fd,
	    "POST /now HTTP/1.1\r\n" HOST "Content-Length: 8000000\r\n\r\n");
	pour(&f, fd, 8000000);
	assert_memory_equal(hear(&f, fd, &end), "HTTP/1.1 413", 12);
	assert_int_equal(end, 1);
	assert_int_equal(f.bodies, 0);
	close(fd);
	wait_for_connections(&f, 0);

	f.limit_bytes = 10;
	check(&f, "POST /now HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n",
	    "413", 1);
	check(&f,
	    "POST /now HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nabcde\r\n",
	    "413", 1);
	/* Refused as soon as the size is read, before any of its data. */
	check(&f,
	    "POST /now HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	    "413", 1);
	check(&f,
	    "POST /now HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\nabcde\r\n"
	    "0\r\n\r\n",
	    "200", 0);
	stop(&f);
}

static void
test_limit_of_a_route_may_be_above_the_default(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;

	start_plain(&f);
	f.limit_bytes = 300000;
	fd = dial(&f);
	tell(fd,
	    "POST /late HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n");
	pour(&f, fd, 300000);
	turn(&f, 3);

	assert_int_equal(f.held_count, 1);
	assert_int_equal(synq_exchange_body(f.held[0]).bytes, 300000);
	synq_exchange_answer(f.held[0], 200, NULL, synq_slice_text(""));
	assert_memory_equal(hear(&f, fd, &end), "HTTP/1.1 200", 12);
	close(fd);
	stop(&f);
}

static void
test_head_and_204_have_no_body(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "HEAD /now HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
	answer = hear(&f, fd, &end);
	assert_true(has(answer, "Content-Length: 3\r\n\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");

	tell(fd, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
	answer = hear(&f, fd, &end);
	assert_memory_equal(answer, "HTTP/1.1 204 No Content\r\n", 25);
	assert_null(strstr(answer, "Content-Length"));

	tell(fd, "HEAD /stream HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	assert_int_equal(
	    synq_exchange_write(f.held[0], synq_slice_text("x")), 0);
	synq_exchange_end(f.held[0]);
	answer = hear(&f, fd, &end);
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	assert_int_equal(end, 0);
	close(fd);
	stop(&f);
}

static void
test_header_values_cannot_end_their_line(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /late HTTP/1.1\r\n" HOST "A: 1\r\na: 2\r\n\r\n");
	turn(&f, 3);
	assert_int_equal(synq_exchange_header_count(f.held[0], "a"), 2);
	assert_true(
	    synq_slice_is(synq_exchange_header(f.held[0], "a"), "1, 2"));
	assert_true(
	    synq_slice_is(synq_exchange_header(f.held[0], "host"), "a"));
	assert_null(synq_exchange_header(f.held[0], "b").data);
	synq_exchange_add_header(
	    f.held[0], "X-A", synq_slice_text("a\r\nX-B: b"));
	synq_exchange_add_header(
	    f.held[0], "Cache-Control", synq_slice_text("max-age=1"));
	synq_exchange_answer(f.held[0], 200, NULL, synq_slice_text("x"));
	answer = hear(&f, fd, &end);

	assert_true(has(answer, "X-A: a  X-B: b\r\n"));
	assert_true(has(answer, "Cache-Control: max-age=1\r\n"));
	assert_null(strstr(answer, "no-store"));
	close(fd);
	stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_answer_has_the_default_headers_and_no_others),
		cmocka_unit_test(
		    test_connection_is_kept_unless_asked_otherwise),
		cmocka_unit_test(test_framing_errors_are_refused_and_closed),
		cmocka_unit_test(test_refusal_has_the_program_s_body),
		cmocka_unit_test(test_request_may_come_byte_by_byte),
		cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
		cmocka_unit_test(test_early_input_is_bounded),
		cmocka_unit_test(test_client_that_leaves_is_noticed),
		cmocka_unit_test(test_client_that_resets_is_noticed),
		cmocka_unit_test(
		    test_request_with_fin_behind_is_answered_if_at_once),
		cmocka_unit_test(
		    test_continue_is_sent_only_when_the_body_is_wanted),
		cmocka_unit_test(test_continue_waits_until_the_program_says_so),
		cmocka_unit_test(test_refusal_before_the_body_needs_none),
		cmocka_unit_test(test_refusal_of_head_has_no_body),
		cmocka_unit_test(test_length_is_known_to_be_said),
		cmocka_unit_test(test_unwanted_small_body_is_skipped),
		cmocka_unit_test(
		    test_too_large_body_is_told_though_the_client_sends_all),
		cmocka_unit_test(
		    test_limit_of_a_route_may_be_above_the_default),
		cmocka_unit_test(test_head_and_204_have_no_body),
		cmocka_unit_test(test_header_values_cannot_end_their_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
