#ifndef CTL_JOB_INNER_H
#define CTL_JOB_INNER_H

/*
 * A batch and its lines in hand, shared by the files that run and sum it up.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/slice.h"
#include "ctl/cli.h"
#include "ctl/job/batch.h"
#include "ctl/job/results.h"
#include "ctl/job/stats.h"
#include "ctl/progress.h"

struct client;
struct client_call;
struct lines;
struct seen;
struct synq_loop;
struct synq_timer;

/* The API takes bodies of up to 1 MiB; the envelope around one is small. */
#define BATCH_LINE_BYTES ((size_t)2 << 20)
/* Calls at once that ask for a result. */
#define BATCH_MAX_POLLS 256

struct batch {
	const struct batch_order *order;
	struct synq_loop *loop;
	struct client *client;
	struct synq_timer *timer; /* until an address may be used again */
	struct synq_timer *tick;  /* shows progress, writes results */
	int fd;                   /* the input */
	struct lines *lines;
	struct seen *seen;
	struct results *results;
	struct results_before before;
	struct synq_list items; /* struct item, all in hand */
	struct synq_list posts; /* struct item: wait to be submitted */
	struct synq_list polls; /* struct item: wait to be asked for */
	struct synq_heap later; /* struct item: come back */
	size_t posting;         /* calls in flight */
	size_t polling;
	size_t held_bytes; /* of bodies */
	uint64_t total;
	uint64_t succeeded;
	uint64_t failed; /* malformed ones included */
	uint64_t malformed;
	uint64_t skipped;
	uint64_t repeated; /* calls */
	uint64_t start_us;
	uint64_t end_us;
	uint64_t good_us; /* the last answer */
	int answered;     /* there was one */
	int at_end;       /* of the input */
	int kicked;       /* pump is deferred */
	int stopped;
	int interrupted;
	int code;
	struct stats stats;
	struct progress progress;
	struct synq_err err; /* of the last start */
};

/* One line in hand: on posts, on polls, in later, or its call runs. */
struct item {
	struct batch *batch;
	struct synq_link all;
	struct synq_link queue;
	struct synq_heap_node due;
	struct client_call *call;
	uint64_t number; /* of the line */
	uint64_t start_us;
	char *custom_id; /* as JSON; owned */
	struct synq_buf body;
	char id[64]; /* the job's once it is accepted */
	char key[80];
	int is_accepted;
	int broken; /* answers 500 */
};

/* Let the engine of ${batch} look for work at the end of this turn. */
void batch_kick(struct batch *batch);

/* End ${batch} with the exit code ${code}, unless it ends with another. */
void batch_stop(struct batch *batch, int code);

/* Say ${fmt}, which stays above the progress of ${batch}. */
void batch_tell(struct batch *batch, const char *fmt, ...) SYNQ_PRINTF(2, 3);

/* Count and write the result ${line} of ${batch}. */
void batch_write(struct batch *batch, const struct results_line *line);

/* Free the body of ${item}. */
void batch_drop_body(struct item *item);

/* Free ${item}, whose result is written or not wanted. */
void batch_drop(struct item *item);

/* Fill the window of ${batch} from its input. */
void feed_read(struct batch *batch);

/*
 * Submit ${item}.  Errors: those of client_start, and ${item} is not changed.
 */
SYNQ_MUST_CHECK int call_post(struct item *item);

/* Ask for the result of ${item}, which is accepted.  Errors as call_post. */
SYNQ_MUST_CHECK int call_poll(struct item *item);

/* Write the summary of ${batch} to the standard output. */
void summary_print(const struct batch *batch);

#endif
