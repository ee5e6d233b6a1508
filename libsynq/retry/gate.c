/*
 * A successful call raises the limit by 1/limit: one more call per round trip,
 * if the limit was what held calls back.  After a quiet time of several round
 * trips every success raises it by one, so that the limit doubles per round
 * trip and a provider that was down is back in use soon.
 *
 * An overload lowers it by a tenth, but only if the call was sent after the
 * last decrease: the calls that were out together tell of one overload, not of
 * many.  Below 2 calls go out one at a time; each is the probe of the next.
 */

#include "retry/gate.h"

/* Netflix concurrency-limits, AIMDLimit. */
#define BACKOFF_RATIO 0.9
#define QUIET_ROUND_TRIPS 8

/* A provider that asks for more is asked again all the same. */
#define MAX_CLOSED_US INT64_C(600000000)

void
synq_gate_init(struct synq_gate *gate, uint32_t max)
{
	*gate = (struct synq_gate){ .max = max < 1 ? 1 : max };
	gate->limit = gate->max;
}

int
synq_gate_take(struct synq_gate *gate, uint64_t now_us)
{
	if (now_us < gate->closed_until_us ||
	    gate->in_flight >= (uint32_t)gate->limit)
		return 0;
	gate->in_flight++;
	return 1;
}

static void
gate_raise(struct synq_gate *gate, uint64_t took_us, uint64_t now_us)
{
	uint64_t quiet_us = now_us - gate->lowered_us;
	int is_quiet = quiet_us / QUIET_ROUND_TRIPS > took_us;

	/* The limit was not what held calls back: nothing is learnt. */
	if ((double)(gate->in_flight + 1) * 2 < gate->limit)
		return;
	gate->limit += is_quiet ? 1.0 : 1.0 / gate->limit;
	if (gate->limit > gate->max)
		gate->limit = gate->max;
}

static void
gate_lower(struct synq_gate *gate, uint64_t took_us, uint64_t now_us)
{
	uint64_t sent_us = took_us < now_us ? now_us - took_us : 0;

	if (gate->lowered_us > 0 && sent_us < gate->lowered_us)
		return;
	gate->lowered_us = now_us;
	gate->limit *= BACKOFF_RATIO;
	if (gate->limit < 1.0)
		gate->limit = 1.0;
}

void
synq_gate_give(struct synq_gate *gate, enum synq_gate_outcome outcome,
    uint64_t took_us, int64_t asked_us, uint64_t now_us)
{
	if (gate->in_flight > 0)
		gate->in_flight--;

	if (outcome == SYNQ_GATE_GOOD)
		gate_raise(gate, took_us, now_us);
	if (outcome != SYNQ_GATE_OVERLOAD)
		return;
	gate_lower(gate, took_us, now_us);
	if (asked_us > MAX_CLOSED_US)
		asked_us = MAX_CLOSED_US;
	if (asked_us > 0 && now_us + (uint64_t)asked_us > gate->closed_until_us)
		gate->closed_until_us = now_us + (uint64_t)asked_us;
}

void
synq_gate_stepped(struct synq_gate *gate, int64_t step_us)
{
	/* 0 is never. */
	if (gate->lowered_us > 0)
		gate->lowered_us += (uint64_t)step_us;
	if (gate->closed_until_us > 0)
		gate->closed_until_us += (uint64_t)step_us;
}

uint64_t
synq_gate_opens_us(const struct synq_gate *gate, uint64_t now_us)
{
	return gate->closed_until_us > now_us ? gate->closed_until_us : 0;
}
