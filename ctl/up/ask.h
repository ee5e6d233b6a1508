#ifndef CTL_UP_ASK_H
#define CTL_UP_ASK_H

/*
 * Short questions to servers on this machine, one connection each.  They
 * block, for at most the limit given.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

/*
 * Send ${request} to the loopback ${port} and append the answer to ${out}
 * until the other side closes, ${out} is full or ${enough} stands in it (NULL:
 * never).  Errors: UNAVAILABLE, TIMEOUT after ${limit_ms}.
 */
SYNQ_MUST_CHECK int ask_port(uint16_t port, struct synq_slice request,
    const char *enough, uint32_t limit_ms, struct synq_buf *out);

/*
 * GET ${path} from the loopback ${port}: the status into ${ret_status}, the
 * body appended to ${out}.  Errors: UNAVAILABLE, TIMEOUT.
 */
SYNQ_MUST_CHECK int ask_http(
    uint16_t port, const char *path, int *ret_status, struct synq_buf *out);

/* 1 if somebody takes connections on the loopback ${port}, else 0. */
int ask_listens(uint16_t port);

#endif
