#include "ctl/bootstrap.h"

#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "crypto/secret.h"
#include "ctl/admin.h"
#include "ctl/keymaker.h"
#include "ctl/roles.h"
#include "pg/session.h"
#include "service/install.h"
#include "tenant/key.h"

/*
 * The key is saved before its row is made: a start that was cut short between
 * the two is mended by the next, because the row is made from the file.
 *
 * Failure modes: an installation that has organizations but no such file is
 * left alone: somebody took the key away on purpose.
 */

#define SECRET "key.default"

/* The key of the file, made if ${may_make} and it is not there, into ${ret}. */
static int
load_key(const char *dir, int may_make, struct synq_secret **ret,
    struct synq_err *err)
{
	char path[PATH_MAX];
	int rc = synq_install_secret(dir, SECRET, ret, err);

	if (rc != -SYNQ_E_NOT_FOUND || !may_make)
		return rc;
	(void)snprintf(path, sizeof(path), "%s/secrets/%s", dir, SECRET);
	synq_key_make(1, ret);
	rc = synq_secret_save(path, *ret, err);
	if (rc != 0)
		synq_secret_free(ret);
	return rc;
}

static int
count_organizations(
    struct synq_session *session, int64_t *ret, struct synq_err *err)
{
	struct synq_pg_rows *rows = NULL;
	int rc = synq_session_query(session,
	    &(const struct synq_pg_statement){
		"SELECT count(*) FROM identity.organization", NULL, 0 },
	    &rows, err);

	if (rc == 0)
		*ret = synq_pg_get_int(rows, 0, 0);
	synq_session_rows_free(&rows);
	return rc;
}

/* The id of the organization "default", made if need be, into ${ret}. */
static int
make_organization(
    struct synq_session *session, struct synq_uuid *ret, struct synq_err *err)
{
	const struct synq_uuid id = synq_uuid_new(synq_clock_wall_us());
	const struct synq_pg_param param = synq_pg_uuid(&id);
	struct synq_pg_rows *rows = NULL;
	int rc = synq_session_query(session,
	    &(const struct synq_pg_statement){
		"INSERT INTO identity.organization (id, name)"
		" VALUES ($1, 'default')"
		" ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING",
		&param, 1 },
	    NULL, err);

	if (rc == 0)
		rc = synq_session_query(session,
		    &(const struct synq_pg_statement){
			"SELECT id FROM identity.organization"
			" WHERE name = 'default' AND deleted_at IS NULL",
			NULL, 0 },
		    &rows, err);
	if (rc == 0)
		*ret = synq_pg_get_uuid(rows, 0, 0);
	synq_session_rows_free(&rows);
	return rc;
}

int
bootstrap_first(
    const char *dir, const struct synq_config *config, struct synq_err *err)
{
	struct keymaker_request request = {
		.dir = dir, .name = "default", .live = 1
	};
	struct synq_session *session = NULL;
	struct synq_secret *key = NULL;
	int64_t count = 0;
	int rc = roles_log_in(dir, config, "synq_admin", &session, err);

	if (rc == 0)
		rc = count_organizations(session, &count, err);
	if (rc != 0)
		goto out;
	rc = load_key(dir, count == 0, &key, err);
	if (rc == -SYNQ_E_NOT_FOUND) {
		rc = 0;
		goto out;
	}
	if (rc == 0)
		rc = make_organization(session, &request.organization_id, err);
	if (rc == 0)
		rc = keymaker_store(session, &request, key, err);
out:
	synq_secret_free(&key);
	synq_session_free(&session);
	return rc;
}
