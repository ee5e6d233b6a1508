/*
 * The table of RFC 3629 section 4, as comparisons: the first byte gives the
 * length and narrows what the second may be; that alone excludes overlong
 * forms, surrogates and what lies above U+10FFFF.
 */

#include "base/utf8.h"

static int
is_tail(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static size_t
length_of_three(unsigned char lead, const char *at)
{
	unsigned char second = (unsigned char)at[1];
	unsigned char low = lead == 0xe0 ? 0xa0 : 0x80;
	unsigned char high = lead == 0xed ? 0x9f : 0xbf;

	return second >= low && second <= high && is_tail(at[2]) ? 3 : 0;
}

static size_t
length_of_four(unsigned char lead, const char *at)
{
	unsigned char second = (unsigned char)at[1];
	unsigned char low = lead == 0xf0 ? 0x90 : 0x80;
	unsigned char high = lead == 0xf4 ? 0x8f : 0xbf;

	if (second < low || second > high)
		return 0;
	return is_tail(at[2]) && is_tail(at[3]) ? 4 : 0;
}

size_t
synq_utf8_length(const char *at, size_t bytes)
{
	if (bytes == 0)
		return 0;

	unsigned char lead = (unsigned char)at[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	if (lead < 0xe0)
		return bytes >= 2 && is_tail(at[1]) ? 2 : 0;
	if (lead < 0xf0)
		return bytes >= 3 ? length_of_three(lead, at) : 0;
	return bytes >= 4 ? length_of_four(lead, at) : 0;
}

size_t
synq_utf8_encode(uint32_t code, char ret[4])
{
	if (code < 0x80) {
		ret[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		ret[0] = (char)(0xc0 | code >> 6);
		ret[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		ret[0] = (char)(0xe0 | code >> 12);
		ret[1] = (char)(0x80 | (code >> 6 & 0x3f));
		ret[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	ret[0] = (char)(0xf0 | code >> 18);
	ret[1] = (char)(0x80 | (code >> 12 & 0x3f));
	ret[2] = (char)(0x80 | (code >> 6 & 0x3f));
	ret[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}
