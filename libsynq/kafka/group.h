#ifndef SYNQ_KAFKA_GROUP_H
#define SYNQ_KAFKA_GROUP_H

/*
 * The consumer from inside, shared by consumer.c (its functions and the
 * records), member.c (joining, leaving, joining anew), group.c (what comes and
 * goes) and offsets.c (commits, questions).
 */

#include "base/list.h"
#include "kafka/consumer.h"
#include "kafka/inner.h"
#include "loop/loop.h"

#define SYNQ_METADATA_CHARS 4096
#define SYNQ_SESSION_MS 6000

enum part_state {
	PART_ASSIGNED, /* the program prepares; librdkafka does not read it */
	PART_STARTING, /* to be given to librdkafka at the next serve */
	PART_STARTED,  /* librdkafka reads it into its own queue */
	PART_REVOKING  /* on_revoke has run; waits for its commit */
};

struct synq_part {
	struct synq_link link;
	char *topic;
	int32_t partition;
	enum part_state state;
	int reading;             /* 1 = librdkafka has it assigned */
	rd_kafka_queue_t *queue; /* its records; NULL unless STARTED */
	int full;                /* on_message said so */
	int64_t start;           /* where to start, -1 = first kept */
	int64_t next;            /* nothing below is delivered */
	/* The newest commit; each has a number, 0 = none. */
	uint64_t newest;
	uint64_t sent;
	uint64_t stored;
	int64_t offset;
	size_t text_chars;
	char text[SYNQ_METADATA_CHARS + 1];
	int64_t sent_offset;     /* what ${sent} commits */
	int64_t stored_offset;   /* what the group has, -1 = not known */
	struct synq_series *lag; /* NULL without metrics */
};

/* A question under way: what is committed, or who is a member. */
struct synq_ask {
	struct synq_link link;
	struct synq_consumer *consumer;
	struct synq_part *part; /* NULL: members, or the partition is gone */
	synq_committed_fn *on_committed;
	synq_members_fn *on_members;
	void *ctx;
	int busy;          /* the broker was asked */
	uint64_t again_us; /* ask again then */
};

struct synq_consumer {
	struct synq_loop *loop;
	struct synq_kafka_config config;
	char *group;
	char *instance; /* NULL: a dynamic member */
	uint32_t gather_ms;
	rd_kafka_topic_partition_list_t *topics;
	struct synq_consumer_events events;
	void *ctx;
	struct synq_kafka_pulse *pulse;
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;   /* rebalances, errors */
	rd_kafka_queue_t *answers; /* commits, questions; at the end all */
	struct synq_wake *wake;
	struct synq_timer *tick;
	struct synq_list parts; /* struct synq_part */
	struct synq_list asks;  /* struct synq_ask */
	int revoking;           /* a hand-over waits for commits */
	uint64_t revoke_until_us;
	int committing; /* a commit is under way */
	uint64_t commit_until_us;
	uint64_t commit_again_us;
	uint64_t lost;    /* partitions lost so far */
	int fatal;        /* on_fatal has run */
	int was_assigned; /* the group gave us something, or nothing, once */
	int closing;
	uint64_t expelled_us; /* when this handle was last; 0 = never */
	uint64_t back_us;     /* the broker has spoken since then; 0 = no */
	int rejoining;        /* the handle closes, to join with a new one */
	uint64_t close_until_us;
	struct synq_series *rebalances; /* NULL without metrics, as these */
	struct synq_series *commits;
	struct synq_series *commits_failed;
	uint64_t lag_due_us;
	uint64_t delivered_us; /* nothing waits that was fetched by then */
};

/* Take all events of ${queue}, waiting at most ${wait_ms} for the first. */
void consumer_drain(
    struct synq_consumer *c, rd_kafka_queue_t *queue, int wait_ms);

/* Make the handle of ${c} and subscribe.  Errors: CONFIG, SYSTEM. */
SYNQ_MUST_CHECK int member_join(struct synq_consumer *c, struct synq_err *err);

/*
 * Begin to leave: the last rebalance comes to the queue of answers.  0 if the
 * handle refuses, else 1: wait for rd_kafka_consumer_closed.
 */
int member_close(struct synq_consumer *c);

/*
 * Drop the queues of ${c} and destroy the handle, waiting at most ${limit_ms}.
 *
 * Before 2.3.0 librdkafka aborts when its cooperative assignor was chosen and
 * has no state yet, which is so between joining and the first assignment: then
 * the handle, which has left the group and has nothing more to say, is left to
 * the process's end.
 */
void member_destroy(struct synq_consumer *c, uint32_t limit_ms);

/* The handle of ${c} was fenced, as librdkafka's ${text} says. */
void member_fenced(struct synq_consumer *c, const char *text);

/* 1 if ${c} is about to join anew; begin that if it must, go on with it. */
int member_serve(struct synq_consumer *c);

/* The partition of ${c} named so, or NULL. */
struct synq_part *group_find(
    struct synq_consumer *c, const char *topic, int32_t partition);

/* Take the rebalance ${event} for ${c}. */
void group_rebalance(struct synq_consumer *c, rd_kafka_event_t *event);

/* Finish a hand-over of ${c} whose commits are in or late; start the started.
 */
void group_serve(struct synq_consumer *c);

/* Revoke what ${c} still has, as lost. */
void group_drop_all(struct synq_consumer *c);

/* Tell the program once that ${c} must end, with ${code} and ${text}. */
void group_fatal(
    struct synq_consumer *c, enum synq_code code, const char *text);

/* Send the newest commits of ${c} if the gate is open; ask what is due. */
void offsets_serve(struct synq_consumer *c);

/* Take the answer ${event} to a commit or a question of ${c}. */
void offsets_answer(struct synq_consumer *c, rd_kafka_event_t *event);

/* 1 if ${part} has a commit that is not stored yet. */
int offsets_waiting(const struct synq_part *part);

/* Show how far the group is behind in the partitions of ${c}, now and then. */
void offsets_show_lag(struct synq_consumer *c);

/* No question about ${part} of ${c} will be answered. */
void offsets_forget(struct synq_consumer *c, const struct synq_part *part);

/* The handle is new: ask again, and commit nothing that was under way. */
void offsets_restart(struct synq_consumer *c);

/* Free all questions of ${c}. */
void offsets_done(struct synq_consumer *c);

#endif
