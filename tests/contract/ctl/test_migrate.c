/*
 * Migrations and the first key on a real server: made once, left alone
 * afterwards, refused where the history is another program's.
 *
 * SYNQ_TEST_PG is the URL of a superuser, as postgresql://USER@HOST:PORT/...,
 * of a server that takes every password from this machine.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "conf/conf.h"
#include "crypto/secret.h"
#include "ctl/bootstrap.h"
#include "ctl/migrate.h"
#include "pg/session.h"
#include "service/install.h"
#include "tenant/key.h"

#define SKIPPED 77

static const char *server;
static char dir[64];
static char database[64];
static char pg_url[256]; /* "pg.url=..." */
static struct synq_config *config;
static struct synq_session *super; /* in the test's database; NULL = none */

static const char *const secrets[] = { "pg.synq_super", "pg.synq_owner",
	"pg.synq_admin", "pg.synq_app", "pg.synq_recorder",
	"pg.synq_dispatcher", "pepper.1" };

/* Run ${sql} on the server's own database. */
static void
run_outside(const char *sql)
{
	struct synq_session *session = NULL;
	struct synq_err err = { 0 };

	if (synq_session_new(server, 5000, &session, &err) != 0 ||
	    synq_session_script(session, sql, &err) != 0)
		fail_msg("%s", err.text);
	synq_session_free(&session);
}

/* Run ${sql} in the database of the test. */
static void
ask(const char *sql)
{
	struct synq_err err = { 0 };
	char url[512];

	(void)snprintf(url, sizeof(url), "%.*s/%s",
	    (int)(strrchr(server, '/') - server), server, database);
	if (super == NULL && synq_session_new(url, 5000, &super, &err) != 0)
		fail_msg("%s", err.text);
	if (synq_session_script(super, sql, &err) != 0)
		fail_msg("%s: %s", sql, err.text);
}

static int64_t
ask_number(const char *sql)
{
	const struct synq_pg_statement statement = { sql, NULL, 0 };
	struct synq_pg_rows *rows = NULL;
	int64_t number;

	ask("SELECT 1");
	assert_int_equal(synq_session_query(super, &statement, &rows, NULL), 0);
	number = synq_pg_get_int(rows, 0, 0);
	synq_session_rows_free(&rows);
	return number;
}

static struct synq_config *
load_config(const char *more)
{
	const char *const settings[] = { pg_url, more, NULL };
	const struct synq_conf_sources sources = { .dir = dir,
		.settings = settings };
	struct synq_config *ret = NULL;
	struct synq_buf out;

	synq_buf_init(&out, 65536);
	if (synq_conf_load(&sources, &ret, &out) != 0)
		fail_msg("%s", out.data);
	synq_buf_done(&out);
	return ret;
}

static void
apply(void)
{
	struct synq_err err = { 0 };

	if (migrate_apply(dir, config, &err) != 0)
		fail_msg("%s", err.text);
}

/* A call that has to fail with ${code} and say ${words}. */
static void
assert_refused(
    int rc, const struct synq_err *err, enum synq_code code, const char *words)
{
	assert_int_equal(rc, -(int)code);
	if (strstr(err->text, words) == NULL)
		fail_msg("'%s' does not say '%s'", err->text, words);
}

static void
test_apply_makes_all_and_then_nothing(void **state)
{
	int64_t applied;

	(void)state;
	apply();
	applied = ask_number("SELECT count(*) FROM platform.schema_migration");
	assert_in_range(applied, 4, 999);
	ask("UPDATE platform.schema_migration SET applied_at = 'epoch'");
	apply();
	assert_int_equal(
	    ask_number("SELECT count(*) FROM platform.schema_migration"
		       " WHERE applied_at = 'epoch' AND length(checksum) = 64"),
	    applied);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM pg_roles WHERE"
		       " rolname = 'synq_lookup' AND NOT rolcanlogin"),
	    1);
}

static void
test_status_names_each_state(void **state)
{
	struct synq_err err = { 0 };
	struct synq_buf out;

	(void)state;
	apply();
	ask("DELETE FROM platform.schema_migration WHERE version = 4;"
	    "UPDATE platform.schema_migration SET checksum = ''"
	    " WHERE version = 2");
	synq_buf_init(&out, 65536);
	assert_int_equal(migrate_status(dir, config, &out, &err), 0);
	assert_non_null(
	    strstr(out.data, "1 0001_roles_and_schemas.sql applied\n"));
	assert_non_null(strstr(out.data, "2 0002_platform.sql changed\n"));
	assert_non_null(strstr(out.data, "4 0004_operations.sql pending\n"));
	synq_buf_done(&out);
}

static void
test_changed_history_is_refused(void **state)
{
	struct synq_err err = { 0 };

	(void)state;
	apply();
	ask("UPDATE platform.schema_migration SET checksum = repeat('0', 64)"
	    " WHERE version = 3");
	assert_refused(migrate_apply(dir, config, &err), &err, SYNQ_E_CONFLICT,
	    "0003_identity.sql");
}

static void
test_newer_history_is_refused(void **state)
{
	struct synq_err err = { 0 };

	(void)state;
	apply();
	ask("INSERT INTO platform.schema_migration (version, name, checksum)"
	    " SELECT max(version) + 1, '0999_new.sql', 'x'"
	    " FROM platform.schema_migration");
	assert_refused(migrate_apply(dir, config, &err), &err, SYNQ_E_CONFLICT,
	    "newer version");
}

static void
test_history_with_a_gap_is_refused(void **state)
{
	struct synq_err err = { 0 };

	(void)state;
	apply();
	ask("DELETE FROM platform.schema_migration WHERE version = 2");
	assert_refused(
	    migrate_apply(dir, config, &err), &err, SYNQ_E_CONFLICT, "0002_");
}

/* What it made before it failed is gone. */
static void
test_migration_that_fails_is_rolled_back(void **state)
{
	struct synq_err err = { 0 };

	(void)state;
	apply();
	ask("DELETE FROM platform.schema_migration WHERE version = 4;"
	    "DROP TABLE operations.job");
	assert_refused(migrate_apply(dir, config, &err), &err, SYNQ_E_REFUSED,
	    "0004_operations.sql");
	assert_int_equal(
	    ask_number("SELECT (to_regclass('operations.job') IS NULL)::int"),
	    1);
}

static void
test_other_partitions_are_refused(void **state)
{
	struct synq_config *other = load_config("kafka.partitions=5");
	struct synq_err err = { 0 };

	(void)state;
	apply();
	assert_refused(migrate_apply(dir, other, &err), &err, SYNQ_E_CONFIG,
	    "kafka.partitions: 16");
	synq_conf_free(&other);
}

static void
test_missing_secret_is_named(void **state)
{
	struct synq_err err = { 0 };
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/secrets/pg.synq_recorder", dir);
	assert_int_equal(unlink(path), 0);
	assert_refused(migrate_apply(dir, config, &err), &err, SYNQ_E_NOT_FOUND,
	    "pg.synq_recorder");
}

/* ---- the first key ---- */

static void
first(void)
{
	struct synq_err err = { 0 };

	if (bootstrap_first(dir, config, &err) != 0)
		fail_msg("%s", err.text);
}

static const char *
key_path(void)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/secrets/key.default", dir);
	return path;
}

#define COUNT_KEYS                                                             \
	"SELECT count(*) FROM identity.api_key k JOIN identity.organization o" \
	" ON o.id = k.organization_id WHERE o.name = 'default'"                \
	" AND k.mode = 'live'"

static void
test_first_start_makes_one_key(void **state)
{
	struct synq_key_parts parts;
	struct synq_secret *key = NULL;
	struct stat status;

	(void)state;
	apply();
	first();
	first();
	assert_int_equal(ask_number(COUNT_KEYS), 1);
	assert_int_equal(stat(key_path(), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(
	    synq_install_secret(dir, "key.default", &key, NULL), 0);
	assert_int_equal(synq_key_parse(synq_secret_view(key), &parts), 0);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM identity.api_key"
		       " WHERE encode(hash, 'escape') LIKE '%synq%'"),
	    0);
	synq_secret_free(&key);
}

static void
test_start_that_was_cut_short_is_mended(void **state)
{
	(void)state;
	apply();
	first();
	ask("DELETE FROM identity.api_key; DELETE FROM identity.organization");
	first();
	assert_int_equal(ask_number(COUNT_KEYS), 1);
	ask("DELETE FROM identity.api_key");
	first();
	assert_int_equal(ask_number(COUNT_KEYS), 1);
}

/* A key that somebody took away or revoked stays so. */
static void
test_key_that_was_removed_is_not_made_again(void **state)
{
	(void)state;
	apply();
	first();
	ask("UPDATE identity.api_key SET revoked_at = now()");
	first();
	assert_int_equal(ask_number(COUNT_KEYS " AND k.revoked_at IS NULL"), 0);
	assert_int_equal(unlink(key_path()), 0);
	first();
	assert_int_equal(ask_number(COUNT_KEYS), 1);
	assert_int_equal(access(key_path(), F_OK), -1);
}

/* ---- around it ---- */

/* A new folder with secrets, and a name for a database that is not there. */
static int
begin(void **state)
{
	static int count;
	char path[128];
	size_t i;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/synq-migrate-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/secrets", dir);
	if (mkdir(path, 0700) != 0)
		return -1;
	for (i = 0; i < SYNQ_COUNT(secrets); i++) {
		(void)snprintf(
		    path, sizeof(path), "%s/secrets/%s", dir, secrets[i]);
		if (synq_install_write(path,
			synq_slice_text("an example of 32 bytes at least."),
			NULL) != 0)
			return -1;
	}
	(void)snprintf(database, sizeof(database), "synq_migrate_%d_%d",
	    (int)getpid(), count++);
	i = strcspn(strrchr(server, ':') + 1, "/");
	(void)snprintf(pg_url, sizeof(pg_url),
	    "pg.url=host=127.0.0.1 port=%.*s dbname=%s", (int)i,
	    strrchr(server, ':') + 1, database);
	config = load_config(NULL);
	return 0;
}

static int
end(void **state)
{
	char path[128];
	char sql[128];
	size_t i;

	(void)state;
	synq_conf_free(&config);
	synq_session_free(&super);
	(void)snprintf(sql, sizeof(sql),
	    "DROP DATABASE IF EXISTS %s WITH (FORCE)", database);
	run_outside(sql);
	(void)unlink(key_path());
	for (i = 0; i < SYNQ_COUNT(secrets); i++) {
		(void)snprintf(
		    path, sizeof(path), "%s/secrets/%s", dir, secrets[i]);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/secrets", dir);
	(void)rmdir(path);
	return rmdir(dir);
}

static int
begin_all(void **state)
{
	struct synq_err err;

	(void)state;
	if (synq_crypto_init(&err) != 0)
		return -1;
	run_outside("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles"
		    " WHERE rolname = 'synq_super') THEN"
		    " CREATE ROLE synq_super LOGIN SUPERUSER; END IF; END $$");
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_apply_makes_all_and_then_nothing),
		TEST(test_status_names_each_state),
		TEST(test_changed_history_is_refused),
		TEST(test_newer_history_is_refused),
		TEST(test_history_with_a_gap_is_refused),
		TEST(test_migration_that_fails_is_rolled_back),
		TEST(test_other_partitions_are_refused),
		TEST(test_missing_secret_is_named),
		TEST(test_first_start_makes_one_key),
		TEST(test_start_that_was_cut_short_is_mended),
		TEST(test_key_that_was_removed_is_not_made_again),
	};

	server = getenv("SYNQ_TEST_PG");
	if (server == NULL || strrchr(server, '/') == NULL ||
	    strrchr(server, ':') == NULL) {
		(void)fputs("SYNQ_TEST_PG is not set\n", stderr);
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, begin_all, NULL);
}
