/*
 * A handful of attempts, in the order in which they began.
 */

#include "opens.h"

#include <stdio.h>
#include <string.h>

#include "life.h"

static void
opens_take_out(struct opens *opens, uint32_t index)
{
	opens->count--;
	memmove(&opens->items[index], &opens->items[index + 1],
	    (opens->count - index) * sizeof(opens->items[0]));
}

void
opens_add(struct opens *opens, const struct synq_outcome *started)
{
	struct open_attempt *open;

	(void)opens_remove(opens, &started->attempt_id);
	if (opens->count == OPENS_MAX)
		opens_take_out(opens, 0);
	open = &opens->items[opens->count++];
	open->id = started->attempt_id;
	open->call_deadline_at = started->call_deadline_at;
	open->maker.boot_id = started->boot_id;
	(void)snprintf(open->maker.instance, sizeof(open->maker.instance),
	    "%.*s", (int)started->instance.bytes, started->instance.data);
}

int
opens_remove(struct opens *opens, const struct synq_uuid *id)
{
	uint32_t i;

	for (i = 0; i < opens->count; i++) {
		if (!synq_uuid_equal(&opens->items[i].id, id))
			continue;
		opens_take_out(opens, i);
		return 1;
	}
	return 0;
}

uint32_t
opens_drop_dead(struct opens *opens, const struct core *core,
    const char *const *names, size_t count)
{
	const uint32_t before = opens->count;
	uint32_t i = 0;

	while (i < opens->count) {
		if (life_has_ended(core, &opens->items[i].maker, names, count))
			opens_take_out(opens, i);
		else
			i++;
	}
	return before - opens->count;
}

int64_t
opens_deadline_at(const struct opens *opens)
{
	int64_t last_at = 0;
	uint32_t i;

	for (i = 0; i < opens->count; i++) {
		if (opens->items[i].call_deadline_at > last_at)
			last_at = opens->items[i].call_deadline_at;
	}
	return last_at;
}
