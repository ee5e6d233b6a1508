#ifndef SYNQ_BASE_UTF8_H
#define SYNQ_BASE_UTF8_H

/*
 * UTF-8 one character at a time (RFC 3629: no surrogates, no overlong forms,
 * nothing above U+10FFFF).
 */

#include <stddef.h>
#include <stdint.h>

/*
 * How many bytes the character at ${at} has, of the ${bytes} that are there;
 * 0 if there is no whole, valid character.
 */
size_t synq_utf8_length(const char *at, size_t bytes);

/*
 * Write the character ${code}, which is no surrogate and at most 0x10FFFF, to
 * ${ret}; returns how many bytes that took.
 */
size_t synq_utf8_encode(uint32_t code, char ret[4]);

#endif
