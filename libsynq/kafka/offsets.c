/*
 * Commits: a partition keeps its newest only, with a number.  When the gate is
 * open and no commit is under way, all that are not stored go out in one
 * request; when it fails they go out again, with whatever is newest then.
 *
 * Questions (what is committed, who is a member) are requests of the admin
 * kind, which use a connection of their own and do not wait behind a JoinGroup.
 *
 * Failure modes: an answer that never comes (a commit counts as failed after
 * COMMIT_LIMIT_US); a text that the broker finds too long, which no repeat can
 * cure, is fatal.
 */

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/group.h"

#define COMMIT_LIMIT_US 15000000
#define COMMIT_AGAIN_US 50000
#define LAG_US 1000000
#define ASK_LIMIT_MS 3000
#define ASK_AGAIN_US 200000

int
offsets_waiting(const struct synq_part *part)
{
	return part->stored < part->newest;
}

/* 1 if a commit would lie behind a JoinGroup or SyncGroup. */
static int
gate_is_shut(const struct synq_consumer *c)
{
	return (long long)synq_clock_mono_us() <
	       atomic_load(&c->pulse->gate_shut_us);
}

static rd_kafka_topic_partition_list_t *
collect_commits(struct synq_consumer *c)
{
	rd_kafka_topic_partition_list_t *list = NULL;
	struct synq_link *link, *after;

	synq_list_foreach (&c->parts, link, after) {
		struct synq_part *part =
		    SYNQ_CONTAINER(link, struct synq_part, link);
		rd_kafka_topic_partition_t *each;

		if (!offsets_waiting(part))
			continue;
		if (list == NULL)
			list = rd_kafka_topic_partition_list_new(8);
		each = rd_kafka_topic_partition_list_add(
		    list, part->topic, part->partition);
		each->offset = part->offset;
		/* librdkafka copies it with its own free's malloc. */
		each->metadata = part->text;
		each->metadata_size = part->text_chars;
		part->sent = part->newest;
		part->sent_offset = part->offset;
	}
	return list;
}

/* Take our texts out of ${list}, which would free them. */
static void
drop_list(rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		list->elems[i].metadata = NULL;
		list->elems[i].metadata_size = 0;
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static void
serve_commits(struct synq_consumer *c)
{
	uint64_t now_us = synq_clock_mono_us();
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t rc;

	if (c->committing && now_us < c->commit_until_us)
		return;
	if (now_us < c->commit_again_us || gate_is_shut(c) ||
	    rd_kafka_assignment_lost(c->rk))
		return;
	list = collect_commits(c);
	if (list == NULL)
		return;
	rc = rd_kafka_commit_queue(c->rk, list, c->answers, NULL, NULL);
	drop_list(list);
	c->committing = rc == RD_KAFKA_RESP_ERR_NO_ERROR;
	c->commit_until_us = now_us + COMMIT_LIMIT_US;
	if (!c->committing)
		c->commit_again_us = now_us + COMMIT_AGAIN_US;
}

static void
on_commit(struct synq_consumer *c, rd_kafka_event_t *event)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_event_topic_partition_list(event);
	rd_kafka_resp_err_t rc = rd_kafka_event_error(event);

	c->committing = 0;
	synq_kafka_count(
	    rc == RD_KAFKA_RESP_ERR_NO_ERROR ? c->commits : c->commits_failed);
	if (rc == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE)
		group_fatal(c, SYNQ_E_CONFIG,
		    "the broker's offset.metadata.max.bytes is below 4096");
	if (rc != RD_KAFKA_RESP_ERR_NO_ERROR || list == NULL) {
		c->commit_again_us = synq_clock_mono_us() + COMMIT_AGAIN_US;
		return;
	}
	for (int i = 0; i < list->cnt; i++) {
		struct synq_part *part = group_find(
		    c, list->elems[i].topic, list->elems[i].partition);

		if (part == NULL || part->sent <= part->stored ||
		    list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
			continue;
		part->stored = part->sent;
		part->stored_offset = part->sent_offset;
	}
}

void
synq_consumer_commit(struct synq_consumer *c, const char *topic,
    int32_t partition, int64_t offset, struct synq_slice metadata)
{
	struct synq_part *part = group_find(c, topic, partition);

	assert(metadata.bytes <= SYNQ_METADATA_CHARS);
	assert(metadata.bytes == 0 ||
	       memchr(metadata.data, '\0', metadata.bytes) == NULL);
	if (part == NULL)
		return;
	if (metadata.bytes > 0)
		memcpy(part->text, metadata.data, metadata.bytes);
	part->text[metadata.bytes] = '\0';
	part->text_chars = metadata.bytes;
	part->offset = offset;
	part->newest++;
	synq_wake_send(c->wake);
}

static struct synq_ask *
new_ask(struct synq_consumer *c, void *ctx)
{
	struct synq_ask *ask = synq_mem_new(sizeof(*ask));

	ask->consumer = c;
	ask->ctx = ctx;
	synq_list_push(&c->asks, &ask->link);
	synq_wake_send(c->wake);
	return ask;
}

void
synq_consumer_committed(struct synq_consumer *c, const char *topic,
    int32_t partition, synq_committed_fn *fn, void *ctx)
{
	struct synq_part *part = group_find(c, topic, partition);
	struct synq_ask *ask;

	if (part == NULL || part->state == PART_REVOKING)
		return;
	ask = new_ask(c, ctx);
	ask->part = part;
	ask->on_committed = fn;
}

void
synq_consumer_members(struct synq_consumer *c, synq_members_fn *fn, void *ctx)
{
	new_ask(c, ctx)->on_members = fn;
}

static void
free_ask(struct synq_ask *ask)
{
	synq_list_remove(&ask->consumer->asks, &ask->link);
	synq_mem_free(ask);
}

static rd_kafka_AdminOptions_t *
ask_options(struct synq_ask *ask, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *options =
	    rd_kafka_AdminOptions_new(ask->consumer->rk, op);

	rd_kafka_AdminOptions_set_request_timeout(
	    options, ASK_LIMIT_MS, NULL, 0);
	rd_kafka_AdminOptions_set_opaque(options, ask);
	return options;
}

static void
send_committed(struct synq_ask *ask)
{
	struct synq_consumer *c = ask->consumer;
	rd_kafka_AdminOptions_t *options =
	    ask_options(ask, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(1);
	rd_kafka_ListConsumerGroupOffsets_t *request;

	rd_kafka_topic_partition_list_add(
	    list, ask->part->topic, ask->part->partition);
	request = rd_kafka_ListConsumerGroupOffsets_new(c->group, list);
	rd_kafka_ListConsumerGroupOffsets(
	    c->rk, &request, 1, options, c->answers);
	rd_kafka_ListConsumerGroupOffsets_destroy(request);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_AdminOptions_destroy(options);
}

static void
send_members(struct synq_ask *ask)
{
	struct synq_consumer *c = ask->consumer;
	rd_kafka_AdminOptions_t *options =
	    ask_options(ask, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
	const char *group = c->group;

	rd_kafka_DescribeConsumerGroups(c->rk, &group, 1, options, c->answers);
	rd_kafka_AdminOptions_destroy(options);
}

static void
serve_asks(struct synq_consumer *c)
{
	uint64_t now_us = synq_clock_mono_us();
	struct synq_link *link, *after;

	synq_list_foreach (&c->asks, link, after) {
		struct synq_ask *ask =
		    SYNQ_CONTAINER(link, struct synq_ask, link);

		if (ask->busy || now_us < ask->again_us)
			continue;
		ask->busy = 1;
		if (ask->on_members != NULL)
			send_members(ask);
		else
			send_committed(ask);
	}
}

/* The one partition that was asked for, NULL if it or the request failed. */
static const rd_kafka_topic_partition_t *
committed_of(rd_kafka_event_t *event)
{
	const rd_kafka_group_result_t **groups;
	const rd_kafka_topic_partition_list_t *list;
	size_t count;

	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
	    rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
	if (count != 1 || rd_kafka_group_result_error(groups[0]) != NULL)
		return NULL;
	list = rd_kafka_group_result_partitions(groups[0]);
	if (list == NULL || list->cnt != 1 ||
	    list->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	return &list->elems[0];
}

static void
on_committed(struct synq_ask *ask, rd_kafka_event_t *event)
{
	const rd_kafka_topic_partition_t *found = committed_of(event);
	synq_committed_fn *fn = ask->on_committed;
	void *ctx = ask->ctx;

	if (ask->part == NULL) {
		free_ask(ask);
		return;
	}
	if (found == NULL) {
		ask->busy = 0;
		ask->again_us = synq_clock_mono_us() + ASK_AGAIN_US;
		return;
	}
	ask->part->stored_offset = found->offset < 0 ? -1 : found->offset;
	free_ask(ask);
	fn(ctx, 0, found->offset < 0 ? -1 : found->offset,
	    synq_slice_of(found->metadata, found->metadata_size));
}

/* The group that ${event} describes, or NULL. */
static const rd_kafka_ConsumerGroupDescription_t *
group_of(rd_kafka_event_t *event)
{
	const rd_kafka_ConsumerGroupDescription_t **groups;
	size_t count;

	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	groups = rd_kafka_DescribeConsumerGroups_result_groups(
	    rd_kafka_event_DescribeConsumerGroups_result(event), &count);
	if (count != 1)
		return NULL;
	if (rd_kafka_ConsumerGroupDescription_error(groups[0]) != NULL)
		return NULL;
	return groups[0];
}

static void
on_members(struct synq_ask *ask, rd_kafka_event_t *event)
{
	const rd_kafka_ConsumerGroupDescription_t *group = group_of(event);
	synq_members_fn *fn = ask->on_members;
	void *ctx = ask->ctx;
	const char **names;
	size_t count;

	free_ask(ask);
	if (group == NULL) {
		fn(ctx, -SYNQ_E_UNAVAILABLE, NULL, 0);
		return;
	}
	count = rd_kafka_ConsumerGroupDescription_member_count(group);
	names = synq_mem_array(count, sizeof(*names));
	for (size_t i = 0; i < count; i++)
		names[i] = rd_kafka_MemberDescription_client_id(
		    rd_kafka_ConsumerGroupDescription_member(group, i));
	fn(ctx, 0, names, count);
	synq_mem_free(names);
}

void
offsets_answer(struct synq_consumer *c, rd_kafka_event_t *event)
{
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_OFFSET_COMMIT:
		on_commit(c, event);
		break;
	case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT:
		on_committed(rd_kafka_event_opaque(event), event);
		break;
	case RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT:
		on_members(rd_kafka_event_opaque(event), event);
		break;
	default:
		break;
	}
}

void
offsets_serve(struct synq_consumer *c)
{
	serve_commits(c);
	if (!c->closing)
		serve_asks(c);
}

void
offsets_show_lag(struct synq_consumer *c)
{
	uint64_t now_us = synq_clock_mono_us();
	struct synq_link *link, *after;
	int64_t low, high;

	if (c->config.metrics == NULL || now_us < c->lag_due_us)
		return;
	c->lag_due_us = now_us + LAG_US;
	synq_list_foreach (&c->parts, link, after) {
		struct synq_part *part =
		    SYNQ_CONTAINER(link, struct synq_part, link);

		synq_consumer_watermarks(
		    c, part->topic, part->partition, &low, &high);
		if (part->stored_offset >= 0 && high >= part->stored_offset)
			synq_series_set(
			    part->lag, (double)(high - part->stored_offset));
	}
}

void
offsets_forget(struct synq_consumer *c, const struct synq_part *part)
{
	struct synq_link *link, *after;

	synq_list_foreach (&c->asks, link, after) {
		struct synq_ask *ask =
		    SYNQ_CONTAINER(link, struct synq_ask, link);

		if (ask->part != part)
			continue;
		ask->part = NULL;
		if (!ask->busy)
			free_ask(ask);
	}
}

void
offsets_restart(struct synq_consumer *c)
{
	struct synq_link *link, *after;

	c->committing = 0;
	c->commit_again_us = 0;
	synq_list_foreach (&c->asks, link, after) {
		struct synq_ask *ask =
		    SYNQ_CONTAINER(link, struct synq_ask, link);

		ask->busy = 0;
		if (ask->on_members == NULL)
			free_ask(ask);
	}
}

void
offsets_done(struct synq_consumer *c)
{
	struct synq_link *link;

	while ((link = synq_list_first(&c->asks)) != NULL)
		free_ask(SYNQ_CONTAINER(link, struct synq_ask, link));
}
