/*
 * The socket of a connection is closed through us, so its watch can live as
 * long as it does: when curl stops wanting it, reading stays watched, and when
 * curl wants it again nothing has to change.  If it becomes ready while nobody
 * wants it (the server closed it), the watch is set to nothing.
 *
 * Other descriptors go without our knowing: those of the resolver's threads,
 * and sockets that were never connected, which curl 7.88 closes itself.  For
 * them the watch is freed when curl does not want it.  So a socket is kept
 * only if it has a peer by then, which is asked once for each connection.
 *
 * Failure modes: a watch that cannot be had: curl is told that there is no
 * socket, or that the watching failed, and ends the transfer.
 */

#include "http/socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/mem.h"
#include "loop/loop.h"

struct synq_http_socket {
	struct synq_http_sockets *sockets;
	struct synq_watch *watch;
	curl_socket_t fd;
	unsigned wanted;  /* by curl */
	unsigned watched; /* what the watch is set to */
	int is_ours;      /* opened by synq_http_socket_open */
	int is_connected; /* was, when it was asked */
};

void
synq_http_sockets_init(struct synq_http_sockets *sockets,
    struct synq_loop *loop, synq_http_ready_fn *ready, void *ctx)
{
	*sockets = (struct synq_http_sockets){
		.loop = loop, .ready = ready, .ctx = ctx
	};
}

static struct synq_http_socket *
find(const struct synq_http_sockets *sockets, curl_socket_t fd)
{
	return (size_t)fd < sockets->room ? sockets->by_fd[fd] : NULL;
}

static void
forget(struct synq_http_sockets *sockets, curl_socket_t fd)
{
	struct synq_http_socket *sock = find(sockets, fd);

	if (!sock)
		return;
	sockets->by_fd[fd] = NULL;
	synq_watch_free(&sock->watch);
	synq_mem_free(sock);
}

void
synq_http_sockets_done(struct synq_http_sockets *sockets)
{
	for (size_t fd = 0; fd < sockets->room; fd++)
		forget(sockets, (curl_socket_t)fd);
	synq_mem_free(sockets->by_fd);
	sockets->by_fd = NULL;
	sockets->room = 0;
}

static void
set_watch(struct synq_http_socket *sock, unsigned events)
{
	if (events != sock->watched)
		synq_watch_set(sock->watch, events);
	sock->watched = events;
}

static void
on_ready(void *ctx, unsigned events)
{
	struct synq_http_socket *sock = ctx;
	int mask = 0;

	events &= sock->wanted;
	if (events == 0) {
		set_watch(sock, sock->wanted);
		return;
	}
	if (events & SYNQ_READABLE)
		mask |= CURL_CSELECT_IN;
	if (events & SYNQ_WRITABLE)
		mask |= CURL_CSELECT_OUT;
	sock->sockets->ready(sock->sockets->ctx, sock->fd, mask);
}

static struct synq_http_socket *
add(struct synq_http_sockets *sockets, curl_socket_t fd)
{
	struct synq_http_socket *sock = synq_mem_new(sizeof(*sock));
	size_t room = sockets->room;

	/* One that went without our knowing had this number. */
	forget(sockets, fd);
	sock->sockets = sockets;
	sock->fd = fd;
	if (synq_watch_new(sockets->loop, fd, on_ready, sock, &sock->watch) !=
	    0) {
		synq_mem_free(sock);
		return NULL;
	}
	/* Descriptors are the lowest free numbers: the table stays small. */
	while (room <= (size_t)fd)
		room = room ? room * 2 : 64;
	if (room > sockets->room)
		sockets->by_fd = synq_mem_resize(
		    sockets->by_fd, room * sizeof(struct synq_http_socket *));
	for (; sockets->room < room; sockets->room++)
		sockets->by_fd[sockets->room] = NULL;
	sockets->by_fd[fd] = sock;
	return sock;
}

/* Whether ${sock} will be closed through us. */
static int
is_kept(struct synq_http_socket *sock)
{
	struct sockaddr_storage peer;
	socklen_t bytes = sizeof(peer);
	void *at = &peer;

	if (!sock || !sock->is_ours)
		return 0;
	if (!sock->is_connected)
		sock->is_connected = getpeername(sock->fd, at, &bytes) == 0;
	return sock->is_connected;
}

int
synq_http_socket_want(SYNQ_UNUSED CURL *easy, curl_socket_t fd, int what,
    void *ctx, SYNQ_UNUSED void *unused)
{
	struct synq_http_sockets *sockets = ctx;
	struct synq_http_socket *sock = find(sockets, fd);
	unsigned wanted = 0;

	if (what != CURL_POLL_REMOVE && (what & CURL_POLL_IN))
		wanted |= SYNQ_READABLE;
	if (what != CURL_POLL_REMOVE && (what & CURL_POLL_OUT))
		wanted |= SYNQ_WRITABLE;
	if (what == CURL_POLL_REMOVE && !is_kept(sock)) {
		forget(sockets, fd);
		return 0;
	}
	if (!sock)
		sock = add(sockets, fd);
	if (!sock)
		return -1;
	sock->wanted = wanted;
	set_watch(sock, wanted | (sock->watched & SYNQ_READABLE));
	return 0;
}

curl_socket_t
synq_http_socket_open(
    void *ctx, SYNQ_UNUSED curlsocktype purpose, struct curl_sockaddr *address)
{
	struct synq_http_sockets *sockets = ctx;
	struct synq_http_socket *sock;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);

	if (fd < 0)
		return CURL_SOCKET_BAD;
	sock = add(sockets, fd);
	if (!sock) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	sock->is_ours = 1;
	return fd;
}

int
synq_http_socket_close(void *ctx, curl_socket_t fd)
{
	forget(ctx, fd);
	return close(fd);
}
