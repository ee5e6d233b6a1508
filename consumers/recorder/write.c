/*
 * The batch out.
 *
 * Happy path: swap the batches, add how far each partition goes from where the
 * database stood, write, publish an event for each state that changed.
 *
 * PostgreSQL may come back with less than it had (its commits are not waited
 * for): then this process ends and begins anew from what there is.
 *
 * Failure modes: whatever went wrong (PostgreSQL gone, no answer, fenced by
 * another member), it is not known what the database has.  So it is asked where
 * it stands in each partition, and the same rows are written again from there:
 * writing them twice changes nothing.  The producer of events is full: the next
 * batch waits.
 */

#include "write.h"

#include <inttypes.h>

#include "base/log.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "publish.h"
#include "read.h"
#include "recorder.h"
#include "service/service.h"
#include "store/record.h"

/*
 * From so many records on a batch is held for longer.  A job is up to three
 * records that come one after another; when they meet in a batch its rows are
 * written once, which saves PostgreSQL a fifth of its time.
 */
#define LOAD_RECORDS 200
/* How soon to try a failed write again. */
#define WRITE_AGAIN_US 200000

static void write_start(struct recorder *recorder);

/*
 * PostgreSQL crashed and lost its last commits, rows and offsets together:
 * what they said must be read again.  A new life begins where it stands now.
 */
static void
write_went_back(struct place *place, int64_t next)
{
	struct synq_err err;

	(void)synq_fail(&err, SYNQ_E_FENCED,
	    "PostgreSQL is back at offset %" PRId64 " of %s[%" PRId32
	    "], which was recorded up to %" PRId64
	    ": starting again from there",
	    next, place->topic, place->partition, place->recorded);
	synq_service_fail(place->recorder->service, &err);
}

static void
write_on_offset(void *ctx, int rc, int64_t next, int64_t as_of_at)
{
	struct place *place = ctx;
	struct recorder *recorder = place->recorder;

	(void)as_of_at;
	recorder->unsettled--;
	if (read_answered(place)) {
		rc = 0;
	} else if (rc == 0 && next < place->recorded) {
		write_went_back(place, next);
		return;
	} else if (rc == 0) {
		place->recorded = next;
		if (next > place->writing)
			place->writing = next;
		if (next > place->next)
			place->next = next;
	}
	if (rc != 0)
		synq_timer_start(recorder->again, WRITE_AGAIN_US);
	else if (recorder->unsettled == 0 &&
		 !synq_timer_active(recorder->again))
		write_start(recorder);
}

/* Ask where the database stands, then write the same batch again. */
static void
write_ask(struct recorder *recorder)
{
	struct synq_link *link;
	struct place *place;

	for (link = synq_list_first(&recorder->places); link != NULL;
	     link = synq_list_next(&recorder->places, link)) {
		place = SYNQ_CONTAINER(link, struct place, link);
		if (place->writing < 0)
			continue;
		if (synq_store_offset(recorder->pg, place->topic,
			place->partition, write_on_offset, place) != 0) {
			synq_timer_start(recorder->again, WRITE_AGAIN_US);
			return;
		}
		place->asked++;
		recorder->unsettled++;
	}
	if (recorder->unsettled == 0)
		write_start(recorder);
}

/* The batch is in the database. */
static void
write_finish(struct recorder *recorder)
{
	struct synq_link *link;
	struct place *place;

	for (link = synq_list_first(&recorder->places); link != NULL;
	     link = synq_list_next(&recorder->places, link)) {
		place = SYNQ_CONTAINER(link, struct place, link);
		if (place->writing >= 0)
			place->recorded = place->writing;
		place->writing = -1;
	}
	synq_batch_clear(recorder->writing);
	recorder->publishing = 0;
	recorder->busy = 0;
}

/* Publish what is due; when that is done, so is the batch. */
static void
write_publish(struct recorder *recorder)
{
	if (publish_due(recorder) != 0) {
		synq_timer_start(recorder->again, WRITE_AGAIN_US);
		return;
	}
	write_finish(recorder);
	if (synq_batch_records(recorder->filling) == 0) {
		if (recorder->draining)
			synq_service_drained(recorder->service);
	} else if (!synq_timer_active(recorder->flush)) {
		write_flush(recorder);
	}
	read_resume(recorder);
}

static void
write_on_done(void *ctx, int rc, const struct synq_event *events, size_t count,
    const struct synq_err *err)
{
	struct recorder *recorder = ctx;

	recorder->unsettled--;
	if (rc == -SYNQ_E_FENCED)
		figures_fenced(&recorder->figures);
	if (rc != 0) {
		synq_log(SYNQ_LOG_WARN, "batch.not_written",
		    SYNQ_F_TEXT("code", synq_err_name(rc)), SYNQ_F_ERR(err),
		    SYNQ_F_END);
		synq_timer_start(recorder->again, WRITE_AGAIN_US);
		return;
	}
	figures_written(&recorder->figures, recorder->writing,
	    synq_loop_now_us(recorder->loop) - recorder->began_us);
	publish_events(recorder, events, count);
	recorder->publishing = 1;
	write_publish(recorder);
}

static void
write_start(struct recorder *recorder)
{
	struct synq_batch_offset offset;
	struct synq_link *link;
	struct place *place;

	synq_batch_clear_offsets(recorder->writing);
	for (link = synq_list_first(&recorder->places); link != NULL;
	     link = synq_list_next(&recorder->places, link)) {
		place = SYNQ_CONTAINER(link, struct place, link);
		if (place->writing < 0)
			continue;
		offset = (struct synq_batch_offset){
			.topic = place->topic,
			.partition = place->partition,
			.expected = place->recorded,
			.next = place->writing,
			.as_of = place->writing_as_of_at,
		};
		synq_batch_offset(recorder->writing, &offset);
	}
	recorder->began_us = synq_loop_now_us(recorder->loop);
	/* Until it is answered nobody may ask, or write, again. */
	if (synq_batch_write(
		recorder->writing, recorder->pg, write_on_done, recorder) == 0)
		recorder->unsettled++;
	else
		synq_timer_start(recorder->again, WRITE_AGAIN_US);
}

void
write_wait(struct recorder *recorder)
{
	const struct synq_config *config =
	    synq_service_config(recorder->service);

	if (synq_timer_active(recorder->flush))
		return;
	recorder->filling_us = synq_loop_now_us(recorder->loop);
	synq_timer_start(
	    recorder->flush, (uint64_t)config->recorder_batch_ms * 1000);
}

void
write_due(struct recorder *recorder)
{
	const struct synq_config *config =
	    synq_service_config(recorder->service);
	const uint64_t end_us =
	    recorder->filling_us + (uint64_t)config->recorder_merge_ms * 1000;
	const uint64_t now_us = synq_loop_now_us(recorder->loop);

	if (synq_batch_records(recorder->filling) >= LOAD_RECORDS &&
	    now_us < end_us)
		synq_timer_start(recorder->flush, end_us - now_us);
	else
		write_flush(recorder);
}

/*
 * All of ${place} before this is in the batches up to the one that fills.  Of
 * a partition at its end that is known as of the last fetch; not as of now: a
 * broker that is out of reach tells of no record either.
 */
static int64_t
write_as_of_at(const struct place *place)
{
	const struct recorder *recorder = place->recorder;
	const uint64_t behind_us = synq_consumer_behind_us(recorder->consumer);

	if (!place->at_end || behind_us == UINT64_MAX)
		return place->as_of_at;
	return synq_loop_wall_us(recorder->loop) - (int64_t)behind_us;
}

void
write_flush(struct recorder *recorder)
{
	struct synq_batch *full = recorder->filling;
	struct synq_link *link;
	struct place *place;

	/* From now on the end of the other write begins this one. */
	synq_timer_stop(recorder->flush);
	if (recorder->busy)
		return;
	recorder->filling = recorder->writing;
	recorder->writing = full;
	recorder->busy = 1;
	for (link = synq_list_first(&recorder->places); link != NULL;
	     link = synq_list_next(&recorder->places, link)) {
		place = SYNQ_CONTAINER(link, struct place, link);
		if (!place->started)
			continue;
		place->writing = place->next;
		/* Now: a later try must not tell of what is read meanwhile. */
		place->writing_as_of_at = write_as_of_at(place);
	}
	write_start(recorder);
}

void
write_again(struct recorder *recorder)
{
	if (recorder->publishing)
		write_publish(recorder);
	else if (recorder->busy && recorder->unsettled == 0)
		write_ask(recorder);
	else if (recorder->busy)
		synq_timer_start(recorder->again, WRITE_AGAIN_US);
	else
		read_resume(recorder);
}

void
write_beat(struct recorder *recorder)
{
	struct synq_link *link;
	struct place *place;
	int idle = 0;

	/* A batch that is on its way, or will be, says it as well. */
	if (recorder->busy || synq_batch_records(recorder->filling) > 0)
		return;
	for (link = synq_list_first(&recorder->places); link != NULL;
	     link = synq_list_next(&recorder->places, link)) {
		place = SYNQ_CONTAINER(link, struct place, link);
		idle += place->started && place->at_end;
	}
	if (idle > 0)
		write_flush(recorder);
}
