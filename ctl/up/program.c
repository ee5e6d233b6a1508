#include "ctl/up/program.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/up/ask.h"
#include "ctl/up/child.h"
#include "ctl/up/file.h"
#include "ctl/up/place.h"
#include "ctl/up/recipe.h"
#include "ctl/up/site.h"
#include "ctl/up/tools.h"

#define MAX_NOTE_BYTES 4096
#define PAUSE_NS 20000000L

static int64_t
number_of(struct synq_json note, const char *name, int64_t max)
{
	int64_t number = 0;

	if (synq_json_int(synq_json_member(note, name), &number) != 0 ||
	    number < 0 || number > max)
		return 0;
	return number;
}

int
program_read_note(const char *dir, const char *name, struct program_note *ret)
{
	struct synq_err err;
	struct synq_json note;
	struct synq_buf path;
	struct synq_buf text;
	int rc;

	synq_buf_init(&path, 8192);
	synq_buf_init(&text, MAX_NOTE_BYTES);
	synq_buf_printf(&path, "%s/run/%s.json", dir, name);
	rc = file_read_json(path.data, &text, &note, &err);
	if (rc == 0) {
		ret->pid = (pid_t)number_of(note, "pid", INT32_MAX);
		ret->port = (uint16_t)number_of(note, "port", 65535);
		ret->health_port =
		    (uint16_t)number_of(note, "health_port", 65535);
	}
	synq_buf_done(&text);
	synq_buf_done(&path);
	return rc;
}

/*
 * The lines of ${body} that tell of failures ("[-]name failed: detail"), or, if
 * there is no failure, of what it does without ("[+]name ok: detail"), as one.
 */
static void
add_lines(struct synq_buf *why, const char *body, int ready)
{
	size_t count = 0;

	while (*body != '\0') {
		size_t bytes = strcspn(body, "\n");
		const char *ok = strstr(body, " ok: ");

		if (!ready && strncmp(body, "[-]", 3) == 0)
			synq_buf_printf(why, "%s%.*s", count++ > 0 ? "; " : "",
			    (int)bytes - 3, body + 3);
		else if (ready && strncmp(body, "[+]", 3) == 0 && ok != NULL &&
			 ok < body + bytes)
			synq_buf_printf(why, "%s%.*s %.*s",
			    count++ > 0 ? "; " : "", (int)(ok - body) - 3,
			    body + 3, (int)(body + bytes - ok) - 5, ok + 5);
		body += bytes + (body[bytes] == '\n');
	}
}

int
program_is_ready(
    const char *dir, const char *name, pid_t pid, struct synq_buf *why)
{
	struct program_note note = { 0 };
	struct synq_buf body;
	int status = 0;
	int rc = program_read_note(dir, name, &note);

	if (rc != 0 || note.pid != pid) {
		synq_buf_text(why, "it is starting");
		return 0;
	}
	synq_buf_init(&body, 64 * 1024);
	rc = ask_http(note.health_port, "/readyz?verbose", &status, &body);
	if (rc != 0)
		synq_buf_printf(why, "its health port %u does not answer",
		    (unsigned)note.health_port);
	else if (body.bytes > 0)
		add_lines(why, body.data, status == 200);
	synq_buf_done(&body);
	return rc == 0 && status == 200;
}

static int
program_probe(const struct recipe_target *target, struct synq_err *err)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until_us =
	    synq_clock_mono_us() + RECIPE_READY_LIMIT_MS * 1000ULL;
	struct synq_buf why;
	int ready = 0;

	synq_buf_init(&why, 64 * 1024);
	while (!ready && synq_clock_mono_us() < until_us) {
		synq_buf_clear(&why);
		ready = program_is_ready(
		    target->site->place->dir, target->name, target->pid, &why);
		if (!ready)
			nanosleep(&pause, NULL);
	}
	if (!ready)
		synq_fail(err, SYNQ_E_TIMEOUT, "%s",
		    why.bytes == 0 ? "it does not say why" : why.data);
	synq_buf_done(&why);
	return ready ? 0 : -SYNQ_E_TIMEOUT;
}

static int
add_words(const struct recipe_target *target, const char *program,
    struct child_order *order, struct synq_arena *arena, struct synq_err *err)
{
	const struct site *site = target->site;
	const char *const *setting;
	char *path = NULL;
	int rc = tools_program(site->place, program, &path, err);

	if (rc != 0)
		return rc;
	child_word(order, synq_arena_text(arena, path));
	synq_mem_free(path);
	child_word(order, "--dir");
	child_word(order, site->place->dir);
	child_word(order, "--name");
	child_word(order, target->name);
	for (setting = site->settings; *setting != NULL; setting++) {
		child_word(order, "-X");
		child_word(order, *setting);
	}
	order->folder = "/";
	order->log = synq_arena_printf(
	    arena, "%s/log/%s.log", site->place->dir, target->name);
	order->death_signal = SIGTERM;
	return 0;
}

static int
intake_order(const struct recipe_target *target, struct child_order *order,
    struct synq_arena *arena, struct synq_err *err)
{
	int rc = add_words(target, "synq-intake", order, arena, err);

	if (rc != 0)
		return rc;
	/* The last one wins. */
	child_word(order, "-X");
	child_word(order,
	    synq_arena_printf(arena, "intake.port=%u", (unsigned)target->port));
	return 0;
}

static int
dispatcher_order(const struct recipe_target *target, struct child_order *order,
    struct synq_arena *arena, struct synq_err *err)
{
	return add_words(target, "synq-dispatcher", order, arena, err);
}

static int
recorder_order(const struct recipe_target *target, struct child_order *order,
    struct synq_arena *arena, struct synq_err *err)
{
	return add_words(target, "synq-recorder", order, arena, err);
}

const struct recipe program_intake = {
	.name = "intake",
	.program = "synq-intake",
	.stop_signal = SIGTERM,
	.order = intake_order,
	.probe = program_probe,
};

const struct recipe program_dispatcher = {
	.name = "dispatcher",
	.program = "synq-dispatcher",
	.stop_signal = SIGTERM,
	.calls_providers = 1,
	.order = dispatcher_order,
	.probe = program_probe,
};

const struct recipe program_recorder = {
	.name = "recorder",
	.program = "synq-recorder",
	.stop_signal = SIGTERM,
	.order = recorder_order,
	.probe = program_probe,
};
