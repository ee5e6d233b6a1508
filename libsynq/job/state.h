#ifndef SYNQ_JOB_STATE_H
#define SYNQ_JOB_STATE_H

/*
 * The life of a job (schema/job-states.md draws it) and its legal moves.
 * Every program asks this table; an illegal move that arrives by the log is
 * ignored and counted, never asserted (decisions 17).
 */

#include "base/attr.h"
#include "base/slice.h"

enum synq_job_state {
	SYNQ_JOB_ACCEPTED,  /* acknowledged by the log; nobody has read it */
	SYNQ_JOB_QUEUED,    /* its row stands; waits for its turn */
	SYNQ_JOB_RUNNING,   /* an attempt is on the log, its call may be out */
	SYNQ_JOB_RETRYING,  /* an attempt failed, the next one waits */
	SYNQ_JOB_SUCCEEDED, /* final: the provider's answer is stored */
	SYNQ_JOB_FAILED,    /* final: refused or out of attempts */
	SYNQ_JOB_CANCELLED, /* final: the client asked for it */
	SYNQ_JOB_EXPIRED,   /* final: its deadline passed */
	SYNQ_JOB_STATES
};

/* 1 if a job may move from ${from} to ${to}, else 0. */
int synq_job_may(enum synq_job_state from, enum synq_job_state to);

/* 1 if ${state} is final, else 0. */
int synq_job_final(enum synq_job_state state);

/*
 * How far ${state} is in a job's life: accepted 0, queued 1, running and
 * retrying 2, every final state 9.  A row never goes to a lower rank.
 */
int synq_job_rank(enum synq_job_state state);

/* The name of ${state} in lower case, as in APIs and the database. */
const char *synq_job_state_name(enum synq_job_state state);

/* The state called ${name}, into ${ret}.  Error: INVALID. */
SYNQ_MUST_CHECK int synq_job_state_parse(
    struct synq_slice name, enum synq_job_state *ret);

#endif
