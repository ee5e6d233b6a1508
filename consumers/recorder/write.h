#ifndef SYNQ_RECORDER_WRITE_H
#define SYNQ_RECORDER_WRITE_H

/*
 * The batch out: one transaction, then the job events that it brought about.
 */

struct recorder;

/* The batch that fills gets its first record: it has so long to fill. */
void write_wait(struct recorder *recorder);

/* Its time is over: write it, or let it fill further if there is load. */
void write_due(struct recorder *recorder);

/* Write the batch that fills, or as soon as the other one is written. */
void write_flush(struct recorder *recorder);

/* Try again what failed. */
void write_again(struct recorder *recorder);

/* Let partitions that are read to their end say so (as_of). */
void write_beat(struct recorder *recorder);

#endif
