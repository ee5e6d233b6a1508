#ifndef SYNQ_INTAKE_CHECK_H
#define SYNQ_INTAKE_CHECK_H

/*
 * Is a request what its endpoint takes?  Pure: bytes in, slices of them out,
 * or the fault in OpenAI's terms.  Unknown members of the OpenAI endpoints go
 * through to the provider; those of POST /v1/jobs are refused.
 */

#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/slice.h"
#include "proto/request.h"
#include "json/scan.h"

struct check_fault {
	int status; /* 400 or 404 */
	const char *code;
	char param[64];    /* "" = none */
	char message[400]; /* names what is wrong and what is right */
};

/* Fill ${fault} with status 400, ${code}, ${param} and a message; returns -1.
 */
int check_fault_set(struct check_fault *fault, const char *code,
    const char *param, const char *fmt, ...) SYNQ_PRINTF(4, 5);

/* Parse ${text}, which must be a JSON object; 0, or -1 and ${fault}. */
int check_parse(
    struct synq_slice text, struct synq_json *ret, struct check_fault *fault);

/* A request body that passed. */
struct check_request {
	/*
	 * Set by the caller: holds a model's name that had escapes, such as
	 * "org\/m"; NULL = such a name is refused.
	 */
	struct synq_arena *arena;
	struct synq_json body;   /* the whole object */
	struct synq_slice model; /* the name, without escapes */
};

/*
 * Check that ${text} is a body for ${endpoint}; what it says into ${ret}, of
 * which the arena is the caller's.
 * Returns 0, or -1 and ${fault}.
 */
int check_request(enum synq_endpoint endpoint, struct synq_slice text,
    struct check_request *ret, struct check_fault *fault);

/* The same for a ${body} that was parsed already, named ${prefix} in faults. */
int check_body(enum synq_endpoint endpoint, struct synq_json body,
    const char *prefix, struct check_request *ret, struct check_fault *fault);

/* A job as POST /v1/jobs describes it. */
struct check_job {
	enum synq_endpoint endpoint;
	struct check_request request;
	enum synq_priority priority;
	int64_t deadline_at;        /* 0 = not given */
	uint32_t max_attempts;      /* 0 = not given */
	struct synq_slice metadata; /* JSON object; empty = none */
};

/*
 * Check that ${text} is a job, at ${now_at}; what it says into ${ret}, of which
 * request.arena is the caller's.  Returns 0, or -1 and ${fault}.
 */
int check_job(struct synq_slice text, int64_t now_at, struct check_job *ret,
    struct check_fault *fault);

/*
 * Check the metadata ${value}: <= 16 pairs, names <= 64, texts <= 512
 * characters; 0, or -1 and ${fault}.
 */
int check_metadata(struct synq_json value, struct check_fault *fault);

#endif
