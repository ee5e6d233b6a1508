/*
 * The small messages, one table each.
 */

#include "proto/signal.h"

#include "base/err.h"
#include "proto/field.h"

/* ---- cancel ------------------------------------------------------------- */

/* Never re-used for another meaning. */
enum cancel_key {
	CANCEL_JOB_ID = 1,
	CANCEL_ORGANIZATION_ID = 2,
	CANCEL_REASON = 3,
	CANCEL_ASKED_AT = 4
};

static const struct synq_proto_field cancel_fields[] = {
	SYNQ_PROTO_ID(CANCEL_JOB_ID, synq_cancel, job_id),
	SYNQ_PROTO_ID(CANCEL_ORGANIZATION_ID, synq_cancel, organization_id),
	SYNQ_PROTO_NUM(CANCEL_REASON, synq_cancel, reason, SYNQ_CANCEL_ASKED,
	    SYNQ_CANCEL_UNSURE),
	SYNQ_PROTO_NUM(CANCEL_ASKED_AT, synq_cancel, asked_at, 0, INT64_MAX),
};

const struct synq_proto_message synq_proto_cancel = {
	.name = "cancel",
	.fields = cancel_fields,
	.count = SYNQ_COUNT(cancel_fields),
	.struct_bytes = sizeof(struct synq_cancel),
};

void
synq_cancel_encode(const struct synq_cancel *cancel, struct synq_buf *out)
{
	synq_proto_encode(&synq_proto_cancel, cancel, out);
}

int
synq_cancel_decode(struct synq_slice input, struct synq_cancel *ret)
{
	return synq_proto_decode(&synq_proto_cancel, input, ret);
}

/* ---- control ------------------------------------------------------------ */

/* Never re-used for another meaning. */
enum control_key {
	CONTROL_KIND = 1,
	CONTROL_OBJECT_ID = 2,
	CONTROL_REVOKED = 3,
	CONTROL_CHANGED_AT = 4
};

static const struct synq_proto_field control_fields[] = {
	SYNQ_PROTO_NUM(CONTROL_KIND, synq_control, kind, SYNQ_CONTROL_KEY,
	    SYNQ_CONTROL_LIFE),
	SYNQ_PROTO_STR(
	    CONTROL_OBJECT_ID, synq_control, object_id, SYNQ_PROTO_MAX_NAME),
	SYNQ_PROTO_OPTIONAL_NUM(
	    CONTROL_REVOKED, synq_control, revoked, 0, 1, 0),
	SYNQ_PROTO_NUM(
	    CONTROL_CHANGED_AT, synq_control, changed_at, 0, INT64_MAX),
};

const struct synq_proto_message synq_proto_control = {
	.name = "control",
	.fields = control_fields,
	.count = SYNQ_COUNT(control_fields),
	.struct_bytes = sizeof(struct synq_control),
};

void
synq_control_encode(const struct synq_control *control, struct synq_buf *out)
{
	synq_proto_encode(&synq_proto_control, control, out);
}

int
synq_control_decode(struct synq_slice input, struct synq_control *ret)
{
	return synq_proto_decode(&synq_proto_control, input, ret);
}

/* ---- event -------------------------------------------------------------- */

/* Never re-used for another meaning. */
enum event_key {
	EVENT_JOB_ID = 1,
	EVENT_ORGANIZATION_ID = 2,
	EVENT_STATE = 3,
	EVENT_HAPPENED_AT = 4,
	EVENT_MODEL = 5,
	EVENT_ATTEMPTS = 6,
	EVENT_ANSWER_STATUS = 7,
	EVENT_ERROR_CODE = 8
};

_Static_assert(SYNQ_JOB_ACCEPTED == 0 && SYNQ_JOB_QUEUED == 1 &&
		   SYNQ_JOB_RUNNING == 2 && SYNQ_JOB_RETRYING == 3,
    "job states are part of the message");

static const struct synq_proto_field event_fields[] = {
	SYNQ_PROTO_ID(EVENT_JOB_ID, synq_event, job_id),
	SYNQ_PROTO_ID(EVENT_ORGANIZATION_ID, synq_event, organization_id),
	SYNQ_PROTO_NUM(EVENT_STATE, synq_event, state, SYNQ_JOB_ACCEPTED,
	    SYNQ_JOB_EXPIRED),
	SYNQ_PROTO_NUM(
	    EVENT_HAPPENED_AT, synq_event, happened_at, 0, INT64_MAX),
	SYNQ_PROTO_OPTIONAL_STR(
	    EVENT_MODEL, synq_event, model, SYNQ_PROTO_MAX_NAME),
	SYNQ_PROTO_OPTIONAL_NUM(
	    EVENT_ATTEMPTS, synq_event, attempts, 0, UINT32_MAX, 0),
	SYNQ_PROTO_OPTIONAL_NUM(
	    EVENT_ANSWER_STATUS, synq_event, answer_status, 0, 999, 0),
	SYNQ_PROTO_OPTIONAL_STR(
	    EVENT_ERROR_CODE, synq_event, error_code, SYNQ_PROTO_MAX_NAME),
};

const struct synq_proto_message synq_proto_event = {
	.name = "event",
	.fields = event_fields,
	.count = SYNQ_COUNT(event_fields),
	.struct_bytes = sizeof(struct synq_event),
};

void
synq_event_encode(const struct synq_event *event, struct synq_buf *out)
{
	synq_proto_encode(&synq_proto_event, event, out);
}

int
synq_event_decode(struct synq_slice input, struct synq_event *ret)
{
	return synq_proto_decode(&synq_proto_event, input, ret);
}

/* ---- reply -------------------------------------------------------------- */

/* Never re-used for another meaning. */
enum reply_key {
	REPLY_JOB_ID = 1,
	REPLY_STATE = 2,
	REPLY_ANSWER_STATUS = 3,
	REPLY_HAS_BODY = 4,
	REPLY_BODY = 5,
	REPLY_ATTEMPTS = 6,
	REPLY_PROVIDER = 7
};

static const struct synq_proto_field reply_fields[] = {
	SYNQ_PROTO_ID(REPLY_JOB_ID, synq_reply, job_id),
	SYNQ_PROTO_NUM(REPLY_STATE, synq_reply, state, SYNQ_JOB_SUCCEEDED,
	    SYNQ_JOB_EXPIRED),
	SYNQ_PROTO_NUM(REPLY_ANSWER_STATUS, synq_reply, answer_status, 0, 999),
	SYNQ_PROTO_NUM(REPLY_HAS_BODY, synq_reply, has_body, 0, 1),
	SYNQ_PROTO_OPTIONAL_BIN(
	    REPLY_BODY, synq_reply, body, SYNQ_REPLY_MAX_BODY),
	SYNQ_PROTO_OPTIONAL_NUM(
	    REPLY_ATTEMPTS, synq_reply, attempts, 0, UINT32_MAX, 0),
	SYNQ_PROTO_OPTIONAL_STR(
	    REPLY_PROVIDER, synq_reply, provider, SYNQ_PROTO_MAX_NAME),
};

const struct synq_proto_message synq_proto_reply = {
	.name = "reply",
	.fields = reply_fields,
	.count = SYNQ_COUNT(reply_fields),
	.struct_bytes = sizeof(struct synq_reply),
};

void
synq_reply_encode(const struct synq_reply *reply, struct synq_buf *out)
{
	struct synq_reply sent = *reply;

	/* A body that is too large is left to the row, whoever forgot. */
	if (!sent.has_body || sent.body.bytes > SYNQ_REPLY_MAX_BODY) {
		sent.has_body = 0;
		sent.body = synq_slice_text(NULL);
	}
	synq_proto_encode(&synq_proto_reply, &sent, out);
}

int
synq_reply_decode(struct synq_slice input, struct synq_reply *ret)
{
	struct synq_reply made;

	if (synq_proto_decode(&synq_proto_reply, input, &made) != 0)
		return -SYNQ_E_CORRUPT;
	if (!made.has_body && made.body.bytes > 0)
		return -SYNQ_E_CORRUPT;
	*ret = made;
	return 0;
}
