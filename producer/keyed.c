/*
 * Idempotency keys: the same key never makes two jobs that run, and a job that
 * somebody was answered 202 for is never withdrawn.
 *
 * Happy path: the key is free → claimed for a new job id → produced →
 * acknowledged → the claim is "accepted" → 202, or wait for the result.
 *
 * A claim that stays "being accepted" looks stale after a while, but its intake
 * may only be slow: stopped, starved, its clock set.  So each step is a
 * compare-and-set on the job id in the claim, awaited (store/settle.c):
 * accept = "p, id" becomes "a, id"; drop = "p, id" is freed; take = "p, old"
 * becomes "p, new".  An id is answered only after its accept, withdrawn only
 * after its drop or after it was taken from; no two of these succeed.
 *
 * Failure modes, A being the first intake and B one that finds A's claim stale:
 * - A is acknowledged, then B looks: B finds the claim accepted, answers A's;
 * - B takes, then A is acknowledged: A's accept fails, A withdraws its job and
 *   asks the claim anew: it answers B's job, or 409 while that is accepted;
 * - B finds the row of A's job and accepts it, then A gives up: A's drop fails,
 *   A answers the job as accepted;
 * - A drops, then B accepts what it found in the rows: fails, B asks anew;
 * - A is not acknowledged and drops before B takes: B's take finds the key
 *   free, A's job is withdrawn, twice at most;
 * - A is dead: B withdraws A's job, which may be on the log, and makes its own;
 * - B and C both find A stale: one take succeeds, the other answers 409;
 * - B is as slow as A: its claim goes stale as A's did;
 * - Redis away: A's accept needs one store only.  A take needs both, because A
 *   may see the one that B does not: 503 until both are there;
 * - PostgreSQL away: B cannot look for the row, 503; A drops nothing, answers
 *   503 and tries again for a while; what the key names stays A's job, which a
 *   repeat finds;
 * - both away when A is acknowledged: 503, then as not acknowledged;
 * - a take came as far as one store: 503, and the claim goes stale again;
 * - an intake that slept between claim and produce: 503, nothing is produced,
 *   because a job as old as that would pass for expired (P9).
 */

#include "acceptance.h"
#include "base/log.h"
#include "base/mem.h"
#include "intake.h"
#include "loop/loop.h"
#include "store/jobs.h"

#define KEY_MAX_BYTES 255
/* A word between two intakes by Redis takes far less. */
#define LOOK_AGAIN_US 50000
/* Each round means that another intake was at the same key. */
#define ROUNDS_MAX 3
#define DROP_AGAIN_US 1000000
#define DROPS_MAX 30
/* The rows must be this much further than the id of a job that they lack. */
#define ROWS_AHEAD_US 20000000
/* A job is made from an id no older than this. */
#define ID_AGE_MAX_US 10000000

static void keyed_on_claim(void *ctx, enum synq_claim claim,
    const struct synq_uuid *job_id, int accepted);

static void
keyed_refuse_unknown(struct api_call *call)
{
	accept_refuse_busy(call,
	    "Whether this Idempotency-Key was used cannot be told at the "
	    "moment. Send it again.");
}

/* ---- the claim ---- */

/* Claim for a new job: what the claim said before is no longer so. */
static void
keyed_anew(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	const int64_t now_at = synq_loop_wall_us(call->intake->loop);

	if (call->exchange == NULL)
		return; /* who comes back will ask */
	if (++acceptance->rounds > ROUNDS_MAX) {
		keyed_refuse_unknown(call);
		return;
	}
	call->stage = API_PREPARING;
	call->job_id = synq_uuid_new(now_at);
	acceptance->claim.job_id = call->job_id;
	acceptance->claim.now_at = now_at;
	keyed_accept(acceptance);
}

static void
keyed_on_again(void *ctx)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;

	if (call->exchange != NULL)
		keyed_accept(acceptance);
	api_release(call);
}

/*
 * The first request of the key is being accepted, or was a moment ago and the
 * word of it is on its way: look once more before refusing.
 */
static void
keyed_running(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	const struct api_error running = { .status = 409,
		.code = "idempotency_key_in_use",
		.retry_after_s = 1 };

	if (acceptance->again != NULL) {
		api_refuse(call, &running,
		    "The first request with this Idempotency-Key is still "
		    "being accepted. Try again in a second.");
		return;
	}
	acceptance->again =
	    synq_timer_new(call->intake->loop, keyed_on_again, acceptance);
	synq_timer_start(acceptance->again, LOOK_AGAIN_US);
	api_hold(call);
}

static void
keyed_on_same(void *ctx, enum synq_settled settled)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;

	if (settled == SYNQ_SETTLED_NOT)
		keyed_anew(acceptance);
	else if (settled == SYNQ_SETTLED_UNKNOWN)
		keyed_refuse_unknown(call);
	else if (call->exchange != NULL)
		accept_same(acceptance, &acceptance->stale_id);
	api_release(call);
}

/* The job of a stale claim: answer it if it is there, else take the claim. */
static void
keyed_on_stale_row(void *ctx, int rc, const struct synq_job_row *rows,
    size_t count, int64_t as_of)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;
	const struct synq_uuid *stale_id = &acceptance->stale_id;

	(void)rows;
	if (call->exchange == NULL) {
		/* Still stale for whoever comes next. */
	} else if (rc != 0 || (count == 0 && as_of - ROWS_AHEAD_US <=
						 synq_uuid_time_us(stale_id))) {
		keyed_refuse_unknown(call);
	} else if (count == 0) {
		acceptance->taking = 1;
		api_hold(call);
		synq_store_take_claim(
		    &acceptance->claim, stale_id, keyed_on_claim, acceptance);
	} else {
		api_hold(call);
		synq_store_accept_claim(
		    &acceptance->claim, stale_id, keyed_on_same, acceptance);
	}
	api_release(call);
}

/*
 * The intake that claimed the key for ${job_id} died or is slow: nobody knows
 * whether the job is on the log.
 */
static void
keyed_stale(struct acceptance *acceptance, const struct synq_uuid *job_id)
{
	struct api_call *call = acceptance->call;
	const struct synq_jobs_request request = {
		.organization_id = call->principal.organization_id,
		.ids = &acceptance->stale_id,
		.count = 1,
		.part = SYNQ_JOB_ROW_ONLY,
	};

	if (++acceptance->rounds > ROUNDS_MAX) {
		keyed_refuse_unknown(call);
		return;
	}
	acceptance->stale_id = *job_id;
	api_hold(call);
	if (synq_store_jobs(call->intake->pg, &request, keyed_on_stale_row,
		acceptance) != 0)
		keyed_on_stale_row(acceptance, -SYNQ_E_BUSY, NULL, 0, 0);
}

/* The claim names the job of ${acceptance}. */
static void
keyed_mine(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	const int64_t age_us = synq_loop_wall_us(call->intake->loop) -
	                       synq_uuid_time_us(&call->job_id);

	if (acceptance->taking) /* it can never be accepted now */
		accept_withdraw(
		    call, &acceptance->stale_id, SYNQ_CANCEL_UNSURE);
	acceptance->taking = 0;
	if (call->exchange == NULL) {
		keyed_free(acceptance);
	} else if (age_us > ID_AGE_MAX_US) {
		keyed_free(acceptance);
		accept_refuse_busy(call,
		    "The request was held up: nothing was accepted. Try again "
		    "in a second.");
	} else {
		accept_produce(acceptance);
	}
}

static void
keyed_on_claim(void *ctx, enum synq_claim claim, const struct synq_uuid *job_id,
    int accepted)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;
	const struct api_error other = { .status = 422,
		.code = "idempotency_key_reused",
		.never_retry = 1 };

	if (claim == SYNQ_CLAIM_MINE) {
		keyed_mine(acceptance);
	} else if (call->exchange == NULL) {
		/* Who comes back will ask. */
	} else if (claim == SYNQ_CLAIM_STALE) {
		keyed_stale(acceptance, job_id);
	} else if (claim == SYNQ_CLAIM_OTHER) {
		api_refuse(call, &other,
		    "This Idempotency-Key was used with another body within "
		    "the last 24 hours. Use a new key for a new request.");
	} else if (claim == SYNQ_CLAIM_UNKNOWN) {
		keyed_refuse_unknown(call);
	} else if (!accepted) {
		keyed_running(acceptance);
	} else {
		accept_same(acceptance, job_id);
	}
	api_release(call);
}

void
keyed_accept(struct acceptance *acceptance)
{
	acceptance->taking = 0;
	api_hold(acceptance->call);
	synq_store_claim(&acceptance->claim, keyed_on_claim, acceptance);
}

/* ---- the end ---- */

static void keyed_drop(struct acceptance *acceptance);

static void
keyed_on_later(void *ctx)
{
	struct acceptance *acceptance = ctx;

	keyed_drop(acceptance);
	api_release(acceptance->call);
}

/* Nobody could say whether the job is promised: it stays, and so may be. */
static void
keyed_drop_later(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;

	if (acceptance->drops == 1)
		accept_refuse_busy(call,
		    "Whether the request was accepted cannot be told at the "
		    "moment. Send it again with the same Idempotency-Key.");
	if (acceptance->drops >= DROPS_MAX) {
		synq_log(SYNQ_LOG_WARN, "claim.kept",
		    SYNQ_F_UUID("job_id", &call->job_id), SYNQ_F_END);
		return;
	}
	if (acceptance->later == NULL)
		acceptance->later = synq_timer_new(
		    call->intake->loop, keyed_on_later, acceptance);
	synq_timer_start(acceptance->later, DROP_AGAIN_US);
	api_hold(call);
}

static void
keyed_on_dropped(void *ctx, enum synq_settled settled)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;

	if (settled == SYNQ_SETTLED_DONE) {
		accept_withdraw(call, &call->job_id, SYNQ_CANCEL_UNSURE);
		if (acceptance->drops == 1)
			accept_refuse_unsure(acceptance);
	} else if (settled == SYNQ_SETTLED_UNKNOWN) {
		keyed_drop_later(acceptance);
	} else if (acceptance->drops == 1) {
		accept_accepted(acceptance);
	}
	api_release(call);
}

/* Give the claim up; if nobody accepted the job, it is withdrawn. */
static void
keyed_drop(struct acceptance *acceptance)
{
	acceptance->drops++;
	api_hold(acceptance->call);
	synq_store_drop_claim(&acceptance->claim, &acceptance->call->job_id,
	    keyed_on_dropped, acceptance);
}

static void
keyed_on_accepted(void *ctx, enum synq_settled settled)
{
	struct acceptance *acceptance = ctx;
	struct api_call *call = acceptance->call;

	if (settled == SYNQ_SETTLED_DONE) {
		accept_accepted(acceptance);
	} else if (settled == SYNQ_SETTLED_NOT) {
		accept_withdraw(call, &call->job_id, SYNQ_CANCEL_UNSURE);
		keyed_anew(acceptance);
	} else {
		keyed_drop(acceptance);
	}
	api_release(call);
}

void
keyed_on_ack(struct acceptance *acceptance, int rc)
{
	struct api_call *call = acceptance->call;
	struct wait_result result;

	/* A result that came tells as well that the record is there. */
	if (rc == 0 ||
	    wait_kept(call->intake->waits, &call->principal.organization_id,
		&call->job_id, &result)) {
		api_hold(call);
		synq_store_accept_claim(&acceptance->claim, &call->job_id,
		    keyed_on_accepted, acceptance);
	} else if (rc == -SYNQ_E_UNCERTAIN) {
		keyed_drop(acceptance);
	} else {
		keyed_free(acceptance);
		accept_refuse_unsure(acceptance);
	}
}

void
keyed_free(struct acceptance *acceptance)
{
	if (acceptance->key != NULL)
		synq_store_free_claim(&acceptance->claim);
}

/* ---- the key ---- */

int
keyed_read(struct acceptance *acceptance)
{
	struct api_call *call = acceptance->call;
	const struct api_error error = { .status = 400,
		.code = "invalid_value",
		.param = "Idempotency-Key" };
	struct synq_slice key = synq_slice_trim(
	    synq_exchange_header(call->exchange, "idempotency-key"));

	if (key.data == NULL)
		return 0;
	if (key.bytes >= 2 && key.data[0] == '"' &&
	    key.data[key.bytes - 1] == '"') {
		key.data++;
		key.bytes -= 2;
	}
	if (key.bytes == 0 || key.bytes > KEY_MAX_BYTES) {
		api_refuse(call, &error,
		    "Idempotency-Key must be 1 to %d characters long.",
		    KEY_MAX_BYTES);
		return -1;
	}
	acceptance->key = synq_mem_copy(key.data, key.bytes);
	acceptance->claim = (struct synq_claim_request){
		.redis = call->intake->redis,
		.pg = call->intake->pg,
		.organization_id = call->principal.organization_id,
		.method = synq_slice_text(call->route->method),
		.route = synq_slice_text(call->route->path),
		.key = synq_slice_of(acceptance->key, key.bytes),
		.body = synq_exchange_body(call->exchange),
		.job_id = call->job_id,
		.now_at = synq_loop_wall_us(call->intake->loop),
	};
	return 0;
}

void
keyed_done(struct acceptance *acceptance)
{
	synq_timer_free(&acceptance->again);
	synq_timer_free(&acceptance->later);
	synq_mem_free(acceptance->key);
}
