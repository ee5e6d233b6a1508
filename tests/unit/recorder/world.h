#ifndef SYNQ_TEST_RECORDER_WORLD_H
#define SYNQ_TEST_RECORDER_WORLD_H

/*
 * A log and a database that only note what the recorder asks them, and answer
 * when the test says so.
 */

#include <stddef.h>
#include <stdint.h>

#include "consumers/recorder/recorder.h"
#include "store/record.h"

#define ASKS_MAX 16

/* A batch counts its records; what they say is the store's. */
struct synq_batch {
	size_t records;
	struct synq_batch_offset offsets[4];
	size_t offset_count;
};

/* A question or a write without an answer. */
struct ask {
	synq_offset_fn *fn;
	void *ctx;
	char topic[40];
};

/*
 * The log of the partition: the record at ${offset} is ${offset} us old, from
 * ${anew} on LOG_ANEW_US younger.
 */
#define LOG_ANEW_US 60000000

struct log {
	int64_t first; /* that is kept */
	int64_t anew;
	int64_t end;
};

struct world {
	struct recorder recorder;
	struct log log;
	struct synq_reader_stream *stream; /* that waits; NULL = none */
	synq_rewind_fn *rewound;           /* NULL = nobody asked */
	void *rewound_ctx;
	int64_t rewind_from, rewind_to;
	struct synq_metrics *metrics;
	struct ask asks[ASKS_MAX];
	size_t ask_count; /* ever */
	int pg_busy;
	synq_batch_fn *written;
	void *written_ctx;
	struct synq_batch *in_write; /* NULL = none */
	size_t writes;
	size_t starts;
	int64_t started_at;
	uint64_t behind_us; /* what was delivered */
	int drained;
	size_t room; /* of the producer of events */
	uint8_t published[16];
	size_t publish_count;
};

/* The one of the test that runs. */
extern struct world *world;

/* Make it, and *${state} is cmocka's. */
int world_setup(void **state);
/* Free it; ${state} is cmocka's. */
int world_teardown(void **state);
/* Partition 3 of ${topic} is assigned. */
void world_assign(const char *topic);
/* Partition 3 of ${topic} is revoked. */
void world_revoke(const char *topic);
/* PostgreSQL answers question ${index} with ${rc} and ${next}; so does the log.
 */
void world_answer(size_t index, int rc, int64_t next);
/* The log answers what it was asked after that. */
void world_log(void);
/* PostgreSQL ends the move back with ${rc}. */
void world_rewound(int rc);
/* PostgreSQL ends the write with ${rc}. */
void world_written(int rc);
/* PostgreSQL ends the write, which queued the ${count} jobs 1, 2, ... */
void world_written_jobs(size_t count);
/* The timer ${again} of the recorder fires. */
void world_again(void);
/* The record ${value} of ${topic} at ${offset}, its time, is read. */
void world_read(const char *topic, int64_t offset, struct synq_slice value);
/* A record of ${topic} at ${offset} is read. */
void world_message(const char *topic, int64_t offset);
/* ${topic} was read to its end. */
void world_end(const char *topic);
/* A partition that stands at 5, and its next record, which is being written. */
void world_begin(void);
/* The one offset of the running write goes from ${expected} to ${next}. */
void world_assert_moves(int64_t expected, int64_t next);

#endif
