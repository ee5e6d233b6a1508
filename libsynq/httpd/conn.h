#ifndef SYNQ_HTTPD_CONN_H
#define SYNQ_HTTPD_CONN_H

/*
 * One connection: reads requests one after the other, keeps what came too
 * early, sends answers, watches its deadline, closes so that the client still
 * sees the last answer.
 */

#include <netinet/in.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/slice.h"

struct synq_exchange;
struct synq_httpd;
struct synq_httpd_address;
struct synq_watch;

enum synq_httpd_conn_state {
	SYNQ_CONN_IDLE,   /* nothing of a request is here; no exchange */
	SYNQ_CONN_HEAD,   /* a part of the head is here */
	SYNQ_CONN_BODY,   /* a body is read, or thrown away */
	SYNQ_CONN_ANSWER, /* the request is complete, the answer is not sent */
	SYNQ_CONN_LINGER, /* closed for writing; input is thrown away */
	SYNQ_CONN_CLOSED  /* on the list of the dead */
};

struct synq_httpd_conn {
	struct synq_httpd *httpd;
	struct synq_watch *watch;
	struct synq_exchange *exchange;     /* the one in work, or NULL */
	struct synq_httpd_address *address; /* NULL = not counted */
	struct synq_link link;              /* conns or dead of the server */
	struct synq_link dirty;             /* dirty of the server */
	struct synq_heap_node node; /* its key may be before deadline_us */
	uint64_t deadline_us;       /* 0 = none */
	uint64_t thrown_bytes;      /* input that nobody wanted */
	struct synq_buf in;         /* a part of a head, or what came early */
	enum synq_httpd_conn_state state;
	int fd;
	unsigned interest; /* what the watch is set to */
	int blocked;       /* 1 = the socket takes no more for now */
	int wants_flush;
	int deaf;    /* 1 = no further request is read */
	int surplus; /* 1 = above the limit, only told so */
	char peer[INET6_ADDRSTRLEN];
};

/* A connection of ${httpd} over ${fd}, which it owns from now on. */
struct synq_httpd_conn *synq_httpd_conn_open(struct synq_httpd *httpd, int fd);

/* Answer ${status} because of ${reason}, read nothing more, close. */
void synq_httpd_conn_refuse(
    struct synq_httpd_conn *conn, int status, const char *reason);

/* Send what ${conn} has to send, and go on with what came early. */
void synq_httpd_conn_flush(struct synq_httpd_conn *conn);

/* The deadline of ${conn} may have passed. */
void synq_httpd_conn_expire(struct synq_httpd_conn *conn);

/* Close ${conn} now; on_gone runs for the exchange it has. */
void synq_httpd_conn_close(struct synq_httpd_conn *conn);

#endif
