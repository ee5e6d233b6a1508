/*
 * A dialect against a hostile provider: two bytes of status or error, a line
 * for each of the headers, the rest is the body.  The client always gets a JSON
 * object and text that is UTF-8; a spliced body says the model and still
 * parses.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "provider/provider.h"
#include "json/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
check(int truth)
{
	if (!truth)
		abort();
}

/* Take the line at the front of ${rest} off it. */
static struct synq_slice
take_line(struct synq_slice *rest)
{
	const char *end =
	    rest->bytes > 0 ? memchr(rest->data, '\n', rest->bytes) : NULL;
	struct synq_slice line = *rest;

	if (!end)
		return (struct synq_slice){ NULL, 0 };
	line.bytes = (size_t)(end - rest->data);
	rest->data += line.bytes + 1;
	rest->bytes -= line.bytes + 1;
	return line;
}

static void
try_splice(struct synq_slice body, struct synq_arena *arena)
{
	struct synq_slice model = synq_slice_text("a \"model\"\\");
	struct synq_slice made = synq_provider_splice_model(body, model, arena);
	struct synq_json root;

	if (synq_json_parse(body, &root, NULL) != 0) {
		check(made.data == body.data);
		return;
	}
	check(synq_json_parse(made, &root, NULL) == 0);
	if (synq_json_member(root, "model").type != SYNQ_JSON_NONE)
		check(synq_json_is(
		    synq_json_member(root, "model"), "a \"model\"\\"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct synq_dialect *openai = synq_dialect_find("openai");
	struct synq_request request = { .endpoint = SYNQ_ENDPOINT_CHAT };
	struct synq_provider_answer answer = { .rc = 0 };
	struct synq_provider_verdict verdict;
	struct synq_json root;

	if (bytes < 2 || bytes > 65536)
		return 0;
	struct synq_slice rest = synq_slice_of(data + 2, bytes - 2);
	struct synq_arena *arena = synq_arena_new(4096, 1 << 20);

	if (data[0] & 0x80)
		answer.rc = -(int)(1 + data[1] % (SYNQ_E_COUNT - 1));
	answer.status = (data[0] & 0x7f) << 8 | data[1];
	answer.retry_after = take_line(&rest);
	answer.retry_after_ms = take_line(&rest);
	answer.body = rest;

	openai->judge(&request, &answer, 0, arena, &verdict);
	check(synq_json_parse(verdict.body, &root, NULL) == 0);
	check(root.type == SYNQ_JSON_OBJECT);
	check(synq_slice_utf8(verdict.error));
	check(synq_slice_utf8(verdict.error_code));
	check(verdict.error.bytes <= 1000 && verdict.error_code.bytes <= 100);
	check(verdict.retry_after_us >= -1);
	check(verdict.succeeded ||
	      (verdict.answer_status >= 400 && verdict.answer_status != 401));
	try_splice(rest, arena);

	synq_arena_free(&arena);
	return 0;
}
