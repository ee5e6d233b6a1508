#ifndef SYNQ_INTAKE_ACCEPTANCE_H
#define SYNQ_INTAKE_ACCEPTANCE_H

/*
 * A call that is being accepted: accept.c writes it down and answers it,
 * keyed.c does what an idempotency key adds.  Internal to these two.
 */

#include "accept.h"
#include "base/attr.h"
#include "proto/signal.h"
#include "store/keys.h"
#include "wait.h"

struct synq_timer;

/* call->data of a call that is being accepted. */
struct acceptance {
	struct api_call *call;
	struct accept_plan plan;
	struct waiter waiter;
	uint64_t wait_limit_us; /* monotonic: of a synchronous answer */
	int late;  /* the wait ended before the acknowledgement came */
	int same;  /* the job was made by an earlier request of this key */
	int ended; /* its result was answered */

	/* What keyed.c needs. */
	char *key; /* owned copy of the idempotency key; NULL = none */
	struct synq_claim_request claim;
	struct synq_uuid stale_id; /* whose claim is stale */
	int taking;                /* the claim of stale_id is taken over */
	int rounds;                /* how often it began anew */
	int drops;                 /* how often the claim was to be dropped */
	struct synq_timer *again;  /* looks at the claim once more; or NULL */
	struct synq_timer *later;  /* drops the claim once more; or NULL */
};

/* Answer 503 with ${fmt}: nothing was accepted. */
void accept_refuse_busy(struct api_call *call, const char *fmt, ...)
    SYNQ_PRINTF(2, 3);

/* Put the request of ${acceptance} on the log. */
void accept_produce(struct acceptance *acceptance);

/* The job of ${acceptance} is accepted: answer, or wait for its result. */
void accept_accepted(struct acceptance *acceptance);

/* The key names ${job_id} already: answer that job. */
void accept_same(struct acceptance *acceptance, const struct synq_uuid *job_id);

/* Cancel ${job_id} of the caller of ${call} for ${reason}. */
void accept_withdraw(struct api_call *call, const struct synq_uuid *job_id,
    enum synq_cancel_reason reason);

/* The request was not acknowledged and is withdrawn: say so. */
void accept_refuse_unsure(struct acceptance *acceptance);

/*
 * Take the idempotency key of ${acceptance}->call over, without quotes; 0, or
 * -1 if it is bad, which was answered.
 */
int keyed_read(struct acceptance *acceptance);

/* Claim the key of ${acceptance} and accept it. */
void keyed_accept(struct acceptance *acceptance);

/* The log said ${rc} to the record of ${acceptance}. */
void keyed_on_ack(struct acceptance *acceptance, int rc);

/* Nothing of ${acceptance} was written: free its key, if it has one. */
void keyed_free(struct acceptance *acceptance);

/* Undo what keyed.c keeps in ${acceptance}. */
void keyed_done(struct acceptance *acceptance);

#endif
