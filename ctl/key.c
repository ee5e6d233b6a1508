#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "crypto/secret.h"
#include "ctl/admin.h"
#include "ctl/cli.h"
#include "ctl/keymaker.h"
#include "pg/session.h"
#include "tenant/key.h"

/*
 * The noun "key": API keys.  A key is shown once, when it is made; the
 * database has its hash.
 *
 * Failure modes: the organization is not there (nearest names), Kafka does not
 * have a revocation: that is a failure, because programs may go on to accept
 * the key until they read it again.
 */

#define MAX_NAME_BYTES 128
#define KEY_ID_CHARS 16

extern const struct cli_command cli_key_commands[];

static const struct print_column list_columns[] = {
	{ .name = "key_id" },
	{ .name = "name" },
	{ .name = "mode" },
	{ .name = "state" },
	{ .name = "created_at" },
	{ .name = "revoked_at", .only_json = 1 },
	{ .name = NULL },
};

static const char select_keys[] =
    "SELECT key_id, nullif(name, ''), mode, CASE"
    " WHEN revoked_at IS NOT NULL THEN 'revoked'"
    " WHEN expires_at <= now() THEN 'expired' ELSE 'active' "
    "END, " ADMIN_TIME("created_at") ", " ADMIN_TIME(
	"revoked_at") " FROM identity.api_key WHERE organization_id = $1"
		      " AND deleted_at IS NULL ORDER BY created_at, key_id";

static int
show_new(const struct cli *cli, const struct synq_secret *key, const char *name)
{
	static const struct print_column columns[] = {
		{ .name = "key" },
		{ .name = "key_id" },
		{ .name = "organization" },
		{ .name = "name" },
	};
	struct synq_slice view = synq_secret_view(key);
	char *text = synq_mem_copy(view.data, view.bytes);
	char key_id[KEY_ID_CHARS + 1];
	const char *cells[] = { text, key_id, cli_flag(cli, "org"), name };
	struct print_table *table;
	int code = CLI_OK;

	memcpy(key_id, text + 10, KEY_ID_CHARS);
	key_id[KEY_ID_CHARS] = '\0';
	if (cli->format == CLI_ENV) {
		print_env("SYNQ_KEY", text);
	} else {
		table = print_table_new(columns, SYNQ_COUNT(columns));
		print_table_add(table, cells);
		code = print_table_one(cli, table);
		print_table_free(&table);
	}
	synq_secret_erase(text, view.bytes);
	synq_mem_free(text);
	cli_tell(cli, "keep the key: it is not shown again");
	return code;
}

static int
create(const struct cli *cli, struct synq_session *session)
{
	struct keymaker_request request = {
		.dir = cli->dir,
		.name = cli_flag(cli, "name"),
		.live = !cli_has(cli, "test"),
	};
	struct synq_secret *key = NULL;
	struct synq_err err = { 0 };
	int code = admin_find(session, &admin_organization,
	    cli_flag(cli, "org"), &request.organization_id);

	if (code != 0)
		return code;
	synq_key_make(request.live, &key);
	if (keymaker_store(session, &request, key, &err) != 0)
		code = cli_fail(&err);
	else
		code = show_new(cli, key, request.name);
	synq_secret_free(&key);
	return code;
}

static int
need_organization(const struct cli *cli)
{
	if (cli_has(cli, "org"))
		return 0;
	return cli_say(CLI_USAGE,
	    "say whose keys: --org NAME; synq org list shows the names");
}

static int
run_create(struct cli *cli)
{
	const char *name = cli_flag(cli, "name");
	struct synq_session *session = NULL;
	int code = need_organization(cli);

	if (code != 0)
		return code;
	if (name != NULL && !admin_is_name(name, MAX_NAME_BYTES))
		return cli_say(CLI_USAGE,
		    "the name of a key is 1 to %d bytes of visible text",
		    MAX_NAME_BYTES);
	code = admin_open(cli, &session);
	if (code == 0)
		code = create(cli, session);
	synq_session_free(&session);
	return code;
}

static int
run_list(struct cli *cli)
{
	struct synq_session *session = NULL;
	struct synq_uuid organization_id;
	struct synq_pg_param param;
	int code = need_organization(cli);

	if (code == 0)
		code = admin_open(cli, &session);
	if (code == 0)
		code = admin_find(session, &admin_organization,
		    cli_flag(cli, "org"), &organization_id);
	if (code == 0) {
		param = synq_pg_uuid(&organization_id);
		code = admin_show(cli, session,
		    &(const struct synq_pg_statement){ select_keys, &param, 1 },
		    list_columns, ADMIN_LIST);
	}
	synq_session_free(&session);
	return code;
}

/* The public part of ${text}, a key or already that part, into ${ret}. */
static int
read_key_id(const char *text, char ret[KEY_ID_CHARS + 1])
{
	struct synq_key_parts parts;

	if (synq_key_parse(synq_slice_text(text), &parts) == 0)
		text = parts.key_id.data;
	else if (strlen(text) != KEY_ID_CHARS)
		return cli_say(CLI_USAGE,
		    "that is neither a key nor its public part, the %d "
		    "characters after synq_live_",
		    KEY_ID_CHARS);
	memcpy(ret, text, KEY_ID_CHARS);
	ret[KEY_ID_CHARS] = '\0';
	return 0;
}

static int
revoke(const struct cli *cli, struct synq_session *session, const char *key_id)
{
	const struct synq_pg_param param =
	    synq_pg_text(synq_slice_text(key_id));
	struct synq_pg_rows *rows = NULL;
	struct synq_err err = { 0 };
	size_t found;

	if (synq_session_query(session,
		&(const struct synq_pg_statement){
		    "UPDATE identity.api_key"
		    " SET revoked_at = coalesce(revoked_at, now())"
		    " WHERE key_id = $1 RETURNING 1",
		    &param, 1 },
		&rows, &err) != 0)
		return cli_fail(&err);
	found = synq_pg_row_count(rows);
	synq_session_rows_free(&rows);
	if (found == 0)
		return cli_say(CLI_NOT_FOUND,
		    "there is no key %s; synq key list --org NAME shows those "
		    "that are",
		    key_id);
	if (admin_announce(cli->config, SYNQ_CONTROL_KEY, key_id, 1, &err) !=
	    0) {
		cli_say(CLI_UNAVAILABLE,
		    "the key is revoked in the database but Kafka does not "
		    "have it (%s): programs may accept it for %lld s more; "
		    "run the same command again",
		    err.text, (long long)cli->config->intake_key_refresh_s);
		return CLI_UNAVAILABLE;
	}
	cli_tell(cli, "revoked %s", key_id);
	return CLI_OK;
}

static int
run_revoke(struct cli *cli)
{
	struct synq_session *session = NULL;
	char key_id[KEY_ID_CHARS + 1];
	int code = read_key_id(cli->args[0], key_id);

	if (code != 0)
		return code;
	if (!cli_agree(cli, "Revoke this key for good?"))
		return cli_say(CLI_USAGE,
		    "nothing was done; --yes revokes without a question");
	code = admin_open(cli, &session);
	if (code == 0)
		code = revoke(cli, session, key_id);
	synq_session_free(&session);
	return code;
}

static const struct cli_flag create_flags[] = {
	{ "org", "NAME", "The organization that the key is for." },
	{ "name", "NAME", "What the key is called in lists." },
	{ "test", NULL, "Make a key that begins with synq_test_." },
	{ NULL, NULL, NULL },
};

static const struct cli_flag list_flags[] = {
	{ "org", "NAME", "The organization whose keys are shown." },
	{ NULL, NULL, NULL },
};

const struct cli_command cli_key_commands[] = {
	{ .noun = "key",
	    .verb = "create",
	    .summary = "Make an API key and show it, this once",
	    .examples = "$ synq key create --org acme --name server-1\n"
			"$ eval \"$(synq key create --org acme -o env)\"\n",
	    .flags = create_flags,
	    .takes_env = 1,
	    .run = run_create },
	{ .noun = "key",
	    .verb = "list",
	    .summary = "List an organization's keys, without their secrets",
	    .examples = "$ synq key list --org acme\n",
	    .flags = list_flags,
	    .run = run_list },
	{ .noun = "key",
	    .verb = "revoke",
	    .args = "KEY",
	    .min_args = 1,
	    .max_args = 1,
	    .summary = "Revoke a key, named by itself or its public part",
	    .examples = "$ synq key revoke 0A1b2C3d4E5f6G7h --yes\n",
	    .run = run_revoke },
	{ .noun = NULL },
};
