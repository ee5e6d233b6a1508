/*
 * A model that was routed has a lane: its own series and those of its provider,
 * found by the model's name.  Models are the operator's, so lanes are few; what
 * is above the limit shares one, as series do.
 */

#include "figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "metric/metric.h"
#include "work.h"

#define LANES_MAX SYNQ_METRIC_MAX_SERIES
#define ENDPOINTS (SYNQ_ENDPOINT_EMBEDDINGS + 1)

struct lane {
	char *model;    /* owned; the map's key */
	char *provider; /* owned */
	struct synq_series *jobs;
	struct synq_series *calls;
	struct synq_series *attempts[SYNQ_JOB_STATES]; /* by how they ended */
};

struct figures_track {
	struct synq_series *window;
	struct synq_series *chars;
};

struct figures {
	struct synq_metrics *metrics; /* borrowed */
	struct synq_map *lanes;       /* model => struct lane */
	struct lane none;             /* jobs that no provider was found for */
	struct lane other;            /* above the limit */
	struct synq_series *ended[ENDPOINTS][SYNQ_JOB_STATES];
	struct synq_series *queue;
	struct synq_series *input_tokens;
	struct synq_series *output_tokens;
	struct synq_series *cached_tokens;
	struct synq_series *reasoning_tokens;
	struct synq_series *calling;
	struct synq_series *queued;
	struct synq_series *waiting;
	struct synq_series *skipped_done;
	struct synq_series *skipped_duplicate;
	struct synq_series *skipped_corrupt;
};

/* The series of ${id} whose one label is ${value}. */
static struct synq_series *
figures_one(struct figures *figures, enum synq_metric_id id, const char *value)
{
	return synq_metric_series(
	    figures->metrics, id, (const char *const[]){ value });
}

static void
figures_make(struct figures *figures)
{
	struct synq_metrics *metrics = figures->metrics;

	figures->queue =
	    synq_metric_series(metrics, SYNQ_M_JOB_QUEUE_SECONDS, NULL);
	figures->input_tokens =
	    figures_one(figures, SYNQ_M_TOKENS_TOTAL, "input");
	figures->output_tokens =
	    figures_one(figures, SYNQ_M_TOKENS_TOTAL, "output");
	figures->cached_tokens =
	    figures_one(figures, SYNQ_M_TOKENS_TOTAL, "cached");
	figures->reasoning_tokens =
	    figures_one(figures, SYNQ_M_TOKENS_TOTAL, "reasoning");
	figures->calling =
	    synq_metric_series(metrics, SYNQ_M_JOBS_IN_FLIGHT, NULL);
	figures->queued = synq_metric_series(metrics, SYNQ_M_JOBS_QUEUED, NULL);
	figures->waiting =
	    synq_metric_series(metrics, SYNQ_M_JOBS_WAITING_RETRY, NULL);
	figures->skipped_done =
	    figures_one(figures, SYNQ_M_RECORDS_SKIPPED_TOTAL, "done");
	figures->skipped_duplicate =
	    figures_one(figures, SYNQ_M_RECORDS_SKIPPED_TOTAL, "duplicate");
	figures->skipped_corrupt =
	    figures_one(figures, SYNQ_M_RECORDS_SKIPPED_TOTAL, "corrupt");
}

/* ---- lanes ---- */

/* Let ${lane} be that of ${provider} and ${model}, which are copied. */
static void
lane_set(struct figures *figures, struct lane *lane, const char *provider,
    struct synq_slice model)
{
	char *old = lane->model;

	synq_mem_free(lane->provider);
	memset(lane->attempts, 0, sizeof(lane->attempts));
	lane->provider = synq_mem_copy(provider, strlen(provider));
	lane->model =
	    old != NULL ? old : synq_mem_copy(model.data, model.bytes);
	lane->jobs =
	    synq_metric_series(figures->metrics, SYNQ_M_JOB_DURATION_SECONDS,
		(const char *const[]){ lane->provider, lane->model });
	lane->calls = figures_one(
	    figures, SYNQ_M_PROVIDER_REQUEST_DURATION_SECONDS, lane->provider);
}

static void
lane_done(struct lane *lane)
{
	synq_mem_free(lane->model);
	synq_mem_free(lane->provider);
}

/* The one of ${lane} that stands for ${name}, both names of it being that. */
static struct lane *
lane_shared(struct figures *figures, struct lane *lane, const char *name)
{
	if (lane->model == NULL)
		lane_set(figures, lane, name, synq_slice_text(name));
	return lane;
}

static struct lane *
lane_of(struct figures *figures, const struct work *work)
{
	const struct synq_slice model = work->request.model;
	struct lane *lane;

	if (work->provider == NULL)
		return lane_shared(figures, &figures->none, "none");
	lane = synq_map_get(figures->lanes, model);
	if (lane == NULL) {
		if (synq_map_count(figures->lanes) >= LANES_MAX)
			return lane_shared(figures, &figures->other, "other");
		lane = synq_mem_new(sizeof(*lane));
		lane_set(figures, lane, work->provider, model);
		(void)synq_map_set(figures->lanes,
		    synq_slice_of(lane->model, model.bytes), lane);
	} else if (strcmp(lane->provider, work->provider) != 0) {
		lane_set(figures, lane, work->provider, model); /* it moved */
	}
	return lane;
}

struct figures *
figures_new(struct synq_metrics *metrics)
{
	struct figures *figures = synq_mem_new(sizeof(*figures));

	figures->metrics = metrics;
	figures->lanes = synq_map_new();
	figures_make(figures);
	return figures;
}

void
figures_free(struct figures **figures)
{
	struct figures *self = *figures;
	struct lane **all;
	struct lane *lane;
	size_t cursor = 0;
	size_t count = 0;

	if (self == NULL)
		return;
	/* The map lends the keys of the lanes, so it goes first. */
	all = synq_mem_array(synq_map_count(self->lanes) + 1, sizeof(*all));
	while ((lane = synq_map_next(self->lanes, &cursor)) != NULL)
		all[count++] = lane;
	synq_map_free(&self->lanes);
	while (count > 0) {
		lane_done(all[--count]);
		synq_mem_free(all[count]);
	}
	synq_mem_free(all);
	lane_done(&self->none);
	lane_done(&self->other);
	synq_mem_free(self);
	*figures = NULL;
}

/* ---- events ---- */

/* From ${from_at} to ${to_at}; clocks of two machines may differ. */
static void
figures_observe(struct synq_series *series, int64_t from_at, int64_t to_at)
{
	synq_series_observe(
	    series, to_at > from_at ? (double)(to_at - from_at) / 1e6 : 0.0);
}

/* Add ${tokens} to ${series}; -1 = not reported. */
static void
figures_tokens(struct synq_series *series, int64_t tokens)
{
	if (tokens > 0)
		synq_series_add(series, (uint64_t)tokens);
}

void
figures_answered(struct figures *figures, const struct work *work,
    const struct core_answer *answer)
{
	const struct synq_usage *usage = &answer->usage;

	/* One that could not be sent took no time, and tells nothing. */
	if (answer->took_us > 0)
		synq_series_observe(lane_of(figures, work)->calls,
		    (double)answer->took_us / 1e6);
	figures_tokens(figures->input_tokens, usage->input_tokens);
	figures_tokens(figures->output_tokens, usage->output_tokens);
	figures_tokens(figures->cached_tokens, usage->cached_tokens);
	figures_tokens(figures->reasoning_tokens, usage->reasoning_tokens);
}

void
figures_started(struct figures *figures, const struct work *work)
{
	if (work->attempt == 1)
		figures_observe(
		    figures->queue, work->request.created_at, work->started_at);
}

/* An attempt ended as ${state}, or failed to be tried again. */
static void
figures_attempt(
    struct figures *figures, struct lane *lane, enum synq_job_state state)
{
	struct synq_series **series = &lane->attempts[state];

	if (*series == NULL)
		*series =
		    synq_metric_series(figures->metrics, SYNQ_M_ATTEMPTS_TOTAL,
			(const char *const[]){
			    lane->provider, synq_job_state_name(state) });
	synq_series_add(*series, 1);
}

void
figures_failed(struct figures *figures, const struct work *work)
{
	figures_attempt(figures, lane_of(figures, work), SYNQ_JOB_FAILED);
}

void
figures_ended(struct figures *figures, const struct work *work)
{
	const struct synq_outcome *outcome = &work->outcome;
	const char *path = synq_endpoint_path(work->request.endpoint);
	struct lane *lane = lane_of(figures, work);
	struct synq_series **ended;

	if (!synq_uuid_is_nil(&outcome->attempt_id))
		figures_attempt(figures, lane, outcome->state);
	figures_observe(
	    lane->jobs, work->request.created_at, outcome->ended_at);
	if (path == NULL)
		return;
	ended = &figures->ended[work->request.endpoint][outcome->state];
	if (*ended == NULL)
		*ended = synq_metric_series(figures->metrics, SYNQ_M_JOBS_TOTAL,
		    (const char *const[]){
			path, synq_job_state_name(outcome->state) });
	synq_series_add(*ended, 1);
}

/* ---- what the core counts ---- */

/* Let the counter ${series} be ${count}. */
static void
figures_copy(struct synq_series *series, uint64_t count)
{
	synq_series_add(series, count - synq_series_count(series));
}

void
figures_show(struct figures *figures, const struct core *core)
{
	const struct core_counts *counts = &core->counts;

	synq_series_set(figures->calling, (double)core->calling);
	synq_series_set(figures->queued,
	    (double)(synq_fair_queued(core->fair) + core->parked));
	synq_series_set(figures->waiting, (double)core->waiting);
	figures_copy(figures->skipped_done, counts->skipped_done);
	figures_copy(figures->skipped_duplicate, counts->skipped_duplicate);
	figures_copy(figures->skipped_corrupt, counts->skipped_corrupt);
}

/* ---- commits ---- */

struct figures_track *
figures_track_new(struct figures *figures, const char *topic, int32_t partition)
{
	struct figures_track *track = synq_mem_new(sizeof(*track));
	char number[16];
	const char *const labels[] = { topic, number };

	(void)snprintf(number, sizeof(number), "%" PRId32, partition);
	track->window = synq_metric_series(
	    figures->metrics, SYNQ_M_TRACK_WINDOW_OFFSETS, labels);
	track->chars = synq_metric_series(
	    figures->metrics, SYNQ_M_TRACK_MAP_CHARS, labels);
	/* Until the first commit there is nothing to say. */
	synq_series_hide(track->window);
	synq_series_hide(track->chars);
	return track;
}

void
figures_track_free(struct figures_track **track)
{
	if (*track == NULL)
		return;
	synq_series_hide((*track)->window);
	synq_series_hide((*track)->chars);
	synq_mem_free(*track);
	*track = NULL;
}

void
figures_committed(struct figures_track *track, int64_t window, size_t chars)
{
	synq_series_set(track->window, (double)window);
	synq_series_set(track->chars, (double)chars);
}
