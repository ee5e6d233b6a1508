#include "service/service.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "httpd/httpd.h"
#include "loop/loop.h"
#include "metric/metric.h"
#include "service/inner.h"
#include "service/install.h"
#include "service/version.h"

/*
 * Happy path: flags, configuration, loop, signals, health server, the
 * program's start, the note; the loop runs until SIGTERM; the program drains
 * and says so; stop; exit 0.
 *
 * Failure modes: whatever fails before the loop runs is logged once and ends
 * with 1 (configuration: 3).  A program that does not drain in time is ended
 * all the same: what it had accepted is in the log.  A second SIGTERM
 * asks for what is being done already (somebody's kill and then a supervisor's
 * stop are usual); a second SIGINT is a person at a terminal and ends at once.
 */

#define PULSE_US 500000

/*
 * What jemalloc reads where it is linked (ADR 0009); the name is its own.
 * A loop, librdkafka's few threads and the resolver's: two arenas do, on a
 * machine of any size.  A thread of jemalloc's own returns what was free for
 * ten seconds: a program that has nothing to do allocates nothing either, which
 * is when it would be returned else.
 */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:2,muzzy_decay_ms:0,"
			  "background_thread:true,max_background_threads:1";

struct synq_loop *
synq_service_loop(struct synq_service *service)
{
	return service->loop;
}

const struct synq_config *
synq_service_config(const struct synq_service *service)
{
	return service->configs[service->config_count - 1];
}

struct synq_metrics *
synq_service_metrics(struct synq_service *service)
{
	return service->metrics;
}

const char *
synq_service_dir(const struct synq_service *service)
{
	return service->dir;
}

const char *
synq_service_name(const struct synq_service *service)
{
	return service->name;
}

const struct synq_uuid *
synq_service_boot_id(const struct synq_service *service)
{
	return &service->boot_id;
}

int
synq_service_draining(const struct synq_service *service)
{
	return service->draining;
}

void
synq_service_drained(struct synq_service *service)
{
	synq_loop_stop(service->loop);
}

void
synq_service_fail(struct synq_service *service, const struct synq_err *err)
{
	if (!service->failed)
		synq_log(SYNQ_LOG_ERROR, "service.failed", SYNQ_F_ERR(err),
		    SYNQ_F_END);
	service->failed = 1;
	if (service->loop != NULL)
		synq_loop_stop(service->loop);
}

void
synq_service_listening(struct synq_service *service, uint16_t port)
{
	struct synq_err err;

	service->port = port;
	if (service->started && service_note(service, &err) != 0)
		synq_service_fail(service, &err);
}

uint64_t
synq_service_drain_ms(const struct synq_config *config, int calls_providers)
{
	return (uint64_t)config->service_drain_limit_ms +
	       (calls_providers ? (uint64_t)config->dispatcher_call_limit_ms
				: 0);
}

static uint64_t
drain_ms(const struct synq_service *service)
{
	return synq_service_drain_ms(
	    synq_service_config(service), service->program->calls_providers);
}

static void
on_drain_limit(void *ctx)
{
	struct synq_service *service = ctx;

	synq_log(SYNQ_LOG_WARN, "service.drain_cut",
	    SYNQ_F_INT("limit_ms", (int64_t)drain_ms(service)), SYNQ_F_END);
	synq_loop_stop(service->loop);
}

static void
on_end(void *ctx, int signum)
{
	struct synq_service *service = ctx;

	synq_log(SYNQ_LOG_INFO, "service.ending",
	    SYNQ_F_TEXT("signal", signum == SIGINT ? "INT" : "TERM"),
	    SYNQ_F_INT("again", service->draining), SYNQ_F_END);
	if (service->draining) {
		if (signum == SIGINT)
			synq_loop_stop(service->loop);
		return;
	}
	service->draining = 1;
	synq_timer_start(service->drain_limit, drain_ms(service) * 1000);
	if (service->program->drain != NULL)
		service->program->drain(service->ctx);
	else
		synq_service_drained(service);
}

static void
on_reload(void *ctx, int signum)
{
	struct synq_service *service = ctx;

	(void)signum;
	if (service_reconfigure(service) && service->program->reload != NULL)
		service->program->reload(service->ctx);
}

static void
on_pulse(void *ctx)
{
	struct synq_service *service = ctx;
	uint64_t now_us = synq_clock_mono_us();
	struct synq_series *series =
	    synq_metric_series(service->metrics, SYNQ_M_LOOP_GAP_SECONDS, NULL);

	synq_series_observe(
	    series, now_us > service->pulse_due_us
			? (double)(now_us - service->pulse_due_us) / 1e6
			: 0.0);
	service_watch_stores(service);
	service->pulse_due_us = now_us + PULSE_US;
	synq_timer_start(service->pulse, PULSE_US);
}

/* Loop, metrics, signals, health server: all that the program may use. */
static int
build(struct synq_service *service, struct synq_err *err)
{
	char boot_id[37];
	int rc;

	service->started_at = synq_clock_wall_us();
	service->boot_id = synq_uuid_new(service->started_at);
	synq_uuid_format(&service->boot_id, boot_id);
	snprintf(service->client_id, sizeof(service->client_id), "%s:%s:%s",
	    service->program->name, service->name, boot_id);
	service->metrics = synq_metrics_new();
	synq_series_set(
	    synq_metric_series(service->metrics, SYNQ_M_BUILD_INFO,
		(const char *const[]){ service->program->name, SYNQ_VERSION }),
	    1);

	rc = synq_loop_new(&service->loop, err);
	if (rc != 0)
		return rc;
	service->drain_limit =
	    synq_timer_new(service->loop, on_drain_limit, service);
	service->pulse = synq_timer_new(service->loop, on_pulse, service);
	rc = synq_loop_on_signal(service->loop, SIGTERM, on_end, service, err);
	if (rc == 0)
		rc = synq_loop_on_signal(
		    service->loop, SIGINT, on_end, service, err);
	if (rc == 0)
		rc = synq_loop_on_signal(
		    service->loop, SIGHUP, on_reload, service, err);
	if (rc == 0)
		rc = service_listen(service, err);
	return rc;
}

static int
start(struct synq_service *service, struct synq_err *err)
{
	struct synq_buf run;
	int rc;

	synq_buf_init(&run, 8192);
	synq_buf_printf(&run, "%s/run", service->dir);
	rc = synq_install_folder(run.data, err);
	synq_buf_done(&run);
	if (rc != 0)
		return rc;

	rc = service->program->start(service, &service->ctx, err);
	if (rc != 0)
		return rc;
	service->started = 1;
	return service_note(service, err);
}

static void
run(struct synq_service *service)
{
	struct synq_err err = { 0 };

	if (build(service, &err) != 0 || start(service, &err) != 0) {
		synq_service_fail(service, &err);
		return;
	}
	synq_log(SYNQ_LOG_INFO, "service.started",
	    SYNQ_F_TEXT("name", service->name),
	    SYNQ_F_TEXT("version", SYNQ_VERSION),
	    SYNQ_F_INT("port", service->port),
	    SYNQ_F_INT("health_port", synq_httpd_port(service->health)),
	    SYNQ_F_END);
	service->pulse_due_us = synq_clock_mono_us() + PULSE_US;
	synq_timer_start(service->pulse, PULSE_US);
	/* start may have found its end already. */
	if (!service->failed)
		synq_loop_run(service->loop);
}

static void
tear_down(struct synq_service *service)
{
	size_t i;

	if (service->program->stop != NULL)
		service->program->stop(service->ctx);
	if (service->started)
		service_forget(service);
	synq_httpd_free(&service->health);
	synq_timer_free(&service->drain_limit);
	synq_timer_free(&service->pulse);
	synq_loop_free(&service->loop);
	synq_metrics_free(&service->metrics);
	for (i = 0; i < service->config_count; i++)
		synq_conf_free(&service->configs[i]);
}

int
synq_service_main(const struct synq_program *program, int argc, char **argv)
{
	struct synq_service *service = synq_mem_new(sizeof(*service));
	struct synq_err err = { 0 };
	int code;

	service->program = program;
	synq_log_setup(program->name, SYNQ_LOG_INFO);
	code = service_read_flags(service, argc, argv);
	if (code == -1)
		code = service_configure(service);
	else
		goto out;
	if (code != 0)
		goto out;
	if (service->check_only) {
		puts("the configuration is valid");
		synq_conf_free(&service->configs[0]);
		goto out;
	}

	signal(SIGPIPE, SIG_IGN);
	if (synq_crypto_init(&err) != 0) {
		synq_log(SYNQ_LOG_ERROR, "service.failed", SYNQ_F_ERR(&err),
		    SYNQ_F_END);
		synq_conf_free(&service->configs[0]);
		code = 1;
		goto out;
	}
	run(service);
	tear_down(service);
	code = service->failed;
	synq_log(SYNQ_LOG_INFO, "service.ended", SYNQ_F_INT("code", code),
	    SYNQ_F_END);

out:
	synq_mem_free(service->dir);
	synq_mem_free(service);
	return code;
}
