/*
 * Parameters: limit, after, state, model, created_after, created_before and
 * metadata[NAME].  An unknown one is a mistake; each may be given once.
 */

#include "filter.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "codec/url.h"
#include "intake.h"
#include "job/id.h"
#include "json/scan.h"
#include "json/write.h"

#define FILTER_LIMIT_DEFAULT 20
#define FILTER_LIMIT_MAX 100
#define FILTER_TEXT_MAX 2048
#define FILTER_PARAMETERS_MAX 32

/* What is read so far. */
struct filter_state {
	struct api_call *call;
	struct synq_job_filter *filter;
	struct synq_buf metadata; /* the JSON object, its last brace missing */
	unsigned seen;            /* bit i: filter_parameters[i] was given */
	const char *expected;     /* of a value that was wrong */
};

static int
filter_limit(struct filter_state *state, struct synq_slice value)
{
	uint64_t limit;

	state->expected = "a whole number from 1 to 100";
	if (synq_slice_u64(value, FILTER_LIMIT_MAX, &limit) != 0 || limit == 0)
		return -1;
	state->filter->limit = (uint32_t)limit;
	return 0;
}

static int
filter_after(struct filter_state *state, struct synq_slice value)
{
	const struct api_call *call = state->call;

	state->expected = "the id of a job of yours";
	return synq_job_id_parse(call->intake->idkey, INTAKE_IDKEY_VERSION,
	    &call->principal.organization_id, value, &state->filter->after);
}

static int
filter_state_name(struct filter_state *state, struct synq_slice value)
{
	enum synq_job_state parsed;

	state->expected = "one of queued, running, retrying, succeeded, "
			  "failed, cancelled, expired";
	state->filter->state = value;
	if (synq_job_state_parse(value, &parsed) != 0)
		return -1;
	return parsed == SYNQ_JOB_ACCEPTED ? -1 : 0; /* no row is in it */
}

static int
filter_model(struct filter_state *state, struct synq_slice value)
{
	state->expected = "the name of a model";
	state->filter->model = value;
	return value.bytes > 0 && value.bytes <= 256 ? 0 : -1;
}

static int
filter_from(struct filter_state *state, struct synq_slice value)
{
	state->expected = "an RFC 3339 time or seconds since 1970";
	return synq_clock_parse(value, &state->filter->created_from);
}

static int
filter_to(struct filter_state *state, struct synq_slice value)
{
	state->expected = "an RFC 3339 time or seconds since 1970";
	return synq_clock_parse(value, &state->filter->created_to);
}

static const struct {
	const char *name;
	int (*read)(struct filter_state *state, struct synq_slice value);
} filter_parameters[] = {
	{ "limit", filter_limit },
	{ "after", filter_after },
	{ "state", filter_state_name },
	{ "status", filter_state_name },
	{ "model", filter_model },
	{ "created_after", filter_from },
	{ "created_before", filter_to },
};

/* 1 if the object as it stands is JSON: no name stands there twice. */
static int
filter_metadata_valid(struct synq_buf *metadata)
{
	struct synq_json object;
	int rc;

	(void)synq_buf_char(metadata, '}');
	if (metadata->overflow)
		return 0;
	rc = synq_json_parse(synq_buf_view(metadata), &object, NULL);
	metadata->bytes--;
	return rc == 0;
}

/* metadata[NAME]=VALUE: one more member of the object to be contained. */
static int
filter_metadata(
    struct filter_state *state, struct synq_slice name, struct synq_slice value)
{
	struct synq_json_writer json;

	state->expected = "text of up to 512 characters";
	name.data += strlen("metadata[");
	name.bytes -= strlen("metadata[") + 1;
	if (name.bytes == 0 || name.bytes > 256 || value.bytes > 2048)
		return -1;
	(void)synq_buf_char(
	    &state->metadata, state->metadata.bytes == 0 ? '{' : ',');
	synq_json_start(&json, &state->metadata);
	synq_json_slice(&json, name);
	(void)synq_buf_char(&state->metadata, ':');
	synq_json_start(&json, &state->metadata);
	synq_json_slice(&json, value);
	if (filter_metadata_valid(&state->metadata))
		return 0;
	state->expected = "given once";
	return -1;
}

/* The parameter ${index} with ${value}; state and status are the same one. */
static int
filter_known(struct filter_state *state, size_t index, struct synq_slice value)
{
	size_t first = 0;

	while (filter_parameters[first].read != filter_parameters[index].read)
		first++;
	state->expected = "given once";
	if ((state->seen & 1U << first) != 0)
		return -1;
	state->seen |= 1U << first;
	return filter_parameters[index].read(state, value);
}

static int
filter_one(
    struct filter_state *state, struct synq_slice name, struct synq_slice value)
{
	size_t i;

	if (synq_slice_starts(name, "metadata[") &&
	    name.data[name.bytes - 1] == ']')
		return filter_metadata(state, name, value);
	for (i = 0; i < SYNQ_COUNT(filter_parameters); i++) {
		if (synq_slice_is(name, filter_parameters[i].name))
			return filter_known(state, i, value);
	}
	state->expected = NULL;
	return -1;
}

static void
filter_refuse(const struct filter_state *state, struct synq_slice name)
{
	const struct api_error error = { .status = 400,
		.code = state->expected == NULL ? "unknown_parameter"
		                                : "invalid_value",
		.param = name.bytes == 0 ? NULL : name.data };

	if (state->expected == NULL)
		api_refuse(state->call, &error,
		    "The parameter is not known: it is one of limit, after, "
		    "state, model, created_after, created_before and "
		    "metadata[NAME].");
	else
		api_refuse(state->call, &error, "'%s' must be %s.",
		    name.bytes == 0 ? "The query" : name.data, state->expected);
}

/*
 * The decoded *${text}, where '+' stands for a space, in the exchange's arena,
 * NUL-terminated; 0, or -1 and an empty *${text} if it is no text.
 */
static int
filter_decode(const struct api_call *call, struct synq_slice *text)
{
	struct synq_arena *arena = synq_exchange_arena(call->exchange);
	struct synq_buf plain;
	char *raw;
	size_t i;
	int rc = -1;

	synq_buf_init(&plain, FILTER_TEXT_MAX);
	if (text->bytes <= 3 * FILTER_TEXT_MAX) {
		raw = synq_arena_raw(arena, text->bytes);
		for (i = 0; i < text->bytes; i++)
			raw[i] = text->data[i] == '+' ? ' ' : text->data[i];
		rc = synq_url_decode(synq_slice_of(raw, text->bytes), &plain);
	}
	if (rc == 0 && !synq_slice_utf8(synq_buf_view(&plain)))
		rc = -1;
	*text = synq_arena_slice(
	    arena, rc == 0 ? synq_buf_view(&plain) : synq_slice_text(NULL));
	synq_buf_done(&plain);
	return rc == 0 ? 0 : -1;
}

/* Take one pair, still encoded, and refuse it if it is wrong. */
static int
filter_pair(
    struct filter_state *state, struct synq_slice name, struct synq_slice value)
{
	state->expected = "percent-encoded UTF-8 of up to 2,048 bytes";
	if (filter_decode(state->call, &name) == 0 &&
	    filter_decode(state->call, &value) == 0 &&
	    filter_one(state, name, value) == 0)
		return 0;
	filter_refuse(state, name);
	return -1;
}

int
filter_read(struct api_call *call, struct synq_job_filter *ret)
{
	struct synq_slice query = synq_exchange_query(call->exchange);
	struct filter_state state = { .call = call, .filter = ret };
	struct synq_slice name;
	struct synq_slice value;
	int count = 0;
	int rc = 0;

	*ret = (struct synq_job_filter){ .limit = FILTER_LIMIT_DEFAULT };
	synq_buf_init(&state.metadata, 16384);
	while (rc == 0 && synq_url_query_next(&query, &name, &value)) {
		rc = filter_pair(&state, name, value);
		if (rc == 0 && ++count > FILTER_PARAMETERS_MAX) {
			state.expected = "of at most 32 parameters";
			filter_refuse(&state, synq_slice_text(NULL));
			rc = -1;
		}
	}
	if (rc == 0 && state.metadata.bytes > 0)
		ret->metadata = synq_slice_text(synq_arena_printf(
		    synq_exchange_arena(call->exchange), "%.*s}",
		    (int)state.metadata.bytes, state.metadata.data));
	synq_buf_done(&state.metadata);
	return rc;
}
