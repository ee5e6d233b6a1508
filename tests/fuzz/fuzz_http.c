/*
 * The request parser on any bytes.  The first byte chooses how the rest is cut
 * into pieces; the outcome must be that of the whole.  What is accepted must
 * hold what the server relies on.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/chunk.h"
#include "httpd/parse.h"

#define MAX_HEAD_BYTES 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
must(int truth)
{
	if (!truth)
		abort();
}

static void
check_head(const struct synq_parse_head *head, struct synq_slice text)
{
	struct synq_slice path = synq_parse_part(text, head->path);

	must(head->bytes <= text.bytes && head->bytes <= MAX_HEAD_BYTES);
	must(memcmp(text.data + head->bytes - 4, "\r\n\r\n", 4) == 0);
	must(head->count <= SYNQ_PARSE_MAX_FIELDS);
	must(head->lengths + head->codings <= 1);
	must(head->minor == 0 || head->hosts == 1);
	must(head->method.bytes > 0 && path.bytes > 0);
	must(path.data[0] == '/' || synq_slice_is(path, "*"));
	must(head->framing != SYNQ_PARSE_CHUNKED || head->minor == 1);
	for (uint32_t i = 0; i < head->count; i++) {
		const struct synq_parse_field *field = &head->fields[i];
		struct synq_slice value = synq_parse_part(text, field->value);

		must(field->name.bytes > 0);
		must(field->value.at + field->value.bytes <= head->bytes);
		if (value.bytes == 0)
			continue;
		must(!memchr(value.data, '\r', value.bytes));
		must(!memchr(value.data, '\n', value.bytes));
		must(!memchr(value.data, '\0', value.bytes));
	}
}

/* The head in pieces of ${step} must come out as ${whole}. */
static void
check_pieces(const struct synq_parse_head *whole,
    enum synq_parse_verdict expected, struct synq_slice text, size_t step)
{
	static struct synq_parse_head head;
	enum synq_parse_verdict verdict = SYNQ_PARSE_MORE;

	synq_parse_head_init(&head, MAX_HEAD_BYTES);
	for (size_t n = step;; n += step) {
		size_t end = n < text.bytes ? n : text.bytes;

		verdict =
		    synq_parse_head_feed(&head, synq_slice_of(text.data, end));
		if (verdict != SYNQ_PARSE_MORE || end == text.bytes)
			break;
	}
	must(verdict == expected);
	must(head.status == whole->status && head.reason == whole->reason);
	must(head.bytes == whole->bytes && head.count == whole->count);
	must(head.framing == whole->framing && head.length == whole->length);
	must(memcmp(head.fields, whole->fields,
		 head.count * sizeof(head.fields[0])) == 0);
}

/* Feed ${text} as a chunked body in pieces of ${step}; returns the verdict. */
static enum synq_parse_verdict
run_chunks(struct synq_slice text, size_t step, struct synq_buf *data)
{
	struct synq_parse_chunks chunks;
	enum synq_parse_verdict verdict = SYNQ_PARSE_MORE;

	synq_parse_chunks_init(&chunks);
	while (text.bytes > 0 && verdict == SYNQ_PARSE_MORE) {
		size_t n = text.bytes < step ? text.bytes : step;
		struct synq_slice in = synq_slice_of(text.data, n);
		struct synq_slice piece;

		while (in.bytes > 0 && verdict == SYNQ_PARSE_MORE) {
			verdict = synq_parse_chunks_feed(&chunks, &in, &piece);
			synq_buf_slice(data, piece);
		}
		n -= in.bytes;
		text = synq_slice_of(text.data + n, text.bytes - n);
	}
	return verdict;
}

static void
check_chunks(struct synq_slice text, size_t step)
{
	struct synq_buf whole, parts;
	enum synq_parse_verdict verdict;

	synq_buf_init(&whole, text.bytes + 1);
	synq_buf_init(&parts, text.bytes + 1);
	verdict = run_chunks(text, text.bytes + 1, &whole);
	must(verdict == run_chunks(text, step, &parts));
	must(synq_slice_equal(synq_buf_view(&whole), synq_buf_view(&parts)));
	must(!whole.overflow);
	synq_buf_done(&whole);
	synq_buf_done(&parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct synq_parse_head head;
	enum synq_parse_verdict verdict;
	struct synq_slice text;
	size_t step;

	if (bytes < 2)
		return 0;
	step = (size_t)data[0] % 64 + 1;
	text = synq_slice_of(data + 1, bytes - 1);

	synq_parse_head_init(&head, MAX_HEAD_BYTES);
	verdict = synq_parse_head_feed(&head, text);
	if (verdict == SYNQ_PARSE_DONE)
		check_head(&head, text);
	else if (verdict == SYNQ_PARSE_REFUSED)
		must(head.reason && head.status >= 400 && head.status < 600);
	check_pieces(&head, verdict, text, step);
	if (verdict == SYNQ_PARSE_DONE)
		text = synq_slice_of(
		    text.data + head.bytes, text.bytes - head.bytes);
	if (text.bytes > 0)
		check_chunks(text, step);
	return 0;
}
