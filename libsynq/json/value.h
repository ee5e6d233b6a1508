#ifndef SYNQ_JSON_VALUE_H
#define SYNQ_JSON_VALUE_H

/*
 * What the first character of a value says about it.
 */

#include "json/scan.h"

/* The type of the valid value that begins with ${first}. */
static inline enum synq_json_type
synq_json_type_of(char first)
{
	switch (first) {
	case '{':
		return SYNQ_JSON_OBJECT;
	case '[':
		return SYNQ_JSON_ARRAY;
	case '"':
		return SYNQ_JSON_STRING;
	case 't':
		return SYNQ_JSON_TRUE;
	case 'f':
		return SYNQ_JSON_FALSE;
	case 'n':
		return SYNQ_JSON_NULL;
	default:
		return SYNQ_JSON_NUMBER;
	}
}

#endif
