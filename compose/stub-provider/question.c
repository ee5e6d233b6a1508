/*
 * Failure modes: anything of the body that is not as the OpenAI API demands,
 * where the answer depends on it: INVALID with a sentence.  The rest of the
 * body is not looked at.
 */

#include "question.h"

#include <string.h>

#include "base/arena.h"
#include "base/map.h"

#define DEFAULT_DIMENSIONS 64
#define MAX_NUMBERS 1000000 /* of all vectors together */

uint64_t
question_tokens(size_t bytes)
{
	return bytes < 4 ? 1 : (bytes + 3) / 4;
}

/* The text of the string ${value}. */
static struct synq_slice
text_of(struct synq_json value, struct synq_arena *arena)
{
	struct synq_slice text = { "", 0 };
	struct synq_buf buf;

	if (synq_json_plain(value, &text) == 0)
		return text;
	synq_buf_init(&buf, value.raw.bytes + 1);
	if (synq_json_string(value, &buf) == 0)
		text = synq_arena_slice(arena, synq_buf_view(&buf));
	synq_buf_done(&buf);
	return text;
}

/* The text of a message: a string, or the text parts of an array. */
static struct synq_slice
content_of(struct synq_json message, struct synq_arena *arena)
{
	struct synq_json content = synq_json_member(message, "content");
	struct synq_json_cursor cursor = synq_json_walk(content);
	struct synq_json part;
	struct synq_slice text;
	struct synq_buf buf;

	if (content.type == SYNQ_JSON_STRING)
		return text_of(content, arena);
	synq_buf_init(&buf, content.raw.bytes + 1);
	while (synq_json_next(&cursor, NULL, &part)) {
		struct synq_json inner = synq_json_member(part, "text");

		if (inner.type == SYNQ_JSON_STRING &&
		    synq_json_string(inner, &buf) != 0)
			break;
	}
	text = synq_arena_slice(arena, synq_buf_view(&buf));
	synq_buf_done(&buf);
	return text;
}

static int
read_messages(
    struct question *question, struct synq_arena *arena, struct synq_err *err)
{
	struct synq_json_cursor cursor = synq_json_walk(question->input);
	struct synq_json message;
	size_t count = 0;

	if (question->input.type != SYNQ_JSON_ARRAY)
		return synq_fail(
		    err, SYNQ_E_INVALID, "'messages' must be an array");
	for (; synq_json_next(&cursor, NULL, &message); count++) {
		struct synq_slice text = content_of(message, arena);

		question->prompt_tokens += question_tokens(text.bytes);
		if (synq_json_is(synq_json_member(message, "role"), "user"))
			question->text = text;
	}
	if (count == 0)
		return synq_fail(
		    err, SYNQ_E_INVALID, "'messages' must not be empty");
	return 0;
}

/* Whether ${array} is one input, that is, made of token numbers. */
static int
is_tokens(struct synq_json array)
{
	struct synq_json_cursor cursor = synq_json_walk(array);
	struct synq_json first;

	return synq_json_next(&cursor, NULL, &first) &&
	       first.type == SYNQ_JSON_NUMBER;
}

static uint64_t
tokens_of(struct synq_json input, struct synq_arena *arena)
{
	if (input.type == SYNQ_JSON_ARRAY)
		return synq_json_count(input, SIZE_MAX);
	return question_tokens(text_of(input, arena).bytes);
}

/* Make the input, whatever its form, a list. */
static int
list_inputs(
    struct question *question, struct synq_arena *arena, struct synq_err *err)
{
	struct synq_json_cursor cursor = synq_json_walk(question->input);
	size_t count = 1;

	if (question->input.type == SYNQ_JSON_ARRAY &&
	    !is_tokens(question->input))
		count =
		    synq_json_count(question->input, QUESTION_MAX_INPUTS + 1);
	if (count == 0 || count > QUESTION_MAX_INPUTS)
		return synq_fail(err, SYNQ_E_INVALID,
		    "there must be 1 to %d inputs", QUESTION_MAX_INPUTS);
	question->list =
	    synq_arena_alloc(arena, count * sizeof(*question->list));
	question->list[0] = question->input;
	question->inputs = count;
	if (question->input.type != SYNQ_JSON_ARRAY ||
	    is_tokens(question->input))
		return 0;
	for (size_t i = 0; i < count; i++)
		synq_json_next(&cursor, NULL, &question->list[i]);
	return 0;
}

static int
read_inputs(
    struct question *question, struct synq_arena *arena, struct synq_err *err)
{
	int rc = list_inputs(question, arena, err);

	for (size_t i = 0; rc == 0 && i < question->inputs; i++) {
		struct synq_json one = question->list[i];

		if (one.type != SYNQ_JSON_STRING && !is_tokens(one))
			return synq_fail(
			    err, SYNQ_E_INVALID, "the input is not valid");
		question->prompt_tokens += tokens_of(one, arena);
	}
	return rc;
}

struct synq_slice
question_input(
    const struct question *question, size_t at, struct synq_arena *arena)
{
	struct synq_json one = question->list[at];

	return one.type == SYNQ_JSON_STRING ? text_of(one, arena) : one.raw;
}

/* The member ${name} as a number from 1 to ${max}, if it is there. */
static int
read_u32(struct synq_json body, const char *name, int64_t max, uint32_t *ret,
    struct synq_err *err)
{
	struct synq_json value = synq_json_member(body, name);
	int64_t number;

	if (value.type == SYNQ_JSON_NONE || value.type == SYNQ_JSON_NULL)
		return 0;
	if (synq_json_int(value, &number) != 0 || number < 1 || number > max)
		return synq_fail(
		    err, SYNQ_E_INVALID, "'%s' is out of range", name);
	*ret = (uint32_t)number;
	return 0;
}

static int
read_options(
    struct question *question, struct synq_json body, struct synq_err *err)
{
	int chat = question->kind == QUESTION_CHAT;
	int64_t max = UINT32_MAX - 1;
	int rc;

	question->choices = 1;
	question->max_tokens = chat ? UINT32_MAX : 16;
	question->dimensions = DEFAULT_DIMENSIONS;
	question->is_base64 =
	    synq_json_is(synq_json_member(body, "encoding_format"), "base64");
	question->is_stream =
	    synq_json_member(body, "stream").type == SYNQ_JSON_TRUE;
	question->wants_usage =
	    synq_json_path(body, "stream_options.include_usage").type ==
	    SYNQ_JSON_TRUE;

	rc = read_u32(body, "n", QUESTION_MAX_CHOICES, &question->choices, err);
	if (rc == 0)
		rc = read_u32(
		    body, "max_tokens", max, &question->max_tokens, err);
	if (rc == 0 && chat)
		rc = read_u32(body, "max_completion_tokens", max,
		    &question->max_tokens, err);
	if (rc == 0)
		rc = read_u32(body, "dimensions", QUESTION_MAX_DIMENSIONS,
		    &question->dimensions, err);
	return rc;
}

static int
read_model(struct question *question, struct synq_json body,
    struct synq_arena *arena, struct synq_err *err)
{
	struct synq_json value = synq_json_member(body, "model");
	const char *colon;

	if (value.type != SYNQ_JSON_STRING)
		return synq_fail(
		    err, SYNQ_E_INVALID, "'model' must be a string");
	question->model_full = text_of(value, arena);
	question->model = question->model_full;
	if (question->model.bytes == 0)
		return synq_fail(
		    err, SYNQ_E_INVALID, "'model' must not be empty");
	colon = memchr(question->model.data, ':', question->model.bytes);
	if (!colon)
		return 0;
	question->model.bytes = (size_t)(colon - question->model.data);
	question->plan = synq_slice_of(
	    colon + 1, question->model_full.bytes - question->model.bytes - 1);
	return 0;
}

int
question_read(struct question *ret, enum question_kind kind,
    struct synq_slice body, struct synq_arena *arena, struct synq_err *err)
{
	static const char *const inputs[] = { [QUESTION_CHAT] = "messages",
		[QUESTION_COMPLETION] = "prompt",
		[QUESTION_EMBEDDING] = "input" };
	static const uint8_t hash_key[16] = "stub-provider";
	struct synq_json json;
	struct synq_json_fault fault;
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->kind = kind;
	if (synq_json_parse(body, &json, &fault) != 0)
		return synq_fail(err, SYNQ_E_INVALID,
		    "the body is not %s (byte %zu)", fault.reason,
		    fault.offset);
	if (json.type != SYNQ_JSON_OBJECT)
		return synq_fail(
		    err, SYNQ_E_INVALID, "the body must be an object");
	ret->hash = synq_siphash(body.data, body.bytes, hash_key);
	ret->input = synq_json_member(json, inputs[kind]);
	rc = read_model(ret, json, arena, err);
	if (rc == 0)
		rc = read_options(ret, json, err);
	if (rc != 0)
		return rc;
	return kind == QUESTION_CHAT ? read_messages(ret, arena, err)
	                             : read_inputs(ret, arena, err);
}
