#ifndef SYNQ_HTTP_MULTI_H
#define SYNQ_HTTP_MULTI_H

/*
 * A share of a client's calls: one multi handle of curl, with the connections,
 * the timer and the watched descriptors that belong to it.  curl 7.88 walks
 * all connections of a multi handle at the end of each transfer, and those in
 * use when it looks for a free one, so a handle with a thousand of them costs
 * each call more than its parsing does.
 */

#include <curl/curl.h>

#include "base/list.h"
#include "http/socket.h"

/* As many requests as HTTP/2 lets a connection carry (RFC 9113 6.5.2). */
#define SYNQ_HTTP_MULTI_CALLS 100

struct synq_http_call;
struct synq_loop;
struct synq_timer;

/*
 * Curl is done with ${call}, which is still added.  May remove and add calls,
 * and free the multi handle.
 */
typedef void synq_http_finish_fn(struct synq_http_call *call, CURLcode code);

struct synq_http_multi {
	struct synq_loop *loop;
	synq_http_finish_fn *finish;
	CURLM *curl;
	struct synq_timer *timer; /* curl's */
	struct synq_list kept;    /* calls without request */
	struct synq_http_sockets sockets;
	size_t running;
	int kick_due; /* 1 = a kick is deferred */
	int busy;     /* inside deliver() */
	int freeing;
};

/* A multi handle on ${loop}; NULL if curl has none. */
struct synq_http_multi *synq_http_multi_new(
    struct synq_loop *loop, synq_http_finish_fn *finish);

/* Start ${call}, which is set; 0, or -1 if curl does not take it. */
int synq_http_multi_add(
    struct synq_http_multi *multi, struct synq_http_call *call);

/* Take ${call} out of curl and keep it for the next request. */
void synq_http_multi_remove(
    struct synq_http_multi *multi, struct synq_http_call *call);

/* Free *${multi}, in which no call runs, and the kept; sets it to NULL. */
void synq_http_multi_free(struct synq_http_multi **multi);

#endif
