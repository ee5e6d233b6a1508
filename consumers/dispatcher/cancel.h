#ifndef SYNQ_DISPATCHER_CANCEL_H
#define SYNQ_DISPATCHER_CANCEL_H

/*
 * Cancels that came before their request was read.  Bounded: the oldest go
 * first; a job whose cancel is forgotten simply runs.
 */

#include "core.h"

/* The cancel of ${request}, if one waits: 1 and ${ret_reason}; else 0. */
int cancel_take(struct core *core, const struct synq_request *request,
    enum synq_cancel_reason *ret_reason);

/* Free all that wait. */
void cancel_free_all(struct core *core);

#endif
