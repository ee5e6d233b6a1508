#ifndef CTL_JOB_LINES_H
#define CTL_JOB_LINES_H

/*
 * A file of lines, read piece by piece, and what an OpenAI batch line says:
 * {"custom_id": ..., "method": "POST", "url": ..., "body": {...}}.
 *
 * Blocking: a local file.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct lines;

/* One line, valid until the next is read. */
struct line {
	uint64_t number;        /* 1-based, blank lines counted */
	uint64_t offset;        /* of its first byte in the file */
	struct synq_slice text; /* without its end; empty if it is too long */
	int is_too_long;
	int is_torn; /* the file ends before the line does */
};

/*
 * Read lines of at most ${max_bytes} from the descriptor ${fd}, which stays
 * the caller's, from its start; the caller frees what is returned.
 */
struct lines *lines_new(int fd, size_t max_bytes);

/* Free *${lines}; sets it to NULL. */
void lines_free(struct lines **lines);

/*
 * The next line that is not blank, into ${ret}: 1, or 0 at the end.  Error:
 * SYSTEM.
 */
SYNQ_MUST_CHECK int lines_next(
    struct lines *lines, struct line *ret, struct synq_err *err);

/*
 * How many lines that are not blank ${fd} has, into ${ret}, reading no further
 * than ${max}.  Error: SYSTEM.
 */
SYNQ_MUST_CHECK int lines_count(
    int fd, uint64_t max, uint64_t *ret, struct synq_err *err);

/* What a batch line asks for; slices borrow the line. */
struct lines_request {
	struct synq_slice custom_id; /* as JSON, with its quotes */
	struct synq_slice body;      /* as JSON */
	const char *endpoint;        /* static */
};

/* Why it cannot be run. */
struct lines_fault {
	const char *code; /* as in OpenAI's batches */
	char text[200];
};

/*
 * Read the batch line ${text} into ${ret}; 0, or -1 and ${fault}.  If the fault
 * is not in custom_id itself, that is set nevertheless.
 */
SYNQ_MUST_CHECK int lines_parse(struct synq_slice text,
    struct lines_request *ret, struct lines_fault *fault);

#endif
