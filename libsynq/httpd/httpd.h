#ifndef SYNQ_HTTPD_HTTPD_H
#define SYNQ_HTTPD_HTTPD_H

/*
 * HTTP server: strict HTTP/1.1 on the loop (RFC 9110, RFC 9112; refusals as in
 * c-libraries.md 1.6 and reliability-security.md 6).  A parser of our own,
 * because every packaged one fails a hard need (docs/adr/0002).
 *
 * One exchange = one request and its answer.  The head is complete when
 * on_head runs: the program then knows route and credential and says how large
 * a body it takes; on_body runs when all of it is there.  The answer may come
 * at any later time; on_gone tells that the client left before.  Requests that
 * are pipelined wait until the answer before is sent.
 *
 * Limits: connections in all and per address, request line, head, header
 * count, body, total time for head and body, idle time, bytes not yet sent.
 * A framing error is answered 400 and the connection closed.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_arena;
struct synq_loop;
struct synq_httpd;
struct synq_exchange;

/* What on_head wants done with the request. */
enum synq_httpd_verdict {
	SYNQ_HTTPD_READ_BODY, /* read it (100-continue is sent), then on_body */
	/* The same, but 100-continue only by synq_exchange_continue: whether
	 * the client may send a body is not decided. */
	SYNQ_HTTPD_READ_UNASKED,
	SYNQ_HTTPD_ANSWERED /* answered already; the body is thrown away */
};

struct synq_httpd_events {
	/*
	 * The head of ${exchange} is complete.  Set the largest body with
	 * synq_exchange_limit (default: max_body_bytes).
	 */
	enum synq_httpd_verdict (*on_head)(
	    void *ctx, struct synq_exchange *exchange);
	/* The whole body is there (empty for none).  Answer now or later. */
	void (*on_body)(void *ctx, struct synq_exchange *exchange);
	/*
	 * The exchange ends: its answer is sent, or the client left before
	 * (${answered} 0).  Runs once for every on_head; ${exchange} and what
	 * came from it is invalid afterwards.
	 */
	void (*on_gone)(
	    void *ctx, struct synq_exchange *exchange, int answered);
	/*
	 * Write the body of an answer that the server itself gives (400, 408,
	 * 413, 431, 503, ...) as JSON in the program's own error shape to
	 * ${out}.  NULL = an empty body.
	 */
	void (*on_error)(
	    void *ctx, int status, const char *reason, struct synq_buf *out);
	/*
	 * The server itself answers ${exchange}, whose head on_head never saw:
	 * add headers, such as a request id.  May be NULL.
	 */
	void (*on_refuse)(void *ctx, struct synq_exchange *exchange);
};

struct synq_httpd_config {
	const char *host; /* numeric address */
	uint16_t port;    /* 0 = any free one */
	uint32_t max_connections;
	uint32_t max_address_connections; /* from one address; 0 = no limit */
	size_t max_head_bytes;            /* default 32 KiB */
	size_t max_body_bytes;
	uint32_t head_limit_ms;  /* total, default 10,000 */
	uint32_t body_limit_ms;  /* base, plus 1 s per 64 KiB of length */
	uint32_t idle_limit_ms;  /* between requests, default 60,000 */
	uint32_t write_limit_ms; /* without progress, default 30,000 */
	int share_port;          /* SO_REUSEPORT */
	struct synq_httpd_events events;
	void *ctx;
};

/* A listening server on ${loop}.  Errors: CONFLICT (port in use), SYSTEM. */
SYNQ_MUST_CHECK int synq_httpd_new(struct synq_loop *loop,
    const struct synq_httpd_config *config, struct synq_httpd **ret,
    struct synq_err *err);

/* The port that ${httpd} listens on. */
uint16_t synq_httpd_port(const struct synq_httpd *httpd);

/* How many connections are open. */
size_t synq_httpd_connections(const struct synq_httpd *httpd);

/*
 * Stop accepting, close idle connections, let exchanges finish with
 * "Connection: close"; ${fn} runs when none is left.
 */
void synq_httpd_drain(
    struct synq_httpd *httpd, void (*fn)(void *ctx), void *ctx);

/* Close everything and free *${httpd}; on_gone runs for what was open. */
void synq_httpd_free(struct synq_httpd **httpd);

/* Of the request; what they lend is valid until on_gone. */

/* The method as it came, such as "POST". */
struct synq_slice synq_exchange_method(const struct synq_exchange *exchange);

/* The path of the target, still percent-encoded, without the query. */
struct synq_slice synq_exchange_path(const struct synq_exchange *exchange);

/* The query without '?'; empty if none. */
struct synq_slice synq_exchange_query(const struct synq_exchange *exchange);

/*
 * The value of the header ${name} (lower case); several fields of that name
 * are joined by ", ".  Data NULL if there is none.
 */
struct synq_slice synq_exchange_header(
    const struct synq_exchange *exchange, const char *name);

/* How many fields of the header ${name} (lower case) there are. */
size_t synq_exchange_header_count(
    const struct synq_exchange *exchange, const char *name);

/* 1 if ${exchange} says how long its body is, if only 0; else 0. */
int synq_exchange_says_length(const struct synq_exchange *exchange);

/* The body; from on_body on. */
struct synq_slice synq_exchange_body(const struct synq_exchange *exchange);

/* The address of the client as text. */
const char *synq_exchange_peer(const struct synq_exchange *exchange);

/* An arena that lives as long as ${exchange}. */
struct synq_arena *synq_exchange_arena(struct synq_exchange *exchange);

/* When its head was complete, monotonic microseconds. */
uint64_t synq_exchange_start_us(const struct synq_exchange *exchange);

/*
 * The status of the answer of ${exchange}; 0 = it has not begun.  In on_refuse
 * that of the answer to come.
 */
int synq_exchange_status(const struct synq_exchange *exchange);

/* Allow a body of at most ${bytes}; only in on_head. */
void synq_exchange_limit(struct synq_exchange *exchange, size_t bytes);

/*
 * The body of ${exchange} is wanted after all: send 100-continue, if the client
 * asked for it and sends nothing yet.  For READ_UNASKED.
 */
void synq_exchange_continue(struct synq_exchange *exchange);

/* The program's own data of ${exchange}. */
void synq_exchange_set(struct synq_exchange *exchange, void *data);

/* What synq_exchange_set set, or NULL. */
void *synq_exchange_get(const struct synq_exchange *exchange);

/* Add the header ${name}: ${value} to the answer to come. */
void synq_exchange_add_header(
    struct synq_exchange *exchange, const char *name, struct synq_slice value);

/*
 * Answer with ${status} and ${body} (copied); Content-Type is ${type}, NULL =
 * none.  Once per exchange; HEAD sends no body.  on_gone comes later.
 */
void synq_exchange_answer(struct synq_exchange *exchange, int status,
    const char *type, struct synq_slice body);

/*
 * Begin an answer whose body comes in pieces (chunked; HTTP/1.0: until the
 * connection closes).  Pieces follow with synq_exchange_write.
 */
void synq_exchange_begin(
    struct synq_exchange *exchange, int status, const char *type);

/*
 * Send ${piece} (copied) of a begun answer.  BUSY if more than 1 MiB waits for
 * the client: then nothing was added and the caller tries again later.
 */
int synq_exchange_write(
    struct synq_exchange *exchange, struct synq_slice piece);

/* End a begun answer. */
void synq_exchange_end(struct synq_exchange *exchange);

/* Close the connection at once without (the rest of) an answer. */
void synq_exchange_drop(struct synq_exchange *exchange);

#endif
