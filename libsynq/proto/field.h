#ifndef SYNQ_PROTO_FIELD_H
#define SYNQ_PROTO_FIELD_H

/*
 * How a message's struct and its bytes correspond: one table per message, read
 * by both directions.  Inside proto and its tests only.
 *
 * A message is a msgpack map; key 0 is the version.  A field that is not
 * required is left out while it holds its "absent" value.  A reader skips keys
 * it does not know, so that fields can be added; a key is never used again
 * with another meaning.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

/* The version that is written and the only one that is read. */
#define SYNQ_PROTO_VERSION 1

enum synq_proto_type {
	SYNQ_PROTO_UUID,   /* 16 bytes; nil stands for absent */
	SYNQ_PROTO_NUMBER, /* a whole number of min..max */
	SYNQ_PROTO_TEXT,   /* UTF-8 of at most max bytes */
	SYNQ_PROTO_BYTES   /* at most max bytes */
};

struct synq_proto_field {
	uint32_t key; /* 1..63 */
	enum synq_proto_type type;
	const char *name; /* as in the struct and on the message's page */
	size_t at;        /* where in the struct */
	size_t bytes;     /* size of the struct's member */
	int required;     /* never left out; a uuid is never nil */
	int64_t min;
	int64_t max;
	int64_t absent; /* NUMBER: what the struct says when it is left out */
};

struct synq_proto_message {
	const char *name; /* of its page in schema/messages/ */
	const struct synq_proto_field *fields;
	size_t count;
	size_t struct_bytes;
};

/* The rows of the tables: struct ${s}, its member ${m}, key ${k}. */
/* clang-format off */
#define SYNQ_PROTO_ROW(k, t, s, m) \
	.key = (k), .type = (t), .name = #m, .at = offsetof(struct s, m), \
	.bytes = sizeof(((struct s *)0)->m)
#define SYNQ_PROTO_ID(k, s, m) \
	{ SYNQ_PROTO_ROW(k, SYNQ_PROTO_UUID, s, m), .required = 1 }
#define SYNQ_PROTO_OPTIONAL_ID(k, s, m) \
	{ SYNQ_PROTO_ROW(k, SYNQ_PROTO_UUID, s, m) }
#define SYNQ_PROTO_NUM(k, s, m, lo, hi) \
	{ SYNQ_PROTO_ROW(k, SYNQ_PROTO_NUMBER, s, m), .required = 1, \
	  .min = (lo), .max = (hi) }
#define SYNQ_PROTO_OPTIONAL_NUM(k, s, m, lo, hi, none) \
	{ SYNQ_PROTO_ROW(k, SYNQ_PROTO_NUMBER, s, m), \
	  .min = (lo), .max = (hi), .absent = (none) }
#define SYNQ_PROTO_STR(k, s, m, most) \
	{ SYNQ_PROTO_ROW(k, SYNQ_PROTO_TEXT, s, m), .required = 1, \
	  .max = (most) }
#define SYNQ_PROTO_OPTIONAL_STR(k, s, m, most) \
	{ SYNQ_PROTO_ROW(k, SYNQ_PROTO_TEXT, s, m), .max = (most) }
#define SYNQ_PROTO_BIN(k, s, m, most) \
	{ SYNQ_PROTO_ROW(k, SYNQ_PROTO_BYTES, s, m), .required = 1, \
	  .max = (most) }
#define SYNQ_PROTO_OPTIONAL_BIN(k, s, m, most) \
	{ SYNQ_PROTO_ROW(k, SYNQ_PROTO_BYTES, s, m), .max = (most) }
/* clang-format on */

/* Limits of texts and bodies, in bytes; the topics take 2 MB a record. */
#define SYNQ_PROTO_MAX_BODY 2000000
#define SYNQ_PROTO_MAX_METADATA 131072
#define SYNQ_PROTO_MAX_NAME 512
#define SYNQ_PROTO_MAX_ERROR 4096

/* The tables; the names of the variables are those of the pages. */
extern const struct synq_proto_message synq_proto_request;
extern const struct synq_proto_message synq_proto_attempt_started;
extern const struct synq_proto_message synq_proto_attempt_failed;
extern const struct synq_proto_message synq_proto_result;
extern const struct synq_proto_message synq_proto_cancel;
extern const struct synq_proto_message synq_proto_control;
extern const struct synq_proto_message synq_proto_event;
extern const struct synq_proto_message synq_proto_reply;

/*
 * Append the struct at ${from} as ${message} to ${out}.  What a reader would
 * refuse (a number out of range, a text that is not UTF-8 or too long, a nil
 * uuid that is required) is not written: out->overflow is set.
 */
void synq_proto_encode(const struct synq_proto_message *message,
    const void *from, struct synq_buf *out);

/*
 * Decode ${input} as ${message} into the struct at ${ret}, whose members that
 * the table does not name become zero.  Slices borrow ${input}; ${ret} is
 * written only on success.  Error: CORRUPT.
 */
SYNQ_MUST_CHECK int synq_proto_decode(const struct synq_proto_message *message,
    struct synq_slice input, void *ret);

/* The number with key ${key} in ${input}; -1 if there is none. */
int64_t synq_proto_peek(struct synq_slice input, uint32_t key);

#endif
