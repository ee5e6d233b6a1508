/*
 * Happy path: the listening socket is readable -> accept4 up to a batch -> one
 * struct synq_httpd_conn each.  Answers that programs give outside of the
 * connection's own input mark it; marked connections are flushed at the end of
 * the turn, and closed ones freed, both in flush().
 *
 * Failure modes: above max_connections (or the share of one address) a
 * connection is accepted, told 503 (429) and closed; of those at most
 * MAX_REFUSED exist, further ones are closed at once.  max_connections is never
 * above what the limit of descriptors allows; no descriptors left all the same:
 * accepting pauses for PAUSE_US.
 */

#include "httpd/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "httpd/address.h"
#include "httpd/conn.h"
#include "httpd/exchange.h"

#define ACCEPT_BATCH 64
#define BACKLOG 4096
#define MAX_REFUSED 64
#define PAUSE_US 100000
/* Of the limit of descriptors, kept for all that is no client. */
#define SPARE_DESCRIPTORS (256 + MAX_REFUSED)

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

/* ---- the end of the turn ---- */

static void
destroy(struct synq_httpd *httpd)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&httpd->exchanges)) != NULL) {
		struct synq_exchange *exchange =
		    SYNQ_CONTAINER(link, struct synq_exchange, link);

		synq_exchange_free(&exchange);
	}
	synq_map_free(&httpd->addresses);
	synq_heap_done(&httpd->deadlines);
	synq_mem_free(httpd);
}

static void
free_dead(struct synq_httpd *httpd)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&httpd->dead)) != NULL) {
		struct synq_httpd_conn *conn =
		    SYNQ_CONTAINER(link, struct synq_httpd_conn, link);

		synq_buf_done(&conn->in);
		synq_mem_free(conn);
	}
}

static void
flush(void *ctx)
{
	struct synq_httpd *httpd = ctx;
	struct synq_link *link;
	void (*fn)(void *) = NULL;

	httpd->flush_due = 0;
	httpd->flushing = 1;
	while ((link = synq_list_shift(&httpd->dirty)) != NULL)
		synq_httpd_conn_flush(
		    SYNQ_CONTAINER(link, struct synq_httpd_conn, dirty));
	free_dead(httpd);
	if (httpd->draining && httpd->conns.count == 0) {
		fn = httpd->drain_fn;
		httpd->drain_fn = NULL;
	}
	if (fn)
		fn(httpd->drain_ctx);
	httpd->flushing = 0;
	if (httpd->freeing && !httpd->flush_due)
		destroy(httpd);
}

static void
flush_later(struct synq_httpd *httpd)
{
	if (httpd->flush_due)
		return;
	httpd->flush_due = 1;
	synq_loop_defer(httpd->loop, flush, httpd);
}

void
synq_httpd_mark(struct synq_httpd_conn *conn)
{
	struct synq_httpd *httpd = conn->httpd;

	if (conn->state == SYNQ_CONN_CLOSED)
		return;
	if (httpd->busy == conn) {
		conn->wants_flush = 1;
		return;
	}
	if (synq_link_used(&conn->dirty))
		return;
	synq_list_push(&httpd->dirty, &conn->dirty);
	if (!httpd->flushing)
		flush_later(httpd);
}

void
synq_httpd_bury(struct synq_httpd_conn *conn)
{
	synq_list_push(&conn->httpd->dead, &conn->link);
	flush_later(conn->httpd);
}

/* ---- deadlines ---- */

void
synq_httpd_arm(struct synq_httpd *httpd, uint64_t deadline_us)
{
	uint64_t now_us = synq_loop_now_us(httpd->loop);

	if (deadline_us >= httpd->timer_us)
		return;
	httpd->timer_us = deadline_us;
	synq_timer_start(
	    httpd->timer, deadline_us > now_us ? deadline_us - now_us : 0);
}

static void
on_timer(void *ctx)
{
	struct synq_httpd *httpd = ctx;
	uint64_t now_us = synq_loop_now_us(httpd->loop);
	struct synq_heap_node *node;

	httpd->timer_us = UINT64_MAX;
	while ((node = synq_heap_first(&httpd->deadlines)) != NULL &&
	       node->key <= now_us) {
		struct synq_httpd_conn *conn =
		    SYNQ_CONTAINER(node, struct synq_httpd_conn, node);

		synq_heap_remove(&httpd->deadlines, node);
		if (conn->deadline_us > now_us)
			synq_heap_push(
			    &httpd->deadlines, node, conn->deadline_us);
		else if (conn->deadline_us > 0)
			synq_httpd_conn_expire(conn);
		if (httpd->freeing)
			return;
	}
	if (node)
		synq_httpd_arm(httpd, node->key);
}

/* ---- the date ---- */

static void
format_date(char date[SYNQ_HTTPD_DATE_BYTES + 1], int64_t now_s)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	const time_t now = (time_t)now_s;
	struct tm tm;

	gmtime_r(&now, &tm);
	/* The remainders tell the compiler how long each number is. */
	snprintf(date, SYNQ_HTTPD_DATE_BYTES + 1,
	    "Date: %s, %02u %s %04u %02u:%02u:%02u GMT\r\n",
	    days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100,
	    months[tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000,
	    (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
	    (unsigned)tm.tm_sec % 100);
}

const char *
synq_httpd_date(struct synq_httpd *httpd)
{
	int64_t now_s = synq_loop_wall_us(httpd->loop) / 1000000;

	if (now_s != httpd->date_s) {
		format_date(httpd->date, now_s);
		httpd->date_s = now_s;
	}
	return httpd->date;
}

/* ---- accepting ---- */

/* Tell a connection that is above a limit so. */
static void
turn_away(struct synq_httpd_conn *conn, int status, const char *reason)
{
	conn->surplus = 1;
	conn->httpd->refused++;
	conn->exchange = synq_exchange_take(conn);
	synq_httpd_conn_refuse(conn, status, reason);
}

/*
 * Only MAX_REFUSED are told why: they linger, and who fills one limit must not
 * fill the descriptors by being told.
 */
static void
welcome(struct synq_httpd *httpd, int fd, const struct sockaddr *from)
{
	const struct synq_httpd_config *config = &httpd->config;
	const uint32_t share = config->max_address_connections;
	int is_full =
	    httpd->conns.count - httpd->refused >= config->max_connections;
	struct synq_httpd_address *address = NULL;
	struct synq_httpd_conn *conn;
	const int on = 1;

	if (share > 0 && !is_full)
		address = synq_httpd_enter(httpd->addresses, from);
	if ((is_full || (address && address->count > share)) &&
	    httpd->refused >= MAX_REFUSED) {
		synq_httpd_leave(httpd->addresses, &address);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	conn = synq_httpd_conn_open(httpd, fd);
	if (!conn) {
		synq_httpd_leave(httpd->addresses, &address);
		return;
	}
	synq_httpd_peer(from, conn->peer);
	conn->address = address;
	if (is_full)
		turn_away(conn, 503, "there are too many connections");
	else if (address && address->count > share)
		turn_away(conn, 429,
		    "there are too many connections from this address");
}

static void
on_accept(void *ctx, SYNQ_UNUSED unsigned events)
{
	struct synq_httpd *httpd = ctx;

	for (int i = 0; i < ACCEPT_BATCH && !httpd->draining; i++) {
		union any_address from;
		socklen_t bytes = sizeof(from);
		int fd = accept4(
		    httpd->fd, &from.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			welcome(httpd, fd, &from.any);
			continue;
		}
		if (errno == ECONNABORTED || errno == EINTR)
			continue;
		if (errno != EAGAIN) {
			/* Without a descriptor to give, the socket stays
			 * readable: trying at once would spin. */
			synq_watch_set(httpd->watch, 0);
			synq_timer_start(httpd->pause, PAUSE_US);
		}
		return;
	}
}

static void
on_pause_end(void *ctx)
{
	struct synq_httpd *httpd = ctx;

	if (!httpd->draining)
		synq_watch_set(httpd->watch, SYNQ_READABLE);
}

/* ---- life ---- */

static socklen_t
parse_address(const struct synq_httpd_config *config, union any_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, config->host, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(config->port);
		return sizeof(ret->v4);
	}
	if (inet_pton(AF_INET6, config->host, &ret->v6.sin6_addr) == 1) {
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htons(config->port);
		return sizeof(ret->v6);
	}
	return 0;
}

static int
open_socket(struct synq_httpd *httpd, struct synq_err *err)
{
	const struct synq_httpd_config *config = &httpd->config;
	union any_address at;
	socklen_t bytes = parse_address(config, &at);
	const int on = 1;

	if (bytes == 0)
		return synq_fail(err, SYNQ_E_INVALID,
		    "'%s' is not a numeric address", config->host);
	httpd->fd = socket(
	    at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (httpd->fd < 0)
		return synq_fail(err, SYNQ_E_SYSTEM, "socket: error %d", errno);
	setsockopt(httpd->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (config->share_port)
		setsockopt(
		    httpd->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(httpd->fd, &at.any, bytes) != 0 ||
	    listen(httpd->fd, BACKLOG) != 0) {
		if (errno == EADDRINUSE)
			return synq_fail(err, SYNQ_E_CONFLICT,
			    "port %u of %s is in use", config->port,
			    config->host);
		return synq_fail(err, SYNQ_E_SYSTEM, "listen on %s port %u: %s",
		    config->host, config->port, strerror(errno));
	}
	bytes = sizeof(at);
	if (getsockname(httpd->fd, &at.any, &bytes) != 0)
		return synq_fail(
		    err, SYNQ_E_SYSTEM, "getsockname: error %d", errno);
	httpd->port = ntohs(
	    at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
	return 0;
}

/*
 * As many connections as there are descriptors, less some: the process needs
 * its own ones, to its stores, most when clients are many.
 */
static uint32_t
limit_connections(uint32_t wanted)
{
	struct rlimit files;
	rlim_t most;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    files.rlim_cur == RLIM_INFINITY)
		return wanted;
	most = files.rlim_cur > 2 * SPARE_DESCRIPTORS
	           ? files.rlim_cur - SPARE_DESCRIPTORS
	           : files.rlim_cur / 2;
	return wanted < most ? wanted : (uint32_t)most;
}

static void
fill_config(
    struct synq_httpd_config *own, const struct synq_httpd_config *config)
{
	*own = *config;
	if (own->max_connections == 0)
		own->max_connections = 10000;
	own->max_connections = limit_connections(own->max_connections);
	if (own->max_head_bytes == 0)
		own->max_head_bytes = 32768;
	if (own->head_limit_ms == 0)
		own->head_limit_ms = 10000;
	if (own->body_limit_ms == 0)
		own->body_limit_ms = 30000;
	if (own->idle_limit_ms == 0)
		own->idle_limit_ms = 60000;
	if (own->write_limit_ms == 0)
		own->write_limit_ms = 30000;
}

int
synq_httpd_new(struct synq_loop *loop, const struct synq_httpd_config *config,
    struct synq_httpd **ret, struct synq_err *err)
{
	struct synq_httpd *httpd = synq_mem_new(sizeof(*httpd));
	int rc;

	httpd->loop = loop;
	httpd->fd = -1;
	httpd->timer_us = UINT64_MAX;
	fill_config(&httpd->config, config);
	synq_list_init(&httpd->conns);
	synq_list_init(&httpd->dirty);
	synq_list_init(&httpd->dead);
	synq_list_init(&httpd->exchanges);
	synq_heap_init(&httpd->deadlines);
	httpd->addresses = synq_map_new();
	httpd->timer = synq_timer_new(loop, on_timer, httpd);
	httpd->pause = synq_timer_new(loop, on_pause_end, httpd);

	rc = open_socket(httpd, err);
	if (rc != 0)
		goto fail;
	rc = synq_watch_new(loop, httpd->fd, on_accept, httpd, &httpd->watch);
	if (rc != 0) {
		synq_fail(err, SYNQ_E_SYSTEM, "watch the listening socket");
		goto fail;
	}
	synq_watch_set(httpd->watch, SYNQ_READABLE);
	*ret = httpd;
	return 0;

fail:
	synq_httpd_free(&httpd);
	return rc;
}

uint16_t
synq_httpd_port(const struct synq_httpd *httpd)
{
	return httpd->port;
}

size_t
synq_httpd_connections(const struct synq_httpd *httpd)
{
	return httpd->conns.count;
}

static void
stop_accepting(struct synq_httpd *httpd)
{
	synq_watch_free(&httpd->watch);
	synq_timer_free(&httpd->pause);
	if (httpd->fd >= 0)
		close(httpd->fd);
	httpd->fd = -1;
}

void
synq_httpd_drain(struct synq_httpd *httpd, void (*fn)(void *ctx), void *ctx)
{
	struct synq_link *link, *after;

	httpd->draining = 1;
	httpd->drain_fn = fn;
	httpd->drain_ctx = ctx;
	stop_accepting(httpd);
	synq_list_foreach (&httpd->conns, link, after) {
		struct synq_httpd_conn *conn =
		    SYNQ_CONTAINER(link, struct synq_httpd_conn, link);

		if (conn->state == SYNQ_CONN_IDLE)
			synq_httpd_conn_close(conn);
	}
	flush_later(httpd);
}

void
synq_httpd_free(struct synq_httpd **httpd_ptr)
{
	struct synq_httpd *httpd = *httpd_ptr;
	struct synq_link *link;

	if (!httpd)
		return;
	*httpd_ptr = NULL;
	httpd->freeing = 1;
	while ((link = synq_list_first(&httpd->conns)) != NULL)
		synq_httpd_conn_close(
		    SYNQ_CONTAINER(link, struct synq_httpd_conn, link));
	stop_accepting(httpd);
	synq_timer_free(&httpd->timer);
	/* A flush that is due or running frees the rest. */
	if (!httpd->flush_due && !httpd->flushing)
		destroy(httpd);
}
