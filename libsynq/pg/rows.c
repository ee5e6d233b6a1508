/*
 * Values are read straight out of libpq's result in the server's binary form.
 * A row, a column or a length that is not there reads as NULL or 0, so that a
 * mistake in a statement gives a wrong answer in a test, not a stray read.
 */

#include "pg/rows.h"

#include <string.h>

#include "base/slice.h"
#include "pg/pg.h"

/* 2000-01-01 in microseconds since 1970: where the server's time starts. */
#define EPOCH_US INT64_C(946684800000000)

void
synq_pg_rows_done(struct synq_pg_rows *rows)
{
	PQclear(rows->result);
	rows->result = NULL;
}

size_t
synq_pg_row_count(const struct synq_pg_rows *rows)
{
	return (size_t)PQntuples(rows->result);
}

uint64_t
synq_pg_changed(const struct synq_pg_rows *rows)
{
	uint64_t count;

	/* libpq keeps the tag in the result and only reads it here. */
	if (synq_slice_u64(
		synq_slice_text(PQcmdTuples(rows->result)), UINT64_MAX, &count))
		return 0;
	return count;
}

/* The bytes at ${row}, ${column}; data NULL if it is NULL or not there. */
static struct synq_slice
value(const struct synq_pg_rows *rows, size_t row, int column)
{
	const PGresult *result = rows->result;
	struct synq_slice none = { NULL, 0 };

	if (row >= (size_t)PQntuples(result) || column < 0 ||
	    column >= PQnfields(result) ||
	    PQgetisnull(result, (int)row, column))
		return none;
	return synq_slice_of(PQgetvalue(result, (int)row, column),
	    (size_t)PQgetlength(result, (int)row, column));
}

int
synq_pg_is_null(const struct synq_pg_rows *rows, size_t row, int column)
{
	return !value(rows, row, column).data;
}

/* The big-endian, signed number of 1, 2, 4 or 8 bytes in ${at}. */
static int64_t
number(struct synq_slice at)
{
	uint64_t bits;

	if (at.bytes != 1 && at.bytes != 2 && at.bytes != 4 && at.bytes != 8)
		return 0;
	bits = (at.data[0] & 0x80) ? UINT64_MAX : 0;
	for (size_t i = 0; i < at.bytes; i++)
		bits = bits << 8 | (unsigned char)at.data[i];
	return (int64_t)bits;
}

int64_t
synq_pg_get_int(const struct synq_pg_rows *rows, size_t row, int column)
{
	return number(value(rows, row, column));
}

struct synq_slice
synq_pg_get_slice(const struct synq_pg_rows *rows, size_t row, int column)
{
	return value(rows, row, column);
}

struct synq_uuid
synq_pg_get_uuid(const struct synq_pg_rows *rows, size_t row, int column)
{
	struct synq_slice at = value(rows, row, column);
	struct synq_uuid uuid = { { 0 } };

	if (at.bytes == sizeof(uuid.bytes))
		memcpy(uuid.bytes, at.data, sizeof(uuid.bytes));
	return uuid;
}

int64_t
synq_pg_get_time(const struct synq_pg_rows *rows, size_t row, int column)
{
	struct synq_slice at = value(rows, row, column);
	int64_t server_us = number(at);

	if (at.bytes != 8)
		return 0;
	/* The ends of the range mean "infinity" on both sides. */
	if (server_us == INT64_MIN || server_us > INT64_MAX - EPOCH_US)
		return server_us < 0 ? INT64_MIN : INT64_MAX;
	return server_us + EPOCH_US;
}
