#ifndef SYNQ_TENANT_KEY_H
#define SYNQ_TENANT_KEY_H

/*
 * API keys: "synq_{live|test}_{16 base62 key id}_{43 base62 of 256 random
 * bits}{6 base62 CRC-32}".  The CRC covers everything before it, so that a
 * typing error or a scanner costs no query.  Pure.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_secret;

#define SYNQ_KEY_CHARS 76 /* 10 + 16 + 1 + 43 + 6 */

/* The parts of a well-formed key; they borrow its text. */
struct synq_key_parts {
	struct synq_slice key_id;
	struct synq_slice secret;
	int live;
};

/* Take ${text} apart into ${ret}.  INVALID for any fault, the CRC included. */
SYNQ_MUST_CHECK int synq_key_parse(
    struct synq_slice text, struct synq_key_parts *ret);

/* A new random key, live or (${live} 0) for tests, as text in ${ret}. */
void synq_key_make(int live, struct synq_secret **ret);

/*
 * The stored form of the secret part ${secret}: BLAKE2b keyed with ${pepper}.
 */
void synq_key_hash(const struct synq_secret *pepper, struct synq_slice secret,
    uint8_t ret[32]);

#endif
