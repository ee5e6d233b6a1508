/*
 * Requests without a network: what the server would hand over, and what it
 * was told to answer.
 */

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "producer/api.h"
#include "service/service.h"
#include "world.h"
#include "json/scan.h"

#define ARENA_BYTES 4096
#define ARENA_MAX_BYTES (4U << 20)
#define HEADERS_MAX 16

struct synq_exchange {
	struct world *world;
	struct synq_slice method;
	struct synq_slice path;
	struct synq_slice query;
	const char *const *headers;
	char *target;
	struct synq_slice body;
	char *body_copy;
	struct synq_arena *arena;
	void *data;
	char *names[HEADERS_MAX]; /* "name: value" of the answer */
	size_t name_count;
	int status;
	uint64_t start_us;
	struct synq_buf answer;
	int gone;
	int opened;    /* by the test, not handled */
	int continued; /* how often the client was asked for the body */
};

static struct synq_exchange *exchanges[WORLD_MAX];
static size_t exchange_count;

struct synq_slice
synq_exchange_method(const struct synq_exchange *exchange)
{
	return exchange->method;
}

int
synq_exchange_status(const struct synq_exchange *exchange)
{
	return exchange->status;
}

uint64_t
synq_exchange_start_us(const struct synq_exchange *exchange)
{
	return exchange->start_us;
}

struct synq_slice
synq_exchange_path(const struct synq_exchange *exchange)
{
	return exchange->path;
}

struct synq_slice
synq_exchange_query(const struct synq_exchange *exchange)
{
	return exchange->query;
}

struct synq_slice
synq_exchange_header(const struct synq_exchange *exchange, const char *name)
{
	const char *const *line = exchange->headers;
	size_t bytes = strlen(name);

	for (; line != NULL && *line != NULL; line++) {
		if (strncmp(*line, name, bytes) == 0 &&
		    strncmp(*line + bytes, ": ", 2) == 0)
			return synq_slice_text(*line + bytes + 2);
	}
	return synq_slice_of(NULL, 0);
}

struct synq_slice
synq_exchange_body(const struct synq_exchange *exchange)
{
	return exchange->body;
}

int
synq_exchange_says_length(const struct synq_exchange *exchange)
{
	return exchange->body.data != NULL;
}

void
synq_exchange_continue(struct synq_exchange *exchange)
{
	if (synq_exchange_header(exchange, "expect").data != NULL)
		exchange->continued++;
}

struct synq_arena *
synq_exchange_arena(struct synq_exchange *exchange)
{
	return exchange->arena;
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
synq_exchange_add_header(
    struct synq_exchange *exchange, const char *name, struct synq_slice value)
{
	struct synq_buf line; /* its data is kept */

	assert_int_equal(0, exchange->status);
	assert_true(exchange->name_count < HEADERS_MAX);
	synq_buf_init(&line, 4096);
	assert_int_equal(0, synq_buf_printf(&line, "%s: ", name));
	assert_int_equal(0, synq_buf_slice(&line, value));
	exchange->names[exchange->name_count++] = line.data;
}

void
synq_exchange_answer(struct synq_exchange *exchange, int status,
    const char *type, struct synq_slice body)
{
	assert_int_equal(0, exchange->status); /* once */
	assert_in_range(status, 200, 599);
	if (type != NULL)
		synq_exchange_add_header(
		    exchange, "content-type", synq_slice_text(type));
	exchange->status = status;
	(void)synq_buf_slice(&exchange->answer, body);
}

int
synq_service_probe(struct synq_service *service, struct synq_slice path,
    struct synq_slice query, const char **ret_type, struct synq_buf *out)
{
	(void)service;
	(void)query;
	*ret_type = "text/plain; charset=utf-8";
	(void)synq_buf_slice(out, path);
	return 200;
}

static struct synq_exchange *
open_exchange(struct world *world, const char *method, const char *target)
{
	const char *mark = strchr(target, '?');
	struct synq_exchange *exchange = synq_mem_new(sizeof(*exchange));

	assert_true(exchange_count < WORLD_MAX);
	exchanges[exchange_count++] = exchange;
	exchange->world = world;
	exchange->start_us = synq_loop_now_us(world->intake.loop);
	exchange->arena = synq_arena_new(ARENA_BYTES, ARENA_MAX_BYTES);
	exchange->method = synq_slice_text(method);
	/* In memory of its own size, so that a read behind it shows. */
	exchange->target = synq_mem_copy(target, strlen(target));
	exchange->path = synq_slice_text(exchange->target);
	if (mark != NULL) {
		exchange->path.bytes = (size_t)(mark - target);
		exchange->query = synq_slice_text(
		    exchange->target + exchange->path.bytes + 1);
	}
	synq_buf_init(&exchange->answer, 1U << 25);
	return exchange;
}

struct synq_exchange *
world_open(struct world *world, const char *target)
{
	struct synq_exchange *exchange = open_exchange(world, "GET", target);

	exchange->gone = 1;
	exchange->opened = 1;
	return exchange;
}

struct synq_exchange *
world_send(struct world *world, const char *method, const char *target,
    const char *const *headers, const char *body)
{
	const struct synq_httpd_events events = api_events();
	struct synq_exchange *exchange = open_exchange(world, method, target);
	size_t bytes = body == NULL ? 0 : strlen(body);
	enum synq_httpd_verdict verdict;

	exchange->headers = headers;
	exchange->body = synq_slice_of(body, bytes);
	verdict = events.on_head(&world->intake, exchange);
	if (verdict == SYNQ_HTTPD_ANSWERED) {
		assert_true(exchange->status != 0);
		return exchange;
	}
	if (verdict == SYNQ_HTTPD_READ_BODY)
		synq_exchange_continue(exchange);
	exchange->body_copy = synq_mem_resize(NULL, bytes);
	if (bytes > 0)
		memcpy(exchange->body_copy, body, bytes);
	exchange->body = synq_slice_of(exchange->body_copy, bytes);
	if (synq_exchange_header(exchange, "expect").data == NULL)
		events.on_body(&world->intake, exchange);
	return exchange;
}

int
world_continued(const struct synq_exchange *exchange)
{
	return exchange->continued;
}

void
world_come(struct synq_exchange *exchange)
{
	assert_int_equal(0, exchange->status);
	api_events().on_body(&exchange->world->intake, exchange);
}

/* The exchange ends, as the server says it from the loop. */
static void
end(struct synq_exchange *exchange)
{
	if (exchange->gone)
		return;
	exchange->gone = 1;
	api_events().on_gone(
	    &exchange->world->intake, exchange, exchange->status != 0);
	/* Nothing that came from it may be used any more. */
	synq_mem_free(exchange->body_copy);
	exchange->body_copy = NULL;
	synq_arena_free(&exchange->arena);
}

void
world_sent(struct synq_exchange *exchange)
{
	assert_true(exchange->status != 0);
	end(exchange);
}

void
world_leave(struct synq_exchange *exchange)
{
	assert_int_equal(0, exchange->status);
	end(exchange);
}

void
world_end_exchanges(void)
{
	struct synq_exchange *exchange;
	size_t i;
	size_t k;

	for (i = 0; i < exchange_count; i++) {
		exchange = exchanges[i];
		end(exchange);
		for (k = 0; k < exchange->name_count; k++)
			synq_mem_free(exchange->names[k]);
		synq_mem_free(exchange->target);
		synq_buf_done(&exchange->answer);
		synq_arena_free(&exchange->arena);
		synq_mem_free(exchange);
	}
	exchange_count = 0;
	synq_arena_trim();
}

int
world_status(const struct synq_exchange *exchange)
{
	return exchange->status;
}

const char *
world_body(const struct synq_exchange *exchange)
{
	return exchange->answer.data == NULL ? "" : exchange->answer.data;
}

const char *
world_header(const struct synq_exchange *exchange, const char *name)
{
	const char *found = NULL;
	size_t bytes = strlen(name);
	size_t i;

	for (i = 0; i < exchange->name_count; i++) {
		if (strncmp(exchange->names[i], name, bytes) != 0 ||
		    strncmp(exchange->names[i] + bytes, ": ", 2) != 0)
			continue;
		assert_null(found); /* none is given twice */
		found = exchange->names[i] + bytes + 2;
	}
	return found;
}

const char *
world_text(const struct synq_exchange *exchange, const char *path)
{
	static char text[4096];
	struct synq_json_fault fault;
	struct synq_json value;
	struct synq_buf out;

	if (synq_json_parse(synq_buf_view(&exchange->answer), &value, &fault) !=
	    0)
		fail_msg(
		    "not JSON (%s): %s", fault.reason, world_body(exchange));
	value = synq_json_path(value, path);
	if (value.type == SYNQ_JSON_NONE)
		fail_msg("no %s in %s", path, world_body(exchange));
	text[0] = '\0';
	if (value.type == SYNQ_JSON_NULL)
		return text;
	synq_buf_init(&out, sizeof(text) - 1);
	if (value.type == SYNQ_JSON_STRING)
		assert_int_equal(0, synq_json_string(value, &out));
	else
		assert_int_equal(0, synq_buf_slice(&out, value.raw));
	(void)snprintf(
	    text, sizeof(text), "%s", out.data == NULL ? "" : out.data);
	synq_buf_done(&out);
	return text;
}

void
world_expect_error(const struct synq_exchange *exchange, int status,
    const char *type, const char *code, const char *param)
{
	if (exchange->status != status)
		fail_msg("%d instead of %d: %s", exchange->status, status,
		    world_body(exchange));
	assert_string_equal(type, world_text(exchange, "error.type"));
	assert_string_equal(
	    code == NULL ? "" : code, world_text(exchange, "error.code"));
	assert_string_equal(
	    param == NULL ? "" : param, world_text(exchange, "error.param"));
	assert_true(strlen(world_text(exchange, "error.message")) > 10);
	assert_string_equal(
	    "application/json", world_header(exchange, "content-type"));
	assert_true(
	    exchange->opened || world_header(exchange, "x-request-id") != NULL);
}
