#ifndef SYNQ_HTTP_HTTP_H
#define SYNQ_HTTP_HTTP_H

/*
 * HTTP client: many calls in flight on one loop, over libcurl's multi
 * interface.  This folder is the only place that includes <curl/curl.h>.
 *
 * Thread: every function runs on the loop's thread.
 * Limits: at most max_in_flight calls; above that, start fails with LIMIT.
 * Callbacks: done runs exactly once per started call, from the loop, never
 *     from inside a function of this header, and never after cancel or free.
 * Proxies of the environment are ignored, redirects are not followed, only
 * http and https are spoken; DNS answers are kept by curl as usual.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_arena;
struct synq_loop;
struct synq_http;
struct synq_http_call;

struct synq_http_result {
	int rc;
	int status;
	struct synq_slice body;    /* in the arena */
	struct synq_slice headers; /* "name: value\r\n"..., in the arena */
	uint64_t first_byte_us;    /* from start to the first byte */
	uint64_t total_us;
	const struct synq_err *err; /* NULL when rc is 0 */
};

/*
 * rc is 0 when an answer arrived, whatever its status.  Otherwise TIMEOUT,
 * SYSTEM and UNAVAILABLE mean that nothing was sent, UNCERTAIN that it may
 * have been, TOO_LARGE that the answer was above max_result_bytes.
 */
typedef void synq_http_done_fn(
    void *ctx, const struct synq_http_result *result);

struct synq_http_request {
	const char *method;
	const char *url;            /* absolute */
	const char *const *headers; /* "Name: value", NULL-terminated */
	struct synq_slice body;     /* borrowed until done; may be empty */
	size_t max_result_bytes;    /* above: fails with TOO_LARGE */
	uint32_t connect_limit_ms;  /* 0 = 5,000 */
	uint32_t
	    silence_limit_ms; /* between two bytes of the answer; 0 = none */
	uint64_t deadline_us; /* monotonic; 0 = none */
	struct synq_arena *arena; /* holds the result; must outlive done */
	synq_http_done_fn *done;
	void *ctx;
};

struct synq_http_config {
	uint32_t max_in_flight;
	const char *user_agent;
};

/* A client on ${loop}; the caller frees it.  Error: SYSTEM. */
SYNQ_MUST_CHECK int synq_http_new(struct synq_loop *loop,
    const struct synq_http_config *config, struct synq_http **ret,
    struct synq_err *err);

/*
 * Start ${req}, which is copied but not what it points to.  *${ret_call} stays
 * valid until done runs or synq_http_cancel returns.  Errors: LIMIT, SYSTEM,
 * INVALID for a bad URL.
 */
SYNQ_MUST_CHECK int synq_http_start(struct synq_http *client,
    const struct synq_http_request *req, struct synq_http_call **ret_call,
    struct synq_err *err);

/* Abandon *${call}: done will not run.  Sets *${call} to NULL; NULL is fine. */
void synq_http_cancel(struct synq_http_call **call);

/* The value of the header ${name} (any case) of ${result}; empty if none. */
struct synq_slice synq_http_header(
    const struct synq_http_result *result, const char *name);

/* How many calls are in flight. */
size_t synq_http_in_flight(const struct synq_http *client);

/* Abandon all calls and free *${client}; sets it to NULL. */
void synq_http_free(struct synq_http **client);

#endif
