/*
 * Assignment of a partition.
 *
 * Happy path:
 *	on_assign → ask the group what is committed → find how far the log
 *	still holds that and, at once, mark the first young result, then peek at
 *	the first open request for its age → read results from the map's
 *	results_offset, or from the mark if nothing is open, and cancels from
 *	that age, both to their end → read requests.
 *
 * Failure modes: a map that does not decode (logged; results and the log
 * decide), nothing committed (an alarm; from the first record kept), a log that
 * lost what was committed (an alarm; from there), revoked at any step
 * (everything of the assignment is dropped).
 */

#include "assign.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher.h"
#include "figures.h"
#include "kafka/reader.h"
#include "loop/loop.h"
#include "partition.h"
#include "service/service.h"

/* Clocks may differ; a cancel or a result may bear an earlier time. */
#define CLOCK_SKEW_US (60LL * 1000000)

/*
 * Once a log was cut, requests that were sent so long before the last one was
 * read are taken in again: an intake may have sent them anew and they keep
 * their time.  Longer than a client waits for its 202.
 */
#define SENT_BEFORE_US (130LL * 1000000)

/* How often a partition that forgets cancels says so. */
#define FORGOTTEN_EVERY_US (10ULL * 1000000)

/* The way of one partition from assigned to active; partition->io. */
struct assignment {
	struct dispatcher *dispatcher;
	struct partition *partition;
	int64_t committed; /* by the group; -1 = nothing */
	char *metadata;    /* of that commit; metadata_bytes long */
	size_t metadata_bytes;
	struct synq_reader_stream *cut;
	int cut_is_sure; /* it is, and looked for once more */
	int is_cut;      /* the log lost what was read */
	struct synq_reader_stream *mark;
	int64_t young; /* offset of the first young result, before the peek */
	struct synq_reader_stream *peek;
	int is_idle; /* the peek found no open request */
	struct synq_reader_stream *results;
	struct synq_reader_stream *cancels;
	struct figures_track *track;
	int64_t oldest_at; /* time of the first open request; -1 = unknown */
	int results_done;
	int cancels_done;
	int64_t forgotten;     /* cancels, since that was last said */
	uint64_t forgotten_at; /* when it was; monotonic us, 0 = never */
};

const char *
assign_topic(const struct partition *partition)
{
	return synq_source_name(partition->topic);
}

struct figures_track *
assign_track(const struct partition *partition)
{
	const struct assignment *assignment = partition->io;

	return assignment->track;
}

static struct partition *
assign_find(const struct source *source, int32_t number)
{
	const struct core *core = source->dispatcher->core;
	struct synq_link *link;
	struct partition *partition;

	for (link = synq_list_first(&core->partitions); link != NULL;
	     link = synq_list_next(&core->partitions, link)) {
		partition = SYNQ_CONTAINER(link, struct partition, link);
		if (partition->topic == source->topic &&
		    partition->number == number)
			return partition;
	}
	return NULL;
}

static void
assign_log(enum synq_log_level level, const char *event,
    const struct partition *partition, int64_t offset)
{
	synq_log(level, event, SYNQ_F_TEXT("topic", assign_topic(partition)),
	    SYNQ_F_INT("partition", partition->number),
	    SYNQ_F_INT("offset", offset), SYNQ_F_END);
}

/* Results and cancels are read to their end: now requests may be. */
static void
assign_settle(struct assignment *assignment)
{
	struct partition *partition = assignment->partition;
	struct dispatcher *dispatcher = assignment->dispatcher;

	if (!assignment->results_done || !assignment->cancels_done)
		return;
	partition_settle(partition);
	assign_log(SYNQ_LOG_INFO, "partition.active", partition,
	    partition_start_at(partition));
	synq_consumer_start(dispatcher_consumer(dispatcher, partition),
	    assign_topic(partition), partition->number,
	    partition_start_at(partition));
	assign_check_held(dispatcher);
}

static void
assign_on_result(void *ctx, const struct synq_kafka_message *message)
{
	struct assignment *assignment = ctx;
	struct synq_outcome outcome;

	if (synq_outcome_decode(message->value, &outcome) != 0) {
		assign_log(SYNQ_LOG_ERROR, "result.corrupt",
		    assignment->partition, message->offset);
		return;
	}
	partition_outcome(assignment->partition, message->offset, &outcome);
	core_pump(assignment->dispatcher->core);
	partition_check_room(assignment->partition);
}

static void
assign_results_found(void *ctx, int64_t offset)
{
	struct assignment *assignment = ctx;

	partition_results_found(assignment->partition, offset);
}

static void
assign_results_end(void *ctx)
{
	struct assignment *assignment = ctx;

	assignment->results_done = 1;
	assign_settle(assignment);
}

/*
 * A cancel whose request is not read yet was forgotten for a newer one: its job
 * will run, though its client was told otherwise.
 */
static void
assign_forgotten(struct assignment *assignment)
{
	const uint64_t now_us = synq_loop_now_us(assignment->dispatcher->loop);

	assignment->forgotten++;
	if (assignment->forgotten_at != 0 &&
	    now_us - assignment->forgotten_at < FORGOTTEN_EVERY_US)
		return;
	synq_log(SYNQ_LOG_WARN, "cancel.forgotten",
	    SYNQ_F_TEXT("topic", assign_topic(assignment->partition)),
	    SYNQ_F_INT("partition", assignment->partition->number),
	    SYNQ_F_INT("count", assignment->forgotten), SYNQ_F_END);
	assignment->forgotten = 0;
	assignment->forgotten_at = now_us;
}

static void
assign_on_cancel(void *ctx, const struct synq_kafka_message *message)
{
	struct assignment *assignment = ctx;
	struct synq_cancel cancel;

	if (synq_cancel_decode(message->value, &cancel) != 0)
		assign_log(SYNQ_LOG_ERROR, "cancel.corrupt",
		    assignment->partition, message->offset);
	else if (core_cancel(assignment->partition, &cancel))
		assign_forgotten(assignment);
}

static void
assign_cancels_end(void *ctx)
{
	struct assignment *assignment = ctx;

	assignment->cancels_done = 1;
	assign_settle(assignment);
}

/* The age of the oldest open request is known: read what happened since. */
static void
assign_reconcile(struct assignment *assignment)
{
	struct partition *partition = assignment->partition;
	struct dispatcher *dispatcher = assignment->dispatcher;
	const int64_t from = partition_reconcile_from(partition);
	const struct synq_reader_request results = {
		.topic = SYNQ_TOPIC_RESULTS,
		.partition = partition->number,
		.from = from < 0 ? SYNQ_READ_TIME : SYNQ_READ_OFFSET,
		.at = from < 0 ? assignment->oldest_at - CLOCK_SKEW_US : from,
		.events = { .on_message = assign_on_result,
		    .on_caught_up = assign_results_end,
		    .on_found = assign_results_found },
		.ctx = assignment,
	};
	const struct synq_reader_request cancels = {
		.topic = SYNQ_TOPIC_CANCELS,
		.partition = partition->number,
		.from = SYNQ_READ_TIME,
		.at = assignment->oldest_at - CLOCK_SKEW_US,
		.events = { .on_message = assign_on_cancel,
		    .on_caught_up = assign_cancels_end },
		.ctx = assignment,
	};

	assignment->results = synq_reader_open(dispatcher->reader, &results);
	assignment->cancels = synq_reader_open(dispatcher->reader, &cancels);
}

/*
 * Where the log stands and how old the first open request is, are known.  Where
 * none is open, and none can come back because the log was cut, only young
 * results matter: a partition may have rested for days.
 */
static void
assign_know(struct assignment *assignment)
{
	struct partition *partition = assignment->partition;

	if (partition->track == NULL || assignment->oldest_at < 0)
		return;
	if (assignment->is_idle && !assignment->is_cut)
		partition_idle_until(partition, assignment->young);
	assign_reconcile(assignment);
}

static void
assign_peeked(struct assignment *assignment, int64_t oldest_at)
{
	if (assignment->peek == NULL)
		return;
	synq_reader_close(&assignment->peek);
	assignment->oldest_at = oldest_at < 0 ? 0 : oldest_at;
	assign_know(assignment);
}

static void
assign_on_peek(void *ctx, const struct synq_kafka_message *message)
{
	assign_peeked(ctx, message->time_us);
}

static void
assign_peek_end(void *ctx)
{
	struct assignment *assignment = ctx;

	assignment->is_idle = assignment->peek != NULL;
	assign_peeked(assignment, synq_clock_wall_us());
}

/* Find the first open request, at ${offset} or behind; -1 = all are open. */
static void
assign_peek(struct assignment *assignment, int64_t offset)
{
	const struct synq_reader_request peek = {
		.topic = assign_topic(assignment->partition),
		.partition = assignment->partition->number,
		.from = offset < 0 ? SYNQ_READ_FIRST : SYNQ_READ_OFFSET,
		.at = offset,
		.events = { .on_message = assign_on_peek,
		    .on_caught_up = assign_peek_end },
		.ctx = assignment,
	};

	assignment->oldest_at = -1;
	assignment->is_idle = 0;
	synq_reader_close(&assignment->peek);
	assignment->peek =
	    synq_reader_open(assignment->dispatcher->reader, &peek);
}

static void
assign_on_mark(void *ctx, int64_t offset)
{
	struct assignment *assignment = ctx;

	synq_reader_close(&assignment->mark);
	assignment->young = offset;
	if (!assignment->is_cut)
		assign_peek(assignment, assignment->committed);
}

/*
 * Find the first result that is young: its request may be written again from
 * now on, and must not be called then.  Before the peek: what another owner,
 * who does not know yet, may answer after it is younger.
 */
static void
assign_mark(struct assignment *assignment)
{
	const struct core *core = assignment->dispatcher->core;
	const struct synq_reader_request mark = {
		.topic = SYNQ_TOPIC_RESULTS,
		.partition = assignment->partition->number,
		.from = SYNQ_READ_TIME,
		.at = synq_clock_wall_us() -
		      (int64_t)core->config.rewrite_limit_us - CLOCK_SKEW_US,
		.events = { .on_found = assign_on_mark },
		.ctx = assignment,
	};

	assignment->oldest_at = -1;
	assignment->mark =
	    synq_reader_open(assignment->dispatcher->reader, &mark);
}

static void
assign_restore(struct assignment *assignment, int64_t cut)
{
	struct partition *partition = assignment->partition;
	const struct synq_slice metadata =
	    synq_slice_of(assignment->metadata, assignment->metadata_bytes);

	if (partition_restore(
		partition, assignment->committed, metadata, cut) != 0)
		assign_log(SYNQ_LOG_ERROR, "partition.map_corrupt", partition,
		    assignment->committed);
	assign_know(assignment);
}

static void assign_find_cut(
    struct assignment *assignment, int64_t until_at, int is_sure);

/* What was read before lies below ${cut}: take it that the rest was not. */
static void
assign_on_cut(void *ctx, int64_t cut)
{
	struct assignment *assignment = ctx;
	const int64_t until_at = partition_read_until(
	    synq_slice_of(assignment->metadata, assignment->metadata_bytes));

	synq_reader_close(&assignment->cut);
	if (cut >= assignment->committed) {
		assign_restore(assignment, cut);
	} else if (!assignment->cut_is_sure && until_at >= 0) {
		assign_find_cut(assignment, until_at - SENT_BEFORE_US, 1);
	} else {
		assign_log(SYNQ_LOG_ERROR, "partition.log_cut",
		    assignment->partition, cut);
		assignment->is_cut = 1;
		assign_peek(assignment, cut);
		assign_restore(assignment, cut);
	}
}

/*
 * Find where the log no longer holds what was read until ${until_at} (-1 = not
 * known); ${is_sure}: it was cut.
 */
static void
assign_find_cut(struct assignment *assignment, int64_t until_at, int is_sure)
{
	const struct synq_reader_request cut = {
		.topic = assign_topic(assignment->partition),
		.partition = assignment->partition->number,
		.from = until_at < 0 ? SYNQ_READ_END : SYNQ_READ_TIME,
		.at = until_at,
		.events = { .on_found = assign_on_cut },
		.ctx = assignment,
	};

	assignment->cut_is_sure = is_sure;
	assignment->cut =
	    synq_reader_open(assignment->dispatcher->reader, &cut);
}

static void
assign_on_committed(
    void *ctx, int rc, int64_t offset, struct synq_slice metadata)
{
	struct assignment *assignment = ctx;
	struct partition *partition = assignment->partition;

	(void)rc; /* the consumer retries errors itself */
	assignment->committed = offset;
	assign_mark(assignment);
	assignment->metadata = synq_mem_copy(metadata.data, metadata.bytes);
	assignment->metadata_bytes = metadata.bytes;
	if (offset >= 0) {
		assign_find_cut(assignment, partition_read_until(metadata), 0);
		return;
	}
	assign_log(
	    SYNQ_LOG_WARN, "partition.nothing_committed", partition, offset);
	(void)partition_restore(partition, -1, metadata, 0);
}

static void
assign_on_assign(void *ctx, const char *topic, int32_t number)
{
	struct source *source = ctx;
	struct dispatcher *dispatcher = source->dispatcher;
	struct assignment *assignment;
	struct partition *partition;

	partition = partition_new(dispatcher->core, source->topic, number);
	assignment = synq_mem_new(sizeof(*assignment));
	assignment->dispatcher = dispatcher;
	assignment->partition = partition;
	assignment->track =
	    figures_track_new(dispatcher->figures, topic, number);
	partition->io = assignment;
	synq_consumer_committed(
	    source->consumer, topic, number, assign_on_committed, assignment);
}

static void
assign_on_revoke(void *ctx, const char *topic, int32_t number, int lost)
{
	struct partition *partition = assign_find(ctx, number);
	struct assignment *assignment;

	(void)topic;
	if (partition == NULL)
		return;
	assignment = partition->io;
	assign_log(lost ? SYNQ_LOG_WARN : SYNQ_LOG_INFO,
	    lost ? "partition.lost" : "partition.revoked", partition, -1);
	synq_reader_close(&assignment->cut);
	synq_reader_close(&assignment->mark);
	synq_reader_close(&assignment->peek);
	synq_reader_close(&assignment->results);
	synq_reader_close(&assignment->cancels);
	partition_free(&partition, lost);
	figures_track_free(&assignment->track);
	synq_mem_free(assignment->metadata);
	synq_mem_free(assignment);
}

static int
assign_on_message(void *ctx, const struct synq_kafka_message *message)
{
	struct source *source = ctx;
	struct partition *partition = assign_find(source, message->partition);
	int full;

	if (partition == NULL || !partition->active)
		return 0;
	if (message->time_us > partition->newest_at)
		partition->newest_at = message->time_us;
	full = core_request(partition, message->offset, message->value);
	dispatcher_wake(source->dispatcher);
	return full;
}

static void
assign_on_end(void *ctx, const char *topic, int32_t number)
{
	struct partition *partition = assign_find(ctx, number);

	(void)topic;
	if (partition != NULL)
		assign_log(
		    SYNQ_LOG_DEBUG, "partition.read_to_end", partition, -1);
}

static void
assign_on_fatal(void *ctx, const struct synq_err *err)
{
	const struct source *source = ctx;

	synq_service_fail(source->dispatcher->service, err);
}

struct synq_consumer_events
assign_events(void)
{
	return (struct synq_consumer_events){
		.on_assign = assign_on_assign,
		.on_revoke = assign_on_revoke,
		.on_message = assign_on_message,
		.on_end = assign_on_end,
		.on_fatal = assign_on_fatal,
	};
}

/* "synq-dispatcher:<name>:<boot id>" → "<name>", in place of ${ret}. */
static void
assign_name(const char *client_id, char ret[64])
{
	const char *first = strchr(client_id, ':');
	const char *last = strrchr(client_id, ':');

	ret[0] = '\0';
	if (first != NULL && last > first)
		(void)snprintf(
		    ret, 64, "%.*s", (int)(last - first - 1), first + 1);
}

static void
assign_on_members(
    void *ctx, int rc, const char *const *client_ids, size_t count)
{
	struct source *source = ctx;
	const char **names = synq_mem_array(count + 1, sizeof(*names));
	char(*texts)[64] = synq_mem_array(count + 1, sizeof(*texts));
	size_t i;

	source->members_asked = 0;
	for (i = 0; i < count; i++) {
		assign_name(client_ids[i], texts[i]);
		names[i] = texts[i];
	}
	if (rc == 0)
		core_members(
		    source->dispatcher->core, source->topic, names, count);
	synq_mem_free(names);
	synq_mem_free(texts);
	dispatcher_wake(source->dispatcher);
}

static void
assign_ask_members(struct source *source)
{
	if (source->members_asked)
		return;
	source->members_asked = 1;
	synq_consumer_members(source->consumer, assign_on_members, source);
}

void
assign_check_held(struct dispatcher *dispatcher)
{
	struct synq_link *link;
	struct partition *partition;
	struct assignment *assignment;
	size_t held = 0;
	int i;

	for (link = synq_list_first(&dispatcher->core->partitions);
	     link != NULL;
	     link = synq_list_next(&dispatcher->core->partitions, link)) {
		partition = SYNQ_CONTAINER(link, struct partition, link);
		assignment = partition->io;
		if (!partition->active || assignment->results == NULL)
			continue;
		if (partition_held(partition) == 0)
			synq_reader_close(&assignment->results);
		else
			held++;
	}
	if (held == 0) {
		synq_timer_stop(dispatcher->members);
		return;
	}
	if (!synq_timer_active(dispatcher->members))
		synq_timer_repeat(dispatcher->members, 300000);
	for (i = 0; i < DISPATCHER_SOURCES; i++)
		assign_ask_members(&dispatcher->sources[i]);
}
