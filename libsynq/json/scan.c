/*
 * One pass, without recursion: the scanner is in one of five places and each
 * turn takes one token.  Open brackets lie on a stack of bits; the names of
 * the members of all open objects lie on a stack of names, and are compared
 * when their object closes.
 *
 * The stack of names is small at first; a text that needs more is scanned
 * again from its start with a large one, which costs at most twice the time
 * and spares all others touching so much memory.  One that needs even more is
 * refused.
 *
 * A refusal names the first byte that cannot be right; of a name that stands
 * twice, the second one.
 */

#include "json/scan.h"

#include <string.h>

#include "base/utf8.h"
#include "json/names.h"
#include "json/span.h"
#include "json/unescape.h"
#include "json/value.h"

#define NAMES_SMALL ((size_t)256)
#define NAMES_LARGE ((size_t)SYNQ_JSON_MAX_MEMBERS * 2)

static const char r_ends[] = "valid JSON: the text ends too early";
static const char r_deep[] = "acceptable: it is nested too deeply";
static const char r_names[] = "acceptable: too many members in open objects";
static const char r_many[] = "acceptable: too many members in one object";
static const char r_large[] = "acceptable: it is larger than 2 GiB";
static const char r_twice[] = "valid: a name stands twice in one object";
static const char r_value[] = "valid JSON: a value is expected";
static const char r_name[] = "valid JSON: a name in quotes is expected";
static const char r_colon[] = "valid JSON: a colon is expected";
static const char r_member[] = "valid JSON: a comma or } is expected";
static const char r_element[] = "valid JSON: a comma or ] is expected";
static const char r_after[] = "valid JSON: text follows the value";
static const char r_digit[] = "valid JSON: a digit is expected";
static const char r_zero[] = "valid JSON: a number begins with 0";
static const char r_control[] =
    "valid JSON: a control character stands in a string";
static const char r_utf8[] = "valid UTF-8";
static const char r_escape[] = "valid JSON: an unknown escape";
static const char r_surrogate[] = "valid JSON: half a surrogate pair";
static const char r_null[] = "acceptable: U+0000 stands in a string";

/* Where the scanner is; a token leads from one to the next. */
enum place {
	AT_VALUE,
	AT_FIRST_ELEMENT, /* or at ] */
	AT_NAME,
	AT_FIRST_NAME, /* or at } */
	AFTER_VALUE,
	DONE,
	REFUSED
};

struct scan {
	const char *at;
	const char *start;
	const char *end;
	const char *reason; /* of a refusal; the byte is the one at ${at} */
	unsigned depth;
	int in_object; /* what the innermost open bracket is */
	size_t names_count;
	size_t names_room;
	struct synq_json_name *names;
	uint64_t objects; /* bit d: the bracket below depth d + 1 is a { */
	uint32_t first_name[SYNQ_JSON_MAX_DEPTH]; /* of the object there */
};

static enum place
refuse(struct scan *scan, const char *reason)
{
	scan->reason = scan->at < scan->end ? reason : r_ends;
	return REFUSED;
}

/* Refuse with ${reason}, whatever the rest of the text would be. */
static enum place
refuse_at(struct scan *scan, const char *at, const char *reason)
{
	scan->at = at;
	scan->reason = reason;
	return REFUSED;
}

/* Take the escape \u at the scanner; ${at} its backslash.  0 = refused. */
static int
take_unicode(struct scan *scan)
{
	const char *at = scan->at;
	int32_t code = scan->end - at < 6 ? -1 : synq_json_hex4(at + 2);

	if (code > 0 && (code < 0xd800 || code >= 0xe000)) {
		scan->at += 6;
		return 1;
	}
	if (code >= 0xd800 && code < 0xdc00 && scan->end - at >= 12 &&
	    at[6] == '\\' && at[7] == 'u') {
		int32_t low = synq_json_hex4(at + 8);

		if (low >= 0xdc00 && low < 0xe000) {
			scan->at += 12;
			return 1;
		}
	}
	if (code < 0)
		refuse(scan, r_escape);
	else
		refuse(scan, code ? r_surrogate : r_null);
	return 0;
}

/* Take the escape at the scanner.  0 = refused. */
static int
take_escape(struct scan *scan)
{
	if (scan->end - scan->at < 2) {
		refuse_at(scan, scan->end, r_ends);
		return 0;
	}
	switch (scan->at[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		scan->at += 2;
		return 1;
	case 'u':
		return take_unicode(scan);
	default:
		refuse(scan, r_escape);
		return 0;
	}
}

/* Take the characters that are not ASCII at the scanner.  0 = refused. */
static int
take_utf8(struct scan *scan)
{
	const char *at = scan->at;
	const char *end = scan->end;
	size_t bytes = 1;

	while (bytes > 0 && at < end && (*at & 0x80)) {
		/* The common scripts' three bytes, without the odd leads. */
		while (end - at >= 3 && synq_json_is_common_three(at))
			at += 3;
		if (at == end || !(*at & 0x80))
			break;
		bytes = synq_utf8_length(at, (size_t)(end - at));
		at += bytes;
	}
	scan->at = at;
	if (bytes == 0)
		refuse_at(scan, at, r_utf8);
	return bytes > 0;
}

/*
 * Take the string at the scanner, which is at its first quote.  Returns 0 if
 * it is refused, 1 if it has no escapes, 2 if it has.
 */
static int
take_string(struct scan *scan)
{
	int kind = 1;

	scan->at++;
	for (;;) {
		const char *at = synq_json_span(scan->at, scan->end);

		scan->at = at;
		if (at >= scan->end) {
			refuse(scan, r_ends);
			return 0;
		}
		if (*at == '"') {
			scan->at++;
			return kind;
		}
		if (*at == '\\') {
			kind = 2;
			if (!take_escape(scan))
				return 0;
		} else if (*at & 0x80) {
			if (!take_utf8(scan))
				return 0;
		} else {
			refuse(scan, r_control);
			return 0;
		}
	}
}

/* Take at least one digit.  0 = refused. */
static int
take_digits(struct scan *scan)
{
	const char *at = scan->at;

	while (at < scan->end && *at >= '0' && *at <= '9')
		at++;
	if (at == scan->at) {
		refuse_at(scan, at, r_digit);
		return 0;
	}
	scan->at = at;
	return 1;
}

static int
is_at(const struct scan *scan, char c)
{
	return scan->at < scan->end && *scan->at == c;
}

static enum place
take_number(struct scan *scan)
{
	if (is_at(scan, '-'))
		scan->at++;

	int is_zero = is_at(scan, '0');
	const char *first = scan->at;
	if (!take_digits(scan))
		return REFUSED;
	if (is_zero && scan->at - first > 1)
		return refuse_at(scan, first, r_zero);
	if (is_at(scan, '.')) {
		scan->at++;
		if (!take_digits(scan))
			return REFUSED;
	}
	if (is_at(scan, 'e') || is_at(scan, 'E')) {
		scan->at++;
		if (is_at(scan, '+') || is_at(scan, '-'))
			scan->at++;
		if (!take_digits(scan))
			return REFUSED;
	}
	return AFTER_VALUE;
}

static enum place
take_word(struct scan *scan, const char *word, size_t bytes)
{
	if ((size_t)(scan->end - scan->at) < bytes ||
	    memcmp(scan->at, word, bytes) != 0)
		return refuse_at(scan, scan->at, r_value);
	scan->at += bytes;
	return AFTER_VALUE;
}

static enum place
open_bracket(struct scan *scan, int is_object)
{
	if (scan->depth == SYNQ_JSON_MAX_DEPTH)
		return refuse(scan, r_deep);

	uint64_t bit = UINT64_C(1) << scan->depth;
	scan->first_name[scan->depth] = (uint32_t)scan->names_count;
	scan->objects = is_object ? scan->objects | bit : scan->objects & ~bit;
	scan->in_object = is_object;
	scan->depth++;
	scan->at++;
	return is_object ? AT_FIRST_NAME : AT_FIRST_ELEMENT;
}

static enum place
close_bracket(struct scan *scan)
{
	unsigned depth = --scan->depth;

	if (scan->in_object) {
		size_t first = scan->first_name[depth];
		size_t count = scan->names_count - first;
		struct synq_json_name *names = scan->names + first;
		size_t twice = synq_json_duplicate(scan->start, names, count);

		if (twice < count)
			return refuse_at(scan,
			    scan->start + names[twice].offset - 1, r_twice);
		scan->names_count = first;
	}
	if (depth > 0)
		scan->in_object = scan->objects >> (depth - 1) & 1;
	scan->at++;
	return AFTER_VALUE;
}

static enum place
take_value(struct scan *scan)
{
	if (scan->at >= scan->end)
		return refuse(scan, r_value);
	switch (*scan->at) {
	case '"':
		return take_string(scan) ? AFTER_VALUE : REFUSED;
	case '{':
		return open_bracket(scan, 1);
	case '[':
		return open_bracket(scan, 0);
	case 't':
		return take_word(scan, "true", 4);
	case 'f':
		return take_word(scan, "false", 5);
	case 'n':
		return take_word(scan, "null", 4);
	default:
		if (*scan->at == '-' || (*scan->at >= '0' && *scan->at <= '9'))
			return take_number(scan);
		return refuse(scan, r_value);
	}
}

/* Remember the name from ${start}, its first quote, to the scanner. */
static int
note_name(struct scan *scan, const char *start, int has_escapes)
{
	struct synq_slice inside =
	    synq_slice_of(start + 1, (size_t)(scan->at - start - 2));
	size_t count = scan->names_count - scan->first_name[scan->depth - 1];

	if (count == SYNQ_JSON_MAX_MEMBERS) {
		refuse_at(scan, start, r_many);
		return 0;
	}
	if (scan->names_count == scan->names_room) {
		refuse_at(scan, start, r_names);
		return 0;
	}
	scan->names[scan->names_count++] = (struct synq_json_name){
		.offset = (uint32_t)(inside.data - scan->start),
		.bytes = (uint32_t)inside.bytes,
		.tag = has_escapes ? 0 : synq_json_tag(inside),
	};
	return 1;
}

static enum place
take_name(struct scan *scan)
{
	const char *start = scan->at;

	if (!is_at(scan, '"'))
		return refuse(scan, r_name);
	int kind = take_string(scan);
	if (!kind || !note_name(scan, start, kind == 2))
		return REFUSED;
	scan->at = synq_json_skip_space(scan->at, scan->end);
	if (!is_at(scan, ':'))
		return refuse(scan, r_colon);
	scan->at++;
	return AT_VALUE;
}

static enum place
take_separator(struct scan *scan)
{
	if (scan->depth == 0)
		return scan->at == scan->end ? DONE : refuse(scan, r_after);
	if (is_at(scan, ',')) {
		scan->at++;
		return scan->in_object ? AT_NAME : AT_VALUE;
	}
	if (is_at(scan, scan->in_object ? '}' : ']'))
		return close_bracket(scan);
	return refuse(scan, scan->in_object ? r_member : r_element);
}

static enum place
take_token(struct scan *scan, enum place place)
{
	switch (place) {
	case AT_VALUE:
		return take_value(scan);
	case AT_FIRST_ELEMENT:
		return is_at(scan, ']') ? close_bracket(scan)
		                        : take_value(scan);
	case AT_NAME:
		return take_name(scan);
	case AT_FIRST_NAME:
		return is_at(scan, '}') ? close_bracket(scan) : take_name(scan);
	case AFTER_VALUE:
		return take_separator(scan);
	case DONE:
	case REFUSED:
		break;
	}
	return REFUSED;
}

/* Scan from the start with what ${scan} has; 0 = ${scan}->reason says why. */
static int
scan_all(struct scan *scan)
{
	enum place place = AT_VALUE;

	scan->at = scan->start;
	scan->depth = 0;
	scan->names_count = 0;
	while (place < DONE) {
		scan->at = synq_json_skip_space(scan->at, scan->end);
		place = take_token(scan, place);
	}
	return place == DONE;
}

/* Not inlined, so that only the texts that need it touch so much stack. */
__attribute__((noinline)) static int
scan_with_small_names(struct scan *scan)
{
	struct synq_json_name names[NAMES_SMALL];

	scan->names = names;
	scan->names_room = NAMES_SMALL;
	int accepted = scan_all(scan);
	scan->names = NULL;
	return accepted;
}

__attribute__((noinline)) static int
scan_with_large_names(struct scan *scan)
{
	struct synq_json_name names[NAMES_LARGE];

	scan->names = names;
	scan->names_room = NAMES_LARGE;
	int accepted = scan_all(scan);
	scan->names = NULL;
	return accepted;
}

static int
report(const struct scan *scan, struct synq_json_fault *fault)
{
	if (!fault)
		return -SYNQ_E_INVALID;

	const char *line = scan->start;
	fault->offset = (size_t)(scan->at - scan->start);
	fault->reason = scan->reason;
	fault->line = 1;
	for (const char *at = scan->start; at < scan->at; at++) {
		if (*at == '\n') {
			fault->line++;
			line = at + 1;
		}
	}
	fault->column = (uint32_t)(scan->at - line + 1);
	return -SYNQ_E_INVALID;
}

int
synq_json_parse(struct synq_slice text, struct synq_json *ret,
    struct synq_json_fault *fault)
{
	const char *start = text.data ? text.data : "";
	struct scan scan;

	scan.start = start;
	scan.at = start;
	scan.end = start + text.bytes;
	scan.objects = 0;
	scan.in_object = 0;
	scan.reason = NULL;
	if (text.bytes > INT32_MAX) {
		refuse(&scan, r_large);
		return report(&scan, fault);
	}
	if (!scan_with_small_names(&scan) &&
	    (scan.reason != r_names || !scan_with_large_names(&scan)))
		return report(&scan, fault);

	const char *first = synq_json_skip_space(start, scan.end);
	const char *last = scan.end;
	while (strchr(" \t\r\n", last[-1]))
		last--;
	ret->raw = synq_slice_of(first, (size_t)(last - first));
	ret->type = synq_json_type_of(*first);
	return 0;
}
