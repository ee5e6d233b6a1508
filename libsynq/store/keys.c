#include "store/keys.h"

#include <string.h>

#include "pg/pg.h"
#include "store/inner.h"

/*
 * Looking up an API key: one call of identity.find_key, one row or none.
 *
 * Failure modes: those of pg; a row that makes no sense is CORRUPT.
 */

struct find {
	struct store_call call;
	synq_key_found_fn *fn;
	void *ctx;
};

/* The columns of find_key, in its order. */
enum {
	FIND_ORGANIZATION,
	FIND_ID,
	FIND_HASH,
	FIND_PEPPER,
	FIND_MODE,
	FIND_EXPIRES,
	FIND_REVOKED
};

/* Read the only row of ${rows} into ${ret}. */
static int
read_key(const struct synq_pg_rows *rows, struct synq_key_row *ret)
{
	struct synq_slice hash = synq_pg_get_slice(rows, 0, FIND_HASH);

	if (hash.bytes != sizeof(ret->hash))
		return -SYNQ_E_CORRUPT;
	memcpy(ret->hash, hash.data, sizeof(ret->hash));
	ret->id = synq_pg_get_uuid(rows, 0, FIND_ID);
	ret->organization_id = synq_pg_get_uuid(rows, 0, FIND_ORGANIZATION);
	ret->pepper_id = (int32_t)synq_pg_get_int(rows, 0, FIND_PEPPER);
	ret->live =
	    synq_slice_is(synq_pg_get_slice(rows, 0, FIND_MODE), "live");
	ret->expires_at = synq_pg_get_time(rows, 0, FIND_EXPIRES);
	ret->revoked = synq_pg_get_int(rows, 0, FIND_REVOKED) != 0;
	return 0;
}

static void
on_found(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct find *find = ctx;
	struct synq_key_row row;
	int found = 0;

	(void)err;
	if (rc == 0 && synq_pg_row_count(rows[0]) > 0) {
		found = 1;
		rc = read_key(rows[0], &row);
	}
	find->fn(find->ctx, rc, rc == 0 && found ? &row : NULL);
	store_call_free(find);
}

int
synq_store_find_key(struct synq_pg *pg, struct synq_slice key_id,
    synq_key_found_fn *fn, void *ctx)
{
	struct find *find = store_call_new(sizeof(*find));
	const struct synq_pg_param param = synq_pg_text(key_id);
	const struct synq_pg_statement statement = {
		"SELECT organization_id, id, hash, pepper_id, mode, expires_at,"
		" revoked FROM identity.find_key($1)",
		&param, 1
	};
	const struct synq_pg_transaction transaction = {
		.statements = &statement,
		.count = 1,
		.done = on_found,
		.ctx = find,
	};
	int rc;

	find->fn = fn;
	find->ctx = ctx;
	rc = synq_pg_start(pg, &transaction);
	if (rc != 0)
		store_call_free(find);
	return rc;
}
