#ifndef CTL_UP_SITE_H
#define CTL_UP_SITE_H

/*
 * All that starting needs to know about one installation: where things lie,
 * the configuration, which servers are private, and their ports.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct place;
struct ports;
struct synq_config;

struct site {
	struct place *place;
	struct synq_config *config; /* with the private servers' addresses */
	struct ports *ports;
	const char *const *settings; /* -X of synq up; borrowed */
	int owns_kafka;              /* 1 = a private server */
	int owns_pg;
	int owns_redis;
	uint16_t kafka_port;
	uint16_t controller_port;
	uint16_t pg_port;
	uint16_t redis_port;
};

/*
 * Look for everything that the installation ${dir} with ${config} needs to
 * start, and make what is missing: folders, secrets, ports,
 * run/servers.yaml.  ${settings} are the -X of the command line.  The site,
 * which the caller frees, goes into ${ret}.  Nothing of it may run.  Errors,
 * each a sentence with its remedy: NOT_FOUND, CONFLICT, CONFIG, SYSTEM.
 */
SYNQ_MUST_CHECK int site_new(const char *dir, const struct synq_config *config,
    const char *const *settings, struct site **ret, struct synq_err *err);

/* Free *${site}; sets it to NULL. */
void site_free(struct site **site);

#endif
