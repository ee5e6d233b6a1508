#ifndef SYNQ_CRYPTO_HASH_H
#define SYNQ_CRYPTO_HASH_H

/*
 * Hashes and signatures over libsodium: BLAKE2b keyed and plain, SHA-256,
 * HMAC-SHA-256, CRC-32 and CRC-32C, comparison in constant time.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

struct synq_secret;

/*
 * BLAKE2b of ${data} keyed with ${key} (16 to 64 bytes; NULL = plain) into the
 * ${ret_bytes} (16 to 64) bytes at ${ret}.
 */
void synq_hash(const struct synq_secret *key, struct synq_slice data,
    uint8_t *ret, size_t ret_bytes);

/* SHA-256 of ${data} into ${ret}. */
void synq_sha256(struct synq_slice data, uint8_t ret[32]);

/* HMAC-SHA-256 of ${data} with ${key} into ${ret}. */
void synq_hmac_sha256(
    const struct synq_secret *key, struct synq_slice data, uint8_t ret[32]);

/* 1 if the ${bytes} bytes at ${a} and ${b} are equal; takes the same time
 * whatever they hold. */
int synq_hash_equal(const void *a, const void *b, size_t bytes);

/* CRC-32 (IEEE 802.3, as zlib) of ${data}: typing errors in API keys. */
uint32_t synq_crc32(struct synq_slice data);

#endif
