#ifndef SYNQ_PROTO_SIGNAL_H
#define SYNQ_PROTO_SIGNAL_H

/*
 * The small messages: cancel (synq.cancels), control (synq.control), event
 * (synq.events) and reply (Redis publish).  One page each in schema/messages/.
 * Slices borrow the input.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "job/state.h"

enum synq_cancel_reason {
	SYNQ_CANCEL_ASKED = 1, /* the client asked: abort the call too */
	SYNQ_CANCEL_GONE = 2, /* a synchronous client left: only if not begun */
	SYNQ_CANCEL_UNSURE = 3 /* the accept was answered 503: as ASKED */
};

struct synq_cancel {
	struct synq_uuid job_id;
	struct synq_uuid organization_id;
	enum synq_cancel_reason reason;
	int64_t asked_at; /* wall us */
};

/* Append the message of ${cancel} to ${out}. */
void synq_cancel_encode(const struct synq_cancel *cancel, struct synq_buf *out);

/* Decode ${input} into ${ret}.  Error: CORRUPT. */
SYNQ_MUST_CHECK int synq_cancel_decode(
    struct synq_slice input, struct synq_cancel *ret);

enum synq_control_kind {
	SYNQ_CONTROL_KEY = 1,     /* an API key changed or was revoked */
	SYNQ_CONTROL_CATALOG = 2, /* providers, models or routes changed */
	SYNQ_CONTROL_ORGANIZATION = 3,
	SYNQ_CONTROL_LIFE = 4 /* a dispatcher began: "<name>:<boot id>" */
};

/* Says that an object changed: readers drop what they keep of it. */
struct synq_control {
	enum synq_control_kind kind;
	struct synq_slice object_id; /* key id, provider name, ... */
	int revoked;                 /* KEY: 1 = refuse it from now on */
	int64_t changed_at;
};

/* Append the message of ${control} to ${out}. */
void synq_control_encode(
    const struct synq_control *control, struct synq_buf *out);

/* Decode ${input} into ${ret}.  Error: CORRUPT. */
SYNQ_MUST_CHECK int synq_control_decode(
    struct synq_slice input, struct synq_control *ret);

/* A job reached a state, published by the recorder after its commit. */
struct synq_event {
	struct synq_uuid job_id;
	struct synq_uuid organization_id;
	enum synq_job_state state;
	int64_t happened_at;
	struct synq_slice model;
	uint32_t attempts;
	int32_t answer_status;
	struct synq_slice error_code;
};

/* Append the message of ${event} to ${out}. */
void synq_event_encode(const struct synq_event *event, struct synq_buf *out);

/* Decode ${input} into ${ret}.  Error: CORRUPT. */
SYNQ_MUST_CHECK int synq_event_decode(
    struct synq_slice input, struct synq_event *ret);

/* The answer on its way to a waiting intake (decisions 20). */
struct synq_reply {
	struct synq_uuid job_id;
	enum synq_job_state state;
	int32_t answer_status;
	int has_body;           /* 0: above 64 KiB, read the row */
	struct synq_slice body; /* the answer's JSON */
	uint32_t attempts;
	struct synq_slice provider;
};

/* The largest body that travels inside a reply. */
#define SYNQ_REPLY_MAX_BODY 65536

/* Append the message of ${reply} to ${out}. */
void synq_reply_encode(const struct synq_reply *reply, struct synq_buf *out);

/* Decode ${input} into ${ret}.  Error: CORRUPT. */
SYNQ_MUST_CHECK int synq_reply_decode(
    struct synq_slice input, struct synq_reply *ret);

#endif
