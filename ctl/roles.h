#ifndef CTL_ROLES_H
#define CTL_ROLES_H

/*
 * What migrations find there: the server's roles and the database.  Blocking.
 */

#include "base/attr.h"
#include "base/err.h"

struct synq_config;
struct synq_session;

/*
 * Log in to the database of the installation ${dir} that ${config} describes
 * as ${role} ("synq_owner").  The caller frees *${ret}.  Errors: CONFIG,
 * NOT_FOUND, those of synq_session_new.
 */
SYNQ_MUST_CHECK int roles_log_in(const char *dir,
    const struct synq_config *config, const char *role,
    struct synq_session **ret, struct synq_err *err);

/*
 * As roles_log_in, as the superuser and to the database postgres, which is
 * always there, holding the lock that lets one migration run at a time.
 */
SYNQ_MUST_CHECK int roles_lock(const char *dir,
    const struct synq_config *config, struct synq_session **ret,
    struct synq_err *err);

/*
 * Make the roles with their passwords, and the database of ${config}, by the
 * superuser's ${session}.  Errors: CONFIG, NOT_FOUND, those of pg.
 */
SYNQ_MUST_CHECK int roles_apply(struct synq_session *session, const char *dir,
    const struct synq_config *config, struct synq_err *err);

#endif
