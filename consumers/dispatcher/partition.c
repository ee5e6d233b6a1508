/*
 * A source partition.
 *
 * Happy path: restore what was committed, learn from results what happened
 * since, read requests, mark them done as their results are acknowledged,
 * commit the lowest open offset with the map.
 *
 * results_offset, which the map carries, is the highest results offset below
 * which nothing matters any more: never above the first record of any request
 * that is still open, so that whoever takes over learns how often it was tried
 * and who is calling; nor above what ended a moment ago, so that whoever takes
 * over knows the job when its record turns up a second time.
 *
 * Failure modes: a broker that lost power may come back with a log that ends
 * before what was committed, and may have taken new records since (ADR 0010).
 * Those are younger than everything that was read: the time of the newest one
 * goes with the map, and what is younger than it was never read.
 */

#include "partition.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cancel.h"
#include "track/track.h"
#include "work.h"

/* Even a partition among many may hold a few of the largest requests. */
#define MIN_PARTITION_BYTES (4U << 20)
/* The largest record of a topic. */
#define LATE_MAX_BYTES (2U << 20)
/* Between the map and the time of the newest record, in the metadata. */
#define NEWEST '@'
#define NEWEST_MAX_S UINT32_MAX
#define NEWEST_CHARS 11

static struct synq_slice
known_key(const int64_t *offset)
{
	return synq_slice_of(offset, sizeof(*offset));
}

struct partition *
partition_new(struct core *core, enum synq_source_topic topic, int32_t number)
{
	struct partition *partition = synq_mem_new(sizeof(*partition));

	partition->core = core;
	partition->topic = topic;
	partition->number = number;
	partition->known = synq_map_new();
	partition->cancels = synq_map_new();
	synq_list_init(&partition->cancel_order);
	partition->settled[0] = partition->settled[1] = -1;
	partition->late_offset = -1;
	ended_init(&partition->ended, ENDED_KEPT_OF_PARTITION);
	synq_buf_init(&partition->late, LATE_MAX_BYTES);
	synq_list_init(&partition->works);
	synq_list_push(&core->partitions, &partition->link);
	return partition;
}

void
partition_free(struct partition **partition, int lost)
{
	struct partition *self = *partition;
	struct known *known;
	struct synq_link *link;
	struct synq_link *after;
	size_t cursor = 0;

	if (self == NULL)
		return;
	if (!lost && self->active)
		partition_commit(self);
	synq_list_foreach (&self->works, link, after)
		work_revoke(SYNQ_CONTAINER(link, struct work, place), lost);
	/* The group expelled us: what was revoked before is nobody's now. */
	if (lost)
		core_slept(self->core);
	while ((known = synq_map_next(self->known, &cursor)) != NULL)
		partition_known_drop(self, known);
	synq_map_free(&self->known);
	cancel_forget_all(self);
	synq_map_free(&self->cancels);
	ended_done(&self->ended);
	synq_buf_done(&self->late);
	synq_track_free(&self->track);
	synq_list_remove(&self->core->partitions, &self->link);
	synq_mem_free(self);
	*partition = NULL;
}

/*
 * Split ${metadata}, "<map>@<seconds>", into the map and, in place of
 * ${ret_s}, the second after the newest record read; 0 = it does not say.
 */
static struct synq_slice
metadata_split(struct synq_slice metadata, uint64_t *ret_s)
{
	const char *at = metadata.bytes == 0
	                     ? NULL
	                     : memchr(metadata.data, NEWEST, metadata.bytes);
	size_t map_bytes;

	*ret_s = 0;
	if (at == NULL)
		return metadata;
	map_bytes = (size_t)(at - metadata.data);
	if (synq_slice_u64(
		synq_slice_of(at + 1, metadata.bytes - map_bytes - 1),
		NEWEST_MAX_S, ret_s) != 0)
		*ret_s = 0;
	return synq_slice_of(metadata.data, map_bytes);
}

int64_t
partition_read_until(struct synq_slice metadata)
{
	uint64_t newest_s;

	(void)metadata_split(metadata, &newest_s);
	return newest_s == 0 ? -1 : (int64_t)newest_s * 1000000;
}

int
partition_restore(struct partition *partition, int64_t offset,
    struct synq_slice metadata, int64_t cut)
{
	uint64_t newest_s;
	struct synq_slice map = metadata_split(metadata, &newest_s);

	if (newest_s > 0)
		partition->newest_at = (int64_t)newest_s * 1000000 - 1;
	if (offset < 0 || cut < offset) {
		partition->track = synq_track_new(offset < 0 ? 0 : cut);
		return 0;
	}
	return synq_track_restore(offset, map, cut, &partition->track);
}

void
partition_results_found(struct partition *partition, int64_t offset)
{
	if (offset < partition_reconcile_from(partition))
		synq_track_cut_results(partition->track, offset);
}

void
partition_idle_until(struct partition *partition, int64_t young)
{
	synq_track_set_results_offset(partition->track, young - 1);
}

int64_t
partition_start_at(const struct partition *partition)
{
	const int64_t base = synq_track_base(partition->track);

	return base == 0 ? -1 : base;
}

int64_t
partition_reconcile_from(const struct partition *partition)
{
	const int64_t offset = synq_track_results_offset(partition->track);

	return offset < 0 ? -1 : offset + 1;
}

struct known *
partition_known(struct partition *partition, int64_t offset)
{
	return synq_map_get(partition->known, known_key(&offset));
}

void
partition_known_drop(struct partition *partition, struct known *known)
{
	(void)synq_map_remove(partition->known, known_key(&known->offset));
	synq_mem_free(known);
}

/* 1 if ${outcome} is an attempt that failed, 0 if its call was never made. */
static int
outcome_counts(const struct synq_outcome *outcome)
{
	return !synq_slice_is(outcome->error_code, "not_sent");
}

/*
 * When the failed attempt of ${outcome} may be followed by another.  Its maker
 * says so by its own clock, which may be far ahead of ours: no later than if it
 * had failed just now.
 */
static int64_t
outcome_not_before(const struct core *core, const struct synq_outcome *outcome)
{
	const int64_t latest_at = core->config.io.now(core->config.io_ctx) +
	                          outcome->not_before_at - outcome->ended_at;

	return outcome->not_before_at < latest_at ? outcome->not_before_at
	                                          : latest_at;
}

/* What a record of results says about a request that is not read yet. */
static void
known_learn(struct partition *partition, int64_t offset,
    const struct synq_outcome *outcome)
{
	struct known *known;

	known = partition_known(partition, outcome->source.offset);
	/* Where the log was cut, another request has its offset now. */
	if (known != NULL &&
	    !synq_uuid_equal(&known->job_id, &outcome->job_id)) {
		partition_known_drop(partition, known);
		known = NULL;
	}
	if (known == NULL) {
		known = synq_mem_new(sizeof(*known));
		known->offset = outcome->source.offset;
		known->job_id = outcome->job_id;
		known->first_outcome = offset;
		(void)synq_map_set(
		    partition->known, known_key(&known->offset), known);
	}
	switch (outcome->kind) {
	case SYNQ_OUTCOME_STARTED:
		known->attempt = outcome->attempt;
		opens_add(&known->opens, outcome);
		break;
	case SYNQ_OUTCOME_FAILED:
		(void)opens_remove(&known->opens, &outcome->attempt_id);
		known->failures += (uint32_t)outcome_counts(outcome);
		known->not_before_at =
		    outcome_not_before(partition->core, outcome);
		break;
	case SYNQ_OUTCOME_RESULT:
		known->ended = 1;
		break;
	}
}

/* Somebody else wrote the result of ${work}. */
static void
partition_ended(struct work *work)
{
	partition_done(work->partition, work->source.offset);
	work_free(work);
}

/* A record about ${work}, which is held for attempts of others. */
static void
partition_release(struct work *work, const struct synq_outcome *outcome)
{
	switch (outcome->kind) {
	case SYNQ_OUTCOME_STARTED:
		opens_add(work->opens, outcome);
		if (outcome->attempt > work->attempt)
			work->attempt = outcome->attempt;
		break;
	case SYNQ_OUTCOME_FAILED:
		if (!opens_remove(work->opens, &outcome->attempt_id))
			break;
		work->failures += (uint32_t)outcome_counts(outcome);
		if (work->opens->count > 0)
			break;
		if (work->cancelled)
			work_end(work, SYNQ_JOB_CANCELLED, NULL);
		else
			work_wait(
			    work, outcome_not_before(work->core, outcome));
		break;
	case SYNQ_OUTCOME_RESULT:
		partition_ended(work);
		break;
	}
}

/*
 * A record about ${work}, begun again after a life that seemed over: what that
 * life wrote late may be the end of it.  A call that is out is not stopped.
 */
static void
partition_overtaken(struct work *work, const struct synq_outcome *outcome)
{
	if (outcome->kind != SYNQ_OUTCOME_RESULT ||
	    (work->state != WORK_QUEUED && work->state != WORK_PARKED &&
		work->state != WORK_WAITING))
		return;
	partition_ended(work);
}

void
partition_outcome(struct partition *partition, int64_t offset,
    const struct synq_outcome *outcome)
{
	const struct synq_source *source = &outcome->source;
	struct work *work;

	/* The other topic's as well: cancels do not say which they are for. */
	if (outcome->kind == SYNQ_OUTCOME_RESULT)
		cancel_forget(
		    partition, &outcome->organization_id, &outcome->job_id);
	if (source->topic != partition->topic ||
	    source->partition != partition->number)
		return;
	/* Even of a record that is done: it may lie there a second time. */
	if (outcome->kind == SYNQ_OUTCOME_RESULT)
		ended_add(&partition->ended, &outcome->job_id);
	if (synq_track_get(partition->track, source->offset) == SYNQ_TRACK_DONE)
		return;
	work = synq_map_get(
	    partition->core->jobs, synq_uuid_slice(&outcome->job_id));
	if (work != NULL && work->partition == partition &&
	    work->source.offset == source->offset) {
		if (work->state == WORK_HELD)
			partition_release(work, outcome);
		else if (work->doubted)
			partition_overtaken(work, outcome);
		return;
	}
	if (!partition->active ||
	    source->offset >= synq_track_next(partition->track) ||
	    partition_known(partition, source->offset) != NULL)
		known_learn(partition, offset, outcome);
}

int
partition_has_ended(
    const struct partition *partition, const struct synq_uuid *job_id)
{
	return ended_has(&partition->core->ended, job_id) ||
	       ended_has(&partition->ended, job_id);
}

void
partition_settle(struct partition *partition)
{
	partition->active = 1;
}

size_t
partition_held(const struct partition *partition)
{
	size_t held = synq_map_count(partition->known);
	struct synq_link *link;
	const struct work *work;

	for (link = synq_list_first(&partition->works); link != NULL;
	     link = synq_list_next(&partition->works, link)) {
		work = SYNQ_CONTAINER(link, struct work, place);
		held += work->state == WORK_HELD || work->doubted;
	}
	return held;
}

void
partition_done(struct partition *partition, int64_t offset)
{
	synq_track_mark(partition->track, offset, SYNQ_TRACK_DONE);
}

/*
 * ${offset}, of results that are acknowledged by now, as it was when whatever
 * an intake was writing then is written: one to two such times ago.
 */
static int64_t
partition_settled(struct partition *partition, int64_t offset)
{
	const struct core_config *config = &partition->core->config;
	const int64_t now_at = config->io.now(config->io_ctx);

	if (now_at < partition->settled_at) /* the clock was set */
		partition->settled_at = now_at;
	if (now_at - partition->settled_at >=
	    (int64_t)config->rewrite_limit_us) {
		partition->settled[0] = partition->settled[1];
		partition->settled[1] = offset;
		partition->settled_at = now_at;
	}
	return partition->settled[0];
}

/* The highest results offset that whoever takes over need not read. */
static int64_t
partition_results_offset(struct partition *partition)
{
	const struct core *core = partition->core;
	struct synq_link *link;
	struct known *known;
	size_t cursor = 0;
	int64_t offset;
	int64_t first;

	offset = partition_settled(partition,
	    core->config.io.acked(core->config.io_ctx, partition->number));
	for (link = synq_list_first(&partition->works); link != NULL;
	     link = synq_list_next(&partition->works, link)) {
		first = SYNQ_CONTAINER(link, struct work, place)->first_outcome;
		if (first >= 0 && first <= offset)
			offset = first - 1;
	}
	while ((known = synq_map_next(partition->known, &cursor)) != NULL) {
		if (known->first_outcome <= offset)
			offset = known->first_outcome - 1;
	}
	return offset;
}

void
partition_commit(struct partition *partition)
{
	struct core *core = partition->core;
	struct synq_buf metadata;

	if (!partition->active)
		return;
	synq_track_set_results_offset(
	    partition->track, partition_results_offset(partition));
	if (!synq_track_dirty(partition->track))
		return;
	synq_buf_init(&metadata, SYNQ_TRACK_MAX_CHARS + NEWEST_CHARS + 1);
	synq_track_encode(partition->track, &metadata);
	if (partition->newest_at > 0) {
		synq_buf_char(&metadata, NEWEST);
		synq_buf_i64(&metadata, partition->newest_at / 1000000 + 1);
	}
	core->config.io.commit(core->config.io_ctx, partition,
	    synq_track_base(partition->track), synq_buf_view(&metadata));
	synq_buf_done(&metadata);
}

int
partition_room(struct partition *partition)
{
	const struct core *core = partition->core;
	size_t share = core->config.max_bytes / core->partitions.count;

	if (share < MIN_PARTITION_BYTES)
		share = MIN_PARTITION_BYTES;
	partition->stopped =
	    partition->bytes >= share || !synq_track_room(partition->track);
	return !partition->stopped;
}

void
partition_check_room(struct partition *partition)
{
	struct core *core = partition->core;

	if (!partition->stopped || !core_late(partition))
		return;
	if (partition_room(partition))
		core->config.io.resume(core->config.io_ctx, partition);
}
