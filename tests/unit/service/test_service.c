#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "metric/metric.h"
#include "service/service.h"
#include "json/scan.h"

/*
 * The shell of a program, seen from outside: a child process runs a small
 * program in it.
 */

struct fixture {
	char dir[64];
	pid_t pid;
	char note[4096];
	char answer[65536];
};

/* What the small program does; set before the fork. */
static int drains_at_once = 1;
static int starts = 1;
static int healthy = 1;

static int
toy_start(struct synq_service *service, void **ret_ctx, struct synq_err *err)
{
	if (!starts)
		return synq_fail(err, SYNQ_E_CONFIG, "the toy is broken");
	*ret_ctx = service;
	synq_service_listening(service, 4711);
	return 0;
}

static void
toy_drain(void *ctx)
{
	if (drains_at_once)
		synq_service_drained(ctx);
}

static void
toy_stop(void *ctx)
{
	(void)ctx;
}

static void
toy_reload(void *ctx)
{
	const struct synq_config *config = synq_service_config(ctx);

	healthy = config->job_max_attempts == 7 && config->pg_connections == 4;
}

static void
toy_health(void *ctx, struct synq_service *service)
{
	(void)ctx;
	synq_health_add(service, "toy", healthy, healthy ? "" : "it is ill");
}

static void
toy_measure(void *ctx)
{
	synq_series_add(synq_metric_series(synq_service_metrics(ctx),
			    SYNQ_M_RECORDER_FENCED_TOTAL, NULL),
	    1);
}

static struct synq_program toy = {
	.name = "synq-toy",
	.summary = "play",
	.start = toy_start,
	.drain = toy_drain,
	.stop = toy_stop,
	.reload = toy_reload,
	.health = toy_health,
	.measure = toy_measure,
};

static int
set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/service-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	drains_at_once = 1;
	toy.calls_providers = 0;
	starts = 1;
	healthy = 1;
	*state = fixture;
	return 0;
}

static void
remove_in(const struct fixture *fixture, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
	remove(path);
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->pid > 0) {
		kill(fixture->pid, SIGKILL);
		waitpid(fixture->pid, NULL, 0);
	}
	remove_in(fixture, "run/toy-1.json");
	remove_in(fixture, "run");
	remove_in(fixture, "synq.yaml");
	remove_in(fixture, "log");
	remove_in(fixture, "");
	test_free(fixture);
	return 0;
}

/* Run the toy with ${more} (NULL-terminated) in a child. */
static void
launch(struct fixture *fixture, char **more)
{
	char *argv[16] = { strdup("synq-toy"), strdup("--dir"), fixture->dir,
		strdup("--name"), strdup("toy-1") };
	char log[80];
	int argc = 5;

	while (more != NULL && *more != NULL)
		argv[argc++] = *more++;
	snprintf(log, sizeof(log), "%s/log", fixture->dir);
	fixture->pid = fork();
	assert_true(fixture->pid >= 0);
	if (fixture->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		_exit(synq_service_main(&toy, argc, argv));
	}
	free(argv[0]);
	free(argv[1]);
	free(argv[3]);
	free(argv[4]);
}

/* The exit code of the child. */
static int
ended(struct fixture *fixture)
{
	int status;

	assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
	fixture->pid = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const char *
read_in(struct fixture *fixture, const char *name, char *ret, size_t room)
{
	char path[128];
	FILE *file;
	size_t bytes;

	snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
	file = fopen(path, "r");
	if (file == NULL)
		return NULL;
	bytes = fread(ret, 1, room - 1, file);
	ret[bytes] = '\0';
	fclose(file);
	return ret;
}

/* Wait for the note; the number at ${member} in it. */
static int64_t
noted(struct fixture *fixture, const char *member)
{
	struct synq_json json;
	int64_t number = 0;
	int tries;

	for (tries = 0; tries < 3000; tries++) {
		if (read_in(fixture, "run/toy-1.json", fixture->note,
			sizeof(fixture->note)) != NULL)
			break;
		usleep(10000);
	}
	assert_int_equal(
	    synq_json_parse(synq_slice_text(fixture->note), &json, NULL), 0);
	assert_int_equal(
	    synq_json_int(synq_json_member(json, member), &number), 0);
	return number;
}

/* GET ${path} at the health port into fixture->answer; the status. */
static int
get(struct fixture *fixture, const char *path)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char request[256];
	size_t bytes = 0;
	ssize_t got;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_port = htons((uint16_t)noted(fixture, "health_port"));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", path);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	while ((got = read(fd, fixture->answer + bytes,
		    sizeof(fixture->answer) - 1 - bytes)) > 0)
		bytes += (size_t)got;
	fixture->answer[bytes] = '\0';
	close(fd);
	return (int)strtol(fixture->answer + strlen("HTTP/1.1 "), NULL, 10);
}

static void
test_service_notes_itself_and_answers_probes(void **state)
{
	struct fixture *fixture = *state;

	launch(fixture, NULL);

	assert_int_equal(noted(fixture, "pid"), fixture->pid);
	assert_int_equal(noted(fixture, "port"), 4711);
	assert_in_range(noted(fixture, "health_port"), 20000, 32000);
	assert_non_null(strstr(fixture->note, "\"program\":\"synq-toy\""));
	assert_int_equal(get(fixture, "/livez"), 200);
	assert_int_equal(get(fixture, "/readyz"), 200);
	assert_int_equal(get(fixture, "/readyz?verbose"), 200);
	assert_non_null(strstr(fixture->answer, "[+]toy ok\n"));
	assert_int_equal(get(fixture, "/metrics"), 200);
	assert_non_null(strstr(fixture->answer, "synq_build_info{"));
	assert_int_equal(get(fixture, "/"), 404);
}

static void
test_service_lets_the_program_measure_before_it_shows(void **state)
{
	struct fixture *fixture = *state;

	launch(fixture, NULL);
	assert_int_equal(get(fixture, "/livez"), 200);
	assert_int_equal(get(fixture, "/metrics"), 200);
	assert_non_null(
	    strstr(fixture->answer, "\nsynq_recorder_fenced_total 1\n"));
	assert_int_equal(get(fixture, "/metrics"), 200);
	assert_non_null(
	    strstr(fixture->answer, "\nsynq_recorder_fenced_total 2\n"));
}

static void
test_service_ends_with_0_and_removes_its_note(void **state)
{
	struct fixture *fixture = *state;

	launch(fixture, NULL);
	noted(fixture, "pid");
	kill(fixture->pid, SIGTERM);

	assert_int_equal(ended(fixture), 0);
	assert_null(read_in(
	    fixture, "run/toy-1.json", fixture->note, sizeof(fixture->note)));
}

static void
test_service_is_not_ready_while_it_drains(void **state)
{
	struct fixture *fixture = *state;
	int tries;

	drains_at_once = 0;
	launch(fixture, NULL);
	noted(fixture, "pid");
	kill(fixture->pid, SIGTERM);
	for (tries = 0; tries < 500 && get(fixture, "/readyz") == 200; tries++)
		usleep(1000);

	assert_int_equal(get(fixture, "/readyz"), 503);
	assert_non_null(strstr(fixture->answer, "[-]drain failed"));
	assert_int_equal(get(fixture, "/livez"), 200);
	/* A supervisor may ask for it too: what is under way still ends. */
	kill(fixture->pid, SIGTERM);
	usleep(200000);
	assert_int_equal(get(fixture, "/livez"), 200);
	/* Somebody at a terminal does not want to wait. */
	kill(fixture->pid, SIGINT);
	assert_int_equal(ended(fixture), 0);
}

static void
test_service_drain_has_a_limit(void **state)
{
	struct fixture *fixture = *state;
	char flag[] = "-Xservice.drain_limit_ms=100";
	char *more[] = { flag, NULL };

	drains_at_once = 0;
	launch(fixture, more);
	noted(fixture, "pid");
	kill(fixture->pid, SIGTERM);

	assert_int_equal(ended(fixture), 0);
	assert_non_null(strstr(
	    read_in(fixture, "log", fixture->answer, sizeof(fixture->answer)),
	    "service.drain_cut"));
}

/* A call that is cut is paid for and made again. */
static void
test_service_that_calls_providers_drains_for_as_long_as_a_call(void **state)
{
	struct fixture *fixture = *state;
	char flag[] = "-Xservice.drain_limit_ms=100";
	char call[] = "-Xdispatcher.call_limit_ms=1500";
	char *more[] = { flag, call, NULL };
	uint64_t began_us;

	drains_at_once = 0;
	toy.calls_providers = 1;
	launch(fixture, more);
	noted(fixture, "pid");
	began_us = synq_clock_mono_us();
	kill(fixture->pid, SIGTERM);

	assert_int_equal(ended(fixture), 0);
	assert_true(synq_clock_mono_us() - began_us >= 1500000);
}

static void
test_service_that_is_ill_says_why(void **state)
{
	struct fixture *fixture = *state;

	healthy = 0;
	launch(fixture, NULL);

	assert_int_equal(get(fixture, "/readyz"), 503);
	assert_non_null(
	    strstr(fixture->answer, "[-]toy failed: it is ill\nnot ready\n"));
}

static void
test_service_that_cannot_start_fails(void **state)
{
	struct fixture *fixture = *state;

	starts = 0;
	launch(fixture, NULL);

	assert_int_equal(ended(fixture), 1);
	assert_non_null(strstr(
	    read_in(fixture, "log", fixture->answer, sizeof(fixture->answer)),
	    "the toy is broken"));
}

static void
test_service_refuses_bad_flags_and_configuration(void **state)
{
	struct fixture *fixture = *state;
	char unknown[] = "--what";
	char setting[] = "-Xlog.level=loud";
	char check[] = "--check-config";
	char *more[] = { unknown, NULL };

	launch(fixture, more);
	assert_int_equal(ended(fixture), 2);
	more[0] = setting;
	launch(fixture, more);
	assert_int_equal(ended(fixture), 3);
	more[0] = check;
	launch(fixture, more);
	assert_int_equal(ended(fixture), 0);
}

static void
write_yaml(const struct fixture *fixture, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/synq.yaml", fixture->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void
wait_for_log(struct fixture *fixture, const char *text)
{
	int tries;

	for (tries = 0; tries < 3000; tries++) {
		const char *log = read_in(
		    fixture, "log", fixture->answer, sizeof(fixture->answer));

		if (log != NULL && strstr(log, text) != NULL)
			return;
		usleep(10000);
	}
	fail_msg("\"%s\" is not in \"%s\"", text, fixture->answer);
}

/* Live options change, others keep their value, a bad file changes nothing. */
static void
test_service_reloads_on_sighup(void **state)
{
	struct fixture *fixture = *state;

	healthy = 0;
	launch(fixture, NULL);
	noted(fixture, "pid");
	write_yaml(fixture, "job:\n  max_attempts: none\n");
	kill(fixture->pid, SIGHUP);
	wait_for_log(fixture, "synq.yaml:2:17: job.max_attempts");
	assert_int_equal(get(fixture, "/readyz"), 503);

	write_yaml(fixture, "job:\n  max_attempts: 7\npg:\n  connections: 9\n");
	kill(fixture->pid, SIGHUP);
	wait_for_log(fixture, "config.reloaded");
	wait_for_log(fixture, "config.needs_restart");

	assert_int_equal(get(fixture, "/readyz"), 200);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_service_notes_itself_and_answers_probes),
		CASE(test_service_lets_the_program_measure_before_it_shows),
		CASE(test_service_ends_with_0_and_removes_its_note),
		CASE(test_service_is_not_ready_while_it_drains),
		CASE(test_service_drain_has_a_limit),
		CASE(
		    test_service_that_calls_providers_drains_for_as_long_as_a_call),
		CASE(test_service_that_is_ill_says_why),
		CASE(test_service_that_cannot_start_fails),
		CASE(test_service_refuses_bad_flags_and_configuration),
		CASE(test_service_reloads_on_sighup),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
