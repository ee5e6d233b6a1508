/*
 * One command, one loop, one client: opened, asked a few things, closed.
 */

#include "ctl/job/session.h"

#include <stdio.h>

#include "base/clock.h"
#include "codec/url.h"
#include "ctl/print.h"
#include "loop/loop.h"

#define MAX_PATH_BYTES 4096
#define WAIT_STEP_S 30

int
session_open(struct session *session, struct cli *cli)
{
	struct synq_err err = { .code = 0 };

	*session = (struct session){ .cli = cli };
	if (synq_loop_new(&session->loop, &err) != 0)
		return cli_fail(&err);
	return client_open(cli, session->loop, 4, &session->client);
}

void
session_close(struct session *session)
{
	client_close(&session->client);
	/* What was closed is released at the end of a turn. */
	if (session->loop != NULL)
		synq_loop_turn(session->loop, 0);
	synq_loop_free(&session->loop);
}

int
session_get(struct session *session, const char *path, uint32_t wait_s,
    struct client_reply *ret)
{
	const struct client_request request = {
		.method = "GET",
		.path = path,
		.limit_ms = SESSION_LIMIT_MS + wait_s * 1000,
	};

	return client_ask(session->client, &request,
	    SESSION_PATIENCE_US + (uint64_t)wait_s * 1000000, ret);
}

int
session_path(const char *id, const char *tail, struct synq_buf *out)
{
	synq_buf_init(out, MAX_PATH_BYTES);
	synq_buf_text(out, "/v1/jobs/");
	synq_url_encode(synq_slice_text(id), out);
	synq_buf_text(out, tail);
	if (!out->overflow && id[0] != '\0')
		return 0;
	synq_buf_done(out);
	return cli_say(CLI_USAGE, "that is no job id: \"%.60s\"", id);
}

/* ---- waiting ---- */

int
session_wait(struct session *session, const char *id, uint64_t give_up_us,
    struct client_reply *ret)
{
	struct synq_buf path;
	uint64_t now_us;
	uint64_t left_s;
	char tail[40];
	int code;

	for (;;) {
		now_us = synq_clock_mono_us();
		left_s = give_up_us > now_us
		             ? (give_up_us - now_us + 999999) / 1000000
		             : 0;
		if (left_s > WAIT_STEP_S)
			left_s = WAIT_STEP_S;
		(void)snprintf(
		    tail, sizeof(tail), "/result?wait=%u", (unsigned)left_s);
		code = session_path(id, tail, &path);
		if (code != 0)
			return code;
		code = session_get(session, path.data, (uint32_t)left_s, ret);
		synq_buf_done(&path);
		if (code != 0 || ret->status != 202 || ret->is_result ||
		    left_s == 0)
			break;
		client_reply_done(ret);
	}
	if (code == 0 && !ret->is_result && ret->status != 202)
		code = client_refused(ret->status, synq_buf_view(&ret->body));
	if (code != 0)
		client_reply_done(ret);
	return code;
}

int
session_print_result(struct session *session, const char *id, uint64_t wait_s)
{
	struct client_reply reply = { .status = 0 };
	int code = session_wait(
	    session, id, synq_clock_mono_us() + wait_s * 1000000, &reply);

	if (code != 0)
		return code;
	if (!reply.is_result) {
		code = cli_say(CLI_UNAVAILABLE,
		    "the result of %s is not there yet; wait for it with: "
		    "synq job wait %s",
		    id, id);
	} else {
		synq_buf_char(&reply.body, '\n');
		code = print_all(synq_buf_view(&reply.body));
		if (code == CLI_OK && reply.status >= 400)
			code = cli_say(CLI_FAILED,
			    "the job failed: its answer has the status %d",
			    reply.status);
	}
	client_reply_done(&reply);
	return code;
}
