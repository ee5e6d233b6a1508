#ifndef SYNQ_PG_ROWS_H
#define SYNQ_PG_ROWS_H

/*
 * The result of one statement.  Internal to pg.
 */

#include <libpq-fe.h>

struct synq_pg_rows {
	PGresult *result; /* owned; NULL = no answer yet */
};

/* Let go of what ${rows} holds. */
void synq_pg_rows_done(struct synq_pg_rows *rows);

#endif
