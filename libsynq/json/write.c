/*
 * The writer has no stack: a bracket and a name clear the need for a comma, a
 * value and a closing bracket set it, and that is all there is to know.
 *
 * Every append may overflow the buffer, which then says so itself; what is in
 * it is not JSON any more and must not be used.
 */

#include "json/write.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "json/span.h"

#define MAX_DECIMALS 17

void
synq_json_start(struct synq_json_writer *writer, struct synq_buf *out)
{
	writer->out = out;
	writer->comma = 0;
}

/* Put the comma that a value needs before it; the next one needs one too. */
static void
begin_value(struct synq_json_writer *writer)
{
	if (writer->comma)
		synq_buf_char(writer->out, ',');
	writer->comma = 1;
}

void
synq_json_open(struct synq_json_writer *writer, char bracket)
{
	begin_value(writer);
	synq_buf_char(writer->out, bracket);
	writer->comma = 0;
}

void
synq_json_close(struct synq_json_writer *writer, char bracket)
{
	synq_buf_char(writer->out, bracket);
	writer->comma = 1;
}

/* Write the character ${c}, which may not stand for itself. */
static void
put_escape(struct synq_buf *out, char c)
{
	static const char from[] = "\"\\\b\f\n\r\t";
	static const char to[] = "\"\\bfnrt";
	const char *found = c ? strchr(from, c) : NULL;
	char two[2] = { '\\', found ? to[found - from] : 'u' };

	if (found)
		synq_buf_add(out, two, sizeof(two));
	else
		synq_buf_printf(out, "\\u%04x", (unsigned char)c);
}

static void
put_string(struct synq_buf *out, struct synq_slice text)
{
	const char *at = text.data ? text.data : "";
	const char *end = at + text.bytes;

	synq_buf_char(out, '"');
	if (synq_json_span(at, end) == end) { /* as nearly always */
		synq_buf_add(out, at, text.bytes);
		synq_buf_char(out, '"');
		return;
	}
	while (at < end) {
		const char *stop = synq_json_span(at, end);

		synq_buf_add(out, at, (size_t)(stop - at));
		at = stop;
		if (at == end)
			break;
		if (!(*at & 0x80)) {
			put_escape(out, *at++);
			continue;
		}
		size_t bytes = synq_utf8_length(at, (size_t)(end - at));
		if (bytes > 0)
			synq_buf_add(out, at, bytes);
		else
			synq_buf_text(out, "\xef\xbf\xbd");
		at += bytes ? bytes : 1;
	}
	synq_buf_char(out, '"');
}

void
synq_json_key(struct synq_json_writer *writer, const char *name)
{
	begin_value(writer);
	put_string(writer->out, synq_slice_text(name));
	synq_buf_char(writer->out, ':');
	writer->comma = 0;
}

void
synq_json_text(struct synq_json_writer *writer, const char *text)
{
	if (text)
		synq_json_slice(writer, synq_slice_text(text));
	else
		synq_json_null(writer);
}

void
synq_json_slice(struct synq_json_writer *writer, struct synq_slice slice)
{
	begin_value(writer);
	put_string(writer->out, slice);
}

void
synq_json_i64(struct synq_json_writer *writer, int64_t number)
{
	begin_value(writer);
	synq_buf_i64(writer->out, number);
}

void
synq_json_f64(struct synq_json_writer *writer, double number, int decimals)
{
	if (!isfinite(number)) {
		synq_json_null(writer);
		return;
	}
	if (decimals < 0 || decimals > MAX_DECIMALS)
		decimals = decimals < 0 ? 0 : MAX_DECIMALS;
	begin_value(writer);
	synq_buf_printf(writer->out, "%.*f", decimals, number);
}

void
synq_json_truth(struct synq_json_writer *writer, int truth)
{
	begin_value(writer);
	synq_buf_text(writer->out, truth ? "true" : "false");
}

void
synq_json_null(struct synq_json_writer *writer)
{
	begin_value(writer);
	synq_buf_text(writer->out, "null");
}

void
synq_json_raw(struct synq_json_writer *writer, struct synq_slice json)
{
	begin_value(writer);
	synq_buf_slice(writer->out, json);
}
