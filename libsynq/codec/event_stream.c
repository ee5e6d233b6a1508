/*
 * Happy path: collect bytes up to a line end; judge the line; an empty one
 * dispatches what data there is.
 *
 * A CR ends its line at once, so that an event is not held up until the next
 * byte arrives; a LF right behind it belongs to it.  The BOM stands in front of
 * the first line only, so the first line is where it is looked for.
 *
 * Failure modes: a line or an event beyond its limit, bytes that are not UTF-8;
 * each ends the reader, because what follows cannot be told apart any more.
 */

#include "codec/event_stream.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define MAX_RETRY_MS ((uint64_t)INT64_MAX)
#define BOM "\xef\xbb\xbf"
#define BOM_BYTES 3

struct synq_event_reader {
	struct synq_buf line; /* so far, without its end */
	struct synq_buf data; /* so far, a LF behind each line */
	struct synq_buf type;
	struct synq_buf id; /* of the stream */
	int64_t retry_ms;
	int begun;    /* the first line is complete */
	int after_cr; /* a LF now belongs to the line end before */
	int shown;    /* data and type were lent: they begin anew */
	const char *reason;
};

struct synq_event_reader *
synq_event_reader_new(const struct synq_event_limits *limits)
{
	struct synq_event_reader *reader = synq_mem_new(sizeof(*reader));

	/* The BOM is no part of the first line. */
	synq_buf_init(&reader->line, limits->max_line_bytes + BOM_BYTES);
	synq_buf_init(&reader->data, limits->max_data_bytes + 1);
	synq_buf_init(&reader->type, limits->max_line_bytes);
	synq_buf_init(&reader->id, limits->max_line_bytes);
	reader->retry_ms = -1;
	return reader;
}

void
synq_event_reader_free(struct synq_event_reader **reader)
{
	struct synq_event_reader *self = *reader;

	if (self == NULL)
		return;
	synq_buf_done(&self->line);
	synq_buf_done(&self->data);
	synq_buf_done(&self->type);
	synq_buf_done(&self->id);
	synq_mem_free(self);
	*reader = NULL;
}

const char *
synq_event_reason(const struct synq_event_reader *reader)
{
	return reader->reason;
}

/* Take what stands before the next line end in ${input}; 1 if there is one. */
static int
take_line(struct synq_event_reader *reader, struct synq_slice *input)
{
	size_t n = 0;
	size_t end;

	if (reader->after_cr && input->data[0] == '\n') {
		*input = synq_slice_of(input->data + 1, input->bytes - 1);
		reader->after_cr = 0;
		return 0;
	}
	reader->after_cr = 0;
	while (n < input->bytes && input->data[n] != '\n' &&
	       input->data[n] != '\r')
		n++;
	if (synq_buf_add(&reader->line, input->data, n) != 0)
		reader->reason = "a line is too long";
	end = n < input->bytes;
	reader->after_cr = end && input->data[n] == '\r';
	n += end;
	*input = synq_slice_of(input->data + n, input->bytes - n);
	return end != 0;
}

static void
take_data(struct synq_event_reader *reader, struct synq_slice value)
{
	if (synq_buf_slice(&reader->data, value) != 0 ||
	    synq_buf_char(&reader->data, '\n') != 0)
		reader->reason = "the data of an event is too large";
}

static void
take_field(struct synq_event_reader *reader, struct synq_slice name,
    struct synq_slice value)
{
	uint64_t ms;

	if (synq_slice_is(name, "data")) {
		take_data(reader, value);
	} else if (synq_slice_is(name, "event")) {
		synq_buf_clear(&reader->type);
		(void)synq_buf_slice(&reader->type, value);
	} else if (synq_slice_is(name, "id")) {
		if (value.bytes > 0 && memchr(value.data, 0, value.bytes))
			return;
		synq_buf_clear(&reader->id);
		(void)synq_buf_slice(&reader->id, value);
	} else if (synq_slice_is(name, "retry")) {
		if (synq_slice_u64(value, MAX_RETRY_MS, &ms) == 0)
			reader->retry_ms = (int64_t)ms;
	}
}

/* Judge the complete line ${line}, which is not empty. */
static void
judge_line(struct synq_event_reader *reader, struct synq_slice line)
{
	const char *colon = memchr(line.data, ':', line.bytes);
	struct synq_slice value = synq_slice_of(line.data + line.bytes, 0);
	size_t name = line.bytes;

	if (!synq_slice_utf8(line)) {
		reader->reason = "a line is not valid UTF-8";
		return;
	}
	if (colon != NULL) {
		name = (size_t)(colon - line.data);
		value = synq_slice_of(colon + 1, line.bytes - name - 1);
		if (value.bytes > 0 && value.data[0] == ' ')
			value = synq_slice_of(value.data + 1, value.bytes - 1);
	}
	if (name > 0)
		take_field(reader, synq_slice_of(line.data, name), value);
}

/* The line in hand, without a BOM and checked against its limit. */
static struct synq_slice
view_line(struct synq_event_reader *reader)
{
	struct synq_slice line = synq_buf_view(&reader->line);

	if (!reader->begun && synq_slice_starts(line, BOM))
		return synq_slice_of(
		    line.data + BOM_BYTES, line.bytes - BOM_BYTES);
	if (line.bytes > reader->line.max_bytes - BOM_BYTES)
		reader->reason = "a line is too long";
	return line;
}

/* An empty line: 1 and ${ret} if there is an event, else 0. */
static int
dispatch(struct synq_event_reader *reader, struct synq_event *ret)
{
	const struct synq_slice data = synq_buf_view(&reader->data);

	reader->shown = 1;
	if (data.bytes == 0)
		return 0;
	ret->data = synq_slice_of(data.data, data.bytes - 1);
	ret->type = synq_buf_view(&reader->type);
	if (ret->type.bytes == 0)
		ret->type = synq_slice_text("message");
	ret->id = synq_buf_view(&reader->id);
	ret->retry_ms = reader->retry_ms;
	return 1;
}

enum synq_event_verdict
synq_event_read(struct synq_event_reader *reader, struct synq_slice *input,
    struct synq_event *ret)
{
	while (reader->reason == NULL && input->bytes > 0) {
		const int complete = take_line(reader, input);
		const struct synq_slice line = view_line(reader);

		if (reader->reason != NULL || !complete)
			continue;
		if (reader->shown) {
			synq_buf_clear(&reader->data);
			synq_buf_clear(&reader->type);
			reader->shown = 0;
		}
		if (line.bytes > 0)
			judge_line(reader, line);
		reader->begun = 1;
		synq_buf_clear(&reader->line);
		if (line.bytes == 0 && dispatch(reader, ret))
			return SYNQ_EVENT_READY;
	}
	return reader->reason ? SYNQ_EVENT_REFUSED : SYNQ_EVENT_MORE;
}

/* ---- writing ---- */

static int
has_line_end(struct synq_slice text)
{
	return text.bytes > 0 &&
	       (memchr(text.data, '\n', text.bytes) != NULL ||
		   memchr(text.data, '\r', text.bytes) != NULL);
}

/* Append each line of ${text} to ${out}, ${front} before it. */
static void
write_lines(struct synq_buf *out, const char *front, struct synq_slice text)
{
	size_t n = 0;

	for (;;) {
		while (n < text.bytes && text.data[n] != '\n' &&
		       text.data[n] != '\r')
			n++;
		(void)synq_buf_text(out, front);
		(void)synq_buf_add(out, text.data, n);
		(void)synq_buf_char(out, '\n');
		if (n == text.bytes)
			return;
		if (text.data[n] == '\r' && n + 1 < text.bytes &&
		    text.data[n + 1] == '\n')
			n++;
		text = synq_slice_of(text.data + n + 1, text.bytes - n - 1);
		n = 0;
	}
}

int
synq_event_write(const struct synq_event *event, struct synq_buf *out)
{
	const struct synq_slice id = event->id;

	if (has_line_end(event->type) || has_line_end(id) ||
	    (id.bytes > 0 && memchr(id.data, 0, id.bytes) != NULL) ||
	    !synq_slice_utf8(event->type) || !synq_slice_utf8(id) ||
	    !synq_slice_utf8(event->data))
		return -SYNQ_E_INVALID;
	if (event->type.bytes > 0 && !synq_slice_is(event->type, "message"))
		write_lines(out, "event: ", event->type);
	if (id.bytes > 0)
		write_lines(out, "id: ", id);
	if (event->retry_ms >= 0)
		(void)synq_buf_printf(
		    out, "retry: %lld\n", (long long)event->retry_ms);
	write_lines(out, "data: ", event->data);
	(void)synq_buf_char(out, '\n');
	return out->overflow ? -SYNQ_E_TOO_LARGE : 0;
}

int
synq_event_write_comment(struct synq_slice text, struct synq_buf *out)
{
	if (!synq_slice_utf8(text))
		return -SYNQ_E_INVALID;
	write_lines(out, ": ", text);
	return out->overflow ? -SYNQ_E_TOO_LARGE : 0;
}
