#ifndef SYNQ_PRODUCER_LOG_H
#define SYNQ_PRODUCER_LOG_H

/*
 * Whether the log takes what the intake has for it.  A broker that refuses
 * connections is known to the producer after a while; one that is silent on
 * open ones shows only by what is not acknowledged.  While neither takes
 * anything requests are refused at once instead of waiting for their limit.
 */

#include <stddef.h>
#include <stdint.h>

struct intake;
struct synq_producer_record;

/* What was handed over and heard of; part of the intake. */
struct log_watch {
	size_t unanswered;
	uint64_t heard_us; /* the last answer, or since when one is awaited */
	int silent;        /* nothing was acknowledged since it took too long */
};

/* 1 if the log of ${intake} takes records as far as is known, else 0. */
int log_takes(struct intake *intake);

/*
 * Hand ${record} of ${intake} to the producer, and count it until
 * log_answered.  Errors as synq_producer_send.
 */
int log_send(struct intake *intake, const struct synq_producer_record *record);

/* A record of log_send was answered with ${rc}. */
void log_answered(struct intake *intake, int rc);

#endif
