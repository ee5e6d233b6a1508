/*
 * Happy path: on_body -> synq_exchange_answer writes head and body into one
 * buffer and marks the connection; when the program's call has returned, or at
 * the end of the turn, the connection sends the buffer with one system call.
 *
 * Every answer has Date, Cache-Control: no-store (unless the program says
 * otherwise) and what tells browsers to do nothing with it; never Server.
 *
 * Failure modes: an answer larger than MAX_ANSWER_BYTES becomes a 500; a begun
 * answer that the client does not read makes synq_exchange_write say BUSY; an
 * answer that comes after the server has refused the request is ignored.
 */

#include "httpd/exchange.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "httpd/conn.h"
#include "httpd/server.h"

#define MAX_ANSWER_BYTES ((size_t)64 << 20)
#define MAX_EXTRA_BYTES 16384
#define MAX_WAITING_BYTES ((size_t)1 << 20) /* of a begun answer */
#define ARENA_CHUNK_BYTES 4096
#define ARENA_MAX_BYTES ((size_t)64 << 20)
#define KEPT_EXCHANGES 1024
#define KEPT_BYTES 16384 /* room that a kept buffer may have */
/* So much of an unwanted body is read to keep the connection. */
#define SKIP_BYTES 65536

/* ---- life ---- */

struct synq_exchange *
synq_exchange_take(struct synq_httpd_conn *conn)
{
	struct synq_httpd *httpd = conn->httpd;
	struct synq_link *link = synq_list_shift(&httpd->exchanges);
	struct synq_exchange *exchange;

	if (link) {
		exchange = SYNQ_CONTAINER(link, struct synq_exchange, link);
	} else {
		exchange = synq_mem_new(sizeof(*exchange));
		synq_buf_init(&exchange->text, httpd->config.max_head_bytes);
		synq_buf_init(&exchange->body, 0);
		synq_buf_init(&exchange->extra, MAX_EXTRA_BYTES);
		synq_buf_init(&exchange->out, MAX_ANSWER_BYTES);
	}
	exchange->conn = conn;
	synq_parse_head_init(&exchange->head, httpd->config.max_head_bytes);
	return exchange;
}

static void
keep_buf(struct synq_buf *buf)
{
	size_t max_bytes = buf->max_bytes;

	if (buf->room <= KEPT_BYTES) {
		synq_buf_clear(buf);
		buf->overflow = 0;
		return;
	}
	synq_buf_done(buf);
	synq_buf_init(buf, max_bytes);
}

void
synq_exchange_give(struct synq_exchange **exchange_ptr)
{
	struct synq_exchange *exchange = *exchange_ptr;
	struct synq_httpd *httpd = exchange->conn->httpd;
	struct synq_buf text, body, extra, out;

	*exchange_ptr = NULL;
	synq_arena_free(&exchange->arena);
	if (httpd->freeing || httpd->exchanges.count >= KEPT_EXCHANGES) {
		synq_exchange_free(&exchange);
		return;
	}
	keep_buf(&exchange->text);
	keep_buf(&exchange->body);
	keep_buf(&exchange->extra);
	keep_buf(&exchange->out);
	text = exchange->text;
	body = exchange->body;
	extra = exchange->extra;
	out = exchange->out;
	memset(exchange, 0, offsetof(struct synq_exchange, head));
	exchange->text = text;
	exchange->body = body;
	exchange->extra = extra;
	exchange->out = out;
	synq_list_unshift(&httpd->exchanges, &exchange->link);
}

void
synq_exchange_free(struct synq_exchange **exchange_ptr)
{
	struct synq_exchange *exchange = *exchange_ptr;

	if (!exchange)
		return;
	synq_arena_free(&exchange->arena);
	synq_buf_done(&exchange->text);
	synq_buf_done(&exchange->body);
	synq_buf_done(&exchange->extra);
	synq_buf_done(&exchange->out);
	synq_mem_free(exchange);
	*exchange_ptr = NULL;
}

/* ---- the request ---- */

static struct synq_slice
part_of(const struct synq_exchange *exchange, struct synq_parse_span span)
{
	/* A head that was refused is not kept. */
	if (exchange->text.bytes == 0)
		return synq_slice_of("", 0);
	return synq_parse_part(synq_buf_view(&exchange->text), span);
}

struct synq_slice
synq_exchange_method(const struct synq_exchange *exchange)
{
	return part_of(exchange, exchange->head.method);
}

struct synq_slice
synq_exchange_path(const struct synq_exchange *exchange)
{
	return part_of(exchange, exchange->head.path);
}

struct synq_slice
synq_exchange_query(const struct synq_exchange *exchange)
{
	return part_of(exchange, exchange->head.query);
}

/* The next field of ${name} at or after *${at}; NULL if there is none. */
static const struct synq_parse_field *
next_field(
    const struct synq_exchange *exchange, struct synq_slice name, uint32_t *at)
{
	while (*at < exchange->head.count) {
		const struct synq_parse_field *field =
		    &exchange->head.fields[(*at)++];

		if (field->name.bytes == name.bytes &&
		    synq_slice_is_nocase(
			part_of(exchange, field->name), name.data))
			return field;
	}
	return NULL;
}

size_t
synq_exchange_header_count(
    const struct synq_exchange *exchange, const char *name)
{
	struct synq_slice wanted = synq_slice_text(name);
	uint32_t at = 0;
	size_t count = 0;

	while (next_field(exchange, wanted, &at))
		count++;
	return count;
}

/* All values of ${name}, of which there are several, joined. */
static struct synq_slice
join_fields(const struct synq_exchange *exchange, struct synq_slice name)
{
	/* The joined text belongs to the exchange, not to what it says. */
	union {
		const struct synq_exchange *fixed;
		struct synq_exchange *own;
	} cast = { .fixed = exchange };
	const struct synq_parse_field *field;
	struct synq_slice joined = { NULL, 0 };
	char *text;
	uint32_t at = 0;

	text = synq_arena_raw(
	    synq_exchange_arena(cast.own), exchange->text.bytes * 2);
	while ((field = next_field(exchange, name, &at)) != NULL) {
		struct synq_slice value = part_of(exchange, field->value);

		if (joined.bytes > 0) {
			text[joined.bytes++] = ',';
			text[joined.bytes++] = ' ';
		}
		memcpy(text + joined.bytes, value.data, value.bytes);
		joined.bytes += value.bytes;
	}
	joined.data = text;
	return joined;
}

struct synq_slice
synq_exchange_header(const struct synq_exchange *exchange, const char *name)
{
	struct synq_slice wanted = synq_slice_text(name);
	const struct synq_parse_field *field;
	uint32_t at = 0;

	field = next_field(exchange, wanted, &at);
	if (!field)
		return synq_slice_of(NULL, 0);
	if (next_field(exchange, wanted, &at))
		return join_fields(exchange, wanted);
	return part_of(exchange, field->value);
}

int
synq_exchange_says_length(const struct synq_exchange *exchange)
{
	return exchange->head.lengths + exchange->head.codings > 0;
}

struct synq_slice
synq_exchange_body(const struct synq_exchange *exchange)
{
	return synq_buf_view(&exchange->body);
}

const char *
synq_exchange_peer(const struct synq_exchange *exchange)
{
	return exchange->conn->peer;
}

struct synq_arena *
synq_exchange_arena(struct synq_exchange *exchange)
{
	if (!exchange->arena)
		exchange->arena =
		    synq_arena_new(ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
	return exchange->arena;
}

uint64_t
synq_exchange_start_us(const struct synq_exchange *exchange)
{
	return exchange->start_us;
}

int
synq_exchange_status(const struct synq_exchange *exchange)
{
	return exchange->status;
}

void
synq_exchange_limit(struct synq_exchange *exchange, size_t bytes)
{
	exchange->limit_bytes = bytes;
}

void
synq_exchange_set(struct synq_exchange *exchange, void *data)
{
	exchange->data = data;
}

void *
synq_exchange_get(const struct synq_exchange *exchange)
{
	return exchange->data;
}

void
synq_exchange_continue(struct synq_exchange *exchange)
{
	if (!exchange->asks_continue || exchange->begun)
		return;
	exchange->asks_continue = 0;
	synq_buf_text(&exchange->out, "HTTP/1.1 100 Continue\r\n\r\n");
	synq_httpd_mark(exchange->conn);
}

/* ---- the answer ---- */

static const struct phrase {
	int status;
	const char *text;
} phrases[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 425, "Too Early" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 499, "Client Closed Request" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
	{ 529, "Overloaded" },
};

static const char *
phrase_of(int status)
{
	for (size_t i = 0; i < SYNQ_COUNT(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].text;
	}
	return "Unknown";
}

void
synq_exchange_add_header(
    struct synq_exchange *exchange, const char *name, struct synq_slice value)
{
	struct synq_buf *extra = &exchange->extra;
	size_t at;

	if (exchange->begun ||
	    extra->bytes + strlen(name) + value.bytes + 4 > MAX_EXTRA_BYTES)
		return;
	if (synq_slice_is_nocase(synq_slice_text(name), "cache-control"))
		exchange->has_cache_control = 1;
	synq_buf_text(extra, name);
	synq_buf_add(extra, ": ", 2);
	at = extra->bytes;
	synq_buf_slice(extra, value);
	/* A value may hold text from outside: it must not end its line. */
	for (; at < extra->bytes; at++) {
		unsigned char c = (unsigned char)extra->data[at];

		if ((c < ' ' && c != '\t') || c == 127)
			extra->data[at] = ' ';
	}
	synq_buf_add(extra, "\r\n", 2);
}

/* Whether the connection can be used for a further request. */
static int
must_close(const struct synq_exchange *exchange)
{
	const struct synq_parse_head *head = &exchange->head;

	if (head->minor == 0 || head->wants_close || exchange->conn->deaf ||
	    exchange->conn->httpd->draining)
		return 1;
	if (exchange->read)
		return 0;
	/* The rest of the body is skipped if that is cheap and sure to come. */
	return head->framing == SYNQ_PARSE_CHUNKED || head->wants_expect ||
	       exchange->left_bytes > SKIP_BYTES;
}

static void
put(char **at, const char *text, size_t bytes)
{
	memcpy(*at, text, bytes);
	*at += bytes;
}

static void
put_text(char **at, const char *text)
{
	put(at, text, strlen(text));
}

static void
put_number(char **at, size_t number)
{
	char digits[24];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	put(at, digits + n, sizeof(digits) - n);
}

/* The head without what tells the length; room for ${more_bytes} is left. */
static char *
put_head(struct synq_exchange *exchange, int status, const char *type,
    size_t more_bytes)
{
	static const char safety[] =
	    "X-Content-Type-Options: nosniff\r\n"
	    "X-Frame-Options: DENY\r\n"
	    "Referrer-Policy: no-referrer\r\n"
	    "Content-Security-Policy: default-src 'none'; "
	    "frame-ancestors 'none'\r\n";
	static const char no_store[] = "Cache-Control: no-store\r\n";
	size_t room = 512 + exchange->extra.bytes + more_bytes;
	char *at;

	room += type ? strlen(type) : 0;
	at = synq_buf_reserve(&exchange->out, room);
	if (!at)
		return NULL;
	exchange->begun = 1;
	exchange->status = status;
	exchange->closes = must_close(exchange);
	exchange->bodyless =
	    status == 204 || status == 304 || exchange->head.is_head;

	put_text(&at, "HTTP/1.1 ");
	put_number(&at, (size_t)status);
	put_text(&at, " ");
	put_text(&at, phrase_of(status));
	put_text(&at, "\r\n");
	put(&at, synq_httpd_date(exchange->conn->httpd), SYNQ_HTTPD_DATE_BYTES);
	if (type) {
		put_text(&at, "Content-Type: ");
		put_text(&at, type);
		put_text(&at, "\r\n");
	}
	if (!exchange->has_cache_control)
		put(&at, no_store, sizeof(no_store) - 1);
	put(&at, safety, sizeof(safety) - 1);
	if (exchange->closes)
		put_text(&at, "Connection: close\r\n");
	if (exchange->extra.bytes > 0)
		put(&at, exchange->extra.data, exchange->extra.bytes);
	return at;
}

static void
set_end(struct synq_buf *out, const char *end)
{
	out->bytes = (size_t)(end - out->data);
}

void
synq_exchange_answer(struct synq_exchange *exchange, int status,
    const char *type, struct synq_slice body)
{
	char *at;

	if (exchange->begun)
		return;
	at = put_head(exchange, status, type, body.bytes);
	if (!at) {
		exchange->extra.bytes = 0;
		synq_exchange_answer(
		    exchange, 500, NULL, synq_slice_of(NULL, 0));
		return;
	}
	if (status != 204 && status != 304) {
		put_text(&at, "Content-Length: ");
		put_number(&at, body.bytes);
		put_text(&at, "\r\n");
	}
	put_text(&at, "\r\n");
	if (!exchange->bodyless && body.bytes > 0)
		put(&at, body.data, body.bytes);
	set_end(&exchange->out, at);
	exchange->ended = 1;
	synq_httpd_mark(exchange->conn);
}

void
synq_exchange_refuse(
    struct synq_exchange *exchange, int status, const char *reason)
{
	const struct synq_httpd_config *config = &exchange->conn->httpd->config;
	struct synq_buf body;

	synq_buf_init(&body, 4096);
	if (config->events.on_error)
		config->events.on_error(config->ctx, status, reason, &body);
	if (!exchange->begun)
		exchange->status = status;
	if (config->events.on_refuse && !exchange->announced)
		config->events.on_refuse(config->ctx, exchange);
	if (status == 503 || status == 429)
		synq_exchange_add_header(
		    exchange, "Retry-After", synq_slice_text("1"));
	synq_exchange_answer(exchange, status,
	    body.bytes > 0 ? "application/json" : NULL, synq_buf_view(&body));
	synq_buf_done(&body);
}

void
synq_exchange_begin(
    struct synq_exchange *exchange, int status, const char *type)
{
	char *at;

	if (exchange->begun)
		return;
	at = put_head(exchange, status, type, 0);
	if (!at) {
		synq_exchange_drop(exchange);
		return;
	}
	if (exchange->head.minor == 1 && !exchange->bodyless) {
		exchange->chunked = 1;
		put_text(&at, "Transfer-Encoding: chunked\r\n");
	}
	put_text(&at, "\r\n");
	set_end(&exchange->out, at);
	synq_httpd_mark(exchange->conn);
}

int
synq_exchange_write(struct synq_exchange *exchange, struct synq_slice piece)
{
	struct synq_buf *out = &exchange->out;
	size_t waiting = out->bytes - exchange->sent;

	if (exchange->ended || exchange->bodyless || piece.bytes == 0)
		return 0;
	if (waiting > 0 && waiting + piece.bytes > MAX_WAITING_BYTES)
		return -SYNQ_E_BUSY;
	if (exchange->chunked)
		synq_buf_printf(out, "%zx\r\n", piece.bytes);
	synq_buf_slice(out, piece);
	if (exchange->chunked)
		synq_buf_add(out, "\r\n", 2);
	if (out->overflow)
		exchange->dropped = 1;
	synq_httpd_mark(exchange->conn);
	return 0;
}

void
synq_exchange_end(struct synq_exchange *exchange)
{
	if (exchange->ended || !exchange->begun)
		return;
	if (exchange->chunked)
		synq_buf_text(&exchange->out, "0\r\n\r\n");
	exchange->ended = 1;
	synq_httpd_mark(exchange->conn);
}

void
synq_exchange_drop(struct synq_exchange *exchange)
{
	exchange->dropped = 1;
	synq_httpd_mark(exchange->conn);
}

int
synq_exchange_is_sent(const struct synq_exchange *exchange)
{
	return exchange->ended && exchange->sent == exchange->out.bytes;
}
