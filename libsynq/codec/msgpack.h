#ifndef SYNQ_CODEC_MSGPACK_H
#define SYNQ_CODEC_MSGPACK_H

/*
 * msgpack maps with small-integer keys: what Synq's messages are made of.
 * The writer appends to a buffer; the reader walks a map once and lends
 * slices of the input.  This folder is the only one that sees msgpack-c.
 *
 * Reader limits: nesting at most 8 (the map itself is the first), at most 64
 * members, no length beyond the input; unknown keys are skipped, whatever they
 * hold.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

/* Begin a map of exactly ${members} members in ${out}. */
void synq_mp_map(struct synq_buf *out, uint32_t members);

/* Member ${key}: the unsigned number ${value}. */
void synq_mp_uint(struct synq_buf *out, uint32_t key, uint64_t value);

/* Member ${key}: the signed number ${value}. */
void synq_mp_int(struct synq_buf *out, uint32_t key, int64_t value);

/* Member ${key}: the UTF-8 text ${value}. */
void synq_mp_text(struct synq_buf *out, uint32_t key, struct synq_slice value);

/* Member ${key}: the bytes ${value}. */
void synq_mp_bytes(struct synq_buf *out, uint32_t key, struct synq_slice value);

enum synq_mp_type {
	SYNQ_MP_INT,   /* number holds it */
	SYNQ_MP_TEXT,  /* slice holds it; valid UTF-8 */
	SYNQ_MP_BYTES, /* slice holds it */
	SYNQ_MP_OTHER  /* nil, boolean, float, array, map, a number that
	                  int64_t does not hold: skipped */
};

struct synq_mp_member {
	uint32_t key;
	enum synq_mp_type type;
	int64_t number;
	struct synq_slice slice; /* borrows the input */
};

/*
 * Decode the map ${input} into at most ${max} members at ${ret}, their number
 * in ${ret_count}.  Duplicate keys and trailing bytes are refused.  Errors:
 * CORRUPT, TOO_LARGE.
 */
SYNQ_MUST_CHECK int synq_mp_read(struct synq_slice input,
    struct synq_mp_member *ret, size_t max, size_t *ret_count);

#endif
