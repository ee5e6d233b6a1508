/*
 * Who may see what, from the server's own catalog: every table of Synq, every
 * role, no tenant, the wrong one, the right one.  A table that is added without
 * a rule here fails.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/slice.h"
#include "fixture.h"
#include "pg/pg.h"
#include "pg/session.h"

#define OURS "11111111-1111-1111-1111-111111111111"
#define THEIRS "22222222-2222-2222-2222-222222222222"
#define NOBODY "33333333-3333-3333-3333-333333333333"
#define MAX_TABLES 64

static const char *const roles[] = { "synq_app", "synq_recorder",
	"synq_dispatcher", "synq_admin", "synq_lookup" };

/* Two rows in every table, one of ours and one of theirs where it has any. */
static const char seed[] =
    "INSERT INTO identity.organization (id, name) VALUES ('" OURS
    "', 'ours'), ('" THEIRS "', 'theirs');\n"
    "INSERT INTO identity.api_key (organization_id, id, key_id, hash,"
    " pepper_id, mode) SELECT id, id, rpad(name, 16, '0'),"
    " decode(repeat('00', 32), 'hex'), 1, 'live'"
    " FROM identity.organization;\n"
    "INSERT INTO operations.job (organization_id, id, state, state_rank)"
    " SELECT id, id, 'queued', 1 FROM identity.organization;\n"
    "INSERT INTO operations.attempt (organization_id, id, job_id, attempt,"
    " state, state_rank) SELECT id, id, id, 1, 'started', 1"
    " FROM identity.organization;\n"
    "INSERT INTO operations.result (organization_id, job_id, answer_status,"
    " body) SELECT id, id, 200, '' FROM identity.organization;\n"
    "INSERT INTO operations.idempotency (organization_id, key_hash,"
    " body_hash, job_id, expires_at) SELECT id, '', '', id, now()"
    " FROM identity.organization;\n";

/* Who sees the rows of all tenants, and where: the whole list. */
static const struct {
	const char *role;
	const char *table;
} sees_all[] = {
	{ "synq_recorder", "operations.job" },
	{ "synq_recorder", "operations.attempt" },
	{ "synq_recorder", "operations.result" },
	{ "synq_recorder", "operations.idempotency" },
	{ "synq_admin", "identity.organization" },
	{ "synq_admin", "identity.api_key" },
	{ "synq_admin", "operations.job" },
	{ "synq_admin", "operations.attempt" },
	{ "synq_admin", "operations.result" },
	{ "synq_admin", "operations.idempotency" },
	{ "synq_lookup", "identity.organization" },
	{ "synq_lookup", "identity.api_key" },
};

/* Tables with rows of tenants, and the column that says whose. */
#define TENANT_TABLES                                                          \
	"SELECT c.oid::regclass::text, a.attname FROM pg_class c"              \
	" JOIN pg_namespace n ON n.oid = c.relnamespace"                       \
	" JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped"    \
	" WHERE c.relkind IN ('r', 'p') AND n.nspname IN"                      \
	" ('platform', 'identity', 'operations', 'audit')"                     \
	" AND (a.attname = 'organization_id'"                                  \
	" OR (c.oid::regclass::text, a.attname) ="                             \
	" ('identity.organization', 'id'))"

struct table {
	char name[128];
	char column[64];
};

static struct table tables[MAX_TABLES];
static size_t table_count;

static void
find_tables(void)
{
	const struct synq_pg_statement statement = {
		TENANT_TABLES " ORDER BY 1", NULL, 0
	};
	struct synq_pg_rows *rows = NULL;
	size_t i;

	assert_int_equal(
	    synq_session_query(fix->super, &statement, &rows, NULL), 0);
	table_count = synq_pg_row_count(rows);
	assert_in_range(table_count, 1, MAX_TABLES);
	for (i = 0; i < table_count; i++) {
		struct synq_slice name = synq_pg_get_slice(rows, i, 0);
		struct synq_slice column = synq_pg_get_slice(rows, i, 1);

		(void)snprintf(tables[i].name, sizeof(tables[i].name), "%.*s",
		    (int)name.bytes, name.data);
		(void)snprintf(tables[i].column, sizeof(tables[i].column),
		    "%.*s", (int)column.bytes, column.data);
	}
	synq_session_rows_free(&rows);
}

static int
may_see_all(const char *role, const char *table)
{
	size_t i;

	for (i = 0; i < SYNQ_COUNT(sees_all); i++) {
		if (strcmp(sees_all[i].role, role) == 0 &&
		    strcmp(sees_all[i].table, table) == 0)
			return 1;
	}
	return 0;
}

/* ${pattern} with "@" as the name of ${table} and "#" as its column. */
static void
fill(const char *pattern, const struct table *table, struct synq_buf *out)
{
	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '@')
			synq_buf_text(out, table->name);
		else if (*pattern == '#')
			synq_buf_text(out, table->column);
		else
			synq_buf_char(out, *pattern);
	}
}

/* Ask ${pattern}, filled in for ${table}; the number it gives. */
static int64_t
count_of(const char *pattern, const struct table *table)
{
	struct synq_buf sql;
	int64_t number;

	synq_buf_init(&sql, 1024);
	fill(pattern, table, &sql);
	number = ask_number(sql.data);
	synq_buf_done(&sql);
	return number;
}

static void
become(const char *role, const char *tenant)
{
	char sql[256];

	(void)snprintf(sql, sizeof(sql), "BEGIN; SET LOCAL ROLE %s", role);
	ask(sql);
	if (tenant == NULL)
		return;
	(void)snprintf(
	    sql, sizeof(sql), "SET LOCAL synq.organization_id = '%s'", tenant);
	ask(sql);
}

static int
may(const char *role, const char *privilege, const struct table *table)
{
	char sql[512];

	(void)snprintf(sql, sizeof(sql),
	    "SELECT (has_schema_privilege('%s', '%.*s', 'USAGE') AND"
	    " has_table_privilege('%s', '%s', '%s'))::int",
	    role, (int)strcspn(table->name, "."), table->name, role,
	    table->name, privilege);
	return ask_number(sql) == 1;
}

/* How many rows ${role} sees of ${table} with ${tenant}; those of THEIRS. */
static void
assert_sees(const char *role, const struct table *table, const char *tenant)
{
	const int all = may_see_all(role, table->name);
	const int is_app = strcmp(role, "synq_app") == 0;
	const int ours = is_app && tenant != NULL && strcmp(tenant, OURS) == 0;
	int64_t seen;
	int64_t theirs;

	become(role, tenant);
	seen = count_of("SELECT count(*) FROM @", table);
	theirs =
	    count_of("SELECT count(*) FROM @ WHERE # = '" THEIRS "'", table);
	ask("ROLLBACK");
	if (seen != (all ? 2 : ours) || theirs != all)
		fail_msg("%s with the tenant %s sees %d rows of %s", role,
		    tenant != NULL ? tenant : "none", (int)seen, table->name);
}

static void
test_each_role_sees_what_it_may(void **state)
{
	static const char *const tenants[] = { NULL, "", NOBODY, OURS };
	size_t checked = 0;
	size_t i;
	size_t k;
	size_t t;

	(void)state;
	for (i = 0; i < table_count; i++) {
		/* A table without rows would pass whatever it lets through. */
		assert_int_equal(
		    count_of("SELECT count(*) FROM @", &tables[i]), 2);
		for (k = 0; k < SYNQ_COUNT(roles); k++) {
			if (!may(roles[k], "SELECT", &tables[i])) {
				assert_false(
				    may_see_all(roles[k], tables[i].name));
				continue;
			}
			for (t = 0; t < SYNQ_COUNT(tenants); t++)
				assert_sees(roles[k], &tables[i], tenants[t]);
			checked++;
		}
	}
	assert_in_range(checked, 18, 1000);
}

/* No statement of the intake reaches a row of another tenant. */
static void
assert_untouched(const char *pattern, const struct table *table)
{
	struct synq_buf sql;

	become("synq_app", OURS);
	synq_buf_init(&sql, 1024);
	fill(pattern, table, &sql);
	(void)!try_sql(sql.data);
	/* A refused statement ends the transaction, which is as good. */
	(void)!try_sql("COMMIT");
	synq_buf_done(&sql);
	assert_int_equal(
	    count_of("SELECT count(*) FROM @ WHERE # = '" THEIRS "'", table),
	    1);
}

static void
test_intake_writes_only_its_tenant(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < table_count; i++) {
		assert_untouched(
		    "DELETE FROM @ WHERE # = '" THEIRS "'", &tables[i]);
		assert_untouched("UPDATE @ SET # = '" NOBODY
				 "' WHERE # = '" THEIRS "'",
		    &tables[i]);
		assert_untouched("UPDATE @ SET # = '" THEIRS
				 "' WHERE # = '" OURS "'",
		    &tables[i]);
	}
	become("synq_app", OURS);
	assert_int_not_equal(
	    try_sql("INSERT INTO operations.idempotency (organization_id,"
		    " key_hash, body_hash, job_id, expires_at) VALUES"
		    " ('" THEIRS "', 'x', '', '" THEIRS "', now())"),
	    0);
	ask("ROLLBACK");
}

static void
test_row_security_is_forced_everywhere(void **state)
{
	(void)state;
	assert_int_equal(
	    ask_number("SELECT count(*) FROM (" TENANT_TABLES ") t (name, x)"
		       " JOIN pg_class c ON c.oid = t.name::regclass"
		       " WHERE NOT c.relrowsecurity"
		       " OR NOT c.relforcerowsecurity"),
	    0);
}

static void
test_only_find_key_runs_as_another_role(void **state)
{
	(void)state;
	assert_true(asks("SELECT string_agg(p.oid::regprocedure || ' '"
			 " || p.proowner::regrole || ' '"
			 " || array_to_string(p.proconfig, ','), ', ')"
			 " FROM pg_proc p JOIN pg_namespace n"
			 " ON n.oid = p.pronamespace"
			 " WHERE p.prosecdef AND n.nspname NOT LIKE 'pg\\_%'"
			 " AND n.nspname <> 'information_schema'",
	    "identity.find_key(text) synq_lookup search_path=\"\""));
}

static void
test_programs_own_nothing_and_bypass_nothing(void **state)
{
	(void)state;
	assert_int_equal(
	    ask_number("SELECT count(*) FROM pg_shdepend d JOIN pg_roles r"
		       " ON r.oid = d.refobjid WHERE d.deptype = 'o'"
		       " AND d.refclassid = 'pg_authid'::regclass"
		       " AND r.rolname IN ('synq_app', 'synq_recorder',"
		       " 'synq_dispatcher', 'synq_admin')"),
	    0);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM pg_roles WHERE rolname LIKE"
		       " 'synq\\_%' AND rolname IN ('synq_owner', 'synq_app',"
		       " 'synq_recorder', 'synq_dispatcher', 'synq_admin',"
		       " 'synq_lookup') AND (rolbypassrls OR rolsuper)"),
	    0);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM pg_auth_members m"
		       " JOIN pg_roles r ON r.oid = m.member"
		       " WHERE r.rolname IN ('synq_app', 'synq_recorder',"
		       " 'synq_dispatcher', 'synq_admin')"),
	    0);
}

/* Nobody gets anything by being anybody. */
static void
test_public_may_do_nothing(void **state)
{
	(void)state;
	assert_int_equal(
	    ask_number("SELECT count(*) FROM pg_class c JOIN pg_namespace n"
		       " ON n.oid = c.relnamespace, aclexplode(c.relacl) a"
		       " WHERE a.grantee = 0 AND n.nspname IN"
		       " ('platform', 'identity', 'operations', 'audit')"),
	    0);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM pg_proc p JOIN pg_namespace n"
		       " ON n.oid = p.pronamespace, aclexplode(coalesce("
		       "p.proacl, acldefault('f', p.proowner))) a"
		       " WHERE a.grantee = 0 AND n.nspname IN"
		       " ('platform', 'identity', 'operations', 'audit')"),
	    0);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM pg_namespace n,"
		       " aclexplode(n.nspacl) a WHERE a.grantee = 0"
		       " AND n.nspname IN ('public', 'platform', 'identity',"
		       " 'operations', 'audit')"),
	    0);
}

static void
test_credentials_are_the_dispatchers(void **state)
{
	(void)state;
	assert_true(asks("SELECT string_agg(rolname, ' ' ORDER BY rolname)"
			 " FROM pg_roles WHERE rolname LIKE 'synq\\_%'"
			 " AND rolname NOT IN ('synq_owner', 'synq_super')"
			 " AND rolname NOT LIKE 'synq\\_test%'"
			 " AND has_column_privilege(rolname,"
			 " 'platform.provider', 'sealed_key', 'SELECT')",
	    "synq_admin synq_dispatcher"));
}

static void
test_key_lookup_gives_one_row_at_most(void **state)
{
	(void)state;
	become("synq_app", NULL);
	assert_int_equal(
	    ask_number(
		"SELECT count(*) FROM identity.find_key('theirs0000000000')"),
	    1);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM identity.find_key('%')"), 0);
	ask("ROLLBACK");
	become("synq_recorder", NULL);
	assert_int_not_equal(try_sql("SELECT identity.find_key('x')"), 0);
	ask("ROLLBACK");
}

/* Messages take 512 bytes of a name; é has two, 中 has three. */
static void
test_model_names_fit_into_messages(void **state)
{
	static const char pattern[] =
	    "BEGIN; INSERT INTO platform.provider (id, name, dialect, base_url)"
	    " VALUES ('" OURS "', 'fits', 'openai', 'http://x');"
	    " INSERT INTO platform.model (id, name, provider_id, upstream_name)"
	    " VALUES ('" OURS "', repeat('%s', %d), '" OURS
	    "', repeat('%s', %d)); ROLLBACK";
	static const struct {
		const char *letter;
		int count;
		const char *upstream;
		int upstream_count;
		int fits;
	} names[] = { { "a", 256, "é", 256, 1 }, { "é", 256, "a", 256, 1 },
		{ "中", 171, "a", 1, 0 }, { "a", 1, "中", 171, 0 },
		{ "中", 170, "中", 170, 1 }, { "a", 257, "a", 1, 0 } };
	char sql[1024];
	size_t i;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(names); i++) {
		(void)snprintf(sql, sizeof(sql), pattern, names[i].letter,
		    names[i].count, names[i].upstream, names[i].upstream_count);
		assert_int_equal(try_sql(sql) == 0, names[i].fits);
		(void)try_sql("ROLLBACK");
	}
}

static int
begin_all(void **state)
{
	if (set_up(state) != 0 || set_up_test(state) != 0)
		return -1;
	ask(seed);
	find_tables();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_role_sees_what_it_may),
		cmocka_unit_test(test_intake_writes_only_its_tenant),
		cmocka_unit_test(test_row_security_is_forced_everywhere),
		cmocka_unit_test(test_only_find_key_runs_as_another_role),
		cmocka_unit_test(test_programs_own_nothing_and_bypass_nothing),
		cmocka_unit_test(test_public_may_do_nothing),
		cmocka_unit_test(test_credentials_are_the_dispatchers),
		cmocka_unit_test(test_key_lookup_gives_one_row_at_most),
		cmocka_unit_test(test_model_names_fit_into_messages),
	};

	if (find_server() != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, begin_all, tear_down);
}
