#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "httpd/httpd.h"
#include "service/inner.h"
#include "service/install.h"
#include "service/version.h"
#include "json/scan.h"
#include "json/write.h"

/*
 * run/NAME.json: how others find this process.  It is written when start has
 * succeeded and again when a port is known; whether the program is ready is
 * what /readyz at its health port says.
 */

#define MAX_NOTE_BYTES 4096

static void
note_path(const struct synq_service *service, struct synq_buf *out)
{
	synq_buf_init(out, 2 * PATH_MAX);
	synq_buf_printf(out, "%s/run/%s.json", service->dir, service->name);
}

static void
write_note(struct synq_service *service, struct synq_buf *out)
{
	struct synq_json_writer json;
	char started_at[28];
	char boot_id[37];

	synq_clock_format(service->started_at, started_at);
	synq_uuid_format(&service->boot_id, boot_id);
	synq_json_start(&json, out);
	synq_json_open(&json, '{');
	synq_json_key(&json, "name");
	synq_json_text(&json, service->name);
	synq_json_key(&json, "program");
	synq_json_text(&json, service->program->name);
	synq_json_key(&json, "pid");
	synq_json_i64(&json, getpid());
	if (service->port != 0) {
		synq_json_key(&json, "port");
		synq_json_i64(&json, service->port);
	}
	synq_json_key(&json, "health_port");
	synq_json_i64(&json, synq_httpd_port(service->health));
	synq_json_key(&json, "started_at");
	synq_json_text(&json, started_at);
	synq_json_key(&json, "boot_id");
	synq_json_text(&json, boot_id);
	synq_json_key(&json, "version");
	synq_json_text(&json, SYNQ_VERSION);
	synq_json_close(&json, '}');
	synq_buf_char(out, '\n');
}

int
service_note(struct synq_service *service, struct synq_err *err)
{
	struct synq_buf note;
	struct synq_buf path;
	int rc;

	synq_buf_init(&note, MAX_NOTE_BYTES);
	note_path(service, &path);
	write_note(service, &note);
	rc = synq_install_write(path.data, synq_buf_view(&note), err);
	synq_buf_done(&path);
	synq_buf_done(&note);
	return rc;
}

/* 1 if the note in ${path} names this process. */
static int
is_ours(const char *path)
{
	struct synq_json_fault fault;
	struct synq_json note;
	char text[MAX_NOTE_BYTES];
	FILE *file = fopen(path, "re");
	int64_t pid = 0;
	size_t bytes;

	if (file == NULL)
		return 0;
	bytes = fread(text, 1, sizeof(text), file);
	fclose(file);
	if (synq_json_parse(synq_slice_of(text, bytes), &note, &fault) != 0)
		return 0;
	return synq_json_int(synq_json_member(note, "pid"), &pid) == 0 &&
	       pid == getpid();
}

void
service_forget(struct synq_service *service)
{
	struct synq_buf path;

	note_path(service, &path);
	if (is_ours(path.data))
		unlink(path.data);
	synq_buf_done(&path);
}
