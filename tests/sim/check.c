/*
 * What must hold, after every step and at the end.
 */

#include <stdarg.h>
#include <stdio.h>

#include "base/map.h"
#include "codec/varint.h"
#include "tests/sim/sim.h"
#include "track/track.h"

#define RECORD_MAX_BYTES (2U << 20)
/* How soon what is on the log is heard by a process that is well. */
#define HEARD_US (2 * SECOND)
/* A session, and what it takes to notice that it is over. */
#define DEAD_US (15 * SECOND)

void
check_fail(struct sim *sim, const char *fmt, ...)
{
	va_list args;

	if (sim->failed)
		return;
	sim->failed = 1;
	va_start(args, fmt);
	(void)vsnprintf(sim->failure, sizeof(sim->failure), fmt, args);
	va_end(args);
	sim_trace(sim, "VIOLATED: %s", sim->failure);
}

/* 1 if ${node} could hear everything in the last ${us}. */
static int
check_is_well(const struct node *node, int64_t us)
{
	const int64_t since = node->sim->now - us;

	return node->resume_at < since && node->cut_until < since &&
	       node->sim->down_until < since;
}

/* ---- calls -------------------------------------------------------------- */

static struct call *
check_find_call(const struct job *job, const struct synq_uuid *attempt_id)
{
	struct synq_link *link;
	struct call *call;

	for (link = synq_list_first(&job->calls); link != NULL;
	     link = synq_list_next(&job->calls, link)) {
		call = SYNQ_CONTAINER(link, struct call, link);
		if (synq_uuid_equal(&call->attempt_id, attempt_id))
			return call;
	}
	return NULL;
}

/* P3: no call without its attempt.started on the log. */
static void
check_started(struct sim *sim, const struct job *job, const struct work *work)
{
	const struct tape *tape = &sim->results[work->source.partition];

	for (size_t i = tape->count; i > 0; i--) {
		const struct entry *entry = &tape->entries[i - 1];

		if (entry->kind == SYNQ_OUTCOME_STARTED &&
		    synq_uuid_equal(&entry->attempt_id, &work->attempt_id))
			return;
	}
	check_fail(sim, "job %d is called before its attempt is on the log",
	    job->number);
}

/*
 * Every call before has ended in a failure, or was in flight when its maker
 * died or was expelled; and of the others there are not too many.
 */
static void
check_repeat(struct sim *sim, const struct job *job, const struct node *node)
{
	struct synq_link *link;
	const struct call *call;
	uint32_t counted = 0;
	int excused = job->late_end;

	for (link = synq_list_first(&job->calls); link != NULL;
	     link = synq_list_next(&job->calls, link)) {
		call = SYNQ_CONTAINER(link, const struct call, link);
		excused |= call->excused;
		counted += !call->excused;
		if (call->excused || call->failed || job->late_end ||
		    (call->refused && call->node == node &&
			call->life == node->life))
			continue;
		check_fail(sim,
		    "job %d is called again, but call %d by %s was in order",
		    job->number, call->number, call->node->name);
	}
	sim->repeat_count += excused;
	if (counted >= job->max_attempts && !excused)
		check_fail(sim, "job %d is called too often", job->number);
	if (job->ended_at != 0 && !excused)
		check_fail(
		    sim, "job %d is called after its result", job->number);
}

struct call *
check_call(struct node *node, struct work *work)
{
	struct sim *sim = node->sim;
	struct job *job = intake_job(sim, &work->request.job_id);
	struct call *call;

	if (job == NULL) {
		check_fail(sim, "a job that nobody asked for is called");
		return NULL;
	}
	check_started(sim, job, work);
	check_repeat(sim, job, node);
	if (job->cancel_at != 0 && job->cancel_at < sim->now - HEARD_US &&
	    check_is_well(node, HEARD_US) && !job->late_end)
		check_fail(
		    sim, "job %d is called long after its cancel", job->number);
	if (node->zombie)
		check_fail(sim, "%s, expelled in its sleep, calls job %d",
		    node->name, job->number);
	call = synq_arena_alloc(sim->arena, sizeof(*call));
	call->job = job;
	call->attempt_id = work->attempt_id;
	call->node = node;
	call->life = node->life;
	call->work = work;
	call->source = job->source;
	call->number = ++sim->call_count;
	call->excused = sim->group.members[node->index].fenced;
	synq_list_push(&job->calls, &call->link);
	sim_trace(sim, "%s: call %d of job %d", node->name, call->number,
	    job->number);
	return call;
}

void
check_excuse(struct node *node, int source)
{
	struct sim *sim = node->sim;
	struct synq_link *link;
	struct call *call;

	for (int i = 0; i < sim->job_count; i++) {
		struct synq_list *calls = &sim->jobs[i].calls;

		for (link = synq_list_first(calls); link != NULL;
		     link = synq_list_next(calls, link)) {
			call = SYNQ_CONTAINER(link, struct call, link);
			if (call->node == node && call->life == node->life &&
			    !call->over &&
			    (source < 0 || call->source == source))
				call->excused = 1;
		}
	}
}

/* ---- results and replies ------------------------------------------------ */

static uint32_t
check_answer(const struct synq_outcome *outcome)
{
	return synq_crc32c(outcome->body);
}

void
check_result(
    struct sim *sim, struct entry *entry, const struct synq_outcome *outcome)
{
	struct job *job = entry->job;
	struct call *call = check_find_call(job, &outcome->attempt_id);

	sim_trace(sim, "results %lld: kind %d of job %d, state %d",
	    (long long)entry->offset, (int)outcome->kind, job->number,
	    (int)outcome->state);
	if (outcome->kind == SYNQ_OUTCOME_FAILED && call != NULL)
		call->failed = 1;
	if (outcome->kind != SYNQ_OUTCOME_RESULT)
		return;
	job->results++;
	/*
	 * Expired, cancelled or refused without a call, and on its way when the
	 * partition went: nothing on the log told the next owner to wait.
	 */
	if (call == NULL && entry->foreign)
		job->late_end = 1;
	if (job->ended_at != 0)
		return;
	job->ended_at = sim->now;
	job->state = outcome->state;
	job->answer = check_answer(outcome);
	sim->jobs_open--;
	if (outcome->state == SYNQ_JOB_CANCELLED && job->cancels == 0)
		check_fail(
		    sim, "job %d is cancelled, but nobody asked", job->number);
	if (outcome->state == SYNQ_JOB_EXPIRED && sim->now < job->deadline_at)
		check_fail(sim, "job %d expired too early", job->number);
}

/* P2: what is told is what every reader of results finds first. */
void
check_reply(void *ctx, struct work *work, const struct synq_outcome *outcome)
{
	struct node *node = ctx;
	struct sim *sim = node->sim;
	struct job *job = intake_job(sim, &work->request.job_id);

	sim_trace(sim, "%s: reply to job %d, state %d", node->name, job->number,
	    (int)outcome->state);
	job->replies++;
	if (job->ended_at == 0)
		check_fail(sim, "job %d is told before it ended", job->number);
	else if (!job->late_end && (job->state != outcome->state ||
				       job->answer != check_answer(outcome)))
		check_fail(sim, "%s tells of job %d what its result is not",
		    node->name, job->number);
}

/* ---- commits ------------------------------------------------------------ */

/* 1 if another record of ${job} is open in ${track}. */
static int
check_has_open_twin(const struct tape *tape, const struct synq_track *track,
    const struct job *job)
{
	for (size_t i = 0; i < tape->count; i++)
		if (tape->entries[i].job == job &&
		    synq_track_get(track, tape->entries[i].offset) !=
			SYNQ_TRACK_DONE)
			return 1;
	return 0;
}

void
check_commit(
    const struct part *part, int64_t offset, struct synq_slice metadata)
{
	struct sim *sim = part->node->sim;
	const struct tape *tape = part->tape;
	struct synq_track *track;

	if (metadata.bytes > SYNQ_TRACK_MAX_CHARS)
		check_fail(sim, "a map of %zu characters", metadata.bytes);
	if (synq_track_restore(offset, metadata, tape->end, &track) != 0)
		check_fail(sim, "a map that cannot be read");
	for (size_t i = 0; i < tape->count; i++) {
		const struct entry *entry = &tape->entries[i];

		if (entry->job == NULL || entry->job->ended_at != 0 ||
		    synq_track_get(track, entry->offset) != SYNQ_TRACK_DONE ||
		    check_has_open_twin(tape, track, entry->job))
			continue;
		check_fail(sim,
		    "offset %lld of source %d (job %d) is committed as done",
		    (long long)entry->offset, part->source, entry->job->number);
	}
	synq_track_free(&track);
}

/* ---- bounds ------------------------------------------------------------- */

void
check_node(struct node *node)
{
	struct sim *sim = node->sim;
	const struct core *core = node->core;
	size_t bytes = 0;

	for (int s = 0; s < 2 * sim->traits.part_count; s++) {
		const struct partition *partition = node->parts[s].partition;

		if (partition == NULL || partition->track == NULL)
			continue;
		bytes += partition->bytes;
		/* Its share was all when it was the only one. */
		if (partition->bytes >
		    core->config.max_bytes + RECORD_MAX_BYTES)
			check_fail(sim, "source %d holds %zu bytes", s,
			    partition->bytes);
		if (synq_track_next(partition->track) -
			synq_track_base(partition->track) >
		    SYNQ_TRACK_MAX_WINDOW)
			check_fail(sim, "source %d has too wide a window", s);
		if (synq_map_count(partition->known) > (size_t)sim->job_count)
			check_fail(sim, "source %d knows too much", s);
		if (synq_map_count(partition->cancels) > (size_t)sim->job_count)
			check_fail(sim, "source %d keeps too many cancels", s);
	}
	if (bytes != core->bytes)
		check_fail(sim, "%s counts %zu bytes, holds %zu", node->name,
		    core->bytes, bytes);
	if (synq_fair_in_flight(core->fair) > core->config.max_in_flight)
		check_fail(sim, "%s has too many in flight", node->name);
}

/* 1 if the life ${maker} ended long ago. */
static int
check_is_dead(const struct sim *sim, const struct maker *maker)
{
	const struct node *node = &sim->nodes[maker->boot_id.bytes[0] - 1];
	const int64_t ended_at =
	    node->ended_at[maker->boot_id.bytes[1] % LIVES_MAX];

	return ended_at != 0 && ended_at < sim->now - DEAD_US &&
	       node->joined_at < sim->now - HEARD_US;
}

/* 1 if ${work} is held for nobody but lives that ended long ago. */
static int
check_waits_for_the_dead(const struct sim *sim, const struct work *work)
{
	if (work->state != WORK_HELD)
		return 0;
	for (uint32_t i = 0; i < work->opens->count; i++)
		if (!check_is_dead(sim, &work->opens->items[i].maker))
			return 0;
	return 1;
}

void
check_held(struct node *node)
{
	struct synq_link *link;
	const struct work *work;

	for (int s = 0; s < SOURCES_MAX; s++) {
		struct partition *partition = node->parts[s].partition;

		if (partition == NULL || !check_is_well(node, DEAD_US))
			continue;
		for (link = synq_list_first(&partition->works); link != NULL;
		     link = synq_list_next(&partition->works, link)) {
			work = SYNQ_CONTAINER(link, const struct work, place);
			if (check_waits_for_the_dead(node->sim, work))
				check_fail(node->sim,
				    "job at %lld of source %d waits for the "
				    "dead",
				    (long long)work->source.offset, s);
		}
	}
}

/* ---- the end ------------------------------------------------------------ */

static void
check_end_node(struct node *node)
{
	struct sim *sim = node->sim;
	const struct core *core = node->core;

	if (core == NULL)
		return;
	if (synq_list_first(&core->orphans) != NULL || core->unacked > 0 ||
	    core->bytes > 0 || core->calling > 0 || !core_idle(core))
		check_fail(sim,
		    "%s is not idle: %zu orphans, %zu unacknowledged, %zu "
		    "bytes, %zu calling",
		    node->name, core->orphans.count, core->unacked, core->bytes,
		    core->calling);
	for (int s = 0; s < 2 * sim->traits.part_count; s++) {
		const struct partition *partition = node->parts[s].partition;

		if (partition != NULL && synq_map_count(partition->known) > 0)
			check_fail(
			    sim, "%s still knows of source %d", node->name, s);
	}
}

void
check_end(struct sim *sim)
{
	for (int i = 0; i < sim->job_count; i++) {
		const struct job *job = &sim->jobs[i];

		if (job->ended_at == 0)
			check_fail(sim, "job %d has no result", job->number);
	}
	for (int i = 0; i < sim->traits.node_count; i++)
		check_end_node(&sim->nodes[i]);
	for (int s = 0; s < 2 * sim->traits.part_count; s++) {
		const struct tape *tape = &sim->requests[s];
		const int64_t end =
		    tape->count == 0
			? 0
			: tape->entries[tape->count - 1].offset + 1;

		if (tape->count > 0 && sim->group.committed[s].offset < end)
			check_fail(sim,
			    "source %d is committed at %lld of %lld", s,
			    (long long)sim->group.committed[s].offset,
			    (long long)end);
	}
}
