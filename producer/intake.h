#ifndef SYNQ_INTAKE_INTAKE_H
#define SYNQ_INTAKE_INTAKE_H

/*
 * synq-intake: HTTP in, Kafka out, answers back.
 *
 * How a request travels: api.c (head, credential, body) → a handler of
 * routes.def (openai.c, jobs.c, models.c) → check.c (is it valid?) → accept.c
 * (claim, produce, acknowledged) → 202, or wait.c until the answer is there.
 */

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "job/id.h"
#include "log.h"

struct figures;
struct synq_auth;
struct synq_catalog;
struct synq_httpd;
struct synq_loop;
struct synq_pg;
struct synq_producer;
struct synq_reader;
struct synq_reader_stream;
struct synq_redis;
struct synq_secret;
struct synq_service;
struct synq_timer;
struct waits;
struct withdrawals;

/* The version of the key that tags job ids: secrets/idkey.1. */
#define INTAKE_IDKEY_VERSION 1
/* The version of the key that hashes API keys: secrets/pepper.1. */
#define INTAKE_PEPPER_ID 1

struct intake {
	struct synq_service *service; /* borrowed */
	struct synq_loop *loop;       /* borrowed */
	struct synq_httpd *httpd;     /* NULL until models are known */
	struct synq_producer *producer;
	struct synq_reader *reader;
	struct synq_reader_stream *control;
	struct synq_pg *pg;
	struct synq_redis *redis;
	struct synq_auth *auth;
	struct synq_secret *idkey;
	struct synq_secret *pepper;
	struct synq_catalog *catalog; /* models, without credentials */
	struct synq_timer *refresh;   /* of the catalog */
	struct synq_timer *linger;    /* the last cancels go out */
	struct figures *figures;
	struct log_watch log;
	struct waits *waits;
	struct withdrawals *withdrawals;
	struct synq_buf scratch;  /* one encoded record */
	struct synq_buf reply_to; /* the channel of this life */
	struct synq_homes homes;  /* partitions of organizations */
	size_t calls;             /* between head and answer */
	int catalog_loading;
	int catalog_again; /* it changed while it was loaded */
};

/* See struct synq_program. */
int intake_start(
    struct synq_service *service, void **ret_ctx, struct synq_err *err);
/* Accept no connection any more; drained when every answer is sent. */
void intake_drain(void *ctx);
/* Free everything. */
void intake_stop(void *ctx);
/* Take live options over. */
void intake_reload(void *ctx);
/* Say what works and what does not. */
void intake_health(void *ctx, struct synq_service *service);
/* Bring the metrics up to date that are not kept as things happen. */
void intake_measure(void *ctx);

/* Listen for clients, once models are known. */
int intake_listen(struct intake *intake, struct synq_err *err);

#endif
