#ifndef STUB_QUESTION_H
#define STUB_QUESTION_H

/*
 * The body of a call, understood as far as an answer needs it.  Pure.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "json/scan.h"

struct synq_arena;

enum question_kind { QUESTION_CHAT, QUESTION_COMPLETION, QUESTION_EMBEDDING };

#define QUESTION_MAX_CHOICES 128
#define QUESTION_MAX_INPUTS 2048
#define QUESTION_MAX_DIMENSIONS 4096

struct question {
	enum question_kind kind;
	struct synq_slice model; /* without what follows the first ':' */
	struct synq_slice model_full;
	struct synq_slice plan; /* what follows it */
	struct synq_json input; /* prompt or input; of chat, messages */
	struct synq_json *list; /* the inputs, not of chat */
	size_t inputs;
	struct synq_slice text; /* of chat, the last user message */
	uint64_t prompt_tokens;
	uint32_t choices;    /* n */
	uint32_t max_tokens; /* UINT32_MAX = no limit */
	uint32_t dimensions;
	int is_base64;
	int is_stream;
	int wants_usage; /* at the end of a stream */
	uint64_t hash;   /* of the body */
	uint64_t call;   /* its number, so that no two answers are the same */
};

/*
 * Read ${body} of a call of ${kind} into ${ret}; texts are copied to ${arena}
 * where they must be unescaped.  Error: INVALID.
 */
SYNQ_MUST_CHECK int question_read(struct question *ret, enum question_kind kind,
    struct synq_slice body, struct synq_arena *arena, struct synq_err *err);

/* The text of input ${at} of ${question}; of tokens, how they are written. */
struct synq_slice question_input(
    const struct question *question, size_t at, struct synq_arena *arena);

/* How many tokens ${bytes} bytes of text are counted as: one for 4, at least
 * one. */
uint64_t question_tokens(size_t bytes);

#endif
