#ifndef SYNQ_STORE_CATALOG_H
#define SYNQ_STORE_CATALOG_H

/*
 * Providers and models as the database has them: an immutable picture that is
 * replaced as a whole (decisions 25).
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"

struct synq_pg;
struct synq_secret;

struct synq_catalog_provider {
	struct synq_uuid id;
	const char *name;
	const char *dialect;
	const char *base_url;
	struct synq_secret *credential; /* NULL = none, or not asked for */
};

struct synq_catalog_model {
	const char *name;          /* as clients name it */
	const char *upstream_name; /* as the provider does */
	const struct synq_catalog_provider *provider;
	int64_t created_at; /* wall us */
};

/* Owned by whoever loaded it. */
struct synq_catalog;

/* ${catalog} is the caller's to free; NULL when ${rc} is not 0. */
typedef void synq_catalog_fn(void *ctx, int rc, struct synq_catalog *catalog);

/*
 * Load enabled models and providers.  With ${kek} (role synq_dispatcher) the
 * credentials are opened; NULL (role synq_app) leaves them out.  Errors (fn
 * will not run): BUSY.
 */
SYNQ_MUST_CHECK int synq_catalog_load(struct synq_pg *pg,
    const struct synq_secret *kek, synq_catalog_fn *fn, void *ctx);

/* Free *${catalog}, erasing its secrets; sets it to NULL. */
void synq_catalog_free(struct synq_catalog **catalog);

/* The first entry for the model called ${name}; NULL if there is none. */
const struct synq_catalog_model *synq_catalog_find(
    const struct synq_catalog *catalog, struct synq_slice name);

/* Model ${index} in order of name; NULL beyond the end. */
const struct synq_catalog_model *synq_catalog_at(
    const struct synq_catalog *catalog, size_t index);

#endif
