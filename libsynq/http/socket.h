#ifndef SYNQ_HTTP_SOCKET_H
#define SYNQ_HTTP_SOCKET_H

/*
 * The descriptors that curl wants to be watched.  Curl says "watch" and "do
 * not watch" around every transfer; here the watch on a connection stays while
 * it is kept, which saves three system calls a request.
 */

#include <curl/curl.h>

struct synq_loop;
struct synq_http_socket;

/* The descriptor ${fd} is ready for ${mask}, CURL_CSELECT_*. */
typedef void synq_http_ready_fn(void *ctx, curl_socket_t fd, int mask);

struct synq_http_sockets {
	struct synq_loop *loop;
	synq_http_ready_fn *ready;
	void *ctx;
	struct synq_http_socket **by_fd; /* owned; NULL where there is none */
	size_t room;
};

/* Let ${sockets} be empty, to call ${ready} with ${ctx} from ${loop}. */
void synq_http_sockets_init(struct synq_http_sockets *sockets,
    struct synq_loop *loop, synq_http_ready_fn *ready, void *ctx);

/* Stop watching all of ${sockets}; curl has closed what it opened. */
void synq_http_sockets_done(struct synq_http_sockets *sockets);

/* Curl's CURLMOPT_SOCKETFUNCTION; ${ctx} is a struct synq_http_sockets. */
int synq_http_socket_want(
    CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused);

/* Curl's CURLOPT_OPENSOCKETFUNCTION; ${ctx} as above. */
curl_socket_t synq_http_socket_open(
    void *ctx, curlsocktype purpose, struct curl_sockaddr *address);

/* Curl's CURLOPT_CLOSESOCKETFUNCTION; ${ctx} as above. */
int synq_http_socket_close(void *ctx, curl_socket_t fd);

#endif
