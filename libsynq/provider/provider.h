#ifndef SYNQ_PROVIDER_PROVIDER_H
#define SYNQ_PROVIDER_PROVIDER_H

/*
 * Provider dialects as pure functions: a canonical request → an HTTP request;
 * an HTTP answer → the client's answer, usage and error class.  One file per
 * dialect.  No I/O, no state, no clock.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "proto/attempt.h"
#include "proto/request.h"

struct synq_arena;

/* The most headers that a dialect sets, its NULL included. */
#define SYNQ_PROVIDER_MAX_HEADERS 12

/* Where and as whom to call, and which attempt this is. */
struct synq_provider_target {
	const char *name;
	const char *base_url;             /* "https://api.openai.com/v1" */
	struct synq_slice credential;     /* secret; only for the header */
	struct synq_slice upstream_model; /* what the provider calls it */
	const char *job_id;               /* x-synq-job-id: the uuid as text */
	const char *attempt_id; /* x-synq-attempt-id: the uuid as text */
	uint32_t attempt;       /* x-synq-attempt: 1.. */
};

struct synq_provider_call {
	const char *url;
	const char *headers[SYNQ_PROVIDER_MAX_HEADERS]; /* NULL-terminated */
	struct synq_slice body; /* the client's bytes where nothing changes */
};

/* What came back from the network. */
struct synq_provider_answer {
	int rc; /* of the HTTP client; 0 = an HTTP answer */
	int status;
	struct synq_slice body;
	struct synq_slice retry_after; /* header values; data NULL = none */
	struct synq_slice retry_after_ms;
	struct synq_slice content_type;
};

/* What it means. */
struct synq_provider_verdict {
	int succeeded;
	enum synq_retry_class class; /* when it did not */
	int32_t answer_status;       /* for the client */
	struct synq_slice body;      /* for the client: always valid JSON */
	struct synq_slice error_code;
	struct synq_slice error;
	struct synq_usage usage;
	int64_t retry_after_us; /* what the provider asked for; -1 = nothing */
};

struct synq_dialect {
	const char *name; /* "openai" */
	/*
	 * The call for ${request} at ${target} into ${ret}, in ${arena}; the
	 * body borrows that of ${request} where nothing changes.  Errors:
	 * INVALID if this dialect cannot do it, TOO_LARGE if it does not fit
	 * into ${arena}.
	 */
	int (*build)(const struct synq_request *request,
	    const struct synq_provider_target *target, struct synq_arena *arena,
	    struct synq_provider_call *ret, struct synq_err *err);
	/*
	 * What ${answer} to ${request} means, into ${ret}; its slices borrow
	 * ${answer} or lie in ${arena}.
	 */
	void (*judge)(const struct synq_request *request,
	    const struct synq_provider_answer *answer, int64_t now_at,
	    struct synq_arena *arena, struct synq_provider_verdict *ret);
};

/* The dialect called ${name}; NULL if there is none. */
const struct synq_dialect *synq_dialect_find(const char *name);

/*
 * The JSON ${body} with its top-level member "model" replaced by ${model},
 * everything else byte for byte; ${body} itself where it says so already, has
 * no such member or is not JSON.  The caller has checked that it fits in
 * ${arena}.
 */
struct synq_slice synq_provider_splice_model(
    struct synq_slice body, struct synq_slice model, struct synq_arena *arena);

/*
 * The wait that the header values ask for in microseconds, at ${now_at}:
 * retry-after-ms, else retry-after (seconds or an HTTP date); -1 = none.
 */
int64_t synq_provider_retry_after(
    const struct synq_provider_answer *answer, int64_t now_at);

#endif
