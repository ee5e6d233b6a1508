/*
 * Happy path: a call is added -> curl asks for a timer of 0 -> at the end of
 * the turn it connects or finds a kept connection and sends -> it tells which
 * descriptors to watch -> these become ready -> curl reads -> it reports the
 * transfer done -> finish runs.
 *
 * Curl's callbacks only note what is wanted; the program's code runs when curl
 * has returned, so it may start, cancel and even free.
 *
 * Failure modes: freed while it is on the stack or a kick is deferred: the one
 * that is last frees it.
 */

#include "http/multi.h"

#include "base/attr.h"
#include "base/mem.h"
#include "http/call.h"
#include "loop/loop.h"

static void
destroy(struct synq_http_multi *multi)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&multi->kept)) != NULL) {
		struct synq_http_call *call =
		    SYNQ_CONTAINER(link, struct synq_http_call, link);

		synq_http_call_free(&call);
	}
	curl_multi_cleanup(multi->curl);
	synq_http_sockets_done(&multi->sockets);
	synq_timer_free(&multi->timer);
	synq_mem_free(multi);
}

static void
destroy_if_last(struct synq_http_multi *multi)
{
	if (multi->freeing && !multi->busy && !multi->kick_due)
		destroy(multi);
}

/* Report what curl has finished. */
static void
deliver(struct synq_http_multi *multi)
{
	CURLMsg *msg;
	int left;

	multi->busy++;
	while (!multi->freeing &&
	       (msg = curl_multi_info_read(multi->curl, &left)) != NULL) {
		struct synq_http_call *call = NULL;

		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		multi->finish(call, msg->data.result);
	}
	multi->busy--;
	destroy_if_last(multi);
}

static void
act(struct synq_http_multi *multi, curl_socket_t fd, int mask)
{
	int running;

	curl_multi_socket_action(multi->curl, fd, mask, &running);
	deliver(multi);
}

static void
kick(void *ctx)
{
	struct synq_http_multi *multi = ctx;

	multi->kick_due = 0;
	if (multi->freeing)
		destroy_if_last(multi);
	else
		act(multi, CURL_SOCKET_TIMEOUT, 0);
}

static void
on_timer(void *ctx)
{
	act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void
on_ready(void *ctx, curl_socket_t fd, int mask)
{
	act(ctx, fd, mask);
}

static int
on_curl_timer(SYNQ_UNUSED CURLM *curl, long timeout_ms, void *ctx)
{
	struct synq_http_multi *multi = ctx;

	if (multi->freeing)
		return 0;
	if (timeout_ms > 0) {
		synq_timer_start(multi->timer, (uint64_t)timeout_ms * 1000);
		return 0;
	}
	synq_timer_stop(multi->timer);
	/* At once: all that start in one turn go out together at its end. */
	if (timeout_ms == 0 && !multi->kick_due) {
		multi->kick_due = 1;
		synq_loop_defer(multi->loop, kick, multi);
	}
	return 0;
}

struct synq_http_multi *
synq_http_multi_new(struct synq_loop *loop, synq_http_finish_fn *finish)
{
	CURLM *curl = curl_multi_init();
	struct synq_http_multi *multi;

	if (!curl)
		return NULL;
	multi = synq_mem_new(sizeof(*multi));
	multi->loop = loop;
	multi->finish = finish;
	multi->curl = curl;
	multi->timer = synq_timer_new(loop, on_timer, multi);
	synq_list_init(&multi->kept);
	synq_http_sockets_init(&multi->sockets, loop, on_ready, multi);
	curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, synq_http_socket_want);
	curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, &multi->sockets);
	curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(curl, CURLMOPT_TIMERDATA, multi);
	curl_multi_setopt(
	    curl, CURLMOPT_MAXCONNECTS, (long)SYNQ_HTTP_MULTI_CALLS);
	return multi;
}

int
synq_http_multi_add(struct synq_http_multi *multi, struct synq_http_call *call)
{
	if (curl_multi_add_handle(multi->curl, call->easy) != 0)
		return -1;
	multi->running++;
	return 0;
}

void
synq_http_multi_remove(
    struct synq_http_multi *multi, struct synq_http_call *call)
{
	curl_multi_remove_handle(multi->curl, call->easy);
	multi->running--;
	synq_http_call_clear(call);
	synq_list_unshift(&multi->kept, &call->link);
}

void
synq_http_multi_free(struct synq_http_multi **multi_ptr)
{
	struct synq_http_multi *multi = *multi_ptr;

	if (!multi)
		return;
	*multi_ptr = NULL;
	multi->freeing = 1;
	synq_timer_stop(multi->timer);
	destroy_if_last(multi);
}
