/*
 * Reads values of a text that synq_json_parse accepted: a value that is not
 * wanted is skipped by its brackets and quotes alone.
 *
 * Strings and brackets that were validated need no check here, but no walk
 * leaves its slice, and each step of one moves on.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/scan.h"
#include "json/span.h"
#include "json/unescape.h"
#include "json/value.h"

/* Longest number that is converted; no sensible one comes near. */
#define NUMBER_BYTES 512

static const struct synq_json none;

/* The first byte behind the string that begins at ${at}. */
static const char *
skip_string(const char *at, const char *end)
{
	at++;
	for (;;) {
		at = synq_json_span_valid(at, end);
		if (at >= end)
			return end;
		if (*at == '"')
			return at + 1;
		if (end - at < 2)
			return end;
		at += 2;
	}
}

/* The first byte behind the object or array that begins at ${at}. */
static const char *
skip_brackets(const char *at, const char *end)
{
	size_t depth = 0;

	while (at < end) {
		switch (*at) {
		case '"':
			at = skip_string(at, end);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return at + 1;
			break;
		default:
			break;
		}
		at++;
	}
	return end;
}

/* The first byte behind the number or word that begins at ${at}. */
static const char *
skip_scalar(const char *at, const char *end)
{
	while (at < end && *at != ',' && *at != ']' && *at != '}' &&
	       (unsigned char)*at > ' ')
		at++;
	return at;
}

static const char *
skip_value(const char *at, const char *end)
{
	if (*at == '"')
		return skip_string(at, end);
	if (*at == '{' || *at == '[')
		return skip_brackets(at, end);
	return skip_scalar(at, end);
}

/* ${value}, a string with its quotes, without them. */
static struct synq_slice
inside_of(struct synq_slice string)
{
	return synq_slice_of(string.data + 1, string.bytes - 2);
}

static int
is_string(struct synq_json value)
{
	return value.type == SYNQ_JSON_STRING && value.raw.bytes >= 2;
}

/* 1 if the string ${raw} with its quotes stands for ${text}. */
static int
stands_for(struct synq_slice raw, struct synq_slice text)
{
	struct synq_slice inside = inside_of(raw);

	if (!memchr(inside.data, '\\', inside.bytes))
		return synq_slice_equal(inside, text);

	struct synq_json_bytes bytes = synq_json_bytes_of(inside);
	for (size_t i = 0; i < text.bytes; i++) {
		if (synq_json_bytes_next(&bytes) != (uint8_t)text.data[i])
			return 0;
	}
	return synq_json_bytes_next(&bytes) < 0;
}

struct synq_json_cursor
synq_json_walk(struct synq_json value)
{
	if ((value.type != SYNQ_JSON_OBJECT && value.type != SYNQ_JSON_ARRAY) ||
	    value.raw.bytes < 2)
		return (struct synq_json_cursor){ NULL, NULL };
	return (struct synq_json_cursor){
		.at = value.raw.data + 1,
		.end = value.raw.data + value.raw.bytes - 1,
	};
}

int
synq_json_next(struct synq_json_cursor *cursor, struct synq_slice *ret_name,
    struct synq_json *ret_value)
{
	const char *end = cursor->end;
	const char *at = synq_json_skip_space(cursor->at, end);

	if (at < end && *at == ',')
		at = synq_json_skip_space(at + 1, end);
	if (at >= end)
		return 0;

	const char *behind = skip_value(at, end);
	const char *colon = synq_json_skip_space(behind, end);
	struct synq_slice name = { NULL, 0 };
	/* A colon can only follow a name, so this is an object. */
	if (colon < end && *colon == ':') {
		name = synq_slice_of(at, (size_t)(behind - at));
		at = synq_json_skip_space(colon + 1, end);
		if (at >= end)
			return 0;
		behind = skip_value(at, end);
	}
	if (ret_name)
		*ret_name = name;
	ret_value->raw = synq_slice_of(at, (size_t)(behind - at));
	ret_value->type = synq_json_type_of(*at);
	cursor->at = behind;
	return 1;
}

static struct synq_json
find_member(struct synq_json value, struct synq_slice wanted)
{
	struct synq_json_cursor cursor = synq_json_walk(value);
	struct synq_json member;
	struct synq_slice name;

	if (value.type != SYNQ_JSON_OBJECT)
		return none;
	while (synq_json_next(&cursor, &name, &member)) {
		if (name.bytes >= 2 && stands_for(name, wanted))
			return member;
	}
	return none;
}

static struct synq_json
find_element(struct synq_json value, struct synq_slice place)
{
	struct synq_json_cursor cursor = synq_json_walk(value);
	struct synq_json element;
	uint64_t left;

	if (synq_slice_u64(place, value.raw.bytes, &left))
		return none;
	while (synq_json_next(&cursor, NULL, &element)) {
		if (left-- == 0)
			return element;
	}
	return none;
}

struct synq_json
synq_json_member(struct synq_json value, const char *name)
{
	return find_member(value, synq_slice_text(name));
}

struct synq_json
synq_json_path(struct synq_json value, const char *path)
{
	while (*path) {
		size_t bytes = strcspn(path, ".");
		struct synq_slice step = synq_slice_of(path, bytes);

		if (value.type == SYNQ_JSON_ARRAY)
			value = find_element(value, step);
		else
			value = find_member(value, step);
		path += bytes + (path[bytes] == '.');
	}
	return value;
}

/* Append what ${inside} stands for, run by run. */
static int
append_unescaped(struct synq_slice inside, struct synq_buf *out)
{
	const char *at = inside.data;
	const char *end = at + inside.bytes;

	while (at < end) {
		const char *escape = memchr(at, '\\', (size_t)(end - at));
		const char *behind = escape ? escape : end;
		char one[4];

		if (synq_buf_add(out, at, (size_t)(behind - at)))
			return -SYNQ_E_TOO_LARGE;
		at = behind;
		if (escape &&
		    synq_buf_add(out, one, synq_json_unescape(&at, one)))
			return -SYNQ_E_TOO_LARGE;
	}
	return 0;
}

int
synq_json_string(struct synq_json value, struct synq_buf *out)
{
	size_t before = out->bytes;

	if (!is_string(value))
		return -SYNQ_E_INVALID;
	if (append_unescaped(inside_of(value.raw), out) == 0)
		return 0;
	/* All or nothing, as every append. */
	out->bytes = before;
	if (out->data)
		out->data[before] = '\0';
	return -SYNQ_E_TOO_LARGE;
}

int
synq_json_plain(struct synq_json value, struct synq_slice *ret)
{
	if (!is_string(value))
		return -SYNQ_E_INVALID;

	struct synq_slice inside = inside_of(value.raw);
	if (memchr(inside.data, '\\', inside.bytes))
		return -SYNQ_E_INVALID;
	*ret = inside;
	return 0;
}

int
synq_json_is(struct synq_json value, const char *text)
{
	return is_string(value) && stands_for(value.raw, synq_slice_text(text));
}

int
synq_json_int(struct synq_json value, int64_t *ret)
{
	struct synq_slice digits = value.raw;
	uint64_t size;

	if (value.type != SYNQ_JSON_NUMBER)
		return -SYNQ_E_INVALID;
	if (digits.bytes > 0 && digits.data[0] == '-') {
		digits.data++;
		digits.bytes--;
		if (synq_slice_u64(digits, UINT64_C(1) << 63, &size))
			return -SYNQ_E_INVALID;
		/* Not -(int64_t)size: the smallest has no positive twin. */
		*ret = size ? -(int64_t)(size - 1) - 1 : 0;
		return 0;
	}
	if (synq_slice_u64(digits, INT64_MAX, &size))
		return -SYNQ_E_INVALID;
	*ret = (int64_t)size;
	return 0;
}

int
synq_json_double(struct synq_json value, double *ret)
{
	char text[NUMBER_BYTES + 1];

	if (value.type != SYNQ_JSON_NUMBER || value.raw.bytes > NUMBER_BYTES)
		return -SYNQ_E_INVALID;
	memcpy(text, value.raw.data, value.raw.bytes);
	text[value.raw.bytes] = '\0';

	char *end;
	double number = strtod(text, &end);
	if (*end || end == text || !isfinite(number))
		return -SYNQ_E_INVALID;
	*ret = number;
	return 0;
}

size_t
synq_json_count(struct synq_json value, size_t max)
{
	struct synq_json_cursor cursor = synq_json_walk(value);
	struct synq_json element;
	size_t count = 0;

	while (count < max && synq_json_next(&cursor, NULL, &element))
		count++;
	return count;
}
