/*
 * Jobs: one, a list, its result, its cancel.
 *
 * An id tells by its tag that it was given out to this organization, so a job
 * whose row is not there yet is queued, never unknown (P9); only when the
 * projection is past its time it is gone for good.
 */

#include "handlers.h"

#include "base/mem.h"
#include "codec/url.h"
#include "filter.h"
#include "intake.h"
#include "job/id.h"
#include "loop/loop.h"
#include "render.h"
#include "service/service.h"
#include "store/jobs.h"
#include "wait.h"
#include "withdraw.h"
#include "json/write.h"

/* Room for a page of 100 jobs, each as large as it may be. */
#define LIST_MAX_BYTES (101 * RENDER_JOB_MAX_BYTES)
/* How far the clock of the intake that made an id may have been behind, and a
 * batch; rows are kept for longer (docs/adr/0008). */
#define PROJECTION_SLACK_US (24LL * 3600 * 1000000)
#define WAIT_MAX_S 280

static const struct api_error jobs_unable = {
	.status = 503, .code = "service_unavailable", .retry_after_s = 1
};

static const char jobs_no_result[] =
    "Results cannot be read at the moment. Try again in a second.";

/* The job that the path of ${call} names; 0, or -1 and it was answered. */
static int
jobs_find_id(struct api_call *call)
{
	const struct api_error unknown = {
		.status = 404, .code = "job_not_found", .param = "id"
	};

	if (synq_job_id_parse(call->intake->idkey, INTAKE_IDKEY_VERSION,
		&call->principal.organization_id, call->segment,
		&call->job_id) == 0)
		return 0;
	api_refuse(call, &unknown,
	    "There is no job with this id. Ids look like job_ and 40 "
	    "characters.");
	return -1;
}

/*
 * The row of a job that was accepted is not there: 1 if it must still come,
 * else 0 and ${call} was answered.
 */
static int
jobs_still_to_come(struct api_call *call, int64_t as_of)
{
	const struct api_error gone = {
		.status = 410, .code = "job_expired", .never_retry = 1
	};
	const int64_t now_at = synq_loop_wall_us(call->intake->loop);

	/* A projection that is ahead of us has seen another clock. */
	if (as_of > now_at)
		as_of = now_at;
	if (as_of == 0 ||
	    synq_uuid_time_us(&call->job_id) > as_of - PROJECTION_SLACK_US)
		return 1;
	api_refuse(call, &gone, "The job is no longer kept.");
	return 0;
}

static void
jobs_on_row(void *ctx, int rc, const struct synq_job_row *rows, size_t count,
    int64_t as_of)
{
	struct api_call *call = ctx;
	struct synq_buf body;

	synq_buf_init(&body, RENDER_JOB_MAX_BYTES);
	if (rc != 0) {
		api_refuse(call, &jobs_unable,
		    "Jobs cannot be read at the moment. Try again in a "
		    "second.");
	} else if (count == 1) {
		render_job(call, &rows[0], &body);
		api_answer(call, 200, synq_buf_view(&body));
	} else if (jobs_still_to_come(call, as_of)) {
		render_brief(call, &body);
		api_answer(call, 200, synq_buf_view(&body));
	}
	synq_buf_done(&body);
	api_release(call);
}

/* Ask for the row of call->job_id; 0, or BUSY and ${fn} will not run. */
static int
jobs_ask(struct api_call *call, enum synq_job_part part, synq_jobs_fn *fn)
{
	const struct synq_jobs_request request = {
		.organization_id = call->principal.organization_id,
		.ids = &call->job_id,
		.count = 1,
		.part = part,
	};

	api_hold(call);
	return synq_store_jobs(call->intake->pg, &request, fn, call);
}

/* Read the row of call->job_id and go on with ${fn}. */
static void
jobs_read(struct api_call *call, enum synq_job_part part, synq_jobs_fn *fn)
{
	if (jobs_ask(call, part, fn) == 0)
		return;
	api_refuse(call, &jobs_unable,
	    "Jobs cannot be read at the moment. Try again in a second.");
	api_release(call);
}

void
jobs_get(struct api_call *call)
{
	if (jobs_find_id(call) == 0)
		jobs_read(call, SYNQ_JOB_ROW_ONLY, jobs_on_row);
}

/* call->data of a call that waits for a result. */
struct result_wait {
	struct api_call *call;
	struct waiter waiter;
	uint64_t limit_us;
	int unable; /* the row could not be read */
};

static void
jobs_result_free(struct api_call *call)
{
	struct result_wait *wait = call->data;

	wait_stop(call->intake->waits, &wait->waiter);
	synq_mem_free(wait);
}

static void
jobs_result_leave(struct api_call *call)
{
	struct result_wait *wait = call->data;

	wait_stop(call->intake->waits, &wait->waiter);
}

static void
jobs_on_result(void *ctx, const struct wait_result *result)
{
	struct result_wait *wait = ctx;
	struct api_call *call = wait->call;
	struct synq_buf body;

	if (result != NULL) {
		render_result(call, result);
		return;
	}
	if (wait->unable)
		api_refuse(call, &jobs_unable, jobs_no_result);
	if (wait->unable || call->exchange == NULL)
		return;
	synq_buf_init(&body, 4096);
	render_brief(call, &body);
	synq_exchange_add_header(
	    call->exchange, "retry-after", synq_slice_text("1"));
	api_add_location(call);
	api_answer(call, 202, synq_buf_view(&body));
	synq_buf_done(&body);
}

/* Wait for the result, which is not recorded yet. */
static void
jobs_wait(struct result_wait *wait)
{
	struct api_call *call = wait->call;
	const struct wait_request request = {
		.organization_id = call->principal.organization_id,
		.job_id = call->job_id,
		.limit_us = wait->limit_us,
		.fn = jobs_on_result,
		.ctx = wait,
	};

	if (call->exchange != NULL)
		wait_start(call->intake->waits, &wait->waiter, &request);
}

/*
 * The row could not be read.  Redis may tell, or have told, what became of the
 * job; if not, nobody can say.
 */
static void
jobs_result_unable(struct result_wait *wait)
{
	struct api_call *call = wait->call;
	struct intake *intake = call->intake;
	struct wait_result kept;

	wait->unable = 1;
	if (wait_kept(intake->waits, &call->principal.organization_id,
		&call->job_id, &kept))
		jobs_on_result(wait, &kept);
	else if (synq_loop_now_us(intake->loop) < wait->limit_us)
		jobs_wait(wait);
	else
		jobs_on_result(wait, NULL);
}

static void
jobs_on_result_row(void *ctx, int rc, const struct synq_job_row *rows,
    size_t count, int64_t as_of)
{
	struct api_call *call = ctx;
	struct wait_result result;

	if (rc == 0 && count == 1 && synq_job_final(rows[0].state) &&
	    rows[0].has_body) {
		result.state = rows[0].state;
		result.answer_status = rows[0].answer_status;
		result.body = rows[0].body;
		render_result(call, &result);
	} else if (rc != 0) {
		jobs_result_unable(call->data);
	} else if (count == 1 || jobs_still_to_come(call, as_of)) {
		if (count == 1)
			call->job_state = rows[0].state;
		jobs_wait(call->data);
	}
	api_release(call);
}

/* The parameter wait in microseconds, into ${ret}; 0, or -1: answered. */
static int
jobs_wait_limit(struct api_call *call, uint64_t *ret)
{
	const struct api_error error = {
		.status = 400, .code = "invalid_value", .param = "wait"
	};
	const struct synq_config *config =
	    synq_service_config(call->intake->service);
	struct synq_buf text;
	uint64_t seconds;
	int rc;

	*ret = (uint64_t)config->intake_wait_default_ms * 1000;
	synq_buf_init(&text, 16);
	rc = synq_url_query_get(
	    synq_exchange_query(call->exchange), "wait", &text);
	if (rc == -SYNQ_E_NOT_FOUND) {
		rc = 0;
	} else if (rc == 0) {
		rc = synq_slice_u64(synq_buf_view(&text), WAIT_MAX_S, &seconds);
		if (rc == 0)
			*ret = seconds * 1000000;
	}
	synq_buf_done(&text);
	if (rc != 0)
		api_refuse(call, &error,
		    "'wait' must be a whole number of seconds from 0 to %d.",
		    WAIT_MAX_S);
	return rc == 0 ? 0 : -1;
}

void
jobs_result(struct api_call *call)
{
	struct intake *intake = call->intake;
	struct wait_result kept;
	struct result_wait *wait;
	uint64_t wait_us;

	if (jobs_find_id(call) != 0 || jobs_wait_limit(call, &wait_us) != 0)
		return;
	if (wait_kept(intake->waits, &call->principal.organization_id,
		&call->job_id, &kept)) {
		render_result(call, &kept);
		return;
	}
	wait = synq_mem_new(sizeof(*wait));
	wait->call = call;
	wait->limit_us = synq_loop_now_us(intake->loop) + wait_us;
	call->data = wait;
	call->on_free = jobs_result_free;
	call->on_leave = jobs_result_leave;
	jobs_read(call, SYNQ_JOB_WITH_RESULT, jobs_on_result_row);
}

/* The cancel is on the log, or not. */
static void
jobs_on_withdrawn(void *ctx, int rc)
{
	struct api_call *call = ctx;
	struct synq_buf body;

	if (rc != 0) {
		api_refuse(call, &jobs_unable,
		    "The cancel could not be written down. Try again in a "
		    "second.");
	} else if (call->exchange != NULL) {
		synq_buf_init(&body, 4096);
		render_brief(call, &body);
		api_add_location(call);
		api_answer(call, 202, synq_buf_view(&body));
		synq_buf_done(&body);
	}
	api_release(call);
}

static void
jobs_on_cancel_row(void *ctx, int rc, const struct synq_job_row *rows,
    size_t count, int64_t as_of)
{
	struct api_call *call = ctx;
	const struct api_error ended = {
		.status = 409, .code = "job_already_ended", .never_retry = 1
	};
	const struct synq_cancel cancel = {
		.job_id = call->job_id,
		.organization_id = call->principal.organization_id,
		.reason = SYNQ_CANCEL_ASKED,
		.asked_at = synq_loop_wall_us(call->intake->loop),
	};

	if (rc == 0 && count == 1 && synq_job_final(rows[0].state)) {
		api_refuse(call, &ended,
		    "Cannot cancel a job with status '%s'.",
		    synq_job_state_name(rows[0].state));
	} else if (rc != 0 || count == 1 || jobs_still_to_come(call, as_of)) {
		/* Without the row: the dispatcher knows what it can do. */
		if (rc == 0 && count == 1)
			call->job_state = rows[0].state;
		api_hold(call);
		withdraw_send(call->intake->withdrawals, &cancel,
		    jobs_on_withdrawn, call);
	}
	api_release(call);
}

void
jobs_cancel(struct api_call *call)
{
	if (jobs_find_id(call) != 0)
		return;
	if (jobs_ask(call, SYNQ_JOB_ROW_ONLY, jobs_on_cancel_row) != 0)
		jobs_on_cancel_row(call, -SYNQ_E_BUSY, NULL, 0, 0);
}

static void
jobs_write_page(struct api_call *call, const struct synq_job_row *rows,
    size_t count, int64_t as_of)
{
	const size_t limit = *(const uint32_t *)call->data;
	const size_t shown = count > limit ? limit : count;
	char id[SYNQ_JOB_ID_CHARS + 1];
	struct synq_json_writer json;
	struct synq_buf body;
	struct synq_buf job;
	size_t i;

	synq_buf_init(&body, LIST_MAX_BYTES);
	synq_buf_init(&job, RENDER_JOB_MAX_BYTES);
	synq_json_start(&json, &body);
	synq_json_open(&json, '{');
	synq_json_key(&json, "object");
	synq_json_text(&json, "list");
	synq_json_key(&json, "data");
	synq_json_open(&json, '[');
	for (i = 0; i < shown; i++) {
		synq_buf_clear(&job);
		render_job(call, &rows[i], &job);
		synq_json_raw(&json, synq_buf_view(&job));
	}
	synq_json_close(&json, ']');
	synq_json_key(&json, "first_id");
	if (shown > 0)
		api_job_id(call, &rows[0].id, id);
	synq_json_text(&json, shown > 0 ? id : NULL);
	synq_json_key(&json, "last_id");
	if (shown > 0)
		api_job_id(call, &rows[shown - 1].id, id);
	synq_json_text(&json, shown > 0 ? id : NULL);
	synq_json_key(&json, "has_more");
	synq_json_truth(&json, count > limit);
	synq_json_key(&json, "as_of");
	if (as_of == 0)
		synq_json_null(&json);
	else
		synq_json_i64(&json, as_of / 1000000);
	synq_json_close(&json, '}');
	api_answer(call, 200, synq_buf_view(&body));
	synq_buf_done(&body);
	synq_buf_done(&job);
}

static void
jobs_on_page(void *ctx, int rc, const struct synq_job_row *rows, size_t count,
    int64_t as_of)
{
	struct api_call *call = ctx;

	if (rc != 0)
		api_refuse(call, &jobs_unable,
		    "Jobs cannot be listed at the moment. Try again in a "
		    "second.");
	else if (call->exchange != NULL)
		jobs_write_page(call, rows, count, as_of);
	api_release(call);
}

static void
jobs_list_free(struct api_call *call)
{
	synq_mem_free(call->data);
}

void
jobs_list(struct api_call *call)
{
	struct synq_job_filter filter;
	uint32_t *limit;

	if (filter_read(call, &filter) != 0)
		return;
	limit = synq_mem_new(sizeof(*limit));
	*limit = filter.limit;
	call->data = limit;
	call->on_free = jobs_list_free;
	filter.limit++; /* one more tells whether there are more */
	api_hold(call);
	if (synq_store_list_jobs(call->intake->pg,
		&call->principal.organization_id, &filter, jobs_on_page,
		call) == 0)
		return;
	api_refuse(call, &jobs_unable,
	    "Jobs cannot be listed at the moment. Try again in a second.");
	api_release(call);
}
