#ifndef STUB_REPLY_H
#define STUB_REPLY_H

/*
 * The answer to a question: always the same for the same question.  Pure.
 *
 * The text is "stub:" and the first 40 characters of what was asked (of chat,
 * the last user message), so that a test can tell whose answer it is; the
 * vector of an embedding follows from the input's bytes.
 */

#include <stdint.h>

#include "base/slice.h"
#include "question.h"

struct synq_arena;

/* How many tokens the answer to ${question} has, padded to ${pad_bytes}. */
uint64_t reply_tokens(const struct question *question, uint32_t pad_bytes,
    struct synq_arena *arena);

/* Append the answer to ${question}, made at ${now_s}, to ${out}. */
void reply_write(const struct question *question, uint32_t pad_bytes,
    int64_t now_s, struct synq_arena *arena, struct synq_buf *out);

/* Append the same as a stream of events to ${out}. */
void reply_stream(const struct question *question, uint32_t pad_bytes,
    int64_t now_s, struct synq_arena *arena, struct synq_buf *out);

/* Append an error in OpenAI's form to ${out}; ${code} may be NULL. */
void reply_error(struct synq_buf *out, const char *message, const char *type,
    const char *code);

/* Append the model ${id} to ${out}. */
void reply_model(struct synq_buf *out, struct synq_slice id);

#endif
