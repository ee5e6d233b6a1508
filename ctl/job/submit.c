/*
 * One job from a body, or many from a file of lines.
 */

#include "ctl/job/submit.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "conf/conf.h"
#include "ctl/client.h"
#include "ctl/job/batch.h"
#include "ctl/job/session.h"
#include "ctl/job/show.h"
#include "ctl/print.h"
#include "ctl/up/file.h"
#include "proto/request.h"
#include "json/scan.h"
#include "json/write.h"

#define MAX_BODY_BYTES ((size_t)2 << 20)

const struct cli_flag submit_flags[] = {
	{ "body", "FILE",
	    "One job: the JSON body of the request; - is standard input." },
	{ "endpoint", "PATH",
	    "What the body is for (default /v1/chat/completions)." },
	{ "wait", NULL, "Wait for the result of the one job and print it." },
	{ "file", "FILE",
	    "Many jobs: OpenAI batch lines {custom_id, method, url, body}, at "
	    "most 1,000,000." },
	{ "out", "FILE",
	    "Where results are appended; those that are there already are "
	    "kept and their lines passed over." },
	{ "priority", "NAME",
	    "interactive (default for --body) or batch (default for "
	    "--file)." },
	{ "metadata", "NAME=VALUE", "Kept with each job; repeatable." },
	{ "run", "NAME",
	    "With --file: the same line is the same job for 24 hours; another "
	    "NAME makes it another job." },
	{ "window", "N", "With --file: jobs in hand at once (default 1000)." },
	{ "patience", "SECONDS",
	    "With --file: how long to go on without any answer (default "
	    "300)." },
	CLIENT_FLAGS,
	{ NULL, NULL, NULL },
};

/* Write the --metadata NAME=VALUE as an object to ${out}, nothing if none. */
static int
read_metadata(const struct cli *cli, struct synq_buf *out)
{
	struct synq_json_writer json;
	size_t count = 0;
	size_t i;

	synq_json_start(&json, out);
	for (i = 0; i < cli->given_count; i++) {
		const char *pair = cli->given[i].value;
		const char *equals;
		char *name;

		if (strcmp(cli->given[i].name, "metadata") != 0)
			continue;
		equals = strchr(pair, '=');
		if (equals == NULL || equals == pair)
			return cli_say(CLI_USAGE,
			    "--metadata takes NAME=VALUE, not \"%s\"", pair);
		if (count++ == 0)
			synq_json_open(&json, '{');
		name = synq_mem_copy(pair, (size_t)(equals - pair));
		synq_json_key(&json, name);
		synq_json_text(&json, equals + 1);
		synq_mem_free(name);
	}
	if (count > 0)
		synq_json_close(&json, '}');
	return out->overflow ? cli_say(CLI_USAGE, "too much --metadata") : 0;
}

/* The body in the file that --body names, checked; 0 or an exit code. */
static int
read_body(const char *path, struct synq_buf *out)
{
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
	struct synq_err err = { .code = 0 };
	struct synq_json_fault fault;
	struct synq_json body;
	int rc;

	rc = file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, out, &err);
	if (rc != 0)
		return cli_fail(&err);
	if (synq_json_parse(synq_buf_view(out), &body, &fault) != 0)
		return cli_say(CLI_FAILED, "%s:%u:%u: not valid JSON: %s", name,
		    fault.line, fault.column, fault.reason);
	if (body.type != SYNQ_JSON_OBJECT)
		return cli_say(CLI_FAILED, "%s: not a JSON object", name);
	return 0;
}

static int
check_endpoint(const char *path)
{
	static const char *const known[] = { "/v1/chat/completions",
		"/v1/completions", "/v1/embeddings", NULL };
	enum synq_endpoint endpoint;
	const char *near;

	if (synq_endpoint_parse(synq_slice_text(path), &endpoint) == 0)
		return 0;
	near = synq_conf_nearest(path, known);
	return cli_say(CLI_USAGE, "there is no endpoint \"%s\"; %s%s", path,
	    near == NULL ? "it is one of /v1/chat/completions, "
			   "/v1/completions, /v1/embeddings"
			 : "did you mean ",
	    near == NULL ? "" : near);
}

static int
check_priority(const char *priority)
{
	if (strcmp(priority, "batch") == 0 ||
	    strcmp(priority, "interactive") == 0)
		return 0;
	return cli_say(CLI_USAGE,
	    "--priority is batch or interactive, not \"%s\"", priority);
}

static const char *
flag_or(const struct cli *cli, const char *name, const char *otherwise)
{
	const char *value = cli_flag(cli, name);

	return value == NULL ? otherwise : value;
}

/* The envelope of one job into ${out}; 0 or an exit code. */
static int
make_job(const struct cli *cli, struct synq_buf *out)
{
	const char *endpoint = flag_or(cli, "endpoint", "/v1/chat/completions");
	const char *priority = flag_or(cli, "priority", "interactive");
	struct synq_json_writer json;
	struct synq_buf metadata;
	struct synq_buf body;
	int code;

	synq_buf_init(&metadata, 65536);
	synq_buf_init(&body, MAX_BODY_BYTES);
	code = check_endpoint(endpoint);
	if (code == 0)
		code = check_priority(priority);
	if (code == 0)
		code = read_metadata(cli, &metadata);
	if (code == 0)
		code = read_body(cli_flag(cli, "body"), &body);
	if (code == 0) {
		synq_json_start(&json, out);
		synq_json_open(&json, '{');
		synq_json_key(&json, "endpoint");
		synq_json_text(&json, endpoint);
		synq_json_key(&json, "priority");
		synq_json_text(&json, priority);
		if (metadata.bytes > 0) {
			synq_json_key(&json, "metadata");
			synq_json_raw(&json, synq_buf_view(&metadata));
		}
		synq_json_key(&json, "body");
		synq_json_raw(&json, synq_slice_trim(synq_buf_view(&body)));
		synq_json_close(&json, '}');
	}
	synq_buf_done(&metadata);
	synq_buf_done(&body);
	return code;
}

/* Print what the accepted job in ${reply} is called, or its result. */
static int
after_submit(struct session *session, const struct client_reply *reply)
{
	struct cli *cli = session->cli;
	struct synq_json job;
	struct synq_buf id;
	int code;

	if (reply->status != 202)
		return client_refused(
		    reply->status, synq_buf_view(&reply->body));
	synq_buf_init(&id, 256);
	if (synq_json_parse(synq_buf_view(&reply->body), &job, NULL) != 0 ||
	    synq_json_string(synq_json_member(job, "id"), &id) != 0)
		code = cli_say(CLI_FAILED, "the answer is not that of Synq");
	else if (cli_has(cli, "wait"))
		code =
		    session_print_result(session, id.data, SESSION_LONGEST_S);
	else if (cli->format != CLI_TABLE)
		code = show_job(cli, job);
	else {
		synq_buf_char(&id, '\n');
		code = print_all(synq_buf_view(&id));
	}
	synq_buf_done(&id);
	return code;
}

static int
submit_one(struct cli *cli)
{
	struct client_reply reply = { .status = 0 };
	struct client_request request = { .method = "POST",
		.path = "/v1/jobs",
		.limit_ms = SESSION_LIMIT_MS };
	/* So that a repeat after a lost answer is the same job. */
	struct synq_uuid id = synq_uuid_new(synq_clock_wall_us());
	char key[SYNQ_UUID_CHARS + 1];
	struct session session;
	struct synq_buf job;
	int code;

	synq_uuid_format(&id, key);
	request.key = key;
	synq_buf_init(&job, 2 * MAX_BODY_BYTES);
	code = make_job(cli, &job);
	if (code == 0) {
		request.body = synq_buf_view(&job);
		code = session_open(&session, cli);
		if (code == 0)
			code = client_ask(session.client, &request,
			    3 * SESSION_PATIENCE_US, &reply);
		if (code == 0)
			code = after_submit(&session, &reply);
		client_reply_done(&reply);
		session_close(&session);
	}
	synq_buf_done(&job);
	return code;
}

static int
submit_file(struct cli *cli)
{
	long long window = 1000;
	long long patience_s = 300;
	struct batch_order order = {
		.cli = cli,
		.in = cli_flag(cli, "file"),
		.out = cli_flag(cli, "out"),
		.priority = flag_or(cli, "priority", "batch"),
		.run = cli_flag(cli, "run"),
	};
	struct synq_buf metadata;
	int code;

	if (order.out == NULL)
		return cli_say(
		    CLI_USAGE, "--file needs --out FILE for the results");
	if (cli_has(cli, "endpoint") || cli_has(cli, "wait"))
		return cli_say(CLI_USAGE,
		    "--endpoint and --wait are for --body: the lines of a "
		    "file name their endpoint, and all are waited for");
	if (order.run != NULL && strlen(order.run) > 256)
		return cli_say(CLI_USAGE, "--run is too long");
	synq_buf_init(&metadata, 65536);
	code = check_priority(order.priority);
	if (code == 0)
		code = cli_flag_number(cli, "window", 1, 20000, &window);
	if (code == 0)
		code = cli_flag_number(cli, "patience", 1, 86400, &patience_s);
	if (code == 0)
		code = read_metadata(cli, &metadata);
	if (code == 0) {
		order.metadata = synq_buf_view(&metadata);
		order.window = (uint32_t)window;
		order.patience_us = (uint64_t)patience_s * 1000000;
		code = batch_run(&order);
	}
	synq_buf_done(&metadata);
	return code;
}

int
submit_run(struct cli *cli)
{
	const int has_body = cli_has(cli, "body");
	const int has_file = cli_has(cli, "file");

	if (has_body == has_file)
		return cli_say(CLI_USAGE,
		    "give either --body FILE for one job or --file FILE --out "
		    "FILE for many");
	if (has_file)
		return submit_file(cli);
	if (cli_has(cli, "out") || cli_has(cli, "window") ||
	    cli_has(cli, "patience") || cli_has(cli, "run"))
		return cli_say(CLI_USAGE,
		    "--out, --window, --patience and --run are for --file");
	return submit_one(cli);
}
