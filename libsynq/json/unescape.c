/*
 * The text has been validated: an escape is whole, a surrogate has its other
 * half, and nothing here needs to fail.
 */

#include "json/unescape.h"

#include <string.h>

#include "base/utf8.h"

int32_t
synq_json_hex4(const char *at)
{
	int32_t number = 0;

	for (size_t i = 0; i < 4; i++) {
		char c = at[i];
		int digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			digit = c - 'A' + 10;
		else
			return -1;
		number = number << 4 | digit;
	}
	return number;
}

size_t
synq_json_unescape(const char **at, char ret[4])
{
	static const char from[] = "bfnrt";
	static const char to[] = "\b\f\n\r\t";
	char c = (*at)[1];

	if (c != 'u') {
		const char *found = strchr(from, c);

		ret[0] = found ? to[found - from] : c;
		*at += 2;
		return 1;
	}

	uint32_t code = (uint32_t)synq_json_hex4(*at + 2);
	*at += 6;
	if (code >= 0xd800 && code < 0xdc00) {
		uint32_t low = (uint32_t)synq_json_hex4(*at + 2);

		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		*at += 6;
	}
	return synq_utf8_encode(code, ret);
}

struct synq_json_bytes
synq_json_bytes_of(struct synq_slice inside)
{
	return (struct synq_json_bytes){
		.at = inside.data,
		.end = inside.data + inside.bytes,
	};
}

int
synq_json_bytes_next(struct synq_json_bytes *bytes)
{
	if (bytes->pending_at < bytes->pending_bytes)
		return (uint8_t)bytes->pending[bytes->pending_at++];
	if (bytes->at >= bytes->end)
		return -1;
	if (*bytes->at != '\\')
		return (uint8_t)*bytes->at++;

	bytes->pending_bytes =
	    (uint8_t)synq_json_unescape(&bytes->at, bytes->pending);
	bytes->pending_at = 1;
	return (uint8_t)bytes->pending[0];
}

int
synq_json_same(struct synq_slice a, struct synq_slice b)
{
	struct synq_json_bytes left = synq_json_bytes_of(a);
	struct synq_json_bytes right = synq_json_bytes_of(b);
	int byte;

	do {
		byte = synq_json_bytes_next(&left);
		if (byte != synq_json_bytes_next(&right))
			return 0;
	} while (byte >= 0);
	return 1;
}
