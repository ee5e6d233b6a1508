#ifndef SYNQ_JSON_NAMES_H
#define SYNQ_JSON_NAMES_H

/*
 * Finds a name that stands twice in one object, in time that the sender of
 * the text cannot make quadratic.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* A member's name, by where it stands in the text. */
struct synq_json_name {
	uint32_t offset; /* of the first byte inside the quotes */
	uint32_t bytes;  /* inside the quotes, as they stand */
	uint32_t tag;    /* equal names have equal tags; 0 = it has escapes */
};

/* The tag of the name ${inside}, which has no escapes. */
static inline uint32_t
synq_json_tag(struct synq_slice inside)
{
	const unsigned char *at = (const unsigned char *)inside.data;
	size_t n = inside.bytes;
	uint32_t tag = (uint32_t)n;

	if (n > 0)
		tag += (uint32_t)at[0] << 24 | (uint32_t)at[n / 2] << 16 |
		       (uint32_t)at[n - 1] << 8;
	return tag | 1;
}

/*
 * The index of the first of the ${count} (at most SYNQ_JSON_MAX_MEMBERS)
 * ${names} in ${text} that equals an earlier one; ${count} if all differ.
 * The tags are used up.
 */
size_t synq_json_duplicate(
    const char *text, struct synq_json_name *names, size_t count);

#endif
