/*
 * Slow clients, and a good one beside them.
 *
 *	slow hold PORT KEY COUNT [SECONDS]   until standard input ends
 *	slow probe PORT KEY COUNT INTERVAL_US
 *
 * "hold" keeps COUNT connections open: a quarter each drips header lines, drips
 * bytes of a body, keeps silent from the start, and idles behind an answer.  A
 * drop falls every SECONDS (default 5) on each; what the server ends is opened
 * anew.  It says "ready" when all were open, and at its end how many were
 * opened, ended by the server and not let in.
 *
 * "probe" sends one good request every INTERVAL_US on one connection and prints
 * how long each took, in nanoseconds.
 *
 * Everything happens on one thread over epoll.  Connections come from eight
 * addresses, so that ports suffice and no address has more than its share.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 10
#define OPEN_PER_TICK 100
#define EVENTS 512
#define ADDRESSES 8
#define TEXT_BYTES 512

enum kind { HEAD_DRIPS, BODY_DRIPS, SILENT, IDLE, KINDS };

struct client {
	int fd; /* -1 = to be opened */
	enum kind kind;
	int asked; /* what it sends at once was sent */
	uint32_t number;
};

struct crowd {
	struct client *clients;
	uint32_t count;
	uint32_t cursor; /* the next on which a drop falls */
	uint32_t open;
	uint32_t unopened; /* from here on they never were */
	uint64_t opened;
	uint64_t ended;
	uint64_t not_let_in;
	double interval_s;
	int epoll_fd;
	uint16_t port;
	char first[KINDS][TEXT_BYTES];
};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void
raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		die("getrlimit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		die("setrlimit");
}

/* A socket on its way to ${port}, from the address number ${from}. */
static int
dial(uint16_t port, uint32_t from, int flags)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	struct sockaddr_in own = { .sin_family = AF_INET };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	if (fd < 0)
		die("socket");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + from % ADDRESSES);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&own, sizeof(own)) != 0)
		die("bind");
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 &&
	    errno != EINPROGRESS)
		die("connect");
	return fd;
}

/* ---- hold ---- */

static void
open_client(struct crowd *crowd, struct client *client)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT,
		.data.ptr = client };

	client->fd = dial(crowd->port, client->number, SOCK_NONBLOCK);
	client->asked = 0;
	if (epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) != 0)
		die("epoll_ctl");
	crowd->open++;
	crowd->opened++;
}

static void
close_client(struct crowd *crowd, struct client *client)
{
	close(client->fd);
	client->fd = -1;
	crowd->open--;
	crowd->ended++;
}

/* The connection of ${client} stands: send what is due at once. */
static void
begin(struct crowd *crowd, struct client *client)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
	const char *text = crowd->first[client->kind];

	client->asked = 1;
	if (epoll_ctl(crowd->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) != 0)
		die("epoll_ctl");
	/* Who cannot send finds out when it reads. */
	(void)!send(client->fd, text, strlen(text), MSG_NOSIGNAL);
}

static void
hear(struct crowd *crowd, struct client *client)
{
	char answer[4096];
	ssize_t n = recv(client->fd, answer, sizeof(answer) - 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		answer[n] = '\0';
		if (strstr(answer, " 503 ") || strstr(answer, " 429 "))
			crowd->not_let_in++;
		return;
	}
	close_client(crowd, client);
}

/* A drop on ${client}, or its next connection. */
static void
drip(struct crowd *crowd, struct client *client)
{
	const char *drop = client->kind == HEAD_DRIPS   ? "x: y\r\n"
	                   : client->kind == BODY_DRIPS ? "x"
	                                                : "";

	if (client->fd < 0)
		open_client(crowd, client);
	else if (client->asked && *drop)
		(void)!send(client->fd, drop, strlen(drop), MSG_NOSIGNAL);
}

static void
tick(struct crowd *crowd)
{
	double share =
	    (double)crowd->count * TICK_MS / (crowd->interval_s * 1000);
	uint32_t drops = (uint32_t)share + 1;

	for (int i = 0; i < OPEN_PER_TICK && crowd->unopened < crowd->count;
	     i++)
		open_client(crowd, &crowd->clients[crowd->unopened++]);
	if (crowd->unopened < crowd->count)
		return;
	for (uint32_t i = 0; i < drops; i++) {
		drip(crowd, &crowd->clients[crowd->cursor]);
		crowd->cursor = (crowd->cursor + 1) % crowd->count;
	}
}

static void
handle_events(struct crowd *crowd, int wait_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(crowd->epoll_fd, events, EVENTS, wait_ms);

	for (int i = 0; i < n; i++) {
		struct client *client = events[i].data.ptr;

		if ((events[i].events & EPOLLOUT) && !client->asked)
			begin(crowd, client);
		if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			hear(crowd, client);
	}
}

static void
write_texts(struct crowd *crowd, const char *key)
{
	snprintf(crowd->first[HEAD_DRIPS], TEXT_BYTES,
	    "GET /v1/models HTTP/1.1\r\nhost: synq\r\n");
	snprintf(crowd->first[BODY_DRIPS], TEXT_BYTES,
	    "POST /v1/jobs HTTP/1.1\r\nhost: synq\r\n"
	    "authorization: Bearer %s\r\ncontent-type: application/json\r\n"
	    "content-length: 100000\r\n\r\n",
	    key);
	snprintf(crowd->first[IDLE], TEXT_BYTES,
	    "GET /v1/models/fast HTTP/1.1\r\nhost: synq\r\n"
	    "authorization: Bearer %s\r\n\r\n",
	    key);
}

static int
input_ended(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, 0) > 0;
}

static int
hold(uint16_t port, const char *key, uint32_t count, double interval_s)
{
	struct crowd crowd = { .count = count,
		.port = port,
		.interval_s = interval_s,
		.epoll_fd = epoll_create1(0) };
	uint64_t next_ns = now_ns();
	int is_told = 0;

	if (crowd.epoll_fd < 0)
		die("epoll_create1");
	raise_limit();
	write_texts(&crowd, key);
	crowd.clients = calloc(count, sizeof(*crowd.clients));
	if (!crowd.clients)
		die("calloc");
	for (uint32_t i = 0; i < count; i++)
		crowd.clients[i] = (struct client){ .fd = -1,
			.kind = (enum kind)(i % KINDS),
			.number = i / KINDS };

	while (!input_ended()) {
		uint64_t at_ns = now_ns();

		if (at_ns >= next_ns) {
			tick(&crowd);
			next_ns = at_ns + TICK_MS * 1000000U;
		}
		handle_events(&crowd, TICK_MS / 2);
		if (!is_told && crowd.unopened == count) {
			printf("ready\n");
			fflush(stdout);
			is_told = 1;
		}
	}
	printf("%u open, %lu opened, %lu ended, %lu not let in\n", crowd.open,
	    (unsigned long)crowd.opened, (unsigned long)crowd.ended,
	    (unsigned long)crowd.not_let_in);
	free(crowd.clients);
	close(crowd.epoll_fd);
	return 0;
}

/* ---- probe ---- */

/* One request and its whole answer, which is small and must be 200. */
static void
ask(int fd, const char *request)
{
	char answer[8192];
	size_t bytes = 0;
	const char *body = NULL, *length = NULL;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		die("send");
	while (!body || !length ||
	       bytes < (size_t)(body - answer) + strtoul(length, NULL, 10)) {
		ssize_t n =
		    recv(fd, answer + bytes, sizeof(answer) - 1 - bytes, 0);

		if (n <= 0)
			die("the good client was ended");
		bytes += (size_t)n;
		answer[bytes] = '\0';
		body = strstr(answer, "\r\n\r\n");
		body = body ? body + 4 : NULL;
		length = strstr(answer, "Content-Length: ");
		length = length ? length + 16 : NULL;
	}
	if (strncmp(answer, "HTTP/1.1 200", 12) != 0) {
		fprintf(stderr, "the good client got: %.60s\n", answer);
		exit(1);
	}
}

static int
probe(uint16_t port, const char *key, uint32_t count, uint64_t interval_ns)
{
	char request[TEXT_BYTES];
	int fd = dial(port, 0, 0);
	uint64_t due_ns = now_ns();

	snprintf(request, sizeof(request),
	    "GET /v1/models/fast HTTP/1.1\r\nhost: synq\r\n"
	    "authorization: Bearer %s\r\n\r\n",
	    key);
	for (uint32_t i = 0; i < count; i++) {
		struct timespec pause = { 0 };
		uint64_t at_ns = now_ns();

		if (at_ns < due_ns) {
			pause.tv_nsec = (long)(due_ns - at_ns);
			nanosleep(&pause, NULL);
		}
		at_ns = now_ns();
		ask(fd, request);
		printf("%lu\n", (unsigned long)(now_ns() - at_ns));
		due_ns = at_ns + interval_ns;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const int holds = argc >= 5 && strcmp(argv[1], "hold") == 0;
	uint16_t port;
	uint32_t count;

	if (argc < 5 ||
	    (!holds && (strcmp(argv[1], "probe") != 0 || argc < 6))) {
		fprintf(stderr, "slow hold PORT KEY COUNT [SECONDS]\n"
				"slow probe PORT KEY COUNT INTERVAL_US\n");
		return 2;
	}
	port = (uint16_t)strtoul(argv[2], NULL, 10);
	count = (uint32_t)strtoul(argv[4], NULL, 10);
	if (holds)
		return hold(
		    port, argv[3], count, argc > 5 ? strtod(argv[5], NULL) : 5);
	return probe(port, argv[3], count, strtoull(argv[5], NULL, 10) * 1000);
}
