#ifndef SYNQ_DISPATCHER_ANNOUNCE_H
#define SYNQ_DISPATCHER_ANNOUNCE_H

/*
 * This life on synq.control, before the group is joined (life.h says why), and
 * the lives of others read from there.
 */

#include "base/slice.h"

struct dispatcher;

/* Announce this life, once; when that is acknowledged the group is joined. */
void announce_life(struct dispatcher *dispatcher);

/* ${text} = "<name>:<boot id>" was read. */
void announce_heard(struct dispatcher *dispatcher, struct synq_slice text);

#endif
