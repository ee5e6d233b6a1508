/*
 * The core's clockwork.
 *
 * Happy path: core_request puts a work into the fair queue, core_pump pops it
 * and begins an attempt, core_started sends the call, core_answered ends the
 * work, core_ended marks its offset done.
 *
 * Failure modes: the log takes no record (the work waits on core->unsent until
 * core_room), a provider is closed (the work is parked at its gate), the
 * partition is revoked (a work under way becomes an orphan: its records are
 * still sent, nothing is committed), the partition is lost (nothing new is
 * sent out).
 */

#include "core.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "cancel.h"
#include "gate.h"
#include "life.h"
#include "partition.h"
#include "store/catalog.h"
#include "track/track.h"
#include "work.h"

/* One batch request for every eight interactive ones (design, topics). */
#define BATCH_EVERY 9

struct core *
core_new(const struct core_config *config)
{
	struct core *core = synq_mem_new(sizeof(*core));
	const struct synq_fair_config fair = {
		.quantum = 1,
		.tenant_in_flight = config->organization_in_flight,
		.batch_every = BATCH_EVERY,
	};

	core->config = *config;
	synq_list_init(&core->partitions);
	synq_list_init(&core->orphans);
	synq_list_init(&core->unsent);
	synq_heap_init(&core->timers);
	core->jobs = synq_map_new();
	ended_init(&core->ended, ENDED_KEPT);
	core->gates = synq_map_new();
	core->lives = synq_map_new();
	core->fair = synq_fair_new(&fair);
	synq_rand_init(&core->rand, config->seed);
	return core;
}

void
core_free(struct core **core)
{
	struct core *self = *core;
	struct synq_link *link;
	struct partition *partition;

	if (self == NULL)
		return;
	while ((link = synq_list_first(&self->partitions)) != NULL) {
		partition = SYNQ_CONTAINER(link, struct partition, link);
		partition_free(&partition, 1);
	}
	while ((link = synq_list_first(&self->orphans)) != NULL)
		work_destroy(SYNQ_CONTAINER(link, struct work, place));
	ended_done(&self->ended);
	gate_free_all(self);
	life_free_all(self);
	synq_fair_free(&self->fair);
	synq_heap_done(&self->timers);
	synq_map_free(&self->jobs);
	synq_map_free(&self->gates);
	synq_map_free(&self->lives);
	synq_catalog_free(&self->catalog);
	synq_mem_free(self);
	*core = NULL;
}

void
core_set_catalog(struct core *core, struct synq_catalog *catalog)
{
	synq_catalog_free(&core->catalog);
	core->catalog = catalog;
	core->catalog_at = core->config.io.now(core->config.io_ctx);
	core_pump(core);
}

void
core_drain(struct core *core)
{
	core->draining = 1;
}

int
core_idle(const struct core *core)
{
	return synq_fair_in_flight(core->fair) == 0 &&
	       synq_list_first(&core->unsent) == NULL && core->unacked == 0;
}

void
core_slept(struct core *core)
{
	struct synq_link *link;

	for (link = synq_list_first(&core->orphans); link != NULL;
	     link = synq_list_next(&core->orphans, link))
		SYNQ_CONTAINER(link, struct work, place)->lost = 1;
}

void
core_stepped(struct core *core, int64_t step_us)
{
	struct synq_heap before = core->timers;
	struct synq_heap_node *node;

	synq_heap_init(&core->timers);
	while ((node = synq_heap_first(&before)) != NULL) {
		synq_heap_remove(&before, node);
		work_stepped(SYNQ_CONTAINER(node, struct work, timer), step_us);
	}
	synq_heap_done(&before);
	gate_stepped(core, step_us);
}

void
core_pump(struct core *core)
{
	struct synq_fair_item *item;
	struct work *work;

	if (core->draining || core->catalog == NULL ||
	    synq_list_first(&core->unsent) != NULL)
		return;
	while (synq_fair_in_flight(core->fair) < core->config.max_in_flight) {
		item = synq_fair_pop(core->fair);
		if (item == NULL)
			return;
		work = work_of_fair(item);
		work->taken = 1;
		if (!work_begin(work))
			return;
	}
}

void
core_room(struct core *core)
{
	struct synq_link *link;
	struct work *work;

	while ((link = synq_list_first(&core->unsent)) != NULL) {
		work = SYNQ_CONTAINER(link, struct work, side);
		if (!work_resend(work))
			return;
	}
	core_pump(core);
}

int64_t
core_tick(struct core *core)
{
	const int64_t now_at = core->config.io.now(core->config.io_ctx);
	struct synq_heap_node *node;
	struct work *work;
	int64_t gate_at;

	while ((node = synq_heap_first(&core->timers)) != NULL &&
	       (int64_t)node->key <= now_at) {
		work = SYNQ_CONTAINER(node, struct work, timer);
		synq_heap_remove(&core->timers, node);
		work_due(work);
	}
	gate_at = gate_tick(core);
	core_pump(core);

	node = synq_heap_first(&core->timers);
	if (node == NULL)
		return gate_at;
	if (gate_at != 0 && gate_at < (int64_t)node->key)
		return gate_at;
	return (int64_t)node->key;
}

/*
 * What ${known} tells decides where a record that was just read goes.  Returns
 * 1 if it was used up, 0 if the work is to be queued as new.
 */
static int
core_resume_known(struct work *work, const struct known *known)
{
	work->attempt = known->attempt;
	work->failures = known->failures;
	work->first_outcome = known->first_outcome;
	if (known->opens.count == 0) {
		if (known->not_before_at == 0)
			return 0;
		work_wait(work, known->not_before_at);
		return 1;
	}
	work->opens = synq_arena_alloc(work->arena, sizeof(*work->opens));
	*work->opens = known->opens;
	if (opens_drop_dead(work->opens, work->core, NULL, 0) > 0)
		work->doubted = 1;
	if (work->opens->count == 0) {
		work->core->counts.repeated++;
		return 0;
	}
	work_hold(work);
	return 1;
}

/* The record is new: queue it, or go on where its results say it stands. */
static void
core_place(struct partition *partition, struct work *work)
{
	struct known *known = partition_known(partition, work->source.offset);
	enum synq_cancel_reason reason;
	int placed = 0;

	if (known != NULL) {
		placed = core_resume_known(work, known);
		partition_known_drop(partition, known);
	}
	if (!placed)
		work_queue(work);
	if (cancel_take(partition, &work->request, &reason))
		work_cancel(work, reason);
}

/*
 * 1 if the record of ${work} needs no work: it is done already, or the same job
 * is in hand or has ended from another record (a repeated produce).
 */
static int
core_skip(struct partition *partition, const struct work *work)
{
	struct core *core = partition->core;
	const struct synq_slice id = synq_uuid_slice(&work->request.job_id);
	struct known *known = partition_known(partition, work->source.offset);

	if (known != NULL &&
	    !synq_uuid_equal(&known->job_id,
		&work->request.job_id)) { /* of another life of this topic */
		partition_known_drop(partition, known);
		known = NULL;
	}
	if (known != NULL && known->ended) {
		core->counts.skipped_done++;
		ended_add(&partition->ended, &known->job_id);
		partition_known_drop(partition, known);
		return 1;
	}
	if (synq_map_get(core->jobs, id) != work ||
	    partition_has_ended(partition, &work->request.job_id)) {
		core->counts.skipped_duplicate++;
		if (known != NULL)
			partition_known_drop(partition, known);
		return 1;
	}
	return 0;
}

/* The tracker knows ${offset} as queued: make it a work, or be done with it. */
static void
core_take(struct partition *partition, int64_t offset, struct synq_slice value)
{
	struct core *core = partition->core;
	struct work *work = work_new(partition, offset, value);
	int64_t created_at;

	if (work == NULL) {
		core->counts.skipped_corrupt++;
		core->config.io.dead(
		    core->config.io_ctx, partition, offset, value);
		partition_done(partition, offset);
		return;
	}
	created_at = work->request.created_at;
	if (core_skip(partition, work)) {
		work_free(work);
		partition_done(partition, offset);
	} else {
		core_place(partition, work);
	}
	cancel_forget_old(partition, created_at);
}

int
core_late(struct partition *partition)
{
	const int64_t offset = partition->late_offset;
	int seen;

	if (offset < 0)
		return 1;
	seen = synq_track_seen(partition->track, offset);
	if (seen < 0)
		return 0;
	partition->late_offset = -1;
	if (seen > 0)
		core_take(partition, offset, synq_buf_view(&partition->late));
	synq_buf_done(&partition->late);
	return 1;
}

int
core_request(
    struct partition *partition, int64_t offset, struct synq_slice value)
{
	struct core *core = partition->core;
	const int seen = synq_track_seen(partition->track, offset);

	if (seen > 0) {
		core_take(partition, offset, value);
	} else if (seen == 0) {
		core->counts.skipped_done++;
	} else { /* behind a gap too wide for the map: keep it, read no on */
		(void)synq_buf_slice(&partition->late, value);
		partition->late_offset = offset;
		partition->stopped = 1;
		return 1;
	}
	core_pump(core);
	return !partition_room(partition);
}
