#ifndef TESTS_LIB_TEXTS_H
#define TESTS_LIB_TEXTS_H

/*
 * Chat requests of one size, each with other words.  Equal bodies would
 * compress to almost nothing and flatter whoever stores them, so the words are
 * drawn as in a natural text: a few often, most of them rarely.
 */

#include <stddef.h>
#include <stdint.h>

struct texts_order {
	size_t count;
	size_t bytes; /* of each body, exactly; at least 256 */
	const char *model;
	int job; /* wrapped as POST /v1/jobs takes it */
	uint64_t seed;
};

/*
 * All bodies that ${order} asks for, one after the other without anything
 * between; the caller frees them.  NULL if the size is too small.
 */
char *texts_new(const struct texts_order *order);

#endif
