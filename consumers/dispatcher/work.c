/*
 * A work and the list it is on.
 *
 * Every move leaves the old place first (work_leave), then takes the new one,
 * so that a work is on exactly one list at any time.  While it waits for
 * anything it also stands in core->timers, by when that ends at the latest.
 */

#include "work.h"

#include "base/arena.h"
#include "base/mem.h"
#include "gate.h"
#include "opens.h"
#include "partition.h"
#include "track/track.h"

/* A usual request fits in the first chunk. */
#define WORK_CHUNK_BYTES 3072
/* The largest request, the largest answer and some room. */
#define WORK_MAX_BYTES (8U << 20)
/* How soon to look again whether the log takes records. */
#define UNSENT_AGAIN_US 100000
/* What a held attempt came to is on the log so long after its call at most. */
#define HOLD_SLACK_US 10000000

struct work *
work_of_fair(struct synq_fair_item *item)
{
	return SYNQ_CONTAINER(item, struct work, fair);
}

struct work *
work_new(struct partition *partition, int64_t offset, struct synq_slice value)
{
	struct core *core = partition->core;
	struct synq_arena *arena =
	    synq_arena_new(WORK_CHUNK_BYTES, WORK_MAX_BYTES);
	struct work *work = synq_arena_alloc(arena, sizeof(*work));
	struct synq_slice id;

	work->arena = arena;
	if (synq_request_decode(
		synq_arena_slice(arena, value), &work->request) != 0) {
		synq_arena_free(&arena);
		return NULL;
	}
	work->core = core;
	work->partition = partition;
	work->source = (struct synq_source){ .topic = partition->topic,
		.partition = partition->number,
		.offset = offset };
	work->bytes = value.bytes + sizeof(*work);
	work->first_outcome = -1;
	work->state = WORK_STATES;
	id = synq_uuid_slice(&work->request.job_id);
	if (synq_map_get(core->jobs, id) == NULL)
		(void)synq_map_set(core->jobs, id, work);
	synq_list_push(&partition->works, &work->place);
	partition->bytes += work->bytes;
	core->bytes += work->bytes;
	return work;
}

/* Let ${work} no longer belong to its partition. */
static void
work_detach(struct work *work)
{
	const struct synq_slice id = synq_uuid_slice(&work->request.job_id);

	if (work->partition == NULL)
		return;
	if (synq_map_get(work->core->jobs, id) == work)
		(void)synq_map_remove(work->core->jobs, id);
	synq_list_remove(&work->partition->works, &work->place);
	work->partition->bytes -= work->bytes;
	work->core->bytes -= work->bytes;
	work->partition = NULL;
	synq_list_push(&work->core->orphans, &work->place);
}

void
work_destroy(struct work *work)
{
	struct synq_arena *arena = work->arena;

	work_leave(work, NULL);
	synq_list_remove(&work->core->orphans, &work->place);
	synq_arena_free(&work->call_arena);
	synq_arena_free(&arena);
}

void
work_free(struct work *work)
{
	work_leave(work, NULL);
	work_detach(work);
	work->dead = 1;
	if (work->unacked == 0)
		work_destroy(work);
}

int
work_acked(struct work *work)
{
	work->unacked--;
	work->core->unacked--;
	if (!work->dead || work->unacked > 0)
		return work->dead;
	work_destroy(work);
	return 1;
}

void
work_leave(struct work *work, const struct core_answer *answer)
{
	struct core *core = work->core;
	struct provider_gate *gate = work->gate;

	switch (work->state) {
	case WORK_QUEUED:
		synq_fair_remove(core->fair, &work->fair);
		break;
	case WORK_PARKED:
		if (gate != NULL)
			synq_list_remove(&gate->parked, &work->side);
		work->gate = NULL;
		gate = NULL;
		core->parked--;
		break;
	case WORK_CALLING:
		core->calling--;
		break;
	case WORK_WAITING:
		core->waiting--;
		break;
	case WORK_STARTING:
	case WORK_HELD:
	case WORK_ENDING:
	case WORK_STATES:
		break;
	}
	work->state = WORK_STATES;
	synq_heap_remove(&core->timers, &work->timer);
	if (synq_link_used(&work->side))
		synq_list_remove(&core->unsent, &work->side);
	if (work->taken)
		synq_fair_finish(core->fair, &work->fair);
	work->taken = 0;
	work->gate = NULL;
	if (gate != NULL)
		gate_leave(core, gate, answer);
}

void
work_move(struct work *work, enum work_state state)
{
	static const enum synq_track_state marks[WORK_STATES] = {
		[WORK_QUEUED] = SYNQ_TRACK_QUEUED,
		[WORK_PARKED] = SYNQ_TRACK_QUEUED,
		[WORK_STARTING] = SYNQ_TRACK_RUNNING,
		[WORK_CALLING] = SYNQ_TRACK_RUNNING,
		[WORK_WAITING] = SYNQ_TRACK_WAITING,
		[WORK_HELD] = SYNQ_TRACK_WAITING,
		[WORK_ENDING] = SYNQ_TRACK_RUNNING,
	};

	work->state = state;
	work->core->waiting += state == WORK_WAITING;
	if (work->partition != NULL)
		synq_track_mark(
		    work->partition->track, work->source.offset, marks[state]);
}

static enum synq_fair_class
work_class(const struct work *work)
{
	return work->request.priority == SYNQ_PRIORITY_BATCH
	           ? SYNQ_FAIR_BATCH
	           : SYNQ_FAIR_INTERACTIVE;
}

static void
work_wake_at(struct work *work, int64_t wall_at)
{
	synq_heap_push(&work->core->timers, &work->timer,
	    wall_at > 0 ? (uint64_t)wall_at : 0);
}

void
work_queue(struct work *work)
{
	work_leave(work, NULL);
	work_move(work, WORK_QUEUED);
	synq_fair_push(work->core->fair, &work->request.organization_id,
	    &work->fair, work_class(work), 1);
	work_wake_at(work, work->request.deadline_at);
}

void
work_requeue(struct work *work)
{
	work_leave(work, NULL);
	work_move(work, WORK_QUEUED);
	synq_fair_push_front(work->core->fair, &work->request.organization_id,
	    &work->fair, work_class(work), 1);
	work_wake_at(work, work->request.deadline_at);
}

void
work_wait(struct work *work, int64_t not_before_at)
{
	const int64_t deadline_at = work->request.deadline_at;

	work_leave(work, NULL);
	work_move(work, WORK_WAITING);
	work_wake_at(
	    work, not_before_at < deadline_at ? not_before_at : deadline_at);
}

void
work_stepped(struct work *work, int64_t step_us)
{
	const int64_t deadline_at = work->request.deadline_at;
	int64_t at = (int64_t)work->timer.key;

	/* A deadline is a time of the day, all else is a time from now. */
	if (work->state == WORK_WAITING || work->state == WORK_HELD)
		at += step_us;
	if (work->state == WORK_WAITING && at > deadline_at)
		at = deadline_at;
	work_wake_at(work, at);
}

void
work_hold(struct work *work)
{
	work_leave(work, NULL);
	work_move(work, WORK_HELD);
	work->core->counts.held++;
	work_wake_at(work, opens_deadline_at(work->opens) + HOLD_SLACK_US);
}

void
work_unhold(struct work *work)
{
	work->core->counts.repeated++;
	work->doubted = 1;
	if (work->cancelled)
		work_end(work, SYNQ_JOB_CANCELLED, NULL);
	else
		work_queue(work);
}

void
work_due(struct work *work)
{
	const struct core_config *config = &work->core->config;
	const int64_t now_at = config->io.now(config->io_ctx);

	if (synq_link_used(&work->side) && work->state == WORK_WAITING) {
		/* Its attempt.failed is still to be sent, before anything. */
		work_wake_at(work, now_at + UNSENT_AGAIN_US);
		return;
	}
	if (work->request.deadline_at <= now_at) {
		/* Its maker may have ended it a moment ago, and better. */
		work->doubted |= work->state == WORK_HELD;
		work_end(work, SYNQ_JOB_EXPIRED, NULL);
		return;
	}
	if (work->state == WORK_HELD)
		work_unhold(work);
	else
		work_requeue(work);
}

void
work_cancel(struct work *work, enum synq_cancel_reason reason)
{
	struct core *core = work->core;

	switch (work->state) {
	case WORK_HELD:
		/* Its end is its maker's to write: two could contradict. */
		if (reason != SYNQ_CANCEL_GONE)
			work->cancelled = 1;
		break;
	case WORK_QUEUED:
	case WORK_PARKED:
	case WORK_WAITING:
		work_end(work, SYNQ_JOB_CANCELLED, NULL);
		break;
	case WORK_STARTING:
		work->cancelled = 1;
		break;
	case WORK_CALLING:
		if (reason == SYNQ_CANCEL_GONE)
			break;
		core->config.io.abort(core->config.io_ctx, work);
		work_end(work, SYNQ_JOB_CANCELLED, NULL);
		break;
	case WORK_ENDING:
	case WORK_STATES:
		break;
	}
}

void
work_revoke(struct work *work, int lost)
{
	switch (work->state) {
	case WORK_WAITING:
		if (!synq_link_used(&work->side)) {
			work_free(work);
			break;
		}
		/* Its attempt.failed is not sent: the next owner needs it. */
		synq_heap_remove(&work->core->timers, &work->timer);
		work->lost = lost;
		work_detach(work);
		break;
	case WORK_STARTING:
	case WORK_CALLING:
	case WORK_ENDING:
		work->lost = lost;
		work_detach(work);
		break;
	case WORK_QUEUED:
	case WORK_PARKED:
	case WORK_HELD:
	case WORK_STATES:
		work_free(work);
		break;
	}
}
