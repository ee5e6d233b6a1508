#ifndef SYNQ_DISPATCHER_OPENS_H
#define SYNQ_DISPATCHER_OPENS_H

/*
 * The attempts of one request that are begun and not ended, by whoever made
 * them.  Usually one; two where a partition moved while an attempt.started was
 * on its way.  A request waits until all of them have ended or their makers'
 * lives are over.
 */

#include "core.h"

/* More than can be open at once: each take-over adds at most one. */
#define OPENS_MAX 4

struct open_attempt {
	struct synq_uuid id;
	struct maker maker;
	int64_t call_deadline_at; /* wall us */
};

struct opens {
	struct open_attempt items[OPENS_MAX];
	uint32_t count;
};

/* Add the attempt that ${started} tells of; the oldest goes if it is full. */
void opens_add(struct opens *opens, const struct synq_outcome *started);

/* The attempt ${id} has ended: 1, or 0 if it was not open. */
int opens_remove(struct opens *opens, const struct synq_uuid *id);

/*
 * Drop the attempts of lives that are over: announced anew, or (${names} not
 * NULL) no longer among the ${count} members ${names}.  Returns how many.
 */
uint32_t opens_drop_dead(struct opens *opens, const struct core *core,
    const char *const *names, size_t count);

/* When the last of their calls must have ended, wall us. */
int64_t opens_deadline_at(const struct opens *opens);

#endif
