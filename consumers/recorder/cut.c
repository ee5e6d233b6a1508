/*
 * Happy path: the last record that was recorded lies where it lay and is as old
 * as the database says: reading starts behind it.
 *
 * Failure modes: the log ends before it (an alarm), or a younger record lies
 * there: the log was cut, nobody knows where, and grew since; or our clock was
 * behind.  Everything as young as the database's as_of, and what was sent a
 * while before and came late, is read again, which changes no row twice.  The
 * last record is no longer kept: nothing can be said, and the consumer is fatal
 * if there is a hole.
 */

#include "cut.h"

#include "base/log.h"
#include "kafka/reader.h"
#include "read.h"
#include "recorder.h"

/* as_of of an idle partition lags by as much as fetches overlap, and a bit. */
#define AS_OF_LAG_US 2000000
/* A record keeps the time at which its sender had it first. */
#define SENT_BEFORE_US (600LL * 1000000)

static void
cut_go_back(struct place *place, int64_t offset)
{
	cut_forget(place);
	synq_log(place->cut_short ? SYNQ_LOG_ERROR : SYNQ_LOG_WARN,
	    place->cut_short ? "log.cut" : "log.written_anew",
	    SYNQ_F_TEXT("topic", place->topic),
	    SYNQ_F_INT("partition", place->partition),
	    SYNQ_F_INT("recorded", place->recorded),
	    SYNQ_F_INT("offset", offset), SYNQ_F_END);
	read_rewind(place, offset);
}

static void
cut_on_found(void *ctx, int64_t offset)
{
	struct place *place = ctx;

	cut_go_back(
	    place, offset < place->recorded ? offset : place->recorded - 1);
}

/* The record below ${place}->recorded is not the one that was recorded. */
static void
cut_find(struct place *place)
{
	const int64_t as_of_at = place->cut_as_of_at;
	const struct synq_reader_request request = {
		.topic = place->topic,
		.partition = place->partition,
		.from = as_of_at > 0 ? SYNQ_READ_TIME : SYNQ_READ_FIRST,
		.at = as_of_at - SENT_BEFORE_US,
		.events = { .on_found = cut_on_found },
		.ctx = place,
	};

	cut_forget(place);
	place->cut = synq_reader_open(place->recorder->reader, &request);
}

static void
cut_on_message(void *ctx, const struct synq_kafka_message *message)
{
	struct place *place = ctx;

	if (message->offset < place->recorded && place->cut_as_of_at > 0 &&
	    message->time_us > place->cut_as_of_at + AS_OF_LAG_US) {
		cut_find(place);
		return;
	}
	cut_forget(place);
	read_start(place);
}

static void
cut_on_end(void *ctx)
{
	struct place *place = ctx;

	if (synq_reader_position(place->cut) < place->recorded) {
		place->cut_short = 1;
		cut_find(place);
	} else {
		cut_forget(place);
		read_start(place);
	}
}

void
cut_look(struct place *place, int64_t as_of_at)
{
	const struct synq_reader_request request = {
		.topic = place->topic,
		.partition = place->partition,
		.from = SYNQ_READ_OFFSET,
		.at = place->recorded - 1,
		.events = { .on_message = cut_on_message,
		    .on_caught_up = cut_on_end },
		.ctx = place,
	};

	place->cut_as_of_at = as_of_at;
	place->cut_short = 0;
	place->cut = synq_reader_open(place->recorder->reader, &request);
}

void
cut_forget(struct place *place)
{
	synq_reader_close(&place->cut);
}
