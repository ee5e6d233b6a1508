/*
 * The calls of a client, shared out to multi handles (multi.h): a call goes to
 * the first that has room, so few connections carry most calls, and they and
 * their memory stay warm.  A handle is made when all before it are full.
 *
 * Failure modes: see call.c for how outcomes are told apart.
 */

#include "http/http.h"

#include <string.h>

#include "base/mem.h"
#include "http/call.h"
#include "http/multi.h"
#include "loop/loop.h"

struct synq_http {
	struct synq_loop *loop;
	struct synq_http_config config;
	char *user_agent;
	struct synq_http_multi **multis; /* enough for max_in_flight */
	size_t multi_count;
	struct synq_timer *silence; /* the first silence limit */
	struct synq_heap silences;  /* struct synq_http_call */
	struct synq_list running;   /* calls */
	int busy;                   /* inside on_silence() */
	int freeing;
};

static void
destroy(struct synq_http *client)
{
	synq_timer_free(&client->silence);
	synq_heap_done(&client->silences);
	synq_mem_free(client->multis);
	synq_mem_free(client->user_agent);
	synq_mem_free(client);
}

/* ---- calls ---- */

static void
put_away(struct synq_http_call *call)
{
	struct synq_http *client = call->client;

	synq_list_remove(&client->running, &call->link);
	synq_heap_remove(&client->silences, &call->silence);
	synq_http_multi_remove(call->multi, call);
}

static void
finish(struct synq_http_call *call, CURLcode code)
{
	struct synq_http_request req = call->req;
	struct synq_http_result result;
	struct synq_err err = { .code = 0 };

	synq_http_call_result(call, code, &result, &err);
	put_away(call);
	req.done(req.ctx, &result);
}

/* ---- silence ---- */

static void
push_silence(struct synq_http_call *call, uint64_t key_us)
{
	struct synq_http *client = call->client;
	uint64_t now_us = synq_loop_now_us(client->loop);

	synq_heap_push(&client->silences, &call->silence, key_us);
	if (synq_heap_first(&client->silences) == &call->silence)
		synq_timer_start(
		    client->silence, key_us > now_us ? key_us - now_us : 0);
}

void
synq_http_call_heard(struct synq_http_call *call)
{
	if (call->req.silence_limit_ms == 0)
		return;
	call->last_byte_us = synq_loop_now_us(call->client->loop);
	/* Later bytes do not move the entry: it is put right when it is due. */
	if (call->silence.place == 0)
		push_silence(
		    call, call->last_byte_us +
			      (uint64_t)call->req.silence_limit_ms * 1000);
}

static void
on_silence(void *ctx)
{
	struct synq_http *client = ctx;
	uint64_t now_us = synq_loop_now_us(client->loop);
	struct synq_heap_node *node;

	client->busy++;
	while ((node = synq_heap_first(&client->silences)) != NULL &&
	       node->key <= now_us) {
		struct synq_http_call *call =
		    SYNQ_CONTAINER(node, struct synq_http_call, silence);
		uint64_t end_us = call->last_byte_us +
		                  (uint64_t)call->req.silence_limit_ms * 1000;

		synq_heap_remove(&client->silences, node);
		if (end_us > now_us) {
			push_silence(call, end_us);
			continue;
		}
		call->silent = 1;
		finish(call, CURLE_OPERATION_TIMEDOUT);
	}
	if (node && !client->freeing)
		synq_timer_start(client->silence, node->key - now_us);
	client->busy--;
	if (client->freeing)
		destroy(client);
}

/* ---- the interface ---- */

static size_t
multis_for(uint32_t calls)
{
	return ((size_t)calls + SYNQ_HTTP_MULTI_CALLS - 1) /
	       SYNQ_HTTP_MULTI_CALLS;
}

/* The first multi handle with room, or a new one; NULL if curl has none. */
static struct synq_http_multi *
choose_multi(struct synq_http *client)
{
	struct synq_http_multi *multi;

	for (size_t i = 0; i < client->multi_count; i++)
		if (client->multis[i]->running < SYNQ_HTTP_MULTI_CALLS)
			return client->multis[i];
	multi = synq_http_multi_new(client->loop, finish);
	if (multi)
		client->multis[client->multi_count++] = multi;
	return multi;
}

int
synq_http_new(struct synq_loop *loop, const struct synq_http_config *config,
    struct synq_http **ret, struct synq_err *err)
{
	static int curl_is_ready;
	struct synq_http *client;

	if (!curl_is_ready && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return synq_fail(err, SYNQ_E_SYSTEM, "curl does not start");
	curl_is_ready = 1;

	client = synq_mem_new(sizeof(*client));
	client->loop = loop;
	client->config = *config;
	client->user_agent = synq_mem_text(config->user_agent);
	client->multis = synq_mem_array(multis_for(config->max_in_flight),
	    sizeof(struct synq_http_multi *));
	client->silence = synq_timer_new(loop, on_silence, client);
	synq_heap_init(&client->silences);
	synq_list_init(&client->running);
	*ret = client;
	return 0;
}

static struct synq_http_call *
take_call(struct synq_http *client)
{
	struct synq_http_multi *multi = choose_multi(client);
	struct synq_link *link;

	if (!multi)
		return NULL;
	link = synq_list_shift(&multi->kept);
	if (link)
		return SYNQ_CONTAINER(link, struct synq_http_call, link);
	return synq_http_call_new(client, multi, client->user_agent);
}

int
synq_http_start(struct synq_http *client, const struct synq_http_request *req,
    struct synq_http_call **ret_call, struct synq_err *err)
{
	struct synq_http_call *call;
	int rc;

	if (client->running.count >= client->config.max_in_flight)
		return synq_fail(err, SYNQ_E_LIMIT, "%u calls are in flight",
		    client->config.max_in_flight);
	call = take_call(client);
	if (!call)
		return synq_fail(err, SYNQ_E_SYSTEM, "curl has no handle");
	rc = synq_http_call_set(call, req, synq_loop_now_us(client->loop), err);
	if (rc == 0 && synq_http_multi_add(call->multi, call) != 0)
		rc = synq_fail(
		    err, SYNQ_E_SYSTEM, "curl does not take the call");
	if (rc != 0) {
		synq_http_call_clear(call);
		synq_list_unshift(&call->multi->kept, &call->link);
		return rc;
	}
	synq_list_push(&client->running, &call->link);
	*ret_call = call;
	return 0;
}

void
synq_http_cancel(struct synq_http_call **call)
{
	if (*call)
		put_away(*call);
	*call = NULL;
}

/* Cut the first line off ${text}, without its end. */
static struct synq_slice
next_line(struct synq_slice *text)
{
	const char *lf = memchr(text->data, '\n', text->bytes);
	size_t n = lf ? (size_t)(lf - text->data) : text->bytes;
	struct synq_slice line = synq_slice_of(text->data, n);

	n += lf != NULL;
	*text = synq_slice_of(text->data + n, text->bytes - n);
	if (line.bytes > 0 && line.data[line.bytes - 1] == '\r')
		line.bytes--;
	return line;
}

struct synq_slice
synq_http_header(const struct synq_http_result *result, const char *name)
{
	struct synq_slice rest = result->headers;

	while (rest.bytes > 0) {
		struct synq_slice line = next_line(&rest);
		const char *colon = memchr(line.data, ':', line.bytes);
		size_t n = colon ? (size_t)(colon - line.data) : 0;

		if (n > 0 &&
		    synq_slice_is_nocase(synq_slice_of(line.data, n), name))
			return synq_slice_trim(
			    synq_slice_of(colon + 1, line.bytes - n - 1));
	}
	return synq_slice_of("", 0);
}

size_t
synq_http_in_flight(const struct synq_http *client)
{
	return client->running.count;
}

void
synq_http_free(struct synq_http **client_ptr)
{
	struct synq_http *client = *client_ptr;
	struct synq_link *link;

	if (!client)
		return;
	*client_ptr = NULL;
	while ((link = synq_list_first(&client->running)) != NULL)
		put_away(SYNQ_CONTAINER(link, struct synq_http_call, link));
	for (size_t i = 0; i < client->multi_count; i++)
		synq_http_multi_free(&client->multis[i]);
	client->multi_count = 0;
	synq_timer_stop(client->silence);
	client->freeing = 1;
	if (!client->busy)
		destroy(client);
}
