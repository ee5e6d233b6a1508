#ifndef SYNQ_SERVICE_INNER_H
#define SYNQ_SERVICE_INNER_H

/*
 * Inside of service: the shell of one program.
 */

#include "service/service.h"

struct synq_httpd;
struct synq_pg;
struct synq_redis;
struct synq_timer;

#define SERVICE_MAX_CHECKS 32
#define SERVICE_MAX_SETTINGS 64
/* Configurations that were in force; programs borrow texts of each. */
#define SERVICE_MAX_RELOADS 256

/* One thing that the program depends on, as it is right now. */
struct service_check {
	const char *name; /* a literal */
	int good;
	char detail[160];
};

struct synq_service {
	const struct synq_program *program;
	char *dir;                                      /* owned, absolute */
	const char *name;                               /* of the instance */
	const char *settings[SERVICE_MAX_SETTINGS + 1]; /* -X */
	size_t setting_count;
	int check_only; /* --check-config */

	struct synq_config *configs[SERVICE_MAX_RELOADS]; /* owned */
	size_t config_count; /* the last is in force */
	struct synq_loop *loop;
	struct synq_metrics *metrics;
	struct synq_httpd *health;
	struct synq_timer *drain_limit;
	struct synq_timer *pulse; /* measures how late timers run */
	uint64_t pulse_due_us;
	struct synq_pg *pg;       /* the program's, borrowed; or NULL */
	struct synq_redis *redis; /* the same */
	struct synq_uuid boot_id;
	int64_t started_at; /* wall us */
	char client_id[256];

	void *ctx;   /* the program's object */
	int started; /* start succeeded */
	int draining;
	int failed;
	uint16_t port; /* for clients; 0 = none */
	struct service_check checks[SERVICE_MAX_CHECKS];
	size_t check_count;
};

/*
 * Read ${argv} into ${service}.  Returns -1 to go on, else the exit code.
 */
int service_read_flags(struct synq_service *service, int argc, char **argv);

/* Start the health server of ${service}.  Errors: CONFLICT, SYSTEM. */
SYNQ_MUST_CHECK int service_listen(
    struct synq_service *service, struct synq_err *err);

/* Write run/NAME.json of ${service}.  Error: SYSTEM. */
SYNQ_MUST_CHECK int service_note(
    struct synq_service *service, struct synq_err *err);

/* Remove run/NAME.json if it is that of ${service}. */
void service_forget(struct synq_service *service);

/* Show in the metrics of ${service} which of its stores answer. */
void service_watch_stores(struct synq_service *service);

/* Read the configuration of ${service} for the first time; the exit code. */
int service_configure(struct synq_service *service);

/* Read it again; 1 if it is in force now, 0 if the old one stays. */
int service_reconfigure(struct synq_service *service);

#endif
