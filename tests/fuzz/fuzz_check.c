/*
 * What clients send to the intake: the first byte chooses an endpoint's body or
 * a job.  What passes lies inside the input, or in the arena given, and keeps
 * the limits that later steps rely on; what does not has a status, a code and
 * a message that are texts.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "producer/check.h"
#include "proto/request.h"

#define NOW_AT 1800000000000000LL
#define SIX_DAYS_US (6LL * 86400 * 1000000)
/* Of a message, as schema/messages/request.md says. */
#define MODEL_MAX_BYTES 512
#define METADATA_MAX_BYTES 131072

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
check_refusal(const struct check_fault *fault)
{
	const struct synq_slice message = synq_slice_text(fault->message);

	if (fault->status != 400 || fault->code == NULL ||
	    memchr(fault->param, '\0', sizeof(fault->param)) == NULL ||
	    message.bytes == 0 || message.bytes >= sizeof(fault->message))
		abort();
}

static void
check_inside(struct synq_slice text, struct synq_slice part)
{
	if (part.bytes > 0 &&
	    (part.data < text.data ||
		part.data + part.bytes > text.data + text.bytes))
		abort();
}

/* ${request}, which passed, can become a message and come back. */
static void
check_message(const struct check_request *request, const struct check_job *job)
{
	struct synq_request message = {
		.job_id = { { 1 } },
		.organization_id = { { 2 } },
		.key_id = { { 3 } },
		.endpoint = job->endpoint,
		.priority = job->priority,
		.created_at = NOW_AT,
		.deadline_at =
		    job->deadline_at == 0 ? NOW_AT + 1 : job->deadline_at,
		.max_attempts = job->max_attempts == 0 ? 3 : job->max_attempts,
		.model = request->model,
		.body = request->body.raw,
		.metadata = job->metadata,
		.request_id = synq_slice_text("req_1"),
	};
	struct synq_buf out;

	synq_buf_init(&out, 1U << 22);
	synq_request_encode(&message, &out);
	if (out.overflow ||
	    synq_request_decode(synq_buf_view(&out), &message) != 0)
		abort();
	synq_buf_done(&out);
}

static void
check_limits(struct synq_slice text, const struct check_job *job)
{
	const struct check_request *request = &job->request;

	check_inside(text, request->body.raw);
	check_inside(text, job->metadata);
	if (request->body.type != SYNQ_JSON_OBJECT ||
	    request->model.bytes == 0 ||
	    request->model.bytes > MODEL_MAX_BYTES ||
	    job->metadata.bytes > METADATA_MAX_BYTES || job->max_attempts > 10)
		abort();
	if (job->deadline_at != 0 &&
	    (job->deadline_at <= NOW_AT ||
		job->deadline_at > NOW_AT + SIX_DAYS_US))
		abort();
	check_message(request, job);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct check_job job = { .endpoint = SYNQ_ENDPOINT_CHAT };
	struct check_fault fault;
	struct synq_arena *arena;
	struct synq_slice text;
	int rc;

	if (bytes == 0 || bytes > 1U << 20)
		return 0;
	arena = synq_arena_new(4096, 1U << 20);
	job.request.arena = arena;
	text = synq_slice_of(data + 1, bytes - 1);
	memset(&fault, 0xff, sizeof(fault));
	if (data[0] % 4 == 0) {
		rc = check_job(text, NOW_AT, &job, &fault);
	} else {
		job.endpoint = (enum synq_endpoint)(data[0] % 4);
		rc = check_request(job.endpoint, text, &job.request, &fault);
	}
	if (rc == 0)
		check_limits(text, &job);
	else
		check_refusal(&fault);
	synq_arena_free(&arena);
	return 0;
}
