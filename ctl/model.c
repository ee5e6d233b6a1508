#include "base/clock.h"
#include "ctl/admin.h"
#include "ctl/cli.h"
#include "pg/session.h"

/*
 * The noun "model": which models clients may name, and who runs them.
 *
 * Failure modes: the provider is not there (nearest names), it has the model
 * already; Kafka does not have the announcement (told).
 */

#define MAX_NAME_BYTES 256

extern const struct cli_command cli_model_commands[];

static const struct print_column columns[] = {
	{ .name = "name" },
	{ .name = "provider" },
	{ .name = "upstream" },
	{ .name = "enabled", .type = PRINT_TRUTH },
	{ .name = "id", .only_json = 1 },
	{ .name = "created_at", .only_json = 1 },
	{ .name = NULL },
};

#define SELECT                                                                 \
	"SELECT m.name, p.name, m.upstream_name,"                              \
	" (m.enabled AND p.enabled)::text, m.id::text, " ADMIN_TIME(           \
	    "m.created_at") " FROM platform.model m"                           \
			    " JOIN platform.provider p ON p.id = "             \
			    "m.provider_id"

static int
add(const struct cli *cli, struct synq_session *session, const char *name,
    const char *upstream)
{
	const struct synq_uuid id = synq_uuid_new(synq_clock_wall_us());
	const char *provider = cli_flag(cli, "provider");
	struct synq_uuid provider_id;
	struct synq_err err = { 0 };
	struct synq_buf object;
	int code = admin_find(session, &admin_provider, provider, &provider_id);
	int rc;

	if (code != 0)
		return code;

	const struct synq_pg_param params[] = { synq_pg_uuid(&id),
		synq_pg_text(synq_slice_text(name)), synq_pg_uuid(&provider_id),
		synq_pg_text(synq_slice_text(upstream)) };

	rc = synq_session_query(session,
	    &(const struct synq_pg_statement){
		"INSERT INTO platform.model (id, name, provider_id, "
		"upstream_name)"
		" VALUES ($1, $2, $3, $4)",
		params, SYNQ_COUNT(params) },
	    NULL, &err);
	if (rc == -SYNQ_E_CONFLICT)
		return cli_say(CLI_FAILED,
		    "%s has the model \"%s\" already; synq model list shows it",
		    provider, name);
	if (rc != 0)
		return cli_fail(&err);
	synq_buf_init(&object, 2 * MAX_NAME_BYTES);
	synq_buf_printf(&object, "model:%s", name);
	admin_announce_catalog(cli, object.data);
	synq_buf_done(&object);
	return admin_show(cli, session,
	    &(const struct synq_pg_statement){
		SELECT " WHERE m.id = $1", params, 1 },
	    columns, ADMIN_ONE);
}

static int
run_add(struct cli *cli)
{
	const char *name = cli->args[0];
	const char *upstream = cli_flag(cli, "upstream");
	struct synq_session *session = NULL;
	int code;

	if (upstream == NULL)
		upstream = name;
	if (!admin_is_name(name, MAX_NAME_BYTES) ||
	    !admin_is_name(upstream, MAX_NAME_BYTES))
		return cli_say(CLI_USAGE,
		    "the name of a model is 1 to %d bytes of visible text",
		    MAX_NAME_BYTES);
	if (!cli_has(cli, "provider"))
		return cli_say(CLI_USAGE,
		    "say who runs it: --provider NAME; synq provider list "
		    "shows the names");
	code = admin_open(cli, &session);
	if (code == 0)
		code = add(cli, session, name, upstream);
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
		    &(const struct synq_pg_statement){ SELECT
			" ORDER BY m.name COLLATE \"C\", p.name",
			NULL, 0 },
		    columns, ADMIN_LIST);
	synq_session_free(&session);
	return code;
}

static const struct cli_flag add_flags[] = {
	{ "provider", "NAME", "Who runs it." },
	{ "upstream", "NAME", "What it is called there, if not the same." },
	{ NULL, NULL, NULL },
};

const struct cli_command cli_model_commands[] = {
	{ .noun = "model",
	    .verb = "add",
	    .args = "MODEL",
	    .min_args = 1,
	    .max_args = 1,
	    .summary = "Let clients use a model",
	    .examples = "$ synq model add small --provider acme "
			"--upstream acme-small-2\n",
	    .flags = add_flags,
	    .run = run_add },
	{ .noun = "model",
	    .verb = "list",
	    .summary = "List models and who runs them",
	    .examples = "$ synq model list -o json\n",
	    .run = run_list },
	{ .noun = NULL },
};
