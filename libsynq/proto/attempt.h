#ifndef SYNQ_PROTO_ATTEMPT_H
#define SYNQ_PROTO_ATTEMPT_H

/*
 * synq.results: the life of attempts (schema/messages/attempt-started.md,
 * attempt-failed.md, result.md).  All three share the partition number of
 * their request; the kind is in the message.  Slices borrow the input.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "job/state.h"
#include "proto/request.h"
#include "proto/topics.h"

enum synq_outcome_kind {
	SYNQ_OUTCOME_STARTED = 1, /* acknowledged before the call is sent */
	SYNQ_OUTCOME_FAILED = 2,  /* this attempt failed, another will follow */
	SYNQ_OUTCOME_RESULT = 3   /* final */
};

/* What a call used, as the provider reported it; -1 = not reported. */
struct synq_usage {
	int64_t input_tokens;
	int64_t output_tokens;
	int64_t cached_tokens;
	int64_t reasoning_tokens;
};

/* One record of synq.results.  Which members count depends on kind. */
struct synq_outcome {
	enum synq_outcome_kind kind;
	struct synq_source source;
	struct synq_uuid job_id;
	struct synq_uuid organization_id;

	/* the attempt; nil id where a result has none (expired, cancelled) */
	struct synq_uuid attempt_id;
	uint32_t attempt;           /* 1.. */
	struct synq_slice instance; /* STARTED: who calls */
	struct synq_uuid boot_id;   /* STARTED: which life of it */
	int64_t started_at;         /* wall us; 0 = no attempt */
	int64_t call_deadline_at;   /* STARTED: wall us */
	struct synq_slice provider; /* name */
	struct synq_slice provider_model;

	/* FAILED and RESULT */
	int64_t ended_at;             /* wall us */
	int32_t http_status;          /* of the provider; 0 = no answer */
	struct synq_slice error_code; /* "" = none; else as the API shows it */
	struct synq_slice error;      /* text for people, never secret */
	enum synq_retry_class class;  /* FAILED */
	int64_t not_before_at;        /* FAILED: earliest next try, wall us */
	struct synq_usage usage;

	/* RESULT: enough to make the row without the request (decisions 22) */
	enum synq_job_state state;
	int32_t answer_status;  /* HTTP status that the client gets */
	struct synq_slice body; /* the answer's JSON */
	struct synq_uuid key_id;
	enum synq_endpoint endpoint;
	enum synq_priority priority;
	int64_t created_at;
	int64_t deadline_at;
	struct synq_slice model;
	struct synq_slice metadata;
	struct synq_uuid retry_of;
	struct synq_slice request_id;
};

/* Append the message of ${outcome} to ${out}; check out->overflow. */
void synq_outcome_encode(
    const struct synq_outcome *outcome, struct synq_buf *out);

/* Decode ${input} into ${ret}.  Error: CORRUPT. */
SYNQ_MUST_CHECK int synq_outcome_decode(
    struct synq_slice input, struct synq_outcome *ret);

#endif
