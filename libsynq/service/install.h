#ifndef SYNQ_SERVICE_INSTALL_H
#define SYNQ_SERVICE_INSTALL_H

/*
 * Where things of an installation lie.  <dir> holds synq.yaml, secrets/ (0700),
 * run/ (notes, ports, lock), log/, and the private servers' data; data may be
 * elsewhere (decisions 33), run/data names that place then.
 */

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_config;
struct synq_secret;

/*
 * The installation's folder as an absolute path: ${flag} if not NULL, else
 * SYNQ_DIR, else "var"; the caller frees it with synq_mem_free.
 */
char *synq_install_dir(const char *flag);

/*
 * The secret ${name} of the installation ${dir}.  Errors as synq_secret_load.
 */
SYNQ_MUST_CHECK int synq_install_secret(const char *dir, const char *name,
    struct synq_secret **ret, struct synq_err *err);

/*
 * The libpq connection string for ${role} of the installation ${dir} as
 * ${config} says, with its password from secrets/pg.<role>, appended to
 * ${out}, which holds a secret then.  Errors: CONFIG, NOT_FOUND.
 */
SYNQ_MUST_CHECK int synq_install_pg_url(const char *dir,
    const struct synq_config *config, const char *role, struct synq_buf *out,
    struct synq_err *err);

/*
 * Replace the file ${path} by ${content} with mode 0600 as a whole: a reader
 * sees the old or the new one, also after a power loss.  Error: SYSTEM.
 */
SYNQ_MUST_CHECK int synq_install_write(
    const char *path, struct synq_slice content, struct synq_err *err);

/* Make the folder ${path} with mode 0700 if it is not there.  Error: SYSTEM. */
SYNQ_MUST_CHECK int synq_install_folder(const char *path, struct synq_err *err);

/*
 * 1 if ${name} can be the name of an instance and of its files: letters,
 * digits, "-" and "_", at most 64, not beginning with "-"; else 0.
 */
int synq_install_is_name(const char *name);

#endif
