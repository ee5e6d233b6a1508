/*
 * Happy path: text_for() cuts the content, the writers put it in the shape of
 * the endpoint, usage is counted in the same way everywhere: a token for each
 * four bytes begun.
 *
 * Nothing here fails: what could was refused by question_read.
 */

#include "reply.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/rand.h"
#include "codec/text.h"
#include "json/write.h"

#define EXCERPT_CHARS 40
#define EVENT_BYTES 16 /* of text in one event of a stream */

/* The text of a choice, and how it ended. */
struct content {
	struct synq_slice text;
	uint64_t tokens;
	const char *finish;
};

/* The longest front of ${text} of at most ${bytes} that cuts no character. */
static struct synq_slice
cut(struct synq_slice text, size_t bytes)
{
	if (text.bytes <= bytes)
		return text;
	while (bytes > 0 && ((uint8_t)text.data[bytes] & 0xc0) == 0x80)
		bytes--;
	return synq_slice_of(text.data, bytes);
}

static struct synq_slice
first_chars(struct synq_slice text, size_t chars)
{
	size_t n = 0;

	while (n < text.bytes && chars > 0) {
		n++;
		while (n < text.bytes && ((uint8_t)text.data[n] & 0xc0) == 0x80)
			n++;
		chars--;
	}
	return synq_slice_of(text.data, n);
}

static struct content
text_for(const struct question *question, size_t input, uint32_t pad_bytes,
    struct synq_arena *arena)
{
	struct content content = { .finish = "stop" };
	struct synq_slice asked = question->text;
	size_t room, n;
	char *text;

	if (question->kind != QUESTION_CHAT)
		asked = question_input(question, input, arena);
	asked = first_chars(asked, EXCERPT_CHARS);
	n = 5 + asked.bytes;
	room = n > pad_bytes ? n : pad_bytes;
	text = synq_arena_raw(arena, room + 1);
	memcpy(text, "stub:", 5);
	if (asked.bytes > 0)
		memcpy(text + 5, asked.data, asked.bytes);
	memset(text + n, '.', room - n);

	content.text = synq_slice_of(text, room);
	if (question_tokens(room) > question->max_tokens) {
		content.text =
		    cut(content.text, (size_t)question->max_tokens * 4);
		content.finish = "length";
	}
	content.tokens = question_tokens(content.text.bytes);
	return content;
}

uint64_t
reply_tokens(const struct question *question, uint32_t pad_bytes,
    struct synq_arena *arena)
{
	size_t inputs = question->kind == QUESTION_CHAT ? 1 : question->inputs;
	uint64_t tokens = 0;

	if (question->kind == QUESTION_EMBEDDING)
		return 0;
	for (size_t i = 0; i < inputs; i++)
		tokens += text_for(question, i, pad_bytes, arena).tokens;
	return tokens * question->choices;
}

static void
put_text(struct synq_json_writer *w, const char *name, const char *text)
{
	synq_json_key(w, name);
	synq_json_text(w, text);
}

static void
put_number(struct synq_json_writer *w, const char *name, uint64_t number)
{
	synq_json_key(w, name);
	synq_json_i64(w, (int64_t)number);
}

static void
put_usage(struct synq_json_writer *w, const struct question *question,
    uint64_t tokens)
{
	synq_json_key(w, "usage");
	synq_json_open(w, '{');
	put_number(w, "prompt_tokens", question->prompt_tokens);
	if (question->kind != QUESTION_EMBEDDING)
		put_number(w, "completion_tokens", tokens);
	put_number(w, "total_tokens", question->prompt_tokens + tokens);
	synq_json_close(w, '}');
}

/* What every answer of ${object} begins with. */
static void
put_front(struct synq_json_writer *w, const struct question *question,
    const char *object, int64_t now_s)
{
	int chat = question->kind == QUESTION_CHAT;
	char print[40];
	char id[40];

	snprintf(print, sizeof(print), "stub-%" PRIu64, question->call);
	snprintf(id, sizeof(id), "%s-%016" PRIx64, chat ? "chatcmpl" : "cmpl",
	    question->hash);
	synq_json_open(w, '{');
	put_text(w, "id", id);
	put_text(w, "object", object);
	put_number(w, "created", (uint64_t)now_s);
	synq_json_key(w, "model");
	synq_json_slice(w, question->model_full);
	put_text(w, "system_fingerprint", print);
}

static void
put_choice(struct synq_json_writer *w, const struct question *question,
    size_t index, const struct content *content)
{
	synq_json_open(w, '{');
	put_number(w, "index", index);
	if (question->kind == QUESTION_CHAT) {
		synq_json_key(w, "message");
		synq_json_open(w, '{');
		put_text(w, "role", "assistant");
		synq_json_key(w, "content");
		synq_json_slice(w, content->text);
		put_text(w, "refusal", NULL);
		synq_json_close(w, '}');
	} else {
		synq_json_key(w, "text");
		synq_json_slice(w, content->text);
	}
	put_text(w, "logprobs", NULL);
	put_text(w, "finish_reason", content->finish);
	synq_json_close(w, '}');
}

/* ---- embeddings ---- */

/* A unit vector from the bytes of ${input}. */
static void
make_vector(struct synq_slice input, float *vector, size_t dimensions)
{
	static const uint8_t key[16] = "stub-embedding";
	struct synq_rand rand;
	double sum = 0;

	synq_rand_init(&rand, synq_siphash(input.data, input.bytes, key));
	for (size_t i = 0; i < dimensions; i++) {
		double x =
		    (double)(synq_rand_next(&rand) >> 11) * 0x1p-52 - 1.0;

		vector[i] = (float)x;
		sum += x * x;
	}
	for (size_t i = 0; i < dimensions; i++)
		vector[i] = (float)((double)vector[i] / sqrt(sum));
}

static void
put_vector(struct synq_json_writer *w, const struct question *question,
    struct synq_slice input, float *vector)
{
	size_t n = question->dimensions;

	make_vector(input, vector, n);
	synq_json_key(w, "embedding");
	if (!question->is_base64) {
		synq_json_open(w, '[');
		for (size_t i = 0; i < n; i++)
			synq_json_f64(w, (double)vector[i], 9);
		synq_json_close(w, ']');
		return;
	}
	/* Little-endian on every machine this is built for. */
	synq_buf_char(w->out, '"');
	synq_base64_encode(w->out, synq_slice_of(vector, n * sizeof(*vector)));
	synq_buf_char(w->out, '"');
	w->comma = 1;
}

static void
write_embeddings(const struct question *question, struct synq_arena *arena,
    struct synq_buf *out)
{
	float *vector =
	    synq_arena_raw(arena, question->dimensions * sizeof(*vector));
	struct synq_json_writer w;

	synq_json_start(&w, out);
	synq_json_open(&w, '{');
	put_text(&w, "object", "list");
	synq_json_key(&w, "data");
	synq_json_open(&w, '[');
	for (size_t i = 0; i < question->inputs; i++) {
		synq_json_open(&w, '{');
		put_text(&w, "object", "embedding");
		put_number(&w, "index", i);
		put_vector(
		    &w, question, question_input(question, i, arena), vector);
		synq_json_close(&w, '}');
	}
	synq_json_close(&w, ']');
	synq_json_key(&w, "model");
	synq_json_slice(&w, question->model_full);
	put_usage(&w, question, 0);
	synq_json_close(&w, '}');
}

/* ---- text ---- */

void
reply_write(const struct question *question, uint32_t pad_bytes, int64_t now_s,
    struct synq_arena *arena, struct synq_buf *out)
{
	int chat = question->kind == QUESTION_CHAT;
	size_t inputs = chat ? 1 : question->inputs;
	struct synq_json_writer w;
	uint64_t tokens = 0;
	size_t index = 0;

	if (question->kind == QUESTION_EMBEDDING) {
		write_embeddings(question, arena, out);
		return;
	}
	synq_json_start(&w, out);
	put_front(
	    &w, question, chat ? "chat.completion" : "text_completion", now_s);
	synq_json_key(&w, "choices");
	synq_json_open(&w, '[');
	for (size_t i = 0; i < inputs; i++) {
		struct content content =
		    text_for(question, i, pad_bytes, arena);

		for (uint32_t k = 0; k < question->choices; k++, index++) {
			put_choice(&w, question, index, &content);
			tokens += content.tokens;
		}
	}
	synq_json_close(&w, ']');
	put_usage(&w, question, tokens);
	synq_json_close(&w, '}');
}

/* ---- streams ---- */

/* What one event carries; the names follow the API. */
struct event {
	const struct question *question;
	int64_t now_s;
	size_t index;
	const char *role;       /* or NULL */
	struct synq_slice text; /* data NULL = none */
	const char *finish;     /* or NULL */
};

static void
put_delta(struct synq_json_writer *w, const struct event *event)
{
	synq_json_key(w, "delta");
	synq_json_open(w, '{');
	if (event->role)
		put_text(w, "role", event->role);
	if (event->text.data) {
		synq_json_key(w, "content");
		synq_json_slice(w, event->text);
	}
	synq_json_close(w, '}');
}

static void
write_event(const struct event *event, struct synq_buf *out)
{
	int chat = event->question->kind == QUESTION_CHAT;
	struct synq_json_writer w;

	synq_buf_text(out, "data: ");
	synq_json_start(&w, out);
	put_front(&w, event->question,
	    chat ? "chat.completion.chunk" : "text_completion", event->now_s);
	synq_json_key(&w, "choices");
	synq_json_open(&w, '[');
	synq_json_open(&w, '{');
	put_number(&w, "index", event->index);
	if (chat) {
		put_delta(&w, event);
	} else {
		synq_json_key(&w, "text");
		synq_json_slice(&w, event->text);
	}
	put_text(&w, "logprobs", NULL);
	put_text(&w, "finish_reason", event->finish);
	synq_json_close(&w, '}');
	synq_json_close(&w, ']');
	if (event->question->wants_usage)
		put_text(&w, "usage", NULL);
	synq_json_close(&w, '}');
	synq_buf_text(out, "\n\n");
}

static void
stream_choice(
    struct event event, const struct content *content, struct synq_buf *out)
{
	struct synq_slice rest = content->text;

	if (event.question->kind == QUESTION_CHAT) {
		event.role = "assistant";
		event.text = synq_slice_of("", 0);
		write_event(&event, out);
		event.role = NULL;
	}
	while (rest.bytes > 0) {
		event.text = cut(rest, EVENT_BYTES);
		write_event(&event, out);
		rest = synq_slice_of(rest.data + event.text.bytes,
		    rest.bytes - event.text.bytes);
	}
	event.text = synq_slice_of(NULL, 0);
	event.finish = content->finish;
	write_event(&event, out);
}

static void
stream_usage(const struct event *event, uint64_t tokens, struct synq_buf *out)
{
	int chat = event->question->kind == QUESTION_CHAT;
	struct synq_json_writer w;

	synq_buf_text(out, "data: ");
	synq_json_start(&w, out);
	put_front(&w, event->question,
	    chat ? "chat.completion.chunk" : "text_completion", event->now_s);
	synq_json_key(&w, "choices");
	synq_json_open(&w, '[');
	synq_json_close(&w, ']');
	put_usage(&w, event->question, tokens);
	synq_json_close(&w, '}');
	synq_buf_text(out, "\n\n");
}

void
reply_stream(const struct question *question, uint32_t pad_bytes, int64_t now_s,
    struct synq_arena *arena, struct synq_buf *out)
{
	struct event event = { .question = question, .now_s = now_s };
	size_t inputs = question->kind == QUESTION_CHAT ? 1 : question->inputs;
	uint64_t tokens = 0;

	for (size_t i = 0; i < inputs; i++) {
		struct content content =
		    text_for(question, i, pad_bytes, arena);

		for (uint32_t k = 0; k < question->choices; k++) {
			stream_choice(event, &content, out);
			tokens += content.tokens;
			event.index++;
		}
	}
	if (question->wants_usage)
		stream_usage(&event, tokens, out);
	synq_buf_text(out, "data: [DONE]\n\n");
}

/* ---- the rest ---- */

void
reply_error(struct synq_buf *out, const char *message, const char *type,
    const char *code)
{
	struct synq_json_writer w;

	synq_json_start(&w, out);
	synq_json_open(&w, '{');
	synq_json_key(&w, "error");
	synq_json_open(&w, '{');
	put_text(&w, "message", message);
	put_text(&w, "type", type);
	put_text(&w, "param", NULL);
	put_text(&w, "code", code);
	synq_json_close(&w, '}');
	synq_json_close(&w, '}');
}

void
reply_model(struct synq_buf *out, struct synq_slice id)
{
	struct synq_json_writer w;

	synq_json_start(&w, out);
	synq_json_open(&w, '{');
	synq_json_key(&w, "id");
	synq_json_slice(&w, id);
	put_text(&w, "object", "model");
	put_number(&w, "created", 1700000000);
	put_text(&w, "owned_by", "stub");
	synq_json_close(&w, '}');
}
