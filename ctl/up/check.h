#ifndef CTL_UP_CHECK_H
#define CTL_UP_CHECK_H

/*
 * The doctor's list of findings, and its checks of what runs.
 */

#include "base/attr.h"
#include "base/err.h"
#include "ctl/cli.h"

struct print_table;
struct synq_config;

struct check {
	struct cli *cli;
	struct print_table *table;
	size_t failed;
};

/* Begin the list of ${check}. */
void check_begin(struct check *check);

/* Write the list of ${check} and free it; returns the exit code. */
int check_end(struct check *check);

/* ${name} is well, as ${fmt} says. */
void check_ok(struct check *check, const char *name, const char *fmt, ...)
    SYNQ_PRINTF(3, 4);

/* ${name} is not well; ${fmt} says what it is and how to mend it. */
void check_fail(struct check *check, const char *name, const char *fmt, ...)
    SYNQ_PRINTF(3, 4);

/* 1 if ${section}.${name} of ${config} names a server of somebody else. */
int check_is_external(
    const struct synq_config *config, const char *section, const char *name);

/* Does everything run, and is it ready? */
void check_processes(struct check *check);

/* Does PostgreSQL answer, is it new enough, are tables and rights right? */
void check_database(struct check *check);

/* Does Kafka answer, and are the topics right? */
void check_topics(struct check *check);

#endif
