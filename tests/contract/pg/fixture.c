#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "pg/session.h"

const char *url;
struct fixture *fix;

/* In a schema of the process, so that programs may run side by side. */
static char scheme[32];
static char own_url[600];

static const char tables[] =
    "create table synq_t (id bigint primary key, body bytea);\n"
    "create table synq_rls (organization_id uuid not null, n int);\n"
    "alter table synq_rls enable row level security;\n"
    "alter table synq_rls force row level security;\n"
    "create policy p on synq_rls using (organization_id = (select\n"
    "  nullif(current_setting('synq.organization_id', true), '')::uuid));\n"
    "grant select, insert, update, delete on synq_t, synq_rls\n"
    "  to synq_test_app;\n";

int
find_server(void)
{
	const char *text = getenv("SYNQ_TEST_PG");

	if (!text) {
		(void)fputs("SYNQ_TEST_PG is not set\n", stderr);
		return SKIPPED;
	}
	(void)snprintf(scheme, sizeof(scheme), "synq_test_%d", getpid());
	(void)snprintf(own_url, sizeof(own_url),
	    "%s%soptions=-csearch_path%%3D%s", text,
	    strchr(text, '?') ? "&" : "?", scheme);
	url = own_url;
	return 0;
}

void
ask(const char *sql)
{
	struct synq_err err = { 0 };
	int rc = synq_session_script(fix->session, sql, &err);

	if (rc)
		fail_msg("%s: %s", sql, err.text);
}

int64_t
ask_number(const char *sql)
{
	struct synq_pg_statement statement = { sql, NULL, 0 };
	struct synq_pg_rows *rows = NULL;
	struct synq_err err = { 0 };
	int64_t number;

	if (synq_session_query(fix->session, &statement, &rows, &err))
		fail_msg("%s: %s", sql, err.text);
	number = synq_pg_get_int(rows, 0, 0);
	synq_session_rows_free(&rows);
	return number;
}

void
open_pool(const char *to, uint32_t connections, const char *role)
{
	struct synq_pg_config config = { .url = to,
		.connections = connections,
		.max_queued = 2000,
		.limit_ms = LIMIT_MS,
		.role = role };
	struct synq_err err = { 0 };

	if (synq_pg_new(fix->loop, &config, &fix->pg, &err))
		fail_msg("%s", err.text);
}

int
set_up(void **state)
{
	struct synq_err err = { 0 };
	char sql[200];

	(void)state;
	fix = synq_mem_new(sizeof(*fix));
	assert_int_equal(synq_loop_new(&fix->loop, &err), 0);
	if (synq_session_new(url, 5000, &fix->session, &err))
		fail_msg("%s", err.text);
	/* It may be there from the last run, or another program's. */
	if (synq_session_script(
		fix->session, "create role synq_test_app", &err))
		assert_in_range(err.code, SYNQ_E_CONFLICT, SYNQ_E_REFUSED);
	(void)snprintf(sql, sizeof(sql),
	    "drop schema if exists %s cascade; create schema %s; "
	    "grant usage on schema %s to synq_test_app",
	    scheme, scheme, scheme);
	ask(sql);
	ask(tables);
	return 0;
}

int
tear_down(void **state)
{
	char sql[100];

	(void)state;
	synq_pg_free(&fix->pg);
	/* The server may have been restarted. */
	synq_session_free(&fix->session);
	assert_int_equal(synq_session_new(url, 5000, &fix->session, NULL), 0);
	(void)snprintf(sql, sizeof(sql), "drop schema %s cascade", scheme);
	ask(sql);
	synq_session_free(&fix->session);
	synq_loop_free(&fix->loop);
	synq_mem_free(fix);
	return 0;
}

void
wait_told(size_t count, uint32_t limit_ms)
{
	uint64_t end_us = synq_clock_mono_us() + limit_ms * UINT64_C(1000);

	while (fix->told < count && synq_clock_mono_us() < end_us)
		synq_loop_turn(fix->loop, 20);
	assert_int_equal(fix->told, count);
}

void
wait_healthy(int healthy, uint32_t limit_ms)
{
	uint64_t end_us = synq_clock_mono_us() + limit_ms * UINT64_C(1000);

	while (synq_pg_healthy(fix->pg) != healthy &&
	       synq_clock_mono_us() < end_us)
		synq_loop_turn(fix->loop, 20);
	assert_int_equal(synq_pg_healthy(fix->pg), healthy);
}

void
idle(uint32_t time_ms)
{
	uint64_t end_us = synq_clock_mono_us() + time_ms * UINT64_C(1000);

	while (synq_clock_mono_us() < end_us)
		synq_loop_turn(fix->loop, 10);
}

void
on_done(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	struct outcome *outcome = ctx;

	outcome->rc = rc;
	outcome->told++;
	fix->told++;
	if (rc) {
		assert_null(rows);
		assert_int_equal(err->code, -rc);
		(void)snprintf(
		    outcome->text, sizeof(outcome->text), "%s", err->text);
		return;
	}
	assert_null(err);
	outcome->rows = synq_pg_row_count(rows[0]);
	outcome->number = synq_pg_get_int(rows[0], 0, 0);
}

void
start(size_t slot, const struct synq_pg_statement *statements, size_t count,
    const struct synq_uuid *organization_id)
{
	const struct synq_pg_transaction transaction = {
		.organization_id = organization_id,
		.statements = statements,
		.count = count,
		.done = on_done,
		.ctx = &fix->outcomes[slot],
	};

	assert_int_equal(synq_pg_start(fix->pg, &transaction), 0);
}

void
start_sql(size_t slot, const char *sql)
{
	const struct synq_pg_statement statement = { sql, NULL, 0 };

	start(slot, &statement, 1, NULL);
}

void
start_insert(size_t slot, int64_t id)
{
	const struct synq_pg_param param = synq_pg_int8(id);
	const struct synq_pg_statement statement = {
		"insert into synq_t (id) values ($1) returning id", &param, 1
	};

	start(slot, &statement, 1, NULL);
}
