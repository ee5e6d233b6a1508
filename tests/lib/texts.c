#include "texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 4096
#define WORD_ROOM 16

static uint64_t
draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Two to five syllables each. */
static void
make_words(char (*words)[WORD_ROOM], uint64_t *state)
{
	static const char consonants[] = "bcdfghklmnprstvwz";
	static const char vowels[] = "aeiou";
	size_t i;

	for (i = 0; i < WORDS; i++) {
		size_t syllables = 2 + draw(state) % 4;
		size_t at = 0;

		while (syllables-- > 0) {
			words[i][at++] =
			    consonants[draw(state) % (sizeof(consonants) - 1)];
			words[i][at++] =
			    vowels[draw(state) % (sizeof(vowels) - 1)];
			if (draw(state) % 3 == 0)
				words[i][at++] = "nrst"[draw(state) % 4];
		}
		words[i][at < WORD_ROOM ? at : WORD_ROOM - 1] = '\0';
	}
}

/* Fill ${room} bytes at ${at} with words; the last may be cut. */
static void
write_words(char *at, size_t room, char (*words)[WORD_ROOM], uint64_t *state)
{
	while (room > 0) {
		double x = (double)(draw(state) >> 11) / 9007199254740992.0;
		const char *word = words[(size_t)(x * x * x * WORDS)];
		size_t bytes = strlen(word);

		if (bytes > room)
			bytes = room;
		memcpy(at, word, bytes);
		at += bytes;
		room -= bytes;
		if (room > 0) {
			*at++ = ' ';
			room--;
		}
	}
}

char *
texts_new(const struct texts_order *order)
{
	static char words[WORDS][WORD_ROOM];
	uint64_t state = order->seed * 2654435761U + 88172645463325252ULL;
	char head[256];
	const char *tail = order->job ? "\"}]}}" : "\"}]}";
	char *all, *at;
	size_t head_bytes, tail_bytes = strlen(tail);
	size_t i;
	int n = snprintf(head, sizeof(head),
	    "%s{\"model\":\"%s\",\"temperature\":0.7,\"max_tokens\":256,"
	    "\"messages\":[{\"role\":\"user\",\"content\":\"",
	    order->job ? "{\"endpoint\":\"/v1/chat/completions\",\"body\":"
		       : "",
	    order->model);

	if (n < 0 || (size_t)n >= sizeof(head) ||
	    (size_t)n + tail_bytes >= order->bytes)
		return NULL;
	head_bytes = (size_t)n;
	all = malloc(order->count * order->bytes);
	if (all == NULL)
		return NULL;
	make_words(words, &state);
	for (i = 0, at = all; i < order->count; i++, at += order->bytes) {
		memcpy(at, head, head_bytes);
		write_words(at + head_bytes,
		    order->bytes - head_bytes - tail_bytes, words, &state);
		memcpy(at + order->bytes - tail_bytes, tail, tail_bytes);
	}
	return all;
}
