#include "store/record.h"

#include "pg/pg.h"
#include "store/batch.h"
#include "store/inner.h"

/*
 * The recorder's small questions: where it stands, and what has expired.
 *
 * Failure modes: those of pg.
 */

struct place {
	struct store_call call;
	synq_offset_fn *fn;
	void *ctx;
};

struct rewinding {
	struct store_call call;
	synq_rewind_fn *fn;
	void *ctx;
};

static void
on_place(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct place *place = ctx;
	int64_t next = -1, as_of_at = 0;

	(void)err;
	if (rc == 0 && synq_pg_row_count(rows[0]) > 0) {
		next = synq_pg_get_int(rows[0], 0, 0);
		as_of_at = synq_pg_get_time(rows[0], 0, 1);
	}
	place->fn(place->ctx, rc, next, as_of_at);
	store_call_free(place);
}

int
synq_store_offset(struct synq_pg *pg, const char *topic, int32_t partition,
    synq_offset_fn *fn, void *ctx)
{
	struct place *place = store_call_new(sizeof(*place));
	const struct synq_pg_param params[] = {
		synq_pg_text(synq_slice_text(topic)), synq_pg_int4(partition)
	};
	const struct synq_pg_statement statement = {
		"SELECT next, as_of FROM platform.consumer_offset WHERE"
		" consumer = '" BATCH_CONSUMER
		"' AND topic = $1 AND partition = $2",
		params, SYNQ_COUNT(params)
	};
	const struct synq_pg_transaction transaction = {
		.statements = &statement,
		.count = 1,
		.done = on_place,
		.ctx = place,
	};
	int rc;

	place->fn = fn;
	place->ctx = ctx;
	rc = synq_pg_start(pg, &transaction);
	if (rc != 0)
		store_call_free(place);
	return rc;
}

static void
on_rewound(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct rewinding *rewinding = ctx;

	(void)err;
	if (rc == 0 && synq_pg_row_count(rows[0]) == 0)
		rc = -SYNQ_E_FENCED;
	rewinding->fn(rewinding->ctx, rc);
	store_call_free(rewinding);
}

int
synq_store_rewind(struct synq_pg *pg, const struct synq_rewind *rewind,
    synq_rewind_fn *fn, void *ctx)
{
	struct rewinding *rewinding = store_call_new(sizeof(*rewinding));
	const struct synq_pg_param params[] = { synq_pg_text(synq_slice_text(
						    rewind->topic)),
		synq_pg_int4(rewind->partition), synq_pg_int8(rewind->from),
		synq_pg_int8(rewind->next) };
	const struct synq_pg_statement statement = {
		"UPDATE platform.consumer_offset SET next = $4 WHERE"
		" consumer = '" BATCH_CONSUMER "' AND topic = $1"
		" AND partition = $2 AND next = $3 RETURNING next",
		params, SYNQ_COUNT(params)
	};
	const struct synq_pg_transaction transaction = {
		.statements = &statement,
		.count = 1,
		.done = on_rewound,
		.ctx = rewinding,
	};
	int rc;

	rewinding->fn = fn;
	rewinding->ctx = ctx;
	rc = synq_pg_start(pg, &transaction);
	if (rc != 0)
		store_call_free(rewinding);
	return rc;
}

static void
on_swept(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	(void)ctx;
	(void)rc;
	(void)rows;
	(void)err;
}

void
synq_store_sweep(struct synq_pg *pg)
{
	/* A number of rows that no other transaction waits for noticeably. */
	static const struct synq_pg_statement statement = {
		"DELETE FROM operations.idempotency WHERE ctid = ANY (ARRAY("
		"SELECT ctid FROM operations.idempotency"
		" WHERE expires_at < now() LIMIT 5000))",
		NULL, 0
	};
	const struct synq_pg_transaction transaction = {
		.statements = &statement,
		.count = 1,
		.done = on_swept,
	};

	/* Busy: the next sweep takes them. */
	(void)!synq_pg_start(pg, &transaction);
}
