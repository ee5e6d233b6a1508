#ifndef CTL_MIGRATE_H
#define CTL_MIGRATE_H

/*
 * The database's roles and tables, brought to what this program knows.
 *
 * Migrations are the files NNNN_name.sql, 1 and up without a gap, in
 * schema/sql of the build tree or share/synq/sql of an installed one.  What
 * was applied stands in platform.schema_migration with a hash of each file:
 * history that changed is refused.  Blocking.
 */

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_config;

/*
 * Make the roles, the database and all tables of the installation ${dir} that
 * ${config} describes; nothing happens where all is there.  Two at once wait
 * for each other.  Errors: CONFIG, NOT_FOUND, SYSTEM (files, secrets),
 * CONFLICT (the database's history is not this program's), and those of pg.
 */
SYNQ_MUST_CHECK int migrate_apply(
    const char *dir, const struct synq_config *config, struct synq_err *err);

/*
 * Append to ${out} what is applied in the installation ${dir} that ${config}
 * describes: a line "VERSION NAME STATE" each, the state applied, pending,
 * changed (file and history differ) or unknown (this program lacks it).
 * Errors as migrate_apply.
 */
SYNQ_MUST_CHECK int migrate_status(const char *dir,
    const struct synq_config *config, struct synq_buf *out,
    struct synq_err *err);

#endif
