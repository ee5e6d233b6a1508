#ifndef TESTS_UNIT_JSON_ORACLE_H
#define TESTS_UNIT_JSON_ORACLE_H

/*
 * The scanner against json-c: what the scanner accepts, json-c must accept
 * with equal values; what only json-c accepts must be one of the refusals
 * that are known to be stricter.  Shared by the unit test and the fuzzer.
 *
 * All functions return NULL, or a literal that says what is wrong.
 */

#include <math.h>
#include <string.h>

#include <json-c/json.h>

#include "json/scan.h"

static inline const char *oracle_values(
    struct synq_json ours, struct json_object *theirs);

/*
 * Known to be stricter than json-c in its strict mode: what each reason for a
 * refusal begins with, and an example that json-c takes.
 */
static const char *const oracle_stricter[] = {
	"valid UTF-8",                        /* ED A0 80, C0 80 */
	"valid: a name stands twice",         /* {"a":1,"a":2} */
	"acceptable: ",                       /* "\u0000", 65 brackets */
	"valid JSON: half a surrogate",       /* "\ud800" */
	"valid JSON: a control character",    /* a line feed in a string */
	"valid JSON: a value is expected",    /* NaN, Infinity, 'a' */
	"valid JSON: a name in quotes",       /* {'a':1} */
	"valid JSON: a digit is expected",    /* -Infinity, 1. */
	"valid JSON: a number begins with 0", /* 02.5 */
};

static inline const char *
oracle_string(struct synq_json ours, struct json_object *theirs)
{
	struct synq_buf text;
	const char *wrong = NULL;

	synq_buf_init(&text, ours.raw.bytes);
	if (!json_object_is_type(theirs, json_type_string))
		wrong = "a string is something else";
	else if (synq_json_string(ours, &text))
		wrong = "a string does not unescape";
	else if (text.bytes != (size_t)json_object_get_string_len(theirs) ||
		 (text.bytes > 0 &&
		     memcmp(text.data, json_object_get_string(theirs),
			 text.bytes) != 0))
		wrong = "a string differs";
	synq_buf_done(&text);
	return wrong;
}

static inline const char *
oracle_number(struct synq_json ours, struct json_object *theirs)
{
	enum json_type type = json_object_get_type(theirs);
	double number;
	int64_t whole;

	if (type != json_type_int && type != json_type_double)
		return "a number is something else";
	if (synq_json_int(ours, &whole) == 0) {
		/* json-c reads -0 as the double it is. */
		if (type == json_type_int
			? json_object_get_int64(theirs) != whole
			: whole != 0)
			return "a whole number differs";
	}
	if (synq_json_double(ours, &number))
		return isfinite(json_object_get_double(theirs)) &&
		               ours.raw.bytes <= 512 && type == json_type_double
		           ? "a finite number is refused"
		           : NULL;
	/* json-c cuts whole numbers at 64 bits. */
	if (type == json_type_int && fabs(number) > 9e18)
		return NULL;
	return number == json_object_get_double(theirs) ? NULL
	                                                : "a number differs";
}

static inline const char *
oracle_array(struct synq_json ours, struct json_object *theirs)
{
	struct synq_json_cursor cursor = synq_json_walk(ours);
	struct synq_json element;
	struct synq_slice name;
	const char *wrong = NULL;
	size_t count = 0;

	if (!json_object_is_type(theirs, json_type_array))
		return "an array is something else";
	while (!wrong && synq_json_next(&cursor, &name, &element)) {
		if (name.bytes > 0)
			return "an element has a name";
		if (count == json_object_array_length(theirs))
			return "an array is longer";
		wrong = oracle_values(
		    element, json_object_array_get_idx(theirs, count++));
	}
	if (!wrong && count != json_object_array_length(theirs))
		wrong = "an array is shorter";
	return wrong;
}

static inline const char *
oracle_object(struct synq_json ours, struct json_object *theirs)
{
	size_t count = 0;

	if (!json_object_is_type(theirs, json_type_object))
		return "an object is something else";
	json_object_object_foreach(theirs, name, value)
	{
		struct synq_json member = synq_json_member(ours, name);
		const char *wrong = member.type == SYNQ_JSON_NONE
		                        ? "a member is not found"
		                        : oracle_values(member, value);

		if (wrong)
			return wrong;
		count++;
	}
	return synq_json_count(ours, SYNQ_JSON_MAX_MEMBERS + 1) == count
	           ? NULL
	           : "an object has another number of members";
}

static inline const char *
oracle_values(struct synq_json ours, struct json_object *theirs)
{
	switch (ours.type) {
	case SYNQ_JSON_OBJECT:
		return oracle_object(ours, theirs);
	case SYNQ_JSON_ARRAY:
		return oracle_array(ours, theirs);
	case SYNQ_JSON_STRING:
		return oracle_string(ours, theirs);
	case SYNQ_JSON_NUMBER:
		return oracle_number(ours, theirs);
	case SYNQ_JSON_TRUE:
	case SYNQ_JSON_FALSE:
		return json_object_is_type(theirs, json_type_boolean) &&
		               json_object_get_boolean(theirs) ==
		                   (ours.type == SYNQ_JSON_TRUE)
		           ? NULL
		           : "a truth value differs";
	case SYNQ_JSON_NULL:
		return theirs ? "null is something else" : NULL;
	case SYNQ_JSON_NONE:
		break;
	}
	return "a value has no type";
}

static inline const char *
oracle_refusal(const struct synq_json_fault *fault)
{
	for (size_t i = 0; i < SYNQ_COUNT(oracle_stricter); i++) {
		if (strncmp(fault->reason, oracle_stricter[i],
			strlen(oracle_stricter[i])) == 0)
			return NULL;
	}
	return fault->reason;
}

/* Compare both on ${text}, which has a NUL behind it and none inside. */
static inline const char *
oracle_compare(struct synq_slice text)
{
	struct json_tokener *tokener =
	    json_tokener_new_ex(SYNQ_JSON_MAX_DEPTH + 2);
	struct synq_json_fault fault;
	struct synq_json ours;
	const char *wrong = NULL;

	json_tokener_set_flags(
	    tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *theirs =
	    json_tokener_parse_ex(tokener, text.data, (int)text.bytes + 1);
	int they_accept =
	    json_tokener_get_error(tokener) == json_tokener_success;

	if (synq_json_parse(text, &ours, &fault) == 0)
		wrong = they_accept ? oracle_values(ours, theirs)
		                    : "only the scanner accepts it";
	else if (they_accept)
		wrong = oracle_refusal(&fault);
	json_object_put(theirs);
	json_tokener_free(tokener);
	return wrong;
}

#endif
