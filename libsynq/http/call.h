#ifndef SYNQ_HTTP_CALL_H
#define SYNQ_HTTP_CALL_H

/*
 * One call: a curl handle, what it is to send and what has come back.  Calls
 * are kept with their handle and used again.  Nothing here runs the program's
 * code or touches the multi handle.
 */

#include <stdint.h>

#include <curl/curl.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/slice.h"
#include "http/http.h"

struct synq_http_multi;

struct synq_http_call {
	struct synq_http *client;
	struct synq_http_multi *multi;
	CURL *easy;
	CURLU *url;
	struct synq_http_request req;
	struct synq_link link;         /* running of the client, or kept */
	struct synq_heap_node silence; /* its key may be too early */
	uint64_t last_byte_us;         /* of the answer; 0 = none yet */
	struct synq_buf body;
	struct synq_buf headers;
	int is_safe;   /* GET or HEAD: may be sent twice */
	int too_large; /* the answer is */
	int resent;    /* curl wanted to send it a second time */
	int silent;    /* ended by the silence limit */
	char error[CURL_ERROR_SIZE];
};

/* What of a call has arrived; defined by the client. */
void synq_http_call_heard(struct synq_http_call *call);

/*
 * A call of ${client}, always in ${multi}, with a handle of its own; NULL if
 * curl has none.
 */
struct synq_http_call *synq_http_call_new(struct synq_http *client,
    struct synq_http_multi *multi, const char *user_agent);

/* Free *${call}; sets it to NULL. */
void synq_http_call_free(struct synq_http_call **call);

/*
 * Let ${call} be ${req}, to start at ${now_us}.  Errors: INVALID, SYSTEM.
 */
SYNQ_MUST_CHECK int synq_http_call_set(struct synq_http_call *call,
    const struct synq_http_request *req, uint64_t now_us, struct synq_err *err);

/* Let ${call} forget its request and answer. */
void synq_http_call_clear(struct synq_http_call *call);

/*
 * The outcome of ${call}, which curl ended with ${code}, in ${result} and
 * ${err}; the answer is copied to the request's arena.
 */
void synq_http_call_result(struct synq_http_call *call, CURLcode code,
    struct synq_http_result *result, struct synq_err *err);

#endif
