#ifndef SYNQ_DISPATCHER_ASSIGN_H
#define SYNQ_DISPATCHER_ASSIGN_H

/*
 * How a partition comes and goes: the group's committed offset and map, the
 * results since, the cancels, then the requests themselves.
 */

#include "kafka/consumer.h"

struct dispatcher;
struct figures_track;
struct partition;

/* The events of a consumer, for ${ctx} = its struct source. */
struct synq_consumer_events assign_events(void);

/* Ask for the groups' members if any attempt is held; end what is over. */
void assign_check_held(struct dispatcher *dispatcher);

/* The name of the topic of ${partition}. */
const char *assign_topic(const struct partition *partition);

/* The gauges of ${partition}, which is assigned. */
struct figures_track *assign_track(const struct partition *partition);

#endif
