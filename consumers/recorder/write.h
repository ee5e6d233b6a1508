#ifndef SYNQ_RECORDER_WRITE_H
#define SYNQ_RECORDER_WRITE_H

/*
 * The batch out: one transaction, then the job events that it brought about.
 */

struct recorder;

/* Write the batch that fills, unless the other one is still on its way. */
void write_flush(struct recorder *recorder);

/* Try again what failed. */
void write_again(struct recorder *recorder);

/* Let partitions that are read to their end say so (as_of). */
void write_beat(struct recorder *recorder);

#endif
