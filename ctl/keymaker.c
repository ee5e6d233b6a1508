#include "ctl/keymaker.h"

#include "base/clock.h"
#include "crypto/secret.h"
#include "ctl/admin.h"
#include "pg/session.h"
#include "service/install.h"
#include "tenant/key.h"

/*
 * Hash the key's secret with the installation's pepper and put the row.
 *
 * Failure modes: the pepper is missing, those of pg.
 */

#define PEPPER "pepper.1"
#define PEPPER_ID 1

int
keymaker_store(struct synq_session *session,
    const struct keymaker_request *request, const struct synq_secret *key,
    struct synq_err *err)
{
	const struct synq_uuid id = synq_uuid_new(synq_clock_wall_us());
	struct synq_secret *pepper = NULL;
	struct synq_key_parts parts;
	uint8_t hash[32];
	int rc = synq_key_parse(synq_secret_view(key), &parts);

	if (rc != 0)
		return synq_fail(err, SYNQ_E_INVALID, "that is not an API key");
	rc = synq_install_secret(request->dir, PEPPER, &pepper, err);
	if (rc != 0)
		return rc;
	synq_key_hash(pepper, parts.secret, hash);
	synq_secret_free(&pepper);

	const struct synq_pg_param params[] = {
		synq_pg_uuid(&request->organization_id),
		synq_pg_uuid(&id),
		synq_pg_text(parts.key_id),
		synq_pg_bytes(synq_slice_of(hash, sizeof(hash))),
		synq_pg_int4(PEPPER_ID),
		synq_pg_text(synq_slice_text(request->live ? "live" : "test")),
		synq_pg_text(synq_slice_text(
		    request->name != NULL ? request->name : "")),
	};

	return synq_session_query(session,
	    &(const struct synq_pg_statement){
		"INSERT INTO identity.api_key (organization_id, id, key_id, "
		"hash,"
		" pepper_id, mode, name) VALUES ($1, $2, $3, $4, $5, $6, $7)"
		" ON CONFLICT (key_id) DO NOTHING",
		params, SYNQ_COUNT(params) },
	    NULL, err);
}
