/*
 * The table is short and its paths differ early, so it is walked.
 */

#include "route.h"

#include <string.h>

#include "handlers.h"

static const struct api_route routes[] = {
#define SYNQ_ROUTE(method, path, handler, flags)                               \
	{ #method, path, handler, flags },
#include "routes.def"
#undef SYNQ_ROUTE
};

const struct api_route *
route_at(size_t index)
{
	return index < SYNQ_COUNT(routes) ? &routes[index] : NULL;
}

/* 1 if ${path} has the form of ${pattern}; what {..} stands for in ${ret}. */
static int
route_matches(
    const char *pattern, struct synq_slice path, struct synq_slice *ret)
{
	const char *open = strchr(pattern, '{');
	const char *close = open == NULL ? NULL : strchr(open, '}');
	const char *slash;
	size_t before;
	size_t after;

	if (close == NULL)
		return synq_slice_is(path, pattern);
	before = (size_t)(open - pattern);
	after = strlen(close + 1);
	if (path.bytes <= before + after ||
	    memcmp(path.data, pattern, before) != 0 ||
	    memcmp(path.data + path.bytes - after, close + 1, after) != 0)
		return 0;
	*ret = synq_slice_of(path.data + before, path.bytes - before - after);
	slash = memchr(ret->data, '/', ret->bytes);
	return slash == NULL || strncmp(open, "{model}", 7) == 0;
}

/* In the order in which Allow lists them. */
static const char *const route_methods[] = { "GET", "HEAD", "POST", "PUT",
	"PATCH", "DELETE", "OPTIONS", "TRACE" };

/* The bit of ${method}; 0 if it is none that HTTP knows. */
static unsigned
route_method_bit(struct synq_slice method)
{
	size_t i;

	for (i = 0; i < SYNQ_COUNT(route_methods); i++) {
		if (synq_slice_is(method, route_methods[i]))
			return 1U << i;
	}
	return 0;
}

static void
route_add_allow(unsigned bits, struct synq_buf *allow)
{
	size_t i;

	for (i = 0; i < SYNQ_COUNT(route_methods); i++) {
		if ((bits & (1U << i)) == 0)
			continue;
		if (allow->bytes > 0)
			(void)synq_buf_text(allow, ", ");
		(void)synq_buf_text(allow, route_methods[i]);
	}
}

/* What ${route} answers to: its own method, OPTIONS, and HEAD where GET is. */
static unsigned
route_bits(const struct api_route *route)
{
	unsigned bits = route_method_bit(synq_slice_text(route->method)) |
	                route_method_bit(synq_slice_text("OPTIONS"));

	if (strcmp(route->method, "GET") == 0)
		bits |= route_method_bit(synq_slice_text("HEAD"));
	return bits;
}

int
route_find(struct synq_slice method, struct synq_slice path,
    const struct api_route **ret, struct synq_slice *ret_segment,
    struct synq_buf *allow)
{
	const int all = synq_slice_is(path, "*");
	const struct api_route *route;
	unsigned bits = 0;
	size_t i;

	for (i = 0; (route = route_at(i)) != NULL; i++) {
		if (!all && !route_matches(route->path, path, ret_segment))
			continue;
		if (!all && (synq_slice_is(method, route->method) ||
				(synq_slice_is(method, "HEAD") &&
				    strcmp(route->method, "GET") == 0))) {
			*ret = route;
			return 0;
		}
		bits |= route_bits(route);
	}
	if (route_method_bit(method) == 0)
		return 501;
	route_add_allow(bits, allow);
	return bits != 0 ? 405 : 404;
}
