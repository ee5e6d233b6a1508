#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/secret.h"
#include "kafka/kafka.h"
#include "metric/metric.h"
#include "pg/pg.h"
#include "redis/redis.h"
#include "service/inner.h"
#include "service/install.h"

/*
 * Clients of the three servers as the configuration says.  Passwords come from
 * the secrets and stay here only for the moment of the call.
 */

#define MAX_QUEUED_RECORDS 100000
#define MAX_QUEUED_BYTES (256U * 1024 * 1024)
#define MAX_MESSAGE_BYTES (2U * 1024 * 1024)
#define MAX_QUEUED_TRANSACTIONS 20000
#define MAX_QUEUED_COMMANDS 100000

int
synq_service_secret(const struct synq_service *service, const char *name,
    struct synq_secret **ret, struct synq_err *err)
{
	return synq_install_secret(service->dir, name, ret, err);
}

void
synq_service_kafka(struct synq_service *service, struct synq_kafka_config *ret)
{
	const struct synq_config *config = synq_service_config(service);

	*ret = (struct synq_kafka_config){
		.brokers = config->kafka_brokers,
		.client_id = service->client_id,
		.linger_ms = (uint32_t)config->kafka_linger_ms,
		.compression = config->kafka_compression,
		.max_queued = MAX_QUEUED_RECORDS,
		.max_queued_bytes = MAX_QUEUED_BYTES,
		.max_message_bytes = MAX_MESSAGE_BYTES,
		.ack_limit_ms = (uint32_t)config->kafka_ack_limit_ms,
		.metrics = service->metrics,
	};
}

int
synq_service_pg(struct synq_service *service, const char *role,
    struct synq_pg **ret, struct synq_err *err)
{
	const struct synq_config *config = synq_service_config(service);
	struct synq_pg_config pg = {
		.connections = (uint32_t)config->pg_connections,
		.max_queued = MAX_QUEUED_TRANSACTIONS,
		.limit_ms = (uint32_t)config->pg_limit_ms,
	};
	struct synq_buf url;
	int rc;

	synq_buf_init(&url, 64 * 1024);
	rc = synq_install_pg_url(service->dir, config, role, &url, err);
	if (rc == 0) {
		pg.url = url.data;
		rc = synq_pg_new(service->loop, &pg, ret, err);
		if (rc == 0)
			service->pg = *ret;
	}
	if (url.data != NULL)
		synq_secret_erase(url.data, url.bytes);
	synq_buf_done(&url);
	return rc;
}

/* Split "host:port" or "[host]:port", whose form conf has checked. */
static void
split_address(const char *address, char host[64], uint16_t *ret_port)
{
	const char *colon = strrchr(address, ':');
	size_t bytes = (size_t)(colon - address);
	uint64_t port = 0;

	if (address[0] == '[' && bytes > 2) {
		address++;
		bytes -= 2;
	}
	snprintf(host, 64, "%.*s", (int)bytes, address);
	if (synq_slice_u64(synq_slice_text(colon + 1), 65535, &port) == 0)
		*ret_port = (uint16_t)port;
}

int
synq_service_redis(
    struct synq_service *service, struct synq_redis **ret, struct synq_err *err)
{
	const struct synq_config *config = synq_service_config(service);
	struct synq_redis_config redis = {
		.limit_ms = (uint32_t)config->redis_limit_ms,
		.max_queued = MAX_QUEUED_COMMANDS,
	};
	struct synq_secret *secret = NULL;
	char *password = NULL;
	char host[64];
	int rc;

	if (strchr(config->redis_address, ':') == NULL)
		return synq_fail(err, SYNQ_E_CONFIG,
		    "redis.address is not set and there is no private "
		    "server: run synq up, or set redis.address in "
		    "%s/synq.yaml",
		    service->dir);
	split_address(config->redis_address, host, &redis.port);
	redis.host = host;

	/* A Redis of somebody else may have no password. */
	rc = synq_install_secret(service->dir, "redis.password", &secret, err);
	if (rc != 0 && rc != -SYNQ_E_NOT_FOUND)
		return rc;
	if (rc == 0) {
		struct synq_slice view = synq_secret_view(secret);

		password = synq_mem_copy(view.data, view.bytes);
		redis.password = password;
	}
	rc = synq_redis_new(service->loop, &redis, ret, err);
	if (rc == 0)
		service->redis = *ret;
	if (password != NULL)
		synq_secret_erase(password, strlen(password));
	synq_mem_free(password);
	synq_secret_free(&secret);
	return rc;
}

/*
 * The pulse runs only between the program's start and its stop, so what it
 * made is still there.
 */
void
service_watch_stores(struct synq_service *service)
{
	if (service->pg != NULL)
		synq_series_set(
		    synq_metric_series(service->metrics, SYNQ_M_PG_UP, NULL),
		    synq_pg_healthy(service->pg));
	if (service->redis != NULL)
		synq_series_set(
		    synq_metric_series(service->metrics, SYNQ_M_REDIS_UP, NULL),
		    synq_redis_healthy(service->redis));
}
