/*
 * The JSON scanner on any bytes, compared with json-c, and what it accepted
 * written out again by the writer: the text must mean the same.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/json/oracle.h"
#include "json/scan.h"
#include "json/span.h"
#include "json/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
stop(const char *wrong)
{
	fprintf(stderr, "%s\n", wrong);
	abort();
}

/* Write ${value} anew, each string unescaped and escaped again. */
static void
rewrite(struct synq_json value, struct synq_json_writer *writer,
    struct synq_buf *text)
{
	struct synq_json_cursor cursor = synq_json_walk(value);
	int is_object = value.type == SYNQ_JSON_OBJECT;
	struct synq_json element;
	struct synq_slice name;

	if (value.type == SYNQ_JSON_STRING) {
		synq_buf_clear(text);
		if (synq_json_string(value, text))
			stop("a string does not unescape");
		synq_json_slice(writer, synq_buf_view(text));
		return;
	}
	if (!is_object && value.type != SYNQ_JSON_ARRAY) {
		synq_json_raw(writer, value.raw);
		return;
	}
	synq_json_open(writer, is_object ? '{' : '[');
	while (synq_json_next(&cursor, &name, &element)) {
		if (is_object) {
			struct synq_json key = { SYNQ_JSON_STRING, name };

			synq_buf_clear(text);
			if (synq_json_string(key, text))
				stop("a name does not unescape");
			synq_json_key(writer, text->data ? text->data : "");
		}
		rewrite(element, writer, text);
	}
	synq_json_close(writer, is_object ? '}' : ']');
}

static void
check_rewritten(struct synq_slice text, struct synq_json value)
{
	struct synq_json_fault fault;
	struct synq_json_writer writer;
	struct synq_buf first;
	struct synq_buf second;
	struct synq_buf scratch;

	/* An escape takes at most six bytes. */
	synq_buf_init(&first, text.bytes * 6 + 16);
	synq_buf_init(&second, text.bytes * 6 + 16);
	synq_buf_init(&scratch, text.bytes);
	synq_json_start(&writer, &first);
	rewrite(value, &writer, &scratch);
	if (first.overflow)
		stop("the rewritten text is too long");
	if (synq_json_parse(synq_buf_view(&first), &value, &fault))
		stop(fault.reason);
	synq_json_start(&writer, &second);
	rewrite(value, &writer, &scratch);
	if (!synq_slice_equal(synq_buf_view(&first), synq_buf_view(&second)))
		stop("writing twice gives two texts");
	synq_buf_done(&first);
	synq_buf_done(&second);
	synq_buf_done(&scratch);
}

/* Whatever the bytes are, the writer makes a string of them. */
static void
check_written(struct synq_slice bytes)
{
	struct synq_json_writer writer;
	struct synq_json value;
	struct synq_buf out;

	synq_buf_init(&out, bytes.bytes * 6 + 16);
	synq_json_start(&writer, &out);
	synq_json_slice(&writer, bytes);
	if (out.overflow)
		stop("the written text is too long");
	if (!memchr(bytes.data, '\0', bytes.bytes) &&
	    synq_json_parse(synq_buf_view(&out), &value, NULL))
		stop("what was written is refused");
	synq_buf_done(&out);
}

static void
check_spans(const char *text, size_t bytes)
{
	const char *end = text + bytes;

	for (const char *at = text; at < end; at++) {
		if (synq_json_span(at, end) != synq_json_span_portable(at, end))
			stop("the two ways to span differ");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct synq_json_fault fault;
	struct synq_json value;
	/* Exactly as large as the text, so that reading behind it shows. */
	char *exact = synq_mem_resize(NULL, bytes);
	char *copy = synq_mem_copy(data, bytes);

	if (bytes > 0)
		memcpy(exact, data, bytes);
	struct synq_slice text = synq_slice_of(exact, bytes);
	if (synq_json_parse(text, &value, &fault) == 0)
		check_rewritten(text, value);
	else if (fault.offset > bytes || fault.line < 1 || fault.column < 1)
		stop("a fault lies outside the text");
	check_written(text);
	check_spans(exact, bytes);

	const char *wrong = NULL;
	if (!memchr(copy, '\0', bytes))
		wrong = oracle_compare(synq_slice_of(copy, bytes));
	if (wrong)
		stop(wrong);
	synq_mem_free(exact);
	synq_mem_free(copy);
	return 0;
}
