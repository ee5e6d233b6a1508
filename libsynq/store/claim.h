#ifndef SYNQ_STORE_CLAIM_H
#define SYNQ_STORE_CLAIM_H

/*
 * How a claim is written down, for those who claim (claim.c) and those who end
 * a claim (settle.c).  Internal to store.
 */

#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "store/keys.h"

/* The value in Redis: 'p' (being accepted) or 'a', job id, hash of the body. */
#define CLAIM_VALUE_BYTES 49
#define CLAIM_NAME_MAX_BYTES 256

/* The hash of the key of ${request} into ${ret}. */
void claim_hash_key(const struct synq_claim_request *request, uint8_t ret[32]);

/* Append the name in Redis of ${key_hash} of ${organization_id} to ${out}. */
void claim_write_name(struct synq_buf *out,
    const struct synq_uuid *organization_id, const uint8_t key_hash[32]);

/*
 * Free the key ${key_hash} of ${organization_id} from ${job_id}, unless it was
 * accepted, in ${redis} and ${pg} (NULL = not there).  No answer is awaited.
 */
void claim_take_back(struct synq_redis *redis, struct synq_pg *pg,
    const struct synq_uuid *organization_id, const uint8_t key_hash[32],
    const struct synq_uuid *job_id);

/*
 * A statement.  What Redis holds as well need not be on disk before the answer:
 * a commit that a crash of PostgreSQL takes back is lost only if Redis goes
 * with it.  Waiting for the disk made a keyed request ten times as dear.
 */
extern const char claim_relax[];

#endif
