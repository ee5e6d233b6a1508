#ifndef CTL_KEYMAKER_H
#define CTL_KEYMAKER_H

/*
 * Storing a new API key.  Blocking.
 */

#include "base/attr.h"
#include "base/err.h"
#include "base/uuid.h"

struct synq_secret;
struct synq_session;

struct keymaker_request {
	const char *dir; /* of the installation */
	struct synq_uuid organization_id;
	const char *name; /* NULL = none */
	int live;         /* 0 = a test key */
};

/*
 * Store the hash of ${key}, which synq_key_make made, as ${request} says, by
 * ${session} of role synq_admin; nothing happens if it is there already.
 * Errors: those of the secret pepper.1 and of pg.
 */
SYNQ_MUST_CHECK int keymaker_store(struct synq_session *session,
    const struct keymaker_request *request, const struct synq_secret *key,
    struct synq_err *err);

#endif
