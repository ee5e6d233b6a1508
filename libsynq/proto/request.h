#ifndef SYNQ_PROTO_REQUEST_H
#define SYNQ_PROTO_REQUEST_H

/*
 * synq.requests.*: one accepted request (schema/messages/request.md).
 * Encoding and decoding stand side by side; decoded slices borrow the input.
 *
 * As with every message: what a reader would refuse (a number out of range,
 * text that is not UTF-8, a nil id) is not written, and out->overflow says so.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "base/uuid.h"

enum synq_endpoint {
	SYNQ_ENDPOINT_CHAT = 1,
	SYNQ_ENDPOINT_COMPLETIONS = 2,
	SYNQ_ENDPOINT_EMBEDDINGS = 3
};

enum synq_priority { SYNQ_PRIORITY_INTERACTIVE = 0, SYNQ_PRIORITY_BATCH = 1 };

struct synq_request {
	struct synq_uuid job_id;
	struct synq_uuid organization_id;
	struct synq_uuid key_id; /* the API key that asked */
	enum synq_endpoint endpoint;
	enum synq_priority priority;
	int64_t created_at;            /* wall us */
	int64_t deadline_at;           /* wall us */
	uint32_t max_attempts;         /* 1.. */
	struct synq_slice model;       /* as the client named it */
	struct synq_slice body;        /* the client's JSON, byte for byte */
	struct synq_slice metadata;    /* a JSON object, or empty */
	struct synq_slice reply_to;    /* channel of the intake; may be empty */
	struct synq_uuid retry_of;     /* nil = none */
	struct synq_slice request_id;  /* x-request-id of the accepting call */
	struct synq_slice traceparent; /* may be empty */
};

/* Append the message of ${request} to ${out}; check out->overflow. */
void synq_request_encode(
    const struct synq_request *request, struct synq_buf *out);

/* Decode ${input} into ${ret}.  Error: CORRUPT. */
SYNQ_MUST_CHECK int synq_request_decode(
    struct synq_slice input, struct synq_request *ret);

/* The path of ${endpoint}: "/v1/chat/completions"; NULL if unknown. */
const char *synq_endpoint_path(enum synq_endpoint endpoint);

/* The endpoint with ${path}, into ${ret}.  Error: NOT_FOUND. */
SYNQ_MUST_CHECK int synq_endpoint_parse(
    struct synq_slice path, enum synq_endpoint *ret);

#endif
