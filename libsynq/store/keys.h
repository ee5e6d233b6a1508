#ifndef SYNQ_STORE_KEYS_H
#define SYNQ_STORE_KEYS_H

/*
 * API keys and idempotency in the stores.  Nothing outside this folder writes
 * SQL or names a Redis key.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"

struct synq_pg;
struct synq_redis;

struct synq_key_row {
	struct synq_uuid id;
	struct synq_uuid organization_id;
	uint8_t hash[32];
	int32_t pepper_id;
	int live;           /* 0 = a test key */
	int64_t expires_at; /* wall us; 0 = never */
	int revoked;
};

/* ${row} is NULL if there is no such key; ${rc} as synq_pg_done_fn. */
typedef void synq_key_found_fn(
    void *ctx, int rc, const struct synq_key_row *row);

/* Look up the public part ${key_id}.  Errors (fn will not run): BUSY. */
SYNQ_MUST_CHECK int synq_store_find_key(struct synq_pg *pg,
    struct synq_slice key_id, synq_key_found_fn *fn, void *ctx);

/* What was found under an idempotency key (decisions 18). */
enum synq_claim {
	SYNQ_CLAIM_MINE,   /* it was free; it now names the job given */
	SYNQ_CLAIM_SAME,   /* taken by the same body: ret job id */
	SYNQ_CLAIM_STALE,  /* taken by the same body long ago, not ended */
	SYNQ_CLAIM_OTHER,  /* taken by another body */
	SYNQ_CLAIM_UNKNOWN /* neither store can say */
};

struct synq_claim_request {
	struct synq_redis *redis;
	struct synq_pg *pg;
	struct synq_uuid organization_id;
	struct synq_slice method; /* of the request */
	struct synq_slice route;  /* "/v1/jobs" */
	struct synq_slice key;    /* as the client sent it, 1..255 bytes */
	struct synq_slice body;
	struct synq_uuid job_id; /* what to store if it is free */
	int64_t now_at;
};

/*
 * The outcome of a claim; ${job_id} for SAME and STALE.  ${accepted} 0 means
 * that the first request with this key is still being accepted.
 */
typedef void synq_claim_fn(void *ctx, enum synq_claim claim,
    const struct synq_uuid *job_id, int accepted);

/*
 * Claim an idempotency key for 24 h: in Redis, and in PostgreSQL too where
 * Redis is away or has not been up for 24 h.  ${fn} runs once.
 */
void synq_store_claim(
    const struct synq_claim_request *request, synq_claim_fn *fn, void *ctx);

/*
 * Take the STALE claim of the job ${from} over for that of ${request}, in both
 * stores.  ${fn} runs once: MINE if it succeeded, what was found instead, or
 * UNKNOWN if not both stores could say.
 */
void synq_store_take_claim(const struct synq_claim_request *request,
    const struct synq_uuid *from, synq_claim_fn *fn, void *ctx);

/* How a claim was ended. */
enum synq_settled {
	SYNQ_SETTLED_DONE,
	SYNQ_SETTLED_NOT,    /* somebody was faster */
	SYNQ_SETTLED_UNKNOWN /* not enough of the stores can say */
};

/* ${settled}: what became of the claim. */
typedef void synq_settle_fn(void *ctx, enum synq_settled settled);

/*
 * Let the claim of ${request} name ${job_id} for good, if it still does.
 * ${fn} runs once: DONE if one store says so, and then no drop of ${job_id}
 * and no taking over succeeds; NOT if neither names it any more.
 */
void synq_store_accept_claim(const struct synq_claim_request *request,
    const struct synq_uuid *job_id, synq_settle_fn *fn, void *ctx);

/*
 * Free the claim of ${request} from ${job_id}.  ${fn} runs once: DONE if no
 * store names ${job_id} any more, so that it can never be accepted; NOT if it
 * was accepted.
 */
void synq_store_drop_claim(const struct synq_claim_request *request,
    const struct synq_uuid *job_id, synq_settle_fn *fn, void *ctx);

/*
 * The job of ${request} was never made: free its claim, so that a repeat may
 * try again.  No answer is awaited.
 */
void synq_store_free_claim(const struct synq_claim_request *request);

/* Note when this Redis first saw Synq; asked again after each reconnect. */
void synq_store_redis_age(struct synq_redis *redis, int64_t now_at);

#endif
