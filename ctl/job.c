/*
 * The noun "job": a client of the API, as any other.
 */

#include <string.h>

#include "base/clock.h"
#include "codec/url.h"
#include "ctl/cli.h"
#include "ctl/client.h"
#include "ctl/job/session.h"
#include "ctl/job/show.h"
#include "ctl/job/submit.h"
#include "ctl/print.h"
#include "json/scan.h"

#define MAX_PATH_BYTES 16384
#define PAGE_JOBS 100

extern const struct cli_command cli_job_commands[];

/* ---- the others ---- */

/* Show the job in ${reply}; returns the exit code. */
static int
show_reply(const struct cli *cli, const struct client_reply *reply)
{
	struct synq_slice body = synq_buf_view(&reply->body);
	struct synq_json job;

	if (reply->status >= 400)
		return client_refused(reply->status, body);
	if (synq_json_parse(body, &job, NULL) != 0)
		return cli_say(CLI_FAILED, "the answer is not that of Synq");
	return show_job(cli, job);
}

/* Send ${method} to the job that the words name and show what comes back. */
static int
show_answer(struct cli *cli, const char *method, const char *tail)
{
	struct client_request request = { .method = method,
		.limit_ms = SESSION_LIMIT_MS };
	struct client_reply reply = { .status = 0 };
	struct session session;
	struct synq_buf path;
	int code;

	code = session_path(cli->args[0], tail, &path);
	if (code != 0)
		return code;
	request.path = path.data;
	code = session_open(&session, cli);
	if (code == 0)
		code = client_ask(
		    session.client, &request, SESSION_PATIENCE_US, &reply);
	if (code == 0)
		code = show_reply(cli, &reply);
	client_reply_done(&reply);
	session_close(&session);
	synq_buf_done(&path);
	return code;
}

static int
run_get(struct cli *cli)
{
	return show_answer(cli, "GET", "");
}

static int
run_cancel(struct cli *cli)
{
	int code = show_answer(cli, "POST", "/cancel");

	if (code == CLI_OK)
		cli_tell(cli,
		    "asked; see what came of it with: synq job get %s",
		    cli->args[0]);
	return code;
}

static int
run_result(struct cli *cli)
{
	struct session session;
	long long wait_s = 0;
	int code;

	code = cli_flag_number(cli, "wait", 0, SESSION_LONGEST_S, &wait_s);
	if (code != 0)
		return code;
	code = session_open(&session, cli);
	if (code == 0)
		code = session_print_result(
		    &session, cli->args[0], (uint64_t)wait_s);
	session_close(&session);
	return code;
}

/* Wait for job ${id}; its exit code. */
static int
wait_for_one(struct session *session, const char *id, uint64_t give_up_us)
{
	struct client_reply reply = { .status = 0 };
	struct synq_buf line;
	int code = session_wait(session, id, give_up_us, &reply);

	if (code != 0)
		return code;
	synq_buf_init(&line, 1024);
	if (!reply.is_result) {
		code = cli_say(CLI_UNAVAILABLE, "%s has not ended in time", id);
	} else {
		code = reply.status >= 400 ? CLI_FAILED : CLI_OK;
		synq_buf_printf(&line, "%s %s %d\n", id,
		    reply.status >= 400 ? "failed" : "succeeded", reply.status);
		if (print_all(synq_buf_view(&line)) != CLI_OK)
			code = CLI_FAILED;
	}
	synq_buf_done(&line);
	client_reply_done(&reply);
	return code;
}

static int
run_wait(struct cli *cli)
{
	struct session session;
	long long limit_s = SESSION_LONGEST_S;
	uint64_t give_up_us;
	size_t bad = 0;
	size_t i;
	int code;

	code = cli_flag_number(cli, "timeout", 0, SESSION_LONGEST_S, &limit_s);
	if (code != 0)
		return code;
	give_up_us = synq_clock_mono_us() + (uint64_t)limit_s * 1000000;
	code = session_open(&session, cli);
	for (i = 0; i < cli->arg_count && session.client != NULL; i++) {
		int one = wait_for_one(&session, cli->args[i], give_up_us);

		code = one != CLI_OK ? one : code;
		bad += one != CLI_OK;
	}
	session_close(&session);
	return bad > 0 && bad < cli->arg_count ? CLI_PARTIAL : code;
}

/* ---- list ---- */

/* Append &${name}=${value}, encoded. */
static void
add_parameter(struct synq_buf *path, const char *name, const char *value)
{
	synq_buf_printf(path, "&%s=", name);
	synq_url_encode(synq_slice_text(value), path);
}

/* The filters of ${cli} as parameters; 0 or an exit code. */
static int
add_filters(const struct cli *cli, struct synq_buf *path)
{
	static const char *const names[] = { "state", "model", "created-after",
		"created-before" };
	static const char *const parameters[] = { "state", "model",
		"created_after", "created_before" };
	size_t i;

	for (i = 0; i < SYNQ_COUNT(names); i++) {
		if (cli_has(cli, names[i]))
			add_parameter(
			    path, parameters[i], cli_flag(cli, names[i]));
	}
	for (i = 0; i < cli->given_count; i++) {
		const char *pair = cli->given[i].value;
		const char *equals;

		if (strcmp(cli->given[i].name, "metadata") != 0)
			continue;
		equals = strchr(pair, '=');
		if (equals == NULL || equals == pair)
			return cli_say(CLI_USAGE,
			    "--metadata takes NAME=VALUE, not \"%s\"", pair);
		synq_buf_text(path, "&metadata%5B");
		synq_url_encode(
		    synq_slice_of(pair, (size_t)(equals - pair)), path);
		synq_buf_text(path, "%5D=");
		synq_url_encode(synq_slice_text(equals + 1), path);
	}
	return path->overflow ? cli_say(CLI_USAGE, "too many filters") : 0;
}

/*
 * Read one page of up to ${count} jobs behind ${after} (empty = the first) into
 * ${list}; the last id goes to ${after}, "" at the end.
 */
static int
read_page(struct session *session, uint64_t count, struct synq_buf *after,
    struct show_list *list)
{
	struct client_reply reply = { .status = 0 };
	struct synq_buf path;
	int code;

	synq_buf_init(&path, MAX_PATH_BYTES);
	synq_buf_printf(&path, "/v1/jobs?limit=%u", (unsigned)count);
	if (after->bytes > 0)
		add_parameter(&path, "after", after->data);
	code = add_filters(session->cli, &path);
	if (code == 0)
		code = session_get(session, path.data, 0, &reply);
	if (code == 0 && reply.status != 200)
		code = client_refused(reply.status, synq_buf_view(&reply.body));
	if (code == 0)
		code = show_list_add(list, synq_buf_view(&reply.body), after);
	client_reply_done(&reply);
	synq_buf_done(&path);
	return code;
}

static int
run_list(struct cli *cli)
{
	struct session session;
	struct show_list *list;
	struct synq_buf after;
	long long limit = 20;
	uint64_t left;
	int code;

	code = cli_flag_number(cli, "limit", 1, 1000000, &limit);
	if (code != 0)
		return code;
	left = (uint64_t)limit;
	synq_buf_init(&after, 256);
	if (cli_has(cli, "after"))
		synq_buf_text(&after, cli_flag(cli, "after"));
	list = show_list_new(cli);
	code = session_open(&session, cli);
	while (code == 0 && left > 0) {
		uint64_t count = left < PAGE_JOBS ? left : PAGE_JOBS;

		code = read_page(&session, count, &after, list);
		left -= count;
		if (after.bytes == 0)
			break;
	}
	if (code == 0)
		code = show_list_end(list);
	show_list_free(&list);
	session_close(&session);
	synq_buf_done(&after);
	return code;
}

/* ---- the table ---- */

static const struct cli_flag only_client[] = { CLIENT_FLAGS,
	{ NULL, NULL, NULL } };

static const struct cli_flag list_flags[] = {
	{ "limit", "N", "How many, the newest first (default 20)." },
	{ "state", "STATE",
	    "Only queued, running, retrying, succeeded, failed, cancelled or "
	    "expired ones." },
	{ "model", "MODEL", "Only those of this model." },
	{ "metadata", "NAME=VALUE", "Only those with this; repeatable." },
	{ "created-after", "TIME", "RFC 3339, or seconds since 1970." },
	{ "created-before", "TIME", "The same." },
	{ "after", "ID", "Go on behind this job." },
	CLIENT_FLAGS,
	{ NULL, NULL, NULL },
};

static const struct cli_flag wait_flags[] = {
	{ "timeout", "SECONDS", "How long to wait for all of them." },
	CLIENT_FLAGS,
	{ NULL, NULL, NULL },
};

static const struct cli_flag result_flags[] = {
	{ "wait", "SECONDS", "How long to wait for it (default 0)." },
	CLIENT_FLAGS,
	{ NULL, NULL, NULL },
};

const struct cli_command cli_job_commands[] = {
	{ .noun = "job",
	    .verb = "submit",
	    .summary = "Submit one job, or a file of them and fetch the "
		       "results",
	    .examples = "$ echo '{\"model\": \"m\", \"messages\": [{\"role\": "
			"\"user\", \"content\": \"Hello\"}]}' |\n"
			"    synq job submit --body - --wait\n"
			"$ synq job submit --file requests.jsonl --out "
			"results.jsonl\n",
	    .flags = submit_flags,
	    .run = submit_run },
	{ .noun = "job",
	    .verb = "list",
	    .summary = "List jobs, the newest first",
	    .examples = "$ synq job list --state failed -o jsonl\n",
	    .flags = list_flags,
	    .run = run_list },
	{ .noun = "job",
	    .verb = "get",
	    .args = "ID",
	    .min_args = 1,
	    .max_args = 1,
	    .summary = "Show one job",
	    .flags = only_client,
	    .run = run_get },
	{ .noun = "job",
	    .verb = "wait",
	    .args = "ID...",
	    .min_args = 1,
	    .max_args = CLI_MAX_ARGS,
	    .summary = "Wait until jobs have ended and say how",
	    .examples = "$ synq job wait --timeout 60 job_...\n",
	    .flags = wait_flags,
	    .run = run_wait },
	{ .noun = "job",
	    .verb = "result",
	    .args = "ID",
	    .min_args = 1,
	    .max_args = 1,
	    .summary = "Print the result of a job",
	    .flags = result_flags,
	    .run = run_result },
	{ .noun = "job",
	    .verb = "cancel",
	    .args = "ID",
	    .min_args = 1,
	    .max_args = 1,
	    .summary = "Ask for a job not to be run",
	    .flags = only_client,
	    .run = run_cancel },
	{ .noun = NULL },
};
