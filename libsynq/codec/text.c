/*
 * One coder for all: base64, base32 and hex differ in how many bits a
 * character carries (6, 5, 4), in the alphabet and in the padding.  Encoding
 * takes bits off the front of the input as characters; decoding collects them
 * again.
 *
 * What fails: a character outside the alphabet; a number of characters that no
 * input has; bits set behind the last byte, which would be a second form of
 * the same bytes; padding that is missing or not wanted; an output above the
 * buffer's maximum.  Then nothing is appended.
 */

#include "codec/text.h"

#include "base/err.h"

struct alphabet {
	unsigned bits;      /* that one character carries */
	unsigned group;     /* padded to a multiple of it; 1 = not padded */
	const char *chars;  /* 2^bits of them, by value */
	int8_t values[128]; /* by character; -1 = not one of them */
};

/* clang-format off */
static const struct alphabet base64 = {
	.bits = 6,
	.group = 4,
	.chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		 "abcdefghijklmnopqrstuvwxyz0123456789+/",
	.values = {
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1, -1, 63,
	    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
	    -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1,
	    -1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
	},
};

static const struct alphabet base64url = {
	.bits = 6,
	.group = 1,
	.chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		 "abcdefghijklmnopqrstuvwxyz0123456789-_",
	.values = {
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1,
	    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
	    -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, 63,
	    -1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
	},
};

/* Crockford's, which leaves out i, l, o and u. */
static const struct alphabet base32 = {
	.bits = 5,
	.group = 1,
	.chars = "0123456789abcdefghjkmnpqrstvwxyz",
	.values = {
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, 10, 11, 12, 13, 14, 15, 16, 17, -1, 18, 19, -1, 20, 21, -1,
	    22, 23, 24, 25, 26, -1, 27, 28, 29, 30, 31, -1, -1, -1, -1, -1,
	},
};

static const struct alphabet hex = {
	.bits = 4,
	.group = 1,
	.chars = "0123456789abcdef",
	.values = {
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -1, -1, -1, -1, -1,
	    -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	},
};
/* clang-format on */

/* Room for ${bytes} more in ${out}, NULL and overflow if they do not fit. */
static char *
text_reserve(struct synq_buf *out, size_t bytes)
{
	char *room = synq_buf_reserve(out, bytes);

	if (room == NULL)
		out->overflow = 1;
	return room;
}

static int
text_encode(
    const struct alphabet *with, struct synq_buf *out, struct synq_slice in)
{
	if (in.bytes == 0)
		return 0;

	size_t chars = (in.bytes * 8 + with->bits - 1) / with->bits;
	size_t padded = (chars + with->group - 1) / with->group * with->group;
	char *to = text_reserve(out, padded);
	if (to == NULL)
		return -SYNQ_E_TOO_LARGE;

	uint32_t held = 0; /* bits that wait, in its lowest held_bits */
	unsigned held_bits = 0;
	uint32_t mask = (1u << with->bits) - 1;
	for (size_t i = 0; i < in.bytes; i++) {
		held = held << 8 | (unsigned char)in.data[i];
		held_bits += 8;
		while (held_bits >= with->bits) {
			held_bits -= with->bits;
			*to++ = with->chars[held >> held_bits & mask];
		}
	}
	if (held_bits > 0)
		*to++ = with->chars[held << (with->bits - held_bits) & mask];
	for (size_t i = chars; i < padded; i++)
		*to++ = '=';

	out->bytes += padded;
	return 0;
}

/* ${in} without the padding that ${with} demands.  Error: INVALID. */
static int
text_unpad(const struct alphabet *with, struct synq_slice *in)
{
	size_t max = with->group - 1;

	if (in->bytes % with->group != 0)
		return -SYNQ_E_INVALID;
	while (max > 0 && in->bytes > 0 && in->data[in->bytes - 1] == '=') {
		in->bytes--;
		max--;
	}
	return 0;
}

/* Write the bytes that ${in} stands for to ${to}.  Error: INVALID. */
static int
text_collect(const struct alphabet *with, struct synq_slice in, char *to)
{
	uint32_t held = 0;
	unsigned held_bits = 0;

	for (size_t i = 0; i < in.bytes; i++) {
		unsigned char c = (unsigned char)in.data[i];
		int value = c < 128 ? with->values[c] : -1;
		if (value < 0)
			return -SYNQ_E_INVALID;
		held = held << with->bits | (uint32_t)value;
		held_bits += with->bits;
		if (held_bits >= 8) {
			held_bits -= 8;
			*to++ = (char)(held >> held_bits & 0xff);
		}
	}

	/* A whole character too many, or bits that no byte took. */
	if (held_bits >= with->bits || (held & ((1u << held_bits) - 1)) != 0)
		return -SYNQ_E_INVALID;
	return 0;
}

static int
text_decode(
    const struct alphabet *with, struct synq_buf *out, struct synq_slice in)
{
	if (text_unpad(with, &in) != 0)
		return -SYNQ_E_INVALID;
	if (in.bytes == 0)
		return 0;

	size_t bytes = in.bytes * with->bits / 8;
	if (bytes == 0)
		return -SYNQ_E_INVALID;
	char *to = text_reserve(out, bytes);
	if (to == NULL)
		return -SYNQ_E_TOO_LARGE;
	if (text_collect(with, in, to) != 0) {
		*to = '\0';
		return -SYNQ_E_INVALID;
	}

	out->bytes += bytes;
	return 0;
}

int
synq_base64_encode(struct synq_buf *out, struct synq_slice in)
{
	return text_encode(&base64, out, in);
}

int
synq_base64_decode(struct synq_buf *out, struct synq_slice in)
{
	return text_decode(&base64, out, in);
}

int
synq_base64url_encode(struct synq_buf *out, struct synq_slice in)
{
	return text_encode(&base64url, out, in);
}

int
synq_base64url_decode(struct synq_buf *out, struct synq_slice in)
{
	return text_decode(&base64url, out, in);
}

int
synq_base32_encode(struct synq_buf *out, struct synq_slice in)
{
	return text_encode(&base32, out, in);
}

int
synq_base32_decode(struct synq_buf *out, struct synq_slice in)
{
	return text_decode(&base32, out, in);
}

int
synq_hex_encode(struct synq_buf *out, struct synq_slice in)
{
	return text_encode(&hex, out, in);
}

int
synq_hex_decode(struct synq_buf *out, struct synq_slice in)
{
	return text_decode(&hex, out, in);
}
