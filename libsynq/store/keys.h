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
	SYNQ_CLAIM_STALE,  /* taken by the same body long ago, never ended */
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
 * The job of ${request} is accepted now (${accepted} 1), or was not: then the
 * claim is given up, so that a repeat may try again.  No answer is awaited.
 */
void synq_store_settle_claim(
    const struct synq_claim_request *request, int accepted);

/* Note when this Redis first saw Synq; asked again after each reconnect. */
void synq_store_redis_age(struct synq_redis *redis, int64_t now_at);

#endif
