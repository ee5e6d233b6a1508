/*
 * What an OpenAI request may look like: a table of members per endpoint
 * (contracts.md 4), each with its type and range, then the few that need more
 * than a table.
 */

#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MODEL_MAX_CHARS 256
#define EMBEDDING_MAX_INPUTS 2048
/* Any 64-bit number: as a double the largest one is 2^63. */
#define SEED_MAX 9223372036854775808.0

enum kind { NUMBER, WHOLE, TEXT, TRUTH, ARRAY, OBJECT, TEXT_OR_ARRAY, ANY };

/* One known member; min and max count for numbers. */
struct member {
	const char *name;
	enum kind kind;
	double min;
	double max;
};

static const struct member chat_members[] = {
	{ "messages", ARRAY, 0, 0 },
	{ "temperature", NUMBER, 0, 2 },
	{ "top_p", NUMBER, 0, 1 },
	{ "frequency_penalty", NUMBER, -2, 2 },
	{ "presence_penalty", NUMBER, -2, 2 },
	{ "n", WHOLE, 1, 128 },
	{ "max_tokens", WHOLE, 1, 1e9 },
	{ "max_completion_tokens", WHOLE, 1, 1e9 },
	{ "top_logprobs", WHOLE, 0, 20 },
	{ "logprobs", TRUTH, 0, 0 },
	{ "logit_bias", OBJECT, 0, 0 },
	{ "seed", WHOLE, -SEED_MAX, SEED_MAX },
	{ "stop", TEXT_OR_ARRAY, 0, 0 },
	{ "stream", TRUTH, 0, 0 },
	{ "stream_options", OBJECT, 0, 0 },
	{ "tools", ARRAY, 0, 0 },
	{ "parallel_tool_calls", TRUTH, 0, 0 },
	{ "response_format", OBJECT, 0, 0 },
	{ "user", TEXT, 0, 0 },
	{ "store", TRUTH, 0, 0 },
	{ "service_tier", TEXT, 0, 0 },
	{ "reasoning_effort", TEXT, 0, 0 },
	{ NULL, ANY, 0, 0 },
};

static const struct member completion_members[] = {
	{ "prompt", TEXT_OR_ARRAY, 0, 0 },
	{ "temperature", NUMBER, 0, 2 },
	{ "top_p", NUMBER, 0, 1 },
	{ "frequency_penalty", NUMBER, -2, 2 },
	{ "presence_penalty", NUMBER, -2, 2 },
	{ "n", WHOLE, 1, 128 },
	{ "best_of", WHOLE, 1, 20 },
	{ "logprobs", WHOLE, 0, 5 },
	{ "max_tokens", WHOLE, 0, 1e9 },
	{ "echo", TRUTH, 0, 0 },
	{ "seed", WHOLE, -SEED_MAX, SEED_MAX },
	{ "stop", TEXT_OR_ARRAY, 0, 0 },
	{ "stream", TRUTH, 0, 0 },
	{ "suffix", TEXT, 0, 0 },
	{ "user", TEXT, 0, 0 },
	{ NULL, ANY, 0, 0 },
};

static const struct member embedding_members[] = {
	{ "input", TEXT_OR_ARRAY, 0, 0 },
	{ "encoding_format", TEXT, 0, 0 },
	{ "dimensions", WHOLE, 1, 1e6 },
	{ "user", TEXT, 0, 0 },
	{ NULL, ANY, 0, 0 },
};

static const struct {
	const struct member *members;
	const char *required;
} endpoints[] = {
	[SYNQ_ENDPOINT_CHAT] = { chat_members, "messages" },
	[SYNQ_ENDPOINT_COMPLETIONS] = { completion_members, "prompt" },
	[SYNQ_ENDPOINT_EMBEDDINGS] = { embedding_members, "input" },
};

int
check_fault_set(struct check_fault *fault, const char *code, const char *param,
    const char *fmt, ...)
{
	va_list args;

	fault->status = 400;
	fault->code = code;
	(void)snprintf(fault->param, sizeof(fault->param), "%s", param);
	va_start(args, fmt);
	(void)vsnprintf(fault->message, sizeof(fault->message), fmt, args);
	va_end(args);
	return -1;
}

/* "body." and "messages" → "body.messages". */
static const char *
check_name(const char *prefix, const char *name, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s%s", prefix, name);
	return ret;
}

static const char *
kind_text(enum kind kind)
{
	static const char *const texts[] = {
		[NUMBER] = "a number",
		[WHOLE] = "a whole number",
		[TEXT] = "a string",
		[TRUTH] = "true or false",
		[ARRAY] = "an array",
		[OBJECT] = "an object",
		[TEXT_OR_ARRAY] = "a string or an array",
		[ANY] = "anything",
	};

	return texts[kind];
}

static int
kind_is(enum kind kind, struct synq_json value)
{
	int64_t whole;

	switch (kind) {
	case NUMBER:
		return value.type == SYNQ_JSON_NUMBER;
	case WHOLE:
		return value.type == SYNQ_JSON_NUMBER &&
		       synq_json_int(value, &whole) == 0;
	case TEXT:
		return value.type == SYNQ_JSON_STRING;
	case TRUTH:
		return value.type == SYNQ_JSON_TRUE ||
		       value.type == SYNQ_JSON_FALSE;
	case ARRAY:
		return value.type == SYNQ_JSON_ARRAY;
	case OBJECT:
		return value.type == SYNQ_JSON_OBJECT;
	case TEXT_OR_ARRAY:
		return value.type == SYNQ_JSON_STRING ||
		       value.type == SYNQ_JSON_ARRAY;
	case ANY:
	default:
		return 1;
	}
}

static int
check_member(const struct member *member, struct synq_json value,
    const char *prefix, struct check_fault *fault)
{
	const int right = kind_is(member->kind, value);
	char name[64];
	double number;

	if (value.type == SYNQ_JSON_NULL)
		return 0; /* the SDKs send null for "not given" */
	if (right && member->kind != NUMBER && member->kind != WHOLE)
		return 0;
	if (right && synq_json_double(value, &number) == 0 &&
	    number >= member->min && number <= member->max)
		return 0;
	(void)check_name(prefix, member->name, name, sizeof(name));
	if (!right)
		return check_fault_set(fault, "invalid_type", name,
		    "'%s' must be %s.", name, kind_text(member->kind));
	return check_fault_set(fault, "invalid_value", name,
	    "'%s' must be from %.15g to %.15g.", name, member->min,
	    member->max);
}

/* A member's name as it came, and its inside if that has no escapes. */
struct name {
	struct synq_json raw;
	struct synq_slice plain; /* data NULL = it has escapes */
};

static struct name
name_of(struct synq_slice raw)
{
	struct name name = { .raw = { SYNQ_JSON_STRING, raw } };

	if (synq_json_plain(name.raw, &name.plain) != 0)
		name.plain = synq_slice_of(NULL, 0);
	return name;
}

static int
name_is(const struct name *name, const char *text)
{
	if (name->plain.data == NULL)
		return synq_json_is(name->raw, text);
	return name->plain.bytes > 0 && name->plain.data[0] == text[0] &&
	       synq_slice_is(name->plain, text);
}

/* Find the table's row for ${name}; NULL if it is not known. */
static const struct member *
check_find(const struct member *members, const struct name *name)
{
	const struct member *member;

	for (member = members; member->name != NULL; member++) {
		if (name_is(name, member->name))
			return member;
	}
	return NULL;
}

/* The members that more is asked of than their type; NONE if not there. */
struct parts {
	struct synq_json model;
	struct synq_json required;
	struct synq_json stream;
	struct synq_json form; /* encoding_format */
};

/*
 * One walk over ${body}: its members against the table of ${endpoint}, and
 * ${ret} filled even where one of them is wrong.
 */
static int
check_members(enum synq_endpoint endpoint, struct synq_json body,
    const char *prefix, struct parts *ret, struct check_fault *fault)
{
	struct synq_json_cursor cursor = synq_json_walk(body);
	const struct member *member;
	struct synq_slice raw;
	struct synq_json value;
	struct name name;
	int rc = 0;

	while (synq_json_next(&cursor, &raw, &value)) {
		name = name_of(raw);
		member = check_find(endpoints[endpoint].members, &name);
		if (member != NULL && rc == 0)
			rc = check_member(member, value, prefix, fault);
		if (name_is(&name, "model"))
			ret->model = value;
		else if (name_is(&name, endpoints[endpoint].required))
			ret->required = value;
		else if (name_is(&name, "stream"))
			ret->stream = value;
		else if (name_is(&name, "encoding_format"))
			ret->form = value;
	}
	return rc;
}

/* The name ${model} without escapes into ${ret}; 0, or -1 if it is none. */
static int
check_plain(struct synq_json model, struct check_request *ret)
{
	struct synq_buf name;
	int rc = synq_json_plain(model, &ret->model);

	if (rc == 0 || ret->arena == NULL || model.type != SYNQ_JSON_STRING)
		return rc;
	synq_buf_init(&name, MODEL_MAX_CHARS);
	rc = synq_json_string(model, &name);
	ret->model = synq_arena_slice(ret->arena, synq_buf_view(&name));
	synq_buf_done(&name);
	if (rc != 0) /* too long, which the caller says */
		ret->model.bytes = 0;
	return 0;
}

static int
check_model(struct synq_json model, const char *prefix,
    struct check_request *ret, struct check_fault *fault)
{
	char name[64];

	if (check_plain(model, ret) == 0 && ret->model.bytes > 0 &&
	    ret->model.bytes <= MODEL_MAX_CHARS)
		return 0;
	(void)check_name(prefix, "model", name, sizeof(name));
	if (model.type == SYNQ_JSON_NONE)
		return check_fault_set(fault, "missing_required_parameter",
		    name,
		    "'%s' is missing: name a model, GET /v1/models lists "
		    "them.",
		    name);
	if (check_plain(model, ret) != 0)
		return check_fault_set(fault, "invalid_type", name,
		    "'%s' must be a string.", name);
	return check_fault_set(fault, "invalid_value", name,
	    "'%s' must be 1 to %d characters long.", name, MODEL_MAX_CHARS);
}

/* The role of message ${index} is one that OpenAI knows. */
static int
check_role(struct synq_json role, size_t index, const char *prefix,
    struct check_fault *fault)
{
	static const char *const roles[] = { "system", "user", "assistant",
		"developer", "tool", "function", NULL };
	char name[64];
	size_t i;

	for (i = 0; roles[i] != NULL; i++) {
		if (synq_json_is(role, roles[i]))
			return 0;
	}
	(void)snprintf(
	    name, sizeof(name), "%smessages[%zu].role", prefix, index);
	if (role.type == SYNQ_JSON_NONE)
		return check_fault_set(fault, "missing_required_parameter",
		    name, "'%s' is missing.", name);
	return check_fault_set(fault, "invalid_value", name,
	    "'%s' must be system, developer, user, assistant, tool or "
	    "function.",
	    name);
}

static int
check_content(struct synq_json content, size_t index, const char *prefix,
    struct check_fault *fault)
{
	char name[64];

	if (content.type == SYNQ_JSON_NONE || content.type == SYNQ_JSON_NULL ||
	    content.type == SYNQ_JSON_STRING || content.type == SYNQ_JSON_ARRAY)
		return 0;
	(void)snprintf(
	    name, sizeof(name), "%smessages[%zu].content", prefix, index);
	return check_fault_set(fault, "invalid_type", name,
	    "'%s' must be a string, an array of parts or null.", name);
}

static int
check_message(struct synq_json message, size_t index, const char *prefix,
    struct check_fault *fault)
{
	struct synq_json_cursor cursor = synq_json_walk(message);
	struct synq_json role = { .type = SYNQ_JSON_NONE };
	struct synq_json content = { .type = SYNQ_JSON_NONE };
	struct synq_json value;
	struct synq_slice raw;
	struct name name;
	char text[64];

	if (message.type != SYNQ_JSON_OBJECT) {
		(void)snprintf(
		    text, sizeof(text), "%smessages[%zu]", prefix, index);
		return check_fault_set(fault, "invalid_type", text,
		    "'%s' must be an object with role and content.", text);
	}
	while (synq_json_next(&cursor, &raw, &value)) {
		name = name_of(raw);
		if (name_is(&name, "role"))
			role = value;
		else if (name_is(&name, "content"))
			content = value;
	}
	if (check_role(role, index, prefix, fault) != 0)
		return -1;
	return check_content(content, index, prefix, fault);
}

static int
check_messages(
    struct synq_json messages, const char *prefix, struct check_fault *fault)
{
	struct synq_json_cursor cursor = synq_json_walk(messages);
	struct synq_json message;
	char name[64];
	size_t index = 0;

	while (synq_json_next(&cursor, NULL, &message)) {
		if (check_message(message, index, prefix, fault) != 0)
			return -1;
		index++;
	}
	if (index > 0)
		return 0;
	(void)check_name(prefix, "messages", name, sizeof(name));
	return check_fault_set(fault, "invalid_value", name,
	    "'%s' must hold at least one message.", name);
}

static int
check_stream(
    struct synq_json stream, const char *prefix, struct check_fault *fault)
{
	char name[64];

	if (stream.type != SYNQ_JSON_TRUE)
		return 0;
	(void)check_name(prefix, "stream", name, sizeof(name));
	return check_fault_set(fault, "unsupported_value", name,
	    "'%s' is not supported yet: leave it out or send false.", name);
}

static int
check_embedding(
    const struct parts *parts, const char *prefix, struct check_fault *fault)
{
	const struct synq_json input = parts->required;
	const struct synq_json form = parts->form;
	char name[64];
	size_t count;

	if (form.type == SYNQ_JSON_STRING && !synq_json_is(form, "float") &&
	    !synq_json_is(form, "base64")) {
		(void)check_name(prefix, "encoding_format", name, sizeof(name));
		return check_fault_set(fault, "invalid_value", name,
		    "'%s' must be \"float\" or \"base64\".", name);
	}
	if (input.type != SYNQ_JSON_ARRAY)
		return 0;
	count = synq_json_count(input, EMBEDDING_MAX_INPUTS + 1);
	if (count >= 1 && count <= EMBEDDING_MAX_INPUTS)
		return 0;
	(void)check_name(prefix, "input", name, sizeof(name));
	return check_fault_set(fault, "invalid_value", name,
	    "'%s' must hold 1 to %d inputs.", name, EMBEDDING_MAX_INPUTS);
}

int
check_body(enum synq_endpoint endpoint, struct synq_json body,
    const char *prefix, struct check_request *ret, struct check_fault *fault)
{
	const char *required = endpoints[endpoint].required;
	struct parts parts = { .model = { .type = SYNQ_JSON_NONE } };
	char name[64];
	int rc;

	ret->body = body;
	rc = check_members(endpoint, body, prefix, &parts, fault);
	if (check_model(parts.model, prefix, ret, fault) != 0 || rc != 0)
		return -1;
	if (parts.required.type == SYNQ_JSON_NONE ||
	    parts.required.type == SYNQ_JSON_NULL) {
		(void)check_name(prefix, required, name, sizeof(name));
		return check_fault_set(fault, "missing_required_parameter",
		    name, "'%s' is missing.", name);
	}
	if (endpoint == SYNQ_ENDPOINT_CHAT &&
	    check_messages(parts.required, prefix, fault) != 0)
		return -1;
	if (endpoint == SYNQ_ENDPOINT_EMBEDDINGS)
		return check_embedding(&parts, prefix, fault);
	return check_stream(parts.stream, prefix, fault);
}

int
check_parse(
    struct synq_slice text, struct synq_json *ret, struct check_fault *fault)
{
	struct synq_json_fault where;

	if (text.bytes == 0)
		return check_fault_set(fault, "invalid_json", "",
		    "The body is empty: send a JSON object.");
	if (synq_json_parse(text, ret, &where) != 0)
		return check_fault_set(fault, "invalid_json", "",
		    "The body is not valid JSON: %s (line %u, column %u).",
		    where.reason, where.line, where.column);
	if (ret->type != SYNQ_JSON_OBJECT)
		return check_fault_set(fault, "invalid_type", "",
		    "The body must be a JSON object.");
	return 0;
}

int
check_request(enum synq_endpoint endpoint, struct synq_slice text,
    struct check_request *ret, struct check_fault *fault)
{
	struct synq_json body = { .type = SYNQ_JSON_NONE };

	if (check_parse(text, &body, fault) != 0)
		return -1;
	return check_body(endpoint, body, "", ret, fault);
}
