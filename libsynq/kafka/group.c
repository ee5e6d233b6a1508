/*
 * What comes and goes:
 *
 * 1. The group assigns: librdkafka is told that we accept with an empty list,
 *    so that it reads nothing yet, and the program prepares.
 * 2. The program starts a partition: its queue is split off, then librdkafka
 *    gets it with the offset.
 * 3. The group revokes: the queues are silenced and dropped at once (a later
 *    one of the same partition must find nothing of ours), the program hears,
 *    and librdkafka is told only when the last commits are stored, at most
 *    REVOKE_LIMIT_US later.  A lost partition waits for nothing.
 *
 * Failure modes: the group expels us (lost); our static name is taken
 * (member.c); the offset is no longer kept (fatal).
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/group.h"

#define REVOKE_LIMIT_US 1000000

struct synq_part *
group_find(struct synq_consumer *c, const char *topic, int32_t partition)
{
	struct synq_link *link, *after;

	synq_list_foreach (&c->parts, link, after) {
		struct synq_part *part =
		    SYNQ_CONTAINER(link, struct synq_part, link);

		if (part->partition == partition &&
		    strcmp(part->topic, topic) == 0)
			return part;
	}
	return NULL;
}

void
group_fatal(struct synq_consumer *c, enum synq_code code, const char *text)
{
	struct synq_err err = { 0 };

	if (c->fatal)
		return;
	c->fatal = 1;
	(void)synq_fail(&err, code, "kafka group %s: %s", c->group, text);
	if (c->events.on_fatal != NULL)
		c->events.on_fatal(c->ctx, &err);
}

static void
check(struct synq_consumer *c, rd_kafka_error_t *error)
{
	if (error == NULL)
		return;
	/* A fatal error has an event of its own. */
	if (!rd_kafka_error_is_fatal(error) && !c->closing)
		group_fatal(c, SYNQ_E_SYSTEM, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
}

static int
is_cooperative(struct synq_consumer *c)
{
	const char *protocol = rd_kafka_rebalance_protocol(c->rk);

	return protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
}

static void
accept_assignment(struct synq_consumer *c)
{
	rd_kafka_topic_partition_list_t *none =
	    rd_kafka_topic_partition_list_new(1);

	if (is_cooperative(c))
		check(c, rd_kafka_incremental_assign(c->rk, none));
	else
		rd_kafka_assign(c->rk, none);
	rd_kafka_topic_partition_list_destroy(none);
}

static struct synq_part *
new_part(struct synq_consumer *c, const char *topic, int32_t partition)
{
	struct synq_part *part = synq_mem_new(sizeof(*part));
	char number[16];
	const char *labels[2] = { topic, number };

	snprintf(number, sizeof(number), "%d", (int)partition);
	part->topic = synq_mem_text(topic);
	part->partition = partition;
	part->stored_offset = -1;
	part->lag =
	    synq_kafka_series(&c->config, SYNQ_M_KAFKA_CONSUMER_LAG, labels);
	if (part->lag != NULL)
		synq_series_hide(part->lag);
	return part;
}

static void
on_assigned(
    struct synq_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	c->was_assigned = 1;
	accept_assignment(c);
	if (c->closing)
		return;
	for (int i = 0; i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *each = &list->elems[i];
		struct synq_part *part;

		if (group_find(c, each->topic, each->partition) != NULL)
			continue;
		part = new_part(c, each->topic, each->partition);
		synq_list_push(&c->parts, &part->link);
		c->events.on_assign(c->ctx, part->topic, part->partition);
	}
}

/* Silence ${part} and tell the program. */
static void
revoke_part(struct synq_consumer *c, struct synq_part *part, int lost)
{
	part->state = PART_REVOKING;
	synq_kafka_deafen(&part->queue);
	offsets_forget(c, part);
	if (c->events.on_revoke != NULL)
		c->events.on_revoke(c->ctx, part->topic, part->partition, lost);
	if (lost) {
		part->stored = part->newest; /* nothing may be committed */
		c->lost++;
	}
}

static void
on_revoked(struct synq_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	const int lost = rd_kafka_assignment_lost(c->rk);

	/* Not because it was fenced, but before. */
	if (lost && rd_kafka_fatal_error(c->rk, NULL, 0) ==
			RD_KAFKA_RESP_ERR_NO_ERROR) {
		c->expelled_us = synq_clock_mono_us();
		c->back_us = 0;
	}
	for (int i = 0; i < list->cnt; i++) {
		struct synq_part *part = group_find(
		    c, list->elems[i].topic, list->elems[i].partition);

		if (part != NULL && part->state != PART_REVOKING)
			revoke_part(c, part, lost);
	}
	c->revoking = 1;
	c->revoke_until_us = synq_clock_mono_us() + REVOKE_LIMIT_US;
	c->commit_again_us = 0;
}

void
group_rebalance(struct synq_consumer *c, rd_kafka_event_t *event)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_event_topic_partition_list(event);
	rd_kafka_resp_err_t what = rd_kafka_event_error(event);

	synq_kafka_count(c->rebalances);
	if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		on_assigned(c, list);
	} else if (what == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
		on_revoked(c, list);
	} else {
		rd_kafka_assign(c->rk, NULL);
		group_drop_all(c);
	}
	synq_wake_send(c->wake);
}

static void
free_part(struct synq_consumer *c, struct synq_part *part)
{
	synq_list_remove(&c->parts, &part->link);
	if (part->lag != NULL)
		synq_series_hide(part->lag);
	offsets_forget(c, part);
	synq_kafka_deafen(&part->queue);
	synq_mem_free(part->topic);
	synq_mem_free(part);
}

void
group_drop_all(struct synq_consumer *c)
{
	struct synq_link *link, *after;

	synq_list_foreach (&c->parts, link, after) {
		struct synq_part *part =
		    SYNQ_CONTAINER(link, struct synq_part, link);

		if (part->state != PART_REVOKING)
			revoke_part(c, part, 1);
		free_part(c, part);
	}
	c->revoking = 0;
}

/* 1 if a partition that goes still waits for its commit. */
static int
must_wait(struct synq_consumer *c)
{
	struct synq_link *link, *after;

	if (synq_clock_mono_us() >= c->revoke_until_us ||
	    rd_kafka_assignment_lost(c->rk))
		return 0;
	synq_list_foreach (&c->parts, link, after) {
		struct synq_part *part =
		    SYNQ_CONTAINER(link, struct synq_part, link);

		if (part->state == PART_REVOKING && offsets_waiting(part))
			return 1;
	}
	return 0;
}

static void
finish_revoke(struct synq_consumer *c)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(8);
	struct synq_link *link, *after;

	synq_list_foreach (&c->parts, link, after) {
		struct synq_part *part =
		    SYNQ_CONTAINER(link, struct synq_part, link);

		if (part->state != PART_REVOKING)
			continue;
		if (part->reading)
			rd_kafka_topic_partition_list_add(
			    list, part->topic, part->partition);
		free_part(c, part);
	}
	if (is_cooperative(c))
		check(c, rd_kafka_incremental_unassign(c->rk, list));
	else
		rd_kafka_assign(c->rk, NULL);
	rd_kafka_topic_partition_list_destroy(list);
	c->revoking = 0;
}

static void
start_part(struct synq_consumer *c, struct synq_part *part,
    rd_kafka_topic_partition_list_t *list)
{
	part->state = PART_STARTED;
	part->reading = 1;
	part->next = part->start;
	/* Split before the first fetch, so that no record goes astray. */
	part->queue =
	    rd_kafka_queue_get_partition(c->rk, part->topic, part->partition);
	rd_kafka_queue_forward(part->queue, NULL);
	synq_kafka_listen(part->queue, c->wake);
	rd_kafka_topic_partition_list_add(list, part->topic, part->partition)
	    ->offset =
	    part->start < 0 ? RD_KAFKA_OFFSET_BEGINNING : part->start;
}

static void
start_waiting(struct synq_consumer *c)
{
	rd_kafka_topic_partition_list_t *list = NULL;
	struct synq_link *link, *after;

	synq_list_foreach (&c->parts, link, after) {
		struct synq_part *part =
		    SYNQ_CONTAINER(link, struct synq_part, link);

		if (part->state != PART_STARTING)
			continue;
		if (list == NULL)
			list = rd_kafka_topic_partition_list_new(8);
		start_part(c, part, list);
	}
	if (list == NULL)
		return;
	if (is_cooperative(c))
		check(c, rd_kafka_incremental_assign(c->rk, list));
	rd_kafka_topic_partition_list_destroy(list);
}

void
group_serve(struct synq_consumer *c)
{
	if (c->revoking && !must_wait(c))
		finish_revoke(c);
	if (!c->closing)
		start_waiting(c);
}
