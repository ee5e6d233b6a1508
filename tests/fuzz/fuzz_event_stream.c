/*
 * The reader of event streams on any bytes, and a writer that undoes it.  The
 * first byte chooses the pieces: what comes out must be that of the whole.  An
 * event that was read can be written and comes back as it was.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/event_stream.h"

#define MAX_LINE 256
#define MAX_DATA 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
must(int truth)
{
	if (!truth)
		abort();
}

static void
check_again(const struct synq_event *event)
{
	/* A name and a colon and a space stand before what was read. */
	static const struct synq_event_limits limits = { MAX_LINE + 16,
		MAX_DATA };
	struct synq_event_reader *reader = synq_event_reader_new(&limits);
	struct synq_event back;
	struct synq_buf out;
	struct synq_slice text;

	synq_buf_init(&out, 8 * (MAX_LINE + MAX_DATA));
	must(synq_event_write(event, &out) == 0);
	text = synq_buf_view(&out);
	must(synq_event_read(reader, &text, &back) == SYNQ_EVENT_READY);
	must(text.bytes == 0);
	must(synq_slice_equal(event->type, back.type));
	must(synq_slice_equal(event->data, back.data));
	must(synq_slice_equal(event->id, back.id));
	must(event->retry_ms == back.retry_ms);
	synq_buf_done(&out);
	synq_event_reader_free(&reader);
}

static void
keep(struct synq_buf *all, const struct synq_event *event)
{
	must(event->data.bytes <= MAX_DATA && event->id.bytes <= MAX_LINE);
	must(event->type.bytes > 0 && event->type.bytes <= MAX_LINE);
	must(event->retry_ms >= -1);
	synq_buf_slice(all, event->type);
	synq_buf_char(all, '\0');
	synq_buf_slice(all, event->id);
	synq_buf_printf(
	    all, "|%lld|%zu|", (long long)event->retry_ms, event->data.bytes);
	synq_buf_slice(all, event->data);
}

/* Read ${text} in pieces of ${step}; all that came out goes to ${all}. */
static void
run(struct synq_slice text, size_t step, struct synq_buf *all)
{
	static const struct synq_event_limits limits = { MAX_LINE, MAX_DATA };
	struct synq_event_reader *reader = synq_event_reader_new(&limits);
	enum synq_event_verdict verdict = SYNQ_EVENT_MORE;
	struct synq_event event;

	while (text.bytes > 0 && verdict != SYNQ_EVENT_REFUSED) {
		size_t n = text.bytes < step ? text.bytes : step;
		/* Exactly as large, so that reading behind it shows. */
		char *exact = malloc(n);
		struct synq_slice piece = synq_slice_of(exact, n);

		must(exact != NULL);
		memcpy(exact, text.data, n);
		while ((verdict = synq_event_read(reader, &piece, &event)) ==
		       SYNQ_EVENT_READY) {
			keep(all, &event);
			check_again(&event);
		}
		must(verdict == SYNQ_EVENT_REFUSED || piece.bytes == 0);
		free(exact);
		text = synq_slice_of(text.data + n, text.bytes - n);
	}
	if (verdict == SYNQ_EVENT_REFUSED)
		synq_buf_text(all, synq_event_reason(reader));
	synq_event_reader_free(&reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct synq_buf whole;
	struct synq_buf parts;
	struct synq_slice text;

	if (bytes < 2 || bytes > 8192)
		return 0;
	text = synq_slice_of(data + 1, bytes - 1);
	synq_buf_init(&whole, 1 << 24);
	synq_buf_init(&parts, 1 << 24);
	run(text, text.bytes, &whole);
	run(text, (size_t)data[0] % 32 + 1, &parts);
	must(!whole.overflow && !parts.overflow);
	must(synq_slice_equal(synq_buf_view(&whole), synq_buf_view(&parts)));
	synq_buf_done(&whole);
	synq_buf_done(&parts);
	return 0;
}
