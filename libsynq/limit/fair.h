#ifndef SYNQ_LIMIT_FAIR_H
#define SYNQ_LIMIT_FAIR_H

/*
 * The fair queue: a FIFO per tenant and class, served by deficit round robin
 * (Shreedhar and Varghese 1995) with a cap on what each tenant has in flight.
 * Two classes, interactive and batch, are served 8:1 with a floor for batch.
 *
 * Pure: no clock.  Items are links inside the caller's objects, the cost of
 * an item is given when it is pushed.  All operations are O(1) as long as the
 * quantum covers the usual cost; a costlier item takes one more walk over the
 * tenants that have items.  Tenants at their cap stand on a list of their own.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/uuid.h"

struct synq_fair;

enum synq_fair_class { SYNQ_FAIR_INTERACTIVE, SYNQ_FAIR_BATCH };

/* What an item carries; embedded in the caller's object. */
struct synq_fair_item {
	struct synq_link link;
	void *tenant; /* the queue's own record while it is queued or taken */
	uint32_t cost;
	enum synq_fair_class class;
};

struct synq_fair_config {
	uint32_t quantum;          /* cost units per turn of weight 1 */
	uint32_t tenant_in_flight; /* cap per tenant; 0 = none */
	uint32_t batch_every;      /* 1 batch item per so many (9 = 8:1) */
};

/* A queue as ${config} says; the caller frees it. */
struct synq_fair *synq_fair_new(const struct synq_fair_config *config);

/* Free *${fair}; items still queued belong to the caller.  Sets it to NULL. */
void synq_fair_free(struct synq_fair **fair);

/*
 * Queue ${item} for ${tenant} in ${class} with ${cost} (1 = a plain request).
 */
void synq_fair_push(struct synq_fair *fair, const struct synq_uuid *tenant,
    struct synq_fair_item *item, enum synq_fair_class class, uint32_t cost);

/* As synq_fair_push, in front of the tenant's others (a retry that is due). */
void synq_fair_push_front(struct synq_fair *fair,
    const struct synq_uuid *tenant, struct synq_fair_item *item,
    enum synq_fair_class class, uint32_t cost);

/*
 * The next item to run, counted as in flight for its tenant; NULL if nothing
 * may run.  Give it back with synq_fair_finish.
 */
struct synq_fair_item *synq_fair_pop(struct synq_fair *fair);

/* ${item}, popped before, is no longer in flight. */
void synq_fair_finish(struct synq_fair *fair, struct synq_fair_item *item);

/* Take the queued ${item} out (cancelled, revoked). */
void synq_fair_remove(struct synq_fair *fair, struct synq_fair_item *item);

/* Set the weight of ${tenant} (1..1000; 1 by default). */
void synq_fair_weight(
    struct synq_fair *fair, const struct synq_uuid *tenant, uint32_t weight);

/* How many items are queued. */
size_t synq_fair_queued(const struct synq_fair *fair);

/* How many items are in flight. */
size_t synq_fair_in_flight(const struct synq_fair *fair);

/* How many items ${tenant} has queued. */
size_t synq_fair_tenant_queued(
    const struct synq_fair *fair, const struct synq_uuid *tenant);

#endif
