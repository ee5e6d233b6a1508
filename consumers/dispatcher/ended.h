#ifndef SYNQ_DISPATCHER_ENDED_H
#define SYNQ_DISPATCHER_ENDED_H

/*
 * The jobs that ended last.  An intake whose producer is rebuilt writes a
 * request a second time, seconds after the first, which may have ended by then:
 * the second must not be called.  Bounded: the oldest are forgotten first.
 *
 * The core remembers what ended here, each partition what its results tell of
 * others: however many of them a take-over reads, they forget nothing else.
 */

#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"

/* Here: two seconds' worth at full speed, minutes at usual ones; 2 MB. */
#define ENDED_KEPT 16384
/*
 * Of one partition: full speed over 16 partitions is 500 a second, so eight
 * seconds' worth; half a MB.
 */
#define ENDED_KEPT_OF_PARTITION 4096

struct ended {
	struct synq_map *ids;   /* job id => struct ended_job */
	struct synq_list order; /* the same, oldest first */
	size_t limit;
};

/* Let ${ended} be empty, and remember ${limit} jobs at most. */
void ended_init(struct ended *ended, size_t limit);

/* The job ${id} has its result on the log. */
void ended_add(struct ended *ended, const struct synq_uuid *id);

/* 1 if the job ${id} is known to ${ended}, else 0. */
int ended_has(const struct ended *ended, const struct synq_uuid *id);

/* Free all that ${ended} holds. */
void ended_done(struct ended *ended);

#endif
