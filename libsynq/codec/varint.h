#ifndef SYNQ_CODEC_VARINT_H
#define SYNQ_CODEC_VARINT_H

/*
 * Numbers in few bytes, and the checksum that tells whether they arrived:
 * unsigned LEB128 (7 bits a byte, the lowest first, the top bit set on all but
 * the last) and CRC-32C.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

/* The longest varint. */
#define SYNQ_VARINT_MAX_BYTES 10

/* Append ${value} to ${out} in its shortest form, as synq_buf_add does. */
int synq_varint_put(struct synq_buf *out, uint64_t value);

/*
 * Take the number at the front of ${input} off it, into ${ret}.  Only the
 * shortest form of a number is one.  Error: CORRUPT, ${input} is unchanged.
 */
SYNQ_MUST_CHECK int synq_varint_get(struct synq_slice *input, uint64_t *ret);

/* CRC-32C (Castagnoli, as in iSCSI, RFC 3720 B.4) of ${data}. */
uint32_t synq_crc32c(struct synq_slice data);

#endif
