#ifndef SYNQ_JSON_SCAN_H
#define SYNQ_JSON_SCAN_H

/*
 * A strict, single-pass JSON scanner (RFC 8259) that never builds a tree: it
 * validates the whole text and gives raw slices of it, so that the client's
 * numbers, escapes and bytes go on exactly as they came.
 *
 * Refused: anything outside the grammar, invalid UTF-8, lone surrogates,
 * U+0000, duplicate member names in any object (compared after unescaping),
 * nesting above SYNQ_JSON_MAX_DEPTH, text after the value, a byte order mark,
 * a text above 2 GiB.
 *
 * Pure: no allocation, no state.  Everything returned borrows the input.  All
 * functions but synq_json_parse take only what it accepted.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

#define SYNQ_JSON_MAX_DEPTH 64
/*
 * Above this many members in one object the text is refused; also above twice
 * as many in all the objects that are open at one place.
 */
#define SYNQ_JSON_MAX_MEMBERS 4096

enum synq_json_type {
	SYNQ_JSON_NONE, /* there is no value */
	SYNQ_JSON_OBJECT,
	SYNQ_JSON_ARRAY,
	SYNQ_JSON_STRING,
	SYNQ_JSON_NUMBER,
	SYNQ_JSON_TRUE,
	SYNQ_JSON_FALSE,
	SYNQ_JSON_NULL
};

/* One value of an already validated text. */
struct synq_json {
	enum synq_json_type type;
	struct synq_slice raw; /* as it stands, quotes and brackets included */
};

/* Where and why a text was refused. */
struct synq_json_fault {
	size_t offset;      /* byte offset of the first wrong byte */
	uint32_t line;      /* 1-based */
	uint32_t column;    /* 1-based, in bytes */
	const char *reason; /* a literal, completes "the body is not ..." */
};

/*
 * Validate ${text} and give its value in ${ret}.  On refusal ${fault} (may be
 * NULL) says where and why.  Error: INVALID.
 */
SYNQ_MUST_CHECK int synq_json_parse(struct synq_slice text,
    struct synq_json *ret, struct synq_json_fault *fault);

/* The member ${name} of the object ${value}; type NONE if there is none. */
struct synq_json synq_json_member(struct synq_json value, const char *name);

/*
 * The value at ${path}, dot-separated names and array indices as in
 * "choices.0.message.content"; type NONE if the path leads nowhere.
 */
struct synq_json synq_json_path(struct synq_json value, const char *path);

/* A position in an object or an array. */
struct synq_json_cursor {
	const char *at;
	const char *end;
};

/* Begin to walk the object or array ${value}; anything else is empty. */
struct synq_json_cursor synq_json_walk(struct synq_json value);

/*
 * The next element of ${cursor}: 1 and ${ret_value}, and in an object the raw
 * name with quotes in ${ret_name} (may be NULL); 0 at the end.
 */
int synq_json_next(struct synq_json_cursor *cursor, struct synq_slice *ret_name,
    struct synq_json *ret_value);

/*
 * The text of the string ${value} without quotes and escapes, appended to
 * ${out}.  Errors: INVALID if it is no string, TOO_LARGE.
 */
SYNQ_MUST_CHECK int synq_json_string(
    struct synq_json value, struct synq_buf *out);

/*
 * The same without a copy: the inside of the quotes into ${ret} if it has no
 * escapes.  Error: INVALID if it is no string or has escapes.
 */
SYNQ_MUST_CHECK int synq_json_plain(
    struct synq_json value, struct synq_slice *ret);

/* 1 if the string ${value}, unescaped, equals ${text}, else 0. */
int synq_json_is(struct synq_json value, const char *text);

/*
 * The whole number ${value}, into ${ret}: no fraction, no exponent.  Error:
 * INVALID if it is none or does not fit.
 */
SYNQ_MUST_CHECK int synq_json_int(struct synq_json value, int64_t *ret);

/* The number ${value} as a double, into ${ret}.  Error: INVALID. */
SYNQ_MUST_CHECK int synq_json_double(struct synq_json value, double *ret);

/* How many elements the array or object ${value} has, walking at most ${max}.
 */
size_t synq_json_count(struct synq_json value, size_t max);

#endif
