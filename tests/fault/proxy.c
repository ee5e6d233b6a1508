/*
 * A relay for many links, each from a port of loopback to another, whose
 * network the harness spoils.  One thread over epoll, in C because a byte at a
 * time through Python would take the core that the system under test needs.
 *
 * Commands on standard input, one a line, each answered "ok" or "error WHY":
 *
 *	link NAME FROM TO     relay what comes to port FROM to port TO
 *	latency NAME MS       each piece arrives so much later
 *	slice NAME BYTES      at most so many bytes a write
 *	blackhole NAME        nothing passes; what waits passes afterwards
 *	cut NAME              all is reset, and whoever comes is reset as well
 *	half NAME up|down     the client's, or the server's, side of what is
 *	                      open has ended as the other side sees it
 *	clear NAME            no fault
 *
 * The end of standard input ends it.
 *
 * A connection is two ends and two flows; flow 0 is what the client sends.
 * A flow's pieces wait in a queue until they are due and the other end takes
 * them; a full queue stops reading.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

#define MAX_LINKS 128
#define MAX_EVENTS 256
#define QUEUE_BYTES ((size_t)256 << 10)
#define PIECE_BYTES ((size_t)64 << 10)
/* Slices of one flow in one turn, so that the others go on. */
#define TURN_SLICES 16

struct piece {
	struct synq_link link;
	uint64_t due_us;
	size_t at; /* bytes that have been written */
	size_t bytes;
	char data[];
};

struct flow {
	struct synq_list pieces;
	size_t bytes; /* that wait */
	int ended;    /* nothing more will be read */
	int shut;     /* and the other end knows */
	int blocked;  /* the other end takes no more */
};

/* What epoll hands back. */
struct end {
	struct relay *relay; /* NULL = the listener of route */
	struct route *route;
	int fd;
	uint32_t interest; /* what epoll is asked for; 0 = not even there */
	int is_there;
};

struct relay {
	struct synq_link link;
	struct end ends[2];   /* the client's, the server's */
	struct flow flows[2]; /* from ends[i] */
	int is_lost;          /* to be freed at the end of the turn */
};

struct route {
	char name[64];
	uint16_t to_port;
	struct end listener;
	struct synq_list relays;
	uint64_t latency_us;
	size_t slice_bytes; /* 0 = whole */
	int blackhole;
	int cut;
};

static struct route routes[MAX_LINKS];
static size_t route_count;
static int poller;

/* ---- relays ---- */

static void
watch(struct end *end, uint32_t interest)
{
	struct epoll_event event = { .events = interest, .data.ptr = end };

	if (end->is_there && end->interest == interest)
		return;
	epoll_ctl(poller, end->is_there ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
	    end->fd, &event);
	end->interest = interest;
	end->is_there = 1;
}

static void
unwatch(struct end *end)
{
	if (end->is_there)
		epoll_ctl(poller, EPOLL_CTL_DEL, end->fd, NULL);
	end->is_there = 0;
}

/* Ask for what can be done with ${relay} now. */
static void
watch_relay(struct relay *relay)
{
	for (int i = 0; i < 2; i++) {
		const struct flow *in = &relay->flows[i];
		const struct flow *out = &relay->flows[1 - i];
		uint32_t interest = 0;

		if (relay->ends[i].route->blackhole) {
			unwatch(&relay->ends[i]);
			continue;
		}
		if (!in->ended && in->bytes < QUEUE_BYTES)
			interest |= EPOLLIN;
		if (out->blocked)
			interest |= EPOLLOUT;
		/* Without a wish a dead peer would be told again and again. */
		if (interest == 0)
			unwatch(&relay->ends[i]);
		else
			watch(&relay->ends[i], interest);
	}
}

/* Close both ends; the memory goes at the end of the turn. */
static void
relay_close(struct relay *relay)
{
	if (relay->is_lost)
		return;
	for (int i = 0; i < 2; i++) {
		close(relay->ends[i].fd);
		relay->ends[i].is_there = 0;
	}
	relay->is_lost = 1;
}

static void
make_reset(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* The same, and both sides see a reset. */
static void
relay_reset(struct relay *relay)
{
	if (relay->is_lost)
		return;
	make_reset(relay->ends[0].fd);
	make_reset(relay->ends[1].fd);
	relay_close(relay);
}

static void
flow_clear(struct flow *flow)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&flow->pieces)) != NULL)
		synq_mem_free(SYNQ_CONTAINER(link, struct piece, link));
	flow->bytes = 0;
}

static void
relay_free(struct relay *relay)
{
	flow_clear(&relay->flows[0]);
	flow_clear(&relay->flows[1]);
	synq_list_remove(&relay->ends[0].route->relays, &relay->link);
	synq_mem_free(relay);
}

static void
make_quick(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void
relay_new(struct route *route, int client)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(route->to_port) };
	int server =
	    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct relay *relay = synq_mem_new(sizeof(*relay));

	make_quick(client);
	make_quick(server);
	for (int i = 0; i < 2; i++) {
		relay->ends[i] = (struct end){ .relay = relay,
			.route = route,
			.fd = i == 0 ? client : server };
		synq_list_init(&relay->flows[i].pieces);
	}
	synq_list_push(&route->relays, &relay->link);
	if (connect(server, (struct sockaddr *)&to, sizeof(to)) != 0 &&
	    errno != EINPROGRESS)
		relay_reset(relay);
	else
		watch_relay(relay);
}

static void
accept_one(struct route *route)
{
	int client = accept4(
	    route->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client < 0)
		return;
	if (!route->cut) {
		relay_new(route, client);
		return;
	}
	make_reset(client);
	close(client);
}

/* Take what the end ${i} of ${relay} has sent. */
static void
take(struct relay *relay, int i)
{
	struct flow *flow = &relay->flows[i];
	const struct route *route = relay->ends[i].route;
	char data[PIECE_BYTES];
	ssize_t bytes = read(relay->ends[i].fd, data, sizeof(data));
	struct piece *piece;

	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes < 0) {
		relay_reset(relay);
		return;
	}
	if (bytes == 0) {
		flow->ended = 1;
		return;
	}
	if (flow->shut) /* half closed by us: nobody is there to hear it */
		return;
	piece = synq_mem_new(sizeof(*piece) + (size_t)bytes);
	piece->due_us = synq_clock_mono_us() + route->latency_us;
	piece->bytes = (size_t)bytes;
	memcpy(piece->data, data, piece->bytes);
	flow->bytes += piece->bytes;
	synq_list_push(&flow->pieces, &piece->link);
}

/* Write a slice of ${piece}; 1 if there may be more to do, else 0. */
static int
give_slice(struct relay *relay, int i, struct piece *piece)
{
	struct flow *flow = &relay->flows[i];
	size_t bytes = piece->bytes - piece->at;
	const size_t slice = relay->ends[i].route->slice_bytes;
	ssize_t sent;

	if (slice > 0 && bytes > slice)
		bytes = slice;
	sent = send(relay->ends[1 - i].fd, piece->data + piece->at, bytes,
	    MSG_NOSIGNAL);
	/* Not connected yet tells itself as EAGAIN. */
	if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
		flow->blocked = 1;
		return 0;
	}
	if (sent < 0) {
		relay_reset(relay);
		return 0;
	}
	piece->at += (size_t)sent;
	flow->bytes -= (size_t)sent;
	if (piece->at == piece->bytes) {
		synq_list_remove(&flow->pieces, &piece->link);
		synq_mem_free(piece);
	}
	return 1;
}

/*
 * Pass on what is due of flow ${i} of ${relay}; how long until there is more
 * to do, UINT64_MAX: not by time.
 */
static uint64_t
give(struct relay *relay, int i)
{
	struct flow *flow = &relay->flows[i];
	int slices = 0;

	while (!relay->is_lost && !flow->blocked) {
		struct synq_link *first = synq_list_first(&flow->pieces);
		struct piece *piece;
		uint64_t now_us;

		if (first == NULL)
			break;
		piece = SYNQ_CONTAINER(first, struct piece, link);
		now_us = synq_clock_mono_us();
		if (piece->due_us > now_us)
			return piece->due_us - now_us;
		if (slices++ == TURN_SLICES)
			return 0;
		if (!give_slice(relay, i, piece))
			break;
	}
	if (!relay->is_lost && flow->ended && !flow->shut && flow->bytes == 0) {
		shutdown(relay->ends[1 - i].fd, SHUT_WR);
		flow->shut = 1;
	}
	return UINT64_MAX;
}

/* Do what can be done for ${relay}; how long until there is more to do. */
static uint64_t
relay_turn(struct relay *relay)
{
	uint64_t pause_us = UINT64_MAX;

	if (!relay->is_lost && !relay->ends[0].route->blackhole) {
		for (int i = 0; i < 2; i++) {
			uint64_t wait_us = give(relay, i);

			if (wait_us < pause_us)
				pause_us = wait_us;
		}
		if (!relay->is_lost && relay->flows[0].ended &&
		    relay->flows[1].ended && relay->flows[0].shut &&
		    relay->flows[1].shut)
			relay_close(relay);
	}
	if (relay->is_lost)
		relay_free(relay);
	else
		watch_relay(relay);
	return pause_us;
}

static uint64_t
turn(void)
{
	uint64_t pause_us = UINT64_MAX;

	for (size_t i = 0; i < route_count; i++) {
		struct synq_link *link;
		struct synq_link *after;

		synq_list_foreach (&routes[i].relays, link, after) {
			uint64_t wait_us = relay_turn(
			    SYNQ_CONTAINER(link, struct relay, link));

			if (wait_us < pause_us)
				pause_us = wait_us;
		}
	}
	return pause_us;
}

static void
on_event(const struct epoll_event *event)
{
	struct end *end = event->data.ptr;
	struct relay *relay = end->relay;
	int i;

	if (relay == NULL) {
		accept_one(end->route);
		return;
	}
	i = end == &relay->ends[0] ? 0 : 1;
	if (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		relay->flows[1 - i].blocked = 0;
	if (!relay->is_lost &&
	    (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		take(relay, i);
}

/* ---- commands ---- */

static struct route *
route_find(const char *name)
{
	for (size_t i = 0; i < route_count; i++) {
		if (strcmp(routes[i].name, name) == 0)
			return &routes[i];
	}
	return NULL;
}

static const char *
route_add(const char *name, unsigned from, unsigned to)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)from) };
	struct route *route = &routes[route_count];
	int on = 1;

	if (route_count == MAX_LINKS || route_find(name) != NULL)
		return "too many links, or two of one name";
	snprintf(route->name, sizeof(route->name), "%s", name);
	route->to_port = (uint16_t)to;
	synq_list_init(&route->relays);
	route->listener = (struct end){ .route = route };
	route->listener.fd =
	    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(
	    route->listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(route->listener.fd, (struct sockaddr *)&here, sizeof(here)) !=
		0 ||
	    listen(route->listener.fd, 512) != 0) {
		close(route->listener.fd);
		return strerror(errno);
	}
	watch(&route->listener, EPOLLIN);
	route_count++;
	return NULL;
}

static void
route_reset(struct route *route)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&route->relays, link, after)
		relay_reset(SYNQ_CONTAINER(link, struct relay, link));
}

/* Let side ${i} of all that is open end, as the other side sees it. */
static void
route_half_close(struct route *route, int i)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&route->relays, link, after) {
		struct relay *relay = SYNQ_CONTAINER(link, struct relay, link);

		if (relay->is_lost || relay->flows[i].shut)
			continue;
		flow_clear(&relay->flows[i]);
		shutdown(relay->ends[1 - i].fd, SHUT_WR);
		relay->flows[i].shut = 1;
	}
}

static void
route_clear(struct route *route)
{
	route->latency_us = 0;
	route->slice_bytes = 0;
	route->blackhole = 0;
	route->cut = 0;
}

/* Switch ${verb} on in ${route}; NULL, or what is wrong with it. */
static const char *
set_fault(struct route *route, const char *verb, const char *word)
{
	const unsigned long number = strtoul(word, NULL, 10);

	if (strcmp(verb, "latency") == 0) {
		route->latency_us = number * 1000;
	} else if (strcmp(verb, "slice") == 0) {
		route->slice_bytes = number;
	} else if (strcmp(verb, "blackhole") == 0) {
		route->blackhole = 1;
	} else if (strcmp(verb, "cut") == 0) {
		route->cut = 1;
		route_reset(route);
	} else if (strcmp(verb, "half") == 0) {
		route_half_close(route, strcmp(word, "down") == 0);
	} else if (strcmp(verb, "clear") == 0) {
		route_clear(route);
	} else {
		return "no such command";
	}
	return NULL;
}

static const char *
obey(const char *line)
{
	char verb[16] = "";
	char name[64] = "";
	char word[16] = "";
	char last[16] = "";
	struct route *route;

	if (sscanf(line, "%15s %63s %15s %15s", verb, name, word, last) < 2)
		return "a command is VERB NAME ...";
	if (strcmp(verb, "link") == 0)
		return route_add(name, (unsigned)strtoul(word, NULL, 10),
		    (unsigned)strtoul(last, NULL, 10));
	route = route_find(name);
	if (route == NULL)
		return "no such link";
	return set_fault(route, verb, word);
}

/* Read commands; 0 at their end. */
static int
read_commands(void)
{
	static char text[4096];
	static size_t bytes;
	ssize_t more =
	    read(STDIN_FILENO, text + bytes, sizeof(text) - 1 - bytes);
	char *end;

	if (more <= 0)
		return more < 0 && errno == EINTR;
	bytes += (size_t)more;
	text[bytes] = '\0';
	while ((end = strchr(text, '\n')) != NULL) {
		const char *why;

		*end = '\0';
		why = obey(text);
		if (why == NULL)
			printf("ok\n");
		else
			printf("error %s\n", why);
		bytes -= (size_t)(end + 1 - text);
		memmove(text, end + 1, bytes + 1);
	}
	fflush(stdout);
	return bytes < sizeof(text) - 1;
}

static void
run(void)
{
	struct end commands = { .fd = STDIN_FILENO };
	struct epoll_event events[MAX_EVENTS];
	int goes_on = 1;

	watch(&commands, EPOLLIN);
	while (goes_on) {
		uint64_t pause_us = turn();
		int pause_ms = pause_us == UINT64_MAX
		                   ? -1
		                   : (int)((pause_us + 999) / 1000);
		int count = epoll_wait(poller, events, MAX_EVENTS, pause_ms);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &commands)
				goes_on = read_commands();
			else
				on_event(&events[i]);
		}
	}
}

int
main(void)
{
	struct rlimit files;

	/* Whoever started it may die without a word. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		return 1;
	run();
	return 0;
}
