#ifndef SYNQ_INTAKE_ACCEPT_H
#define SYNQ_INTAKE_ACCEPT_H

/*
 * From a request that was found good to one that is accepted: claimed under
 * its idempotency key, on the log, acknowledged.  No second store is written
 * on the way (P1); nothing is answered 2xx before the acknowledgement.
 */

#include "api.h"
#include "check.h"

/* How the client wants its answer. */
enum accept_mode {
	ACCEPT_ANSWER_RESULT, /* the result, when it is there */
	ACCEPT_ANSWER_202     /* 202 with the job's address */
};

/* What to accept; the slices lie in the body of the call's exchange. */
struct accept_plan {
	struct check_job job;
	struct synq_slice body; /* to be forwarded as it came */
	enum accept_mode mode;
	/* 202: as soon as accepted; else after so long without a result. */
	uint64_t wait_us;
	int prefer_applied;      /* answer with Preference-Applied */
	const char *model_param; /* where the client named the model */
};

/* Accept ${plan} for ${call} and answer it. */
void accept_job(struct api_call *call, const struct accept_plan *plan);

/*
 * Refuse ${call} for ${fault}.
 */
void accept_refuse(struct api_call *call, const struct check_fault *fault);

#endif
