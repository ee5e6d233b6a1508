#ifndef SYNQ_PG_FAULT_H
#define SYNQ_PG_FAULT_H

/*
 * What the server's errors mean.  Internal to pg.
 *
 * Texts never hold a row's values: the server's detail and hint are dropped,
 * and so is the message of a "data exception", which quotes the input.
 */

#include <libpq-fe.h>

#include "base/err.h"

/* The code for the five characters ${state}; UNCERTAIN if it is NULL. */
enum synq_code synq_pg_fault_code(const char *state);

/* Fill ${err} from the error ${result}; returns the negative code. */
int synq_pg_fault_result(struct synq_err *err, const PGresult *result);

/*
 * Fill ${err} from the failed or broken connection ${handle}; returns the
 * negative code, DENIED or UNAVAILABLE.
 */
int synq_pg_fault_connection(struct synq_err *err, const PGconn *handle);

#endif
