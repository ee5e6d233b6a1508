#ifndef SYNQ_RETRY_GATE_H
#define SYNQ_RETRY_GATE_H

/*
 * Concurrency towards one provider, adapted by additive increase and
 * multiplicative decrease (after Netflix concurrency-limits; reliability-
 * security.md 4): 429, 503 and timeouts lower it, successes raise it.  Latency
 * alone does not count: it follows the length of the answer.  At 1 it is the
 * half-open breaker: one probe at a time.  Pure: time is an argument.
 */

#include <stdint.h>

struct synq_gate {
	double limit; /* how many may be in flight, 1..max */
	uint32_t max;
	uint32_t in_flight;
	uint64_t lowered_us; /* last decrease: at most one per round trip */
	uint64_t closed_until_us; /* the provider asked to wait till then */
};

enum synq_gate_outcome {
	SYNQ_GATE_GOOD,     /* an answer, whatever it says */
	SYNQ_GATE_OVERLOAD, /* 429, 503, 529 or a time limit */
	SYNQ_GATE_NEUTRAL   /* says nothing about load (cancelled) */
};

/* Start ${gate} open at ${max} (>= 1). */
void synq_gate_init(struct synq_gate *gate, uint32_t max);

/* 1 and counted as in flight if a call may go out at ${now_us}, else 0. */
int synq_gate_take(struct synq_gate *gate, uint64_t now_us);

/*
 * A call that was taken ended as ${outcome} after ${took_us}; the provider
 * asked to wait ${asked_us} (-1 = it did not).  After an overload the gate
 * stays closed for that time, at most 10 minutes.
 */
void synq_gate_give(struct synq_gate *gate, enum synq_gate_outcome outcome,
    uint64_t took_us, int64_t asked_us, uint64_t now_us);

/* The clock that ${now_us} comes from was set by ${step_us}. */
void synq_gate_stepped(struct synq_gate *gate, int64_t step_us);

/* When a gate that is closed opens again; 0 = it is not closed. */
uint64_t synq_gate_opens_us(const struct synq_gate *gate, uint64_t now_us);

#endif
