#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "pg/session.h"

struct fixture *fix;

static const char *server; /* SYNQ_TEST_PG */
static char database[64];

static const char make_roles[] =
    "DO $$\n"
    "DECLARE\n"
    "    name text;\n"
    "BEGIN\n"
    "    FOREACH name IN ARRAY ARRAY['synq_owner', 'synq_admin', 'synq_app',\n"
    "        'synq_recorder', 'synq_dispatcher', 'synq_lookup'] LOOP\n"
    "        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN\n"
    "            EXECUTE format('CREATE ROLE %I', name);\n"
    "        END IF;\n"
    "    END LOOP;\n"
    "END\n"
    "$$;\n"
    "GRANT synq_lookup TO synq_owner;\n";

static const char make_history[] =
    "SET ROLE synq_owner;\n"
    "CREATE SCHEMA platform;\n"
    "CREATE TABLE platform.schema_migration (version integer PRIMARY KEY);\n";

static const char *const files[] = { "schema/sql/0001_roles_and_schemas.sql",
	"schema/sql/0002_platform.sql", "schema/sql/0003_identity.sql",
	"schema/sql/0004_operations.sql" };

int
find_server(void)
{
	server = getenv("SYNQ_TEST_PG");
	if (server != NULL && strrchr(server, '/') != NULL)
		return 0;
	(void)fputs("SYNQ_TEST_PG is not set\n", stderr);
	return SKIPPED;
}

int
try_sql(const char *sql)
{
	return synq_session_script(fix->super, sql, NULL);
}

void
ask(const char *sql)
{
	struct synq_err err = { 0 };

	if (synq_session_script(fix->super, sql, &err) != 0)
		fail_msg("%.100s: %s", sql, err.text);
}

static struct synq_pg_rows *
ask_rows(const char *sql)
{
	const struct synq_pg_statement statement = { sql, NULL, 0 };
	struct synq_pg_rows *rows = NULL;
	struct synq_err err = { 0 };

	if (synq_session_query(fix->super, &statement, &rows, &err) != 0)
		fail_msg("%s: %s", sql, err.text);
	return rows;
}

int64_t
ask_number(const char *sql)
{
	struct synq_pg_rows *rows = ask_rows(sql);
	int64_t number = -1;

	if (synq_pg_row_count(rows) > 0 && !synq_pg_is_null(rows, 0, 0))
		number = synq_pg_get_int(rows, 0, 0);
	synq_session_rows_free(&rows);
	return number;
}

int
asks(const char *sql, const char *expected)
{
	struct synq_pg_rows *rows = ask_rows(sql);
	struct synq_slice text = { NULL, 0 };
	int same;

	if (synq_pg_row_count(rows) > 0)
		text = synq_pg_get_slice(rows, 0, 0);
	same = synq_slice_is(text, expected);
	if (!same)
		print_error("%s\n  gives '%.*s', not '%s'\n", sql,
		    (int)text.bytes, text.bytes > 0 ? text.data : "", expected);
	synq_session_rows_free(&rows);
	return same;
}

static struct synq_session *
connect_to(const char *url)
{
	struct synq_session *session = NULL;
	struct synq_err err = { 0 };

	if (synq_session_new(url, LIMIT_MS, &session, &err) != 0)
		fail_msg("%s", err.text);
	return session;
}

/* Run ${sql} on the server's own database. */
static void
run_outside(const char *sql)
{
	struct synq_session *session = connect_to(server);
	struct synq_err err = { 0 };

	if (synq_session_script(session, sql, &err) != 0)
		fail_msg("%s: %s", sql, err.text);
	synq_session_free(&session);
}

static void
run_file(const char *path)
{
	const size_t room = 1 << 20;
	char *sql = synq_mem_new(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, sql, room - 1) <= 0)
		fail_msg("cannot read %s", path);
	close(fd);
	ask(sql);
	synq_mem_free(sql);
}

static void
open_pool(const char *role, struct synq_pg **ret)
{
	const struct synq_pg_config config = { .url = fix->url,
		.connections = 2,
		.max_queued = 1000,
		.limit_ms = LIMIT_MS,
		.role = role };
	struct synq_err err = { 0 };

	if (synq_pg_new(fix->loop, &config, ret, &err) != 0)
		fail_msg("%s", err.text);
}

int
set_up(void **state)
{
	struct synq_err err = { 0 };
	char sql[256];
	size_t i;

	(void)state;
	fix = synq_mem_new(sizeof(*fix));
	(void)snprintf(
	    database, sizeof(database), "synq_test_%d", (int)getpid());
	(void)snprintf(fix->url, sizeof(fix->url), "%.*s/%s",
	    (int)(strrchr(server, '/') - server), server, database);
	run_outside(make_roles);
	(void)snprintf(
	    sql, sizeof(sql), "CREATE DATABASE %s OWNER synq_owner", database);
	run_outside(sql);
	fix->super = connect_to(fix->url);
	ask(make_history);
	for (i = 0; i < SYNQ_COUNT(files); i++)
		run_file(files[i]);
	ask("RESET ROLE");
	assert_int_equal(synq_loop_new(&fix->loop, &err), 0);
	open_pool("synq_app", &fix->app);
	open_pool("synq_recorder", &fix->recorder);
	open_pool("synq_dispatcher", &fix->dispatcher);
	return 0;
}

int
tear_down(void **state)
{
	char sql[256];

	(void)state;
	synq_pg_free(&fix->app);
	synq_pg_free(&fix->recorder);
	synq_pg_free(&fix->dispatcher);
	synq_loop_free(&fix->loop);
	synq_session_free(&fix->super);
	(void)snprintf(
	    sql, sizeof(sql), "DROP DATABASE %s WITH (FORCE)", database);
	run_outside(sql);
	synq_mem_free(fix);
	fix = NULL;
	return 0;
}

int
set_up_test(void **state)
{
	(void)state;
	ask("TRUNCATE operations.job, operations.attempt, operations.result,"
	    " operations.idempotency, platform.consumer_offset,"
	    " platform.model, platform.provider, identity.api_key,"
	    " identity.organization");
	return 0;
}

void
wait_for(const int *flag)
{
	const uint64_t end_us =
	    synq_clock_mono_us() + LIMIT_MS * UINT64_C(1000);

	while (!*flag && synq_clock_mono_us() < end_us)
		synq_loop_turn(fix->loop, 20);
	if (!*flag)
		fail_msg("nothing happened within %d ms", LIMIT_MS);
}

struct synq_uuid
id_of(uint8_t byte)
{
	struct synq_uuid id;

	memset(id.bytes, byte, sizeof(id.bytes));
	return id;
}
