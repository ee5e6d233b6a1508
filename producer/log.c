/*
 * Happy path: handed over, acknowledged a millisecond later.
 *
 * Failure modes: nothing is acknowledged for SILENT_US while something waits
 * for it: the log is silent until an acknowledgement comes.  Those that waited
 * are given up in the end and withdrawn, by cancels that are sent until they
 * are acknowledged, so that somebody always finds out.  If nothing was
 * withdrawn the producer itself knows how the broker is.
 */

#include "log.h"

#include "base/err.h"
#include "intake.h"
#include "kafka/producer.h"
#include "loop/loop.h"

/* A broker that was started again takes about a second. */
#define SILENT_US 2000000
/* Longer than from one try of a cancel to the next. */
#define HOLD_US 4000000

int
log_takes(struct intake *intake)
{
	struct log_watch *watch = &intake->log;
	uint64_t quiet_us;

	if (!synq_producer_healthy(intake->producer))
		return 0;
	quiet_us = synq_loop_now_us(intake->loop) - watch->heard_us;
	if (watch->unanswered > 0 && quiet_us > SILENT_US)
		watch->silent = 1;
	if (watch->unanswered == 0 && quiet_us > HOLD_US)
		watch->silent = 0;
	return !watch->silent;
}

int
log_send(struct intake *intake, const struct synq_producer_record *record)
{
	struct log_watch *watch = &intake->log;
	int rc = synq_producer_send(intake->producer, record);

	if (rc != 0)
		return rc;
	if (watch->unanswered++ == 0)
		watch->heard_us = synq_loop_now_us(intake->loop);
	return 0;
}

void
log_answered(struct intake *intake, int rc)
{
	struct log_watch *watch = &intake->log;

	watch->unanswered--;
	if (rc == 0 || watch->unanswered == 0)
		watch->heard_us = synq_loop_now_us(intake->loop);
	if (rc == 0 || (rc != -SYNQ_E_UNCERTAIN && watch->unanswered == 0))
		watch->silent = 0;
}
