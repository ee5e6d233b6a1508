#ifndef TESTS_UNIT_HTTPD_FIXTURE_H
#define TESTS_UNIT_HTTPD_FIXTURE_H

/*
 * A server with a small program under it, and a client of the same process
 * that talks to it over loopback while it turns the loop.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/clock.h"
#include "httpd/httpd.h"
#include "loop/loop.h"

#define HOST "Host: a\r\n"
#define MAX_HELD 64

/* What the program under the server does, by the first letters of the path:
 * /now answers in on_body, /head in on_head, /late keeps the exchange,
 * /stream begins an answer, /big answers a megabyte, /drop drops, /ask keeps
 * the exchange in on_head and does not ask for the body yet. */
struct fixture {
	struct synq_loop *loop;
	struct synq_httpd *httpd;
	struct synq_exchange *held[MAX_HELD];
	size_t held_count;
	size_t heads;
	size_t bodies;
	size_t gone_answered;
	size_t gone_unanswered;
	int gone_status; /* of the last that was answered */
	int refused_status;
	size_t limit_bytes; /* 0 = leave it */
	int drained;
	char last_body[256];
	char last_peer[64];
};

static const char no_bytes[1];

static inline enum synq_httpd_verdict
on_head(void *ctx, struct synq_exchange *exchange)
{
	struct fixture *f = ctx;

	f->heads++;
	if (f->limit_bytes)
		synq_exchange_limit(exchange, f->limit_bytes);
	if (synq_slice_is(synq_exchange_path(exchange), "/ask")) {
		f->held[f->held_count++] = exchange;
		return SYNQ_HTTPD_READ_UNASKED;
	}
	if (!synq_slice_is(synq_exchange_path(exchange), "/head"))
		return SYNQ_HTTPD_READ_BODY;
	synq_exchange_answer(
	    exchange, 401, "text/plain", synq_slice_text("no"));
	return SYNQ_HTTPD_ANSWERED;
}

static inline void
answer_big(struct synq_exchange *exchange)
{
	static char big[1000000];

	memset(big, 'b', sizeof(big));
	synq_exchange_answer(
	    exchange, 200, "text/plain", synq_slice_of(big, sizeof(big)));
}

static inline void
on_body(void *ctx, struct synq_exchange *exchange)
{
	struct fixture *f = ctx;
	struct synq_slice path = synq_exchange_path(exchange);
	struct synq_slice body = synq_exchange_body(exchange);

	f->bodies++;
	snprintf(f->last_body, sizeof(f->last_body), "%.*s", (int)body.bytes,
	    body.data ? body.data : no_bytes);
	snprintf(f->last_peer, sizeof(f->last_peer), "%s",
	    synq_exchange_peer(exchange));
	if (synq_slice_is(path, "/late")) {
		assert_true(f->held_count < MAX_HELD);
		f->held[f->held_count++] = exchange;
	} else if (synq_slice_is(path, "/stream")) {
		synq_exchange_begin(exchange, 200, "text/event-stream");
		f->held[f->held_count++] = exchange;
	} else if (synq_slice_is(path, "/big")) {
		answer_big(exchange);
	} else if (synq_slice_is(path, "/drop")) {
		synq_exchange_drop(exchange);
	} else if (synq_slice_is(path, "/empty")) {
		synq_exchange_answer(
		    exchange, 204, NULL, synq_slice_of(NULL, 0));
	} else {
		synq_exchange_answer(exchange, 200, "text/plain", body);
	}
}

static inline void
on_gone(void *ctx, struct synq_exchange *exchange, int answered)
{
	struct fixture *f = ctx;

	for (size_t i = 0; i < f->held_count; i++) {
		if (f->held[i] == exchange)
			f->held[i] = NULL;
	}
	if (answered) {
		f->gone_answered++;
		f->gone_status = synq_exchange_status(exchange);
	} else {
		f->gone_unanswered++;
	}
}

static inline void
on_refuse(void *ctx, struct synq_exchange *exchange)
{
	struct fixture *f = ctx;

	f->refused_status = synq_exchange_status(exchange);
}

static inline void
on_error(
    SYNQ_UNUSED void *ctx, int status, const char *reason, struct synq_buf *out)
{
	synq_buf_printf(out, "{\"%d\":\"%s\"}", status, reason);
}

static inline void
start(struct fixture *f, struct synq_httpd_config *config)
{
	struct synq_err err;

	memset(f, 0, sizeof(*f));
	assert_int_equal(synq_loop_new(&f->loop, &err), 0);
	config->host = "127.0.0.1";
	if (!config->max_connections)
		config->max_connections = 100;
	if (!config->max_body_bytes)
		config->max_body_bytes = 100000;
	config->events = (struct synq_httpd_events){ .on_head = on_head,
		.on_body = on_body,
		.on_gone = on_gone,
		.on_error = on_error,
		.on_refuse = on_refuse };
	config->ctx = f;
	assert_int_equal(synq_httpd_new(f->loop, config, &f->httpd, &err), 0);
}

static inline void
start_plain(struct fixture *f)
{
	struct synq_httpd_config config = { .port = 0 };

	start(f, &config);
}

static inline void
stop(struct fixture *f)
{
	synq_httpd_free(&f->httpd);
	assert_null(f->httpd);
	assert_int_equal(f->heads, f->gone_answered + f->gone_unanswered);
	synq_loop_free(&f->loop);
	synq_arena_trim();
}

static inline void
turn(struct fixture *f, int times)
{
	for (int i = 0; i < times; i++)
		synq_loop_turn(f->loop, 1);
}

static inline void
wait_for_connections(struct fixture *f, size_t count)
{
	uint64_t until_us = synq_clock_mono_us() + 10000000;

	while (synq_httpd_connections(f->httpd) != count &&
	       synq_clock_mono_us() < until_us)
		turn(f, 1);
	assert_int_equal(synq_httpd_connections(f->httpd), count);
}

/* ---- the client ---- */

static inline int
dial(struct fixture *f)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons(synq_httpd_port(f->httpd)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	const int on = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	assert_int_equal(
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static inline void
tell(int fd, const char *text)
{
	size_t bytes = strlen(text);

	assert_int_equal(send(fd, text, bytes, MSG_NOSIGNAL), bytes);
}

/* What has come; "" if nothing.  *${ret_end}: the server has closed. */
static inline const char *
hear(struct fixture *f, int fd, int *ret_end)
{
	static char text[2000000];
	size_t bytes = 0;
	int quiet = 0;

	*ret_end = 0;
	while (quiet < 5 && !*ret_end) {
		ssize_t n;

		turn(f, 1);
		n = recv(
		    fd, text + bytes, sizeof(text) - 1 - bytes, MSG_DONTWAIT);
		quiet = n > 0 ? 0 : quiet + 1;
		if (n > 0)
			bytes += (size_t)n;
		*ret_end = n == 0 || (n < 0 && errno == ECONNRESET);
	}
	text[bytes] = '\0';
	return text;
}

static inline int
has(const char *text, const char *part)
{
	if (strstr(text, part))
		return 1;
	print_error("'%s' is not in: %.400s\n", part, text);
	return 0;
}

/* Send ${request} on a new connection; the answer must begin with ${status}
 * and the connection be closed or not as ${closes} says. */
static inline void
check(struct fixture *f, const char *request, const char *status, int closes)
{
	int fd = dial(f);
	int end;
	const char *answer;

	tell(fd, request);
	answer = hear(f, fd, &end);
	if (strncmp(answer, "HTTP/1.1 ", 9) != 0 ||
	    strncmp(answer + 9, status, 3) != 0 || end != closes)
		print_error("%s\n-> end %d: %s\n", request, end, answer);
	assert_memory_equal(answer, "HTTP/1.1 ", 9);
	assert_memory_equal(answer + 9, status, 3);
	assert_int_equal(end, closes);
	if (closes)
		assert_true(has(answer, "\r\nConnection: close\r\n"));
	close(fd);
	turn(f, 3);
}

#endif
