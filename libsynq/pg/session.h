#ifndef SYNQ_PG_SESSION_H
#define SYNQ_PG_SESSION_H

/*
 * A blocking connection, for the command line: migrations and administration.
 * Never on a loop.
 */

#include "pg/pg.h"

struct synq_session;

/* Connect to ${url} within ${limit_ms}.  Errors: UNAVAILABLE, DENIED. */
SYNQ_MUST_CHECK int synq_session_new(const char *url, uint32_t limit_ms,
    struct synq_session **ret, struct synq_err *err);

/* Close and free *${session}; sets it to NULL. */
void synq_session_free(struct synq_session **session);

/*
 * Run ${statement}; its rows into ${ret_rows} (may be NULL), to be freed with
 * synq_session_rows_free.  Errors as synq_pg_done_fn.
 */
SYNQ_MUST_CHECK int synq_session_query(struct synq_session *session,
    const struct synq_pg_statement *statement, struct synq_pg_rows **ret_rows,
    struct synq_err *err);

/*
 * Run the script ${sql}, several statements without parameters, as one
 * implicit transaction.  ${err} names the line.
 */
SYNQ_MUST_CHECK int synq_session_script(
    struct synq_session *session, const char *sql, struct synq_err *err);

/* Free *${rows}; sets it to NULL. */
void synq_session_rows_free(struct synq_pg_rows **rows);

#endif
