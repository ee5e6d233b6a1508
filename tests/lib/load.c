/*
 * A connection is lost -> idle -> asking -> reading -> idle.  A kind that asks
 * twice goes from reading to asking with the second request.  Whatever breaks
 * makes it lost; it is connected again after a pause, at the next port.
 */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512
#define RECONNECT_NS 20000000ULL
#define MAX_KEYS 4096

struct load_conn {
	struct load_conn *next; /* idle or lost */
	int fd;
	unsigned number;
	int is_out;        /* a request without its answer */
	int is_fetching;   /* the second request */
	uint32_t interest; /* what epoll watches for */
	uint64_t due_ns;   /* idle since, or when the request was due */
	uint64_t again_ns; /* lost: not before */
	struct iovec parts[2];
	size_t have;      /* bytes in room */
	size_t body_left; /* of the answer, once its head is read */
	int status;       /* 0 = the head is not there yet */
	char job[128];    /* what Location names */
	char fetch[512];
	char room[LOAD_ROOM];
};

uint64_t
load_now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * 1000000000ULL + (uint64_t)at.tv_nsec;
}

/* ---- connecting ---------------------------------------------------------- */

static void
watch(struct load *load, struct load_conn *conn, uint32_t interest)
{
	struct epoll_event event = { .events = interest, .data.ptr = conn };

	if (conn->interest == interest)
		return;
	epoll_ctl(load->epoll_fd,
	    conn->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, conn->fd,
	    &event);
	conn->interest = interest;
}

static void
lose(struct load *load, struct load_conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	if (conn->is_out) {
		load->out--;
		load->cut++;
	}
	conn->fd = -1;
	conn->is_out = 0;
	conn->interest = 0;
	conn->number++;
	conn->again_ns = load_now_ns() + RECONNECT_NS;
	conn->next = load->lost;
	load->lost = conn;
}

static void
rest(struct load *load, struct load_conn *conn)
{
	conn->next = load->idle;
	load->idle = conn;
}

/* On loopback a connection is made or refused at once. */
static int
connect_one(struct load *load, struct load_conn *conn)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port =
		    htons(load->ports[conn->number % load->port_count]) };
	int on = 1;

	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0 ||
	    connect(conn->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		load->refused++;
		lose(load, conn);
		return -1;
	}
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	conn->have = 0;
	conn->status = 0;
	watch(load, conn, EPOLLIN);
	return 0;
}

static void
reconnect(struct load *load, uint64_t now_ns)
{
	struct load_conn *conn = load->lost;

	load->lost = NULL;
	while (conn != NULL) {
		struct load_conn *next = conn->next;

		if (conn->again_ns > now_ns) {
			conn->next = load->lost;
			load->lost = conn;
		} else if (connect_one(load, conn) == 0) {
			rest(load, conn);
		}
		conn = next;
	}
}

/* ---- asking -------------------------------------------------------------- */

static void
send_rest(struct load *load, struct load_conn *conn)
{
	struct msghdr message = { .msg_iov = conn->parts, .msg_iovlen = 2 };
	ssize_t n = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	size_t i;

	if (n < 0 && errno != EAGAIN) {
		lose(load, conn);
		return;
	}
	for (i = 0; i < 2 && n > 0; i++) {
		size_t taken = (size_t)n < conn->parts[i].iov_len
		                   ? (size_t)n
		                   : conn->parts[i].iov_len;

		conn->parts[i].iov_base =
		    (char *)conn->parts[i].iov_base + taken;
		conn->parts[i].iov_len -= taken;
		n -= (ssize_t)taken;
	}
	watch(load, conn,
	    conn->parts[0].iov_len + conn->parts[1].iov_len > 0
		? EPOLLIN | EPOLLOUT
		: EPOLLIN);
}

static void
ask(struct load *load, struct load_conn *conn, uint64_t due_ns)
{
	size_t key = load->started % load->key_count;
	size_t body = load->started % load->body_count;

	load->started++;
	load->out++;
	conn->is_out = 1;
	conn->is_fetching = 0;
	conn->due_ns = due_ns;
	conn->parts[0].iov_base = load->heads[key];
	conn->parts[0].iov_len = load->head_bytes[key];
	conn->parts[1].iov_base = load->bodies + body * load->body_bytes;
	conn->parts[1].iov_len = load->body_bytes;
	/* The second request is for whom the first was. */
	if (load->kind == LOAD_RESULT)
		memcpy(conn->fetch, load->heads[key], sizeof(conn->fetch));
	send_rest(load, conn);
}

/* The second request, with the Authorization line of the first. */
static void
ask_result(struct load *load, struct load_conn *conn)
{
	char credential[256];
	const char *from = strstr(conn->fetch, "Authorization");
	const char *end = from != NULL ? strstr(from, "\r\n") : NULL;
	int n;

	if (end == NULL || (size_t)(end - from) >= sizeof(credential)) {
		lose(load, conn);
		return;
	}
	memcpy(credential, from, (size_t)(end - from));
	credential[end - from] = '\0';
	n = snprintf(conn->fetch, sizeof(conn->fetch),
	    "GET %s/result?wait=30 HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n",
	    conn->job, credential);
	conn->is_fetching = 1;
	conn->parts[0].iov_base = conn->fetch;
	conn->parts[0].iov_len = (size_t)n;
	conn->parts[1].iov_len = 0;
	send_rest(load, conn);
}

/* Ask again, or rest; in the open loop what is due is started elsewhere. */
static void
go_on(struct load *load, struct load_conn *conn)
{
	int enough = load->phase == LOAD_DRAINING ||
	             (load->count > 0 && load->started >= load->count);

	if (load->rate > 0 || enough)
		rest(load, conn);
	else
		ask(load, conn, load_now_ns());
}

/* ---- answers ------------------------------------------------------------- */

static void
count_answer(struct load *load, struct load_conn *conn)
{
	uint64_t now_ns = load_now_ns();
	size_t second = (size_t)((now_ns - load->start_ns) / 1000000000ULL);
	int good = conn->status >= 200 && conn->status < 300;

	load->answers++;
	load->out--;
	conn->is_out = 0;
	load->good += (uint64_t)good;
	if (conn->status < LOAD_STATUSES)
		load->statuses[conn->status]++;
	if (good && second < LOAD_SECONDS) {
		load->per_second[second]++;
		if (second >= load->seconds_seen)
			load->seconds_seen = second + 1;
	}
	/* In the open loop by when it was due: a stall must not hide what it
	 * delayed beyond the window. */
	if (load->phase == LOAD_MEASURING ||
	    (load->rate > 0 && conn->due_ns >= load->window_from_ns &&
		load->phase == LOAD_DRAINING)) {
		load->good_measured += (uint64_t)good;
		histogram_add(&load->seen, now_ns - conn->due_ns);
	}
	if (load->log != NULL) {
		struct timespec wall;

		clock_gettime(CLOCK_REALTIME, &wall);
		fprintf(load->log, "%lld %d %s\n",
		    (long long)wall.tv_sec * 1000000 + wall.tv_nsec / 1000,
		    conn->status, conn->job[0] != '\0' ? conn->job + 9 : "-");
	}
}

static void
answered(struct load *load, struct load_conn *conn)
{
	int status = conn->status;

	conn->have = 0;
	if (load->kind == LOAD_RESULT && status == 202 &&
	    conn->job[0] != '\0') {
		conn->status = 0;
		ask_result(load, conn);
		return;
	}
	count_answer(load, conn);
	conn->status = 0;
	conn->job[0] = '\0';
	go_on(load, conn);
}

/* What the head line at ${line} says, as far as it matters here. */
static void
read_line(struct load_conn *conn, const char *line, const char *end)
{
	static const char length[] = "content-length:";
	static const char location[] = "location: ";
	size_t bytes;

	if (strncasecmp(line, length, sizeof(length) - 1) == 0)
		conn->body_left = strtoul(line + sizeof(length) - 1, NULL, 10);
	if (strncasecmp(line, location, sizeof(location) - 1) != 0)
		return;
	line += sizeof(location) - 1;
	bytes = (size_t)(end - line);
	if (bytes < sizeof(conn->job)) {
		memcpy(conn->job, line, bytes);
		conn->job[bytes] = '\0';
	}
}

/* Returns 0 when there is a head or may still be one. */
static int
read_head(struct load_conn *conn)
{
	const char *end = memmem(conn->room, conn->have, "\r\n\r\n", 4);
	const char *line = conn->room;
	size_t bytes;

	if (end == NULL)
		return conn->have < LOAD_ROOM ? 0 : -1;
	if (conn->have < 13 || memcmp(line, "HTTP/1.1 ", 9) != 0)
		return -1;
	conn->body_left = SIZE_MAX;
	conn->status = (int)strtol(line + 9, NULL, 10);
	while (line < end) {
		const char *next =
		    memmem(line, (size_t)(end - line) + 2, "\r\n", 2);

		read_line(conn, line, next);
		line = next + 2;
	}
	if (conn->body_left == SIZE_MAX)
		return -1;
	bytes = (size_t)(conn->room + conn->have - end) - 4;
	conn->body_left -= bytes < conn->body_left ? bytes : conn->body_left;
	return 0;
}

static void
receive(struct load *load, struct load_conn *conn)
{
	size_t at = conn->status == 0 ? conn->have : 0;
	ssize_t n =
	    recv(conn->fd, conn->room + at, LOAD_ROOM - at, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	/* Nobody said anything on a connection that rests, so that it ends. */
	if (n <= 0 || !conn->is_out) {
		struct load_conn **link = &load->idle;

		while (*link != NULL && *link != conn)
			link = &(*link)->next;
		if (*link != NULL)
			*link = conn->next;
		lose(load, conn);
		return;
	}
	if (conn->status == 0) {
		conn->have += (size_t)n;
		if (read_head(conn) != 0) {
			lose(load, conn);
			return;
		}
	} else {
		conn->body_left -=
		    (size_t)n < conn->body_left ? (size_t)n : conn->body_left;
	}
	if (conn->status != 0 && conn->body_left == 0)
		answered(load, conn);
}

/* ---- a turn -------------------------------------------------------------- */

static uint64_t
due_of(const struct load *load, uint64_t number)
{
	return load->start_ns + (uint64_t)((double)number * 1e9 / load->rate);
}

/* Returns for how many ns there is nothing to start. */
static uint64_t
start_due(struct load *load)
{
	uint64_t now_ns = load_now_ns();

	if (load->lost != NULL)
		reconnect(load, now_ns);
	while (load->idle != NULL && load->phase != LOAD_DRAINING &&
	       (load->count == 0 || load->started < load->count)) {
		struct load_conn *conn = load->idle;
		uint64_t due_ns =
		    load->rate > 0 ? due_of(load, load->started) : now_ns;

		if (due_ns > now_ns)
			return due_ns - now_ns < 1000000 ? due_ns - now_ns
			                                 : 1000000;
		load->idle = conn->next;
		ask(load, conn, due_ns);
	}
	return 1000000;
}

void
load_turn(struct load *load)
{
	struct epoll_event events[EVENTS];
	struct timespec pause = { .tv_nsec = (long)start_due(load) };
	int n = epoll_pwait2(load->epoll_fd, events, EVENTS, &pause, NULL);
	int i;

	for (i = 0; i < n; i++) {
		struct load_conn *conn = events[i].data.ptr;

		if ((events[i].events & EPOLLOUT) != 0)
			send_rest(load, conn);
		if (conn->fd >= 0 &&
		    (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
			receive(load, conn);
	}
}

/* ---- opening ------------------------------------------------------------- */

static int
add_key(struct load *load, const char *key)
{
	size_t room = 512;
	char *head = calloc(1, room);
	int n;

	if (head == NULL)
		return -1;
	load->heads[load->key_count] = head;
	n = snprintf(head, room,
	    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    load->kind == LOAD_CHAT ? "/v1/chat/completions" : "/v1/jobs", key,
	    load->body_bytes);
	if (n < 0 || (size_t)n >= room)
		return -1;
	load->head_bytes[load->key_count++] = (size_t)n;
	return 0;
}

static int
read_keys(struct load *load)
{
	char line[256];
	FILE *file = fopen(load->keys_path, "re");
	int rc = file != NULL ? 0 : -1;

	load->heads = calloc(MAX_KEYS, sizeof(*load->heads));
	load->head_bytes = calloc(MAX_KEYS, sizeof(*load->head_bytes));
	if (load->heads == NULL || load->head_bytes == NULL)
		rc = -1;
	while (rc == 0 && load->key_count < MAX_KEYS &&
	       fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0')
			rc = add_key(load, line);
	}
	if (file != NULL)
		fclose(file);
	if (rc != 0 || load->key_count == 0) {
		fprintf(stderr, "load: no keys in %s\n", load->keys_path);
		return -1;
	}
	return 0;
}

int
load_open(struct load *load)
{
	unsigned i;

	if (read_keys(load) != 0)
		return -1;
	load->conns = calloc(load->conn_count, sizeof(*load->conns));
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load->conns == NULL || load->epoll_fd < 0)
		return -1;
	for (i = 0; i < load->conn_count; i++) {
		struct load_conn *conn = &load->conns[i];

		conn->number = i;
		if (connect_one(load, conn) != 0) {
			fprintf(stderr, "load: port %u: %s\n",
			    load->ports[i % load->port_count], strerror(errno));
			return -1;
		}
		rest(load, conn);
	}
	return 0;
}
