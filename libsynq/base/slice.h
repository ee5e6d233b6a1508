#ifndef SYNQ_BASE_SLICE_H
#define SYNQ_BASE_SLICE_H

/*
 * A slice borrows bytes that somebody else owns; it is not NUL-terminated.
 * A buffer owns bytes and grows up to the maximum given at its creation.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct synq_slice {
	const char *data; /* borrowed; may be NULL when bytes is 0 */
	size_t bytes;
};

/*
 * The smallest functions are inline: a request passes through them hundreds of
 * times, and a call would cost more than what they do.
 */

/* A slice of ${bytes} bytes at ${data}. */
static inline struct synq_slice
synq_slice_of(const void *data, size_t bytes)
{
	return (struct synq_slice){ .data = data, .bytes = bytes };
}

/* A slice of the C string ${text}, without its NUL; NULL gives an empty one. */
static inline struct synq_slice
synq_slice_text(const char *text)
{
	return synq_slice_of(text, text ? strlen(text) : 0);
}

/* 1 if ${a} and ${b} hold the same bytes, else 0. */
static inline int
synq_slice_equal(struct synq_slice a, struct synq_slice b)
{
	if (a.bytes != b.bytes)
		return 0;
	return a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0;
}

/* 1 if ${a} holds exactly the bytes of the C string ${text}, else 0. */
int synq_slice_is(struct synq_slice a, const char *text);

/* 1 if ${a} equals ${text} when ASCII letters are compared without case. */
int synq_slice_is_nocase(struct synq_slice a, const char *text);

/* 1 if ${a} begins with ${text}, else 0. */
int synq_slice_starts(struct synq_slice a, const char *text);

/* ${a} without spaces and tabs at both ends. */
struct synq_slice synq_slice_trim(struct synq_slice a);

/*
 * The decimal number that ${a} is, into ${ret}: digits only, nothing else.
 * Errors: INVALID if it is not one or is above ${max}.
 */
SYNQ_MUST_CHECK int synq_slice_u64(
    struct synq_slice a, uint64_t max, uint64_t *ret);

/* 1 if ${a} is valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
int synq_slice_utf8(struct synq_slice a);

struct synq_buf {
	char *data; /* owned; always NUL-terminated once anything was added */
	size_t bytes;
	size_t room;      /* allocated */
	size_t max_bytes; /* appending beyond it fails */
	int overflow;     /* 1 after an append that did not fit */
};

/* Make ${buf} empty with room for at most ${max_bytes}; allocates nothing. */
void synq_buf_init(struct synq_buf *buf, size_t max_bytes);

/* Free what ${buf} owns and make it empty again. */
void synq_buf_done(struct synq_buf *buf);

/* Forget the content of ${buf} but keep its room. */
void synq_buf_clear(struct synq_buf *buf);

/* As synq_buf_add, for what ${buf} has no room for yet. */
int synq_buf_grow_and_add(struct synq_buf *buf, const void *data, size_t bytes);

/*
 * Append ${bytes} bytes at ${data} to ${buf}.  If that does not fit below its
 * maximum nothing is added, ${buf}->overflow is set and TOO_LARGE returned:
 * a writer may therefore ignore the result and check overflow once at the end.
 */
static inline int
synq_buf_add(struct synq_buf *buf, const void *data, size_t bytes)
{
	if (bytes >= buf->room - buf->bytes)
		return synq_buf_grow_and_add(buf, data, bytes);
	if (bytes > 0)
		memcpy(buf->data + buf->bytes, data, bytes);
	buf->bytes += bytes;
	buf->data[buf->bytes] = '\0';
	return 0;
}

/* Append the C string ${text} to ${buf}, as synq_buf_add does. */
static inline int
synq_buf_text(struct synq_buf *buf, const char *text)
{
	return synq_buf_add(buf, text, strlen(text));
}

/* Append the bytes of ${slice} to ${buf}, as synq_buf_add does. */
static inline int
synq_buf_slice(struct synq_buf *buf, struct synq_slice slice)
{
	return synq_buf_add(buf, slice.data, slice.bytes);
}

/* Append the character ${c} to ${buf}, as synq_buf_add does. */
static inline int
synq_buf_char(struct synq_buf *buf, char c)
{
	return synq_buf_add(buf, &c, 1);
}

/* Append the decimal digits of ${number} to ${buf}, as synq_buf_add does. */
int synq_buf_i64(struct synq_buf *buf, int64_t number);

/* Append the text of ${fmt} to ${buf}, as synq_buf_add does. */
int synq_buf_printf(struct synq_buf *buf, const char *fmt, ...)
    SYNQ_PRINTF(2, 3);

/* As synq_buf_printf, with the arguments in ${args}. */
int synq_buf_vprintf(struct synq_buf *buf, const char *fmt, va_list args)
    SYNQ_PRINTF(2, 0);

/*
 * Room for ${bytes} more bytes at the end of ${buf}, which the caller fills
 * and then adds to ${buf}->bytes; NULL if that is above the maximum.
 */
char *synq_buf_reserve(struct synq_buf *buf, size_t bytes);

/* Drop the first ${bytes} bytes of ${buf}; the rest moves to the front. */
void synq_buf_consume(struct synq_buf *buf, size_t bytes);

/* The content of ${buf} as a slice, valid until ${buf} changes. */
struct synq_slice synq_buf_view(const struct synq_buf *buf);

#endif
