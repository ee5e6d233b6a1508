#ifndef SYNQ_STORE_INNER_H
#define SYNQ_STORE_INNER_H

/*
 * A question on its way to a store: what must be kept until the answer is
 * there.  Internal to store.
 *
 * When the pool is freed, answers that have not arrived never will.  Their
 * calls stay on the list of all calls until the process ends, which is when
 * programs free their pools.
 */

#include <stddef.h>

#include "base/list.h"

struct store_call {
	struct synq_link link;
};

/* A new zeroed object of ${bytes} that begins with a struct store_call. */
void *store_call_new(size_t bytes);

/* Free ${call}, which came from store_call_new. */
void store_call_free(void *call);

#endif
