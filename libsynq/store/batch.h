#ifndef SYNQ_STORE_BATCH_H
#define SYNQ_STORE_BATCH_H

/*
 * What a batch has been told, one row per job and per attempt, each as far as
 * its records go.  Internal to store.
 */

#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "job/state.h"
#include "pg/pg.h"
#include "proto/attempt.h"
#include "store/record.h"

struct synq_arena;
struct synq_map;

/* Whose offsets these are, in platform.consumer_offset. */
#define BATCH_CONSUMER "recorder"

/* Organization and id: how rows are found and in which order they are sent. */
struct batch_key {
	struct synq_uuid organization_id;
	struct synq_uuid id;
};

/* What only a request or a result says of a job. */
struct batch_details {
	struct synq_uuid key_id;
	const char *endpoint; /* path */
	enum synq_priority priority;
	int64_t created_at;
	int64_t deadline_at;
	struct synq_slice model;
	struct synq_slice metadata;
	struct synq_slice request_id;
	struct synq_uuid retry_of;
};

/* How a job ended, or how an attempt did. */
struct batch_end {
	int64_t ended_at; /* 0 = it has not */
	struct synq_slice error_code;
	struct synq_slice error;
	struct synq_usage usage;
};

struct batch_job {
	struct batch_key key;
	enum synq_job_state state;
	int rank; /* of state; -1 = no record has said anything yet */
	int has_details;
	struct batch_details details;
	int64_t happened_at; /* when it came to be in state */
	int64_t started_at;  /* least of its attempts; 0 = none */
	uint32_t attempts;   /* most */
	struct synq_slice provider;
	struct synq_slice provider_model;
	struct batch_end end;
	int32_t answer_status;
	struct synq_slice body;
};

struct batch_attempt {
	struct batch_key key;
	struct synq_uuid job_id;
	uint32_t attempt;
	const char *state; /* "started", ... */
	int rank;          /* 1 started, 9 ended; 0 = new */
	struct synq_slice instance;
	struct synq_uuid boot_id;
	struct synq_slice provider;
	struct synq_slice provider_model;
	int64_t started_at;
	int32_t http_status;
	struct batch_end end;
};

/* Rows with their index. */
struct batch_table {
	struct synq_map *map; /* struct batch_key => row */
	void **rows;          /* in the arena */
	size_t count;
	size_t room;
};

struct batch_offset {
	char *topic; /* owned */
	int32_t partition;
	int64_t expected;
	int64_t next;
	int64_t as_of;
};

/* Rows of a batch from one place to before another, jobs before attempts. */
struct batch_part {
	size_t from;
	size_t to;
};

struct synq_batch {
	struct synq_arena *arena; /* rows and their texts */
	struct batch_table jobs;
	struct batch_table attempts;
	struct batch_offset *offsets;
	size_t offset_count;
	size_t offset_room;
	size_t records;
	size_t bytes;
	size_t illegal_moves;

	/* while it is written */
	struct synq_pg *pg;
	synq_batch_fn *fn;
	void *ctx;
	unsigned tries;
	struct batch_part part;     /* what is sent */
	struct batch_part suspects; /* one of them was refused */
	int seeking;                /* the part goes without offsets */
	int unsure; /* some of it may stand without having been told */
	int teller; /* whose answer tells what changed; -1 = none */
};

/* Put the rows of ${table} into the order of their keys. */
void batch_sort(struct batch_table *table);

/* How many rows ${batch} has. */
size_t batch_rows(const struct synq_batch *batch);

/* Take the row ${index}, counted as in struct batch_part, out of ${batch}. */
void batch_drop(struct synq_batch *batch, size_t index);

/*
 * Send the part of ${batch} that is due in one transaction, which ends with
 * ${done} (record.c).  Errors: those of synq_pg_start.
 */
SYNQ_MUST_CHECK int batch_send(struct synq_batch *batch, synq_pg_done_fn *done);

/* The job ${key} of ${batch}; NULL if it has none. */
const struct batch_job *batch_find_job(
    const struct synq_batch *batch, const struct batch_key *key);

#endif
