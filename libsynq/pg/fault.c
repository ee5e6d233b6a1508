/*
 * An error result carries a SQLSTATE, from which the code follows by the
 * first prefix in the table that fits; everything else is REFUSED.  An error
 * without one was made by libpq when the connection broke: nobody knows what
 * happened.
 */

#include "pg/fault.h"

#include <ctype.h>
#include <string.h>

#include "base/attr.h"
#include "base/slice.h"

static const struct {
	const char *prefix;
	enum synq_code code;
} states[] = {
	{ "08", SYNQ_E_UNAVAILABLE },    /* connection */
	{ "22", SYNQ_E_INVALID },        /* a value that is none of its type */
	{ "23505", SYNQ_E_CONFLICT },    /* unique violation */
	{ "23P01", SYNQ_E_CONFLICT },    /* exclusion violation */
	{ "23", SYNQ_E_INVALID },        /* a value that a constraint forbids */
	{ "25006", SYNQ_E_UNAVAILABLE }, /* read-only: a standby */
	{ "28", SYNQ_E_DENIED },         /* authorization */
	{ "40003", SYNQ_E_UNCERTAIN },   /* completion unknown */
	{ "40", SYNQ_E_CONFLICT },       /* serialization, deadlock */
	{ "42501", SYNQ_E_DENIED },      /* privilege, row-level security */
	{ "53", SYNQ_E_UNAVAILABLE },    /* disk, memory, connections */
	{ "54", SYNQ_E_INVALID },        /* a value too large to handle */
	{ "55P03", SYNQ_E_UNAVAILABLE }, /* lock not available */
	{ "57014", SYNQ_E_TIMEOUT },     /* statement_timeout, rolled back */
	{ "57P", SYNQ_E_UNAVAILABLE },   /* shutdown, starting up */
	{ "58", SYNQ_E_UNAVAILABLE },    /* the server's system failed */
	{ "SQ", SYNQ_E_FENCED },         /* platform.move_offsets */
};

enum synq_code
synq_pg_fault_code(const char *state)
{
	if (!state)
		return SYNQ_E_UNCERTAIN;
	for (size_t i = 0; i < SYNQ_COUNT(states); i++) {
		if (!strncmp(state, states[i].prefix, strlen(states[i].prefix)))
			return states[i].code;
	}
	return SYNQ_E_REFUSED;
}

int
synq_pg_fault_result(struct synq_err *err, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	enum synq_code code = synq_pg_fault_code(state);

	if (!state)
		return synq_fail(err, code, "connection to PostgreSQL lost");
	/* Class 22 quotes the value that it could not take. */
	if (!text || !strncmp(state, "22", 2))
		text = "a value was refused";
	return synq_fail(err, code, "PostgreSQL %s: %s", state, text);
}

/*
 * The SQLSTATE in a message of PQERRORS_VERBOSE, ":  28P01: ", or NULL: libpq
 * has no other way to say it for a connection.
 */
static const char *
state_in(struct synq_slice line)
{
	for (size_t i = 0; i + 10 <= line.bytes; i++) {
		const char *at = line.data + i;
		size_t k = 3;

		if (strncmp(at, ":  ", 3) != 0)
			continue;
		while (k < 8 && (isupper((unsigned char)at[k]) ||
				    isdigit((unsigned char)at[k])))
			k++;
		if (k == 8 && at[8] == ':')
			return at + 3;
	}
	return NULL;
}

int
synq_pg_fault_connection(struct synq_err *err, const PGconn *handle)
{
	const char *text = PQerrorMessage(handle);
	struct synq_slice line = { text, strcspn(text, "\n") };
	const char *state = state_in(line);
	enum synq_code code = SYNQ_E_UNAVAILABLE;

	if (state && synq_pg_fault_code(state) == SYNQ_E_DENIED)
		code = SYNQ_E_DENIED;
	if (!line.bytes)
		line = synq_slice_text("connection to PostgreSQL lost");
	return synq_fail(err, code, "%.*s", (int)line.bytes, line.data);
}
