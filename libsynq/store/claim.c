#include "store/keys.h"

#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "redis/redis.h"
#include "store/claim.h"
#include "store/inner.h"

/*
 * Claiming an idempotency key.
 *
 * Happy path: SET NX in Redis, where most repeats are found, then a row in
 * PostgreSQL: a key is the caller's when both say so, for another intake may
 * have had to do without Redis while this one saw it.
 *
 * Failure modes: Redis is away: PostgreSQL decides alone.  PostgreSQL cannot
 * say: Redis decides alone if it has been up for a day, so that it knows every
 * key that counts; it is young when it lost everything, and when this intake
 * had to do without it.  Neither can say: UNKNOWN, the client asked not to be
 * doubled.  The intake died or stands still between the claim and its end: the
 * key stays "being accepted"; after a while it is STALE, and who asks looks
 * whether the job is there and, if not, takes the claim over for a job of its
 * own.  STALE is a guess (a process can be stopped, a clock can be set), so
 * that taking over is a compare-and-set, as is every end of a claim (settle.c).
 * Redis was away when the acceptance ended, or took the claim from a silence
 * that was given up: it says "being accepted" and PostgreSQL knows better.
 *
 * A take-over must succeed in both stores, an acceptance in one of them: no two
 * of them can both succeed, whichever store either cannot see.  A take-over
 * that got only as far as Redis leaves a claim for a job that is never made; it
 * goes stale like any other, and the row it met is found when it is taken over.
 */

#define CLAIM_US (24 * 3600 * INT64_C(1000000))
#define CLAIM_S_TEXT "86400"
/* Few acceptances take this long (decisions 19: 10 s for the log). */
#define ACCEPTING_US (20 * INT64_C(1000000))

#define SINCE_KEY "synq:since"
/* Method, route and key with their lengths: each is far below. */
#define MAX_KEY_BYTES 65536

struct claim {
	struct store_call call;
	struct synq_redis *redis;
	struct synq_pg *pg;
	synq_claim_fn *fn;
	void *ctx;
	struct synq_uuid organization_id;
	struct synq_uuid job_id;
	struct synq_uuid from_id; /* whose claim is taken over; else job_id */
	uint8_t key_hash[32];
	uint8_t body_hash[32];
	int64_t now_at;
	int was_missed; /* redis_missed when Redis was asked */
	int mine_in_redis;
	int redis_knows; /* every key of the last day */
	int takes_over;
	enum synq_claim answer; /* what fn will be told */
	struct synq_uuid found_id;
	int accepted;
};

/*
 * A claim was made without Redis, which therefore lacks it: its age is to be
 * counted from when it is back.  One process has one Redis.
 */
static int redis_missed;

/* ---- what is stored ---- */

void
claim_hash_key(const struct synq_claim_request *request, uint8_t ret[32])
{
	const struct synq_slice parts[] = { request->method, request->route,
		request->key };
	struct synq_buf all;
	size_t i;

	synq_buf_init(&all, MAX_KEY_BYTES);
	for (i = 0; i < SYNQ_COUNT(parts); i++) {
		synq_buf_printf(&all, "%zu:", parts[i].bytes);
		synq_buf_slice(&all, parts[i]);
	}
	synq_hash(NULL, synq_buf_view(&all), ret, 32);
	synq_buf_done(&all);
}

void
claim_write_name(struct synq_buf *out, const struct synq_uuid *organization_id,
    const uint8_t key_hash[32])
{
	char id[SYNQ_UUID_CHARS + 1];
	size_t i;

	synq_uuid_format(organization_id, id);
	synq_buf_printf(out, "synq:{%s}:idempotency:", id);
	for (i = 0; i < 32; i++)
		synq_buf_printf(out, "%02x", key_hash[i]);
}

/* Compare what is stored with what ${claim} asks for. */
static void
compare(struct claim *claim, const struct synq_uuid *job_id,
    struct synq_slice body_hash, int accepted)
{
	claim->found_id = *job_id;
	claim->answer = SYNQ_CLAIM_OTHER;
	if (synq_uuid_equal(job_id, &claim->job_id))
		claim->answer = SYNQ_CLAIM_MINE;
	else if (body_hash.bytes == 32 &&
		 memcmp(body_hash.data, claim->body_hash, 32) == 0)
		claim->answer = SYNQ_CLAIM_SAME;
	claim->accepted = accepted;
	if (claim->answer == SYNQ_CLAIM_SAME && !accepted &&
	    claim->now_at - synq_uuid_time_us(job_id) > ACCEPTING_US)
		claim->answer = SYNQ_CLAIM_STALE;
}

/* ---- the end ---- */

static void
tell(void *ctx)
{
	struct claim *claim = ctx;

	claim->fn(claim->ctx, claim->answer, &claim->found_id, claim->accepted);
	store_call_free(claim);
}

/* ---- PostgreSQL ---- */

const char claim_relax[] =
    "SELECT set_config('synchronous_commit', 'off', true)";

/* Take ${claim} back wherever it may have arrived. */
static void
give_up(const struct claim *claim)
{
	if (!claim->takes_over)
		claim_take_back(claim->redis,
		    claim->answer == SYNQ_CLAIM_UNKNOWN ? claim->pg : NULL,
		    &claim->organization_id, claim->key_hash, &claim->job_id);
}

/* PostgreSQL cannot say. */
static void
without_pg(struct claim *claim)
{
	claim->answer = claim->mine_in_redis && claim->redis_knows
	                    ? SYNQ_CLAIM_MINE
	                    : SYNQ_CLAIM_UNKNOWN;
	claim->found_id = claim->job_id;
}

static void
on_row(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct claim *claim = ctx;
	struct synq_uuid job_id;

	(void)err;
	without_pg(claim);
	if (rc == 0 && synq_pg_row_count(rows[1]) == 1) {
		job_id = synq_pg_get_uuid(rows[1], 0, 0);
		compare(claim, &job_id, synq_pg_get_slice(rows[1], 0, 1),
		    synq_pg_get_int(rows[1], 0, 2) != 0);
	}
	if (claim->answer != SYNQ_CLAIM_MINE)
		give_up(claim);
	else if (!claim->mine_in_redis && !claim->takes_over)
		redis_missed = 1;
	tell(claim);
}

/*
 * Put the row of ${claim} if there is none, or only the one to be taken over;
 * on_row sees what there is.
 */
static int
pg_put(struct claim *claim)
{
	static const char insert[] =
	    "INSERT INTO operations.idempotency AS i (organization_id,"
	    " key_hash, body_hash, job_id, expires_at)"
	    " VALUES ($1, $2, $3, $4, $5)"
	    " ON CONFLICT (organization_id, key_hash) DO UPDATE"
	    " SET body_hash = excluded.body_hash, job_id = excluded.job_id,"
	    " accepted = false, expires_at = excluded.expires_at"
	    " WHERE i.expires_at <= $6"
	    " OR (i.job_id = $7 AND NOT i.accepted)";
	static const char select[] =
	    "SELECT job_id, body_hash, accepted FROM operations.idempotency"
	    " WHERE organization_id = $1 AND key_hash = $2";
	const struct synq_pg_param params[] = {
		synq_pg_uuid(&claim->organization_id),
		synq_pg_bytes(synq_slice_of(claim->key_hash, 32)),
		synq_pg_bytes(synq_slice_of(claim->body_hash, 32)),
		synq_pg_uuid(&claim->job_id),
		synq_pg_time(claim->now_at + CLAIM_US),
		synq_pg_time(claim->now_at),
		synq_pg_uuid(&claim->from_id),
	};
	const struct synq_pg_statement statements[] = {
		{ insert, params, SYNQ_COUNT(params) },
		{ select, params, 2 },
		{ claim_relax, NULL, 0 },
	};
	const struct synq_pg_transaction transaction = {
		.organization_id = &claim->organization_id,
		.statements = statements,
		.count = SYNQ_COUNT(statements) - !claim->mine_in_redis,
		.done = on_row,
		.ctx = claim,
	};

	return synq_pg_start(claim->pg, &transaction);
}

/* Let PostgreSQL decide. */
static void
ask_pg(struct claim *claim)
{
	if (pg_put(claim) == 0)
		return;
	without_pg(claim);
	if (claim->answer != SYNQ_CLAIM_MINE)
		give_up(claim);
	synq_loop_defer(synq_pg_loop(claim->pg), tell, claim);
}

static void
on_look(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct claim *claim = ctx;
	struct synq_uuid job_id;

	(void)err;
	if (rc == 0 && synq_pg_row_count(rows[0]) == 1) {
		job_id = synq_pg_get_uuid(rows[0], 0, 0);
		compare(claim, &job_id, synq_pg_get_slice(rows[0], 0, 1), 1);
	}
	tell(claim);
}

/*
 * Redis says that the job of ${claim} is being accepted: tell what PostgreSQL
 * says, if it knows that it was, or that another was while the claim in Redis
 * could not be taken over.
 */
static void
look_in_pg(struct claim *claim)
{
	static const char select[] =
	    "SELECT job_id, body_hash FROM operations.idempotency"
	    " WHERE organization_id = $1 AND key_hash = $2 AND accepted"
	    " AND expires_at > $3";
	const struct synq_pg_param params[] = {
		synq_pg_uuid(&claim->organization_id),
		synq_pg_bytes(synq_slice_of(claim->key_hash, 32)),
		synq_pg_time(claim->now_at),
	};
	const struct synq_pg_statement statement = { select, params,
		SYNQ_COUNT(params) };
	const struct synq_pg_transaction transaction = {
		.organization_id = &claim->organization_id,
		.statements = &statement,
		.count = 1,
		.done = on_look,
		.ctx = claim,
	};

	if (synq_pg_start(claim->pg, &transaction) != 0)
		tell(claim);
}

/* ---- Redis ---- */

/* 1 if Redis knows every key of the last day, else 0. */
static int
is_old(const struct claim *claim, struct synq_slice since)
{
	uint64_t since_at;

	return synq_slice_u64(since, INT64_MAX, &since_at) == 0 &&
	       claim->now_at - (int64_t)since_at >= CLAIM_US;
}

/* Redis has ${value} under the key of ${claim}. */
static void
read_value(struct claim *claim, struct synq_slice value)
{
	struct synq_uuid job_id;

	memcpy(job_id.bytes, value.data + 1, sizeof(job_id.bytes));
	compare(claim, &job_id, synq_slice_of(value.data + 17, 32),
	    value.data[0] == 'a');
}

static void
on_value(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	struct claim *claim = ctx;
	struct synq_redis_reply value;
	struct synq_redis_reply since;

	if (rc != 0) {
		ask_pg(claim);
		return;
	}
	value = synq_redis_element(reply, 0);
	since = synq_redis_element(reply, 1);
	if (value.type != SYNQ_REPLY_TEXT ||
	    value.text.bytes != CLAIM_VALUE_BYTES ||
	    since.type != SYNQ_REPLY_TEXT) {
		ask_pg(claim);
		return;
	}
	if (claim->was_missed)
		redis_missed = 0;
	read_value(claim, value.text);
	claim->mine_in_redis = claim->answer == SYNQ_CLAIM_MINE;
	if (claim->mine_in_redis) {
		claim->redis_knows = is_old(claim, since.text);
		ask_pg(claim);
		return;
	}
	if (claim->answer == SYNQ_CLAIM_STALE ||
	    (claim->answer == SYNQ_CLAIM_SAME && !claim->accepted)) {
		look_in_pg(claim);
		return;
	}
	tell(claim);
}

static void
write_value(const struct claim *claim, char ret[CLAIM_VALUE_BYTES])
{
	ret[0] = 'p';
	memcpy(ret + 1, claim->job_id.bytes, 16);
	memcpy(ret + 17, claim->body_hash, 32);
}

static int
ask_redis(struct claim *claim)
{
	/* The age is noted anew if this Redis lacks what was claimed without.
	 */
	static const char script[] =
	    "if ARGV[3] == '1' then redis.call('SET', KEYS[2], ARGV[2]) "
	    "else redis.call('SET', KEYS[2], ARGV[2], 'NX') end "
	    "redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[4]) "
	    "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}";
	char value[CLAIM_VALUE_BYTES];
	char now[24];
	struct synq_buf name;
	struct synq_slice words[9];
	int rc;

	claim->was_missed = redis_missed;
	write_value(claim, value);
	(void)snprintf(now, sizeof(now), "%lld", (long long)claim->now_at);
	synq_buf_init(&name, CLAIM_NAME_MAX_BYTES);
	claim_write_name(&name, &claim->organization_id, claim->key_hash);
	words[0] = synq_slice_text("EVAL");
	words[1] = synq_slice_text(script);
	words[2] = synq_slice_text("2");
	words[3] = synq_buf_view(&name);
	words[4] = synq_slice_text(SINCE_KEY);
	words[5] = synq_slice_of(value, sizeof(value));
	words[6] = synq_slice_text(now);
	words[7] = synq_slice_text(claim->was_missed ? "1" : "0");
	words[8] = synq_slice_text(CLAIM_S_TEXT);
	rc = synq_redis_command(
	    claim->redis, words, SYNQ_COUNT(words), on_value, claim);
	synq_buf_done(&name);
	return rc;
}

/* Redis has ${reply} under the key that was to be taken over. */
static void
on_taken(void *ctx, int rc, const struct synq_redis_reply *reply)
{
	struct claim *claim = ctx;

	claim->answer = SYNQ_CLAIM_UNKNOWN;
	if (rc == 0 && reply->type == SYNQ_REPLY_TEXT &&
	    reply->text.bytes == CLAIM_VALUE_BYTES)
		read_value(claim, reply->text);
	if (claim->answer == SYNQ_CLAIM_MINE)
		ask_pg(claim);
	else
		tell(claim);
}

static int
take_in_redis(struct claim *claim)
{
	static const char script[] =
	    "local v = redis.call('GET', KEYS[1]) "
	    "if not v or string.sub(v, 1, 17) == 'p' .. ARGV[2] then "
	    "redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3]) end "
	    "return redis.call('GET', KEYS[1])";
	char value[CLAIM_VALUE_BYTES];
	struct synq_buf name;
	struct synq_slice words[7];
	int rc;

	write_value(claim, value);
	synq_buf_init(&name, CLAIM_NAME_MAX_BYTES);
	claim_write_name(&name, &claim->organization_id, claim->key_hash);
	words[0] = synq_slice_text("EVAL");
	words[1] = synq_slice_text(script);
	words[2] = synq_slice_text("1");
	words[3] = synq_buf_view(&name);
	words[4] = synq_slice_of(value, sizeof(value));
	words[5] = synq_uuid_slice(&claim->from_id);
	words[6] = synq_slice_text(CLAIM_S_TEXT);
	rc = synq_redis_command(
	    claim->redis, words, SYNQ_COUNT(words), on_taken, claim);
	synq_buf_done(&name);
	return rc;
}

/* ---- the interface ---- */

static struct claim *
claim_new(
    const struct synq_claim_request *request, synq_claim_fn *fn, void *ctx)
{
	struct claim *claim = store_call_new(sizeof(*claim));

	claim->redis = request->redis;
	claim->pg = request->pg;
	claim->fn = fn;
	claim->ctx = ctx;
	claim->organization_id = request->organization_id;
	claim->job_id = request->job_id;
	claim->from_id = request->job_id;
	claim->now_at = request->now_at;
	claim_hash_key(request, claim->key_hash);
	synq_hash(NULL, request->body, claim->body_hash, 32);
	return claim;
}

void
synq_store_claim(
    const struct synq_claim_request *request, synq_claim_fn *fn, void *ctx)
{
	struct claim *claim = claim_new(request, fn, ctx);

	if (ask_redis(claim) != 0)
		ask_pg(claim);
}

void
synq_store_take_claim(const struct synq_claim_request *request,
    const struct synq_uuid *from, synq_claim_fn *fn, void *ctx)
{
	struct claim *claim = claim_new(request, fn, ctx);

	claim->from_id = *from;
	claim->takes_over = 1;
	if (take_in_redis(claim) == 0)
		return;
	claim->answer = SYNQ_CLAIM_UNKNOWN;
	synq_loop_defer(synq_pg_loop(claim->pg), tell, claim);
}

void
synq_store_redis_age(struct synq_redis *redis, int64_t now_at)
{
	char now[24];
	const struct synq_slice words[] = { synq_slice_text("SET"),
		synq_slice_text(SINCE_KEY),
		synq_slice_of(now, (size_t)snprintf(now, sizeof(now), "%lld",
				       (long long)now_at)),
		synq_slice_text("NX") };

	/* Away: the first claim notes it. */
	(void)!synq_redis_command(redis, words, SYNQ_COUNT(words), NULL, NULL);
}
