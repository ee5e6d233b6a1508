#ifndef SYNQ_DISPATCHER_CALL_H
#define SYNQ_DISPATCHER_CALL_H

/*
 * The call to a provider: from a work to an HTTP request, from the HTTP answer
 * to what the core decides by.
 */

struct work;

/* core_io.call: ${ctx} is the dispatcher. */
void call_start(void *ctx, struct work *work);

/* core_io.abort. */
void call_abort(void *ctx, struct work *work);

#endif
