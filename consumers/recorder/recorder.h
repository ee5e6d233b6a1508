#ifndef SYNQ_RECORDER_RECORDER_H
#define SYNQ_RECORDER_RECORDER_H

/*
 * synq-recorder: the log → PostgreSQL.
 *
 * cut.c sees that the log is the one that was recorded, read.c takes records
 * in and fills a batch, write.c writes it in one fenced
 * transaction, publish.c publishes what changed, recorder.c is the program's
 * life. There are two batches: one fills while the other is written.
 */

#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "figures.h"
#include "job/id.h"
#include "proto/topics.h"

struct synq_batch;
struct synq_consumer;
struct synq_loop;
struct synq_pg;
struct synq_producer;
struct synq_reader;
struct synq_reader_stream;
struct synq_service;
struct synq_timer;

/* One assigned partition: how far it is read and recorded. */
struct place {
	struct synq_link link; /* on recorder->places */
	struct recorder *recorder;
	const char *topic; /* a literal */
	int32_t partition;
	int64_t recorded; /* as in the database; -1 = no row yet */
	int64_t next;     /* one after the last record taken in */
	int64_t writing;  /* next of the batch being written; -1 = none */
	int64_t as_of_at; /* time of the last record taken in; 0 = none yet */
	int64_t writing_as_of_at; /* of the batch being written; 0 = unknown */
	struct synq_reader_stream *cut; /* see cut.h; NULL = not looked for */
	int64_t cut_as_of_at;
	int cut_short;  /* the log ends below what was recorded */
	int started;    /* its place in the database is known */
	int at_end;     /* told to be at its end, and no record since */
	int full;       /* reading stopped for want of room */
	int gone;       /* revoked; freed when nothing is asked */
	uint32_t asked; /* look-ups of its offset without an answer */
};

struct recorder {
	struct synq_service *service; /* borrowed */
	struct synq_loop *loop;       /* borrowed */
	struct synq_consumer *consumer;
	struct synq_reader *reader;     /* of what was recorded */
	struct synq_producer *producer; /* of job events */
	struct synq_pg *pg;
	struct figures figures;
	struct synq_list places;
	struct synq_batch *filling;
	struct synq_batch *writing; /* spare while nothing is written */
	uint64_t began_us;          /* its transaction, monotonic */
	uint64_t filling_us;        /* first record of filling, monotonic */
	int busy;                   /* writing is on its way */
	int publishing;             /* it is written, its events are due */
	struct synq_list due; /* events that the producer had no room for */
	int draining;
	size_t
	    unsettled; /* the write, or look-ups after it failed, on the way */
	struct synq_timer *flush; /* a batch waits to fill */
	struct synq_timer *again; /* after a failed write */
	struct synq_timer *beat;  /* as_of of idle partitions; repeating */
	struct synq_timer *sweep; /* expired idempotency keys; repeating */
	struct synq_buf scratch;
	struct synq_homes homes; /* partitions of organizations */
};

/* See struct synq_program. */
int recorder_start(
    struct synq_service *service, void **ret_ctx, struct synq_err *err);
/* Write what is read, then end. */
void recorder_drain(void *ctx);
/* Free everything. */
void recorder_stop(void *ctx);
/* Say what works and what does not. */
void recorder_health(void *ctx, struct synq_service *service);

#endif
