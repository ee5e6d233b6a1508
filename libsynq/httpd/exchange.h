#ifndef SYNQ_HTTPD_EXCHANGE_H
#define SYNQ_HTTPD_EXCHANGE_H

/*
 * One request and its answer, as the connection sees them.  Exchanges are kept
 * and used again with their buffers, so that a request costs no allocation.
 */

#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "httpd/chunk.h"
#include "httpd/httpd.h"
#include "httpd/parse.h"

struct synq_httpd_conn;

struct synq_exchange {
	struct synq_httpd_conn *conn;
	struct synq_link link;    /* exchanges of the server, when unused */
	struct synq_buf text;     /* the head */
	struct synq_buf body;     /* of the request */
	struct synq_buf extra;    /* header lines that the program added */
	struct synq_buf out;      /* the answer */
	size_t sent;              /* of out */
	size_t limit_bytes;       /* of the body */
	uint64_t left_bytes;      /* of a body with a length */
	uint64_t start_us;        /* when the head was complete */
	struct synq_arena *arena; /* made when asked for */
	void *data;               /* the program's */
	int announced;            /* on_head ran: on_gone is due */
	int status;               /* of the answer; 0 = none yet */
	int begun;                /* the answer has begun: its head is in out */
	int ended;                /* all of the answer is in out */
	int chunked;              /* the answer goes out in chunks */
	int bodyless;             /* the answer has no body (HEAD, 204, 304) */
	int closes;               /* the connection ends with this answer */
	int dropped;              /* the connection ends at once */
	int read;                 /* all of the request was read */
	int asks_continue;        /* the body waits for a 100 */
	int unwanted;             /* the body is thrown away */
	int has_cache_control;    /* in extra */
	struct synq_parse_chunks chunks;
	struct synq_parse_head head; /* last, because it is large */
};

/* An exchange for ${conn}. */
struct synq_exchange *synq_exchange_take(struct synq_httpd_conn *conn);

/* Keep *${exchange} for the next request; sets it to NULL. */
void synq_exchange_give(struct synq_exchange **exchange);

/* Free *${exchange}, which is not in use; sets it to NULL. */
void synq_exchange_free(struct synq_exchange **exchange);

/* Answer ${exchange} for the server with ${status} and ${reason}, and close. */
void synq_exchange_refuse(
    struct synq_exchange *exchange, int status, const char *reason);

/* 1 if the whole answer of ${exchange} was sent, else 0. */
int synq_exchange_is_sent(const struct synq_exchange *exchange);

#endif
