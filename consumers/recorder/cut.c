/*
 * Happy path: the last record that was recorded lies where it lay and is as old
 * as the database says: reading starts behind it.
 *
 * Failure modes: the log ends before it: what comes at its end is new.  A
 * younger record lies there: the log was cut lower, nobody knows where, and
 * grew since; everything as young as the database's as_of is read again, which
 * changes no row twice.  The last record is no longer kept: nothing can be
 * said, and the consumer is fatal if there is a hole.
 */

#include "cut.h"

#include "kafka/reader.h"
#include "read.h"
#include "recorder.h"

/* as_of of an idle partition lags by as much as fetches overlap, and a bit. */
#define AS_OF_LAG_US 2000000

static void
cut_on_younger(void *ctx, int64_t offset)
{
	struct place *place = ctx;

	cut_forget(place);
	read_rewind(
	    place, offset < place->recorded ? offset : place->recorded - 1);
}

/* The record below ${place}->recorded is not the one that was recorded. */
static void
cut_find(struct place *place)
{
	const struct synq_reader_request request = {
		.topic = place->topic,
		.partition = place->partition,
		.from = SYNQ_READ_TIME,
		.at = place->cut_as_of_at,
		.events = { .on_found = cut_on_younger },
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
	const int64_t end = synq_reader_position(place->cut);

	cut_forget(place);
	if (end < place->recorded)
		read_rewind(place, end);
	else
		read_start(place);
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
	place->cut = synq_reader_open(place->recorder->reader, &request);
}

void
cut_forget(struct place *place)
{
	synq_reader_close(&place->cut);
}
