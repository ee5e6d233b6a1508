/*
 * The table of legal moves; schema/job-states.md says why each of them is one.
 */

#include "job/state.h"

#include "base/err.h"

#define TO(state) (1u << SYNQ_JOB_##state)
#define TO_ANY_END (TO(SUCCEEDED) | TO(FAILED) | TO(CANCELLED) | TO(EXPIRED))

static const struct {
	const char *name;
	int rank;
	unsigned may; /* bit per state */
} states[SYNQ_JOB_STATES] = {
	[SYNQ_JOB_ACCEPTED] = { "accepted", 0, TO(QUEUED) },
	[SYNQ_JOB_QUEUED] = { "queued", 1,
	    TO(RUNNING) | TO(FAILED) | TO(CANCELLED) | TO(EXPIRED) },
	[SYNQ_JOB_RUNNING] = { "running", 2,
	    TO(RUNNING) | TO(RETRYING) | TO_ANY_END },
	[SYNQ_JOB_RETRYING] = { "retrying", 2, TO(RUNNING) | TO_ANY_END },
	[SYNQ_JOB_SUCCEEDED] = { "succeeded", 9, 0 },
	[SYNQ_JOB_FAILED] = { "failed", 9, 0 },
	[SYNQ_JOB_CANCELLED] = { "cancelled", 9, 0 },
	[SYNQ_JOB_EXPIRED] = { "expired", 9, 0 },
};

/* A state may come from outside as a number. */
static int
is_state(enum synq_job_state state)
{
	return (unsigned)state < SYNQ_JOB_STATES;
}

int
synq_job_may(enum synq_job_state from, enum synq_job_state to)
{
	if (!is_state(from) || !is_state(to))
		return 0;
	return (states[from].may >> to & 1) != 0;
}

int
synq_job_final(enum synq_job_state state)
{
	return is_state(state) && states[state].may == 0;
}

int
synq_job_rank(enum synq_job_state state)
{
	return is_state(state) ? states[state].rank : 0;
}

const char *
synq_job_state_name(enum synq_job_state state)
{
	return is_state(state) ? states[state].name : "unknown";
}

int
synq_job_state_parse(struct synq_slice name, enum synq_job_state *ret)
{
	for (unsigned i = 0; i < SYNQ_JOB_STATES; i++) {
		if (synq_slice_is(name, states[i].name)) {
			*ret = (enum synq_job_state)i;
			return 0;
		}
	}
	return -SYNQ_E_INVALID;
}
