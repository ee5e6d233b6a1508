/*
 * Everything lies in one arena per transaction: the calls, libpq's arrays and
 * the encoded values, so that the caller's memory is its own again when
 * synq_pg_start returns.  The tenant becomes a call of our own in front.
 *
 * A call's key is the address of its text and the types of its parameters: an
 * untyped NULL would otherwise fix a type that a later call does not have.
 */

#include "pg/work.h"

#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "pg/encode.h"

/* A common transaction fits in one chunk. */
#define CHUNK_BYTES ((size_t)4096)
#define MAX_PARAMS 65535
/* Values of one transaction, and the arena with everything around them. */
#define MAX_BYTES (2 * SYNQ_PG_MAX_VALUE_BYTES)
#define MAX_ARENA_BYTES (4 * SYNQ_PG_MAX_VALUE_BYTES)

/* The tenant is gone again with the end of the transaction. */
static const char set_tenant[] =
    "select set_config('synq.organization_id', $1, true)";

static int
check_size(const struct synq_pg_transaction *transaction)
{
	size_t total = 0;

	for (size_t i = 0; i < transaction->count; i++) {
		const struct synq_pg_statement *at =
		    &transaction->statements[i];

		assert(at->count <= MAX_PARAMS);
		for (size_t k = 0; k < at->count; k++) {
			size_t bytes = synq_pg_param_bytes(&at->params[k]);

			if (bytes > MAX_BYTES - total)
				return -SYNQ_E_TOO_LARGE;
			total += bytes;
		}
	}
	return 0;
}

/* Add ${param} behind the parameters that ${call} has. */
static void
add_param(struct synq_arena *arena, struct synq_pg_call *call,
    const struct synq_pg_param *param)
{
	int at = call->count++;
	size_t bytes = synq_pg_param_bytes(param);
	char *value = NULL;

	if (!synq_pg_param_is_null(param)) {
		value = synq_arena_raw(arena, bytes ? bytes : 1);
		synq_pg_param_write(param, value);
	}
	call->types[at] = synq_pg_param_type(param);
	call->values[at] = value;
	call->lengths[at] = (int)bytes;
	call->formats[at] = 1; /* binary */
}

static void
make_call(struct synq_arena *arena, struct synq_pg_call *call,
    const struct synq_pg_statement *statement)
{
	size_t count = statement->count;
	size_t key_bytes = sizeof(call->sql) + count * sizeof(*call->types);
	char *key = synq_arena_raw(arena, key_bytes);

	call->sql = statement->sql;
	call->types = synq_arena_alloc(arena, count * sizeof(*call->types));
	call->values = synq_arena_alloc(arena, count * sizeof(*call->values));
	call->lengths = synq_arena_alloc(arena, count * sizeof(*call->lengths));
	call->formats = synq_arena_alloc(arena, count * sizeof(*call->formats));
	for (size_t i = 0; i < count; i++)
		add_param(arena, call, &statement->params[i]);

	memcpy(key, &call->sql, sizeof(call->sql));
	if (count)
		memcpy(key + sizeof(call->sql), call->types,
		    count * sizeof(*call->types));
	call->key = synq_slice_of(key, key_bytes);
}

static void
make_tenant_call(struct synq_arena *arena, struct synq_pg_call *call,
    const struct synq_uuid *organization_id)
{
	char text[SYNQ_UUID_CHARS + 1];
	struct synq_pg_param param;
	struct synq_pg_statement statement = { set_tenant, &param, 1 };

	synq_uuid_format(organization_id, text);
	param = synq_pg_text(synq_slice_of(text, SYNQ_UUID_CHARS));
	make_call(arena, call, &statement);
}

int
synq_pg_work_new(
    const struct synq_pg_transaction *transaction, struct synq_pg_work **ret)
{
	struct synq_arena *arena;
	struct synq_pg_work *work;
	int rc = check_size(transaction);

	if (rc)
		return rc;
	arena = synq_arena_new(CHUNK_BYTES, MAX_ARENA_BYTES);
	work = synq_arena_alloc(arena, sizeof(*work));
	work->arena = arena;
	work->done = transaction->done;
	work->ctx = transaction->ctx;
	work->tenant_calls = transaction->organization_id ? 1 : 0;
	work->count = work->tenant_calls + transaction->count;
	work->calls =
	    synq_arena_alloc(arena, work->count * sizeof(*work->calls));
	work->rows = synq_arena_alloc(arena, work->count * sizeof(*work->rows));
	work->views =
	    synq_arena_alloc(arena, work->count * sizeof(*work->views));

	if (work->tenant_calls)
		make_tenant_call(
		    arena, &work->calls[0], transaction->organization_id);
	for (size_t i = 0; i < transaction->count; i++)
		make_call(arena, &work->calls[work->tenant_calls + i],
		    &transaction->statements[i]);
	for (size_t i = 0; i < work->count; i++)
		work->views[i] = &work->rows[i];
	*ret = work;
	return 0;
}

void
synq_pg_work_reset(struct synq_pg_work *work)
{
	for (size_t i = 0; i < work->answered; i++)
		synq_pg_rows_done(&work->rows[i]);
	work->answered = 0;
	work->rc = 0;
	work->flight = NULL;
}

void
synq_pg_work_free(struct synq_pg_work **work)
{
	struct synq_arena *arena;

	if (!*work)
		return;
	synq_pg_work_reset(*work);
	arena = (*work)->arena;
	synq_arena_free(&arena);
	*work = NULL;
}
