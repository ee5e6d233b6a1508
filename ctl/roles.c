#include "ctl/roles.h"

#include <string.h>

#include "conf/conf.h"
#include "crypto/secret.h"
#include "pg/session.h"
#include "service/install.h"

/*
 * Log in as the superuser, take the lock, make what is missing and set every
 * password to what secrets/ holds, so that a lost or replaced secret mends
 * itself.
 *
 * Failure modes: a role's secret is missing (said, with its path), the server
 * does not answer, somebody else migrates for longer than a minute.
 */

#define CONNECT_LIMIT_MS 10000
#define MAX_URL_BYTES 4096
#define MAX_NAME_BYTES 63

static const char *const login_roles[] = { "synq_owner", "synq_admin",
	"synq_app", "synq_recorder", "synq_dispatcher" };

/*
 * Statements of this kind take no parameters, so name and password come by
 * settings of the session: neither stands in a statement that may be logged.
 */
static const char make_login_role[] =
    "DO $$\n"
    "DECLARE\n"
    "    name text := current_setting('synq.role');\n"
    "BEGIN\n"
    "    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN\n"
    "        EXECUTE format('CREATE ROLE %I', name);\n"
    "    END IF;\n"
    "    EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB '\n"
    "        'NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %L', name,\n"
    "        current_setting('synq.password'));\n"
    "END\n"
    "$$";

/* Rows and offsets of the recorder roll back together, so it need not wait. */
static const char make_rest[] =
    "DO $$\n"
    "BEGIN\n"
    "    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'synq_lookup')\n"
    "    THEN\n"
    "        CREATE ROLE synq_lookup;\n"
    "    END IF;\n"
    "END\n"
    "$$;\n"
    "ALTER ROLE synq_lookup NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE\n"
    "    NOREPLICATION NOBYPASSRLS;\n"
    "GRANT synq_lookup TO synq_owner;\n"
    "ALTER ROLE synq_recorder SET synchronous_commit = off;\n";

/*
 * The value of dbname in ${url}, which synq_install_pg_url has not seen yet,
 * into ${ret}.
 */
static int
read_database(
    const char *url, char ret[MAX_NAME_BYTES + 1], struct synq_err *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	const char *at = strstr(url, "dbname=");
	size_t bytes;

	if (at == NULL)
		return synq_fail(err, SYNQ_E_CONFIG,
		    "pg.url names no database; add dbname=synq");
	at += strlen("dbname=");
	bytes = strspn(at, letters);
	if (bytes == 0 || bytes > MAX_NAME_BYTES ||
	    (at[bytes] != '\0' && at[bytes] != ' '))
		return synq_fail(err, SYNQ_E_CONFIG,
		    "the database name in pg.url may hold a-z, 0-9 and _ only");
	memcpy(ret, at, bytes);
	ret[bytes] = '\0';
	return 0;
}

/* Whom to log in as, and where. */
struct login {
	const char *dir;
	const struct synq_config *config;
	const char *role;
	const char *more; /* at the end of the connection string */
};

static int
log_in(
    const struct login *login, struct synq_session **ret, struct synq_err *err)
{
	struct synq_buf url;
	int rc;

	synq_buf_init(&url, MAX_URL_BYTES);
	rc = synq_install_pg_url(
	    login->dir, login->config, login->role, &url, err);
	if (rc != 0)
		goto out;
	if (synq_buf_text(&url, login->more) != 0 || url.overflow) {
		rc = synq_fail(err, SYNQ_E_CONFIG, "pg.url is too long");
		goto out;
	}
	rc = synq_session_new(url.data, CONNECT_LIMIT_MS, ret, err);
	if (rc != 0)
		rc = synq_wrap(
		    err, rc, "log in to PostgreSQL as %s", login->role);
out:
	if (url.data != NULL)
		synq_secret_erase(url.data, url.bytes);
	synq_buf_done(&url);
	return rc;
}

int
roles_log_in(const char *dir, const struct synq_config *config,
    const char *role, struct synq_session **ret, struct synq_err *err)
{
	const struct login login = { dir, config, role, "" };

	return log_in(&login, ret, err);
}

int
roles_lock(const char *dir, const struct synq_config *config,
    struct synq_session **ret, struct synq_err *err)
{
	/* The number is arbitrary but fixed: all versions must agree. */
	static const char lock[] = "SET lock_timeout = '60s';\n"
				   "SELECT pg_advisory_lock(7246113);\n";
	const struct login login = { dir, config, "synq_super",
		" dbname=postgres" };
	struct synq_session *session = NULL;
	int rc;

	rc = log_in(&login, &session, err);
	if (rc != 0)
		return rc;
	rc = synq_session_script(session, lock, err);
	if (rc != 0) {
		synq_session_free(&session);
		return synq_wrap(err, rc, "another migration is running");
	}
	*ret = session;
	return 0;
}

static int
set_setting(struct synq_session *session, const char *name,
    struct synq_slice value, struct synq_err *err)
{
	const struct synq_pg_param params[] = {
		synq_pg_text(synq_slice_text(name)), synq_pg_text(value)
	};
	const struct synq_pg_statement statement = {
		"SELECT set_config($1, $2, false)", params, 2
	};

	return synq_session_query(session, &statement, NULL, err);
}

static int
make_role(struct synq_session *session, const char *dir, const char *role,
    struct synq_err *err)
{
	struct synq_secret *password = NULL;
	struct synq_buf name;
	int rc;

	synq_buf_init(&name, 128);
	synq_buf_printf(&name, "pg.%s", role);
	rc = synq_install_secret(dir, name.data, &password, err);
	synq_buf_done(&name);
	if (rc != 0)
		return rc;
	rc = set_setting(session, "synq.role", synq_slice_text(role), err);
	if (rc == 0)
		rc = set_setting(
		    session, "synq.password", synq_secret_view(password), err);
	synq_secret_free(&password);
	if (rc == 0)
		rc = synq_session_script(session, make_login_role, err);
	if (rc != 0)
		rc = synq_wrap(err, rc, "make the role %s", role);
	return rc;
}

static int
make_database(
    struct synq_session *session, const char *name, struct synq_err *err)
{
	const struct synq_pg_param param = synq_pg_text(synq_slice_text(name));
	const struct synq_pg_statement find = {
		"SELECT 1 FROM pg_database WHERE datname = $1", &param, 1
	};
	struct synq_pg_rows *rows = NULL;
	struct synq_buf sql;
	size_t found;
	int rc;

	rc = synq_session_query(session, &find, &rows, err);
	if (rc != 0)
		return rc;
	found = synq_pg_row_count(rows);
	synq_session_rows_free(&rows);
	synq_buf_init(&sql, 1024);
	if (found == 0) {
		/* Alone: it cannot run inside a transaction. */
		synq_buf_printf(
		    &sql, "CREATE DATABASE %s OWNER synq_owner", name);
		rc = synq_session_script(session, sql.data, err);
		synq_buf_clear(&sql);
	}
	synq_buf_printf(&sql,
	    "REVOKE ALL ON DATABASE %s FROM PUBLIC;\n"
	    "GRANT CONNECT ON DATABASE %s TO synq_owner, synq_admin, synq_app,"
	    " synq_recorder, synq_dispatcher;\n",
	    name, name);
	if (rc == 0)
		rc = synq_session_script(session, sql.data, err);
	synq_buf_done(&sql);
	if (rc != 0)
		rc = synq_wrap(err, rc, "make the database %s", name);
	return rc;
}

int
roles_apply(struct synq_session *session, const char *dir,
    const struct synq_config *config, struct synq_err *err)
{
	char database[MAX_NAME_BYTES + 1];
	size_t i;
	int rc;

	rc = read_database(config->pg_url, database, err);
	for (i = 0; rc == 0 && i < SYNQ_COUNT(login_roles); i++)
		rc = make_role(session, dir, login_roles[i], err);
	if (rc == 0)
		rc = synq_session_script(session, make_rest, err);
	if (rc == 0)
		rc = make_database(session, database, err);
	return rc;
}
