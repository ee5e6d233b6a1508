/*
 * A partition's way to active and back, as consumers/dispatcher/assign.c and
 * libsynq/kafka have it: what is committed, the first young result, the age of
 * the first open request, results and cancels to their end, requests; and a
 * hand-over that waits for the commit of the newest claim, at most a second.
 */

#include <string.h>

#include "tests/sim/sim.h"
#include "track/track.h"

#define SKEW_US (60 * SECOND)
#define REVOKE_US SECOND
#define MEMBERS_US (300 * MS)

static void assign_serve_stream(struct part *part, struct stream *stream);

struct part *
assign_part_of(struct node *node, const struct partition *partition)
{
	return &node->parts[2 * partition->number +
			    (partition->topic == SYNQ_SOURCE_BATCH)];
}

/* ---- requests ----------------------------------------------------------- */

static void
assign_deliver(struct sim *sim, struct event *event)
{
	struct part *part = event->object;
	struct node *node = part->node;
	int64_t left = sim_range(sim, 1, 64);

	if (part->epoch != event->epoch)
		return;
	part->serving = 0;
	while (left-- > 0 && part->state == PART_STARTED && !part->full &&
	       part->index < part->tape->count) {
		const struct entry *entry = &part->tape->entries[part->index++];

		part->full =
		    core_request(part->partition, entry->offset, entry->value);
		node_wake(node);
	}
	assign_serve_part(part);
}

void
assign_serve_part(struct part *part)
{
	struct sim *sim = part->node->sim;
	struct event *event;

	if (part->serving || part->full || part->state != PART_STARTED ||
	    part->index >= part->tape->count)
		return;
	part->serving = 1;
	event = event_net(sim, sim->now + sim_range(sim, 50, 5 * MS),
	    assign_deliver, part->node);
	event->object = part;
	event->epoch = part->epoch;
}

void
assign_resume(void *ctx, struct partition *partition)
{
	struct part *part = assign_part_of(ctx, partition);

	part->full = 0;
	assign_serve_part(part);
}

/* ---- readers ------------------------------------------------------------ */

static void
assign_settle(struct part *part)
{
	struct node *node = part->node;
	const int64_t start = partition_start_at(part->partition);

	if (!part->results_done || !part->cancels_done)
		return;
	partition_settle(part->partition);
	part->state = PART_STARTED;
	part->index = tape_at_offset(part->tape, start < 0 ? 0 : start);
	sim_trace(node->sim, "%s: source %d is active from %lld", node->name,
	    part->source, (long long)start);
	assign_serve_part(part);
	assign_check_held(node);
}

static void
assign_on_result(struct part *part, const struct entry *entry)
{
	struct synq_outcome outcome;

	if (synq_outcome_decode(entry->value, &outcome) != 0)
		return;
	partition_outcome(part->partition, entry->offset, &outcome);
	core_pump(part->node->core);
	partition_check_room(part->partition);
}

static void
assign_on_cancel(struct part *part, const struct entry *entry)
{
	struct synq_cancel cancel;

	if (synq_cancel_decode(entry->value, &cancel) == 0)
		(void)core_cancel(part->partition, &cancel);
}

static void
assign_caught_up(struct part *part, struct stream *stream)
{
	stream->caught_up = 1;
	if (stream == &part->results)
		part->results_done = 1;
	else
		part->cancels_done = 1;
	assign_settle(part);
}

static void
assign_read(struct sim *sim, struct event *event)
{
	struct part *part = event->object;
	struct stream *stream =
	    event->number == 0 ? &part->results : &part->cancels;
	int64_t left = sim_range(sim, 1, 64);

	if (!stream->open || stream->epoch != event->epoch)
		return;
	stream->serving = 0;
	while (
	    stream->open && left-- > 0 && stream->index < stream->tape->count) {
		const struct entry *entry =
		    &stream->tape->entries[stream->index++];

		if (stream == &part->results)
			assign_on_result(part, entry);
		else
			assign_on_cancel(part, entry);
	}
	if (stream->open && !stream->caught_up &&
	    (stream->index >= stream->tape->count ||
		stream->tape->entries[stream->index].offset >= stream->end))
		assign_caught_up(part, stream);
	assign_serve_stream(part, stream);
}

static void
assign_serve_stream(struct part *part, struct stream *stream)
{
	struct sim *sim = part->node->sim;
	struct event *event;

	if (!stream->open || !stream->ready || stream->serving ||
	    (stream->caught_up && stream->index >= stream->tape->count))
		return;
	stream->serving = 1;
	event = event_net(sim,
	    sim->now +
		sim_range(sim, 50, sim_chance(sim, 10) ? 200 * MS : 5 * MS),
	    assign_read, part->node);
	event->object = part;
	event->number = stream == &part->cancels;
	event->epoch = stream->epoch;
}

static void
assign_looked_up(struct sim *sim, struct event *event)
{
	struct part *part = event->object;
	struct stream *stream =
	    event->number == 0 ? &part->results : &part->cancels;
	int64_t from;

	if (!stream->open || stream->epoch != event->epoch)
		return;
	from = partition_reconcile_from(part->partition);
	stream->ready = 1;
	stream->end = stream->tape->end;
	if (event->number == 0 && from >= 0)
		stream->index = tape_at_offset(stream->tape, from);
	else
		stream->index =
		    tape_at_time(stream->tape, part->oldest_at - SKEW_US);
	if (sim->wrong == WRONG_NO_RESULTS && event->number == 0)
		stream->index = stream->tape->count;
	if (sim->wrong == WRONG_NO_CANCELS && event->number == 1)
		stream->index = stream->tape->count;
	assign_serve_stream(part, stream);
}

static void
assign_open(struct part *part, struct stream *stream, struct tape *tape)
{
	struct sim *sim = part->node->sim;
	struct event *event;
	const uint32_t epoch = stream->epoch + 1;

	*stream = (struct stream){ .tape = tape, .open = 1, .epoch = epoch };
	event = event_net(sim, sim->now + sim_range(sim, MS, 50 * MS),
	    assign_looked_up, part->node);
	event->object = part;
	event->number = stream == &part->cancels;
	event->epoch = epoch;
}

static void
assign_peek(struct sim *sim, struct event *event)
{
	struct part *part = event->object;
	const int number = part->source / 2;
	size_t i;

	if (part->epoch != event->epoch)
		return;
	i = tape_at_offset(part->tape, event->number < 0 ? 0 : event->number);
	if (i < part->tape->count) {
		part->oldest_at = part->tape->entries[i].time_us;
	} else {
		part->oldest_at = sim->now;
		partition_idle_until(part->partition, part->young);
	}
	part->results_done = part->cancels_done = 0;
	assign_open(part, &part->results, &sim->results[number]);
	assign_open(part, &part->cancels, &sim->cancels[number]);
}

/* Before the peek: what is younger may be of a request that the peek does not
 * see, or that is written again. */
static void
assign_mark(struct sim *sim, struct event *event)
{
	struct part *part = event->object;
	struct tape *results = &sim->results[part->source / 2];
	struct event *peek;
	size_t i;

	if (part->epoch != event->epoch)
		return;
	i = tape_at_time(results,
	    sim->now - (int64_t)part->node->core->config.rewrite_limit_us);
	if (sim->wrong == WRONG_MARK_END)
		i = results->count;
	part->young =
	    i < results->count ? results->entries[i].offset : results->end;
	peek = event_net(sim, sim->now + sim_range(sim, MS, 30 * MS),
	    assign_peek, part->node);
	peek->object = part;
	peek->epoch = part->epoch;
	peek->number = event->number;
}

/* ---- assigned and revoked ----------------------------------------------- */

static void
assign_on_committed(struct sim *sim, struct event *event)
{
	struct part *part = event->object;
	const struct committed *committed = &sim->group.committed[part->source];
	size_t chars = committed->chars;
	struct event *mark;
	int rc;

	if (part->epoch != event->epoch)
		return;
	/* Now and then somebody else's commit, which we cannot read. */
	if (chars > 0 && sim_chance(sim, 2))
		chars--;
	rc = partition_restore(part->partition, committed->offset,
	    synq_slice_of(committed->text, chars), part->tape->end);
	if (rc != 0 && sim->wrong == WRONG_DECODE_DONE) {
		synq_track_free(&part->partition->track);
		part->partition->track = synq_track_new(part->tape->end);
	}
	sim_trace(sim, "%s: source %d restored at %lld rc %d", part->node->name,
	    part->source, (long long)committed->offset, rc);
	mark = event_net(sim, sim->now + sim_range(sim, MS, 30 * MS),
	    assign_mark, part->node);
	mark->object = part;
	mark->epoch = part->epoch;
	mark->number = committed->offset;
}

void
assign_on_assign(struct part *part)
{
	struct node *node = part->node;
	struct sim *sim = node->sim;
	struct event *event;

	part->partition = partition_new(node->core,
	    part->source % 2 == 0 ? SYNQ_SOURCE_INTERACTIVE : SYNQ_SOURCE_BATCH,
	    part->source / 2);
	part->state = PART_ASSIGNED;
	part->epoch++;
	part->full = part->serving = 0;
	part->newest = part->sent = part->stored = 0;
	event = event_net(sim, sim->now + sim_range(sim, MS, 30 * MS),
	    assign_on_committed, node);
	event->object = part;
	event->epoch = part->epoch;
}

static void
assign_revoked(struct sim *sim, struct event *event)
{
	struct part *part = event->object;

	if (part->state != PART_REVOKING || part->epoch != event->epoch)
		return;
	if (part->stored < part->newest && sim->now < part->revoke_until) {
		struct event *again = event_at(
		    sim, sim->now + 10 * MS, assign_revoked, part->node);

		again->object = part;
		again->epoch = part->epoch;
		return;
	}
	part->state = PART_NONE;
	if (!part->node->leaving)
		group_released(part->node, part->source);
}

void
assign_on_revoke(struct part *part, int lost)
{
	struct node *node = part->node;
	struct sim *sim = node->sim;
	struct event *event;

	sim_trace(sim, "%s: source %d %s", node->name, part->source,
	    lost ? "lost" : "revoked");
	part->results.open = part->cancels.open = 0;
	part->epoch++;
	if (part->partition != NULL)
		partition_free(
		    &part->partition, lost && sim->wrong != WRONG_LOST_PLAIN);
	if (lost) {
		part->state = PART_NONE;
		return;
	}
	part->state = PART_REVOKING;
	part->revoke_until = sim->now + REVOKE_US;
	event = event_at(sim, sim->now, assign_revoked, node);
	event->object = part;
	event->epoch = part->epoch;
}

/* ---- who lives ---------------------------------------------------------- */

static void
assign_on_members(struct sim *sim, struct event *event)
{
	struct node *node = event->node;
	const char *names[NODES_MAX + 1];
	size_t count = 0;

	node->members_asked = 0;
	for (int i = 0; i < sim->traits.node_count; i++)
		if (sim->group.members[i].in)
			names[count++] = sim->nodes[i].name;
	if (sim->wrong == WRONG_HELD_DEAD)
		count = 0;
	core_members(node->core, SYNQ_SOURCE_INTERACTIVE, names, count);
	core_members(node->core, SYNQ_SOURCE_BATCH, names, count);
	check_held(node);
	node_wake(node);
}

static void
assign_members_timer(struct sim *sim, struct event *event)
{
	(void)sim;
	event->node->members_at = 0;
	assign_check_held(event->node);
}

void
assign_check_held(struct node *node)
{
	struct sim *sim = node->sim;
	size_t held = 0;

	for (int s = 0; s < SOURCES_MAX; s++) {
		struct part *part = &node->parts[s];

		if (part->partition == NULL || !part->partition->active ||
		    !part->results.open)
			continue;
		if (partition_held(part->partition) == 0 ||
		    sim->wrong == WRONG_ONE_LOOK)
			part->results.open = 0;
		else
			held++;
	}
	if (held == 0)
		return;
	if (node->members_at == 0) {
		node->members_at = sim->now + MEMBERS_US;
		event_at(sim, node->members_at, assign_members_timer, node);
	}
	if (node->members_asked)
		return;
	node->members_asked = 1;
	event_net(sim, sim->now + sim_range(sim, MS, 20 * MS),
	    assign_on_members, node);
}

/* ---- control ------------------------------------------------------------ */

static void assign_serve_control(struct node *node);

static void
assign_read_control(struct sim *sim, struct event *event)
{
	struct node *node = event->node;
	struct stream *stream = &node->control;
	struct maker maker;

	stream->serving = 0;
	while (stream->index < stream->tape->count) {
		memcpy(&maker,
		    stream->tape->entries[stream->index++].value.data,
		    sizeof(maker));
		sim_trace(sim, "%s: hears of %s, life %d", node->name,
		    maker.instance, maker.boot_id.bytes[1]);
		if (sim->wrong != WRONG_NO_LIVES)
			core_life(node->core, &maker);
	}
	if (!stream->caught_up) {
		stream->caught_up = 1;
		node_load_catalog(node);
	}
}

static void
assign_serve_control(struct node *node)
{
	struct sim *sim = node->sim;

	if (!node->control.open || node->control.serving)
		return;
	node->control.serving = 1;
	event_net(sim, sim->now + sim_range(sim, MS, 100 * MS),
	    assign_read_control, node);
}

void
assign_follow_control(struct node *node)
{
	node->control =
	    (struct stream){ .tape = &node->sim->control, .open = 1 };
	assign_serve_control(node);
}

void
assign_tape_grew(struct sim *sim, const struct tape *tape)
{
	for (int i = 0; i < sim->traits.node_count; i++) {
		struct node *node = &sim->nodes[i];

		if (node->core == NULL)
			continue;
		if (tape == &sim->control)
			assign_serve_control(node);
		for (int s = 0; s < 2 * sim->traits.part_count; s++) {
			struct part *part = &node->parts[s];

			if (part->tape == tape)
				assign_serve_part(part);
			if (part->results.open && part->results.tape == tape)
				assign_serve_stream(part, &part->results);
			if (part->cancels.open && part->cancels.tape == tape)
				assign_serve_stream(part, &part->cancels);
		}
	}
}
