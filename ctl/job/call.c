/*
 * The calls of a line: submit it, then ask for its result.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "base/list.h"
#include "ctl/client.h"
#include "ctl/job/inner.h"
#include "loop/loop.h"
#include "json/scan.h"

#define POST_LIMIT_MS 30000
#define POLL_SLACK_MS 15000
#define WAIT_LONG_S 30
#define WAIT_SHORT_S 2
/* A 500 may be this request's own fault. */
#define MAX_BROKEN_ANSWERS 5
#define COME_BACK_US 500000
/* Without a first answer the address is probably wrong. */
#define FIRST_PATIENCE_US 15000000

/* The end of ${item}: ${answer} is the one that counts. */
static void
item_end(struct item *item, const struct client_answer *answer)
{
	struct batch *batch = item->batch;
	const struct results_line line = {
		.id = synq_slice_text(item->id),
		.custom_id = synq_slice_text(item->custom_id),
		.status = answer->rc == 0 ? answer->status : 0,
		.request_id = answer->request_id,
		.body = answer->body,
		.code = answer->rc == 0 ? NULL : "no_answer",
		.message = answer->error,
	};

	batch_write(batch, &line);
	stats_add(
	    &batch->stats, synq_loop_now_us(batch->loop) - item->start_us);
	batch_drop(item);
}

/* ---- trouble ---- */

/* Put ${item} back to where it came from, before the others. */
static void
put_back(struct item *item)
{
	struct batch *batch = item->batch;

	synq_list_unshift(
	    item->is_accepted ? &batch->polls : &batch->posts, &item->queue);
	batch->repeated++;
}

static void
come_back_later(struct item *item)
{
	struct batch *batch = item->batch;

	batch->repeated++;
	synq_heap_push(&batch->later, &item->due,
	    synq_loop_now_us(batch->loop) + COME_BACK_US);
}

/* No answer worth the name came: go on, or give up? */
static void
on_trouble(struct item *item, const struct client_answer *answer)
{
	struct batch *batch = item->batch;
	const uint64_t now_us = synq_loop_now_us(batch->loop);
	uint64_t patience_us = batch->order->patience_us;
	struct synq_buf text;

	if (answer->rc == 0 && answer->status == 500 &&
	    ++item->broken >= MAX_BROKEN_ANSWERS) {
		item_end(item, answer);
		return;
	}
	put_back(item);
	if (!batch->answered && patience_us > FIRST_PATIENCE_US)
		patience_us = FIRST_PATIENCE_US;
	if (batch->stopped || now_us - batch->good_us < patience_us)
		return;
	synq_buf_init(&text, 2048);
	if (answer->rc != 0)
		synq_buf_text(&text, answer->error);
	else
		client_error_text(answer->status, answer->body, &text);
	batch_tell(batch, "%s does not answer: %s",
	    client_address(batch->client, 0), text.data);
	batch_stop(batch, CLI_UNAVAILABLE);
	synq_buf_done(&text);
}

/* 1 if ${answer} ends the whole run, which is told then. */
static int
is_fatal(struct item *item, const struct client_answer *answer)
{
	struct batch *batch = item->batch;
	struct synq_buf text;

	if (answer->status != 401 && answer->status != 403)
		return 0;
	synq_buf_init(&text, 2048);
	client_error_text(answer->status, answer->body, &text);
	put_back(item);
	if (!batch->stopped)
		batch_tell(batch, "%s", text.data);
	batch_stop(batch, CLI_AUTH);
	synq_buf_done(&text);
	return 1;
}

/* The first look at every answer: 1 if there is nothing more to do. */
static int
is_settled(struct item *item, const struct client_answer *answer)
{
	struct batch *batch = item->batch;

	item->call = NULL;
	batch_kick(batch);
	if (client_is_passing(answer)) {
		on_trouble(item, answer);
		return 1;
	}
	batch->answered = 1;
	batch->good_us = synq_loop_now_us(batch->loop);
	if (answer->rc != 0) {
		item_end(item, answer);
		return 1;
	}
	return !answer->is_result && is_fatal(item, answer);
}

/* ---- asking for the result ---- */

static void
on_poll(void *ctx, const struct client_answer *answer)
{
	struct item *item = ctx;
	struct batch *batch = item->batch;

	batch->polling--;
	if (is_settled(item, answer))
		return;
	if (answer->status == 202 && !answer->is_result)
		synq_list_push(&batch->polls, &item->queue);
	else
		item_end(item, answer);
}

int
call_poll(struct item *item)
{
	struct batch *batch = item->batch;
	const int wait_s =
	    batch->polls.count > BATCH_MAX_POLLS ? WAIT_SHORT_S : WAIT_LONG_S;
	char path[160];
	const struct client_request request = {
		.method = "GET",
		.path = path,
		.limit_ms = (uint32_t)wait_s * 1000 + POLL_SLACK_MS,
		.done = on_poll,
		.ctx = item,
	};

	(void)snprintf(
	    path, sizeof(path), "/v1/jobs/%s/result?wait=%d", item->id, wait_s);
	return client_start(batch->client, &request, &item->call, &batch->err);
}

/* ---- submitting ---- */

/* The id in the answer ${body}; 0, or -1 if there is none. */
static int
take_job_id(struct item *item, struct synq_slice body)
{
	struct synq_json job;
	struct synq_slice id;
	size_t i;

	if (synq_json_parse(body, &job, NULL) != 0 ||
	    synq_json_plain(synq_json_member(job, "id"), &id) != 0 ||
	    id.bytes == 0 || id.bytes >= sizeof(item->id))
		return -1;
	/* It becomes part of a path. */
	for (i = 0; i < id.bytes; i++) {
		if (strchr("/?#% ", id.data[i]) != NULL)
			return -1;
	}
	memcpy(item->id, id.data, id.bytes);
	item->id[id.bytes] = '\0';
	return 0;
}

/* 1 if the error in ${answer} has the code ${code}. */
static int
has_code(const struct client_answer *answer, const char *code)
{
	struct synq_json body;

	return synq_json_parse(answer->body, &body, NULL) == 0 &&
	       synq_json_is(synq_json_path(body, "error.code"), code);
}

/* The key of ${item} names a job with another body. */
static void
refuse_other_flags(struct item *item)
{
	struct batch *batch = item->batch;

	put_back(item);
	if (!batch->stopped)
		batch_tell(batch,
		    "%s:%" PRIu64 ": this line was submitted within the last "
		    "24 hours with another --priority or --metadata; go on "
		    "with the same flags, or run it as something new with "
		    "--run NAME",
		    batch->order->in, item->number);
	batch_stop(batch, CLI_USAGE);
}

static void
on_post(void *ctx, const struct client_answer *answer)
{
	struct item *item = ctx;
	struct batch *batch = item->batch;

	batch->posting--;
	if (is_settled(item, answer))
		return;
	if (answer->status == 202 && take_job_id(item, answer->body) == 0) {
		item->is_accepted = 1;
		batch_drop_body(item);
		synq_list_push(&batch->polls, &item->queue);
	} else if (answer->status == 409 &&
		   has_code(answer, "idempotency_key_in_use")) {
		come_back_later(item);
	} else if (answer->status == 422 &&
		   has_code(answer, "idempotency_key_reused")) {
		refuse_other_flags(item);
	} else {
		item_end(item, answer);
	}
}

int
call_post(struct item *item)
{
	const struct client_request request = {
		.method = "POST",
		.path = "/v1/jobs",
		.key = item->key,
		.body = synq_buf_view(&item->body),
		.limit_ms = POST_LIMIT_MS,
		.done = on_post,
		.ctx = item,
	};

	return client_start(
	    item->batch->client, &request, &item->call, &item->batch->err);
}
