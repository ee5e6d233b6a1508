#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/url.h"
#include "conf/conf.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "ctl/admin.h"
#include "ctl/cli.h"
#include "pg/session.h"
#include "service/install.h"

/*
 * The noun "provider": places that run models.  A provider's key is sealed
 * with the installation's key before it leaves this process.
 *
 * Failure modes: the name is taken, the URL or the key file is not one; Kafka
 * does not have the announcement (told, programs notice by themselves).
 */

#define MAX_NAME_BYTES 63
#define MAX_URL_BYTES 2048
#define MAX_KEY_BYTES 4096
#define MAX_SEALED_BYTES 16384
#define KEK "kek.1"
#define KEK_ID 1

extern const struct cli_command cli_provider_commands[];

static const struct print_column columns[] = {
	{ .name = "name" },
	{ .name = "dialect" },
	{ .name = "url" },
	{ .name = "has_key", .type = PRINT_TRUTH },
	{ .name = "enabled", .type = PRINT_TRUTH },
	{ .name = "models", .type = PRINT_NUMBER },
	{ .name = "id", .only_json = 1 },
	{ .name = "created_at", .only_json = 1 },
	{ .name = NULL },
};

#define SELECT                                                                 \
	"SELECT p.name, p.dialect, p.base_url,"                                \
	" (p.sealed_key IS NOT NULL)::text, p.enabled::text,"                  \
	" (SELECT count(*)::text FROM platform.model m"                        \
	" WHERE m.provider_id = p.id), p.id::text, " ADMIN_TIME(               \
	    "p.created_at") " FROM platform.provider p"

/* What provider add was asked for. */
struct request {
	struct synq_uuid id;
	const char *name;
	const char *dialect;
	const char *url;
};

static int
is_name(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	const size_t bytes = strlen(name);

	return bytes > 0 && bytes <= MAX_NAME_BYTES &&
	       strspn(name, first) > 0 && strspn(name, rest) == bytes;
}

/* Check ${request}; 0, or CLI_USAGE after a complaint. */
static int
check(const struct request *request)
{
	static const char *const dialects[] = { "openai", NULL };
	struct synq_err err = { 0 };
	struct synq_url url;
	const char *near;

	if (!is_name(request->name))
		return cli_say(CLI_USAGE,
		    "the name of a provider is 1 to %d of a-z, 0-9, \".\", "
		    "\"_\" and \"-\", beginning with a letter or digit",
		    MAX_NAME_BYTES);
	if (strcmp(request->dialect, dialects[0]) != 0) {
		near = synq_conf_nearest(request->dialect, dialects);
		return cli_say(CLI_USAGE, "unknown dialect \"%s\"; %s %s",
		    request->dialect,
		    near != NULL ? "did you mean" : "there is", dialects[0]);
	}
	if (request->url == NULL)
		return cli_say(CLI_USAGE,
		    "say where it is: --url https://api.example.com/v1");
	if (strlen(request->url) > MAX_URL_BYTES ||
	    synq_url_parse(synq_slice_text(request->url), &url, &err) != 0)
		return cli_say(CLI_USAGE,
		    "--url %s: %s; it is like https://api.example.com/v1",
		    request->url,
		    err.text[0] != '\0' ? err.text : "it is too long");
	if (url.query.bytes > 0)
		return cli_say(CLI_USAGE, "--url takes no query string");
	return 0;
}

/* ---- the key ---- */

/* Read the open ${fd} whole into ${out}; -1 if it is too long or not read. */
static int
read_all(int fd, struct synq_buf *out)
{
	for (;;) {
		char *room = synq_buf_reserve(out, 512);
		ssize_t bytes;

		if (room == NULL)
			return -1;
		bytes = read(fd, room, 512);
		if (bytes < 0 && errno != EINTR)
			return -1;
		if (bytes == 0)
			return 0;
		if (bytes > 0)
			out->bytes += (size_t)bytes;
	}
}

/* The key in the file ${path}, "-" for the standard input, into ${ret}. */
static int
read_key(const struct cli *cli, const char *path, struct synq_secret **ret)
{
	const int is_input = strcmp(path, "-") == 0;
	const int fd =
	    is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct synq_slice key;
	struct synq_buf text;
	struct stat status;
	int code = 0;

	if (fd < 0)
		return cli_say(
		    CLI_USAGE, "--key-file %s: %s", path, strerror(errno));
	if (!is_input && fstat(fd, &status) == 0 && (status.st_mode & 077) != 0)
		cli_tell(
		    cli, "note: others can read %s; chmod 600 %s", path, path);
	synq_buf_init(&text, MAX_KEY_BYTES + 512);
	if (read_all(fd, &text) != 0)
		code = cli_say(CLI_USAGE,
		    "--key-file %s: cannot be read or is longer than %d bytes",
		    path, MAX_KEY_BYTES);
	if (!is_input)
		close(fd);
	key = synq_buf_view(&text);
	while (key.bytes > 0 && strchr(" \t\r\n", key.data[key.bytes - 1]))
		key.bytes--;
	if (code == 0 && (key.bytes == 0 || key.bytes > MAX_KEY_BYTES ||
			     memchr(key.data, '\n', key.bytes) != NULL))
		code = cli_say(CLI_USAGE,
		    "--key-file %s: it should hold one line, the key", path);
	if (code == 0)
		*ret = synq_secret_new(key);
	if (text.data != NULL)
		synq_secret_erase(text.data, text.room);
	synq_buf_done(&text);
	return code;
}

/* Seal ${key} for ${request} into ${out}; the exit code. */
static int
seal(const struct cli *cli, const struct request *request,
    const struct synq_secret *key, struct synq_buf *out)
{
	struct synq_secret *kek = NULL;
	struct synq_err err = { 0 };
	struct synq_buf context;
	char id[SYNQ_UUID_CHARS + 1];
	int rc;

	if (synq_install_secret(cli->dir, KEK, &kek, &err) != 0)
		return cli_fail(&err);
	synq_buf_init(&context, 64);
	synq_uuid_format(&request->id, id);
	synq_buf_printf(&context, "provider:%s", id);
	rc = synq_seal(
	    kek, KEK_ID, synq_buf_view(&context), synq_secret_view(key), out);
	synq_buf_done(&context);
	synq_secret_free(&kek);
	if (rc != 0 || out->overflow)
		return cli_say(CLI_FAILED, "the key is too long to be sealed");
	return 0;
}

/* The sealed key that the flags name, appended to ${out}; the exit code. */
static int
take_key(
    const struct cli *cli, const struct request *request, struct synq_buf *out)
{
	struct synq_secret *key = NULL;
	int code;

	if (!cli_has(cli, "key-file"))
		return 0;
	code = read_key(cli, cli_flag(cli, "key-file"), &key);
	if (code == 0)
		code = seal(cli, request, key, out);
	synq_secret_free(&key);
	return code;
}

/* ---- commands ---- */

static int
add(const struct cli *cli, struct synq_session *session,
    const struct request *request, struct synq_slice sealed)
{
	const struct synq_pg_param params[] = { synq_pg_uuid(&request->id),
		synq_pg_text(synq_slice_text(request->name)),
		synq_pg_text(synq_slice_text(request->dialect)),
		synq_pg_text(synq_slice_text(request->url)),
		synq_pg_text(sealed) };
	struct synq_err err = { 0 };
	struct synq_buf object;
	int rc = synq_session_query(session,
	    &(const struct synq_pg_statement){
		"INSERT INTO platform.provider"
		" (id, name, dialect, base_url, sealed_key)"
		" VALUES ($1, $2, $3, $4, $5)",
		params, SYNQ_COUNT(params) },
	    NULL, &err);

	if (rc == -SYNQ_E_CONFLICT)
		return cli_say(CLI_FAILED,
		    "there is a provider \"%s\" already; synq provider list "
		    "shows it",
		    request->name);
	if (rc != 0)
		return cli_fail(&err);
	synq_buf_init(&object, 128);
	synq_buf_printf(&object, "provider:%s", request->name);
	admin_announce_catalog(cli, object.data);
	synq_buf_done(&object);
	return admin_show(cli, session,
	    &(const struct synq_pg_statement){
		SELECT " WHERE p.id = $1", params, 1 },
	    columns, ADMIN_ONE);
}

static int
run_add(struct cli *cli)
{
	const struct request request = {
		.id = synq_uuid_new(synq_clock_wall_us()),
		.name = cli->args[0],
		.dialect = cli_has(cli, "dialect") ? cli_flag(cli, "dialect")
		                                   : "openai",
		.url = cli_flag(cli, "url"),
	};
	struct synq_session *session = NULL;
	struct synq_buf sealed;
	int code = check(&request);

	synq_buf_init(&sealed, MAX_SEALED_BYTES);
	if (code == 0)
		code = take_key(cli, &request, &sealed);
	if (code == 0)
		code = admin_open(cli, &session);
	if (code == 0)
		code = add(cli, session, &request, synq_buf_view(&sealed));
	synq_session_free(&session);
	synq_buf_done(&sealed);
	return code;
}

static int
run_list(struct cli *cli)
{
	struct synq_session *session = NULL;
	int code = admin_open(cli, &session);

	if (code == 0)
		code = admin_show(cli, session,
		    &(const struct synq_pg_statement){
			SELECT " ORDER BY p.name", NULL, 0 },
		    columns, ADMIN_LIST);
	synq_session_free(&session);
	return code;
}

static const struct cli_flag add_flags[] = {
	{ "dialect", "NAME", "How it is spoken to: openai (the default)." },
	{ "url", "URL", "Where it is, as https://api.example.com/v1." },
	{ "key-file", "FILE",
	    "A file with its API key, - for the standard input." },
	{ NULL, NULL, NULL },
};

const struct cli_command cli_provider_commands[] = {
	{ .noun = "provider",
	    .verb = "add",
	    .args = "NAME",
	    .min_args = 1,
	    .max_args = 1,
	    .summary = "Add a place that runs models",
	    .examples = "$ synq provider add acme --url "
			"https://api.example.com/v1 --key-file acme.key\n",
	    .flags = add_flags,
	    .run = run_add },
	{ .noun = "provider",
	    .verb = "list",
	    .summary = "List providers, without their keys",
	    .examples = "$ synq provider list\n",
	    .run = run_list },
	{ .noun = NULL },
};
