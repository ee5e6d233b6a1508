/*
 * Happy path: start -> a kept handle gets the request and is added to the multi
 * handle, which asks for a timer of 0 -> at the end of the turn curl connects
 * or finds a kept connection and sends -> it tells which descriptors to watch
 * -> these become ready -> curl reads -> it reports the transfer done -> the
 * handle is taken out and kept -> done runs.
 *
 * Curl's callbacks only note what is wanted; the program's code runs when curl
 * has returned, so it may start, cancel and even free.
 *
 * Failure modes: see call.c for how outcomes are told apart.
 */

#include "http/http.h"

#include <string.h>

#include "base/mem.h"
#include "http/call.h"
#include "http/socket.h"
#include "loop/loop.h"

struct synq_http {
	struct synq_loop *loop;
	struct synq_http_config config;
	char *user_agent;
	CURLM *multi;
	struct synq_timer *timer;   /* curl's */
	struct synq_timer *silence; /* the first silence limit */
	struct synq_heap silences;  /* struct synq_http_call */
	struct synq_list running;   /* calls */
	struct synq_list kept;      /* calls without request */
	struct synq_http_sockets sockets;
	int kick_due; /* 1 = a kick is deferred */
	int busy;     /* inside deliver() */
	int freeing;
};

static void deliver(struct synq_http *client);

static void
destroy(struct synq_http *client)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&client->kept)) != NULL) {
		struct synq_http_call *call =
		    SYNQ_CONTAINER(link, struct synq_http_call, link);

		synq_http_call_free(&call);
	}
	curl_multi_cleanup(client->multi);
	synq_http_sockets_done(&client->sockets);
	synq_timer_free(&client->timer);
	synq_timer_free(&client->silence);
	synq_heap_done(&client->silences);
	synq_mem_free(client->user_agent);
	synq_mem_free(client);
}

/* ---- curl and the loop ---- */

static void
kick(void *ctx)
{
	struct synq_http *client = ctx;
	int running;

	client->kick_due = 0;
	if (client->freeing) {
		if (!client->busy)
			destroy(client);
		return;
	}
	curl_multi_socket_action(
	    client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	deliver(client);
}

static void
on_timer(void *ctx)
{
	struct synq_http *client = ctx;
	int running;

	curl_multi_socket_action(
	    client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	deliver(client);
}

static int
on_curl_timer(SYNQ_UNUSED CURLM *multi, long timeout_ms, void *ctx)
{
	struct synq_http *client = ctx;

	if (client->freeing)
		return 0;
	if (timeout_ms > 0) {
		synq_timer_start(client->timer, (uint64_t)timeout_ms * 1000);
		return 0;
	}
	synq_timer_stop(client->timer);
	/* At once: all that start in one turn go out together at its end. */
	if (timeout_ms == 0 && !client->kick_due) {
		client->kick_due = 1;
		synq_loop_defer(client->loop, kick, client);
	}
	return 0;
}

static void
on_ready(void *ctx, curl_socket_t fd, int mask)
{
	struct synq_http *client = ctx;
	int running;

	curl_multi_socket_action(client->multi, fd, mask, &running);
	deliver(client);
}

/* ---- calls ---- */

/* Take ${call} out of curl and keep it for the next request. */
static void
put_away(struct synq_http_call *call)
{
	struct synq_http *client = call->client;

	curl_multi_remove_handle(client->multi, call->easy);
	synq_list_remove(&client->running, &call->link);
	synq_heap_remove(&client->silences, &call->silence);
	synq_http_call_clear(call);
	synq_list_unshift(&client->kept, &call->link);
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

/* Report what curl has finished. */
static void
deliver(struct synq_http *client)
{
	CURLMsg *msg;
	int left;

	client->busy++;
	while (!client->freeing &&
	       (msg = curl_multi_info_read(client->multi, &left)) != NULL) {
		struct synq_http_call *call = NULL;
		CURLcode code = msg->data.result;

		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		finish(call, code);
	}
	client->busy--;
	if (client->freeing && !client->busy && !client->kick_due)
		destroy(client);
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
	if (client->freeing && !client->busy && !client->kick_due)
		destroy(client);
}

/* ---- the interface ---- */

static void
set_multi(struct synq_http *client)
{
	const struct synq_http_config *config = &client->config;
	long kept = (long)config->max_in_flight;

	curl_multi_setopt(
	    client->multi, CURLMOPT_SOCKETFUNCTION, synq_http_socket_want);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, &client->sockets);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)config->max_host_connections);
	curl_multi_setopt(
	    client->multi, CURLMOPT_MAXCONNECTS, kept > 16 ? kept : 16L);
}

int
synq_http_new(struct synq_loop *loop, const struct synq_http_config *config,
    struct synq_http **ret, struct synq_err *err)
{
	static int curl_is_ready;
	struct synq_http *client;
	CURLM *multi;

	if (!curl_is_ready && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return synq_fail(err, SYNQ_E_SYSTEM, "curl does not start");
	curl_is_ready = 1;
	multi = curl_multi_init();
	if (!multi)
		return synq_fail(err, SYNQ_E_SYSTEM, "curl does not start");

	client = synq_mem_new(sizeof(*client));
	client->loop = loop;
	client->multi = multi;
	client->config = *config;
	client->user_agent = synq_mem_text(config->user_agent);
	client->timer = synq_timer_new(loop, on_timer, client);
	client->silence = synq_timer_new(loop, on_silence, client);
	synq_heap_init(&client->silences);
	synq_list_init(&client->running);
	synq_list_init(&client->kept);
	synq_http_sockets_init(&client->sockets, loop, on_ready, client);
	set_multi(client);
	*ret = client;
	return 0;
}

static struct synq_http_call *
take_call(struct synq_http *client)
{
	struct synq_link *link = synq_list_shift(&client->kept);

	if (link)
		return SYNQ_CONTAINER(link, struct synq_http_call, link);
	return synq_http_call_new(client, &client->sockets, client->user_agent);
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
	if (rc == 0 && curl_multi_add_handle(client->multi, call->easy) != 0)
		rc = synq_fail(
		    err, SYNQ_E_SYSTEM, "curl does not take the call");
	if (rc != 0) {
		synq_http_call_clear(call);
		synq_list_unshift(&client->kept, &call->link);
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
	client->freeing = 1;
	synq_timer_stop(client->timer);
	synq_timer_stop(client->silence);
	/* Who is on the stack, or what is deferred, frees the rest. */
	if (!client->busy && !client->kick_due)
		destroy(client);
}
