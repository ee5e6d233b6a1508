#ifndef SYNQ_CODEC_URL_H
#define SYNQ_CODEC_URL_H

/*
 * URLs: splitting an absolute http(s) one, percent-decoding, query strings.
 * Everything lent borrows the input.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_url {
	struct synq_slice scheme; /* "http" or "https" */
	struct synq_slice host;   /* without brackets */
	uint16_t port;            /* the scheme's default if not given */
	struct synq_slice path;   /* from the first '/', may be empty */
	struct synq_slice query;  /* without '?', may be empty */
};

/*
 * Split the absolute ${text} into ${ret}.  User information, fragments,
 * control characters and spaces are refused.  Error: INVALID.
 */
SYNQ_MUST_CHECK int synq_url_parse(
    struct synq_slice text, struct synq_url *ret, struct synq_err *err);

/*
 * Append ${text} with %XX decoded to ${out}.  %00 and bad escapes are refused.
 * Errors: INVALID, TOO_LARGE.
 */
SYNQ_MUST_CHECK int synq_url_decode(
    struct synq_slice text, struct synq_buf *out);

/* Append ${text} with all but unreserved characters as %XX to ${out}. */
int synq_url_encode(struct synq_slice text, struct synq_buf *out);

/*
 * Iterate a query string: *${query} is advanced past the next name=value pair,
 * both still encoded ('+' stands for a space).  1 and ${ret_name} and
 * ${ret_value}, 0 at the end.
 */
int synq_url_query_next(struct synq_slice *query, struct synq_slice *ret_name,
    struct synq_slice *ret_value);

/*
 * The decoded value of the parameter ${name} of ${query}, appended to ${out}.
 * Errors: NOT_FOUND, CONFLICT if it is given twice, INVALID, TOO_LARGE.
 */
SYNQ_MUST_CHECK int synq_url_query_get(
    struct synq_slice query, const char *name, struct synq_buf *out);

#endif
