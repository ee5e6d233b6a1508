#include <string.h>

#include "conf/conf.h"

/*
 * Edit distance in which an insertion, a deletion, a replacement and a swap of
 * two neighbours cost one each (Damerau 1964, without edits inside a swap).
 */

#define MAX_CHARS 64

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
distance(const char *a, const char *b)
{
	size_t rows[3][MAX_CHARS + 1];
	size_t a_chars = strlen(a);
	size_t b_chars = strlen(b);
	size_t i;
	size_t j;

	for (j = 0; j <= b_chars; j++)
		rows[0][j] = j;
	for (i = 1; i <= a_chars; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3];
		const size_t *higher = rows[(i + 1) % 3];

		row[0] = i;
		for (j = 1; j <= b_chars; j++) {
			row[j] = least(above[j], row[j - 1]) + 1;
			row[j] = least(
			    row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], higher[j - 2] + 1);
		}
	}
	return rows[a_chars % 3][b_chars];
}

const char *
synq_conf_nearest(const char *word, const char *const *words)
{
	size_t chars = strlen(word);
	size_t best = chars / 3 + 1;
	const char *ret = NULL;

	if (chars > MAX_CHARS)
		return NULL;
	for (; *words != NULL; words++) {
		size_t away;

		if (strlen(*words) > MAX_CHARS)
			continue;
		away = distance(word, *words);
		if (away < best) {
			best = away;
			ret = *words;
		}
	}
	return ret;
}
