#ifndef SYNQ_TEST_STORE_CLAIMS_H
#define SYNQ_TEST_STORE_CLAIMS_H

/*
 * Idempotency keys on a real Redis and a real PostgreSQL, either of which is
 * taken away: a client for a port on which nobody listens.
 *
 * SYNQ_TEST_REDIS is host:port, SYNQ_TEST_REDIS_PASSWORD its password.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/uuid.h"
#include "pg/pg.h"
#include "redis/redis.h"
#include "store/keys.h"

#define DAY_US (24 * 3600 * INT64_C(1000000))
#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * INT64_C(1000000))

extern struct synq_redis *live;
extern struct synq_redis *dead;
extern struct synq_pg *dead_pg;
extern struct synq_claim_request request; /* of the key in question */

struct claimed {
	int told;
	enum synq_claim claim;
	struct synq_uuid job_id;
	int accepted;
};

/* A synq_claim_fn whose ${ctx} is a struct claimed. */
void on_claimed(void *ctx, enum synq_claim claim,
    const struct synq_uuid *job_id, int accepted);

/* Claim request's key with ${body} for a new job, which becomes request's. */
struct claimed claim(const char *body);

/* Take request's key from ${from} for a new job, which becomes request's. */
struct claimed take(const struct synq_uuid *from);

/* Accept ${job_id} under request's key. */
enum synq_settled accept_claim(const struct synq_uuid *job_id);

/* Drop ${job_id} from request's key. */
enum synq_settled drop_claim(const struct synq_uuid *job_id);

/* Let Redis have been there since ${since_at}. */
void set_since(int64_t since_at);

/* All that was sent without waiting has arrived. */
void settle_down(void);

/* cmocka's setup: a free key, a young Redis that lacks nothing. */
int claims_begin(void **state);

/* Run the ${count} ${tests} and return main's code. */
int claims_run(const struct CMUnitTest *tests, size_t count);

#endif
