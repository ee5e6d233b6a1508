/*
 * POST /v1/jobs: an envelope around a request of one of the OpenAI endpoints.
 * Its members are ours, so an unknown one is a mistake.
 */

#include <stdio.h>

#include "base/clock.h"
#include "check.h"

#define METADATA_MAX_PAIRS 16
#define METADATA_MAX_NAME 64
#define METADATA_MAX_TEXT 512
/* As it stands, white space and escapes included: schema/messages/request.md.
 */
#define METADATA_MAX_BYTES 131072
#define ATTEMPTS_MAX 10
/* Requests are kept seven days; a job must end before (decisions 12). */
#define DEADLINE_MAX_US (6LL * 86400 * 1000000)

/* At most ${max} characters, counted as code points. */
static int
job_text_fits(struct synq_json text, size_t max)
{
	struct synq_buf plain;
	size_t chars = 0;
	size_t i;
	int rc;

	synq_buf_init(&plain, 4 * max);
	rc = synq_json_string(text, &plain);
	for (i = 0; rc == 0 && i < plain.bytes; i++)
		chars += ((unsigned char)plain.data[i] & 0xc0) != 0x80;
	synq_buf_done(&plain);
	return rc == 0 && chars <= max;
}

int
check_metadata(struct synq_json value, struct check_fault *fault)
{
	struct synq_json_cursor cursor = synq_json_walk(value);
	struct synq_slice name;
	struct synq_json text;
	struct synq_json key;
	size_t pairs = 0;

	if (value.type != SYNQ_JSON_OBJECT)
		return check_fault_set(fault, "invalid_type", "metadata",
		    "'metadata' must be an object of strings.");
	if (value.raw.bytes > METADATA_MAX_BYTES)
		return check_fault_set(fault, "invalid_value", "metadata",
		    "'metadata' must be at most %d bytes long.",
		    METADATA_MAX_BYTES);
	while (synq_json_next(&cursor, &name, &text)) {
		key = (struct synq_json){ SYNQ_JSON_STRING, name };
		if (text.type != SYNQ_JSON_STRING ||
		    !job_text_fits(text, METADATA_MAX_TEXT) ||
		    !job_text_fits(key, METADATA_MAX_NAME) ||
		    ++pairs > METADATA_MAX_PAIRS)
			return check_fault_set(fault, "invalid_value",
			    "metadata",
			    "'metadata' takes up to %d pairs: names of up to "
			    "%d, strings of up to %d characters.",
			    METADATA_MAX_PAIRS, METADATA_MAX_NAME,
			    METADATA_MAX_TEXT);
	}
	return 0;
}

static int
job_endpoint(
    struct synq_json value, struct check_job *ret, struct check_fault *fault)
{
	static const enum synq_endpoint all[] = { SYNQ_ENDPOINT_CHAT,
		SYNQ_ENDPOINT_COMPLETIONS, SYNQ_ENDPOINT_EMBEDDINGS };
	size_t i;

	if (value.type == SYNQ_JSON_NONE)
		return check_fault_set(fault, "missing_required_parameter",
		    "endpoint",
		    "'endpoint' is missing: one of /v1/chat/completions, "
		    "/v1/completions, /v1/embeddings.");
	/* Not by its raw text: "\/v1\/embeddings" is the same name. */
	for (i = 0; i < SYNQ_COUNT(all); i++) {
		if (!synq_json_is(value, synq_endpoint_path(all[i])))
			continue;
		ret->endpoint = all[i];
		return 0;
	}
	return check_fault_set(fault, "unknown_endpoint", "endpoint",
	    "'endpoint' must be one of /v1/chat/completions, "
	    "/v1/completions, /v1/embeddings.");
}

static int
job_priority(
    struct synq_json value, struct check_job *ret, struct check_fault *fault)
{
	if (synq_json_is(value, "interactive"))
		ret->priority = SYNQ_PRIORITY_INTERACTIVE;
	else if (synq_json_is(value, "batch"))
		ret->priority = SYNQ_PRIORITY_BATCH;
	else
		return check_fault_set(fault, "invalid_value", "priority",
		    "'priority' must be \"interactive\" or \"batch\".");
	return 0;
}

/* Seconds from now, or an RFC 3339 time. */
static int
job_deadline(struct synq_json value, int64_t now_at, struct check_job *ret,
    struct check_fault *fault)
{
	struct synq_slice text;
	int64_t seconds;

	if (synq_json_int(value, &seconds) == 0) {
		if (seconds >= 1 && seconds <= DEADLINE_MAX_US / 1000000) {
			ret->deadline_at = now_at + seconds * 1000000;
			return 0;
		}
	} else if (synq_json_plain(value, &text) == 0 &&
		   synq_clock_parse(text, &ret->deadline_at) == 0 &&
		   ret->deadline_at > now_at &&
		   ret->deadline_at <= now_at + DEADLINE_MAX_US) {
		return 0;
	}
	return check_fault_set(fault, "invalid_value", "deadline",
	    "'deadline' must be 1 to %lld seconds from now, or an RFC 3339 "
	    "time within six days.",
	    DEADLINE_MAX_US / 1000000);
}

static int
job_attempts(
    struct synq_json value, struct check_job *ret, struct check_fault *fault)
{
	int64_t count;

	if (synq_json_int(value, &count) != 0 || count < 1 ||
	    count > ATTEMPTS_MAX)
		return check_fault_set(fault, "invalid_value", "max_attempts",
		    "'max_attempts' must be from 1 to %d.", ATTEMPTS_MAX);
	ret->max_attempts = (uint32_t)count;
	return 0;
}

/* One member of the envelope but endpoint and body. */
static int
job_member(struct synq_slice name, struct synq_json value, int64_t now_at,
    struct check_job *ret, struct check_fault *fault)
{
	const struct synq_json text = { SYNQ_JSON_STRING, name };

	if (synq_json_is(text, "priority"))
		return job_priority(value, ret, fault);
	if (synq_json_is(text, "deadline"))
		return job_deadline(value, now_at, ret, fault);
	if (synq_json_is(text, "max_attempts"))
		return job_attempts(value, ret, fault);
	if (synq_json_is(text, "metadata")) {
		ret->metadata = value.raw;
		return check_metadata(value, fault);
	}
	(void)check_fault_set(fault, "unknown_parameter", "",
	    "%.*s is not a member of a job: it takes endpoint, body, "
	    "priority, deadline, max_attempts and metadata.",
	    (int)(name.bytes > 80 ? 80 : name.bytes), name.data);
	(void)snprintf(fault->param, sizeof(fault->param), "%.*s",
	    (int)(name.bytes < 2 ? 0 : name.bytes - 2), name.data + 1);
	return -1;
}

int
check_job(struct synq_slice text, int64_t now_at, struct check_job *ret,
    struct check_fault *fault)
{
	struct synq_json endpoint = { .type = SYNQ_JSON_NONE };
	struct synq_json body = { .type = SYNQ_JSON_NONE };
	struct synq_json_cursor cursor;
	struct synq_slice name;
	struct synq_json job;
	struct synq_json value;

	*ret = (struct check_job){ .priority = SYNQ_PRIORITY_INTERACTIVE,
		.request.arena = ret->request.arena };
	if (check_parse(text, &job, fault) != 0)
		return -1;
	cursor = synq_json_walk(job);
	while (synq_json_next(&cursor, &name, &value)) {
		const struct synq_json key = { SYNQ_JSON_STRING, name };

		if (synq_json_is(key, "endpoint"))
			endpoint = value;
		else if (synq_json_is(key, "body"))
			body = value;
		else if (job_member(name, value, now_at, ret, fault) != 0)
			return -1;
	}
	if (job_endpoint(endpoint, ret, fault) != 0)
		return -1;
	if (body.type == SYNQ_JSON_NONE || body.type == SYNQ_JSON_NULL)
		return check_fault_set(fault, "missing_required_parameter",
		    "body",
		    "'body' is missing: the JSON object that the endpoint "
		    "takes.");
	if (body.type != SYNQ_JSON_OBJECT)
		return check_fault_set(fault, "invalid_type", "body",
		    "'body' must be the JSON object that the endpoint takes.");
	return check_body(ret->endpoint, body, "body.", &ret->request, fault);
}
