/*
 * The program's life.
 *
 * Start: secrets, stores, producer; synq.control is read to its end, the
 * models are loaded, and only then clients are listened for.  Drain: no new
 * connection, open answers are finished.  Stop: what was produced is flushed.
 */

#include "intake.h"

#include "api.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog.h"
#include "crypto/secret.h"
#include "figures.h"
#include "httpd/httpd.h"
#include "kafka/producer.h"
#include "kafka/reader.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "proto/signal.h"
#include "proto/topics.h"
#include "redis/redis.h"
#include "service/service.h"
#include "store/catalog.h"
#include "store/keys.h"
#include "store/reply.h"
#include "tenant/auth.h"
#include "wait.h"
#include "withdraw.h"

/* Largest record: a 1 MiB body and what surrounds it. */
#define MAX_RECORD_BYTES (2U << 20)
#define FLUSH_LIMIT_MS 5000
/* How often to look whether the last cancels are acknowledged. */
#define LINGER_US 50000
#define LEAVE_LIMIT_MS 1000

static void
intake_on_refresh(void *ctx)
{
	catalog_load(ctx);
}

static void
intake_on_control(void *ctx, const struct synq_kafka_message *message)
{
	struct intake *intake = ctx;
	struct synq_control control;

	if (synq_control_decode(message->value, &control) != 0)
		return;
	switch (control.kind) {
	case SYNQ_CONTROL_KEY:
		synq_auth_changed(
		    intake->auth, control.object_id, control.revoked);
		break;
	case SYNQ_CONTROL_ORGANIZATION:
		synq_auth_flush(intake->auth);
		break;
	case SYNQ_CONTROL_CATALOG:
		catalog_changed(intake);
		break;
	case SYNQ_CONTROL_LIFE:
		break;
	}
}

static void
intake_on_caught_up(void *ctx)
{
	catalog_load(ctx);
}

/* The stores and who may ask for what. */
static int
intake_connect(struct intake *intake, struct synq_err *err)
{
	const struct synq_config *config = synq_service_config(intake->service);
	struct synq_auth_config auth = {
		.pepper_id = INTAKE_PEPPER_ID,
		.refresh_s = (uint32_t)config->intake_key_refresh_s,
	};
	int rc;

	rc = synq_service_secret(
	    intake->service, "idkey.1", &intake->idkey, err);
	if (rc == 0)
		rc = synq_service_secret(
		    intake->service, "pepper.1", &intake->pepper, err);
	if (rc == 0)
		rc = synq_service_pg(
		    intake->service, "synq_app", &intake->pg, err);
	if (rc == 0)
		rc = synq_service_redis(intake->service, &intake->redis, err);
	if (rc != 0)
		return rc;
	auth.pepper = intake->pepper;
	intake->auth = synq_auth_new(intake->loop, intake->pg, &auth);
	return 0;
}

/* The log, both ways. */
static int
intake_connect_log(struct intake *intake, struct synq_err *err)
{
	static const char *const topics[] = { SYNQ_TOPIC_INTERACTIVE,
		SYNQ_TOPIC_BATCH, SYNQ_TOPIC_CANCELS, NULL };
	const struct synq_reader_request control = {
		.topic = SYNQ_TOPIC_CONTROL,
		.partition = 0,
		.from = SYNQ_READ_FIRST,
		.events = { .on_message = intake_on_control,
		    .on_caught_up = intake_on_caught_up },
		.ctx = intake,
	};
	struct synq_kafka_config kafka;
	int rc;

	synq_service_kafka(intake->service, &kafka);
	kafka.rebuild_forever = 0;
	rc = synq_producer_new(
	    intake->loop, &kafka, topics, &intake->producer, err);
	if (rc == 0)
		rc =
		    synq_reader_new(intake->loop, &kafka, &intake->reader, err);
	if (rc == 0)
		intake->control = synq_reader_open(intake->reader, &control);
	return rc;
}

/* Clients have their answers; what was promised to them goes out first. */
static void
intake_on_drained(void *ctx)
{
	struct intake *intake = ctx;

	if (withdrawals_count(intake->withdrawals) == 0)
		synq_service_drained(intake->service);
	else
		synq_timer_start(intake->linger, LINGER_US);
}

int
intake_start(struct synq_service *service, void **ret_ctx, struct synq_err *err)
{
	struct intake *intake = synq_mem_new(sizeof(*intake));
	int rc;

	*ret_ctx = intake;
	intake->service = service;
	intake->loop = synq_service_loop(service);
	synq_buf_init(&intake->scratch, MAX_RECORD_BYTES);
	synq_buf_init(&intake->reply_to, 256);
	synq_reply_channel(synq_service_boot_id(service), &intake->reply_to);
	intake->figures = figures_new(synq_service_metrics(service));
	intake->refresh =
	    synq_timer_new(intake->loop, intake_on_refresh, intake);
	intake->linger =
	    synq_timer_new(intake->loop, intake_on_drained, intake);
	rc = intake_connect(intake, err);
	if (rc != 0)
		return rc;
	synq_store_redis_age(intake->redis, synq_loop_wall_us(intake->loop));
	intake->waits = waits_new(intake);
	intake->withdrawals = withdrawals_new(intake);
	return intake_connect_log(intake, err);
}

int
intake_listen(struct intake *intake, struct synq_err *err)
{
	const struct synq_config *config = synq_service_config(intake->service);
	const struct synq_httpd_config httpd = {
		.host = config->intake_host,
		.port = (uint16_t)config->intake_port,
		.max_connections = (uint32_t)config->intake_max_connections,
		.max_address_connections =
		    (uint32_t)config->intake_max_address_connections,
		.max_body_bytes = (size_t)config->intake_max_body_kib * 1024,
		.events = api_events(),
		.ctx = intake,
	};
	int rc;

	rc = synq_httpd_new(intake->loop, &httpd, &intake->httpd, err);
	if (rc == 0)
		synq_service_listening(
		    intake->service, synq_httpd_port(intake->httpd));
	return rc;
}

void
intake_drain(void *ctx)
{
	struct intake *intake = ctx;

	if (intake->httpd == NULL)
		synq_service_drained(intake->service);
	else
		synq_httpd_drain(intake->httpd, intake_on_drained, intake);
}

void
intake_stop(void *ctx)
{
	struct intake *intake = ctx;

	if (intake == NULL)
		return;
	synq_httpd_free(&intake->httpd);
	synq_producer_free(&intake->producer, FLUSH_LIMIT_MS);
	synq_reader_close(&intake->control);
	synq_reader_free(&intake->reader, LEAVE_LIMIT_MS);
	synq_timer_free(&intake->refresh);
	synq_timer_free(&intake->linger);
	synq_auth_free(&intake->auth);
	synq_redis_free(&intake->redis);
	synq_pg_free(&intake->pg);
	withdrawals_free(&intake->withdrawals);
	waits_free(&intake->waits);
	synq_catalog_free(&intake->catalog);
	figures_free(&intake->figures);
	synq_secret_free(&intake->idkey);
	synq_secret_free(&intake->pepper);
	synq_buf_done(&intake->scratch);
	synq_buf_done(&intake->reply_to);
	synq_mem_free(intake);
}

void
intake_reload(void *ctx)
{
	catalog_load(ctx);
}

void
intake_health(void *ctx, struct synq_service *service)
{
	struct intake *intake = ctx;

	synq_health_add(service, "models", intake->catalog != NULL,
	    "models are not loaded yet");
	synq_health_add(service, "kafka", log_takes(intake),
	    "requests cannot be written down");
	/*
	 * Without these it goes on: known keys are cached, answers come back
	 * by the rows.  So they are shown, and do not take it out of service.
	 */
	if (!synq_pg_healthy(intake->pg))
		synq_health_degraded(
		    service, "postgresql", "away: only cached keys are known");
	if (!synq_redis_healthy(intake->redis))
		synq_health_degraded(
		    service, "redis", "away: answers come by the recorder");
}

void
intake_measure(void *ctx)
{
	struct intake *intake = ctx;

	figures_show(intake->figures,
	    intake->httpd == NULL ? 0 : synq_httpd_connections(intake->httpd),
	    synq_auth_entries(intake->auth));
}
