#include <stdio.h>
#include <string.h>

#include "base/rand.h"
#include "httpd/httpd.h"
#include "metric/metric.h"
#include "service/inner.h"

/*
 * /livez says that the loop turns, /readyz that the program can do its work,
 * /metrics shows numbers.  They are served on a loopback port of their own, so
 * that a program full of clients still answers its supervisor.
 */

/*
 * Health ports are taken from the upper half of 20000 to 32000; the lower is
 * for the ports that synq up chooses and keeps.  Below the ephemeral range,
 * so that no outgoing connection sits on them.
 */
#define FIRST_PORT 26000
#define PORT_COUNT 6000
#define MAX_TRIES 200
#define MAX_CONNECTIONS 64

static void
add_row(struct synq_service *service, const char *check, int good,
    const char *detail)
{
	struct service_check *row;

	if (service->check_count == SERVICE_MAX_CHECKS)
		return;
	row = &service->checks[service->check_count++];
	row->name = check;
	row->good = good;
	snprintf(row->detail, sizeof(row->detail), "%s", detail);
}

void
synq_health_add(struct synq_service *service, const char *check, int good,
    const char *detail)
{
	add_row(service, check, good, good ? "" : detail);
}

void
synq_health_degraded(
    struct synq_service *service, const char *check, const char *detail)
{
	add_row(service, check, 1, detail);
}

/* Ask the program; returns 1 if all is well. */
static int
examine(struct synq_service *service)
{
	size_t i;

	service->check_count = 0;
	synq_health_add(
	    service, "start", service->started, "it has not finished starting");
	synq_health_add(service, "drain", !service->draining, "it is ending");
	if (service->started && service->program->health != NULL)
		service->program->health(service->ctx, service);
	for (i = 0; i < service->check_count; i++) {
		if (!service->checks[i].good)
			return 0;
	}
	return 1;
}

static int
answer_ready(
    struct synq_service *service, struct synq_slice query, struct synq_buf *out)
{
	int verbose = synq_slice_starts(query, "verbose");
	int ready = examine(service);
	size_t i;

	for (i = 0; i < service->check_count; i++) {
		const struct service_check *row = &service->checks[i];

		if (row->good && !verbose)
			continue;
		synq_buf_printf(out, "[%c]%s %s%s%s\n", row->good ? '+' : '-',
		    row->name, row->good ? "ok" : "failed",
		    row->detail[0] == '\0' ? "" : ": ", row->detail);
	}
	synq_buf_text(out, ready ? "ok\n" : "not ready\n");
	return ready ? 200 : 503;
}

int
synq_service_probe(struct synq_service *service, struct synq_slice path,
    struct synq_slice query, const char **ret_type, struct synq_buf *out)
{
	*ret_type = "text/plain; charset=utf-8";
	if (synq_slice_is(path, "/livez")) {
		synq_buf_text(out, "ok\n");
		return 200;
	}
	if (synq_slice_is(path, "/readyz"))
		return answer_ready(service, query, out);
	if (synq_slice_is(path, "/metrics")) {
		*ret_type = "text/plain; version=0.0.4; charset=utf-8";
		if (service->started && service->program->measure != NULL)
			service->program->measure(service->ctx);
		synq_metrics_write(service->metrics, out);
		return 200;
	}
	return 0;
}

static enum synq_httpd_verdict
on_head(void *ctx, struct synq_exchange *exchange)
{
	struct synq_service *service = ctx;
	struct synq_slice method = synq_exchange_method(exchange);
	const char *type = "text/plain; charset=utf-8";
	struct synq_buf body;
	int status = 405;

	synq_buf_init(&body, 16 * 1024 * 1024);
	if (synq_slice_is(method, "GET") || synq_slice_is(method, "HEAD"))
		status =
		    synq_service_probe(service, synq_exchange_path(exchange),
			synq_exchange_query(exchange), &type, &body);
	else
		synq_exchange_add_header(
		    exchange, "allow", synq_slice_text("GET, HEAD"));
	if (status == 0) {
		status = 404;
		synq_buf_text(&body, "here are /livez, /readyz, /metrics\n");
	}
	synq_exchange_answer(exchange, status, type, synq_buf_view(&body));
	synq_buf_done(&body);
	return SYNQ_HTTPD_ANSWERED;
}

static void
on_body(void *ctx, struct synq_exchange *exchange)
{
	/* Every request is answered at its head. */
	(void)ctx;
	(void)exchange;
}

static void
on_gone(void *ctx, struct synq_exchange *exchange, int answered)
{
	(void)ctx;
	(void)exchange;
	(void)answered;
}

int
service_listen(struct synq_service *service, struct synq_err *err)
{
	struct synq_httpd_config config = {
		.host = "127.0.0.1",
		.max_connections = MAX_CONNECTIONS,
		.max_body_bytes = 1024,
		.body_limit_ms = 5000,
		.events = { .on_head = on_head,
		    .on_body = on_body,
		    .on_gone = on_gone },
		.ctx = service,
	};
	int tries;
	int rc = -SYNQ_E_CONFLICT;

	for (tries = 0; tries < MAX_TRIES && rc == -SYNQ_E_CONFLICT; tries++) {
		uint16_t random;

		synq_rand_system(&random, sizeof(random));
		config.port = (uint16_t)(FIRST_PORT + random % PORT_COUNT);
		rc = synq_httpd_new(
		    service->loop, &config, &service->health, err);
	}
	return rc == 0 ? 0 : synq_wrap(err, rc, "health port");
}
