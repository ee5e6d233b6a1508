/*
 * The producer of a dispatcher, a lane per partition.
 *
 * Happy path: sent → written at the end of the tape → acknowledged.
 *
 * What goes wrong: an acknowledgement is late (in order within its lane, in
 * any order between lanes); it fails and the record is not there, or is there
 * all the same; a record is overtaken by those behind it; the producer is
 * rebuilt and writes again what was written; the process dies and only what
 * was on the wire still arrives.
 */

#include <string.h>

#include "tests/sim/sim.h"

#include "proto/attempt.h"

#define MAX_RECORD_BYTES (2U << 20)
#define ANNOUNCE_AGAIN_US 200000
#define WIRE_US (200 * MS)

static void lane_write(struct sim *sim, struct event *event);

static int64_t
lane_latency(struct sim *sim)
{
	int64_t us = sim_range(sim, 100, 2 * sim->traits.ack_us);

	if (sim_chance(sim, 2))
		us *= 20;
	if (sim->slow_until > sim->now)
		us += sim_range(sim, 0, 3 * SECOND);
	return us;
}

static void
lane_init(struct lane *lane, struct tape *tape, int number)
{
	if (lane->tape != NULL)
		return;
	lane->tape = tape;
	lane->number = number;
	lane->acked = -1;
	synq_list_init(&lane->sends);
}

/* Plan the writing of ${send}, behind what was sent before it. */
static void
lane_plan(struct send *send)
{
	struct node *node = send->node;
	struct sim *sim = node->sim;
	struct lane *lane = send->lane;
	int64_t at = sim->now + lane_latency(sim);
	struct event *event;

	if (send->late) {
		at += sim_range(sim, 100 * MS, 2 * SECOND);
	} else {
		if (at <= lane->write_at)
			at = lane->write_at + 1;
		lane->write_at = at;
	}
	event = event_at(sim, at, lane_write, NULL);
	event->object = send;
	event->epoch = send->round;
}

/* The record that stands before ${send} on its lane is not written yet. */
static int
lane_must_wait(const struct send *send)
{
	const struct synq_link *link = &send->link;
	const struct send *before;

	if (send->gone || send->late || !synq_link_used(&send->link))
		return 0;
	for (link = link->prev; link != &send->lane->sends.head;
	     link = link->prev) {
		before = (const struct send *)(const void *)link;
		if (!before->written && !before->late && before->rc == 0)
			return 1;
	}
	return 0;
}

/* All that are answered leave the front of ${lane}. */
static void
lane_advance(struct lane *lane)
{
	struct synq_link *link;
	struct send *send;

	while ((link = synq_list_first(&lane->sends)) != NULL) {
		send = SYNQ_CONTAINER(link, struct send, link);
		if (!send->done)
			return;
		if (send->rc == 0 && send->offset > lane->acked)
			lane->acked = send->offset;
		synq_list_remove(&lane->sends, link);
	}
}

/* Tell the core of the fate of ${send}. */
static void
lane_tell(struct send *send)
{
	struct node *node = send->node;
	const int64_t offset = send->rc == 0 ? send->offset : -1;

	send->done = 1;
	lane_advance(send->lane);
	if (send->work == NULL) {
		if (send->rc != 0)
			lane_announce(node);
		else
			group_join(node);
	} else if (send->kind == SYNQ_OUTCOME_STARTED) {
		core_started(send->work, send->rc, offset);
	} else if (send->kind == SYNQ_OUTCOME_FAILED) {
		core_failed(send->work, send->rc, offset);
	} else {
		core_ended(send->work, send->rc, offset);
	}
}

/* The call that ${send} ends is on record, as its maker knows. */
static void
lane_close_call(struct send *send)
{
	struct synq_link *link;
	struct call *call;

	if (send->job == NULL || send->kind == SYNQ_OUTCOME_STARTED)
		return;
	for (link = synq_list_first(&send->job->calls); link != NULL;
	     link = synq_list_next(&send->job->calls, link)) {
		call = SYNQ_CONTAINER(link, struct call, link);
		if (!synq_uuid_equal(&call->attempt_id, &send->attempt_id))
			continue;
		if (send->rc == 0)
			call->over = 1;
		else if (send->kind == SYNQ_OUTCOME_FAILED)
			call->excused = 1; /* it may never be told again */
	}
}

static void
lane_ack(struct sim *sim, struct event *event)
{
	struct send *send = event->object;

	if (send->done || send->gone || send->round != event->epoch)
		return;
	sim_trace(sim, "%s: acknowledged kind %d job %d at %lld rc %d",
	    send->node->name, (int)send->kind,
	    send->job == NULL ? -1 : send->job->number, (long long)send->offset,
	    send->rc);
	lane_close_call(send);
	lane_tell(send);
}

static void
lane_plan_ack(struct send *send)
{
	struct node *node = send->node;
	struct sim *sim = node->sim;
	struct lane *lane = send->lane;
	int64_t at = sim->now + lane_latency(sim);
	struct event *event;

	if (send->gone)
		return;
	if (at <= lane->ack_at)
		at = lane->ack_at + 1;
	lane->ack_at = at;
	event = event_net(sim, at, lane_ack, node);
	event->object = send;
	event->epoch = send->round;
}

/* Put ${send} onto its tape. */
static void
lane_append(struct sim *sim, struct send *send)
{
	struct entry *entry;
	struct synq_outcome outcome;

	entry = tape_append(sim, send->tape, send->value, sim->now);
	send->written = 1;
	send->offset = entry->offset;
	entry->job = send->job;
	entry->kind = send->kind;
	entry->attempt_id = send->attempt_id;
	if (send->job == NULL)
		return;
	entry->foreign = send->gone || sim->group.owner[send->job->source] !=
	                                   send->node->index;
	if (synq_outcome_decode(entry->value, &outcome) != 0)
		check_fail(sim, "an outcome does not decode");
	else
		check_result(sim, entry, &outcome);
}

/* When ${send}, whose time has come, can be written; 0 = now, -1 = never. */
static int64_t
lane_hindrance(const struct sim *sim, const struct send *send)
{
	const struct node *node = send->node;

	if (send->gone && !send->wire)
		return -1;
	if (sim->down_until > sim->now)
		return sim->down_until;
	if (send->gone)
		return 0;
	if (node->cut_until > sim->now)
		return node->cut_until;
	if (node->paused && !send->wire)
		return node->resume_at;
	return lane_must_wait(send) ? sim->now + MS : 0;
}

static void
lane_write(struct sim *sim, struct event *event)
{
	struct send *send = event->object;
	int64_t at;

	if (send->round != event->epoch || (send->done && !send->gone))
		return;
	at = lane_hindrance(sim, send);
	if (at < 0)
		return;
	if (at > 0) {
		synq_heap_push(&sim->events, &event->due,
		    (uint64_t)at + 1 + sim->put_off++);
		return;
	}
	/* UNAVAILABLE: it is not there; UNCERTAIN: it is. */
	if (send->rc != -SYNQ_E_UNAVAILABLE)
		lane_append(sim, send);
	lane_plan_ack(send);
}

static struct send *
lane_push(struct node *node, struct lane *lane, struct synq_slice value)
{
	struct sim *sim = node->sim;
	struct send *send = synq_arena_alloc(sim->arena, sizeof(*send));

	send->node = node;
	send->life = node->life;
	send->lane = lane;
	send->tape = lane->tape;
	send->value = synq_arena_slice(sim->arena, value);
	send->wire = sim_chance(sim, 60);
	synq_list_push(&lane->sends, &send->link);
	return send;
}

/* What will become of ${send}. */
static void
lane_draw_fate(struct sim *sim, struct send *send)
{
	const int fault = (int)synq_rand_below(&sim->rand, 1000);

	if (sim->settling || fault >= sim->traits.ack_faults)
		return;
	switch (fault % 3) {
	case 0:
		send->rc = -SYNQ_E_UNAVAILABLE;
		break;
	case 1:
		send->rc = -SYNQ_E_UNCERTAIN;
		break;
	default:
		send->late = 1;
		break;
	}
}

static void
lane_started_at_once(struct sim *sim, struct event *event)
{
	struct send *send = event->object;

	(void)sim;
	if (send->done)
		return;
	send->done = 1;
	core_started(send->work, 0, -1);
}

int
lane_send(void *ctx, struct work *work, const struct synq_outcome *outcome)
{
	struct node *node = ctx;
	struct sim *sim = node->sim;
	struct lane *lane = &node->lanes[work->source.partition];
	struct synq_buf value;
	struct send *send;

	if (node->closing)
		return -SYNQ_E_UNAVAILABLE;
	if (node->full_until > sim->now)
		return -SYNQ_E_BUSY;
	synq_buf_init(&value, MAX_RECORD_BYTES);
	synq_outcome_encode(outcome, &value);
	if (value.overflow) {
		synq_buf_done(&value);
		return -SYNQ_E_TOO_LARGE;
	}
	lane_init(lane, &sim->results[work->source.partition],
	    work->source.partition);
	send = lane_push(node, lane, synq_buf_view(&value));
	synq_buf_done(&value);
	send->work = work;
	send->kind = outcome->kind;
	send->job = intake_job(sim, &outcome->job_id);
	send->attempt_id = outcome->attempt_id;
	lane_draw_fate(sim, send);
	lane_plan(send);
	if (sim->wrong == WRONG_EARLY_CALL &&
	    send->kind == SYNQ_OUTCOME_STARTED)
		event_at(sim, sim->now, lane_started_at_once, node)->object =
		    send;
	if (sim->wrong == WRONG_EARLY_DONE &&
	    send->kind == SYNQ_OUTCOME_RESULT && work->partition != NULL)
		partition_done(work->partition, work->source.offset);
	return 0;
}

void
lane_announce(struct node *node)
{
	struct sim *sim = node->sim;
	struct maker maker = { .boot_id = node->boot_id };
	struct send *send;

	lane_init(&node->control_lane, &sim->control, 0);
	/* The rest stays zero: the whole struct is what is compared. */
	_Static_assert(sizeof(node->name) < sizeof(maker.instance), "it fits");
	memcpy(maker.instance, node->name, strlen(node->name));
	send = lane_push(
	    node, &node->control_lane, synq_slice_of(&maker, sizeof(maker)));
	lane_plan(send);
}

int64_t
lane_acked(void *ctx, int32_t number)
{
	struct node *node = ctx;
	struct lane *lane = &node->lanes[number];

	if (node->sim->wrong == WRONG_ACKED_AHEAD)
		return node->sim->results[number].end - 1;
	return lane->tape == NULL ? -1 : lane->acked;
}

static void
lane_drop(struct lane *lane, int64_t ghosts_us)
{
	struct synq_link *link;
	struct send *send;
	struct event *event;
	int wire = 1;

	while (lane->tape != NULL &&
	       (link = synq_list_shift(&lane->sends)) != NULL) {
		send = SYNQ_CONTAINER(link, struct send, link);
		send->gone = 1;
		wire = wire && sim_chance(send->node->sim, 60);
		send->wire = wire;
		if (send->written || !wire)
			continue;
		/* In order, however late each was to be. */
		send->round++;
		event = event_at(send->node->sim,
		    send->node->sim->now + ghosts_us +
			sim_range(send->node->sim, 0, WIRE_US),
		    lane_write, NULL);
		event->object = send;
		event->epoch = send->round;
	}
	lane->tape = NULL;
	lane->write_at = lane->ack_at = 0;
}

void
lane_drop_all(struct node *node, int64_t ghosts_us)
{
	for (int i = 0; i < PARTS_MAX; i++)
		lane_drop(&node->lanes[i], ghosts_us);
	lane_drop(&node->control_lane, 0);
}

void
lane_rebuild(struct node *node)
{
	struct synq_link *link;
	struct synq_link *after;
	struct send *send;

	sim_trace(node->sim, "%s: the producer is rebuilt", node->name);
	for (int i = 0; i < PARTS_MAX; i++) {
		struct lane *lane = &node->lanes[i];

		if (lane->tape == NULL)
			continue;
		lane->write_at =
		    node->sim->now + sim_range(node->sim, 10 * MS, 3 * SECOND);
		synq_list_foreach (&lane->sends, link, after) {
			send = SYNQ_CONTAINER(link, struct send, link);
			if (send->done)
				continue;
			send->round++;
			send->late = 0;
			send->rc = 0;
			send->written = 0;
			lane_plan(send);
		}
	}
}

void
lane_end(struct node *node)
{
	struct synq_link *link;
	struct send *send;

	for (int i = 0; i < PARTS_MAX; i++) {
		struct lane *lane = &node->lanes[i];

		while (lane->tape != NULL &&
		       (link = synq_list_first(&lane->sends)) != NULL) {
			send = SYNQ_CONTAINER(link, struct send, link);
			if (!send->done) {
				send->rc = -SYNQ_E_UNCERTAIN;
				send->gone = 1;
				lane_tell(send);
			}
		}
	}
}
