#include "store/catalog.h"

#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "pg/pg.h"
#include "store/inner.h"

/*
 * Happy path: one query, models with their providers, in order of name; what
 * it says is copied into one arena, each provider once.
 *
 * Failure modes: those of pg.  A credential that does not open (another key,
 * a row that was tampered with) fails the load as CORRUPT: without it calls
 * would be made that the provider refuses.
 */

#define CHUNK_BYTES 16384
/* 10,000 rows (the query's limit) of at most 2.7 KB each. */
#define MAX_BYTES (64U << 20)

struct synq_catalog {
	struct synq_arena *arena;
	struct synq_catalog_provider *providers; /* room: one per model */
	size_t provider_count;
	struct synq_catalog_model *models;
	size_t model_count;
};

struct load {
	struct store_call call;
	const struct synq_secret *kek;
	synq_catalog_fn *fn;
	void *ctx;
};

enum {
	COLUMN_NAME,
	COLUMN_UPSTREAM,
	COLUMN_CREATED,
	COLUMN_PROVIDER_ID,
	COLUMN_PROVIDER,
	COLUMN_DIALECT,
	COLUMN_URL,
	COLUMN_SEALED
};

/* What synq_app may not see is left out of its query, not of its answer. */
static const char select_public[] =
    "SELECT m.name, m.upstream_name, m.created_at, p.id, p.name, p.dialect,"
    " ''::text, NULL::text"
    " FROM platform.model m JOIN platform.provider p ON p.id = m.provider_id"
    " WHERE m.enabled AND p.enabled"
    " ORDER BY m.name COLLATE \"C\", p.name COLLATE \"C\" LIMIT 10000";
static const char select_full[] =
    "SELECT m.name, m.upstream_name, m.created_at, p.id, p.name, p.dialect,"
    " p.base_url, p.sealed_key"
    " FROM platform.model m JOIN platform.provider p ON p.id = m.provider_id"
    " WHERE m.enabled AND p.enabled"
    " ORDER BY m.name COLLATE \"C\", p.name COLLATE \"C\" LIMIT 10000";

static const char *
copy_text(struct synq_catalog *catalog, const struct synq_pg_rows *rows,
    size_t row, int column)
{
	return synq_arena_slice(
	    catalog->arena, synq_pg_get_slice(rows, row, column))
	    .data;
}

/* Open the credential of ${provider} in ${sealed}. */
static int
open_credential(struct synq_catalog_provider *provider,
    const struct synq_secret *kek, struct synq_slice sealed)
{
	char id[SYNQ_UUID_CHARS + 1];
	struct synq_buf context;
	int rc;

	synq_buf_init(&context, 64);
	synq_uuid_format(&provider->id, id);
	synq_buf_printf(&context, "provider:%s", id);
	rc = synq_unseal(
	    kek, synq_buf_view(&context), sealed, &provider->credential);
	synq_buf_done(&context);
	return rc;
}

/* The provider of ${row}, read if it is new, into ${ret}. */
static int
read_provider(struct synq_catalog *catalog, const struct load *load,
    const struct synq_pg_rows *rows, size_t row,
    const struct synq_catalog_provider **ret)
{
	const struct synq_uuid id =
	    synq_pg_get_uuid(rows, row, COLUMN_PROVIDER_ID);
	struct synq_catalog_provider *provider = catalog->providers;
	size_t i;

	for (i = 0; i < catalog->provider_count; i++, provider++) {
		if (synq_uuid_equal(&provider->id, &id)) {
			*ret = provider;
			return 0;
		}
	}
	catalog->provider_count++;
	provider->id = id;
	provider->name = copy_text(catalog, rows, row, COLUMN_PROVIDER);
	provider->dialect = copy_text(catalog, rows, row, COLUMN_DIALECT);
	provider->base_url = copy_text(catalog, rows, row, COLUMN_URL);
	*ret = provider;
	if (load->kek == NULL || synq_pg_is_null(rows, row, COLUMN_SEALED))
		return 0;
	return open_credential(
	    provider, load->kek, synq_pg_get_slice(rows, row, COLUMN_SEALED));
}

static int
read_rows(const struct load *load, const struct synq_pg_rows *rows,
    struct synq_catalog **ret)
{
	struct synq_catalog *catalog = synq_mem_new(sizeof(*catalog));
	const size_t count = synq_pg_row_count(rows);
	size_t row;
	int rc = 0;

	catalog->arena = synq_arena_new(CHUNK_BYTES, MAX_BYTES);
	catalog->models = synq_mem_array(count, sizeof(*catalog->models));
	catalog->providers = synq_mem_array(count, sizeof(*catalog->providers));
	for (row = 0; rc == 0 && row < count; row++) {
		struct synq_catalog_model *model = &catalog->models[row];

		model->name = copy_text(catalog, rows, row, COLUMN_NAME);
		model->upstream_name =
		    copy_text(catalog, rows, row, COLUMN_UPSTREAM);
		model->created_at = synq_pg_get_time(rows, row, COLUMN_CREATED);
		rc = read_provider(catalog, load, rows, row, &model->provider);
		catalog->model_count++;
	}
	if (rc != 0)
		goto fail;
	*ret = catalog;
	return 0;

fail:
	synq_catalog_free(&catalog);
	return rc;
}

static void
on_rows(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct load *load = ctx;
	struct synq_catalog *catalog = NULL;

	(void)err;
	if (rc == 0)
		rc = read_rows(load, rows[0], &catalog);
	load->fn(load->ctx, rc, catalog);
	store_call_free(load);
}

int
synq_catalog_load(struct synq_pg *pg, const struct synq_secret *kek,
    synq_catalog_fn *fn, void *ctx)
{
	struct load *load = store_call_new(sizeof(*load));
	const struct synq_pg_statement statement = {
		kek != NULL ? select_full : select_public, NULL, 0
	};
	const struct synq_pg_transaction transaction = {
		.statements = &statement,
		.count = 1,
		.done = on_rows,
		.ctx = load,
	};
	int rc;

	load->kek = kek;
	load->fn = fn;
	load->ctx = ctx;
	rc = synq_pg_start(pg, &transaction);
	if (rc != 0)
		store_call_free(load);
	return rc;
}

void
synq_catalog_free(struct synq_catalog **catalog)
{
	struct synq_catalog *self = *catalog;
	size_t i;

	if (self == NULL)
		return;
	for (i = 0; i < self->provider_count; i++)
		synq_secret_free(&self->providers[i].credential);
	synq_mem_free(self->providers);
	synq_mem_free(self->models);
	synq_arena_free(&self->arena);
	synq_mem_free(self);
	*catalog = NULL;
}

/* Below 0, 0 or above 0 as ${a} sorts before, with or after ${b}. */
static int
compare(const char *a, struct synq_slice b)
{
	const size_t bytes = strlen(a);
	const size_t least = bytes < b.bytes ? bytes : b.bytes;
	const int order = least > 0 ? memcmp(a, b.data, least) : 0;

	if (order != 0)
		return order;
	return (bytes > b.bytes) - (bytes < b.bytes);
}

const struct synq_catalog_model *
synq_catalog_find(const struct synq_catalog *catalog, struct synq_slice name)
{
	size_t low = 0;
	size_t high = catalog->model_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (compare(catalog->models[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == catalog->model_count ||
	    compare(catalog->models[low].name, name) != 0)
		return NULL;
	return &catalog->models[low];
}

const struct synq_catalog_model *
synq_catalog_at(const struct synq_catalog *catalog, size_t index)
{
	return index < catalog->model_count ? &catalog->models[index] : NULL;
}
