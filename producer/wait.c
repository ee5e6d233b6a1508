/*
 * Waiters and kept answers.
 *
 * Every job that this intake accepted or that somebody waits for has a
 * wait_job.  A reply ends its waiters and is kept with it; a job without
 * waiters is forgotten when its time is up or too many are kept.
 *
 * Failure modes: the reply is lost (Redis away, another intake accepted the
 * job) or bears no body (too large): the row is read.  PostgreSQL away: read
 * again next time.
 */

#include "wait.h"

#include "base/map.h"
#include "base/mem.h"
#include "intake.h"
#include "loop/loop.h"
#include "proto/signal.h"
#include "redis/redis.h"
#include "store/jobs.h"

/* Rows are read at these times after the wait began, then each second. */
static const uint64_t wait_steps_us[] = { 250000, 250000, 500000 };
#define WAIT_STEP_US 1000000
/* Rows of one organization in one query. */
#define WAIT_BATCH 200
#define WAIT_TICK_US 10000
/* Answers without a waiter: how many, how large in all, how long. */
#define KEEP_MAX_JOBS 20000
#define KEEP_MAX_BYTES (32U << 20)
#define KEEP_US 10000000ULL

struct wait_job {
	struct synq_uuid job_id; /* the map's key */
	struct synq_uuid organization_id;
	struct synq_list waiters;
	struct synq_link idle; /* on waits->idle while nobody waits */
	uint64_t until_us;     /* when an idle one is forgotten */
	int ended;
	enum synq_job_state state;
	int32_t answer_status;
	char *body; /* owned; NULL until ended */
	size_t body_bytes;
};

struct waits {
	struct intake *intake;
	struct synq_map *jobs;   /* job id => struct wait_job */
	struct synq_list idle;   /* jobs without waiters, oldest first */
	struct synq_heap timers; /* waiters by when they want attention */
	struct synq_list due;    /* waiters whose rows are read in this turn */
	struct synq_list reads;  /* queries without an answer */
	struct synq_timer *tick;
	size_t kept_bytes;
};

/* One query of rows. */
struct wait_read {
	struct synq_link link;
	struct waits *waits;
	struct synq_uuid ids[WAIT_BATCH];
	size_t count;
};

static void
wait_job_free(struct waits *waits, struct wait_job *job)
{
	(void)synq_map_remove(waits->jobs, synq_uuid_slice(&job->job_id));
	synq_list_remove(&waits->idle, &job->idle);
	waits->kept_bytes -= job->body_bytes;
	synq_mem_free(job->body);
	synq_mem_free(job);
}

/* Forget idle jobs that are too old or too many. */
static void
wait_trim(struct waits *waits)
{
	const uint64_t now_us = synq_loop_now_us(waits->intake->loop);
	struct synq_link *link;
	struct wait_job *job;

	while ((link = synq_list_first(&waits->idle)) != NULL) {
		job = SYNQ_CONTAINER(link, struct wait_job, idle);
		if (job->until_us > now_us &&
		    waits->idle.count <= KEEP_MAX_JOBS &&
		    waits->kept_bytes <= KEEP_MAX_BYTES)
			return;
		wait_job_free(waits, job);
	}
}

static void
wait_make_idle(struct waits *waits, struct wait_job *job)
{
	if (synq_link_used(&job->idle) || job->waiters.count > 0)
		return;
	job->until_us = synq_loop_now_us(waits->intake->loop) + KEEP_US;
	synq_list_push(&waits->idle, &job->idle);
	if (!synq_timer_active(waits->tick))
		synq_timer_repeat(waits->tick, WAIT_TICK_US);
}

static struct wait_job *
wait_job_of(struct waits *waits, const struct synq_uuid *organization_id,
    const struct synq_uuid *job_id)
{
	struct wait_job *job =
	    synq_map_get(waits->jobs, synq_uuid_slice(job_id));

	if (job != NULL)
		return job;
	job = synq_mem_new(sizeof(*job));
	job->job_id = *job_id;
	job->organization_id = *organization_id;
	synq_list_init(&job->waiters);
	(void)synq_map_set(waits->jobs, synq_uuid_slice(&job->job_id), job);
	return job;
}

void
wait_expect(struct waits *waits, const struct synq_uuid *organization_id,
    const struct synq_uuid *job_id)
{
	wait_make_idle(waits, wait_job_of(waits, organization_id, job_id));
	wait_trim(waits);
}

static void
wait_detach(struct waits *waits, struct waiter *waiter)
{
	synq_heap_remove(&waits->timers, &waiter->timer);
	synq_list_remove(&waits->due, &waiter->timer_link);
	synq_list_remove(&waiter->job->waiters, &waiter->link);
	wait_make_idle(waits, waiter->job);
	waiter->job = NULL;
}

void
wait_stop(struct waits *waits, struct waiter *waiter)
{
	if (waiter->job != NULL)
		wait_detach(waits, waiter);
}

/* ${job} ended with ${result}: tell everybody who waits. */
static void
wait_end(
    struct waits *waits, struct wait_job *job, const struct wait_result *result)
{
	struct synq_link *link;
	struct waiter *waiter;

	while ((link = synq_list_first(&job->waiters)) != NULL) {
		waiter = SYNQ_CONTAINER(link, struct waiter, link);
		wait_detach(waits, waiter);
		waiter->fn(waiter->ctx, result);
	}
}

/* Keep ${result} with ${job}, which is idle now, for whoever asks next. */
static void
wait_keep(
    struct waits *waits, struct wait_job *job, const struct wait_result *result)
{
	if (job->ended)
		return;
	job->ended = 1;
	job->state = result->state;
	job->answer_status = result->answer_status;
	job->body = synq_mem_copy(result->body.data, result->body.bytes);
	job->body_bytes = result->body.bytes;
	waits->kept_bytes += job->body_bytes;
}

static void
wait_kept_result(const struct wait_job *job, struct wait_result *ret)
{
	ret->state = job->state;
	ret->answer_status = job->answer_status;
	ret->body = synq_slice_of(job->body, job->body_bytes);
}

int
wait_kept(struct waits *waits, const struct synq_uuid *organization_id,
    const struct synq_uuid *job_id, struct wait_result *ret)
{
	const struct wait_job *job =
	    synq_map_get(waits->jobs, synq_uuid_slice(job_id));

	if (job == NULL || !job->ended ||
	    !synq_uuid_equal(&job->organization_id, organization_id))
		return 0;
	wait_kept_result(job, ret);
	return 1;
}

/* When ${waiter} wants attention next: its next read or its limit. */
static void
wait_plan(struct waits *waits, struct waiter *waiter, uint64_t step_us)
{
	const uint64_t next_us =
	    synq_loop_now_us(waits->intake->loop) + step_us;

	synq_heap_remove(&waits->timers, &waiter->timer);
	synq_heap_push(&waits->timers, &waiter->timer,
	    next_us < waiter->limit_us ? next_us : waiter->limit_us);
	if (!synq_timer_active(waits->tick))
		synq_timer_repeat(waits->tick, WAIT_TICK_US);
}

static void
wait_on_reply(void *ctx, struct synq_slice payload)
{
	struct waits *waits = ctx;
	struct synq_reply reply;
	struct wait_result result;
	struct wait_job *job;
	struct synq_link *link;

	if (synq_reply_decode(payload, &reply) != 0)
		return;
	job = synq_map_get(waits->jobs, synq_uuid_slice(&reply.job_id));
	if (job == NULL)
		return;
	if (!reply.has_body) { /* the row has it, in a moment */
		for (link = synq_list_first(&job->waiters); link != NULL;
		     link = synq_list_next(&job->waiters, link))
			wait_plan(waits,
			    SYNQ_CONTAINER(link, struct waiter, link),
			    WAIT_TICK_US);
		return;
	}
	result.state = reply.state;
	result.answer_status = reply.answer_status;
	result.body = reply.body;
	wait_keep(waits, job, &result);
	wait_end(waits, job, &result);
}

static void
wait_on_rows(void *ctx, int rc, const struct synq_job_row *rows, size_t count,
    int64_t as_of)
{
	struct wait_read *read = ctx;
	struct waits *waits = read->waits;
	struct wait_result result;
	struct wait_job *job;
	size_t i;

	(void)as_of;
	synq_list_remove(&waits->reads, &read->link);
	for (i = 0; rc == 0 && i < count; i++) {
		job = synq_map_get(waits->jobs, synq_uuid_slice(&rows[i].id));
		if (job == NULL || !synq_job_final(rows[i].state) ||
		    !rows[i].has_body)
			continue;
		result.state = rows[i].state;
		result.answer_status = rows[i].answer_status;
		result.body = rows[i].body;
		wait_end(waits, job, &result);
	}
	synq_mem_free(read);
}

static void
wait_send_read(struct waits *waits, const struct synq_uuid *organization_id,
    struct wait_read *read)
{
	const struct synq_jobs_request request = {
		.organization_id = *organization_id,
		.ids = read->ids,
		.count = read->count,
		.part = SYNQ_JOB_WITH_RESULT,
	};

	read->waits = waits;
	if (synq_store_jobs(waits->intake->pg, &request, wait_on_rows, read) ==
	    0)
		synq_list_push(&waits->reads, &read->link);
	else
		synq_mem_free(read); /* busy: the next step tries again */
}

/*
 * Take those who are due and belong to the organization of the first one into
 * one read; each is planned for its next step.
 */
static void
wait_read_some(struct waits *waits)
{
	struct synq_list *due = &waits->due;
	struct wait_read *read = synq_mem_new(sizeof(*read));
	struct synq_uuid organization_id;
	struct synq_link *link;
	struct synq_link *after;
	struct waiter *waiter;
	uint64_t step_us;

	waiter =
	    SYNQ_CONTAINER(synq_list_first(due), struct waiter, timer_link);
	organization_id = waiter->job->organization_id;
	synq_list_foreach (due, link, after) {
		waiter = SYNQ_CONTAINER(link, struct waiter, timer_link);
		if (read->count == WAIT_BATCH)
			break;
		if (!synq_uuid_equal(
			&waiter->job->organization_id, &organization_id))
			continue;
		synq_list_remove(due, link);
		read->ids[read->count++] = waiter->job->job_id;
		step_us = waiter->reads < SYNQ_COUNT(wait_steps_us)
		              ? wait_steps_us[waiter->reads]
		              : WAIT_STEP_US;
		waiter->reads++;
		wait_plan(waits, waiter, step_us);
	}
	wait_send_read(waits, &organization_id, read);
}

/* Take what is due off the heap: answered already, given up, or read. */
static void
wait_collect(struct waits *waits)
{
	const uint64_t now_us = synq_loop_now_us(waits->intake->loop);
	struct synq_heap_node *node;
	struct wait_result kept;
	struct waiter *waiter;

	while ((node = synq_heap_first(&waits->timers)) != NULL &&
	       node->key <= now_us) {
		waiter = SYNQ_CONTAINER(node, struct waiter, timer);
		if (waiter->job->ended) {
			wait_kept_result(waiter->job, &kept);
			wait_end(waits, waiter->job, &kept);
			continue;
		}
		if (waiter->limit_us <= now_us) {
			wait_detach(waits, waiter);
			waiter->fn(waiter->ctx, NULL);
			continue;
		}
		synq_heap_remove(&waits->timers, node);
		synq_list_push(&waits->due, &waiter->timer_link);
	}
	while (waits->due.count > 0)
		wait_read_some(waits);
}

static void
wait_on_tick(void *ctx)
{
	struct waits *waits = ctx;

	wait_collect(waits);
	wait_trim(waits);
	if (waits->timers.count == 0 && waits->idle.count == 0)
		synq_timer_stop(waits->tick);
}

/* Redis came back: what it would have told in between is in the rows. */
static void
wait_on_subscribed(void *ctx)
{
	struct waits *waits = ctx;
	size_t i;

	for (i = 0; i < waits->timers.count; i++)
		synq_list_push(
		    &waits->due, &SYNQ_CONTAINER(waits->timers.nodes[i],
				     struct waiter, timer)
				      ->timer_link);
	while (waits->due.count > 0)
		wait_read_some(waits);
}

void
wait_start(struct waits *waits, struct waiter *waiter,
    const struct wait_request *request)
{
	struct wait_job *job =
	    wait_job_of(waits, &request->organization_id, &request->job_id);

	synq_list_remove(&waits->idle, &job->idle);
	waiter->job = job;
	waiter->limit_us = request->limit_us;
	waiter->reads = 1;
	waiter->fn = request->fn;
	waiter->ctx = request->ctx;
	synq_list_push(&job->waiters, &waiter->link);
	/* An answer that is kept goes out from the loop, like any other. */
	wait_plan(waits, waiter, job->ended ? 0 : wait_steps_us[0]);
}

struct waits *
waits_new(struct intake *intake)
{
	struct waits *waits = synq_mem_new(sizeof(*waits));

	waits->intake = intake;
	waits->jobs = synq_map_new();
	synq_list_init(&waits->idle);
	synq_list_init(&waits->due);
	synq_list_init(&waits->reads);
	synq_heap_init(&waits->timers);
	waits->tick = synq_timer_new(intake->loop, wait_on_tick, waits);
	synq_redis_subscribe(
	    intake->redis, intake->reply_to.data, wait_on_reply, waits);
	synq_redis_on_subscribed(intake->redis, wait_on_subscribed, waits);
	return waits;
}

void
waits_free(struct waits **waits)
{
	struct waits *self = *waits;
	struct synq_link *link;
	struct wait_job *job;
	size_t cursor = 0;

	if (self == NULL)
		return;
	while ((link = synq_list_shift(&self->reads)) != NULL)
		synq_mem_free(SYNQ_CONTAINER(link, struct wait_read, link));
	while ((job = synq_map_next(self->jobs, &cursor)) != NULL)
		wait_job_free(self, job);
	synq_timer_free(&self->tick);
	synq_heap_done(&self->timers);
	synq_map_free(&self->jobs);
	synq_mem_free(self);
	*waits = NULL;
}
