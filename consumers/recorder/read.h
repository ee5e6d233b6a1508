#ifndef SYNQ_RECORDER_READ_H
#define SYNQ_RECORDER_READ_H

/*
 * Records in: partitions come with their place from the database, records are
 * decoded into the batch that fills.
 */

#include "kafka/consumer.h"

struct place;
struct recorder;

/* The consumer's events, for ${ctx} = the recorder. */
struct synq_consumer_events read_events(void);

/* The log holds what ${place} has recorded: read on behind it. */
void read_start(struct place *place);

/*
 * The log no longer holds what ${place} has recorded from ${next} on: the
 * database goes back to it, then reading starts there.
 */
void read_rewind(struct place *place, int64_t next);

/*
 * A look-up of ${place} was answered.  1 if it was revoked meanwhile: then it
 * may be freed now and the answer counts for nothing.
 */
int read_answered(struct place *place);

/* There is room in the batch: read on where that had stopped. */
void read_resume(struct recorder *recorder);

#endif
