#ifndef CTL_UP_TOOLS_H
#define CTL_UP_TOOLS_H

/*
 * Finding the programs that an installation is made of.  What is missing is
 * said with the command that brings it.
 */

#include "base/attr.h"
#include "base/err.h"

struct place;

/* Find Java 17 and Kafka's jars for ${place}.  Error: NOT_FOUND. */
SYNQ_MUST_CHECK int tools_kafka(struct place *place, struct synq_err *err);

/* Find the programs of PostgreSQL for ${place}.  Error: NOT_FOUND. */
SYNQ_MUST_CHECK int tools_pg(struct place *place, struct synq_err *err);

/* Find redis-server for ${place}.  Error: NOT_FOUND. */
SYNQ_MUST_CHECK int tools_redis(struct place *place, struct synq_err *err);

/*
 * The executable of the program ${name} ("synq-intake"), which the caller
 * frees, into ${ret}.  Error: NOT_FOUND.
 */
SYNQ_MUST_CHECK int tools_program(const struct place *place, const char *name,
    char **ret, struct synq_err *err);

#endif
