/*
 * Times are seconds since 1970, as in OpenAI's objects; what is not known is
 * null, so that every job has the same members.
 */

#include "render.h"

#include <stdio.h>

#include "intake.h"
#include "job/id.h"
#include "loop/loop.h"
#include "wait.h"
#include "json/write.h"

static void
render_id(struct api_call *call, struct synq_json_writer *json,
    const char *name, const struct synq_uuid *id)
{
	char text[SYNQ_JOB_ID_CHARS + 1];

	synq_json_key(json, name);
	if (synq_uuid_is_nil(id)) {
		synq_json_null(json);
		return;
	}
	api_job_id(call, id, text);
	synq_json_text(json, text);
}

static void
render_text(
    struct synq_json_writer *json, const char *name, struct synq_slice text)
{
	synq_json_key(json, name);
	if (text.bytes == 0)
		synq_json_null(json);
	else
		synq_json_slice(json, text);
}

static void
render_time(struct synq_json_writer *json, const char *name, int64_t wall_us)
{
	synq_json_key(json, name);
	if (wall_us == 0)
		synq_json_null(json);
	else
		synq_json_i64(json, wall_us / 1000000);
}

static void
render_count(struct synq_json_writer *json, const char *name, int64_t count)
{
	synq_json_key(json, name);
	if (count < 0)
		synq_json_null(json);
	else
		synq_json_i64(json, count);
}

static void
render_usage(struct synq_json_writer *json, const struct synq_job_row *row)
{
	synq_json_key(json, "usage");
	if (row->input_tokens < 0 && row->output_tokens < 0) {
		synq_json_null(json);
		return;
	}
	synq_json_open(json, '{');
	render_count(json, "input_tokens", row->input_tokens);
	render_count(json, "output_tokens", row->output_tokens);
	render_count(json, "cached_tokens", row->cached_tokens);
	render_count(json, "reasoning_tokens", row->reasoning_tokens);
	synq_json_close(json, '}');
}

static void
render_error(struct synq_json_writer *json, const struct synq_job_row *row)
{
	synq_json_key(json, "error");
	if (row->error_code.bytes == 0 || !synq_job_final(row->state)) {
		synq_json_null(json);
		return;
	}
	synq_json_open(json, '{');
	render_text(json, "code", row->error_code);
	render_text(json, "message", row->error);
	synq_json_close(json, '}');
}

void
render_job(
    struct api_call *call, const struct synq_job_row *row, struct synq_buf *out)
{
	struct synq_json_writer json;

	synq_json_start(&json, out);
	synq_json_open(&json, '{');
	render_id(call, &json, "id", &row->id);
	synq_json_key(&json, "object");
	synq_json_text(&json, "job");
	synq_json_key(&json, "status");
	synq_json_text(&json, synq_job_state_name(row->state));
	render_text(&json, "endpoint", row->endpoint);
	render_text(&json, "model", row->model);
	synq_json_key(&json, "priority");
	synq_json_text(&json,
	    row->priority == SYNQ_PRIORITY_BATCH ? "batch" : "interactive");
	synq_json_key(&json, "metadata");
	if (row->metadata.bytes == 0)
		synq_json_null(&json);
	else
		synq_json_raw(&json, row->metadata);
	render_time(&json, "created_at", row->created_at);
	render_time(&json, "deadline_at", row->deadline_at);
	render_time(&json, "started_at", row->started_at);
	render_time(&json, "ended_at", row->ended_at);
	render_count(&json, "attempts", row->attempts);
	render_text(&json, "provider", row->provider);
	render_text(&json, "provider_model", row->provider_model);
	render_count(&json, "answer_status",
	    row->answer_status == 0 ? -1 : row->answer_status);
	render_usage(&json, row);
	render_error(&json, row);
	render_id(call, &json, "retry_of", &row->retry_of);
	render_text(&json, "request_id", row->request_id);
	synq_json_close(&json, '}');
}

void
render_accepted(
    struct api_call *call, const struct check_job *job, struct synq_buf *out)
{
	const struct synq_job_row row = {
		.id = call->job_id,
		.state = SYNQ_JOB_QUEUED,
		.endpoint = synq_slice_text(synq_endpoint_path(job->endpoint)),
		.model = job->request.model,
		.priority = (int32_t)job->priority,
		.metadata = job->metadata,
		.created_at = synq_uuid_time_us(&call->job_id),
		.deadline_at = job->deadline_at,
		.request_id = synq_slice_text(call->request_id),
		.input_tokens = -1,
		.output_tokens = -1,
	};

	render_job(call, &row, out);
}

void
render_brief(struct api_call *call, struct synq_buf *out)
{
	struct synq_json_writer json;

	synq_json_start(&json, out);
	synq_json_open(&json, '{');
	render_id(call, &json, "id", &call->job_id);
	synq_json_key(&json, "object");
	synq_json_text(&json, "job");
	synq_json_key(&json, "status");
	synq_json_text(&json, synq_job_state_name(call->job_state));
	render_time(&json, "created_at", synq_uuid_time_us(&call->job_id));
	synq_json_close(&json, '}');
}

void
render_result(struct api_call *call, const struct wait_result *result)
{
	char id[SYNQ_JOB_ID_CHARS + 1];

	if (call->exchange == NULL)
		return;
	api_job_id(call, &call->job_id, id);
	synq_exchange_add_header(
	    call->exchange, "x-synq-job-id", synq_slice_text(id));
	/*
	 * The dispatcher has used up the attempts: a client that repeats the
	 * whole request at once would only pay for them again.
	 */
	if (result->state != SYNQ_JOB_SUCCEEDED && result->answer_status != 429)
		synq_exchange_add_header(
		    call->exchange, "x-should-retry", synq_slice_text("false"));
	if (result->answer_status == 429)
		synq_exchange_add_header(
		    call->exchange, "retry-after", synq_slice_text("1"));
	api_answer(call, result->answer_status, result->body);
}
