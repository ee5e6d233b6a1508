/*
 * A provider for tests and benchmarks that speaks OpenAI's API and fails as it
 * is told.  Options -> listen -> write the port file -> serve until SIGTERM or
 * SIGINT -> write the record -> 0.
 *
 * Failure modes: wrong options, 2; cannot listen or open a file, 1.
 */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "serve.h"

enum option_code {
	OPT_HOST = 256,
	OPT_PORT,
	OPT_PORT_FILE,
	OPT_RECORD,
	OPT_KEY,
	OPT_SEED,
	OPT_MODEL,
	OPT_MAX_CONNECTIONS,
	OPT_PLAN,
	OPT_WORD /* and above: the words of a plan, in the order of words[] */
};

/* The words of a plan that have an option of their own. */
static const char *const words[] = { "lat", "err", "status", "429", "ra",
	"stall", "cut", "cutbody", "slow", "pad" };

static const struct option options[] = {
	{ "host", required_argument, NULL, OPT_HOST },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "port-file", required_argument, NULL, OPT_PORT_FILE },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "plan", required_argument, NULL, OPT_PLAN },
	{ "latency", required_argument, NULL, OPT_WORD },
	{ "error-rate", required_argument, NULL, OPT_WORD + 1 },
	{ "error-status", required_argument, NULL, OPT_WORD + 2 },
	{ "limit-rate", required_argument, NULL, OPT_WORD + 3 },
	{ "retry-after", required_argument, NULL, OPT_WORD + 4 },
	{ "stall-rate", required_argument, NULL, OPT_WORD + 5 },
	{ "cut-rate", required_argument, NULL, OPT_WORD + 6 },
	{ "cut-body-rate", required_argument, NULL, OPT_WORD + 7 },
	{ "slow", required_argument, NULL, OPT_WORD + 8 },
	{ "pad", required_argument, NULL, OPT_WORD + 9 },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
    "usage: stub-provider [option]...\n"
    "\n"
    "A provider that speaks OpenAI's chat (with stream), completions,\n"
    "embeddings and models, and fails as it is told.\n"
    "\n"
    "  --host ADDRESS         default 127.0.0.1\n"
    "  --port PORT            default 0: any free one\n"
    "  --port-file PATH       write the port there once listening\n"
    "  --record PATH          append a line of JSON for each call\n"
    "  --key KEY              the API key that callers must show\n"
    "  --seed NUMBER          of what is drawn by chance, default 1\n"
    "  --max-connections N    default 20000\n"
    "  --model NAME[:PLAN]    a model in the list; its plan changes the one\n"
    "                         given so far\n"
    "  --plan PLAN            how all other models' calls go; or word by\n"
    "                         word: --latency --error-rate --error-status\n"
    "                         --limit-rate --retry-after --stall-rate\n"
    "                         --cut-rate --cut-body-rate --slow --pad\n"
    "  --help\n"
    "\n"
    "A PLAN is made of these words, separated by ','; or by ':' in --model\n"
    "and in the model's name of a request (\"stub:lat=200:err=0.1\"); the\n"
    "header x-stub of a request has one, too:\n";

static const char usage_end[] =
    "\n"
    "A token is counted for each 4 bytes of text begun.  The answer is\n"
    "\"stub:\" and the first 40 characters of the (last user) text.\n"
    "GET /stub/calls gives totals, GET /stub/reset sets them to 0.\n";

struct setup {
	struct stub_config config;
	const char *port_file;
};

static int
read_number(const char *text, uint64_t max, uint64_t *ret)
{
	return synq_slice_u64(synq_slice_text(text), max, ret);
}

/* NAME[:PLAN]; the name is kept until the process ends. */
static int
add_model(struct stub_config *config, const char *text)
{
	struct stub_model *model = &config->models[config->model_count];
	const char *colon = strchr(text, ':');
	size_t bytes = colon ? (size_t)(colon - text) : strlen(text);

	if (config->model_count == STUB_MAX_MODELS || bytes == 0)
		return -SYNQ_E_INVALID;
	model->plan = config->plan;
	if (colon &&
	    plan_read(&model->plan, synq_slice_text(colon + 1), ':') != 0)
		return -SYNQ_E_INVALID;
	model->name = synq_mem_copy(text, bytes);
	config->model_count++;
	return 0;
}

static int
set_word(struct stub_config *config, const char *word, const char *value)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s=%s", word, value);

	if (n < 0 || (size_t)n >= sizeof(text))
		return -SYNQ_E_INVALID;
	return plan_read(&config->plan, synq_slice_text(text), ',');
}

static int
set_option(struct setup *setup, int code, const char *value)
{
	struct stub_config *config = &setup->config;
	uint64_t number = 0;
	int rc = 0;

	if (code >= OPT_WORD)
		return set_word(config, words[code - OPT_WORD], value);
	switch (code) {
	case OPT_HOST:
		config->host = value;
		break;
	case OPT_PORT:
		rc = read_number(value, 65535, &number);
		config->port = (uint16_t)number;
		break;
	case OPT_PORT_FILE:
		setup->port_file = value;
		break;
	case OPT_RECORD:
		config->record_path = value;
		break;
	case OPT_KEY:
		config->key = value;
		break;
	case OPT_SEED:
		rc = read_number(value, UINT64_MAX, &config->seed);
		break;
	case OPT_MODEL:
		rc = add_model(config, value);
		break;
	case OPT_MAX_CONNECTIONS:
		rc = read_number(value, 1000000, &number);
		config->max_connections = (uint32_t)number;
		break;
	default:
		rc = plan_read(&config->plan, synq_slice_text(value), ',');
		break;
	}
	return rc;
}

/* Returns -1 to go on, or the exit code. */
static int
read_options(struct setup *setup, int argc, char **argv)
{
	int at, code;

	while ((code = getopt_long(argc, argv, "h", options, &at)) != -1) {
		if (code == 'h') {
			printf("%s%s%s", usage, plan_help, usage_end);
			return 0;
		}
		if (code == '?')
			return 2;
		if (set_option(setup, code, optarg) != 0) {
			fprintf(stderr,
			    "stub-provider: --%s: '%s' is not valid; see "
			    "--help\n",
			    options[at].name, optarg);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(
		    stderr, "stub-provider: '%s' is no option\n", argv[optind]);
		return 2;
	}
	return -1;
}

/* By rename, so that who waits for the file never reads half of it. */
static int
write_port_file(const char *path, uint16_t port)
{
	char temporary[4096];
	FILE *file;
	int n;

	if (!path)
		return 0;
	n = snprintf(temporary, sizeof(temporary), "%s.%d", path, getpid());
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -SYNQ_E_INVALID;
	file = fopen(temporary, "we");
	if (!file)
		return -SYNQ_E_SYSTEM;
	fprintf(file, "%u\n", port);
	if (fclose(file) != 0 || rename(temporary, path) != 0)
		return -SYNQ_E_SYSTEM;
	return 0;
}

static void
on_signal(void *ctx, SYNQ_UNUSED int signum)
{
	synq_loop_stop(ctx);
}

static int
run(const struct setup *setup, struct synq_loop *loop, struct synq_err *err)
{
	struct stub *stub = NULL;
	int rc;

	rc = synq_loop_on_signal(loop, SIGTERM, on_signal, loop, err);
	if (rc == 0)
		rc = synq_loop_on_signal(loop, SIGINT, on_signal, loop, err);
	if (rc == 0)
		rc = serve_new(loop, &setup->config, &stub, err);
	if (rc != 0)
		return rc;
	rc = write_port_file(setup->port_file, serve_port(stub));
	if (rc != 0) {
		synq_fail(err, SYNQ_E_SYSTEM, "%s: %s", setup->port_file,
		    strerror(errno));
		goto out;
	}
	printf("http://%s:%u\n", setup->config.host, serve_port(stub));
	fflush(stdout);
	synq_loop_run(loop);
out:
	serve_free(&stub);
	return rc;
}

int
main(int argc, char **argv)
{
	struct setup setup = { .config = { .host = "127.0.0.1",
				   .seed = 1,
				   .max_connections = 20000,
				   .plan = plan_default() } };
	struct synq_loop *loop;
	struct synq_err err = { .code = 0 };
	int rc = read_options(&setup, argc, argv);

	if (rc >= 0)
		return rc;
	rc = synq_loop_new(&loop, &err);
	if (rc == 0) {
		rc = run(&setup, loop, &err);
		synq_loop_free(&loop);
	}
	for (size_t i = 0; i < setup.config.model_count; i++)
		synq_mem_free(setup.config.models[i].name);
	synq_arena_trim();
	if (rc == 0)
		return 0;
	fprintf(stderr, "stub-provider: %s\n", err.text);
	return 1;
}
