#ifndef SYNQ_JSON_UNESCAPE_H
#define SYNQ_JSON_UNESCAPE_H

/*
 * What the inside of a valid string stands for, without a copy of it.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Reads a string's bytes one by one, unescaped. */
struct synq_json_bytes {
	const char *at;
	const char *end;
	char pending[4]; /* of the escape just read, in order */
	uint8_t pending_bytes;
	uint8_t pending_at;
};

/* The number that the 4 hex digits at ${at} stand for, or -1. */
int32_t synq_json_hex4(const char *at);

/*
 * Write the character of the escape at *${at}, a backslash in a valid string,
 * to ${ret}, move *${at} behind it, and return how many bytes that took.
 */
size_t synq_json_unescape(const char **at, char ret[4]);

/* Begin to read ${inside}, a valid string without its quotes. */
struct synq_json_bytes synq_json_bytes_of(struct synq_slice inside);

/* The next byte of ${bytes}, 0 to 255, or -1 at the end. */
int synq_json_bytes_next(struct synq_json_bytes *bytes);

/*
 * 1 if the insides of two valid strings ${a} and ${b} stand for the same
 * text, else 0.
 */
int synq_json_same(struct synq_slice a, struct synq_slice b);

#endif
