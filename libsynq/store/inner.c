#include "store/inner.h"

#include "base/mem.h"

/* All calls without an answer: reachable, so that no leak checker minds. */
static struct synq_list calls;

void *
store_call_new(size_t bytes)
{
	struct store_call *call = synq_mem_new(bytes);

	if (calls.head.next == NULL)
		synq_list_init(&calls);
	synq_list_push(&calls, &call->link);
	return call;
}

void
store_call_free(void *call)
{
	struct store_call *self = call;

	synq_list_remove(&calls, &self->link);
	synq_mem_free(self);
}
