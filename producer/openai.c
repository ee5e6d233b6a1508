/*
 * The OpenAI endpoints: the same way for all, the result as the answer, or 202
 * where the client prefers that (RFC 7240).
 */

#include <string.h>

#include "accept.h"
#include "handlers.h"
#include "intake.h"
#include "service/service.h"

/* Longest wait that "Prefer: wait" may ask for. */
#define PREFER_WAIT_MAX_S 280

/* Take one preference, "respond-async" or "wait=N", into ${plan}. */
static void
openai_preference(struct synq_slice preference, struct accept_plan *plan)
{
	struct synq_slice name;
	uint64_t seconds;

	preference = synq_slice_trim(preference);
	name = synq_slice_of(
	    preference.data, preference.bytes < 5 ? 0 : sizeof("wait=") - 1);
	if (synq_slice_is_nocase(preference, "respond-async")) {
		plan->mode = ACCEPT_ANSWER_202;
		plan->prefer_applied = 1;
	} else if (synq_slice_is_nocase(name, "wait=")) {
		preference.data += 5;
		preference.bytes -= 5;
		if (synq_slice_u64(preference, PREFER_WAIT_MAX_S, &seconds) ==
		    0)
			plan->wait_us = seconds * 1000000;
	}
}

/* What Prefer says; without respond-async a wait says nothing. */
static void
openai_prefer(const struct api_call *call, struct accept_plan *plan)
{
	const struct synq_config *config =
	    synq_service_config(call->intake->service);
	struct synq_slice rest = synq_exchange_header(call->exchange, "prefer");
	const char *comma;
	size_t bytes;

	while (rest.bytes > 0) {
		comma = memchr(rest.data, ',', rest.bytes);
		bytes =
		    comma == NULL ? rest.bytes : (size_t)(comma - rest.data);
		openai_preference(synq_slice_of(rest.data, bytes), plan);
		if (bytes < rest.bytes)
			bytes++;
		rest = synq_slice_of(rest.data + bytes, rest.bytes - bytes);
	}
	if (plan->mode == ACCEPT_ANSWER_RESULT)
		plan->wait_us = (uint64_t)config->intake_sync_limit_ms * 1000;
}

static void
openai_handle(struct api_call *call, enum synq_endpoint endpoint)
{
	struct accept_plan plan = { .mode = ACCEPT_ANSWER_RESULT,
		.model_param = "model" };
	struct check_fault fault;

	plan.body = synq_exchange_body(call->exchange);
	plan.job.endpoint = endpoint;
	plan.job.request.arena = synq_exchange_arena(call->exchange);
	plan.job.priority = SYNQ_PRIORITY_INTERACTIVE;
	if (check_request(endpoint, plan.body, &plan.job.request, &fault) !=
	    0) {
		accept_refuse(call, &fault);
		return;
	}
	openai_prefer(call, &plan);
	accept_job(call, &plan);
}

void
openai_chat(struct api_call *call)
{
	openai_handle(call, SYNQ_ENDPOINT_CHAT);
}

void
openai_completions(struct api_call *call)
{
	openai_handle(call, SYNQ_ENDPOINT_COMPLETIONS);
}

void
openai_embeddings(struct api_call *call)
{
	openai_handle(call, SYNQ_ENDPOINT_EMBEDDINGS);
}
