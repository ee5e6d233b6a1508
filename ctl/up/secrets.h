#ifndef CTL_UP_SECRETS_H
#define CTL_UP_SECRETS_H

/*
 * The secrets of an installation, made at its first start and never replaced.
 */

#include "base/attr.h"
#include "base/err.h"

/*
 * Make those secrets of the installation ${dir} that are missing.  Errors:
 * SYSTEM, DENIED if one is open to others.
 */
SYNQ_MUST_CHECK int secrets_make(const char *dir, struct synq_err *err);

/* The name of secret ${index}; NULL beyond the last. */
const char *secrets_name(size_t index);

#endif
