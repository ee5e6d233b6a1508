/*
 * A line is built in a buffer on the stack and leaves with one write, which a
 * pipe takes whole up to 4 KiB; so lines of threads and processes that share
 * stderr never mix.
 *
 * The line stays valid JSON whatever happens: a text is escaped, cut at
 * VALUE_BYTES, and a field that does not fit is left out.  What cannot be
 * written is lost; a log never stops the work.
 */

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"
#include "base/uuid.h"

#define LINE_BYTES 4096
/* Longest value, escaped, so that one cannot crowd out the others. */
#define VALUE_BYTES 1024
/* "}\n" must always fit. */
#define END_BYTES 2

struct line {
	char data[LINE_BYTES];
	size_t bytes;
	int full; /* 1 after something did not fit */
};

static const char *program = "synq";
static enum synq_log_level lowest = SYNQ_LOG_INFO;
static int readable;

static const char *
level_name(enum synq_log_level level)
{
	switch (level) {
	case SYNQ_LOG_DEBUG:
		return "debug";
	case SYNQ_LOG_INFO:
		return "info";
	case SYNQ_LOG_WARN:
		return "warn";
	case SYNQ_LOG_ERROR:
		return "error";
	}
	return "error";
}

void
synq_log_setup(const char *component, enum synq_log_level level)
{
	program = component;
	lowest = level;
	readable = isatty(STDERR_FILENO);
}

int
synq_log_wants(enum synq_log_level level)
{
	return level >= lowest;
}

static void
put(struct line *line, const char *data, size_t bytes)
{
	if (bytes > LINE_BYTES - END_BYTES - line->bytes) {
		line->full = 1;
		return;
	}
	memcpy(line->data + line->bytes, data, bytes);
	line->bytes += bytes;
}

static void
put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

/*
 * Write the character of ${bytes} bytes at ${at} (0 = no valid one) as it may
 * stand in a string into ${ret}.  Control characters are escaped in both
 * forms, the C1 ones too: a terminal would obey them.
 */
static size_t
escape(const char *at, size_t bytes, char ret[8])
{
	unsigned char c = (unsigned char)at[0];
	int is_c1 = bytes == 2 && c == 0xc2 && (unsigned char)at[1] < 0xa0;

	if (bytes == 0)
		return synq_utf8_encode(0xfffd, ret);
	if (c == '"' || c == '\\') {
		ret[0] = '\\';
		ret[1] = (char)c;
		return 2;
	}
	if (c < 0x20 || c == 0x7f || is_c1) {
		unsigned code = is_c1 ? (unsigned char)at[1] : c;

		return (size_t)snprintf(ret, 8, "\\u%04x", code);
	}
	memcpy(ret, at, bytes);
	return bytes;
}

static void
put_string(struct line *line, struct synq_slice text)
{
	static const char cut[] = "\xe2\x80\xa6"; /* an ellipsis */
	size_t end = line->bytes + VALUE_BYTES;
	char one[8];

	put(line, "\"", 1);
	if (end > LINE_BYTES - END_BYTES - sizeof(cut))
		end = LINE_BYTES - END_BYTES - sizeof(cut);
	for (size_t i = 0; i < text.bytes;) {
		size_t bytes = synq_utf8_length(text.data + i, text.bytes - i);
		size_t escaped = escape(text.data + i, bytes, one);

		if (line->bytes + escaped > end) {
			put_text(line, cut);
			break;
		}
		put(line, one, escaped);
		i += bytes ? bytes : 1;
	}
	put(line, "\"", 1);
}

/* 1 if ${text} reads well on a terminal without quotes. */
static int
is_plain(struct synq_slice text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		char c = text.data[i];

		if (c <= ' ' || c > '~' || strchr("\"\\=", c))
			return 0;
	}
	return text.bytes > 0 && text.bytes < VALUE_BYTES;
}

static void
put_value(struct line *line, struct synq_slice text)
{
	if (readable && is_plain(text))
		put(line, text.data, text.bytes);
	else
		put_string(line, text);
}

static void
put_error(struct line *line, const struct synq_err *err)
{
	if (err && err->code)
		put_value(line, synq_slice_text(err->text));
	else
		put_text(line, "null");
}

static void
put_uuid(struct line *line, const struct synq_uuid *id)
{
	char text[SYNQ_UUID_CHARS + 1];

	if (!id) {
		put_text(line, "null");
		return;
	}
	synq_uuid_format(id, text);
	put_value(line, synq_slice_text(text));
}

static void
put_field_value(struct line *line, const struct synq_field *field)
{
	char number[24];

	switch (field->type) {
	case SYNQ_FIELD_TEXT:
		put_value(line, field->value.text);
		return;
	case SYNQ_FIELD_INT:
		snprintf(number, sizeof(number), "%" PRId64, field->value.i64);
		put_text(line, number);
		return;
	case SYNQ_FIELD_UINT:
		snprintf(number, sizeof(number), "%" PRIu64, field->value.u64);
		put_text(line, number);
		return;
	case SYNQ_FIELD_UUID:
		put_uuid(line, field->value.ptr);
		return;
	case SYNQ_FIELD_ERR:
		put_error(line, field->value.ptr);
		return;
	case SYNQ_FIELD_END:
		return;
	}
}

/* Add ${field}, or nothing at all if it does not fit. */
static void
put_field(struct line *line, const struct synq_field *field)
{
	size_t before = line->bytes;

	if (readable) {
		put_text(line, " ");
		put_text(line, field->name);
		put_text(line, "=");
	} else {
		put_text(line, ",\"");
		put_text(line, field->name);
		put_text(line, "\":");
	}
	put_field_value(line, field);
	if (line->full) {
		line->bytes = before;
		line->full = 0;
	}
}

static void
put_head(struct line *line, enum synq_log_level level, const char *event)
{
	struct synq_field head[] = {
		SYNQ_F_TEXT("level", level_name(level)),
		SYNQ_F_TEXT("component", program),
		SYNQ_F_TEXT("event", event),
	};
	char now[28];

	synq_clock_format(synq_clock_wall_us(), now);
	if (readable) {
		char start[64];

		/* The time of day in UTC, to the millisecond. */
		snprintf(start, sizeof(start), "%.12sZ %-5s ", now + 11,
		    level_name(level));
		put_text(line, start);
		put_text(line, program);
		put_text(line, " ");
		put_text(line, event);
		return;
	}
	put_text(line, "{\"ts\":\"");
	put_text(line, now);
	put_text(line, "\"");
	for (size_t i = 0; i < SYNQ_COUNT(head); i++)
		put_field(line, &head[i]);
}

void
synq_log_write(enum synq_log_level level, const char *event,
    const struct synq_field *fields)
{
	struct line line;
	int kept_errno = errno;

	if (!synq_log_wants(level))
		return;
	line.bytes = 0;
	line.full = 0;
	put_head(&line, level, event);
	for (; fields->type != SYNQ_FIELD_END; fields++)
		put_field(&line, fields);
	if (!readable)
		line.data[line.bytes++] = '}';
	line.data[line.bytes++] = '\n';

	ssize_t written;
	do {
		written = write(STDERR_FILENO, line.data, line.bytes);
	} while (written < 0 && errno == EINTR);
	errno = kept_errno;
}
