#include "base/clock.h"
#include "ctl/admin.h"
#include "ctl/cli.h"
#include "pg/session.h"

/*
 * The noun "org": organizations, the tenants.
 *
 * Failure modes: the name is taken or not one; those of admin.
 */

#define MAX_NAME_BYTES 128

extern const struct cli_command cli_org_commands[];

static const struct print_column columns[] = {
	{ .name = "name" },
	{ .name = "id" },
	{ .name = "isolation", .only_json = 1 },
	{ .name = "keys", .type = PRINT_NUMBER },
	{ .name = "created_at" },
	{ .name = NULL },
};

static const char select_one[] =
    "SELECT name, id::text, isolation, '0', " ADMIN_TIME(
	"created_at") " FROM identity.organization WHERE id = $1";

static const char select_all[] =
    "SELECT o.name, o.id::text, o.isolation, (SELECT count(*)::text"
    " FROM identity.api_key k WHERE k.organization_id = o.id"
    " AND k.revoked_at IS NULL AND k.deleted_at IS NULL), " ADMIN_TIME(
	"o.created_at") " FROM identity.organization o WHERE o.deleted_at IS "
			"NULL"
			" ORDER BY o.name";

static int
create(const struct cli *cli, struct synq_session *session, const char *name)
{
	const struct synq_uuid id = synq_uuid_new(synq_clock_wall_us());
	const struct synq_pg_param params[] = { synq_pg_uuid(&id),
		synq_pg_text(synq_slice_text(name)) };
	struct synq_err err = { 0 };
	int rc = synq_session_query(session,
	    &(const struct synq_pg_statement){
		"INSERT INTO identity.organization (id, name) VALUES ($1, $2)",
		params, SYNQ_COUNT(params) },
	    NULL, &err);

	if (rc == -SYNQ_E_CONFLICT)
		return cli_say(CLI_FAILED,
		    "there is an organization \"%s\" already; make it a key "
		    "with: synq key create --org '%s'",
		    name, name);
	if (rc != 0)
		return cli_fail(&err);
	return admin_show(cli, session,
	    &(const struct synq_pg_statement){ select_one, params, 1 }, columns,
	    ADMIN_ONE);
}

static int
run_create(struct cli *cli)
{
	struct synq_session *session = NULL;
	int code;

	if (!admin_is_name(cli->args[0], MAX_NAME_BYTES))
		return cli_say(CLI_USAGE,
		    "the name of an organization is 1 to %d bytes of visible "
		    "text",
		    MAX_NAME_BYTES);
	code = admin_open(cli, &session);
	if (code == 0)
		code = create(cli, session, cli->args[0]);
	synq_session_free(&session);
	return code;
}

static int
run_list(struct cli *cli)
{
	struct synq_session *session = NULL;
	int code = admin_open(cli, &session);

	if (code == 0)
		code = admin_show(cli, session,
		    &(const struct synq_pg_statement){ select_all, NULL, 0 },
		    columns, ADMIN_LIST);
	synq_session_free(&session);
	return code;
}

const struct cli_command cli_org_commands[] = {
	{ .noun = "org",
	    .verb = "create",
	    .args = "NAME",
	    .min_args = 1,
	    .max_args = 1,
	    .summary = "Make an organization",
	    .examples = "$ synq org create acme\n",
	    .run = run_create },
	{ .noun = "org",
	    .verb = "list",
	    .summary = "List organizations",
	    .examples = "$ synq org list -o json\n",
	    .run = run_list },
	{ .noun = NULL },
};
