#include "ctl/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/roles.h"
#include "kafka/admin.h"
#include "pg/session.h"
#include "proto/topics.h"

/*
 * Change the database first, then announce: whoever hears of the change reads
 * what it is.
 *
 * Failure modes: the database does not answer (nothing changed), Kafka does
 * not (the change stands, programs notice it when they read again).
 */

#define MAX_CONTROL_BYTES 4096
#define MAX_NAMES 500
#define MAX_COLUMNS 16

const struct admin_kind admin_organization = {
	.noun = "organization",
	.find = "SELECT id FROM identity.organization"
		" WHERE name = $1 AND deleted_at IS NULL",
	.names = "SELECT name FROM identity.organization"
		 " WHERE deleted_at IS NULL ORDER BY name LIMIT 500",
	.make = "synq org create NAME",
};

const struct admin_kind admin_provider = {
	.noun = "provider",
	.find = "SELECT id FROM platform.provider WHERE name = $1",
	.names = "SELECT name FROM platform.provider ORDER BY name LIMIT 500",
	.make = "synq provider add NAME --dialect openai --url URL",
};

int
admin_open(struct cli *cli, struct synq_session **ret)
{
	struct synq_err err = { 0 };
	int code = cli_config(cli);

	if (code != 0)
		return code;
	if (roles_log_in(cli->dir, cli->config, "synq_admin", ret, &err) != 0)
		return cli_fail(&err);
	return 0;
}

/* Add row ${row} of ${rows} to ${table} of ${count} columns. */
static void
add_row(struct print_table *table, const struct synq_pg_rows *rows, size_t row,
    size_t count)
{
	char *cells[MAX_COLUMNS];
	const char *shown[MAX_COLUMNS];
	size_t i;

	for (i = 0; i < count; i++) {
		struct synq_slice text = synq_pg_get_slice(rows, row, (int)i);

		cells[i] = synq_pg_is_null(rows, row, (int)i)
		               ? NULL
		               : synq_mem_copy(text.data, text.bytes);
		shown[i] = cells[i];
	}
	print_table_add(table, shown);
	for (i = 0; i < count; i++)
		synq_mem_free(cells[i]);
}

int
admin_show(const struct cli *cli, struct synq_session *session,
    const struct synq_pg_statement *statement,
    const struct print_column *columns, enum admin_shape shape)
{
	struct synq_err err = { 0 };
	struct synq_pg_rows *rows = NULL;
	struct print_table *table;
	size_t width = 0;
	size_t row;
	int code;

	if (synq_session_query(session, statement, &rows, &err) != 0)
		return cli_fail(&err);
	while (width < MAX_COLUMNS && columns[width].name != NULL)
		width++;
	table = print_table_new(columns, width);
	for (row = 0; row < synq_pg_row_count(rows); row++)
		add_row(table, rows, row, width);
	synq_session_rows_free(&rows);
	code = shape == ADMIN_ONE ? print_table_one(cli, table)
	                          : print_table_list(cli, table);
	print_table_free(&table);
	return code;
}

/* Say that there is no ${name}, and which of the names in ${rows} is near. */
static int
say_unknown(const struct admin_kind *kind, const char *name,
    const struct synq_pg_rows *rows)
{
	const size_t count = synq_pg_row_count(rows);
	char *names[MAX_NAMES];
	const char *words[MAX_NAMES + 1];
	const char *near;
	size_t used = 0;
	int code;

	for (used = 0; used < count && used < MAX_NAMES; used++) {
		struct synq_slice text = synq_pg_get_slice(rows, used, 0);

		names[used] = synq_mem_copy(text.data, text.bytes);
		words[used] = names[used];
	}
	words[used] = NULL;
	near = synq_conf_nearest(name, words);
	if (near != NULL)
		code = cli_say(CLI_NOT_FOUND,
		    "there is no %s \"%s\"; the nearest is \"%s\"", kind->noun,
		    name, near);
	else if (used > 0)
		code = cli_say(CLI_NOT_FOUND,
		    "there is no %s \"%s\"; the first of %zu is \"%s\"; make "
		    "one with: %s",
		    kind->noun, name, used, words[0], kind->make);
	else
		code = cli_say(CLI_NOT_FOUND,
		    "there is no %s yet; make one with: %s", kind->noun,
		    kind->make);
	while (used > 0)
		synq_mem_free(names[--used]);
	return code;
}

int
admin_find(struct synq_session *session, const struct admin_kind *kind,
    const char *name, struct synq_uuid *ret)
{
	const struct synq_pg_param param = synq_pg_text(synq_slice_text(name));
	struct synq_err err = { 0 };
	struct synq_pg_rows *rows = NULL;
	int code = 0;

	if (synq_session_query(session,
		&(const struct synq_pg_statement){ kind->find, &param, 1 },
		&rows, &err) != 0)
		return cli_fail(&err);
	if (synq_pg_row_count(rows) > 0) {
		*ret = synq_pg_get_uuid(rows, 0, 0);
		synq_session_rows_free(&rows);
		return 0;
	}
	synq_session_rows_free(&rows);
	if (synq_session_query(session,
		&(const struct synq_pg_statement){ kind->names, NULL, 0 },
		&rows, &err) != 0)
		return cli_fail(&err);
	code = say_unknown(kind, name, rows);
	synq_session_rows_free(&rows);
	return code;
}

int
admin_announce(const struct synq_config *config, enum synq_control_kind kind,
    const char *object_id, int revoked, struct synq_err *err)
{
	const struct synq_control control = { .kind = kind,
		.object_id = synq_slice_text(object_id),
		.revoked = revoked,
		.changed_at = synq_clock_wall_us() };
	struct synq_buf message;
	int rc;

	if (config->kafka_brokers[0] == '\0')
		return synq_fail(err, SYNQ_E_CONFIG,
		    "kafka.brokers is not set and there is no private broker: "
		    "run synq up");
	synq_buf_init(&message, MAX_CONTROL_BYTES);
	synq_control_encode(&control, &message);
	if (message.overflow)
		rc = synq_fail(err, SYNQ_E_INVALID,
		    "\"%s\" cannot be announced", object_id);
	else
		rc = synq_kafka_produce_once(config->kafka_brokers,
		    SYNQ_TOPIC_CONTROL, synq_slice_text(object_id),
		    synq_buf_view(&message), err);
	synq_buf_done(&message);
	return rc;
}

void
admin_announce_catalog(const struct cli *cli, const char *object_id)
{
	struct synq_err err = { 0 };

	if (admin_announce(
		cli->config, SYNQ_CONTROL_CATALOG, object_id, 0, &err) != 0)
		cli_tell(cli,
		    "synq: %s; programs that run take the change within "
		    "%lld s all the same",
		    err.text,
		    (long long)cli->config->dispatcher_catalog_refresh_s);
}

int
admin_is_name(const char *name, size_t max)
{
	const size_t bytes = strlen(name);
	size_t i;

	if (bytes == 0 || bytes > max ||
	    !synq_slice_utf8(synq_slice_text(name)))
		return 0;
	for (i = 0; i < bytes; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return 0;
	}
	return name[0] != ' ' && name[bytes - 1] != ' ';
}
