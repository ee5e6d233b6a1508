#ifndef CTL_ADMIN_H
#define CTL_ADMIN_H

/*
 * What the commands that administer an installation share: the database as
 * role synq_admin, the announcement of changes on synq.control, and lists
 * whose cells the database wrote as texts.  Blocking.
 */

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "ctl/cli.h"
#include "ctl/print.h"
#include "pg/pg.h"
#include "proto/signal.h"

struct synq_config;
struct synq_session;

/* A time in SQL as the command line shows it. */
#define ADMIN_TIME(column)                                                     \
	"to_char(" column                                                      \
	" AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/*
 * Load the configuration of ${cli} and log in, into ${ret}, which the caller
 * frees.  Returns 0, or the exit code after a complaint.
 */
SYNQ_MUST_CHECK int admin_open(struct cli *cli, struct synq_session **ret);

/* How admin_show writes rows. */
enum admin_shape { ADMIN_LIST, ADMIN_ONE };

/*
 * Run ${statement} in ${session} and write its rows, all of texts, under
 * ${columns}, which end with name NULL, as ${shape} says in the format of
 * ${cli}.  Returns the exit code.
 */
int admin_show(const struct cli *cli, struct synq_session *session,
    const struct synq_pg_statement *statement,
    const struct print_column *columns, enum admin_shape shape);

/* A thing that has a name, and where names of its kind are. */
struct admin_kind {
	const char *noun;  /* "organization" */
	const char *find;  /* SQL: $1 is a name, gives its id */
	const char *names; /* SQL: gives all names, in order */
	const char *make;  /* "synq org create NAME" */
};

extern const struct admin_kind admin_organization;
extern const struct admin_kind admin_provider;

/*
 * The id of the ${kind} called ${name}, into ${ret}.  Returns 0, or the exit
 * code after a complaint that names what is near.
 */
SYNQ_MUST_CHECK int admin_find(struct synq_session *session,
    const struct admin_kind *kind, const char *name, struct synq_uuid *ret);

/*
 * Tell all programs of ${config} that ${object_id} of ${kind} changed, or was
 * ${revoked}; the record's key is ${object_id}.  Errors: UNAVAILABLE,
 * UNCERTAIN, CONFIG.
 */
SYNQ_MUST_CHECK int admin_announce(const struct synq_config *config,
    enum synq_control_kind kind, const char *object_id, int revoked,
    struct synq_err *err);

/* As admin_announce for the catalog; that it failed is only told. */
void admin_announce_catalog(const struct cli *cli, const char *object_id);

/*
 * 1 if ${name} is ${max} bytes of visible text at most and not empty, else 0.
 */
int admin_is_name(const char *name, size_t max);

#endif
