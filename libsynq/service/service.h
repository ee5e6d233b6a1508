#ifndef SYNQ_SERVICE_SERVICE_H
#define SYNQ_SERVICE_SERVICE_H

/*
 * A program's shell: flags, configuration, log, loop, signals, metrics, health
 * on a loopback port, the note in <dir>/run/NAME.json, drain and the end.
 *
 * Life: synq_service_main reads flags and configuration, starts the health
 * server, calls start, and writes the note; /readyz at the note's health port
 * says when the program is ready, and what it waits for until then.  SIGTERM
 * or SIGINT: readiness fails, drain runs; the program calls
 * synq_service_drained when its work is done (or the drain limit ends it);
 * stop frees, the process exits 0.  SIGHUP: the configuration is read again;
 * a bad one is reported and the old one kept; reload runs otherwise.
 *
 * Exit codes: 0 ended as asked, 1 failed, 2 usage, 3 configuration.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "conf/conf.h"

struct synq_kafka_config;
struct synq_loop;
struct synq_metrics;
struct synq_pg;
struct synq_redis;
struct synq_secret;
struct synq_service;

struct synq_program {
	const char *name;    /* "synq-recorder" */
	const char *summary; /* one line for --help */
	int calls_providers; /* drain waits for calls to them */
	/* Build the program; its object into ${ret_ctx}. */
	int (*start)(
	    struct synq_service *service, void **ret_ctx, struct synq_err *err);
	/* Begin to end: take no new work. */
	void (*drain)(void *ctx);
	/* Free everything.  NULL ctx if start failed early. */
	void (*stop)(void *ctx);
	/* Live options changed.  May be NULL. */
	void (*reload)(void *ctx);
	/*
	 * Is it ready?  Call synq_health_add for each thing it depends on.
	 */
	void (*health)(void *ctx, struct synq_service *service);
	/*
	 * The metrics are about to be shown: bring those up to date that are
	 * not kept as things happen.  Not before start succeeded.  May be NULL.
	 */
	void (*measure)(void *ctx);
};

/*
 * How long a program may take from SIGTERM to its end, in ms: the drain limit
 * of ${config} and, if it ${calls_providers}, as long as a call may take.  One
 * that is cut is paid for and made again.
 */
uint64_t synq_service_drain_ms(
    const struct synq_config *config, int calls_providers);

/*
 * Run ${program} with ${argc} and ${argv}; returns the exit code.  Flags:
 * --dir DIR, --name NAME (default: the program's name without "synq-"),
 * -X section.name=value, --check-config, --help, --version.
 */
int synq_service_main(
    const struct synq_program *program, int argc, char **argv);

/* The loop of ${service}. */
struct synq_loop *synq_service_loop(struct synq_service *service);

/* The configuration now in force; re-read it after reload. */
const struct synq_config *synq_service_config(
    const struct synq_service *service);

/* The metrics of ${service}. */
struct synq_metrics *synq_service_metrics(struct synq_service *service);

/* The installation's folder. */
const char *synq_service_dir(const struct synq_service *service);

/* The instance name, unique in the installation: "dispatcher-2". */
const char *synq_service_name(const struct synq_service *service);

/* The uuid of this life of the process. */
const struct synq_uuid *synq_service_boot_id(
    const struct synq_service *service);

/*
 * The secret ${name} ("idkey.1") of the installation, into ${ret}; the caller
 * frees it.  Errors as synq_secret_load; the text says what to do.
 */
SYNQ_MUST_CHECK int synq_service_secret(const struct synq_service *service,
    const char *name, struct synq_secret **ret, struct synq_err *err);

/* Fill ${ret} with what all Kafka clients of ${service} share. */
void synq_service_kafka(
    struct synq_service *service, struct synq_kafka_config *ret);

/*
 * A pool of ${service} that logs in as ${role} ("synq_app"), into ${ret}.
 * Errors: CONFIG.
 */
SYNQ_MUST_CHECK int synq_service_pg(struct synq_service *service,
    const char *role, struct synq_pg **ret, struct synq_err *err);

/* A Redis client of ${service}, into ${ret}.  Errors: CONFIG. */
SYNQ_MUST_CHECK int synq_service_redis(struct synq_service *service,
    struct synq_redis **ret, struct synq_err *err);

/* In health only: ${check} (a literal) is ${good}, or else ${detail} says why.
 */
void synq_health_add(struct synq_service *service, const char *check, int good,
    const char *detail);

/*
 * In health only: the program does without ${check} (a literal) for now, as
 * ${detail} says; it stays ready.
 */
void synq_health_degraded(
    struct synq_service *service, const char *check, const char *detail);

/*
 * The program listens for clients on ${port}: noted in run/NAME.json.
 */
void synq_service_listening(struct synq_service *service, uint16_t port);

/* 1 once draining has begun, else 0. */
int synq_service_draining(const struct synq_service *service);

/* The work is done: stop and exit. */
void synq_service_drained(struct synq_service *service);

/* End the process with exit code 1, saying why: ${err}. */
void synq_service_fail(
    struct synq_service *service, const struct synq_err *err);

/*
 * The operational paths /livez, /readyz and /metrics for a program that
 * serves them on its own port too: appends the body to ${out} and returns the
 * HTTP status, ${ret_type} the content type; 0 if ${path} is none of them.
 */
int synq_service_probe(struct synq_service *service, struct synq_slice path,
    struct synq_slice query, const char **ret_type, struct synq_buf *out);

#endif
