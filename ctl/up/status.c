#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "crypto/secret.h"
#include "ctl/print.h"
#include "ctl/up/ask.h"
#include "ctl/up/control.h"
#include "ctl/up/file.h"
#include "ctl/up/memory.h"
#include "ctl/up/place.h"
#include "ctl/up/program.h"
#include "ctl/up/up.h"
#include "service/install.h"

/*
 * What the supervisor knows (pids, states, restarts), and what each process
 * says when it is asked now (health), as a table; or addresses as lines that a
 * shell evaluates.
 */

#define ASK_LIMIT_MS 5000
#define MAX_INTAKES 32

static const struct print_column columns[] = {
	{ .name = "name" },
	{ .name = "pid", .type = PRINT_NUMBER },
	{ .name = "port", .type = PRINT_NUMBER },
	{ .name = "health" },
	{ .name = "memory", .type = PRINT_NUMBER },
	{ .name = "restarts", .type = PRINT_NUMBER },
	{ .name = "uptime", .type = PRINT_NUMBER },
	{ .name = "program", .only_json = 1 },
	{ .name = "started_at", .only_json = 1 },
};

/* The same for programs, which want plain numbers with units. */
static const struct print_column json_columns[] = {
	{ .name = "name" },
	{ .name = "pid", .type = PRINT_NUMBER },
	{ .name = "port", .type = PRINT_NUMBER },
	{ .name = "health" },
	{ .name = "memory_bytes", .type = PRINT_NUMBER },
	{ .name = "restarts", .type = PRINT_NUMBER },
	{ .name = "uptime_s", .type = PRINT_NUMBER },
	{ .name = "program" },
	{ .name = "started_at" },
};

/* One process, as the supervisor describes it. */
struct process {
	char name[64];
	char program[64]; /* empty = a server */
	char state[32];
	char started_at[40]; /* empty = not yet */
	int64_t pid;
	int64_t port;
	int64_t restarts;
};

static void
copy_text(struct synq_json object, const char *name, char *ret, size_t room)
{
	struct synq_slice text = { NULL, 0 };

	if (synq_json_plain(synq_json_member(object, name), &text) != 0)
		text.bytes = 0;
	snprintf(ret, room, "%.*s", (int)text.bytes,
	    text.bytes == 0 ? "" : text.data);
}

static struct process
read_process(struct synq_json object)
{
	struct process process = { 0 };

	copy_text(object, "name", process.name, sizeof(process.name));
	copy_text(object, "program", process.program, sizeof(process.program));
	copy_text(object, "state", process.state, sizeof(process.state));
	copy_text(object, "started_at", process.started_at,
	    sizeof(process.started_at));
	if (synq_json_int(synq_json_member(object, "pid"), &process.pid) != 0)
		process.pid = 0;
	if (synq_json_int(synq_json_member(object, "port"), &process.port) != 0)
		process.port = 0;
	if (synq_json_int(
		synq_json_member(object, "restarts"), &process.restarts) != 0)
		process.restarts = 0;
	return process;
}

/* Ask the process itself, if it should be ready. */
static void
add_health(const char *dir, const struct process *process, struct synq_buf *out)
{
	struct synq_buf why;
	int ready = 0;

	if (process->pid == 0 || (strcmp(process->state, "ready") != 0 &&
				     process->program[0] == '\0')) {
		synq_buf_text(out, process->state);
		return;
	}
	if (strcmp(process->state, "stopping") == 0) {
		synq_buf_text(out, "stopping");
		return;
	}
	synq_buf_init(&why, 64 * 1024);
	if (process->program[0] == '\0') {
		if (!ask_listens((uint16_t)process->port))
			synq_buf_text(&why, "it takes no connections");
	} else {
		ready = program_is_ready(
		    dir, process->name, (pid_t)process->pid, &why);
	}
	if (why.bytes == 0)
		synq_buf_text(out, "ready");
	else if (ready)
		synq_buf_printf(out, "degraded: %s", why.data);
	else
		synq_buf_printf(out, "not ready: %s", why.data);
	synq_buf_done(&why);
}

/* ${bytes} for people in a table, as the number itself in JSON. */
static void
show_bytes(const struct cli *cli, uint64_t bytes, char ret[32])
{
	if (cli->format == CLI_TABLE)
		snprintf(ret, 32, "%.1f MB", (double)bytes / 1e6);
	else
		snprintf(ret, 32, "%llu", (unsigned long long)bytes);
}

static void
show_uptime(const struct cli *cli, int64_t seconds, char ret[32])
{
	long long s = (long long)seconds;

	if (cli->format != CLI_TABLE)
		snprintf(ret, 32, "%lld", s);
	else if (s < 120)
		snprintf(ret, 32, "%lld s", s);
	else if (s < 7200)
		snprintf(ret, 32, "%lld min", s / 60);
	else if (s < 172800)
		snprintf(ret, 32, "%lld h", s / 3600);
	else
		snprintf(ret, 32, "%lld d", s / 86400);
}

static void
add_row(const struct cli *cli, struct print_table *table,
    const struct process *process)
{
	int64_t started_us = 0;
	struct synq_buf health;
	char pid[32];
	char port[32];
	char memory[32];
	char restarts[32];
	char uptime[32];
	int runs = process->pid > 0;

	synq_buf_init(&health, 64 * 1024);
	add_health(cli->dir, process, &health);
	snprintf(pid, sizeof(pid), "%lld", (long long)process->pid);
	snprintf(port, sizeof(port), "%lld", (long long)process->port);
	snprintf(
	    restarts, sizeof(restarts), "%lld", (long long)process->restarts);
	show_bytes(cli, memory_private_bytes((pid_t)process->pid), memory);
	if (synq_clock_parse(
		synq_slice_text(process->started_at), &started_us) != 0)
		started_us = synq_clock_wall_us();
	show_uptime(cli, (synq_clock_wall_us() - started_us) / 1000000, uptime);
	print_table_add(table,
	    (const char *const[]){
		process->name,
		runs ? pid : NULL,
		process->port > 0 ? port : NULL,
		health.data,
		runs ? memory : NULL,
		restarts,
		runs ? uptime : NULL,
		process->program[0] == '\0' ? NULL : process->program,
		process->started_at[0] == '\0' ? NULL : process->started_at,
	    });
	synq_buf_done(&health);
}

/* A server that somebody else runs, or nothing if it is private. */
static void
add_external(struct print_table *table, const struct cli *cli,
    const char *section, const char *name)
{
	const struct synq_option *option;
	struct synq_buf value;
	size_t i;

	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		if (strcmp(option->section, section) == 0 &&
		    strcmp(option->name, name) == 0)
			break;
	}
	if (option == NULL ||
	    synq_conf_origin(cli->config, option) <= SYNQ_ORIGIN_SERVERS)
		return;
	synq_buf_init(&value, 64 * 1024);
	synq_buf_text(&value, "external: ");
	synq_conf_value(cli->config, option, &value);
	print_table_add(table, (const char *const[]){ section, NULL, NULL,
				   value.data, NULL, NULL, NULL, NULL, NULL });
	synq_buf_done(&value);
}

static int
show_table(struct cli *cli)
{
	struct synq_json_cursor cursor;
	struct print_table *table;
	struct synq_json status;
	struct synq_json one;
	struct synq_buf text;
	struct synq_err err;
	int code;

	synq_buf_init(&text, 1024 * 1024);
	table =
	    print_table_new(cli->format == CLI_TABLE ? columns : json_columns,
		SYNQ_COUNT(columns));
	if (control_ask(cli->dir, "status", ASK_LIMIT_MS, &text, &err) != 0) {
		code = cli_say(CLI_UNAVAILABLE, "%s", err.text);
		goto out;
	}
	if (synq_json_parse(synq_buf_view(&text), &status, NULL) != 0) {
		code = cli_say(CLI_FAILED, "the supervisor's answer does not "
					   "decode; is it another version?");
		goto out;
	}
	add_external(table, cli, "kafka", "brokers");
	add_external(table, cli, "pg", "url");
	add_external(table, cli, "redis", "address");
	cursor = synq_json_walk(synq_json_member(status, "units"));
	while (synq_json_next(&cursor, NULL, &one)) {
		struct process process = read_process(one);

		add_row(cli, table, &process);
	}
	code = print_table_list(cli, table);

out:
	print_table_free(&table);
	synq_buf_done(&text);
	return code;
}

/* The secret ${name} as text at the end of ${out}; nothing if it is missing. */
static void
add_secret(const struct cli *cli, const char *name, struct synq_buf *out)
{
	struct synq_secret *secret = NULL;
	struct synq_err err;

	if (synq_install_secret(cli->dir, name, &secret, &err) != 0)
		return;
	synq_buf_slice(out, synq_secret_view(secret));
	synq_secret_free(&secret);
}

/*
 * The address of the intake ${number} into ${out}; 0 if there is none.  Every
 * address means all of them, of which loopback is one.
 */
static int
intake_url(const struct cli *cli, int number, struct synq_buf *out)
{
	const char *host = cli->config->intake_host;
	struct program_note note = { 0 };
	char name[64];

	snprintf(name, sizeof(name), "intake-%d", number);
	if (program_read_note(cli->dir, name, &note) != 0 || note.port == 0)
		return 0;
	if (strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	else if (strcmp(host, "::") == 0)
		host = "::1";
	synq_buf_printf(out,
	    strchr(host, ':') != NULL ? "http://[%s]:%u" : "http://%s:%u", host,
	    (unsigned)note.port);
	return 1;
}

static void
print_secret_env(const char *name, struct synq_buf *value)
{
	if (value->bytes > 0)
		print_env(name, value->data);
	if (value->data != NULL)
		synq_secret_erase(value->data, value->bytes);
	synq_buf_clear(value);
}

static void
print_urls(const struct cli *cli, struct synq_buf *value)
{
	int number;

	for (number = 1; number <= MAX_INTAKES; number++) {
		char name[32] = "SYNQ_URL";

		if (number > 1)
			snprintf(name, sizeof(name), "SYNQ_URL_%d", number);
		synq_buf_clear(value);
		if (intake_url(cli, number, value))
			print_env(name, value->data);
	}
	synq_buf_clear(value);
}

static int
show_env(struct cli *cli)
{
	const struct synq_config *config = cli->config;
	struct synq_buf value;
	struct synq_err err;
	const char *address = config->redis_address;

	synq_buf_init(&value, 64 * 1024);
	print_urls(cli, &value);
	add_secret(cli, "key.default", &value);
	print_secret_env("SYNQ_KEY", &value);
	if (config->kafka_brokers[0] != '\0')
		print_env("SYNQ_KAFKA", config->kafka_brokers);
	if (synq_install_pg_url(cli->dir, config, "synq_admin", &value, &err) ==
	    0)
		print_secret_env("SYNQ_PG", &value);
	if (address[0] != '\0') {
		synq_buf_text(&value, "redis://:");
		add_secret(cli, "redis.password", &value);
		synq_buf_printf(&value, "@%s", address);
		print_secret_env("SYNQ_REDIS", &value);
	}
	print_env("SYNQ_DIR", cli->dir);
	synq_buf_done(&value);
	return CLI_OK;
}

int
status_run(struct cli *cli)
{
	int code = cli_config(cli);

	if (code != 0)
		return code;
	return cli->format == CLI_ENV ? show_env(cli) : show_table(cli);
}

void
status_tell_addresses(struct cli *cli)
{
	struct synq_buf url;

	synq_buf_init(&url, 4096);
	if (intake_url(cli, 1, &url))
		cli_tell(cli,
		    "\n  API   %s/v1\n"
		    "  key   %s/secrets/key.default\n"
		    "  all   eval \"$(%s --dir %s status -o env)\"",
		    url.data, cli->dir, cli->program, cli->dir);
	synq_buf_done(&url);
}
