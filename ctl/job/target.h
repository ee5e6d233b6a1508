#ifndef CTL_JOB_TARGET_H
#define CTL_JOB_TARGET_H

/*
 * Where the API lies and as whom to speak to it.
 */

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "ctl/cli.h"

#define TARGET_MAX_ADDRESSES 16

struct target {
	/* Owned; without "/v1" and slash at the end. */
	char *bases[TARGET_MAX_ADDRESSES];
	size_t count;
	char *authorization; /* the header; a secret; owned */
};

/*
 * Find addresses and key as the flags of ${cli}, the environment and the
 * installation say, into ${ret}, which target_done frees.  Errors: INVALID,
 * UNAVAILABLE, DENIED, SYSTEM, NOT_FOUND.
 */
SYNQ_MUST_CHECK int target_find(
    const struct cli *cli, struct target *ret, struct synq_err *err);

/* Erase and free what ${target} owns; a zeroed one is fine. */
void target_done(struct target *target);

#endif
