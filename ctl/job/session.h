#ifndef CTL_JOB_SESSION_H
#define CTL_JOB_SESSION_H

/*
 * What a command of the noun "job" works with.  Blocking.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "ctl/cli.h"
#include "ctl/client.h"

struct synq_loop;

/* How long one call may take, beside what it is asked to wait. */
#define SESSION_LIMIT_MS 30000
/* How long to try again while trouble is passing. */
#define SESSION_PATIENCE_US 10000000
/* As long as a job may take: "for ever". */
#define SESSION_LONGEST_S (7 * 86400)

struct session {
	struct cli *cli;
	struct synq_loop *loop;
	struct client *client; /* NULL if it could not be opened */
};

/*
 * Open ${session} for ${cli}; session_close is called in any case.  Returns 0,
 * or the exit code after a complaint.
 */
SYNQ_MUST_CHECK int session_open(struct session *session, struct cli *cli);

/* Free what ${session} owns. */
void session_close(struct session *session);

/*
 * Get ${path}, which may wait for ${wait_s}, into ${ret}: 0 and any status, or
 * the exit code after a complaint.
 */
SYNQ_MUST_CHECK int session_get(struct session *session, const char *path,
    uint32_t wait_s, struct client_reply *ret);

/*
 * Write the path of what belongs to job ${id}, with ${tail}, to the new buffer
 * ${out}.  Returns 0, or the exit code after a complaint; ${out} is empty then.
 */
SYNQ_MUST_CHECK int session_path(
    const char *id, const char *tail, struct synq_buf *out);

/*
 * Wait until ${give_up_us} for the result of job ${id}, into ${ret}: 0 and
 * ret->is_result says whether it came, or the exit code after a complaint.
 */
SYNQ_MUST_CHECK int session_wait(struct session *session, const char *id,
    uint64_t give_up_us, struct client_reply *ret);

/*
 * Print the body of the result of job ${id}, waiting for it up to ${wait_s};
 * returns the exit code.
 */
SYNQ_MUST_CHECK int session_print_result(
    struct session *session, const char *id, uint64_t wait_s);

#endif
