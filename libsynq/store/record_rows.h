#ifndef SYNQ_STORE_RECORD_ROWS_H
#define SYNQ_STORE_RECORD_ROWS_H

/*
 * What a batch holds: one row per job, per attempt and per result, merged as
 * they come.  Internal to store: record.c merges, record_write.c writes.
 */

#include "base/arena.h"
#include "base/map.h"
#include "store/record.h"

/* operations.job; what is not known yet is empty, 0 or nil. */
struct record_job {
	struct synq_uuid organization_id;
	struct synq_uuid id; /* the map's key */
	enum synq_job_state state;
	uint32_t attempts;
	int known; /* the members up to request_id are */
	struct synq_uuid key_id;
	enum synq_endpoint endpoint;
	enum synq_priority priority;
	int64_t created_at;
	int64_t deadline_at;
	struct synq_uuid retry_of;
	struct synq_slice model;
	struct synq_slice metadata;
	struct synq_slice request_id;
	int64_t started_at; /* of the first attempt */
	int64_t ended_at;
	struct synq_slice provider;
	struct synq_slice provider_model;
	int32_t answer_status;
	struct synq_slice error_code;
	struct synq_slice error;
	struct synq_usage usage;
	int has_body;
	struct synq_slice body; /* operations.result */
};

/* operations.attempt. */
struct record_attempt {
	struct synq_uuid organization_id;
	struct synq_uuid id; /* the map's key */
	struct synq_uuid job_id;
	uint32_t attempt;
	const char *state;
	int ended;
	struct synq_slice instance;
	struct synq_uuid boot_id;
	struct synq_slice provider;
	struct synq_slice provider_model;
	int64_t started_at;
	int64_t ended_at;
	int32_t http_status;
	struct synq_slice error_code;
	struct synq_slice error;
	struct synq_usage usage;
};

/* One partition's move. */
struct record_offset {
	const char *topic;
	int32_t partition;
	int64_t expected;
	int64_t next;
	int64_t as_of;
};

struct record_columns;

struct synq_batch {
	struct synq_arena *arena;  /* rows and what they lend */
	struct synq_map *jobs;     /* job id => struct record_job */
	struct synq_map *attempts; /* attempt id => struct record_attempt */
	struct record_offset *offsets;
	size_t offset_count;
	size_t offset_room;
	size_t records;
	size_t bytes;
	struct record_columns *columns; /* of record_write.c; NULL at first */
};

/* Free the columns of ${batch}. */
void record_columns_free(struct record_columns **columns);

#endif
