#ifndef SYNQ_TENANT_AUTH_H
#define SYNQ_TENANT_AUTH_H

/*
 * Who calls: from an Authorization header to an organization, with a cache in
 * front of PostgreSQL (decisions 24): refreshed after key_refresh, used at
 * most 1 h and only while PostgreSQL is unreachable; unknown keys kept 5 s;
 * revoked at once by synq.control.
 *
 * Limits: at most 100,000 keys are cached; the least recently used goes first.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"

struct synq_auth;
struct synq_loop;
struct synq_pg;
struct synq_secret;

struct synq_principal {
	struct synq_uuid organization_id;
	struct synq_uuid key_row_id;
	int live;
};

enum synq_auth_answer {
	SYNQ_AUTH_OK,
	SYNQ_AUTH_MISSING,   /* no credential: 401 */
	SYNQ_AUTH_MALFORMED, /* not of the form of a key: 401 */
	SYNQ_AUTH_UNKNOWN,   /* no such key or wrong secret: 401 */
	SYNQ_AUTH_REVOKED, /* revoked, expired or its organization gone: 401 */
	SYNQ_AUTH_UNABLE   /* PostgreSQL cannot say: 503 */
};

/* The decision; ${principal} is NULL unless it is OK. */
typedef void synq_auth_fn(void *ctx, enum synq_auth_answer answer,
    const struct synq_principal *principal);

struct synq_auth_config {
	const struct synq_secret *pepper; /* borrowed */
	int32_t pepper_id;
	uint32_t refresh_s;
};

/* An authenticator on ${loop} over ${pg}; the caller frees it. */
struct synq_auth *synq_auth_new(struct synq_loop *loop, struct synq_pg *pg,
    const struct synq_auth_config *config);

/* Free *${auth}; no callback runs any more.  Sets it to NULL. */
void synq_auth_free(struct synq_auth **auth);

/* What synq_auth_check found out at once. */
struct synq_auth_result {
	enum synq_auth_answer answer;
	struct synq_principal principal; /* if the answer is OK */
};

/*
 * Decide on ${header}, the value of Authorization ("Bearer ...").  Returns 1
 * and fills ${ret} at once if the cache can say; returns 0 if ${fn} will run
 * later, once.
 */
int synq_auth_check(struct synq_auth *auth, struct synq_slice header,
    struct synq_auth_result *ret, synq_auth_fn *fn, void *ctx);

/* Forget every check whose ctx is ${ctx}: its fn will not run. */
void synq_auth_forget(struct synq_auth *auth, const void *ctx);

/* The key with the public part ${key_id} was revoked (${revoked}) or changed.
 */
void synq_auth_changed(
    struct synq_auth *auth, struct synq_slice key_id, int revoked);

/* How many keys are cached. */
size_t synq_auth_entries(const struct synq_auth *auth);

/* Forget all cached keys (an organization was deleted). */
void synq_auth_flush(struct synq_auth *auth);

#endif
