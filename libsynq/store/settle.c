#include "store/claim.h"

#include <string.h>

#include "base/attr.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "redis/redis.h"
#include "store/inner.h"

/*
 * The end of a claim: each a compare-and-set on the job id that it names.
 *
 * Happy path: the job is on the log, "being accepted" becomes "accepted" in
 * both stores; the first that says so is enough, which is Redis.
 *
 * Failure modes: a store is away: the other is enough to accept, and nothing
 * is dropped.  The claim was taken over, or accepted by a repeat that found the
 * job: NOT, the caller must not go by what it knows.  A drop asks PostgreSQL
 * first: what a repeat accepted there alone, because it did not see Redis,
 * stays claimed in Redis as well.
 */

struct settle {
	struct store_call call;
	struct synq_redis *redis;
	struct synq_uuid organization_id;
	struct synq_uuid job_id;
	uint8_t key_hash[32];
	synq_settle_fn *fn; /* NULL = told */
	void *ctx;
	int open; /* answers that are awaited */
	int silent;
	enum synq_settled outcome;
};

static struct settle *
settle_new(const struct synq_claim_request *request,
    const struct synq_uuid *job_id, synq_settle_fn *fn, void *ctx)
{
	struct settle *settle = store_call_new(sizeof(*settle));

	settle->redis = request->redis;
	settle->organization_id = request->organization_id;
	settle->job_id = *job_id;
	settle->fn = fn;
	settle->ctx = ctx;
	settle->outcome = SYNQ_SETTLED_NOT;
	claim_hash_key(request, settle->key_hash);
	return settle;
}

static void
tell(void *ctx)
{
	struct settle *settle = ctx;

	if (settle->fn != NULL)
		settle->fn(settle->ctx, settle->outcome);
	store_call_free(settle);
}

/* Run ${script} on the key of ${settle}: 1 = done, 0 = not. */
static int
ask_redis(const struct settle *settle, const char *script,
    synq_redis_done_fn *done, void *ctx)
{
	struct synq_buf name;
	struct synq_slice words[5];
	int rc;

	synq_buf_init(&name, CLAIM_NAME_MAX_BYTES);
	claim_write_name(&name, &settle->organization_id, settle->key_hash);
	words[0] = synq_slice_text("EVAL");
	words[1] = synq_slice_text(script);
	words[2] = synq_slice_text("1");
	words[3] = synq_buf_view(&name);
	words[4] = synq_uuid_slice(&settle->job_id);
	rc = synq_redis_command(
	    settle->redis, words, SYNQ_COUNT(words), done, ctx);
	synq_buf_done(&name);
	return rc;
}

/* What Redis said to ask_redis. */
static enum synq_settled
redis_said(int rc, const struct synq_redis_reply *reply)
{
	if (rc != 0 || reply->type != SYNQ_REPLY_INT)
		return SYNQ_SETTLED_UNKNOWN;
	return reply->number == 1 ? SYNQ_SETTLED_DONE : SYNQ_SETTLED_NOT;
}

/* Run ${first} and, if not NULL, ${second} on the row of ${settle}. */
static int
ask_pg(struct synq_pg *pg, const struct settle *settle,
    const char *const sql[2], synq_pg_done_fn *done, void *ctx)
{
	const struct synq_pg_param params[] = {
		synq_pg_uuid(&settle->organization_id),
		synq_pg_bytes(synq_slice_of(settle->key_hash, 32)),
		synq_pg_uuid(&settle->job_id),
	};
	const struct synq_pg_statement statements[] = {
		{ sql[0], params, SYNQ_COUNT(params) },
		{ sql[1], params, sql[1] == claim_relax ? 0 : 3 },
	};
	const struct synq_pg_transaction transaction = {
		.organization_id = &settle->organization_id,
		.statements = statements,
		.count = SYNQ_COUNT(statements),
		.done = done,
		.ctx = ctx,
	};

	return synq_pg_start(pg, &transaction);
}

/* ---- accepted ---- */

/* One store said ${said}: one that says yes is enough. */
static void
accept_heard(struct settle *settle, enum synq_settled said)
{
	synq_settle_fn *fn = settle->fn;

	settle->open--;
	if (said == SYNQ_SETTLED_UNKNOWN && settle->outcome == SYNQ_SETTLED_NOT)
		settle->outcome = said;
	if (said == SYNQ_SETTLED_DONE && fn != NULL) {
		settle->fn = NULL;
		fn(settle->ctx, said);
	}
	if (settle->open == 0)
		tell(settle);
}

static void
accept_on_redis(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	accept_heard(ctx, redis_said(rc, reply));
}

static void
accept_on_pg(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	enum synq_settled said = SYNQ_SETTLED_UNKNOWN;

	(void)err;
	if (rc == 0)
		said = synq_pg_row_count(rows[0]) == 1 ? SYNQ_SETTLED_DONE
		                                       : SYNQ_SETTLED_NOT;
	accept_heard(ctx, said);
}

void
synq_store_accept_claim(const struct synq_claim_request *request,
    const struct synq_uuid *job_id, synq_settle_fn *fn, void *ctx)
{
	/* It keeps the time it has left. */
	static const char script[] =
	    "local v = redis.call('GET', KEYS[1]) "
	    "if not v or string.sub(v, 2, 17) ~= ARGV[1] then return 0 end "
	    "redis.call('SET', KEYS[1], 'a' .. string.sub(v, 2), 'KEEPTTL') "
	    "return 1";
	static const char *const sql[2] = {
		"UPDATE operations.idempotency SET accepted = true"
		" WHERE organization_id = $1 AND key_hash = $2 AND job_id = $3"
		" RETURNING job_id",
		claim_relax
	};
	struct settle *settle = settle_new(request, job_id, fn, ctx);

	settle->open =
	    (ask_redis(settle, script, accept_on_redis, settle) == 0) +
	    (ask_pg(request->pg, settle, sql, accept_on_pg, settle) == 0);
	if (settle->open < 2)
		settle->outcome = SYNQ_SETTLED_UNKNOWN;
	if (settle->open == 0)
		synq_loop_defer(synq_pg_loop(request->pg), tell, settle);
}

/* ---- given up ---- */

/* Whoever accepted the job, or took the claim, keeps it. */
static const char drop_script[] =
    "local v = redis.call('GET', KEYS[1]) "
    "if not v or string.sub(v, 2, 17) ~= ARGV[1] then return 1 end "
    "if string.sub(v, 1, 1) == 'a' then return 0 end "
    "redis.call('DEL', KEYS[1]) "
    "return 1";
static const char drop_row[] =
    "DELETE FROM operations.idempotency WHERE organization_id = $1"
    " AND key_hash = $2 AND job_id = $3 AND NOT accepted";
static const char find_row[] =
    "SELECT job_id FROM operations.idempotency WHERE organization_id = $1"
    " AND key_hash = $2 AND job_id = $3";

static void
drop_on_redis(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	struct settle *settle = ctx;

	settle->outcome = redis_said(rc, reply);
	tell(settle);
}

static void
drop_on_pg(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct settle *settle = ctx;

	(void)err;
	settle->outcome = SYNQ_SETTLED_UNKNOWN;
	if (rc == 0 && synq_pg_row_count(rows[1]) != 0)
		settle->outcome = SYNQ_SETTLED_NOT;
	else if (rc == 0 &&
		 ask_redis(settle, drop_script, drop_on_redis, settle) == 0)
		return;
	tell(settle);
}

void
synq_store_drop_claim(const struct synq_claim_request *request,
    const struct synq_uuid *job_id, synq_settle_fn *fn, void *ctx)
{
	static const char *const sql[2] = { drop_row, find_row };
	struct settle *settle = settle_new(request, job_id, fn, ctx);

	if (ask_pg(request->pg, settle, sql, drop_on_pg, settle) == 0)
		return;
	settle->outcome = SYNQ_SETTLED_UNKNOWN;
	synq_loop_defer(synq_pg_loop(request->pg), tell, settle);
}

static void
ignore(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	(void)ctx;
	(void)rc;
	(void)rows;
	(void)err;
}

void
claim_take_back(struct synq_redis *redis, struct synq_pg *pg,
    const struct synq_uuid *organization_id, const uint8_t key_hash[32],
    const struct synq_uuid *job_id)
{
	static const char *const sql[2] = { drop_row, claim_relax };
	struct settle settle = {
		.redis = redis,
		.organization_id = *organization_id,
		.job_id = *job_id,
	};

	memcpy(settle.key_hash, key_hash, sizeof(settle.key_hash));
	/* Away or too busy: then the claim goes stale. */
	(void)!ask_redis(&settle, drop_script, NULL, NULL);
	if (pg != NULL)
		(void)!ask_pg(pg, &settle, sql, ignore, NULL);
}

void
synq_store_free_claim(const struct synq_claim_request *request)
{
	uint8_t key_hash[32];

	claim_hash_key(request, key_hash);
	claim_take_back(request->redis, request->pg, &request->organization_id,
	    key_hash, &request->job_id);
}
