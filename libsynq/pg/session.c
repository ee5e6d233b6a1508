/*
 * Connect (by poll, since libpq knows only whole seconds), query, close.  The
 * session has no settings of ours: the command line decides by statements.
 *
 * Failure modes: the same codes as on the loop; a connection that breaks while
 * a statement runs gives UNCERTAIN, and everything after it UNAVAILABLE.
 */

#include "pg/session.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pg/connect.h"
#include "pg/fault.h"
#include "pg/rows.h"
#include "pg/script.h"
#include "pg/work.h"

struct synq_session {
	PGconn *handle;
};

/* Wait for ${events} on ${handle} until ${deadline_us}; 0 or TIMEOUT. */
static int
wait_for(const PGconn *handle, short events, uint64_t deadline_us)
{
	struct pollfd at = { .fd = PQsocket(handle), .events = events };
	int count;

	do {
		uint64_t now_us = synq_clock_mono_us();
		uint64_t left_us =
		    deadline_us > now_us ? deadline_us - now_us : 0;
		uint64_t left_ms = (left_us + 999) / 1000;

		count =
		    poll(&at, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
	} while (count < 0 && errno == EINTR);
	return count > 0 ? 0 : -SYNQ_E_TIMEOUT;
}

static int
shake_hands(PGconn *handle, uint64_t deadline_us, struct synq_err *err)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	if (PQstatus(handle) == CONNECTION_BAD)
		return synq_pg_fault_connection(err, handle);
	while (status != PGRES_POLLING_OK) {
		short events =
		    status == PGRES_POLLING_READING ? POLLIN : POLLOUT;

		if (wait_for(handle, events, deadline_us))
			return synq_fail(err, SYNQ_E_UNAVAILABLE,
			    "PostgreSQL does not answer in time");
		status = PQconnectPoll(handle);
		if (status == PGRES_POLLING_FAILED)
			return synq_pg_fault_connection(err, handle);
	}
	return 0;
}

int
synq_session_new(const char *url, uint32_t limit_ms, struct synq_session **ret,
    struct synq_err *err)
{
	uint64_t deadline_us = synq_clock_mono_us() + (uint64_t)limit_ms * 1000;
	struct synq_session *session;
	int rc = synq_pg_url_check(url, err);

	if (rc)
		return rc;
	session = synq_mem_new(sizeof(*session));
	session->handle = synq_pg_connect(url);
	rc = shake_hands(session->handle, deadline_us, err);
	if (rc)
		goto fail;
	*ret = session;
	return 0;

fail:
	synq_session_free(&session);
	return rc;
}

void
synq_session_free(struct synq_session **session)
{
	if (!*session)
		return;
	PQfinish((*session)->handle);
	synq_mem_free(*session);
	*session = NULL;
}

static int
check_alive(const struct synq_session *session, struct synq_err *err)
{
	if (PQstatus(session->handle) == CONNECTION_OK)
		return 0;
	return synq_fail(
	    err, SYNQ_E_UNAVAILABLE, "the connection to PostgreSQL is lost");
}

/* 0 if ${result} is an answer; else fills ${err}. */
static int
check_result(const PGresult *result, struct synq_err *err)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
	    status == PGRES_EMPTY_QUERY)
		return 0;
	if (status == PGRES_FATAL_ERROR)
		return synq_pg_fault_result(err, result);
	return synq_fail(err, SYNQ_E_REFUSED,
	    "COPY from or to the client is not possible here");
}

int
synq_session_query(struct synq_session *session,
    const struct synq_pg_statement *statement, struct synq_pg_rows **ret_rows,
    struct synq_err *err)
{
	/* One call in the form of libpq, made as for the loop. */
	const struct synq_pg_transaction transaction = {
		.statements = statement, .count = 1
	};
	struct synq_pg_work *work = NULL;
	const struct synq_pg_call *call;
	struct synq_pg_rows rows = { NULL };
	int rc = check_alive(session, err);

	if (rc)
		return rc;
	rc = synq_pg_work_new(&transaction, &work);
	if (rc)
		return synq_fail(
		    err, SYNQ_E_TOO_LARGE, "a parameter is too large");
	call = &work->calls[0];
	rows.result = PQexecParams(session->handle, call->sql, call->count,
	    call->types, call->values, call->lengths, call->formats, 1);
	rc = check_result(rows.result, err);
	synq_pg_work_free(&work);
	if (rc || !ret_rows) {
		synq_pg_rows_done(&rows);
		return rc;
	}
	*ret_rows = synq_mem_new(sizeof(**ret_rows));
	**ret_rows = rows;
	return 0;
}

/* The line of ${sql} to blame for ${result}, behind ${answered} others. */
static size_t
line_of(const char *sql, const PGresult *result, size_t answered)
{
	const char *position =
	    PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	uint64_t at;

	if (position &&
	    !synq_slice_u64(synq_slice_text(position), SIZE_MAX, &at))
		return synq_pg_script_line_at(sql, (size_t)at);
	return synq_pg_script_line(sql, answered);
}

/*
 * End the COPY that ${result} begins: until that is done libpq gives the same
 * result for ever.  What a script copies out is dropped.
 */
static void
end_copy(PGconn *handle, const PGresult *result)
{
	char *row = NULL;

	if (PQresultStatus(result) == PGRES_COPY_IN)
		(void)PQputCopyEnd(handle, "nothing to copy");
	if (PQresultStatus(result) != PGRES_COPY_OUT)
		return;
	while (PQgetCopyData(handle, &row, 0) > 0)
		PQfreemem(row);
}

int
synq_session_script(
    struct synq_session *session, const char *sql, struct synq_err *err)
{
	struct synq_err first = { 0 };
	PGresult *result;
	size_t answered = 0;
	int rc = check_alive(session, err);

	if (rc)
		return rc;
	if (!PQsendQuery(session->handle, sql))
		return synq_pg_fault_connection(err, session->handle);
	while ((result = PQgetResult(session->handle))) {
		end_copy(session->handle, result);
		if (!rc && PQresultStatus(result) != PGRES_COPY_OUT) {
			rc = check_result(result, &first);
			if (rc)
				(void)synq_wrap(&first, rc, "line %zu",
				    line_of(sql, result, answered));
			answered++;
		}
		PQclear(result);
	}
	if (rc && err)
		*err = first;
	return rc;
}

void
synq_session_rows_free(struct synq_pg_rows **rows)
{
	if (!*rows)
		return;
	synq_pg_rows_done(*rows);
	synq_mem_free(*rows);
	*rows = NULL;
}
