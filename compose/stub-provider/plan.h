#ifndef STUB_PLAN_H
#define STUB_PLAN_H

/*
 * How a call shall go: its latency, how likely it fails and in which way.
 * Written as "lat=200,err=0.1,429=0.05,ra=1"; see plan_help for the words.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/rand.h"
#include "base/slice.h"

enum plan_outcome {
	PLAN_OK,       /* answered */
	PLAN_ERROR,    /* answered with error_status */
	PLAN_LIMITED,  /* answered 429 with Retry-After */
	PLAN_STALL,    /* never answered */
	PLAN_CUT,      /* connection closed instead of an answer */
	PLAN_CUT_BODY, /* connection closed in the middle of the answer */
	PLAN_OUTCOMES
};

enum plan_spread {
	PLAN_FIXED,    /* always latency_ms */
	PLAN_UNIFORM,  /* from latency_ms to spread */
	PLAN_LOGNORMAL /* median latency_ms, sigma spread */
};

struct plan {
	enum plan_spread kind;
	double latency_ms;
	double spread;
	double rates[PLAN_OUTCOMES]; /* of each outcome, PLAN_OK unused */
	uint32_t error_status;
	uint32_t retry_after_s;
	uint32_t slow_ms;   /* between two pieces of an answer */
	uint32_t pad_bytes; /* content is filled up to this length */
};

/* The words of a plan and what they mean, a line each. */
extern const char plan_help[];

/* The plan that answers at once and always. */
struct plan plan_default(void);

/*
 * Change ${plan} by ${text}, words separated by ${separator}.  Error: INVALID,
 * and ${plan} is as before.
 */
SYNQ_MUST_CHECK int plan_read(
    struct plan *plan, struct synq_slice text, char separator);

/* An outcome by the rates of ${plan}, drawn from ${rand}. */
enum plan_outcome plan_draw(const struct plan *plan, struct synq_rand *rand);

/* A latency of ${plan} in microseconds, drawn from ${rand}. */
uint64_t plan_latency_us(const struct plan *plan, struct synq_rand *rand);

/* The name of ${outcome}, such as "cut_body". */
const char *plan_name(enum plan_outcome outcome);

#endif
