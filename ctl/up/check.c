#include "ctl/up/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/migrate.h"
#include "ctl/print.h"
#include "ctl/roles.h"
#include "ctl/up/control.h"
#include "ctl/up/program.h"
#include "ctl/up/setup.h"
#include "kafka/admin.h"
#include "pg/session.h"
#include "json/scan.h"

#define ASK_LIMIT_MS 5000
#define KAFKA_LIMIT_MS 5000
#define MIN_PG_VERSION 150014

static const struct print_column columns[] = {
	{ .name = "result" },
	{ .name = "check" },
	{ .name = "detail" },
};

void
check_begin(struct check *check)
{
	check->table = print_table_new(columns, SYNQ_COUNT(columns));
}

int
check_end(struct check *check)
{
	int code = print_table_list(check->cli, check->table);

	print_table_free(&check->table);
	if (check->failed > 0)
		return cli_say(CLI_FAILED, "%zu checks failed", check->failed);
	return code;
}

static void
add(struct check *check, const char *result, const char *name,
    const struct synq_buf *detail)
{
	print_table_add(
	    check->table, (const char *const[]){ result, name,
			      detail->bytes == 0 ? "" : detail->data });
}

void
check_ok(struct check *check, const char *name, const char *fmt, ...)
{
	struct synq_buf detail;
	va_list args;

	synq_buf_init(&detail, 64 * 1024);
	va_start(args, fmt);
	synq_buf_vprintf(&detail, fmt, args);
	va_end(args);
	add(check, "OK", name, &detail);
	synq_buf_done(&detail);
}

void
check_fail(struct check *check, const char *name, const char *fmt, ...)
{
	struct synq_buf detail;
	va_list args;

	check->failed++;
	synq_buf_init(&detail, 64 * 1024);
	va_start(args, fmt);
	synq_buf_vprintf(&detail, fmt, args);
	va_end(args);
	add(check, "FAIL", name, &detail);
	synq_buf_done(&detail);
}

int
check_is_external(
    const struct synq_config *config, const char *section, const char *name)
{
	const struct synq_option *option;
	size_t i;

	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		if (strcmp(option->section, section) == 0 &&
		    strcmp(option->name, name) == 0)
			return synq_conf_origin(config, option) >
			       SYNQ_ORIGIN_SERVERS;
	}
	return 0;
}

static void
check_process(struct check *check, struct synq_json unit)
{
	struct synq_slice name = { NULL, 0 };
	struct synq_buf why;
	char text[64];
	int64_t pid = 0;
	int ready;

	if (synq_json_plain(synq_json_member(unit, "name"), &name) != 0 ||
	    synq_json_int(synq_json_member(unit, "pid"), &pid) != 0)
		return;
	snprintf(text, sizeof(text), "%.*s", (int)name.bytes, name.data);
	synq_buf_init(&why, 64 * 1024);
	ready = synq_json_is(synq_json_member(unit, "state"), "ready");
	if (synq_json_member(unit, "program").type == SYNQ_JSON_STRING)
		ready =
		    program_is_ready(check->cli->dir, text, (pid_t)pid, &why);
	if (ready)
		check_ok(check, text, "ready%s%s", why.bytes == 0 ? "" : ": ",
		    why.bytes == 0 ? "" : why.data);
	else
		check_fail(check, text,
		    "not ready%s%s: see %s/log/%s.log, or repeat after "
		    "\"synq restart %s\"",
		    why.bytes == 0 ? "" : ": ", why.bytes == 0 ? "" : why.data,
		    check->cli->dir, text, text);
	synq_buf_done(&why);
}

void
check_processes(struct check *check)
{
	struct synq_json_cursor cursor;
	struct synq_json status;
	struct synq_json unit;
	struct synq_buf text;
	struct synq_err err;

	synq_buf_init(&text, 1024 * 1024);
	if (control_ask(check->cli->dir, "status", ASK_LIMIT_MS, &text, &err) !=
	    0) {
		check_fail(check, "supervisor", "%s", err.text);
	} else if (synq_json_parse(synq_buf_view(&text), &status, NULL) == 0) {
		check_ok(check, "supervisor", "it runs");
		cursor = synq_json_walk(synq_json_member(status, "units"));
		while (synq_json_next(&cursor, NULL, &unit))
			check_process(check, unit);
	}
	synq_buf_done(&text);
}

/*
 * Run ${sql}, which gives one text; its value appended to ${out}.
 */
static int
ask_one(struct synq_session *session, const char *sql, struct synq_buf *out,
    struct synq_err *err)
{
	const struct synq_pg_statement statement = { .sql = sql };
	struct synq_pg_rows *rows = NULL;
	int rc = synq_session_query(session, &statement, &rows, err);

	if (rc == 0 && synq_pg_row_count(rows) > 0)
		synq_buf_slice(out, synq_pg_get_slice(rows, 0, 0));
	synq_session_rows_free(&rows);
	return rc;
}

/* Each asks for what is wrong; an empty answer is a good one. */
static const struct {
	const char *name;
	const char *sql;
	const char *remedy;
} rules[] = {
	{ "row security",
	    "SELECT coalesce(string_agg(c.oid::regclass::text, ', '), '') "
	    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
	    "WHERE n.nspname IN ('identity', 'operations', 'audit') "
	    "AND c.relkind IN ('r', 'p') "
	    "AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
	    "these tables are not protected by row security: ALTER TABLE ... "
	    "FORCE ROW LEVEL SECURITY, and find out who took it off" },
	{ "definer functions",
	    "SELECT coalesce(string_agg(p.oid::regprocedure::text, ', '), '') "
	    "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
	    "WHERE n.nspname IN ('platform', 'identity', 'operations', "
	    "'audit', 'public') AND p.prosecdef "
	    "AND p.oid::regprocedure::text <> 'identity.find_key(text)'",
	    "these functions run with their owner's rights and are not on "
	    "the list of those that may: drop them" },
	{ "roles",
	    "SELECT coalesce(string_agg(r.rolname, ', '), '') FROM pg_roles r "
	    "WHERE r.rolname IN ('synq_app', 'synq_recorder', "
	    "'synq_dispatcher', 'synq_admin', 'synq_lookup') AND (r.rolsuper "
	    "OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class c "
	    "WHERE c.relowner = r.oid))",
	    "these roles own tables or bypass row security: take that back "
	    "with ALTER ROLE ... NOSUPERUSER NOBYPASSRLS and ALTER TABLE ... "
	    "OWNER TO synq_owner" },
};

static void
check_rules(struct check *check, struct synq_session *session)
{
	struct synq_buf found;
	struct synq_err err;
	size_t i;

	synq_buf_init(&found, 64 * 1024);
	for (i = 0; i < SYNQ_COUNT(rules); i++) {
		synq_buf_clear(&found);
		if (ask_one(session, rules[i].sql, &found, &err) != 0)
			check_fail(check, rules[i].name, "%s", err.text);
		else if (found.bytes > 0)
			check_fail(check, rules[i].name, "%s: %s", found.data,
			    rules[i].remedy);
		else
			check_ok(check, rules[i].name, "as they should be");
	}
	synq_buf_done(&found);
}

static void
check_version(struct check *check, struct synq_session *session)
{
	struct synq_buf text;
	struct synq_err err;
	uint64_t version = 0;

	synq_buf_init(&text, 4096);
	if (ask_one(session, "SELECT current_setting('server_version_num')",
		&text, &err) != 0)
		check_fail(check, "database", "%s", err.text);
	else if (synq_slice_u64(synq_buf_view(&text), INT32_MAX, &version) !=
		     0 ||
		 version < MIN_PG_VERSION)
		check_fail(check, "database",
		    "PostgreSQL %llu.%llu lacks security fixes: install 15.14 "
		    "or newer, as with \"apt-get install postgresql-15\"",
		    (unsigned long long)version / 10000,
		    (unsigned long long)version % 10000);
	else
		check_ok(check, "database", "PostgreSQL %llu.%llu",
		    (unsigned long long)version / 10000,
		    (unsigned long long)version % 10000);
	synq_buf_done(&text);
}

/* The lines "VERSION NAME STATE" that are not applied. */
static void
check_migrations(struct check *check)
{
	const struct cli *cli = check->cli;
	struct synq_buf lines;
	struct synq_buf bad;
	struct synq_err err;
	const char *at;

	synq_buf_init(&lines, 1024 * 1024);
	synq_buf_init(&bad, 64 * 1024);
	if (migrate_status(cli->dir, cli->config, &lines, &err) != 0) {
		check_fail(check, "migrations", "%s", err.text);
		goto out;
	}
	for (at = lines.bytes == 0 ? "" : lines.data; *at != '\0';) {
		size_t bytes = strcspn(at, "\n");

		if (bytes < 8 || memcmp(at + bytes - 8, " applied", 8) != 0)
			synq_buf_printf(&bad, "%s%.*s",
			    bad.bytes == 0 ? "" : ", ", (int)bytes, at);
		at += bytes + (at[bytes] == '\n');
	}
	if (bad.bytes > 0)
		check_fail(check, "migrations",
		    "%s: run \"synq migrate\"; what is changed or unknown "
		    "needs the program that made it",
		    bad.data);
	else
		check_ok(check, "migrations", "all applied");

out:
	synq_buf_done(&lines);
	synq_buf_done(&bad);
}

void
check_database(struct check *check)
{
	const struct cli *cli = check->cli;
	struct synq_session *session = NULL;
	struct synq_err err;

	if (roles_log_in(cli->dir, cli->config, "synq_owner", &session, &err) !=
	    0) {
		check_fail(check, "database", "%s", err.text);
		return;
	}
	check_version(check, session);
	check_rules(check, session);
	synq_session_free(&session);
	check_migrations(check);
}

void
check_topics(struct check *check)
{
	const struct synq_config *config = check->cli->config;
	struct synq_topic_spec topics[SETUP_TOPICS];
	struct synq_err err;
	size_t i;
	size_t bad = check->failed;

	if (config->kafka_brokers[0] == '\0') {
		check_fail(check, "topics",
		    "kafka.brokers is not set and there is no private "
		    "server: run \"synq up\"");
		return;
	}
	if (synq_kafka_wait(config->kafka_brokers, KAFKA_LIMIT_MS, &err) != 0) {
		check_fail(check, "topics", "%s", err.text);
		return;
	}
	setup_topics(config, topics);
	for (i = 0; i < SETUP_TOPICS; i++) {
		int32_t partitions = 0;

		if (synq_kafka_partitions(config->kafka_brokers, topics[i].name,
			&partitions, &err) != 0)
			check_fail(check, "topics",
			    "%s: \"synq up\" makes what is missing", err.text);
		else if (partitions != topics[i].partitions)
			check_fail(check, "topics",
			    "%s has %d partitions, it should have %d: set "
			    "kafka.partitions back; the number is fixed at "
			    "the first start",
			    topics[i].name, (int)partitions,
			    (int)topics[i].partitions);
	}
	if (check->failed == bad)
		check_ok(check, "topics", "%d, with the right partitions",
		    SETUP_TOPICS);
}
