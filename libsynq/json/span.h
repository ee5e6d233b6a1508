#ifndef SYNQ_JSON_SPAN_H
#define SYNQ_JSON_SPAN_H

/*
 * The inner loop of the scanner: runs of characters that may stand in a string
 * as they are.  Most of a request is such runs, so they are taken 16 bytes at
 * a time where the processor can.  Never reads at or behind ${end}.
 *
 * Inline, because a call for each name would cost as much as the work.
 */

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* 1 if ${c} is neither quote, backslash, control character nor non-ASCII. */
static inline int
synq_json_is_plain(char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

/* As synq_json_span, for any processor. */
static inline const char *
synq_json_span_portable(const char *at, const char *end)
{
	const uint64_t ones = 0x0101010101010101;

	while (end - at >= 8) {
		uint64_t eight;

		memcpy(&eight, at, sizeof(eight));
		/* A zero byte in each says that there is such a character. */
		uint64_t quote = eight ^ ones * '"';
		uint64_t backslash = eight ^ ones * '\\';
		uint64_t hits = eight | ((eight - ones * 0x20) & ~eight) |
		                ((quote - ones) & ~quote) |
		                ((backslash - ones) & ~backslash);
		if (hits & ones * 0x80)
			break;
		at += 8;
	}
	while (at < end && synq_json_is_plain(*at))
		at++;
	return at;
}

#ifdef __SSE2__
/* Of the 16 bytes at ${at}, those that are a quote or a backslash. */
static inline __m128i
synq_json_marks(const char *at)
{
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);

	return _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
	    _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
}

/* Of the 16 bytes at ${at}, those that do not stand for themselves. */
static inline __m128i
synq_json_special(const char *at)
{
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);

	/* Signed: bytes that are not ASCII are below a space too. */
	return _mm_or_si128(
	    synq_json_marks(at), _mm_cmplt_epi8(block, _mm_set1_epi8(0x20)));
}
#endif

/*
 * The first character from ${at} on that does not stand for itself in a
 * string: a quote, a backslash, a control character, or a byte that is not
 * ASCII; ${end} if there is none.
 */
static inline const char *
synq_json_span(const char *at, const char *end)
{
#ifdef __SSE2__
	while (end - at >= 64) {
		__m128i hits = _mm_or_si128(_mm_or_si128(synq_json_special(at),
						synq_json_special(at + 16)),
		    _mm_or_si128(synq_json_special(at + 32),
			synq_json_special(at + 48)));

		if (_mm_movemask_epi8(hits))
			break;
		at += 64;
	}
	while (end - at >= 16) {
		int mask = _mm_movemask_epi8(synq_json_special(at));

		if (mask)
			return at + __builtin_ctz((unsigned)mask);
		at += 16;
	}
#endif
	return synq_json_span_portable(at, end);
}

/*
 * 1 if the three bytes at ${at} are one character whose first byte alone says
 * that it is valid: E1 to EC, EE, EF.
 */
static inline int
synq_json_is_common_three(const char *at)
{
	unsigned lead = (unsigned char)at[0];
	unsigned second = (unsigned char)at[1];
	unsigned third = (unsigned char)at[2];

	return ((second | third << 8) & 0xc0c0) == 0x8080 &&
	       (lead & 0xf0) == 0xe0 && lead != 0xe0 && lead != 0xed;
}

/* The first quote or backslash from ${at} on, or ${end}. */
static inline const char *
synq_json_span_valid(const char *at, const char *end)
{
#ifdef __SSE2__
	while (end - at >= 64) {
		__m128i hits = _mm_or_si128(
		    _mm_or_si128(synq_json_marks(at), synq_json_marks(at + 16)),
		    _mm_or_si128(
			synq_json_marks(at + 32), synq_json_marks(at + 48)));

		if (_mm_movemask_epi8(hits))
			break;
		at += 64;
	}
	while (end - at >= 16) {
		int mask = _mm_movemask_epi8(synq_json_marks(at));

		if (mask)
			return at + __builtin_ctz((unsigned)mask);
		at += 16;
	}
#endif
	while (at < end && *at != '"' && *at != '\\')
		at++;
	return at;
}

/* The first character from ${at} on that is not white space, or ${end}. */
static inline const char *
synq_json_skip_space(const char *at, const char *end)
{
	while (at < end &&
	       (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	return at;
}

#endif
