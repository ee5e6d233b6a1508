/*
 * One thread polls the listener and every pair of sockets.  What it reads it
 * writes at once, blocking, because a test's client always reads.
 */

#include "proxy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define MAX_PAIRS 16
#define POLL_MS 5

struct proxy {
	struct sockaddr_in to;
	int listener;
	uint16_t port;
	pthread_t thread;
	atomic_int stalled;
	atomic_int cut; /* set by the test, cleared by the thread */
	atomic_int ended;
	int pairs[2 * MAX_PAIRS]; /* -1 = free; a pair is adjacent */
};

static void
close_pair(struct proxy *proxy, int slot)
{
	int pair = slot & ~1;

	if (proxy->pairs[pair] < 0)
		return;
	close(proxy->pairs[pair]);
	close(proxy->pairs[pair + 1]);
	proxy->pairs[pair] = -1;
	proxy->pairs[pair + 1] = -1;
}

static void
accept_pair(struct proxy *proxy)
{
	int client = accept(proxy->listener, NULL, NULL);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	for (int i = 0; i < 2 * MAX_PAIRS; i += 2) {
		if (proxy->pairs[i] >= 0)
			continue;
		if (connect(server, (struct sockaddr *)&proxy->to,
			sizeof(proxy->to)))
			break;
		proxy->pairs[i] = client;
		proxy->pairs[i + 1] = server;
		return;
	}
	close(client);
	close(server);
}

static void
relay(struct proxy *proxy, int slot)
{
	char bytes[65536];
	ssize_t count = read(proxy->pairs[slot], bytes, sizeof(bytes));

	for (ssize_t at = 0; at < count;) {
		ssize_t sent = send(proxy->pairs[slot ^ 1], bytes + at,
		    (size_t)(count - at), MSG_NOSIGNAL);

		if (sent <= 0)
			count = 0;
		at += sent;
	}
	if (count <= 0)
		close_pair(proxy, slot);
}

static void *
proxy_run(void *ctx)
{
	struct proxy *proxy = ctx;

	while (!proxy->ended) {
		struct pollfd at[2 * MAX_PAIRS + 1];

		for (int i = 0; i < 2 * MAX_PAIRS; i++) {
			if (proxy->cut)
				close_pair(proxy, i);
			at[i] = (struct pollfd){
				.fd = proxy->stalled ? -1 : proxy->pairs[i],
				.events = POLLIN,
			};
		}
		proxy->cut = 0;
		at[2 * MAX_PAIRS] =
		    (struct pollfd){ .fd = proxy->listener, .events = POLLIN };
		(void)poll(at, 2 * MAX_PAIRS + 1, POLL_MS);
		for (int i = 0; i < 2 * MAX_PAIRS; i++) {
			if (at[i].revents && proxy->pairs[i] >= 0)
				relay(proxy, i);
		}
		if (at[2 * MAX_PAIRS].revents)
			accept_pair(proxy);
	}
	for (int i = 0; i < 2 * MAX_PAIRS; i++)
		close_pair(proxy, i);
	return NULL;
}

struct proxy *
proxy_new(const char *host, uint16_t port)
{
	struct proxy *proxy = synq_mem_new(sizeof(*proxy));
	struct sockaddr_in here = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(here);
	int rc;

	proxy->to.sin_family = AF_INET;
	proxy->to.sin_port = htons(port);
	rc = inet_pton(AF_INET, host, &proxy->to.sin_addr);
	assert(rc == 1);
	for (int i = 0; i < 2 * MAX_PAIRS; i++)
		proxy->pairs[i] = -1;
	proxy->listener = socket(AF_INET, SOCK_STREAM, 0);
	rc = bind(proxy->listener, (struct sockaddr *)&here, sizeof(here));
	assert(rc == 0);
	rc = listen(proxy->listener, MAX_PAIRS);
	assert(rc == 0);
	rc = getsockname(proxy->listener, (struct sockaddr *)&here, &bytes);
	assert(rc == 0);
	proxy->port = ntohs(here.sin_port);
	rc = pthread_create(&proxy->thread, NULL, proxy_run, proxy);
	assert(rc == 0);
	(void)rc;
	return proxy;
}

uint16_t
proxy_port(const struct proxy *proxy)
{
	return proxy->port;
}

void
proxy_stall(struct proxy *proxy)
{
	proxy->stalled = 1;
}

void
proxy_cut(struct proxy *proxy)
{
	proxy->stalled = 0;
	proxy->cut = 1;
	while (proxy->cut)
		usleep(1000);
}

void
proxy_free(struct proxy **proxy)
{
	(*proxy)->ended = 1;
	(void)pthread_join((*proxy)->thread, NULL);
	close((*proxy)->listener);
	synq_mem_free(*proxy);
	*proxy = NULL;
}
