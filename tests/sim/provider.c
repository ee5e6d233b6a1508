/*
 * The providers: most answer soon, some after minutes, some never; they fail,
 * ask to wait, refuse.  And the catalog: two models, a third from some time on.
 */

#include "base/arena.h"
#include "store/catalog.h"
#include "tests/sim/sim.h"

static const struct synq_catalog_provider providers[] = {
	{ .name = "one", .dialect = "openai" },
	{ .name = "two", .dialect = "openai" },
};
static const struct synq_catalog_model models[] = {
	{ .name = "a", .upstream_name = "a-1", .provider = &providers[0] },
	{ .name = "b", .upstream_name = "b-1", .provider = &providers[1] },
	{ .name = "c", .upstream_name = "c-1", .provider = &providers[1] },
};

const struct synq_catalog_model *
synq_catalog_find(const struct synq_catalog *catalog, struct synq_slice name)
{
	const int known =
	    (const void *)catalog == (const void *)&sim_now->control ? 3 : 2;

	for (int i = 0; i < known; i++)
		if (synq_slice_is(name, models[i].name))
			return &models[i];
	return NULL;
}

void
synq_catalog_free(struct synq_catalog **catalog)
{
	*catalog = NULL;
}

static void
provider_fail(struct sim *sim, struct core_answer *answer)
{
	answer->answer_status = 502;
	answer->error_code = synq_slice_text("provider_error");
	answer->error = synq_slice_text("It failed.");
	answer->body = synq_slice_text("{\"error\":{}}");
	switch (sim_range(sim, 0, 5)) {
	case 0:
		answer->http_status = 400;
		answer->class = SYNQ_RETRY_NEVER;
		break;
	case 1:
	case 2:
		answer->http_status = 429;
		answer->overload = 1;
		answer->class = SYNQ_RETRY_LATER;
		if (sim_chance(sim, 70))
			answer->retry_after_us =
			    sim_range(sim, 100 * MS, 20 * SECOND);
		break;
	case 3:
		answer->class = SYNQ_RETRY_ASK; /* no answer */
		break;
	default:
		answer->http_status = 500;
		answer->class = SYNQ_RETRY_LATER;
		break;
	}
}

static void
provider_answer(struct sim *sim, struct event *event)
{
	struct call *call = event->object;
	struct work *work = call->work;
	struct core_answer answer = {
		.retry_after_us = -1,
		.usage = { 1, 1, -1, -1 },
		.took_us = (uint64_t)event->number,
	};

	if (work == NULL)
		return;          /* aborted */
	if (event->epoch == 0) { /* its time was over */
		answer.class = SYNQ_RETRY_ASK;
		answer.overload = 1;
		answer.answer_status = 504;
		answer.error_code = synq_slice_text("provider_timeout");
		answer.body = synq_slice_text("{\"error\":{}}");
	} else if (sim_chance(sim, sim->traits.errors)) {
		provider_fail(sim, &answer);
	} else {
		answer.succeeded = 1;
		answer.http_status = answer.answer_status = 200;
		answer.body = synq_slice_text(synq_arena_printf(
		    work->call_arena, "{\"call\":%d}", call->number));
	}
	sim_trace(sim, "%s: job %d answered, call %d %s", event->node->name,
	    call->job->number, call->number,
	    answer.succeeded ? "succeeded" : "failed");
	call->work = NULL;
	call->refused = !answer.succeeded;
	work->io = NULL;
	core_answered(work, &answer);
	node_wake(event->node);
}

static int64_t
provider_latency(struct sim *sim, const struct job *job)
{
	if (job->latency_us >= 0)
		return job->latency_us;
	if (sim_chance(sim, sim->traits.slow))
		return sim_range(sim, 3 * SECOND, 150 * SECOND);
	if (sim_chance(sim, 1))
		return 3600 * SECOND;
	return sim_range(sim, MS, sim_range(sim, 2, 3000) * MS);
}

void
provider_call(void *ctx, struct work *work)
{
	struct node *node = ctx;
	struct sim *sim = node->sim;
	struct call *call = check_call(node, work);
	int64_t latency_us;
	int64_t left_us = work->call_deadline_at - sim->now;
	struct event *event;

	if (call == NULL)
		return;
	latency_us = provider_latency(sim, call->job);
	if (left_us < 1)
		left_us = 1;
	work->io = call;
	event = event_at(sim,
	    sim->now + (latency_us < left_us ? latency_us : left_us),
	    provider_answer, node);
	event->object = call;
	event->epoch = latency_us < left_us;
	event->number = latency_us < left_us ? latency_us : left_us;
}

void
provider_abort(void *ctx, struct work *work)
{
	struct call *call = work->io;

	(void)ctx;
	if (call == NULL)
		return;
	sim_trace(sim_now, "job %d aborted", call->job->number);
	call->work = NULL;
	work->io = NULL;
}

void
provider_reload(void *ctx)
{
	node_load_catalog(ctx);
}
