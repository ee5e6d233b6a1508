/*
 * From the input to jobs in hand: a line is run, passed over because its result
 * is there, or written down as one that cannot be run.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "ctl/job/inner.h"
#include "ctl/job/lines.h"
#include "ctl/job/seen.h"
#include "json/scan.h"
#include "json/write.h"

#define MAX_BODY_BYTES (BATCH_LINE_BYTES + 65536)
#define MAX_HELD_BYTES ((size_t)64 << 20)
/* Lines read in one turn of the loop. */
#define READ_AT_ONCE 256
#define MAX_TOLD 20

/* ---- lines ---- */

/*
 * The key of the line ${text}: the same in every run over the same line, so
 * that no run doubles what another has begun.
 */
static void
make_key(const struct batch *batch, struct synq_slice custom_id,
    struct synq_slice text, char *ret, size_t room)
{
	const char *run = batch->order->run == NULL ? "" : batch->order->run;
	struct synq_buf whole;
	struct synq_buf hex;
	uint8_t hash[32];

	synq_buf_init(&whole, MAX_BODY_BYTES);
	synq_buf_init(&hex, 128);
	synq_buf_printf(&whole, "%zu %zu ", strlen(run), custom_id.bytes);
	synq_buf_text(&whole, run);
	synq_buf_slice(&whole, custom_id);
	synq_buf_slice(&whole, text);
	synq_hash(NULL, synq_buf_view(&whole), hash, sizeof(hash));
	synq_hex_encode(&hex, synq_slice_of(hash, sizeof(hash)));
	(void)snprintf(ret, room, "synq-file-%s", hex.data);
	synq_buf_done(&whole);
	synq_buf_done(&hex);
}

static void
make_body(const struct batch *batch, const struct lines_request *request,
    struct synq_buf *out)
{
	struct synq_json_writer json;

	synq_json_start(&json, out);
	synq_json_open(&json, '{');
	synq_json_key(&json, "endpoint");
	synq_json_text(&json, request->endpoint);
	synq_json_key(&json, "priority");
	synq_json_text(&json, batch->order->priority);
	if (batch->order->metadata.bytes > 0) {
		synq_json_key(&json, "metadata");
		synq_json_raw(&json, batch->order->metadata);
	}
	synq_json_key(&json, "body");
	synq_json_raw(&json, request->body);
	synq_json_close(&json, '}');
}

static void
skip(struct batch *batch)
{
	batch->skipped++;
	batch->progress.done++;
	batch->progress.before++;
}

/*
 * Write that ${line} cannot be run.  Without a custom_id of its own it is
 * known by its number and content, so that a later run does not write it
 * again.
 */
static void
refuse_line(struct batch *batch, const struct line *line,
    struct synq_slice custom_id, const struct lines_fault *fault)
{
	char id[64];
	char hash[80];
	char message[512];
	struct results_line result = {
		.custom_id = custom_id,
		.code = fault->code,
		.message = message,
	};

	make_key(batch, synq_slice_text(NULL), line->text, hash, sizeof(hash));
	(void)snprintf(
	    id, sizeof(id), "line_%" PRIu64 "_%.16s", line->number, hash + 10);
	result.id = synq_slice_text(id);
	if (custom_id.bytes == 0 &&
	    (seen_add(batch->seen, 'i', result.id, SEEN_INPUT) & SEEN_OUTPUT) !=
		0) {
		skip(batch);
		return;
	}
	(void)snprintf(message, sizeof(message), "%s:%" PRIu64 ": %s",
	    batch->order->in, line->number, fault->text);
	batch->malformed++;
	if (batch->malformed <= MAX_TOLD)
		batch_tell(batch, "%s", message);
	else if (batch->malformed == MAX_TOLD + 1)
		batch_tell(
		    batch, "more such lines are in %s", batch->order->out);
	batch_write(batch, &result);
}

/* What is known of ${custom_id}, which is met now. */
static unsigned
meet(struct batch *batch, struct synq_slice custom_id)
{
	const struct synq_json value = { SYNQ_JSON_STRING, custom_id };
	struct synq_buf plain;
	unsigned known;

	synq_buf_init(&plain, 4096);
	(void)!synq_json_string(value, &plain);
	known = seen_add(batch->seen, 'c', synq_buf_view(&plain), SEEN_INPUT);
	synq_buf_done(&plain);
	return known;
}

static void
add_item(struct batch *batch, const struct line *line,
    const struct lines_request *request)
{
	struct item *item = synq_mem_new(sizeof(*item));

	item->batch = batch;
	item->number = line->number;
	item->custom_id =
	    synq_mem_copy(request->custom_id.data, request->custom_id.bytes);
	make_key(batch, request->custom_id, line->text, item->key,
	    sizeof(item->key));
	(void)snprintf(item->id, sizeof(item->id), "line_%" PRIu64 "_%.16s",
	    line->number, item->key + 10);
	synq_buf_init(&item->body, MAX_BODY_BYTES);
	make_body(batch, request, &item->body);
	batch->held_bytes += item->body.bytes;
	synq_list_push(&batch->items, &item->all);
	synq_list_push(&batch->posts, &item->queue);
}

static void
take_line(struct batch *batch, const struct line *line)
{
	struct lines_fault fault = { .code = "line_too_long" };
	struct lines_request request = { .endpoint = NULL };
	unsigned known = 0;
	int rc = -1;

	if (line->is_too_long)
		(void)snprintf(fault.text, sizeof(fault.text),
		    "longer than %zu bytes", BATCH_LINE_BYTES);
	else
		rc = lines_parse(line->text, &request, &fault);
	if (request.custom_id.bytes > 0)
		known = meet(batch, request.custom_id);
	if ((known & SEEN_INPUT) != 0) {
		fault.code = "duplicate_custom_id";
		(void)snprintf(fault.text, sizeof(fault.text),
		    "custom_id %.*s stands in an earlier line",
		    (int)(request.custom_id.bytes > 100
			      ? 100
			      : request.custom_id.bytes),
		    request.custom_id.data);
		/* Its name belongs to the earlier line. */
		refuse_line(batch, line, synq_slice_text(NULL), &fault);
	} else if ((known & SEEN_OUTPUT) != 0) {
		skip(batch);
	} else if (rc != 0) {
		refuse_line(batch, line, request.custom_id, &fault);
	} else {
		add_item(batch, line, &request);
	}
}

/* Fill the window. */
void
feed_read(struct batch *batch)
{
	struct synq_err err = { .code = 0 };
	struct line line;
	int count = 0;
	int rc;

	while (!batch->at_end && batch->items.count < batch->order->window &&
	       batch->held_bytes < MAX_HELD_BYTES) {
		if (count++ == READ_AT_ONCE) {
			batch_kick(batch);
			return;
		}
		rc = lines_next(batch->lines, &line, &err);
		if (rc == 1) {
			take_line(batch, &line);
			continue;
		}
		batch->at_end = 1;
		if (rc != 0) {
			batch_tell(batch, "%s: %s", batch->order->in, err.text);
			batch_stop(batch, CLI_FAILED);
		}
	}
}
