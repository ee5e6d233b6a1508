#ifndef CTL_JOB_RESULTS_H
#define CTL_JOB_RESULTS_H

/*
 * The output of a batch: one line a request in OpenAI's form, appended as they
 * come.  A file that is there already is gone on with.
 *
 * Blocking: a local file, written in pieces.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct results;
struct seen;

/* What an earlier run has left. */
struct results_before {
	uint64_t count;
	uint64_t failed;
	uint64_t cut_bytes; /* of a last line that was not whole */
};

/* One line.  Either status is not 0, or code and message are set. */
struct results_line {
	struct synq_slice id;        /* the job's, or that of a bad line */
	struct synq_slice custom_id; /* as JSON; empty = null */
	int status;
	struct synq_slice request_id;
	struct synq_slice body; /* of the answer */
	const char *code;
	const char *message;
};

/*
 * Open ${path}, which may be there already: what it holds is added to ${seen}
 * and ${before}, and a torn last line is cut off.  The caller closes ${ret}.
 * Errors: SYSTEM; CONFLICT if another run writes it or it holds something
 * else.
 */
SYNQ_MUST_CHECK int results_open(const char *path, struct seen *seen,
    struct results_before *before, struct results **ret, struct synq_err *err);

/* 1 if ${results} and the descriptor ${fd} are the same file, else 0. */
int results_is_file(const struct results *results, int fd);

/* Append ${line} to ${results}; errors are kept for results_flush. */
void results_add(struct results *results, const struct results_line *line);

/* Write what was added to ${results}.  Error: SYSTEM. */
SYNQ_MUST_CHECK int results_flush(
    struct results *results, struct synq_err *err);

/*
 * Write what was added and see to it that it survives a power loss.  Error:
 * SYSTEM.
 */
SYNQ_MUST_CHECK int results_sync(struct results *results, struct synq_err *err);

/* Close *${results} without writing; sets it to NULL; NULL is fine. */
void results_close(struct results **results);

#endif
