#ifndef CTL_UP_PORTS_H
#define CTL_UP_PORTS_H

/*
 * The ports that synq up has chosen: taken from 20000 to 25999, outside the
 * ephemeral range, free when chosen, kept in run/ports.json, so that addresses
 * stay the same from start to start.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct ports;

/* The ports kept in ${dir}, into ${ret}; the caller frees them.  Errors:
 * SYSTEM, CORRUPT. */
SYNQ_MUST_CHECK int ports_load(
    const char *dir, struct ports **ret, struct synq_err *err);

/*
 * The port called ${name}, a new one if none is kept, into ${ret}.  Errors:
 * CONFLICT if somebody else uses the kept one, SYSTEM.
 */
SYNQ_MUST_CHECK int ports_take(
    struct ports *ports, const char *name, uint16_t *ret, struct synq_err *err);

/* The port called ${name}; 0 if none is kept. */
uint16_t ports_find(const struct ports *ports, const char *name);

/* Keep ${ports} in run/ports.json.  Error: SYSTEM. */
SYNQ_MUST_CHECK int ports_save(const struct ports *ports, struct synq_err *err);

/* Free *${ports}; sets it to NULL. */
void ports_free(struct ports **ports);

/* 1 if nobody listens on the loopback ${port}, else 0. */
int ports_is_free(uint16_t port);

/*
 * Who listens on ${port}, as " (pid 12, name)" for a sentence, into ${ret} of
 * ${room} bytes; empty if that cannot be seen.
 */
void ports_owner(uint16_t port, char *ret, size_t room);

#endif
