#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

/*
 * A client, and a small server in the same process that does what the path
 * says.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/http.h"
#include "loop/loop.h"

/* More than one multi handle carries. */
#define MAX_IN_FLIGHT 150
#define MAX_PEERS 256
#define MAX_CALLS 256

struct fixture;

/* One connection of the small server. */
struct peer {
	struct fixture *f;
	struct synq_watch *watch;
	int fd;
	struct synq_buf in;
};

/* What came out of one call. */
struct outcome {
	struct fixture *f;
	struct synq_http_call *call;
	int runs;
	int rc;
	int status;
	char body[64];
	char header[64];
	char error[256];
	struct synq_http_result result;
	int then; /* what done does besides: 'f' frees, 's' starts, 'c' cancels
	           */
};

struct fixture {
	struct synq_loop *loop;
	struct synq_http *http;
	struct synq_arena *arena;
	struct synq_watch *listen_watch;
	int listen_fd;
	uint16_t port;
	struct peer peers[MAX_PEERS];
	size_t peer_count; /* connections ever made */
	size_t requests;
	char last[4096]; /* the last request, whole */
	struct outcome calls[MAX_CALLS];
	size_t call_count;
	int refuse_reuse; /* die on the second request of a connection */
};

/* ---- the small server ---- */

static inline void
hang_up(struct peer *peer)
{
	if (peer->fd < 0)
		return;
	synq_watch_free(&peer->watch);
	close(peer->fd);
	peer->fd = -1;
	synq_buf_done(&peer->in);
}

static inline void
say(struct peer *peer, const char *text)
{
	size_t bytes = strlen(text);

	assert_int_equal(send(peer->fd, text, bytes, MSG_NOSIGNAL), bytes);
}

static inline void
behave(struct peer *peer, const char *request)
{
	const char *path = strchr(request, ' ') + 1;

	if (strncmp(path, "/ok", 3) == 0) {
		say(peer, "HTTP/1.1 200 OK\r\nX-A:  b \r\n"
			  "Content-Length: 5\r\n\r\nhello");
	} else if (strncmp(path, "/429", 4) == 0) {
		say(peer, "HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\n"
			  "Content-Length: 0\r\n\r\n");
	} else if (strncmp(path, "/continue", 9) == 0) {
		say(peer, "HTTP/1.1 100 Continue\r\nX-A: no\r\n\r\n"
			  "HTTP/1.1 201 Created\r\nX-A: yes\r\n"
			  "Transfer-Encoding: chunked\r\n\r\n"
			  "2\r\nab\r\n0\r\n\r\n");
	} else if (strncmp(path, "/redirect", 9) == 0) {
		say(peer, "HTTP/1.1 302 Found\r\nLocation: /ok\r\n"
			  "Content-Length: 0\r\n\r\n");
	} else if (strncmp(path, "/head", 5) == 0) {
		say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
	} else if (strncmp(path, "/stall", 6) == 0) {
		say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
	} else if (strncmp(path, "/cut", 4) == 0) {
		say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
		hang_up(peer);
	} else if (strncmp(path, "/noise", 6) == 0) {
		say(peer, "what?\r\n\r\n");
		hang_up(peer);
	} else if (strncmp(path, "/die", 4) == 0) {
		hang_up(peer);
	} else if (strncmp(path, "/endless", 8) == 0) {
		say(peer, "HTTP/1.1 200 OK\r\n\r\n01234567890123456789");
	}
	/* Anything else is left without an answer. */
}

/* How long the first request in ${in} is; 0 if it is not all there. */
static inline size_t
request_bytes(const struct synq_buf *in)
{
	const char *end = strstr(in->data, "\r\n\r\n");
	const char *length;
	size_t bytes;

	if (!end)
		return 0;
	bytes = (size_t)(end - in->data) + 4;
	length = strstr(in->data, "Content-Length: ");
	if (length)
		bytes += strtoul(length + 16, NULL, 10);
	return bytes <= in->bytes ? bytes : 0;
}

static inline void
on_peer(void *ctx, SYNQ_UNUSED unsigned events)
{
	struct peer *peer = ctx;
	struct fixture *f = peer->f;
	char text[65536];
	ssize_t n = recv(peer->fd, text, sizeof(text), MSG_DONTWAIT);
	size_t bytes;

	if (n <= 0) {
		hang_up(peer);
		return;
	}
	synq_buf_add(&peer->in, text, (size_t)n);
	bytes = request_bytes(&peer->in);
	if (bytes == 0)
		return;
	f->requests++;
	snprintf(f->last, sizeof(f->last), "%.*s", (int)bytes, peer->in.data);
	synq_buf_consume(&peer->in, bytes);
	behave(peer, f->last);
}

static inline void
on_listen(void *ctx, SYNQ_UNUSED unsigned events)
{
	struct fixture *f = ctx;
	struct peer *peer = &f->peers[f->peer_count];

	assert_true(f->peer_count < MAX_PEERS);
	peer->fd = accept(f->listen_fd, NULL, NULL);
	assert_true(peer->fd >= 0);
	f->peer_count++;
	peer->f = f;
	synq_buf_init(&peer->in, 1000000);
	assert_int_equal(
	    synq_watch_new(f->loop, peer->fd, on_peer, peer, &peer->watch), 0);
	synq_watch_set(peer->watch, SYNQ_READABLE);
}

static inline void
serve(struct fixture *f)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
	} at = { .v4 = { .sin_family = AF_INET } };
	socklen_t bytes = sizeof(at.v4);

	at.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(f->listen_fd, &at.any, bytes), 0);
	assert_int_equal(listen(f->listen_fd, MAX_IN_FLIGHT), 0);
	getsockname(f->listen_fd, &at.any, &bytes);
	f->port = ntohs(at.v4.sin_port);
	assert_int_equal(synq_watch_new(f->loop, f->listen_fd, on_listen, f,
			     &f->listen_watch),
	    0);
	synq_watch_set(f->listen_watch, SYNQ_READABLE);
}

/* ---- the fixture ---- */

static inline void
start(struct fixture *f)
{
	struct synq_http_config config = { .max_in_flight = MAX_IN_FLIGHT,
		.user_agent = "synq-test" };
	struct synq_err err;

	memset(f, 0, sizeof(*f));
	assert_int_equal(synq_loop_new(&f->loop, &err), 0);
	assert_int_equal(synq_http_new(f->loop, &config, &f->http, &err), 0);
	f->arena = synq_arena_new(4096, 1000000);
	serve(f);
}

static inline void
stop(struct fixture *f)
{
	synq_http_free(&f->http);
	for (size_t i = 0; i < f->peer_count; i++)
		hang_up(&f->peers[i]);
	synq_watch_free(&f->listen_watch);
	close(f->listen_fd);
	synq_loop_free(&f->loop);
	synq_arena_free(&f->arena);
	synq_arena_trim();
}

static inline void on_done(void *ctx, const struct synq_http_result *result);

/* A POST to ${path}, which the caller may change before launch(). */
static inline struct synq_http_request
request_to(struct fixture *f, const char *path)
{
	struct outcome *outcome = &f->calls[f->call_count];

	assert_true(f->call_count < MAX_CALLS);
	f->call_count++;
	outcome->f = f;
	return (struct synq_http_request){ .method = "POST",
		.url = synq_arena_printf(
		    f->arena, "http://127.0.0.1:%u%s", f->port, path),
		.body = synq_slice_text("the body"),
		.max_result_bytes = 1000,
		.arena = f->arena,
		.done = on_done,
		.ctx = outcome };
}

static inline struct outcome *
launch(const struct synq_http_request *req)
{
	struct outcome *outcome = req->ctx;
	struct synq_err err;

	assert_int_equal(
	    synq_http_start(outcome->f->http, req, &outcome->call, &err), 0);
	return outcome;
}

static inline void
on_done(void *ctx, const struct synq_http_result *result)
{
	struct outcome *outcome = ctx;
	struct fixture *f = outcome->f;
	struct synq_slice header = synq_http_header(result, "x-a");

	outcome->runs++;
	outcome->rc = result->rc;
	outcome->status = result->status;
	outcome->result = *result;
	outcome->call = NULL;
	snprintf(outcome->body, sizeof(outcome->body), "%.*s",
	    (int)result->body.bytes, result->rc ? "" : result->body.data);
	snprintf(outcome->header, sizeof(outcome->header), "%.*s",
	    (int)header.bytes, header.data);
	assert_int_equal(result->rc == 0, result->err == NULL);
	if (result->err)
		snprintf(outcome->error, sizeof(outcome->error), "%s",
		    result->err->text);
	if (outcome->then == 'f') {
		synq_http_free(&f->http);
	} else if (outcome->then == 's') {
		struct synq_http_request req = request_to(f, "/ok");

		launch(&req);
	} else if (outcome->then == 'c') {
		synq_http_cancel(&f->calls[1].call);
	}
}

static inline void
turn_until(struct fixture *f, const struct outcome *outcome)
{
	uint64_t end_us = synq_clock_mono_us() + 5000000;

	while (!outcome->runs && synq_clock_mono_us() < end_us)
		synq_loop_turn(f->loop, 10);
	assert_int_equal(outcome->runs, 1);
}

static inline void
turn_for(struct fixture *f, uint64_t us)
{
	uint64_t end_us = synq_clock_mono_us() + us;

	while (synq_clock_mono_us() < end_us)
		synq_loop_turn(f->loop, 1);
}

static inline struct outcome *
run(struct fixture *f, const char *path)
{
	struct synq_http_request req = request_to(f, path);
	struct outcome *outcome = launch(&req);

	turn_until(f, outcome);
	return outcome;
}

#endif
