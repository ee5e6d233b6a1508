/*
 * Counters by route and method are kept in blocks, one cell per status, made
 * when a route is first asked for with that method.
 *
 * Labels take few values: a path that is no route, and a method that HTTP does
 * not know, are counted under one name.
 */

#include "figures.h"

#include <stdio.h>

#include "base/mem.h"
#include "metric/metric.h"
#include "route.h"

/* More than routes.def has; the last stands for no route. */
#define ROUTES_MAX 32
#define NO_ROUTE (ROUTES_MAX - 1)
#define STATUS_MIN 200
#define STATUS_MAX 599
#define STATUSES (STATUS_MAX - STATUS_MIN + 1)
#define ENDPOINTS (SYNQ_ENDPOINT_EMBEDDINGS + 1)

/* The last stands for all others. */
static const char *const figures_methods[] = { "GET", "POST", "HEAD", "PUT",
	"PATCH", "DELETE", "OPTIONS", "TRACE", "other" };
#define METHODS SYNQ_COUNT(figures_methods)

/* One counter per status; NULL until it is needed. */
struct block {
	struct synq_series *by_status[STATUSES];
};

struct figures {
	struct synq_metrics *metrics; /* borrowed */
	struct block *blocks[ROUTES_MAX][METHODS];
	struct synq_series *durations[ROUTES_MAX];
	struct synq_series *accepted[ENDPOINTS];
	struct synq_series *connections;
	struct synq_series *keys;
};

struct figures *
figures_new(struct synq_metrics *metrics)
{
	static const char *const cache[] = { "keys" };
	struct figures *figures = synq_mem_new(sizeof(*figures));

	figures->metrics = metrics;
	figures->connections =
	    synq_metric_series(metrics, SYNQ_M_HTTP_CONNECTIONS, NULL);
	figures->keys =
	    synq_metric_series(metrics, SYNQ_M_CACHE_ENTRIES, cache);
	return figures;
}

void
figures_free(struct figures **figures)
{
	size_t route;
	size_t method;

	if (*figures == NULL)
		return;
	for (route = 0; route < ROUTES_MAX; route++) {
		for (method = 0; method < METHODS; method++)
			synq_mem_free((*figures)->blocks[route][method]);
	}
	synq_mem_free(*figures);
	*figures = NULL;
}

static size_t
figures_route(const struct api_route *route)
{
	size_t index = route == NULL ? NO_ROUTE : (size_t)(route - route_at(0));

	return index < NO_ROUTE ? index : NO_ROUTE;
}

static size_t
figures_method(struct synq_slice method)
{
	size_t i;

	for (i = 0; i < METHODS - 1; i++) {
		if (synq_slice_is(method, figures_methods[i]))
			break;
	}
	return i;
}

/* The path of the route ${index} as a label. */
static const char *
figures_path(size_t index)
{
	return index == NO_ROUTE ? "none" : route_at(index)->path;
}

static struct synq_series *
figures_counter(struct figures *figures, size_t route, size_t method, int code)
{
	struct block **block = &figures->blocks[route][method];
	struct synq_series **series;
	char text[16];

	if (*block == NULL)
		*block = synq_mem_new(sizeof(**block));
	series = &(*block)->by_status[code - STATUS_MIN];
	if (*series == NULL) {
		(void)snprintf(text, sizeof(text), "%d", code);
		*series = synq_metric_series(figures->metrics,
		    SYNQ_M_HTTP_REQUESTS_TOTAL,
		    (const char *const[]){
			figures_path(route), figures_methods[method], text });
	}
	return *series;
}

void
figures_answered(struct figures *figures, const struct figures_answer *answer)
{
	const size_t route = figures_route(answer->route);
	struct synq_series **duration = &figures->durations[route];

	if (answer->status < STATUS_MIN || answer->status > STATUS_MAX)
		return;
	synq_series_add(figures_counter(figures, route,
			    figures_method(answer->method), answer->status),
	    1);
	if (answer->took_us < 0)
		return;
	if (*duration == NULL)
		*duration = synq_metric_series(figures->metrics,
		    SYNQ_M_HTTP_REQUEST_DURATION_SECONDS,
		    (const char *const[]){ figures_path(route) });
	synq_series_observe(*duration, (double)answer->took_us / 1e6);
}

void
figures_accepted(struct figures *figures, enum synq_endpoint endpoint)
{
	struct synq_series **series;

	if ((size_t)endpoint >= ENDPOINTS ||
	    synq_endpoint_path(endpoint) == NULL)
		return;
	series = &figures->accepted[endpoint];
	if (*series == NULL)
		*series =
		    synq_metric_series(figures->metrics, SYNQ_M_JOBS_TOTAL,
			(const char *const[]){
			    synq_endpoint_path(endpoint), "accepted" });
	synq_series_add(*series, 1);
}

void
figures_show(struct figures *figures, size_t connections, size_t keys)
{
	synq_series_set(figures->connections, (double)connections);
	synq_series_set(figures->keys, (double)keys);
}
