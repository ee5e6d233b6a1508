#ifndef TESTS_UNIT_PROTO_MESSAGES_H
#define TESTS_UNIT_PROTO_MESSAGES_H

/*
 * One full message of each kind, the content of schema/messages/golden, and
 * the tables; for the tests of proto.
 */

#include <string.h>

#include "base/slice.h"
#include "proto/attempt.h"
#include "proto/field.h"
#include "proto/request.h"
#include "proto/signal.h"

#define T INT64_C(1767225600000000)
#define DAY_US INT64_C(86400000000)

static inline struct synq_uuid
uuid_of(uint8_t n)
{
	struct synq_uuid id = { { 0x01, 0x90, 0xa0, 0xb1, 0xc2, 0xd3, 0x7e,
	    0x4f, 0x8a, 0x5b, 0, 0, 0, 0, 0, n } };

	return id;
}

static inline struct synq_request
full_request(void)
{
	return (struct synq_request){
		.job_id = uuid_of(1),
		.organization_id = uuid_of(2),
		.key_id = uuid_of(3),
		.endpoint = SYNQ_ENDPOINT_CHAT,
		.priority = SYNQ_PRIORITY_BATCH,
		.created_at = T,
		.deadline_at = T + DAY_US,
		.max_attempts = 5,
		.model = synq_slice_text("gpt-5"),
		.body = synq_slice_text("{\"model\":\"gpt-5\",\"messages\":[{"
					"\"role\":\"user\",\"content\":"
					"\"Hi\"}]}"),
		.metadata = synq_slice_text("{\"team\":\"blue\"}"),
		.reply_to = synq_slice_text("synq:reply:intake-1"),
		.retry_of = uuid_of(4),
		.request_id = synq_slice_text("req_0123456789"),
		.traceparent = synq_slice_text("00-0af7651916cd43dd8448eb211c80"
					       "319c-b7ad6b7169203331-01"),
	};
}

static inline struct synq_request
least_request(void)
{
	return (struct synq_request){
		.job_id = uuid_of(1),
		.organization_id = uuid_of(2),
		.endpoint = SYNQ_ENDPOINT_EMBEDDINGS,
		.priority = SYNQ_PRIORITY_INTERACTIVE,
		.created_at = T,
		.deadline_at = T + 1,
		.max_attempts = 1,
		.model = synq_slice_text("e"),
		.body = synq_slice_text("{}"),
	};
}

static inline struct synq_outcome
any_outcome(enum synq_outcome_kind kind)
{
	return (struct synq_outcome){
		.kind = kind,
		.source = { SYNQ_SOURCE_BATCH, 15, INT64_C(4294967296) },
		.job_id = uuid_of(1),
		.organization_id = uuid_of(2),
		.usage = { -1, -1, -1, -1 },
	};
}

static inline struct synq_outcome
full_started(void)
{
	struct synq_outcome outcome = any_outcome(SYNQ_OUTCOME_STARTED);

	outcome.attempt_id = uuid_of(5);
	outcome.attempt = 2;
	outcome.instance = synq_slice_text("dispatcher-1");
	outcome.boot_id = uuid_of(6);
	outcome.started_at = T;
	outcome.call_deadline_at = T + 60000000;
	outcome.provider = synq_slice_text("openai");
	outcome.provider_model = synq_slice_text("gpt-5-2026-01-01");
	return outcome;
}

static inline struct synq_outcome
full_failed(void)
{
	struct synq_outcome outcome = full_started();

	outcome.kind = SYNQ_OUTCOME_FAILED;
	outcome.instance = synq_slice_text(NULL);
	memset(&outcome.boot_id, 0, sizeof(outcome.boot_id));
	outcome.call_deadline_at = 0;
	outcome.ended_at = T + 1500000;
	outcome.http_status = 429;
	outcome.error_code = synq_slice_text("rate_limit_exceeded");
	outcome.error = synq_slice_text("slow down");
	outcome.class = SYNQ_RETRY_LATER;
	outcome.not_before_at = T + 3000000;
	return outcome;
}

static inline struct synq_outcome
expired_result(void)
{
	struct synq_outcome outcome = any_outcome(SYNQ_OUTCOME_RESULT);

	outcome.ended_at = T + 1500000;
	outcome.error_code = synq_slice_text("deadline_exceeded");
	outcome.error = synq_slice_text("the deadline passed");
	outcome.state = SYNQ_JOB_EXPIRED;
	outcome.answer_status = 504;
	outcome.body = synq_slice_text("{\"error\":{}}");
	outcome.endpoint = SYNQ_ENDPOINT_CHAT;
	outcome.priority = SYNQ_PRIORITY_BATCH;
	outcome.created_at = T;
	outcome.deadline_at = T + DAY_US;
	outcome.model = synq_slice_text("gpt-5");
	return outcome;
}

static inline struct synq_outcome
full_result(void)
{
	struct synq_outcome outcome = expired_result();

	outcome.attempt_id = uuid_of(5);
	outcome.attempt = 2;
	outcome.started_at = T;
	outcome.provider = synq_slice_text("openai");
	outcome.provider_model = synq_slice_text("gpt-5-2026-01-01");
	outcome.http_status = 200;
	outcome.error_code = synq_slice_text(NULL);
	outcome.error = synq_slice_text(NULL);
	outcome.usage = (struct synq_usage){ 12, 34, 0, 7 };
	outcome.state = SYNQ_JOB_SUCCEEDED;
	outcome.answer_status = 200;
	outcome.body = synq_slice_text("{\"id\":\"chatcmpl-1\"}");
	outcome.key_id = uuid_of(3);
	outcome.metadata = synq_slice_text("{\"team\":\"blue\"}");
	outcome.retry_of = uuid_of(4);
	outcome.request_id = synq_slice_text("req_0123456789");
	return outcome;
}

static inline struct synq_cancel
full_cancel(void)
{
	return (
	    struct synq_cancel){ uuid_of(1), uuid_of(2), SYNQ_CANCEL_GONE, T };
}

static inline struct synq_control
full_control(void)
{
	return (struct synq_control){ SYNQ_CONTROL_KEY,
		synq_slice_text("ABCDEFGH12345678"), 1, T };
}

static inline struct synq_event
full_event(void)
{
	return (struct synq_event){
		.job_id = uuid_of(1),
		.organization_id = uuid_of(2),
		.state = SYNQ_JOB_FAILED,
		.happened_at = T,
		.model = synq_slice_text("gpt-5"),
		.attempts = 3,
		.answer_status = 502,
		.error_code = synq_slice_text("provider_timeout"),
	};
}

static inline struct synq_reply
full_reply(void)
{
	return (struct synq_reply){
		.job_id = uuid_of(1),
		.state = SYNQ_JOB_SUCCEEDED,
		.answer_status = 200,
		.has_body = 1,
		.body = synq_slice_text("{\"id\":\"chatcmpl-1\"}"),
		.attempts = 2,
		.provider = synq_slice_text("openai"),
	};
}

/* A message to test: its golden file, its table and its content. */
struct sample {
	const char *golden;
	const struct synq_proto_message *message;
	union {
		struct synq_request request;
		struct synq_outcome outcome;
		struct synq_cancel cancel;
		struct synq_control control;
		struct synq_event event;
		struct synq_reply reply;
	} content;
};

#define SAMPLES 10

/* Write the samples to ${ret}. */
static inline void
make_samples(struct sample ret[SAMPLES])
{
	memset(ret, 0, SAMPLES * sizeof(ret[0]));
	ret[0] = (struct sample){ "request", &synq_proto_request,
		{ .request = full_request() } };
	ret[1] = (struct sample){ "request-least", &synq_proto_request,
		{ .request = least_request() } };
	ret[2] = (struct sample){ "attempt-started",
		&synq_proto_attempt_started, { .outcome = full_started() } };
	ret[3] = (struct sample){ "attempt-failed", &synq_proto_attempt_failed,
		{ .outcome = full_failed() } };
	ret[4] = (struct sample){ "result", &synq_proto_result,
		{ .outcome = full_result() } };
	ret[5] = (struct sample){ "result-expired", &synq_proto_result,
		{ .outcome = expired_result() } };
	ret[6] = (struct sample){ "cancel", &synq_proto_cancel,
		{ .cancel = full_cancel() } };
	ret[7] = (struct sample){ "control", &synq_proto_control,
		{ .control = full_control() } };
	ret[8] = (struct sample){ "event", &synq_proto_event,
		{ .event = full_event() } };
	ret[9] = (struct sample){ "reply", &synq_proto_reply,
		{ .reply = full_reply() } };
}

/* Encode ${sample} by its public function into ${out}. */
static inline void
sample_encode(const struct sample *sample, struct synq_buf *out)
{
	if (sample->message == &synq_proto_request)
		synq_request_encode(&sample->content.request, out);
	else if (sample->message == &synq_proto_cancel)
		synq_cancel_encode(&sample->content.cancel, out);
	else if (sample->message == &synq_proto_control)
		synq_control_encode(&sample->content.control, out);
	else if (sample->message == &synq_proto_event)
		synq_event_encode(&sample->content.event, out);
	else if (sample->message == &synq_proto_reply)
		synq_reply_encode(&sample->content.reply, out);
	else
		synq_outcome_encode(&sample->content.outcome, out);
}

/* Decode ${input} by the public function of ${sample} into ${ret}. */
static inline int
sample_decode(
    const struct sample *sample, struct synq_slice input, struct sample *ret)
{
	*ret = *sample;
	memset(&ret->content, 0xee, sizeof(ret->content));
	if (sample->message == &synq_proto_request)
		return synq_request_decode(input, &ret->content.request);
	if (sample->message == &synq_proto_cancel)
		return synq_cancel_decode(input, &ret->content.cancel);
	if (sample->message == &synq_proto_control)
		return synq_control_decode(input, &ret->content.control);
	if (sample->message == &synq_proto_event)
		return synq_event_decode(input, &ret->content.event);
	if (sample->message == &synq_proto_reply)
		return synq_reply_decode(input, &ret->content.reply);
	return synq_outcome_decode(input, &ret->content.outcome);
}

#endif
