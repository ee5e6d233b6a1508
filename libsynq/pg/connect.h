#ifndef SYNQ_PG_CONNECT_H
#define SYNQ_PG_CONNECT_H

/*
 * The way from a URL to a started libpq connection.  Internal to pg.
 */

#include <libpq-fe.h>

#include "base/attr.h"
#include "base/err.h"

/*
 * Check that ${url} is a libpq connection string.  Error: CONFIG; its text
 * holds nothing of ${url}, where a password may be.
 */
SYNQ_MUST_CHECK int synq_pg_url_check(const char *url, struct synq_err *err);

/*
 * As synq_pg_url_check, and that every host in ${url} is a numeric address or
 * a socket's folder: looking up a name would block the loop.
 */
SYNQ_MUST_CHECK int synq_pg_url_numeric(const char *url, struct synq_err *err);

/*
 * Begin to connect to ${url}; the caller finishes the handle.  It may be NULL
 * for want of memory, which all of libpq takes for a failed connection.
 */
PGconn *synq_pg_connect(const char *url);

#endif
