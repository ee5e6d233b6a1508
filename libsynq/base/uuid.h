#ifndef SYNQ_BASE_UUID_H
#define SYNQ_BASE_UUID_H

/*
 * UUIDs as 16 bytes.  New ones are version 7 (RFC 9562): 48 bits of wall time
 * in milliseconds, the rest random, so that they sort by time.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

struct synq_uuid {
	uint8_t bytes[16];
};

/* The length of the text form, without a NUL. */
#define SYNQ_UUID_CHARS 36

/* A new version 7 uuid for the wall time ${wall_us}, random from the kernel. */
struct synq_uuid synq_uuid_new(int64_t wall_us);

/* The wall time in microseconds (whole milliseconds) inside the v7 ${id}. */
int64_t synq_uuid_time_us(const struct synq_uuid *id);

/* Write the 36-character text form of ${id} and a NUL to ${ret}. */
void synq_uuid_format(const struct synq_uuid *id, char ret[37]);

/* Read the text form (either case, hyphens) in ${text}.  Error: INVALID. */
SYNQ_MUST_CHECK int synq_uuid_parse(
    struct synq_slice text, struct synq_uuid *ret);

/* 1 if ${a} and ${b} are the same, else 0. */
int synq_uuid_equal(const struct synq_uuid *a, const struct synq_uuid *b);

/* 1 if all bytes of ${id} are zero, else 0. */
int synq_uuid_is_nil(const struct synq_uuid *id);

/* The 16 bytes of ${id} as a slice, for maps. */
struct synq_slice synq_uuid_slice(const struct synq_uuid *id);

#endif
