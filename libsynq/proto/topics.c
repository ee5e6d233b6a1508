/*
 * The topics that requests come from, by code and by name.
 */

#include "proto/topics.h"

#include <string.h>

static const struct {
	enum synq_source_topic code;
	const char *name;
} sources[] = {
	{ SYNQ_SOURCE_INTERACTIVE, SYNQ_TOPIC_INTERACTIVE },
	{ SYNQ_SOURCE_BATCH, SYNQ_TOPIC_BATCH },
};

int32_t
synq_event_partitions(int32_t numbered)
{
	return numbered < 4 ? 1 : numbered / 4;
}

enum synq_source_topic
synq_source_code(const char *name)
{
	for (size_t i = 0; i < SYNQ_COUNT(sources); i++)
		if (strcmp(sources[i].name, name) == 0)
			return sources[i].code;
	return SYNQ_SOURCE_NONE;
}

const char *
synq_source_name(enum synq_source_topic code)
{
	for (size_t i = 0; i < SYNQ_COUNT(sources); i++)
		if (sources[i].code == code)
			return sources[i].name;
	return NULL;
}

int
synq_source_equal(const struct synq_source *a, const struct synq_source *b)
{
	return a->topic == b->topic && a->partition == b->partition &&
	       a->offset == b->offset;
}
