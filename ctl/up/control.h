#ifndef CTL_UP_CONTROL_H
#define CTL_UP_CONTROL_H

/*
 * How commands talk to the supervisor: the Unix socket run/control (0600), one
 * request line per connection, answered by "ok" or "error CODE TEXT" on the
 * first line and what was asked for on the others.
 *
 *	status               the state of everything as JSON, at once
 *	down                 ok when stopping has begun
 *	restart NAME         ok when everything is ready again
 *	scale PROGRAM N      the same
 *
 * Limits: 16 connections, 256 bytes a request.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct control;
struct supervisor;

/* Listen for ${supervisor}; the caller frees *${ret}.  Error: SYSTEM. */
SYNQ_MUST_CHECK int control_new(
    struct supervisor *supervisor, struct control **ret, struct synq_err *err);

/* Answer those connections of ${control} whose wish has come true. */
void control_settle(struct control *control);

/* Close and free *${control}; sets it to NULL. */
void control_free(struct control **control);

/*
 * The command's side: send ${request} to the supervisor of ${dir} and append
 * what it answers behind the first line to ${out}.  Errors: NOT_FOUND if none
 * runs, TIMEOUT after ${limit_ms}, and those that the supervisor gives.
 */
SYNQ_MUST_CHECK int control_ask(const char *dir, const char *request,
    uint32_t limit_ms, struct synq_buf *out, struct synq_err *err);

#endif
