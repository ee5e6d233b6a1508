/*
 * POST /v1/jobs: 202 and the job, as soon as it is acknowledged.
 */

#include "accept.h"
#include "handlers.h"
#include "intake.h"
#include "loop/loop.h"

void
jobs_submit(struct api_call *call)
{
	struct accept_plan plan = { .mode = ACCEPT_ANSWER_202,
		.model_param = "body.model" };
	struct check_fault fault;

	plan.job.request.arena = synq_exchange_arena(call->exchange);
	if (check_job(synq_exchange_body(call->exchange),
		synq_loop_wall_us(call->intake->loop), &plan.job,
		&fault) != 0) {
		accept_refuse(call, &fault);
		return;
	}
	plan.body = plan.job.request.body.raw;
	accept_job(call, &plan);
}
