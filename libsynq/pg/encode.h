#ifndef SYNQ_PG_ENCODE_H
#define SYNQ_PG_ENCODE_H

/*
 * Parameters in the binary form of the server's protocol: big-endian numbers,
 * and arrays as dimensions followed by (length, bytes) of each element.
 *
 * Limits: SYNQ_PG_MAX_VALUE_BYTES for one value.  Internal to pg.
 */

#include <stddef.h>
#include <stdint.h>

#include "pg/pg.h"

/* A quarter of what the server takes in one message. */
#define SYNQ_PG_MAX_VALUE_BYTES ((size_t)256 << 20)

/* 1 if ${param} is NULL on the server, else 0. */
int synq_pg_param_is_null(const struct synq_pg_param *param);

/* The server's type number of ${param}; 0 lets the server find out. */
uint32_t synq_pg_param_type(const struct synq_pg_param *param);

/* How many bytes ${param} takes; SIZE_MAX if it is above the limit. */
size_t synq_pg_param_bytes(const struct synq_pg_param *param);

/* Write ${param}, which is not NULL, to ${ret}: synq_pg_param_bytes of it. */
void synq_pg_param_write(const struct synq_pg_param *param, char *ret);

#endif
