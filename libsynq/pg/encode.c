/*
 * A parameter is built by value, measured, and written once into the memory
 * of its transaction.  An array collects its elements in their final form
 * while it is filled, behind room for its header, so that writing it is one
 * copy.
 *
 * Fails only by size: an array that grew above the limit remembers that and
 * measures SIZE_MAX, and the transaction that carries it is refused.
 */

#include "pg/encode.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"

#define ARRAY_HEAD_BYTES ((size_t)20)
#define ARRAY_EMPTY_BYTES ((size_t)12)

/* 2000-01-01 in microseconds since 1970: where the server's time starts. */
#define EPOCH_US INT64_C(946684800000000)

struct synq_pg_array {
	enum synq_pg_type type;
	uint32_t count;
	uint32_t nulls;
	struct synq_buf buf; /* ARRAY_HEAD_BYTES, then the elements */
};

/* The type numbers of pg_type, which are the same on every server. */
static const struct {
	uint32_t single;
	uint32_t array;
} type_numbers[] = {
	[SYNQ_PG_NULL] = { 0, 0 },
	[SYNQ_PG_INT4] = { 23, 1007 },
	[SYNQ_PG_INT8] = { 20, 1016 },
	[SYNQ_PG_BOOL] = { 16, 1000 },
	[SYNQ_PG_TEXT] = { 25, 1009 },
	[SYNQ_PG_BYTEA] = { 17, 1001 },
	[SYNQ_PG_UUID] = { 2950, 2951 },
	[SYNQ_PG_TIME] = { 1184, 1185 },
	[SYNQ_PG_ARRAY] = { 0, 0 },
};

struct synq_pg_param
synq_pg_null(void)
{
	return (struct synq_pg_param){ .type = SYNQ_PG_NULL };
}

struct synq_pg_param
synq_pg_int4(int32_t number)
{
	return (struct synq_pg_param){ .type = SYNQ_PG_INT4, .number = number };
}

struct synq_pg_param
synq_pg_int8(int64_t number)
{
	return (struct synq_pg_param){ .type = SYNQ_PG_INT8, .number = number };
}

struct synq_pg_param
synq_pg_bool(int truth)
{
	return (
	    struct synq_pg_param){ .type = SYNQ_PG_BOOL, .number = truth != 0 };
}

struct synq_pg_param
synq_pg_text(struct synq_slice slice)
{
	return (struct synq_pg_param){ .type = SYNQ_PG_TEXT, .slice = slice };
}

struct synq_pg_param
synq_pg_bytes(struct synq_slice slice)
{
	return (struct synq_pg_param){ .type = SYNQ_PG_BYTEA, .slice = slice };
}

struct synq_pg_param
synq_pg_uuid(const struct synq_uuid *uuid)
{
	return (struct synq_pg_param){ .type = SYNQ_PG_UUID, .uuid = uuid };
}

struct synq_pg_param
synq_pg_time(int64_t wall_us)
{
	return (
	    struct synq_pg_param){ .type = SYNQ_PG_TIME, .number = wall_us };
}

struct synq_pg_param
synq_pg_array(struct synq_pg_array *array)
{
	return (struct synq_pg_param){ .type = SYNQ_PG_ARRAY, .array = array };
}

static void
store_32(char *at, uint32_t number)
{
	for (int i = 3; i >= 0; i--) {
		at[i] = (char)(number & 0xFFU);
		number >>= 8;
	}
}

static void
store_64(char *at, uint64_t number)
{
	store_32(at, (uint32_t)(number >> 32));
	store_32(at + 4, (uint32_t)(number & UINT32_MAX));
}

int
synq_pg_param_is_null(const struct synq_pg_param *param)
{
	switch (param->type) {
	case SYNQ_PG_TEXT:
	case SYNQ_PG_BYTEA:
		return !param->slice.data;
	case SYNQ_PG_UUID:
		return !param->uuid;
	case SYNQ_PG_ARRAY:
		return !param->array;
	case SYNQ_PG_INT4:
	case SYNQ_PG_INT8:
	case SYNQ_PG_BOOL:
	case SYNQ_PG_TIME:
		return 0;
	case SYNQ_PG_NULL:
		break;
	}
	return 1;
}

uint32_t
synq_pg_param_type(const struct synq_pg_param *param)
{
	if (param->type != SYNQ_PG_ARRAY)
		return type_numbers[param->type].single;
	return param->array ? type_numbers[param->array->type].array : 0;
}

static size_t
array_bytes(const struct synq_pg_array *array)
{
	if (array->buf.overflow)
		return SIZE_MAX;
	return array->count ? array->buf.bytes : ARRAY_EMPTY_BYTES;
}

size_t
synq_pg_param_bytes(const struct synq_pg_param *param)
{
	if (synq_pg_param_is_null(param))
		return 0;
	switch (param->type) {
	case SYNQ_PG_BOOL:
		return 1;
	case SYNQ_PG_INT4:
		return 4;
	case SYNQ_PG_INT8:
	case SYNQ_PG_TIME:
		return 8;
	case SYNQ_PG_UUID:
		return 16;
	case SYNQ_PG_TEXT:
	case SYNQ_PG_BYTEA:
		return param->slice.bytes <= SYNQ_PG_MAX_VALUE_BYTES
		           ? param->slice.bytes
		           : SIZE_MAX;
	case SYNQ_PG_ARRAY:
		return array_bytes(param->array);
	case SYNQ_PG_NULL:
		break;
	}
	return 0;
}

/* The ends of the range mean "infinity" on both sides. */
static int64_t
server_time(int64_t wall_us)
{
	if (wall_us == INT64_MAX)
		return INT64_MAX;
	if (wall_us < INT64_MIN + EPOCH_US)
		return INT64_MIN;
	return wall_us - EPOCH_US;
}

static void
array_write(const struct synq_pg_array *array, char *ret)
{
	memcpy(ret, array->buf.data, array_bytes(array));
	store_32(ret, array->count ? 1 : 0);     /* dimensions */
	store_32(ret + 4, array->nulls ? 1 : 0); /* may hold NULLs */
	store_32(ret + 8, type_numbers[array->type].single);
	if (!array->count)
		return;
	store_32(ret + 12, array->count);
	store_32(ret + 16, 1); /* the first index */
}

void
synq_pg_param_write(const struct synq_pg_param *param, char *ret)
{
	switch (param->type) {
	case SYNQ_PG_BOOL:
		*ret = param->number ? 1 : 0;
		break;
	case SYNQ_PG_INT4:
		store_32(ret, (uint32_t)(int32_t)param->number);
		break;
	case SYNQ_PG_INT8:
		store_64(ret, (uint64_t)param->number);
		break;
	case SYNQ_PG_TIME:
		store_64(ret, (uint64_t)server_time(param->number));
		break;
	case SYNQ_PG_UUID:
		memcpy(ret, param->uuid->bytes, sizeof(param->uuid->bytes));
		break;
	case SYNQ_PG_TEXT:
	case SYNQ_PG_BYTEA:
		if (param->slice.bytes)
			memcpy(ret, param->slice.data, param->slice.bytes);
		break;
	case SYNQ_PG_ARRAY:
		array_write(param->array, ret);
		break;
	case SYNQ_PG_NULL:
		break;
	}
}

struct synq_pg_array *
synq_pg_array_new(enum synq_pg_type type)
{
	struct synq_pg_array *array;

	assert(type != SYNQ_PG_NULL && type != SYNQ_PG_ARRAY);

	array = synq_mem_new(sizeof(*array));
	array->type = type;
	synq_buf_init(&array->buf, SYNQ_PG_MAX_VALUE_BYTES);
	synq_pg_array_clear(array);
	return array;
}

void
synq_pg_array_add(struct synq_pg_array *array, struct synq_pg_param param)
{
	int is_null = synq_pg_param_is_null(&param);
	size_t bytes = synq_pg_param_bytes(&param);
	char *at = NULL;

	assert(param.type == array->type || param.type == SYNQ_PG_NULL);

	if (bytes <= SYNQ_PG_MAX_VALUE_BYTES && array->count < INT32_MAX)
		at = synq_buf_reserve(&array->buf, 4 + bytes);
	if (!at) {
		array->buf.overflow = 1;
		return;
	}
	store_32(at, is_null ? UINT32_MAX : (uint32_t)bytes);
	if (!is_null)
		synq_pg_param_write(&param, at + 4);
	array->buf.bytes += 4 + bytes;
	array->count++;
	array->nulls += is_null ? 1U : 0U;
}

void
synq_pg_array_clear(struct synq_pg_array *array)
{
	static const char head[ARRAY_HEAD_BYTES];

	synq_buf_clear(&array->buf);
	array->buf.overflow = 0;
	array->count = 0;
	array->nulls = 0;
	(void)synq_buf_add(&array->buf, head, sizeof(head));
}

size_t
synq_pg_array_count(const struct synq_pg_array *array)
{
	return array->count;
}

void
synq_pg_array_free(struct synq_pg_array **array)
{
	if (!*array)
		return;
	synq_buf_done(&(*array)->buf);
	synq_mem_free(*array);
	*array = NULL;
}
