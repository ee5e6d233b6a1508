/*
 * The life of a line:
 *
 *	READ → (not valid, done before) → written or passed over at once
 *	POSTS: waits for a connection → POST /v1/jobs → accepted
 *	POLLS: waits for a connection → GET .../result → not yet: POLLS again
 *	       → an answer: written
 *	LATER: the answer said to come back; → POSTS or POLLS
 *
 * The body is kept until the job is accepted, so memory is bounded by the
 * window and by MAX_HELD_BYTES.  The oldest job is asked for first, because it
 * ends first; while others wait for a connection nobody asks for long.
 *
 * Failure modes: trouble that passes puts the line back to where it was, with
 * the same Idempotency-Key, which is made from its bytes: a repeated POST, also
 * that of a later run, names the job that is there.  A wrong key, a full disk
 * or no answer at all for too long end the run; everything that was accepted
 * goes on without us, and the next run fetches it.
 */

#include "ctl/job/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/mem.h"
#include "ctl/client.h"
#include "ctl/job/inner.h"
#include "ctl/job/lines.h"
#include "ctl/job/results.h"
#include "ctl/job/seen.h"
#include "loop/loop.h"

#define MAX_POSTS 64
#define TICK_US 100000

static void pump(void *ctx);

/* ---- what the steps of a line share ---- */

void
batch_kick(struct batch *batch)
{
	if (batch->kicked)
		return;
	batch->kicked = 1;
	synq_loop_defer(batch->loop, pump, batch);
}

void
batch_stop(struct batch *batch, int code)
{
	if (batch->code == 0)
		batch->code = code;
	batch->stopped = 1;
	synq_loop_stop(batch->loop);
}

void
batch_tell(struct batch *batch, const char *fmt, ...)
{
	struct synq_buf text;
	va_list args;

	synq_buf_init(&text, 8192);
	va_start(args, fmt);
	(void)synq_buf_vprintf(&text, fmt, args);
	va_end(args);
	progress_clear(&batch->progress);
	(void)cli_say(CLI_FAILED, "%s", text.bytes == 0 ? "" : text.data);
	synq_buf_done(&text);
}

void
batch_write(struct batch *batch, const struct results_line *line)
{
	results_add(batch->results, line);
	if (line->code != NULL || line->status >= 400) {
		batch->failed++;
		batch->progress.failed++;
	} else {
		batch->succeeded++;
	}
	batch->progress.done++;
}

void
batch_drop_body(struct item *item)
{
	item->batch->held_bytes -= item->body.bytes;
	synq_buf_done(&item->body);
}

void
batch_drop(struct item *item)
{
	struct batch *batch = item->batch;

	client_cancel(&item->call);
	batch_drop_body(item);
	synq_list_remove(&batch->items, &item->all);
	synq_heap_remove(&batch->later, &item->due);
	synq_mem_free(item->custom_id);
	synq_mem_free(item);
}

/* ---- the engine ---- */

static void
take_due(struct batch *batch)
{
	const uint64_t now_us = synq_loop_now_us(batch->loop);
	struct synq_heap_node *node;

	while ((node = synq_heap_first(&batch->later)) != NULL &&
	       node->key <= now_us) {
		struct item *item = SYNQ_CONTAINER(node, struct item, due);

		synq_heap_remove(&batch->later, node);
		synq_list_push(
		    item->is_accepted ? &batch->polls : &batch->posts,
		    &item->queue);
	}
}

/*
 * Start calls for what waits on ${queue}, at most ${max} at once; 0, or BUSY if
 * no address takes any now.
 */
static int
start_calls(struct batch *batch, struct synq_list *queue, size_t *running,
    size_t max, int (*start)(struct item *item))
{
	struct synq_link *link;
	int rc = 0;

	while (rc == 0 && *running < max &&
	       (link = synq_list_shift(queue)) != NULL) {
		struct item *item = SYNQ_CONTAINER(link, struct item, queue);

		if (item->start_us == 0)
			item->start_us = synq_loop_now_us(batch->loop);
		rc = start(item);
		if (rc == 0)
			(*running)++;
		else
			synq_list_unshift(queue, link);
	}
	return rc;
}

/* Wake up when an address may be used again. */
static void
wait_for_address(struct batch *batch, int rc)
{
	const uint64_t now_us = synq_loop_now_us(batch->loop);
	uint64_t ready_us = client_ready_us(batch->client, now_us);

	if (rc == -SYNQ_E_BUSY) {
		synq_timer_start(batch->timer, ready_us - now_us + 1000);
		return;
	}
	batch_tell(batch, "%s", batch->err.text);
	batch_stop(batch, cli_exit_of(rc));
}

static void
pump(void *ctx)
{
	struct batch *batch = ctx;
	int rc;

	batch->kicked = 0;
	if (batch->stopped)
		return;
	take_due(batch);
	feed_read(batch);
	rc = start_calls(
	    batch, &batch->polls, &batch->polling, BATCH_MAX_POLLS, call_poll);
	if (rc == 0)
		rc = start_calls(batch, &batch->posts, &batch->posting,
		    MAX_POSTS, call_post);
	if (rc != 0)
		wait_for_address(batch, rc);
	if (batch->at_end && batch->items.count == 0)
		batch_stop(batch, 0);
}

static void
on_tick(void *ctx)
{
	struct batch *batch = ctx;
	struct synq_err err = { .code = 0 };

	progress_show(&batch->progress, synq_loop_now_us(batch->loop));
	if (results_flush(batch->results, &err) != 0)
		batch_stop(batch, CLI_FAILED); /* run() says why */
	if (synq_heap_first(&batch->later) != NULL)
		batch_kick(batch);
}

static void
on_signal(void *ctx, int signum)
{
	struct batch *batch = ctx;

	(void)signum;
	batch->interrupted = 1;
	batch_stop(batch, CLI_PARTIAL);
}

/* ---- beginning and end ---- */

/* Open the input of ${batch} and count its lines; 0 or an exit code. */
static int
open_input(struct batch *batch)
{
	const char *path = batch->order->in;
	struct synq_err err = { .code = 0 };
	struct stat what;

	batch->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (batch->fd < 0 || fstat(batch->fd, &what) != 0)
		return cli_say(errno == ENOENT ? CLI_NOT_FOUND : CLI_FAILED,
		    "cannot read %s: %s", path, strerror(errno));
	if (!S_ISREG(what.st_mode))
		return cli_say(CLI_USAGE,
		    "%s is no file: it is read twice, first to count its "
		    "lines",
		    path);
	if (lines_count(batch->fd, BATCH_MAX_LINES, &batch->total, &err) != 0)
		return cli_say(CLI_FAILED, "%s: %s", path, err.text);
	if (batch->total > BATCH_MAX_LINES)
		return cli_say(CLI_USAGE, "%s has more than %d lines; split it",
		    path, BATCH_MAX_LINES);
	batch->lines = lines_new(batch->fd, BATCH_LINE_BYTES);
	return 0;
}

static int
open_output(struct batch *batch)
{
	struct synq_err err = { .code = 0 };

	if (results_open(batch->order->out, batch->seen, &batch->before,
		&batch->results, &err) != 0)
		return cli_fail(&err);
	if (results_is_file(batch->results, batch->fd))
		return cli_say(CLI_USAGE, "--file and --out are the same file");
	if (batch->before.cut_bytes > 0)
		cli_tell(batch->order->cli,
		    "%s: its last line was torn and is fetched again",
		    batch->order->out);
	if (batch->before.count > 0)
		cli_tell(batch->order->cli,
		    "%s holds %" PRIu64 " results, which are kept",
		    batch->order->out, batch->before.count);
	return 0;
}

static int
open_all(struct batch *batch)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct synq_err err = { .code = 0 };
	size_t i;
	int code;

	code = open_input(batch);
	if (code == 0)
		code = open_output(batch);
	if (code == 0 && synq_loop_new(&batch->loop, &err) != 0)
		code = cli_fail(&err);
	if (code == 0)
		code = client_open(batch->order->cli, batch->loop,
		    MAX_POSTS + BATCH_MAX_POLLS, &batch->client);
	for (i = 0; code == 0 && i < SYNQ_COUNT(signals); i++) {
		if (synq_loop_on_signal(
			batch->loop, signals[i], on_signal, batch, &err) != 0)
			code = cli_fail(&err);
	}
	return code;
}

static void
close_all(struct batch *batch)
{
	struct synq_link *link;

	while ((link = synq_list_first(&batch->items)) != NULL)
		batch_drop(SYNQ_CONTAINER(link, struct item, all));
	client_close(&batch->client);
	synq_timer_free(&batch->timer);
	synq_timer_free(&batch->tick);
	/* What was freed above is released at the end of a turn. */
	if (batch->loop != NULL)
		synq_loop_turn(batch->loop, 0);
	synq_loop_free(&batch->loop);
	results_close(&batch->results);
	lines_free(&batch->lines);
	seen_free(&batch->seen);
	synq_heap_done(&batch->later);
	if (batch->fd >= 0)
		close(batch->fd);
}

/* Run what is open to its end; returns the exit code. */
static int
run(struct batch *batch)
{
	struct synq_err err = { .code = 0 };
	int code;

	batch->start_us = synq_loop_now_us(batch->loop);
	batch->good_us = batch->start_us;
	batch->timer = synq_timer_new(batch->loop, pump, batch);
	batch->tick = synq_timer_new(batch->loop, on_tick, batch);
	synq_timer_repeat(batch->tick, TICK_US);
	progress_init(&batch->progress, batch->order->cli, batch->start_us);
	batch->progress.total = batch->total;
	batch->progress.failed = batch->before.failed;
	batch_kick(batch);
	synq_loop_run(batch->loop);

	batch->end_us = synq_loop_now_us(batch->loop);
	progress_end(&batch->progress, batch->end_us);
	if (results_sync(batch->results, &err) != 0)
		return cli_fail(&err);
	code = batch->code;
	if (code == 0 && batch->failed + batch->before.failed > 0)
		code = CLI_PARTIAL;
	if (batch->interrupted || (code != 0 && code != CLI_PARTIAL))
		(void)cli_say(CLI_FAILED,
		    "%s after %" PRIu64 " of %" PRIu64
		    " lines; what was accepted goes on. The same command goes "
		    "on from here, without doubling any",
		    batch->interrupted ? "interrupted" : "stopped",
		    batch->progress.done, batch->total);
	return code;
}

int
batch_run(const struct batch_order *order)
{
	struct batch *batch = synq_mem_new(sizeof(*batch));
	int code;

	batch->order = order;
	batch->fd = -1;
	batch->seen = seen_new();
	synq_list_init(&batch->items);
	synq_list_init(&batch->posts);
	synq_list_init(&batch->polls);
	synq_heap_init(&batch->later);
	code = open_all(batch);
	if (code == 0) {
		code = run(batch);
		summary_print(batch);
	}
	close_all(batch);
	synq_mem_free(batch);
	return code;
}
