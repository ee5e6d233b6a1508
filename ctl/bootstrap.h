#ifndef CTL_BOOTSTRAP_H
#define CTL_BOOTSTRAP_H

/*
 * What a new installation needs to be useful: the organization "default" and a
 * key for it in secrets/key.default.  Blocking.
 */

#include "base/attr.h"
#include "base/err.h"

struct synq_config;

/*
 * Make both in the installation ${dir} that ${config} describes, unless it has
 * organizations already.  Errors: those of secrets and of pg.
 */
SYNQ_MUST_CHECK int bootstrap_first(
    const char *dir, const struct synq_config *config, struct synq_err *err);

#endif
