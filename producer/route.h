#ifndef SYNQ_INTAKE_ROUTE_H
#define SYNQ_INTAKE_ROUTE_H

/*
 * From method and path to a route of routes.def.  Pure.
 */

#include "api.h"

/*
 * The route of ${method} and ${path}, into ${ret}; the raw segment that {id}
 * or {model} stands for into ${ret_segment}.  404 if no route has this path,
 * 405 if one has it for other methods only, which are appended to ${allow}
 * ("GET, HEAD, OPTIONS"), 501 if it is no method that HTTP knows and no route
 * has it (RFC 9110, 9.1), else 0.  The path "*" has every method (9.3.7).
 */
int route_find(struct synq_slice method, struct synq_slice path,
    const struct api_route **ret, struct synq_slice *ret_segment,
    struct synq_buf *allow);

/* Route ${index} of the table; NULL beyond its end. */
const struct api_route *route_at(size_t index);

#endif
