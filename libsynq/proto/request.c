/*
 * The request, as intake writes it and the dispatcher and the recorder read
 * it: one table.
 */

#include "proto/request.h"

#include "base/err.h"
#include "proto/field.h"

/* Never re-used for another meaning. */
enum request_key {
	REQUEST_JOB_ID = 1,
	REQUEST_ORGANIZATION_ID = 2,
	REQUEST_KEY_ID = 3,
	REQUEST_ENDPOINT = 4,
	REQUEST_PRIORITY = 5,
	REQUEST_CREATED_AT = 6,
	REQUEST_DEADLINE_AT = 7,
	REQUEST_MAX_ATTEMPTS = 8,
	REQUEST_MODEL = 9,
	REQUEST_BODY = 10,
	REQUEST_METADATA = 11,
	REQUEST_REPLY_TO = 12,
	REQUEST_RETRY_OF = 13,
	REQUEST_REQUEST_ID = 14,
	REQUEST_TRACEPARENT = 15
};

#define ID(key, member) SYNQ_PROTO_ID(key, synq_request, member)
#define NUM(key, member, min, max)                                             \
	SYNQ_PROTO_NUM(key, synq_request, member, min, max)
#define OPTIONAL_STR(key, member, max)                                         \
	SYNQ_PROTO_OPTIONAL_STR(key, synq_request, member, max)

static const struct synq_proto_field fields[] = {
	ID(REQUEST_JOB_ID, job_id),
	ID(REQUEST_ORGANIZATION_ID, organization_id),
	SYNQ_PROTO_OPTIONAL_ID(REQUEST_KEY_ID, synq_request, key_id),
	NUM(REQUEST_ENDPOINT, endpoint, SYNQ_ENDPOINT_CHAT,
	    SYNQ_ENDPOINT_EMBEDDINGS),
	NUM(REQUEST_PRIORITY, priority, SYNQ_PRIORITY_INTERACTIVE,
	    SYNQ_PRIORITY_BATCH),
	NUM(REQUEST_CREATED_AT, created_at, 0, INT64_MAX),
	NUM(REQUEST_DEADLINE_AT, deadline_at, 0, INT64_MAX),
	NUM(REQUEST_MAX_ATTEMPTS, max_attempts, 1, 1000),
	SYNQ_PROTO_STR(REQUEST_MODEL, synq_request, model, SYNQ_PROTO_MAX_NAME),
	SYNQ_PROTO_BIN(REQUEST_BODY, synq_request, body, SYNQ_PROTO_MAX_BODY),
	OPTIONAL_STR(REQUEST_METADATA, metadata, SYNQ_PROTO_MAX_METADATA),
	OPTIONAL_STR(REQUEST_REPLY_TO, reply_to, SYNQ_PROTO_MAX_NAME),
	SYNQ_PROTO_OPTIONAL_ID(REQUEST_RETRY_OF, synq_request, retry_of),
	OPTIONAL_STR(REQUEST_REQUEST_ID, request_id, SYNQ_PROTO_MAX_NAME),
	OPTIONAL_STR(REQUEST_TRACEPARENT, traceparent, SYNQ_PROTO_MAX_NAME),
};

const struct synq_proto_message synq_proto_request = {
	.name = "request",
	.fields = fields,
	.count = SYNQ_COUNT(fields),
	.struct_bytes = sizeof(struct synq_request),
};

void
synq_request_encode(const struct synq_request *request, struct synq_buf *out)
{
	synq_proto_encode(&synq_proto_request, request, out);
}

int
synq_request_decode(struct synq_slice input, struct synq_request *ret)
{
	return synq_proto_decode(&synq_proto_request, input, ret);
}

/* ---- endpoints ---------------------------------------------------------- */

static const struct {
	enum synq_endpoint endpoint;
	const char *path;
} endpoints[] = {
	{ SYNQ_ENDPOINT_CHAT, "/v1/chat/completions" },
	{ SYNQ_ENDPOINT_COMPLETIONS, "/v1/completions" },
	{ SYNQ_ENDPOINT_EMBEDDINGS, "/v1/embeddings" },
};

const char *
synq_endpoint_path(enum synq_endpoint endpoint)
{
	for (size_t i = 0; i < SYNQ_COUNT(endpoints); i++)
		if (endpoints[i].endpoint == endpoint)
			return endpoints[i].path;
	return NULL;
}

int
synq_endpoint_parse(struct synq_slice path, enum synq_endpoint *ret)
{
	for (size_t i = 0; i < SYNQ_COUNT(endpoints); i++) {
		if (synq_slice_is(path, endpoints[i].path)) {
			*ret = endpoints[i].endpoint;
			return 0;
		}
	}
	return -SYNQ_E_NOT_FOUND;
}
