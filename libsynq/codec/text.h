#ifndef SYNQ_CODEC_TEXT_H
#define SYNQ_CODEC_TEXT_H

/*
 * Bytes as text: base64 (RFC 4648: standard and url-safe), base32 in
 * Crockford's lower-case alphabet, hex.  Decoding is strict: no white space,
 * no stray bits at the end, padding exactly as the variant demands.
 * Not constant-time: secrets go through crypto.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

/* Append the base64 of ${in} with padding to ${out}. */
int synq_base64_encode(struct synq_buf *out, struct synq_slice in);

/* Append the bytes of the padded base64 ${in} to ${out}.  Errors: INVALID,
 * TOO_LARGE. */
SYNQ_MUST_CHECK int synq_base64_decode(
    struct synq_buf *out, struct synq_slice in);

/* Append the url-safe base64 of ${in} without padding to ${out}. */
int synq_base64url_encode(struct synq_buf *out, struct synq_slice in);

/* The reverse of synq_base64url_encode.  Errors: INVALID, TOO_LARGE. */
SYNQ_MUST_CHECK int synq_base64url_decode(
    struct synq_buf *out, struct synq_slice in);

/* Append the base32 of ${in} to ${out}: 8 characters for 5 bytes, no padding.
 */
int synq_base32_encode(struct synq_buf *out, struct synq_slice in);

/* The reverse of synq_base32_encode, lower case only.  Errors: INVALID,
 * TOO_LARGE. */
SYNQ_MUST_CHECK int synq_base32_decode(
    struct synq_buf *out, struct synq_slice in);

/* Append the lower-case hex of ${in} to ${out}. */
int synq_hex_encode(struct synq_buf *out, struct synq_slice in);

/* The reverse of synq_hex_encode, either case.  Errors: INVALID, TOO_LARGE. */
SYNQ_MUST_CHECK int synq_hex_decode(struct synq_buf *out, struct synq_slice in);

#endif
