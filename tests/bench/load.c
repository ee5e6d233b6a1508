/*
 * HTTP load on one core: options -> connect -> warm up -> measure -> let what
 * is out come back -> one line of JSON.
 *
 * Closed loop (no --rate): each connection asks again as soon as it has its
 * answer.  Open loop: request k is due at start + k / rate whatever the server
 * does, waits for a free connection if it must, and its latency counts from
 * when it was due.
 *
 * Failure modes: wrong options 2; the server cannot be reached at the start 1.
 * Later a connection that breaks is counted, its request is not repeated, and
 * it is connected again.
 */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/load.h"
#include "tests/lib/texts.h"

enum option_code {
	OPT_PORT = 256,
	OPT_CONNECTIONS,
	OPT_RATE,
	OPT_SECONDS,
	OPT_WARMUP,
	OPT_COUNT,
	OPT_KEYS,
	OPT_MODEL,
	OPT_KIND,
	OPT_BYTES,
	OPT_BODIES,
	OPT_LOG,
	OPT_PID,
	OPT_DRAIN,
	OPT_SEED
};

static const struct option options[] = {
	{ "port", required_argument, NULL, OPT_PORT },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "warmup", required_argument, NULL, OPT_WARMUP },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "keys", required_argument, NULL, OPT_KEYS },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "kind", required_argument, NULL, OPT_KIND },
	{ "bytes", required_argument, NULL, OPT_BYTES },
	{ "bodies", required_argument, NULL, OPT_BODIES },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "drain", required_argument, NULL, OPT_DRAIN },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
    "usage: load --port PORT --keys FILE [option]...\n"
    "\n"
    "  --port PORT        on 127.0.0.1; repeatable, connections take turns\n"
    "  --connections N    default 64\n"
    "  --rate R           open loop with R requests a second\n"
    "  --seconds S        how long is measured, default 5\n"
    "  --warmup S         before that, default 1\n"
    "  --count N          N requests in all instead of a time; no warm-up\n"
    "  --keys FILE        API keys, one a line, taken in turn\n"
    "  --model NAME       default bench\n"
    "  --kind KIND        job (POST /v1/jobs, the default), chat, or result:\n"
    "                     a job, then its result by long poll, as one\n"
    "  --bytes N          of each body, default 2048\n"
    "  --bodies N         how many different ones, default 4096\n"
    "  --log FILE         a line for each answer: wall time in us, status, "
    "job\n"
    "  --pid PID          whose CPU time over the window is told; repeatable\n"
    "  --drain S          how long what is out may take at the end, default "
    "30\n"
    "  --seed N           of the words, default 1\n";

/* CPU time of all threads of the process ${pid}, those that ended too. */
static double
cpu_seconds(pid_t pid)
{
	struct timespec at = { 0 };
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &at) != 0)
		return 0;
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void
read_cpu(struct load *load, double *ret)
{
	size_t i;

	for (i = 0; i < load->pid_count; i++)
		ret[i] = cpu_seconds(load->pids[i]);
}

/* ---- the phases ---------------------------------------------------------- */

static void
enter(struct load *load, enum load_phase phase, uint64_t now_ns)
{
	load->phase = phase;
	if (phase == LOAD_MEASURING) {
		load->window_from_ns = now_ns;
		read_cpu(load, load->cpu_from);
	}
	if (phase == LOAD_DRAINING) {
		load->window_until_ns = now_ns;
		read_cpu(load, load->cpu_until);
	}
}

static int
all_back(const struct load *load)
{
	return load->out == 0;
}

/* Moves on when it is time; 0 when all is over. */
static int
advance(struct load *load, uint64_t now_ns)
{
	double since_s = (double)(now_ns - load->start_ns) / 1e9;

	if (load->phase == LOAD_WARMING && since_s >= load->warmup_s)
		enter(load, LOAD_MEASURING, now_ns);
	if (load->phase == LOAD_MEASURING) {
		int over = load->count > 0
		               ? load->answers >= load->count
		               : since_s >= load->warmup_s + load->seconds;

		if (over)
			enter(load, LOAD_DRAINING, now_ns);
	}
	if (load->phase == LOAD_DRAINING)
		return !all_back(load) &&
		       (double)(now_ns - load->window_until_ns) / 1e9 <
		           load->drain_s;
	return 1;
}

static void
run(struct load *load)
{
	struct timespec wall;
	uint64_t now_ns;

	clock_gettime(CLOCK_REALTIME, &wall);
	load->start_wall_us =
	    (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000;
	load->start_ns = load_now_ns();
	load->phase = LOAD_WARMING;
	do {
		load_turn(load);
		now_ns = load_now_ns();
	} while (advance(load, now_ns));
}

/* ---- what came out ------------------------------------------------------- */

static void
print_latencies(const struct histogram *seen)
{
	static const struct {
		const char *name;
		double share;
	} points[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 },
		{ "p999", 0.999 } };
	size_t i;

	printf("\"latency_ms\":{");
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		printf("\"%s\":%.4f,", points[i].name,
		    (double)histogram_at(seen, points[i].share) / 1e6);
	printf("\"max\":%.4f},", (double)seen->max_ns / 1e6);
}

static void
print_counts(const struct load *load)
{
	const char *comma = "";
	size_t i;

	printf("\"statuses\":{");
	for (i = 0; i < LOAD_STATUSES; i++) {
		if (load->statuses[i] == 0)
			continue;
		printf("%s\"%zu\":%llu", comma, i,
		    (unsigned long long)load->statuses[i]);
		comma = ",";
	}
	printf("},\"per_second\":[");
	for (i = 0; i < load->seconds_seen; i++)
		printf("%s%u", i > 0 ? "," : "", load->per_second[i]);
	printf("],\"cpu_s\":{");
	for (i = 0; i < load->pid_count; i++)
		printf("%s\"%d\":%.6f", i > 0 ? "," : "", (int)load->pids[i],
		    load->cpu_until[i] - load->cpu_from[i]);
	printf("}");
}

static void
report(const struct load *load)
{
	double window_s =
	    (double)(load->window_until_ns - load->window_from_ns) / 1e9;
	struct rusage own;

	getrusage(RUSAGE_SELF, &own);
	printf("{\"start_us\":%lld,\"window_s\":%.6f,\"started\":%llu,"
	       "\"answers\":%llu,"
	       "\"measured\":%llu,\"good\":%llu,\"good_total\":%llu,"
	       "\"per_s\":%.1f,\"cut\":%llu,\"refused\":%llu,\"left\":%u,"
	       "\"own_cpu_s\":%.3f,",
	    (long long)load->start_wall_us, window_s,
	    (unsigned long long)load->started,
	    (unsigned long long)load->answers,
	    (unsigned long long)load->seen.count,
	    (unsigned long long)load->good_measured,
	    (unsigned long long)load->good,
	    window_s > 0 ? (double)load->good_measured / window_s : 0,
	    (unsigned long long)load->cut, (unsigned long long)load->refused,
	    load->out,
	    (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
		(double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6);
	print_latencies(&load->seen);
	print_counts(load);
	printf("}\n");
}

/* ---- options ------------------------------------------------------------- */

static int
fail(const char *what, const char *value)
{
	fprintf(stderr, "load: %s '%s'; see --help\n", what, value);
	return -1;
}

static int
set_kind(struct load *load, const char *value)
{
	static const char *const names[] = { [LOAD_JOB] = "job",
		[LOAD_CHAT] = "chat",
		[LOAD_RESULT] = "result" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(value, names[i]) == 0) {
			load->kind = (enum load_kind)i;
			return 0;
		}
	return fail("no such kind:", value);
}

static int
set_listed(struct load *load, int code, long number)
{
	if (code == OPT_PORT && load->port_count < LOAD_PORTS)
		load->ports[load->port_count++] = (uint16_t)number;
	else if (code == OPT_PID && load->pid_count < LOAD_PIDS)
		load->pids[load->pid_count++] = (pid_t)number;
	else
		return fail("too many of", code == OPT_PORT ? "port" : "pid");
	return 0;
}

static int
set_text(struct load *load, int code, const char *value)
{
	if (code == OPT_KIND)
		return set_kind(load, value);
	if (code == OPT_KEYS)
		load->keys_path = value;
	else if (code == OPT_MODEL)
		load->model = value;
	else
		load->log_path = value;
	return 0;
}

static int
set_number(struct load *load, int code, const char *value)
{
	double *const times[] = { &load->rate, &load->seconds,
		&load->warmup_s };
	char *end;
	double number = strtod(value, &end);

	if (*end != '\0' || end == value || number < 0)
		return fail("no number:", value);
	switch (code) {
	case OPT_PORT:
	case OPT_PID:
		return set_listed(load, code, (long)number);
	case OPT_CONNECTIONS:
		load->conn_count = (unsigned)number;
		break;
	case OPT_COUNT:
		load->count = (uint64_t)number;
		break;
	case OPT_BYTES:
		load->body_bytes = (size_t)number;
		break;
	case OPT_BODIES:
		load->body_count = (size_t)number;
		break;
	case OPT_DRAIN:
		load->drain_s = number;
		break;
	case OPT_SEED:
		load->seed = (uint64_t)number;
		break;
	default:
		*times[code - OPT_RATE] = number;
		break;
	}
	return 0;
}

static int
read_options(struct load *load, int argc, char **argv)
{
	int code, rc = 0;

	while (rc == 0 &&
	       (code = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (code == 'h') {
			printf("%s", usage);
			exit(0);
		}
		if (code == '?')
			return -1;
		if (code == OPT_KIND || code == OPT_KEYS || code == OPT_MODEL ||
		    code == OPT_LOG)
			rc = set_text(load, code, optarg);
		else
			rc = set_number(load, code, optarg);
	}
	if (rc == 0 && (load->port_count == 0 || load->keys_path == NULL ||
			   load->conn_count == 0 || load->body_count == 0))
		rc = fail("missing:", "--port or --keys");
	if (load->count > 0)
		load->warmup_s = 0;
	return rc;
}

/* Make what is sent and open what is written to. */
static int
prepare(struct load *load)
{
	const struct texts_order order = { .count = load->body_count,
		.bytes = load->body_bytes,
		.model = load->model,
		.job = load->kind != LOAD_CHAT,
		.seed = load->seed };

	load->bodies = texts_new(&order);
	if (load->bodies == NULL)
		return fail("bodies are too small for model", load->model);
	if (load->log_path == NULL)
		return 0;
	load->log = fopen(load->log_path, "we");
	return load->log != NULL ? 0 : fail(strerror(errno), load->log_path);
}

int
main(int argc, char **argv)
{
	static struct load load = { .conn_count = 64,
		.seconds = 5,
		.warmup_s = 1,
		.drain_s = 30,
		.body_bytes = 2048,
		.body_count = 4096,
		.model = "bench",
		.seed = 1 };

	if (read_options(&load, argc, argv) != 0 || prepare(&load) != 0)
		return 2;
	/* Open loop asks to be woken when it says. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (load_open(&load) != 0)
		return 1;
	run(&load);
	if (load.log != NULL)
		fclose(load.log);
	report(&load);
	return 0;
}
