/*
 * The buffer holds what was read and not yet given out; a line that does not
 * fit is thrown away up to its end, so that memory stays bounded whatever the
 * file holds.
 */

#include "ctl/job/lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "proto/request.h"
#include "json/scan.h"

#define READ_BYTES ((size_t)256 * 1024)
#define CUSTOM_ID_MAX_BYTES 1024

struct lines {
	int fd;
	size_t max_bytes;
	struct synq_buf buf;
	size_t given;    /* bytes of buf that the last line used */
	size_t searched; /* bytes of buf without a line's end */
	uint64_t number;
	uint64_t offset; /* of buf's first byte */
	uint64_t start;  /* of the line that is being read */
	int at_end;
	int overlong; /* the line that is being read is too long */
};

struct lines *
lines_new(int fd, size_t max_bytes)
{
	struct lines *lines = synq_mem_new(sizeof(*lines));

	lines->fd = fd;
	lines->max_bytes = max_bytes;
	synq_buf_init(&lines->buf, max_bytes + 2 * READ_BYTES);
	return lines;
}

void
lines_free(struct lines **lines)
{
	if (*lines == NULL)
		return;
	synq_buf_done(&(*lines)->buf);
	synq_mem_free(*lines);
	*lines = NULL;
}

static int
is_blank(struct synq_slice text)
{
	size_t i;

	for (i = 0; i < text.bytes; i++) {
		if (strchr(" \t\r\n", text.data[i]) == NULL ||
		    text.data[i] == '\0')
			return 0;
	}
	return 1;
}

/* Read at ${offset} of ${fd}, again if a signal came.  Error: SYSTEM. */
static int
read_at(int fd, char *data, uint64_t offset, size_t *ret, struct synq_err *err)
{
	ssize_t n;

	do {
		n = pread(fd, data, READ_BYTES, (off_t)offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return synq_fail(
		    err, SYNQ_E_SYSTEM, "cannot read: %s", strerror(errno));
	*ret = (size_t)n;
	return 0;
}

/* Read one more piece.  Error: SYSTEM. */
static int
fill(struct lines *lines, struct synq_err *err)
{
	char *room = synq_buf_reserve(&lines->buf, READ_BYTES);
	size_t n;
	int rc;

	rc =
	    read_at(lines->fd, room, lines->offset + lines->buf.bytes, &n, err);
	if (rc != 0)
		return rc;
	lines->buf.bytes += n;
	lines->at_end = n == 0;
	return 0;
}

static void
drop(struct lines *lines, size_t bytes)
{
	synq_buf_consume(&lines->buf, bytes);
	lines->offset += bytes;
	lines->searched = 0;
}

/* The line that ends at ${bytes} of the buffer. */
static void
give(struct lines *lines, size_t bytes, struct line *ret)
{
	static const char mark[] = "\xef\xbb\xbf";

	lines->number++;
	*ret = (struct line){
		.number = lines->number,
		.offset = lines->start,
		.text = synq_slice_of(lines->buf.data, bytes),
		.is_too_long = lines->overlong || bytes > lines->max_bytes,
		.is_torn = bytes == lines->buf.bytes,
	};
	lines->given = bytes + !ret->is_torn;
	lines->overlong = 0;
	if (lines->number == 1 && synq_slice_starts(ret->text, mark)) {
		ret->text.data += 3;
		ret->text.bytes -= 3;
	}
	if (ret->is_too_long)
		ret->text.bytes = 0;
	if (ret->text.bytes > 0 && ret->text.data[ret->text.bytes - 1] == '\r')
		ret->text.bytes--;
}

int
lines_next(struct lines *lines, struct line *ret, struct synq_err *err)
{
	const char *lf;
	int rc;

	for (;;) {
		if (lines->given > 0) {
			drop(lines, lines->given);
			lines->start = lines->offset;
		}
		lines->given = 0;
		lf = NULL;
		if (lines->buf.bytes > lines->searched)
			lf = memchr(lines->buf.data + lines->searched, '\n',
			    lines->buf.bytes - lines->searched);
		if (lf != NULL) {
			give(lines, (size_t)(lf - lines->buf.data), ret);
		} else if (lines->at_end) {
			if (lines->buf.bytes == 0 && !lines->overlong)
				return 0;
			give(lines, lines->buf.bytes, ret);
		} else {
			lines->searched = lines->buf.bytes;
			if (lines->buf.bytes > lines->max_bytes) {
				lines->overlong = 1;
				drop(lines, lines->buf.bytes);
			}
			rc = fill(lines, err);
			if (rc != 0)
				return rc;
			continue;
		}
		if (ret->is_too_long || !is_blank(ret->text))
			return 1;
	}
}

int
lines_count(int fd, uint64_t max, uint64_t *ret, struct synq_err *err)
{
	char *piece = synq_mem_new(READ_BYTES);
	uint64_t offset = 0;
	uint64_t count = 0;
	int in_line = 0; /* something was seen since the last end */
	size_t n = 0;
	size_t i;
	int rc;

	do {
		rc = read_at(fd, piece, offset, &n, err);
		offset += rc == 0 ? n : 0;
		for (i = 0; rc == 0 && i < n; i++) {
			if (piece[i] == '\n')
				in_line = 0;
			else if (!in_line && strchr(" \t\r", piece[i]) == NULL)
				count += (uint64_t)(in_line = 1);
		}
	} while (rc == 0 && n > 0 && count <= max);
	synq_mem_free(piece);
	if (rc == 0)
		*ret = count;
	return rc;
}

/* ---- what a line says ---- */

static int SYNQ_PRINTF(3, 4)
    complain(struct lines_fault *fault, const char *code, const char *fmt, ...)
{
	va_list args;

	fault->code = code;
	va_start(args, fmt);
	(void)vsnprintf(fault->text, sizeof(fault->text), fmt, args);
	va_end(args);
	return -1;
}

static int
parse_custom_id(
    struct synq_json line, struct lines_request *ret, struct lines_fault *fault)
{
	const struct synq_json id = synq_json_member(line, "custom_id");

	if (id.type == SYNQ_JSON_NONE || id.type == SYNQ_JSON_NULL)
		return complain(fault, "missing_required_parameter",
		    "custom_id is missing");
	if (id.type != SYNQ_JSON_STRING || id.raw.bytes <= 2)
		return complain(fault, "invalid_value",
		    "custom_id must be a string that is not empty");
	if (id.raw.bytes > CUSTOM_ID_MAX_BYTES)
		return complain(fault, "invalid_value",
		    "custom_id is longer than %d bytes", CUSTOM_ID_MAX_BYTES);
	ret->custom_id = id.raw;
	return 0;
}

static int
parse_url(
    struct synq_json line, struct lines_request *ret, struct lines_fault *fault)
{
	const struct synq_json url = synq_json_member(line, "url");
	enum synq_endpoint endpoint;
	struct synq_slice path;

	if (url.type == SYNQ_JSON_NONE)
		return complain(
		    fault, "missing_required_parameter", "url is missing");
	if (synq_json_plain(url, &path) != 0 ||
	    synq_endpoint_parse(path, &endpoint) != 0)
		return complain(fault, "invalid_url",
		    "url must be /v1/chat/completions, /v1/completions or "
		    "/v1/embeddings");
	ret->endpoint = synq_endpoint_path(endpoint);
	return 0;
}

int
lines_parse(struct synq_slice text, struct lines_request *ret,
    struct lines_fault *fault)
{
	struct synq_json_fault where;
	struct synq_json line;
	struct synq_json value;

	*ret = (struct lines_request){ .endpoint = NULL };
	if (synq_json_parse(text, &line, &where) != 0)
		return complain(fault, "invalid_json_line",
		    "not valid JSON: %s (column %u)", where.reason,
		    where.column);
	if (line.type != SYNQ_JSON_OBJECT)
		return complain(
		    fault, "invalid_json_line", "not a JSON object");
	if (parse_custom_id(line, ret, fault) != 0)
		return -1;
	value = synq_json_member(line, "method");
	if (!synq_json_is(value, "POST"))
		return complain(fault,
		    value.type == SYNQ_JSON_NONE ? "missing_required_parameter"
						 : "invalid_value",
		    "method must be \"POST\"");
	if (parse_url(line, ret, fault) != 0)
		return -1;
	value = synq_json_member(line, "body");
	if (value.type != SYNQ_JSON_OBJECT)
		return complain(fault, "missing_required_parameter",
		    "body must be a JSON object");
	ret->body = value.raw;
	return 0;
}
