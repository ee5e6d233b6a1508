#ifndef SYNQ_RECORDER_PUBLISH_H
#define SYNQ_RECORDER_PUBLISH_H

/*
 * Job events, one for each state that a batch changed.
 */

#include <stddef.h>

struct recorder;
struct synq_event;

/*
 * Publish the ${count} ${events}.  Those for which the producer has no room are
 * copied, and due.
 */
void publish_events(
    struct recorder *recorder, const struct synq_event *events, size_t count);

/* Publish what is due; 0 when nothing is left, or BUSY. */
int publish_due(struct recorder *recorder);

/* Forget what is due. */
void publish_free(struct recorder *recorder);

#endif
