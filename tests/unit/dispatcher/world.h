#ifndef SYNQ_TEST_DISPATCHER_WORLD_H
#define SYNQ_TEST_DISPATCHER_WORLD_H

/*
 * The dispatcher's core in a made-up world: a log that notes what was sent and
 * acknowledges when the test says so, a provider that answers when told to, a
 * clock that stands.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consumers/dispatcher/core.h"
#include "consumers/dispatcher/partition.h"

#define SENT_MAX 64

/* What went out, in order. */
struct sent {
	struct work *work;
	enum synq_outcome_kind kind;
	enum synq_job_state state;
	uint32_t attempt;
	char code[32];
	int acked;
};

struct world {
	struct core *core;
	struct partition *partition;
	struct sent sent[SENT_MAX];
	size_t sent_count;
	struct work *called[SENT_MAX];
	size_t call_count;
	size_t aborted;
	size_t replies;
	size_t dead;
	size_t reloads;
	int log_full;
	int log_rc; /* what the log refuses with; 0 = BUSY */
	size_t resumed;
	int64_t log_end; /* next results offset */
	int64_t acked;
	int64_t now_at;
	int64_t committed;
	char metadata[4096];
};

/* 1 = the catalog has no model any more. */
extern int world_model_gone;
/* 1 = it is at another provider now. */
extern int world_model_moved;

/* A world with one partition that is read, in *${state}. */
int world_setup(void **state);
/* Free it after all is acknowledged. */
int world_teardown(void **state);
/* Assign the partition as the group has it at ${offset} with ${metadata}. */
void world_assign(struct world *world, int64_t offset, const char *metadata);
/*
 * As world_assign; from ${cut} on the log does not hold what it held then.
 * Returns as partition_restore.
 */
int world_assign_cut(
    struct world *world, int64_t offset, const char *metadata, int64_t cut);
/* Revoke the partition of ${world} and assign it again, nothing committed. */
void world_take_over(struct world *world);
/* Commit until whatever may be written twice is. */
void world_settle(struct world *world);
/* The life of ${instance} with the boot id of all ${boot}. */
void world_life(struct world *world, const char *instance, uint8_t boot);
/* Acknowledge everything that is sent and not acknowledged yet. */
void world_ack(struct world *world);
/* Acknowledge the record ${index} with ${rc}. */
void world_ack_one(struct world *world, size_t index, int rc);
/* The id of all zeros but ${number}. */
struct synq_uuid world_id(uint8_t number);
/* The record of job ${number}. */
struct synq_request world_request(const struct world *world, uint8_t number);
/* Let ${request} be read at ${offset}; 1 if no further one may be read. */
int world_put(
    struct world *world, int64_t offset, const struct synq_request *request);
/* Let job ${number} be read at ${offset}. */
void world_read(struct world *world, int64_t offset, uint8_t number);
/* Answer ${call}: it has ${succeeded}, or failed as ${class}. */
void world_answer(struct world *world, size_t call, enum synq_retry_class class,
    int succeeded);
/* The last record that went out. */
const struct sent *world_last(const struct world *world);
/* Ask ${partition} to cancel the job ${id}; what core_cancel says. */
int world_cancel(const struct world *world, struct partition *partition,
    struct synq_uuid id);
/* The result of job 1, made by dispatcher-2. */
struct synq_outcome world_ended(const struct world *world);
/* A started record of job 1 at source offset 0, made by ${instance}. */
struct synq_outcome world_started_by(
    const struct world *world, const char *instance, uint8_t boot);
/*
 * Read job 1, of which another's attempt failed at ${ended_at} by the other's
 * clock, to be followed by the next after five seconds.
 */
void world_read_failed(struct world *world, int64_t ended_at);

#endif
