/*
 * Streams and large answers, their status, deadlines, limits, drain.
 */

#include "tests/unit/httpd/fixture.h"

#include <sys/resource.h>

static void
test_stream_is_chunked(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
	answer = hear(&f, fd, &end);
	assert_true(has(answer, "Transfer-Encoding: chunked\r\n"));
	assert_null(strstr(answer, "Content-Length"));

	assert_int_equal(
	    synq_exchange_write(f.held[0], synq_slice_text("one")), 0);
	assert_int_equal(
	    synq_exchange_write(f.held[0], synq_slice_text("")), 0);
	assert_string_equal(hear(&f, fd, &end), "3\r\none\r\n");
	assert_int_equal(
	    synq_exchange_write(f.held[0], synq_slice_text("0123456789abcdef")),
	    0);
	synq_exchange_end(f.held[0]);
	assert_string_equal(
	    hear(&f, fd, &end), "10\r\n0123456789abcdef\r\n0\r\n\r\n");
	assert_int_equal(end, 0);
	assert_int_equal(f.gone_answered, 1);
	close(fd);
	stop(&f);
}

static void
test_stream_of_http_1_0_ends_with_the_connection(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /stream HTTP/1.0\r\n\r\n");
	turn(&f, 3);
	assert_int_equal(
	    synq_exchange_write(f.held[0], synq_slice_text("one")), 0);
	synq_exchange_end(f.held[0]);
	answer = hear(&f, fd, &end);

	assert_null(strstr(answer, "Transfer-Encoding"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\none");
	assert_int_equal(end, 1);
	close(fd);
	stop(&f);
}

static void
test_stream_tells_when_the_client_does_not_read(SYNQ_UNUSED void **state)
{
	static char piece[100000];
	struct fixture f;
	struct synq_slice slice = synq_slice_of(piece, sizeof(piece));
	size_t written = 0;
	int fd, end;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	while (written < 1000 && synq_exchange_write(f.held[0], slice) == 0) {
		written++;
		turn(&f, 1);
	}

	assert_true(written > 9 && written < 1000);
	assert_int_equal(synq_exchange_write(f.held[0], slice), -SYNQ_E_BUSY);
	hear(&f, fd, &end);
	assert_int_equal(synq_exchange_write(f.held[0], slice), 0);
	close(fd);
	stop(&f);
}

static void
test_large_answer_arrives_whole(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;
	const char *answer;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n"
		 "GET /now HTTP/1.1\r\n" HOST "\r\n");
	answer = hear(&f, fd, &end);

	answer = strstr(answer, "\r\n\r\n") + 4;
	assert_int_equal(strspn(answer, "b"), 1000000);
	assert_memory_equal(answer + 1000000, "HTTP/1.1 200", 12);
	close(fd);
	stop(&f);
}

static void
test_client_that_reads_nothing_is_closed(SYNQ_UNUSED void **state)
{
	struct synq_httpd_config config = { .write_limit_ms = 30 };
	struct fixture f;
	const int small = 4096;
	int fd;

	start(&f, &config);
	fd = dial(&f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 20; i++)
		tell(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 100);

	assert_int_equal(synq_httpd_connections(f.httpd), 0);
	assert_int_equal(f.gone_unanswered, 1);
	close(fd);
	stop(&f);
}

static void
test_drop_closes_without_an_answer(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /drop HTTP/1.1\r\n" HOST "\r\n");
	assert_string_equal(hear(&f, fd, &end), "");
	assert_int_equal(end, 1);
	assert_int_equal(f.gone_unanswered, 1);
	close(fd);

	fd = dial(&f);
	tell(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	synq_exchange_drop(f.held[0]);
	assert_null(strstr(hear(&f, fd, &end), "0\r\n\r\n"));
	assert_int_equal(end, 1);
	assert_int_equal(f.gone_unanswered, 2);
	close(fd);
	stop(&f);
}

static void
wait_us(struct fixture *f, uint64_t us)
{
	uint64_t until_us = synq_clock_mono_us() + us;

	while (synq_clock_mono_us() < until_us)
		turn(f, 1);
}

static void
test_deadlines_are_total_not_per_byte(SYNQ_UNUSED void **state)
{
	struct synq_httpd_config config = { .head_limit_ms = 60,
		.body_limit_ms = 60 };
	struct fixture f;
	int fd, end;

	start(&f, &config);
	fd = dial(&f);
	tell(fd, "GET / HT");
	for (int i = 0; i < 12; i++) {
		send(fd, "X", 1, MSG_NOSIGNAL);
		wait_us(&f, 10000);
	}
	assert_memory_equal(hear(&f, fd, &end), "HTTP/1.1 408", 12);
	close(fd);

	fd = dial(&f);
	tell(fd, "POST /now HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n");
	for (int i = 0; i < 12; i++) {
		send(fd, "X", 1, MSG_NOSIGNAL);
		wait_us(&f, 10000);
	}
	assert_memory_equal(hear(&f, fd, &end), "HTTP/1.1 408", 12);
	assert_int_equal(f.heads, 1);
	assert_int_equal(f.bodies, 0);
	close(fd);
	stop(&f);
}

static void
test_idle_connections_are_closed_silently(SYNQ_UNUSED void **state)
{
	struct synq_httpd_config config = { .head_limit_ms = 40,
		.idle_limit_ms = 1000 };
	struct fixture f;
	int silent, used, end;

	start(&f, &config);
	silent = dial(&f);
	used = dial(&f);
	tell(used, "GET /now HTTP/1.1\r\n" HOST "\r\n");
	/* Then both are accepted, in order. */
	while (f.gone_answered == 0)
		turn(&f, 1);
	wait_for_connections(&f, 1);
	assert_memory_equal(hear(&f, used, &end), "HTTP/1.1 200", 12);
	assert_int_equal(end, 0);
	wait_for_connections(&f, 0);
	assert_string_equal(hear(&f, silent, &end), "");
	assert_int_equal(end, 1);
	close(silent);
	close(used);
	stop(&f);
}

static void
test_waiting_for_the_program_has_no_deadline(SYNQ_UNUSED void **state)
{
	struct synq_httpd_config config = { .head_limit_ms = 20,
		.body_limit_ms = 20,
		.idle_limit_ms = 20,
		.write_limit_ms = 20 };
	struct fixture f;
	int fd, end;

	start(&f, &config);
	fd = dial(&f);
	tell(fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
	wait_us(&f, 80000);
	assert_non_null(f.held[0]);
	synq_exchange_answer(f.held[0], 200, NULL, synq_slice_text("x"));
	assert_memory_equal(hear(&f, fd, &end), "HTTP/1.1 200", 12);
	close(fd);
	stop(&f);
}

static void
test_connections_above_the_maximum_are_told(SYNQ_UNUSED void **state)
{
	struct synq_httpd_config config = { .max_connections = 2 };
	struct fixture f;
	int a, b, c, end;
	const char *answer;

	start(&f, &config);
	a = dial(&f);
	b = dial(&f);
	turn(&f, 2);
	c = dial(&f);
	tell(c, "GET /now HTTP/1.1\r\n" HOST "\r\n");
	answer = hear(&f, c, &end);
	assert_memory_equal(answer, "HTTP/1.1 503", 12);
	assert_true(has(answer, "Retry-After: 1\r\n"));
	assert_int_equal(end, 1);
	assert_int_equal(f.heads, 0);
	close(c);
	close(a);
	turn(&f, 3);
	check(&f, "GET /now HTTP/1.1\r\n" HOST "\r\n", "200", 0);
	close(b);
	stop(&f);
}

static void
test_one_address_has_its_share(SYNQ_UNUSED void **state)
{
	struct synq_httpd_config config = { .max_address_connections = 1 };
	struct fixture f;
	int a, b, end;

	start(&f, &config);
	a = dial(&f);
	turn(&f, 2);
	b = dial(&f);
	assert_memory_equal(hear(&f, b, &end), "HTTP/1.1 429", 12);
	assert_int_equal(end, 1);
	close(b);
	close(a);
	turn(&f, 3);
	check(&f, "GET /now HTTP/1.1\r\n" HOST "\r\n", "200", 0);
	stop(&f);
}

static void
on_drained(void *ctx)
{
	struct fixture *f = ctx;

	f->drained++;
}

#define CROWD 200

/* Being told costs a descriptor for seconds: only a few are. */
static void
test_refusals_of_one_address_are_bounded(SYNQ_UNUSED void **state)
{
	struct synq_httpd_config config = { .max_connections = 1000,
		.max_address_connections = 2 };
	struct fixture f;
	int fds[CROWD];

	start(&f, &config);
	for (int i = 0; i < CROWD; i++)
		fds[i] = dial(&f);
	turn(&f, 20);

	assert_in_range(synq_httpd_connections(f.httpd), 3, 2 + 64);
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
	turn(&f, 20);
	check(&f, "GET /now HTTP/1.1\r\n" HOST "\r\n", "200", 0);
	stop(&f);
}

/* Clients never take the descriptors that the program itself needs. */
static void
test_descriptors_are_left_for_the_program(SYNQ_UNUSED void **state)
{
	struct synq_httpd_config config = { .max_connections = 100000 };
	struct rlimit before, few;
	struct fixture f;
	int fds[CROWD];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 2 * 150;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	start(&f, &config);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

	for (int i = 0; i < 149; i++)
		fds[i] = dial(&f);
	turn(&f, 20);
	check(&f, "GET /now HTTP/1.1\r\n" HOST "\r\n", "200", 0);
	fds[149] = dial(&f);
	turn(&f, 3);
	check(&f, "GET /now HTTP/1.1\r\n" HOST "\r\n", "503", 1);
	for (int i = 0; i < 150; i++)
		close(fds[i]);
	turn(&f, 20);
	stop(&f);
}

static void
test_drain_lets_exchanges_finish(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int idle, busy, end;
	const char *answer;

	start_plain(&f);
	idle = dial(&f);
	busy = dial(&f);
	tell(busy, "GET /late HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	synq_httpd_drain(f.httpd, on_drained, &f);
	turn(&f, 3);

	assert_string_equal(hear(&f, idle, &end), "");
	assert_int_equal(end, 1);
	assert_int_equal(f.drained, 0);
	synq_exchange_answer(f.held[0], 200, NULL, synq_slice_text("x"));
	answer = hear(&f, busy, &end);
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	assert_true(has(answer, "Connection: close\r\n"));
	assert_int_equal(end, 1);
	close(busy);
	turn(&f, 3);
	assert_int_equal(f.drained, 1);
	close(idle);
	stop(&f);
}

static void
test_drain_of_nothing_ends_from_the_loop(SYNQ_UNUSED void **state)
{
	struct fixture f;

	start_plain(&f);
	synq_httpd_drain(f.httpd, on_drained, &f);
	assert_int_equal(f.drained, 0);
	turn(&f, 2);
	assert_int_equal(f.drained, 1);
	stop(&f);
}

static void
test_free_tells_what_was_open(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
	turn(&f, 3);
	synq_exchange_answer(f.held[0], 200, NULL, synq_slice_text("x"));
	synq_httpd_free(&f.httpd);

	assert_int_equal(f.gone_unanswered, 1);
	close(fd);
	stop(&f);
}

static void
test_port_in_use_is_a_conflict(SYNQ_UNUSED void **state)
{
	struct fixture f;
	struct synq_httpd_config config = { .host = "127.0.0.1" };
	struct synq_httpd *second = NULL;
	struct synq_err err;

	start_plain(&f);
	config.port = synq_httpd_port(f.httpd);
	assert_int_equal(
	    synq_httpd_new(f.loop, &config, &second, &err), -SYNQ_E_CONFLICT);
	assert_null(second);
	config.host = "localhost";
	assert_int_equal(
	    synq_httpd_new(f.loop, &config, &second, &err), -SYNQ_E_INVALID);
	stop(&f);
}

static void
test_status_of_an_answer_is_known_when_it_is_gone(SYNQ_UNUSED void **state)
{
	struct fixture f;
	int fd, end;

	start_plain(&f);
	fd = dial(&f);
	tell(fd, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
	(void)hear(&f, fd, &end);
	assert_int_equal(f.gone_status, 204);
	tell(fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
	while (f.held_count == 0)
		turn(&f, 1);
	/* Nothing of the answer before is left. */
	assert_int_equal(synq_exchange_status(f.held[0]), 0);
	synq_exchange_answer(
	    f.held[0], 201, "text/plain", synq_slice_text("x"));
	assert_int_equal(synq_exchange_status(f.held[0]), 201);
	close(fd);
	stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream_is_chunked),
		cmocka_unit_test(
		    test_stream_of_http_1_0_ends_with_the_connection),
		cmocka_unit_test(
		    test_stream_tells_when_the_client_does_not_read),
		cmocka_unit_test(test_large_answer_arrives_whole),
		cmocka_unit_test(test_client_that_reads_nothing_is_closed),
		cmocka_unit_test(test_drop_closes_without_an_answer),
		cmocka_unit_test(test_deadlines_are_total_not_per_byte),
		cmocka_unit_test(test_idle_connections_are_closed_silently),
		cmocka_unit_test(test_waiting_for_the_program_has_no_deadline),
		cmocka_unit_test(test_connections_above_the_maximum_are_told),
		cmocka_unit_test(test_one_address_has_its_share),
		cmocka_unit_test(test_refusals_of_one_address_are_bounded),
		cmocka_unit_test(test_descriptors_are_left_for_the_program),
		cmocka_unit_test(test_drain_lets_exchanges_finish),
		cmocka_unit_test(test_drain_of_nothing_ends_from_the_loop),
		cmocka_unit_test(test_free_tells_what_was_open),
		cmocka_unit_test(test_port_in_use_is_a_conflict),
		cmocka_unit_test(
		    test_status_of_an_answer_is_known_when_it_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
