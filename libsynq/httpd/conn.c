/*
 * Happy path: the socket is readable -> one recv into the server's buffer ->
 * the head is parsed there and copied to an exchange -> on_head -> the body is
 * gathered -> on_body -> the program answers -> one send -> on_gone -> IDLE.
 * Bytes that belong to nobody yet stay in conn->in, which is empty otherwise.
 *
 *	IDLE -> HEAD -> BODY -> ANSWER -> IDLE      any -> CLOSED
 *	                        ANSWER -> LINGER -> CLOSED
 *
 * IDLE and HEAD end at their deadline, silently and with 408; BODY with 408 at
 * a deadline that grows with the length; ANSWER only while the client takes
 * nothing.  A connection sits in the heap of deadlines under a key that is
 * never later than its deadline: a deadline that moves away costs nothing, the
 * entry is put right when it comes up.
 *
 * Failure modes: what the parser refuses, a body that is too large, a deadline:
 * answer, read nothing more, linger.  The client left (end of input counts,
 *also if only its sending half is closed): on_gone with answered 0, close.
 *
 * To linger means to close for writing and to throw away input for a while:
 * closing a socket with unread input makes the kernel send a reset, which can
 * destroy the answer before the client has read it.
 */

#include "httpd/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "httpd/address.h"
#include "httpd/exchange.h"
#include "httpd/server.h"

/* What may come early while an answer is due; then reading stops. */
#define EARLY_BYTES 16384
#define LINGER_US 5000000
#define LINGER_DRAIN_US 1000000
/* A client that sends a body of this size unasked still sees its 413. */
#define THROWN_BYTES ((uint64_t)128 << 20)
#define BODY_RATE_BYTES_S 65536

static void conn_take_all(struct synq_httpd_conn *conn);

/* ---- deadlines and interest ---- */

static uint64_t
after_ms(const struct synq_httpd_conn *conn, uint64_t ms)
{
	return synq_loop_now_us(conn->httpd->loop) + ms * 1000;
}

static void
set_deadline(struct synq_httpd_conn *conn, uint64_t deadline_us)
{
	struct synq_httpd *httpd = conn->httpd;

	conn->deadline_us = deadline_us;
	if (deadline_us == 0)
		return;
	if (conn->node.place != 0) {
		if (conn->node.key <= deadline_us)
			return;
		synq_heap_remove(&httpd->deadlines, &conn->node);
	}
	synq_heap_push(&httpd->deadlines, &conn->node, deadline_us);
	synq_httpd_arm(httpd, deadline_us);
}

static void
move(struct synq_httpd_conn *conn, enum synq_httpd_conn_state state,
    uint64_t deadline_us)
{
	conn->state = state;
	set_deadline(conn, deadline_us);
}

/* Changing what epoll watches is a system call, so it happens rarely. */
static void
set_interest(struct synq_httpd_conn *conn)
{
	unsigned wanted = SYNQ_READABLE;

	if (conn->state == SYNQ_CONN_CLOSED)
		return;
	if (conn->state == SYNQ_CONN_ANSWER && !conn->deaf &&
	    conn->in.bytes >= EARLY_BYTES)
		wanted = 0;
	if (conn->blocked)
		wanted |= SYNQ_WRITABLE;
	if (wanted != conn->interest)
		synq_watch_set(conn->watch, wanted);
	conn->interest = wanted;
}

/* ---- the end ---- */

static void
end_exchange(struct synq_httpd_conn *conn)
{
	struct synq_exchange *exchange = conn->exchange;
	const struct synq_httpd_config *config = &conn->httpd->config;

	if (!exchange)
		return;
	if (exchange->announced)
		config->events.on_gone(
		    config->ctx, exchange, synq_exchange_is_sent(exchange));
	synq_exchange_give(&conn->exchange);
}

void
synq_httpd_conn_close(struct synq_httpd_conn *conn)
{
	struct synq_httpd *httpd = conn->httpd;

	if (conn->state == SYNQ_CONN_CLOSED)
		return;
	conn->state = SYNQ_CONN_CLOSED;
	synq_list_remove(&httpd->conns, &conn->link);
	synq_list_remove(&httpd->dirty, &conn->dirty);
	synq_heap_remove(&httpd->deadlines, &conn->node);
	synq_watch_free(&conn->watch);
	close(conn->fd);
	conn->fd = -1;
	if (conn->surplus)
		httpd->refused--;
	synq_httpd_leave(httpd->addresses, &conn->address);
	end_exchange(conn);
	synq_httpd_bury(conn);
}

/* The answer is sent; see that the client gets to read it. */
static void
conn_shut(struct synq_httpd_conn *conn, int clean)
{
	uint64_t linger_us =
	    conn->httpd->draining ? LINGER_DRAIN_US : LINGER_US;

	if (clean && conn->in.bytes == 0) {
		synq_httpd_conn_close(conn);
		return;
	}
	shutdown(conn->fd, SHUT_WR);
	conn->deaf = 1;
	synq_buf_done(&conn->in);
	move(conn, SYNQ_CONN_LINGER,
	    synq_loop_now_us(conn->httpd->loop) + linger_us);
}

void
synq_httpd_conn_refuse(
    struct synq_httpd_conn *conn, int status, const char *reason)
{
	struct synq_exchange *exchange = conn->exchange;

	conn->deaf = 1;
	move(conn, SYNQ_CONN_ANSWER, 0);
	if (exchange->begun && !exchange->ended)
		synq_exchange_drop(exchange);
	else if (!exchange->begun)
		synq_exchange_refuse(exchange, status, reason);
	/* Else its answer, which says enough, is on its way. */
	exchange->closes = 1;
	synq_httpd_mark(conn);
}

/* ---- sending ---- */

/* Returns 0, or -1 if the connection is broken. */
static int
send_some(struct synq_httpd_conn *conn, struct synq_exchange *exchange)
{
	struct synq_buf *out = &exchange->out;
	size_t waiting = out->bytes - exchange->sent;
	ssize_t n;

	conn->blocked = 0;
	if (waiting == 0)
		return 0;
	n = send(conn->fd, out->data + exchange->sent, waiting, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	if (n > 0)
		exchange->sent += (size_t)n;
	if (exchange->sent < out->bytes) {
		conn->blocked = 1;
		if (conn->state == SYNQ_CONN_ANSWER &&
		    (n > 0 || conn->deadline_us == 0))
			set_deadline(conn,
			    after_ms(conn, conn->httpd->config.write_limit_ms));
	}
	return 0;
}

/* What was sent of an answer in pieces need not be kept. */
static void
forget_sent(struct synq_exchange *exchange)
{
	struct synq_buf *out = &exchange->out;

	if (exchange->ended || exchange->sent == 0)
		return;
	if (exchange->sent == out->bytes)
		synq_buf_clear(out);
	else if (exchange->sent < out->bytes / 2)
		return;
	else
		synq_buf_consume(out, exchange->sent);
	exchange->sent = 0;
}

static void
finish(struct synq_httpd_conn *conn)
{
	struct synq_exchange *exchange = conn->exchange;
	int closes = exchange->closes || conn->httpd->draining;
	/* The client knows that nothing follows, and sent nothing more. */
	int clean = exchange->read && !conn->deaf &&
	            (exchange->head.wants_close || exchange->head.minor == 0);

	end_exchange(conn);
	if (conn->state == SYNQ_CONN_CLOSED)
		return;
	if (closes)
		conn_shut(conn, clean);
	else
		move(conn, SYNQ_CONN_IDLE,
		    after_ms(conn, conn->httpd->config.idle_limit_ms));
}

static void
conn_send(struct synq_httpd_conn *conn)
{
	struct synq_exchange *exchange = conn->exchange;

	conn->wants_flush = 0;
	if (!exchange || conn->state == SYNQ_CONN_CLOSED)
		return;
	if (exchange->dropped || send_some(conn, exchange) != 0) {
		synq_httpd_conn_close(conn);
		return;
	}
	forget_sent(exchange);
	if (conn->blocked)
		return;
	if (conn->state == SYNQ_CONN_ANSWER)
		set_deadline(conn, 0);
	/* A body that is skipped comes to its end before the next request. */
	if (exchange->ended && (exchange->read || exchange->closes))
		finish(conn);
}

void
synq_httpd_conn_flush(struct synq_httpd_conn *conn)
{
	conn_send(conn);
	conn_take_all(conn);
}

/* ---- the request ---- */

static void
body_is_read(struct synq_httpd_conn *conn, struct synq_exchange *exchange)
{
	const struct synq_httpd_config *config = &conn->httpd->config;

	exchange->read = 1;
	move(conn, SYNQ_CONN_ANSWER, 0);
	if (exchange->unwanted || exchange->begun)
		conn->wants_flush = 1;
	else
		config->events.on_body(config->ctx, exchange);
}

/* ${data} belongs to the body.  Returns 0, or -1 if that is too much. */
static int
add_body(struct synq_exchange *exchange, struct synq_slice data)
{
	if (exchange->unwanted || exchange->begun)
		return 0;
	if (data.bytes > exchange->limit_bytes - exchange->body.bytes)
		return -1;
	return synq_buf_slice(&exchange->body, data) == 0 ? 0 : -1;
}

static size_t
take_length(struct synq_httpd_conn *conn, struct synq_slice data)
{
	struct synq_exchange *exchange = conn->exchange;

	if (data.bytes > exchange->left_bytes)
		data.bytes = (size_t)exchange->left_bytes;
	exchange->asks_continue = 0;
	if (add_body(exchange, data) != 0) {
		synq_httpd_conn_refuse(conn, 413, "the body is too large");
		return data.bytes;
	}
	exchange->left_bytes -= data.bytes;
	if (exchange->left_bytes == 0)
		body_is_read(conn, exchange);
	return data.bytes;
}

/* 1 if the chunk that was announced will not fit: why wait for it? */
static int
chunk_too_large(const struct synq_exchange *exchange)
{
	return !exchange->unwanted && !exchange->begun &&
	       exchange->chunks.left >
	           exchange->limit_bytes - exchange->body.bytes;
}

static size_t
take_chunks(struct synq_httpd_conn *conn, struct synq_slice data)
{
	struct synq_exchange *exchange = conn->exchange;
	struct synq_slice rest = data, piece;
	enum synq_parse_verdict verdict = SYNQ_PARSE_MORE;

	exchange->asks_continue = 0;
	while (verdict == SYNQ_PARSE_MORE && rest.bytes > 0) {
		verdict =
		    synq_parse_chunks_feed(&exchange->chunks, &rest, &piece);
		if (add_body(exchange, piece) != 0 ||
		    chunk_too_large(exchange)) {
			synq_httpd_conn_refuse(
			    conn, 413, "the body is too large");
			return data.bytes - rest.bytes;
		}
		/* The length is not known before: each second must bring
		 * its share. */
		conn->deadline_us +=
		    piece.bytes * UINT64_C(1000000) / BODY_RATE_BYTES_S;
	}
	if (verdict == SYNQ_PARSE_REFUSED)
		synq_httpd_conn_refuse(conn, 400, exchange->chunks.reason);
	else if (verdict == SYNQ_PARSE_DONE)
		body_is_read(conn, exchange);
	return data.bytes - rest.bytes;
}

static void
begin_body(struct synq_httpd_conn *conn, struct synq_exchange *exchange)
{
	const struct synq_parse_head *head = &exchange->head;
	uint64_t limit_ms = conn->httpd->config.body_limit_ms;

	if (exchange->unwanted) {
		conn->wants_flush = 1;
	} else if (head->framing == SYNQ_PARSE_LENGTH &&
		   head->length > exchange->limit_bytes) {
		synq_httpd_conn_refuse(conn, 413, "the body is too large");
		return;
	}
	if (head->framing == SYNQ_PARSE_LENGTH)
		limit_ms += head->length / (BODY_RATE_BYTES_S / 1000);
	exchange->body.max_bytes = exchange->limit_bytes;
	move(conn, SYNQ_CONN_BODY, after_ms(conn, limit_ms));
}

/* The head is complete; ${early_bytes} of what follows are here. */
static void
head_is_read(struct synq_httpd_conn *conn, struct synq_exchange *exchange,
    size_t early_bytes)
{
	const struct synq_httpd_config *config = &conn->httpd->config;
	enum synq_httpd_verdict verdict;

	exchange->start_us = synq_loop_now_us(conn->httpd->loop);
	exchange->limit_bytes = config->max_body_bytes;
	exchange->left_bytes = exchange->head.length;
	exchange->read = exchange->head.framing == SYNQ_PARSE_NO_BODY;
	exchange->announced = 1;
	/* Who sends on at once waits for no 100 (RFC 9110, 10.1.1). */
	exchange->asks_continue =
	    exchange->head.wants_expect && !exchange->read && early_bytes == 0;
	synq_parse_chunks_init(&exchange->chunks);

	move(conn, SYNQ_CONN_ANSWER, 0);
	verdict = config->events.on_head(config->ctx, exchange);
	if (conn->state == SYNQ_CONN_CLOSED)
		return;
	exchange->unwanted = verdict == SYNQ_HTTPD_ANSWERED || exchange->begun;
	if (exchange->read)
		body_is_read(conn, exchange);
	else
		begin_body(conn, exchange);
	if (verdict == SYNQ_HTTPD_READ_BODY)
		synq_exchange_continue(exchange);
}

static size_t
take_head(struct synq_httpd_conn *conn, struct synq_slice data)
{
	struct synq_exchange *exchange = conn->exchange;

	switch (synq_parse_head_feed(&exchange->head, data)) {
	case SYNQ_PARSE_MORE:
		return 0;
	case SYNQ_PARSE_REFUSED:
		synq_httpd_conn_refuse(
		    conn, exchange->head.status, exchange->head.reason);
		return data.bytes;
	case SYNQ_PARSE_DONE:
		break;
	}
	/* Read_buf and conn->in change; the program may keep what it sees. */
	synq_buf_add(&exchange->text, data.data, exchange->head.bytes);
	data.bytes -= exchange->head.bytes;
	head_is_read(conn, exchange, data.bytes);
	return conn->exchange == exchange ? exchange->head.bytes : 0;
}

/* Take what the state of ${conn} allows; returns how many bytes that were. */
static size_t
take_step(struct synq_httpd_conn *conn, struct synq_slice data)
{
	if (conn->deaf && conn->state != SYNQ_CONN_CLOSED) {
		conn->thrown_bytes += data.bytes;
		return data.bytes;
	}
	switch (conn->state) {
	case SYNQ_CONN_IDLE:
		conn->exchange = synq_exchange_take(conn);
		move(conn, SYNQ_CONN_HEAD,
		    after_ms(conn, conn->httpd->config.head_limit_ms));
		return take_head(conn, data);
	case SYNQ_CONN_HEAD:
		return take_head(conn, data);
	case SYNQ_CONN_BODY:
		if (conn->exchange->head.framing == SYNQ_PARSE_CHUNKED)
			return take_chunks(conn, data);
		return take_length(conn, data);
	case SYNQ_CONN_ANSWER:
	case SYNQ_CONN_LINGER:
	case SYNQ_CONN_CLOSED:
		break;
	}
	return 0;
}

/* Handle ${data} as far as it goes; returns how many bytes are done with. */
static size_t
take(struct synq_httpd_conn *conn, struct synq_slice data)
{
	size_t at = 0;

	for (;;) {
		enum synq_httpd_conn_state before = conn->state;
		size_t n = 0;

		if (at < data.bytes)
			n = take_step(conn,
			    synq_slice_of(data.data + at, data.bytes - at));
		at += n;
		if (conn->wants_flush)
			conn_send(conn);
		if (conn->state == SYNQ_CONN_CLOSED)
			return at;
		if (at == data.bytes || (n == 0 && conn->state == before))
			return at;
	}
}

/* Handle what is in conn->in, with the answers sent at once. */
static void
conn_take_all(struct synq_httpd_conn *conn)
{
	struct synq_httpd_conn *busy = conn->httpd->busy;
	size_t done;

	if (conn->state == SYNQ_CONN_CLOSED)
		return;
	if (conn->in.bytes > 0) {
		conn->httpd->busy = conn;
		done = take(conn, synq_buf_view(&conn->in));
		conn->httpd->busy = busy;
		if (conn->state == SYNQ_CONN_CLOSED)
			return;
		if (done >= conn->in.bytes)
			synq_buf_done(&conn->in);
		else
			synq_buf_consume(&conn->in, done);
	}
	set_interest(conn);
}

/* ---- events ---- */

/* ${data} has arrived, in the buffer that all connections share. */
static void
conn_input(struct synq_httpd_conn *conn, struct synq_slice data)
{
	size_t done;

	if (conn->in.bytes > 0) {
		synq_buf_slice(&conn->in, data);
		conn_take_all(conn);
		return;
	}
	conn->httpd->busy = conn;
	done = take(conn, data);
	conn->httpd->busy = NULL;
	if (conn->state == SYNQ_CONN_CLOSED)
		return;
	if (done < data.bytes) {
		synq_buf_init(&conn->in, conn->httpd->config.max_head_bytes +
					     (size_t)2 * SYNQ_HTTPD_READ_BYTES);
		synq_buf_add(&conn->in, data.data + done, data.bytes - done);
	}
	set_interest(conn);
}

static void
conn_readable(struct synq_httpd_conn *conn)
{
	struct synq_httpd *httpd = conn->httpd;
	size_t room = sizeof(httpd->input);
	ssize_t n;

	if (conn->state == SYNQ_CONN_ANSWER && !conn->deaf) {
		if (conn->in.bytes >= EARLY_BYTES)
			return;
		room = EARLY_BYTES - conn->in.bytes;
	}
	n = recv(conn->fd, httpd->input, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || conn->thrown_bytes > THROWN_BYTES) {
		synq_httpd_conn_close(conn);
		return;
	}
	conn_input(conn, synq_slice_of(httpd->input, (size_t)n));
}

static void
on_event(void *ctx, unsigned events)
{
	struct synq_httpd_conn *conn = ctx;

	if (events & SYNQ_WRITABLE)
		synq_httpd_conn_flush(conn);
	if ((events & SYNQ_READABLE) && conn->state != SYNQ_CONN_CLOSED)
		conn_readable(conn);
}

void
synq_httpd_conn_expire(struct synq_httpd_conn *conn)
{
	int answers =
	    conn->state == SYNQ_CONN_HEAD || conn->state == SYNQ_CONN_BODY;

	if (!answers || conn->exchange->begun) {
		synq_httpd_conn_close(conn);
		return;
	}
	synq_httpd_conn_refuse(conn, 408, "the request took too long");
	synq_httpd_conn_flush(conn);
}

/* ---- the beginning ---- */

struct synq_httpd_conn *
synq_httpd_conn_open(struct synq_httpd *httpd, int fd)
{
	struct synq_httpd_conn *conn = synq_mem_new(sizeof(*conn));

	conn->httpd = httpd;
	conn->fd = fd;
	if (synq_watch_new(httpd->loop, fd, on_event, conn, &conn->watch) !=
	    0) {
		close(fd);
		synq_mem_free(conn);
		return NULL;
	}
	synq_list_push(&httpd->conns, &conn->link);
	/* Who connects has a request: the first one gets less than idle. */
	move(conn, SYNQ_CONN_IDLE, after_ms(conn, httpd->config.head_limit_ms));
	set_interest(conn);
	return conn;
}
