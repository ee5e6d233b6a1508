/*
 * The life of an attempt on synq.results: three messages with one struct, told
 * apart by the member kind.  Keys mean the same in all three.
 */

#include "proto/attempt.h"

#include "proto/field.h"

/* Never re-used for another meaning. */
enum outcome_key {
	OUTCOME_KIND = 1,
	OUTCOME_SOURCE_TOPIC = 2,
	OUTCOME_SOURCE_PARTITION = 3,
	OUTCOME_SOURCE_OFFSET = 4,
	OUTCOME_JOB_ID = 5,
	OUTCOME_ORGANIZATION_ID = 6,
	OUTCOME_ATTEMPT_ID = 7,
	OUTCOME_ATTEMPT = 8,
	OUTCOME_INSTANCE = 9,
	OUTCOME_BOOT_ID = 10,
	OUTCOME_STARTED_AT = 11,
	OUTCOME_CALL_DEADLINE_AT = 12,
	OUTCOME_PROVIDER = 13,
	OUTCOME_PROVIDER_MODEL = 14,
	OUTCOME_ENDED_AT = 15,
	OUTCOME_HTTP_STATUS = 16,
	OUTCOME_ERROR_CODE = 17,
	OUTCOME_ERROR = 18,
	OUTCOME_CLASS = 19,
	OUTCOME_NOT_BEFORE_AT = 20,
	OUTCOME_INPUT_TOKENS = 21,
	OUTCOME_OUTPUT_TOKENS = 22,
	OUTCOME_CACHED_TOKENS = 23,
	OUTCOME_REASONING_TOKENS = 24,
	OUTCOME_STATE = 25,
	OUTCOME_ANSWER_STATUS = 26,
	OUTCOME_BODY = 27,
	OUTCOME_KEY_ID = 28,
	OUTCOME_ENDPOINT = 29,
	OUTCOME_PRIORITY = 30,
	OUTCOME_CREATED_AT = 31,
	OUTCOME_DEADLINE_AT = 32,
	OUTCOME_MODEL = 33,
	OUTCOME_METADATA = 34,
	OUTCOME_RETRY_OF = 35,
	OUTCOME_REQUEST_ID = 36
};

/* Numbers on the wire are the enums' own: they may grow, not move. */
_Static_assert(
    SYNQ_RETRY_NEVER == 0 && SYNQ_RETRY_LATER == 1 && SYNQ_RETRY_ASK == 2,
    "retry classes are part of the message");
_Static_assert(SYNQ_JOB_SUCCEEDED == 4 && SYNQ_JOB_FAILED == 5 &&
		   SYNQ_JOB_CANCELLED == 6 && SYNQ_JOB_EXPIRED == 7,
    "job states are part of the message");

#define NUM(key, member, min, max)                                             \
	SYNQ_PROTO_NUM(key, synq_outcome, member, min, max)
#define OPTIONAL_NUM(key, member, max)                                         \
	SYNQ_PROTO_OPTIONAL_NUM(key, synq_outcome, member, 0, max, 0)
#define ID(key, member) SYNQ_PROTO_ID(key, synq_outcome, member)
#define OPTIONAL_ID(key, member)                                               \
	SYNQ_PROTO_OPTIONAL_ID(key, synq_outcome, member)
#define OPTIONAL_STR(key, member, max)                                         \
	SYNQ_PROTO_OPTIONAL_STR(key, synq_outcome, member, max)
#define TOKENS(key, member)                                                    \
	SYNQ_PROTO_OPTIONAL_NUM(                                               \
	    key, synq_outcome, usage.member, 0, INT64_MAX, -1)

/* clang-format off */
#define HEAD(kind_is) \
	NUM(OUTCOME_KIND, kind, kind_is, kind_is), \
	NUM(OUTCOME_SOURCE_TOPIC, source.topic, SYNQ_SOURCE_NONE, \
	    SYNQ_SOURCE_BATCH), \
	NUM(OUTCOME_SOURCE_PARTITION, source.partition, 0, INT32_MAX), \
	NUM(OUTCOME_SOURCE_OFFSET, source.offset, 0, INT64_MAX), \
	ID(OUTCOME_JOB_ID, job_id), \
	ID(OUTCOME_ORGANIZATION_ID, organization_id)

#define PROVIDER \
	OPTIONAL_STR(OUTCOME_PROVIDER, provider, SYNQ_PROTO_MAX_NAME), \
	OPTIONAL_STR(OUTCOME_PROVIDER_MODEL, provider_model, \
	    SYNQ_PROTO_MAX_NAME)

#define ENDING \
	NUM(OUTCOME_ENDED_AT, ended_at, 0, INT64_MAX), \
	OPTIONAL_NUM(OUTCOME_HTTP_STATUS, http_status, 999), \
	OPTIONAL_STR(OUTCOME_ERROR_CODE, error_code, SYNQ_PROTO_MAX_NAME), \
	OPTIONAL_STR(OUTCOME_ERROR, error, SYNQ_PROTO_MAX_ERROR), \
	TOKENS(OUTCOME_INPUT_TOKENS, input_tokens), \
	TOKENS(OUTCOME_OUTPUT_TOKENS, output_tokens), \
	TOKENS(OUTCOME_CACHED_TOKENS, cached_tokens), \
	TOKENS(OUTCOME_REASONING_TOKENS, reasoning_tokens)
/* clang-format on */

static const struct synq_proto_field started[] = {
	HEAD(SYNQ_OUTCOME_STARTED),
	ID(OUTCOME_ATTEMPT_ID, attempt_id),
	NUM(OUTCOME_ATTEMPT, attempt, 1, UINT32_MAX),
	SYNQ_PROTO_STR(
	    OUTCOME_INSTANCE, synq_outcome, instance, SYNQ_PROTO_MAX_NAME),
	ID(OUTCOME_BOOT_ID, boot_id),
	NUM(OUTCOME_STARTED_AT, started_at, 0, INT64_MAX),
	NUM(OUTCOME_CALL_DEADLINE_AT, call_deadline_at, 0, INT64_MAX),
	PROVIDER,
};

static const struct synq_proto_field failed[] = {
	HEAD(SYNQ_OUTCOME_FAILED),
	ID(OUTCOME_ATTEMPT_ID, attempt_id),
	NUM(OUTCOME_ATTEMPT, attempt, 1, UINT32_MAX),
	OPTIONAL_NUM(OUTCOME_STARTED_AT, started_at, INT64_MAX),
	PROVIDER,
	ENDING,
	NUM(OUTCOME_CLASS, class, SYNQ_RETRY_NEVER, SYNQ_RETRY_ASK),
	NUM(OUTCOME_NOT_BEFORE_AT, not_before_at, 0, INT64_MAX),
};

static const struct synq_proto_field result[] = {
	HEAD(SYNQ_OUTCOME_RESULT),
	OPTIONAL_ID(OUTCOME_ATTEMPT_ID, attempt_id),
	OPTIONAL_NUM(OUTCOME_ATTEMPT, attempt, UINT32_MAX),
	OPTIONAL_NUM(OUTCOME_STARTED_AT, started_at, INT64_MAX),
	PROVIDER,
	ENDING,
	NUM(OUTCOME_STATE, state, SYNQ_JOB_SUCCEEDED, SYNQ_JOB_EXPIRED),
	NUM(OUTCOME_ANSWER_STATUS, answer_status, 0, 999),
	SYNQ_PROTO_BIN(OUTCOME_BODY, synq_outcome, body, SYNQ_PROTO_MAX_BODY),
	OPTIONAL_ID(OUTCOME_KEY_ID, key_id),
	NUM(OUTCOME_ENDPOINT, endpoint, SYNQ_ENDPOINT_CHAT,
	    SYNQ_ENDPOINT_EMBEDDINGS),
	NUM(OUTCOME_PRIORITY, priority, SYNQ_PRIORITY_INTERACTIVE,
	    SYNQ_PRIORITY_BATCH),
	NUM(OUTCOME_CREATED_AT, created_at, 0, INT64_MAX),
	NUM(OUTCOME_DEADLINE_AT, deadline_at, 0, INT64_MAX),
	SYNQ_PROTO_STR(OUTCOME_MODEL, synq_outcome, model, SYNQ_PROTO_MAX_NAME),
	OPTIONAL_STR(OUTCOME_METADATA, metadata, SYNQ_PROTO_MAX_METADATA),
	OPTIONAL_ID(OUTCOME_RETRY_OF, retry_of),
	OPTIONAL_STR(OUTCOME_REQUEST_ID, request_id, SYNQ_PROTO_MAX_NAME),
};

const struct synq_proto_message synq_proto_attempt_started = {
	.name = "attempt-started",
	.fields = started,
	.count = SYNQ_COUNT(started),
	.struct_bytes = sizeof(struct synq_outcome),
};

const struct synq_proto_message synq_proto_attempt_failed = {
	.name = "attempt-failed",
	.fields = failed,
	.count = SYNQ_COUNT(failed),
	.struct_bytes = sizeof(struct synq_outcome),
};

const struct synq_proto_message synq_proto_result = {
	.name = "result",
	.fields = result,
	.count = SYNQ_COUNT(result),
	.struct_bytes = sizeof(struct synq_outcome),
};

/* The table of the message whose member kind says ${kind}, or NULL. */
static const struct synq_proto_message *
message_of(int64_t kind)
{
	switch (kind) {
	case SYNQ_OUTCOME_STARTED:
		return &synq_proto_attempt_started;
	case SYNQ_OUTCOME_FAILED:
		return &synq_proto_attempt_failed;
	case SYNQ_OUTCOME_RESULT:
		return &synq_proto_result;
	default:
		return NULL;
	}
}

void
synq_outcome_encode(const struct synq_outcome *outcome, struct synq_buf *out)
{
	const struct synq_proto_message *message = message_of(outcome->kind);

	if (message)
		synq_proto_encode(message, outcome, out);
	else
		out->overflow = 1;
}

int
synq_outcome_decode(struct synq_slice input, struct synq_outcome *ret)
{
	const struct synq_proto_message *message =
	    message_of(synq_proto_peek(input, OUTCOME_KIND));
	struct synq_outcome made;

	if (!message || synq_proto_decode(message, input, &made) != 0)
		return -SYNQ_E_CORRUPT;
	if (made.kind == SYNQ_OUTCOME_STARTED)
		made.usage = (struct synq_usage){ -1, -1, -1, -1 };
	*ret = made;
	return 0;
}
