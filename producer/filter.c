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
#include "json/write.h"

#define FILTER_LIMIT_DEFAULT 20
#define FILTER_LIMIT_MAX 100
#define FILTER_TEXT_MAX 1024
#define FILTER_PARAMETERS_MAX 32

/* What is read so far. */
struct filter_state {
	struct api_call *call;
	struct synq_job_filter *filter;
	struct synq_buf metadata; /* members of the JSON object, no braces */
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
	return synq_job_state_parse(value, &parsed);
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

/* metadata[NAME]=VALUE: one more member of the object to be contained. */
static int
filter_metadata(
    struct filter_state *state, struct synq_slice name, struct synq_slice value)
{
	struct synq_json_writer json;

	state->expected = "text of up to 512 characters";
	name.data += strlen("metadata[");
	name.bytes -= strlen("metadata[") + 1;
	if (name.bytes == 0 || name.bytes > 256 || value.bytes > 2048 ||
	    !synq_slice_utf8(name) || !synq_slice_utf8(value))
		return -1;
	synq_json_start(&json, &state->metadata);
	if (state->metadata.bytes > 0)
		(void)synq_buf_char(&state->metadata, ',');
	synq_json_slice(&json, name);
	(void)synq_buf_char(&state->metadata, ':');
	synq_json_start(&json, &state->metadata);
	synq_json_slice(&json, value);
	return state->metadata.overflow ? -1 : 0;
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
			return filter_parameters[i].read(state, value);
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
		.param = name.data };

	if (state->expected == NULL)
		api_refuse(state->call, &error,
		    "The parameter is not known: it is one of limit, after, "
		    "state, model, created_after, created_before and "
		    "metadata[NAME].");
	else
		api_refuse(state->call, &error, "'%s' must be %s.", name.data,
		    state->expected);
}

/* The decoded ${raw} in the exchange's arena, NUL-terminated. */
static int
filter_decode(
    const struct api_call *call, struct synq_slice raw, struct synq_slice *ret)
{
	struct synq_buf text;
	int rc;

	synq_buf_init(&text, FILTER_TEXT_MAX * 2);
	rc = synq_url_decode(raw, &text);
	*ret = synq_arena_slice(
	    synq_exchange_arena(call->exchange), synq_buf_view(&text));
	synq_buf_done(&text);
	return rc;
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
		state.expected = "percent-encoded UTF-8";
		if (filter_decode(call, name, &name) != 0 ||
		    filter_decode(call, value, &value) != 0 ||
		    ++count > FILTER_PARAMETERS_MAX ||
		    filter_one(&state, name, value) != 0) {
			filter_refuse(&state, name);
			rc = -1;
		}
	}
	if (rc == 0 && state.metadata.bytes > 0)
		ret->metadata = synq_slice_text(synq_arena_printf(
		    synq_exchange_arena(call->exchange), "{%.*s}",
		    (int)state.metadata.bytes, state.metadata.data));
	synq_buf_done(&state.metadata);
	return rc;
}
