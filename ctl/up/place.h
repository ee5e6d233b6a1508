#ifndef CTL_UP_PLACE_H
#define CTL_UP_PLACE_H

/*
 * Where an installation and the tools that it needs lie, and as whom its
 * servers run.
 *
 * PostgreSQL refuses to run as root, and the others should not: started by
 * root, servers run as the account postgres, or nobody where there is none.
 * If that account cannot reach the installation, the servers' data lies under
 * /var/lib/synq; run/data names the place.
 */

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct place {
	char *dir;      /* the installation */
	char *data;     /* the servers' data */
	char *programs; /* the folder of this executable */
	char *jars;     /* NULL until tools_kafka */
	char *java;
	char *pg_bin; /* NULL until tools_pg */
	char *redis;  /* NULL until tools_redis */
	int drops;    /* 1 = servers run as the account below */
	uid_t uid;
	gid_t gid;
	char account[64];
};

/*
 * Find ${dir} and the rest that is always needed, making folders that are
 * missing, into ${ret}; the caller frees it.  Error: SYSTEM.
 */
SYNQ_MUST_CHECK int place_new(
    const char *dir, struct place **ret, struct synq_err *err);

/* Free *${place}; sets it to NULL. */
void place_free(struct place **place);

/*
 * Is there room on the disk of ${path}, which need not be there?  Error:
 * SYSTEM.
 */
SYNQ_MUST_CHECK int place_check_room(const char *path, struct synq_err *err);

/* "${folder}/${name}"; the caller frees it. */
char *place_path(const char *folder, const char *name);

/*
 * Make the folder ${name} in ${place}->data, private to the servers' account;
 * its path, which the caller frees, into ${ret}.  Error: SYSTEM.
 */
SYNQ_MUST_CHECK int place_data_folder(const struct place *place,
    const char *name, char **ret, struct synq_err *err);

/* Make the folder ${path} with ${mode} if it is not there.  Error: SYSTEM. */
SYNQ_MUST_CHECK int place_make_folder(
    const char *path, mode_t mode, struct synq_err *err);

/* 1 if the servers' account may use ${path} in the way of ${mode} (access). */
int place_account_can(const struct place *place, const char *path, int mode);

/*
 * Replace the file ${path} by ${content}, private to the servers' account.
 * Error: SYSTEM.
 */
SYNQ_MUST_CHECK int place_write(const struct place *place, const char *path,
    struct synq_slice content, struct synq_err *err);

/*
 * Become the servers' account of ${place} for good, if it has one.  0, or -1
 * and errno.  For a child that will execute a server.
 */
SYNQ_MUST_CHECK int place_drop(const struct place *place);

#endif
