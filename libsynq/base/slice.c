/*
 * A buffer doubles its room as it grows, from 64 bytes to its maximum, and
 * always keeps one byte more than its content for the NUL.
 *
 * What does not fit is not added at all: a text is whole or marked as
 * overflowed, never cut in the middle.
 */

#include "base/slice.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

int
synq_slice_is(struct synq_slice a, const char *text)
{
	return synq_slice_equal(a, synq_slice_text(text));
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int
synq_slice_is_nocase(struct synq_slice a, const char *text)
{
	struct synq_slice b = synq_slice_text(text);

	if (a.bytes != b.bytes)
		return 0;
	for (size_t i = 0; i < a.bytes; i++) {
		if (lower(a.data[i]) != lower(b.data[i]))
			return 0;
	}
	return 1;
}

int
synq_slice_starts(struct synq_slice a, const char *text)
{
	size_t bytes = strlen(text);

	if (a.bytes < bytes)
		return 0;
	return bytes == 0 || memcmp(a.data, text, bytes) == 0;
}

struct synq_slice
synq_slice_trim(struct synq_slice a)
{
	while (a.bytes > 0 && (a.data[0] == ' ' || a.data[0] == '\t')) {
		a.data++;
		a.bytes--;
	}
	while (a.bytes > 0 &&
	       (a.data[a.bytes - 1] == ' ' || a.data[a.bytes - 1] == '\t'))
		a.bytes--;
	return a;
}

int
synq_slice_u64(struct synq_slice a, uint64_t max, uint64_t *ret)
{
	uint64_t number = 0;

	if (a.bytes == 0)
		return -SYNQ_E_INVALID;
	for (size_t i = 0; i < a.bytes; i++) {
		if (a.data[i] < '0' || a.data[i] > '9')
			return -SYNQ_E_INVALID;

		uint64_t digit = (uint64_t)(a.data[i] - '0');
		if (digit > max || number > (max - digit) / 10)
			return -SYNQ_E_INVALID;
		number = number * 10 + digit;
	}
	*ret = number;
	return 0;
}

int
synq_slice_utf8(struct synq_slice a)
{
	size_t i = 0;

	while (i < a.bytes) {
		uint64_t eight;

		if (a.bytes - i >= sizeof(eight)) {
			memcpy(&eight, a.data + i, sizeof(eight));
			if (!(eight & 0x8080808080808080)) {
				i += sizeof(eight);
				continue;
			}
		}
		size_t length = synq_utf8_length(a.data + i, a.bytes - i);
		if (length == 0)
			return 0;
		i += length;
	}
	return 1;
}

void
synq_buf_init(struct synq_buf *buf, size_t max_bytes)
{
	*buf = (struct synq_buf){ .max_bytes = max_bytes };
}

void
synq_buf_done(struct synq_buf *buf)
{
	synq_mem_free(buf->data);
	synq_buf_init(buf, buf->max_bytes);
}

void
synq_buf_clear(struct synq_buf *buf)
{
	buf->bytes = 0;
	buf->overflow = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

/* Room for ${bytes} more and a NUL; 0, or TOO_LARGE above the maximum. */
static int
make_room(struct synq_buf *buf, size_t bytes)
{
	if (bytes > buf->max_bytes - buf->bytes)
		return -SYNQ_E_TOO_LARGE;

	size_t need = buf->bytes + bytes + 1;
	if (need <= buf->room)
		return 0;

	size_t room = buf->room ? buf->room : 64;
	while (room < need && room <= buf->max_bytes / 2)
		room *= 2;
	if (room < need || room > buf->max_bytes)
		room = buf->max_bytes + 1; /* what is inline trusts in it */
	buf->data = synq_mem_resize(buf->data, room);
	buf->room = room;
	return 0;
}

int
synq_buf_grow_and_add(struct synq_buf *buf, const void *data, size_t bytes)
{
	if (make_room(buf, bytes)) {
		buf->overflow = 1;
		return -SYNQ_E_TOO_LARGE;
	}
	if (bytes > 0)
		memcpy(buf->data + buf->bytes, data, bytes);
	buf->bytes += bytes;
	buf->data[buf->bytes] = '\0';
	return 0;
}

int
synq_buf_i64(struct synq_buf *buf, int64_t number)
{
	/* 19 digits and a sign. */
	char text[20];
	char *at = text + sizeof(text);
	uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

	do {
		*--at = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	if (number < 0)
		*--at = '-';
	return synq_buf_add(buf, at, (size_t)(text + sizeof(text) - at));
}

int
synq_buf_printf(struct synq_buf *buf, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int rc = synq_buf_vprintf(buf, fmt, args);
	va_end(args);
	return rc;
}

int
synq_buf_vprintf(struct synq_buf *buf, const char *fmt, va_list args)
{
	char small[256];
	va_list again;

	va_copy(again, args);
	int wanted = vsnprintf(small, sizeof(small), fmt, again);
	va_end(again);
	assert(wanted >= 0);
	if ((size_t)wanted < sizeof(small))
		return synq_buf_add(buf, small, (size_t)wanted);

	if (make_room(buf, (size_t)wanted)) {
		buf->overflow = 1;
		return -SYNQ_E_TOO_LARGE;
	}
	vsnprintf(buf->data + buf->bytes, (size_t)wanted + 1, fmt, args);
	buf->bytes += (size_t)wanted;
	return 0;
}

char *
synq_buf_reserve(struct synq_buf *buf, size_t bytes)
{
	if (make_room(buf, bytes))
		return NULL;
	/* Stays right if the caller fills all of it. */
	buf->data[buf->bytes + bytes] = '\0';
	return buf->data + buf->bytes;
}

void
synq_buf_consume(struct synq_buf *buf, size_t bytes)
{
	assert(bytes <= buf->bytes);
	if (bytes == 0)
		return;
	buf->bytes -= bytes;
	memmove(buf->data, buf->data + bytes, buf->bytes);
	buf->data[buf->bytes] = '\0';
}

struct synq_slice
synq_buf_view(const struct synq_buf *buf)
{
	return synq_slice_of(buf->data, buf->bytes);
}
