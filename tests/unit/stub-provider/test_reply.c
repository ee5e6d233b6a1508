/*
 * Questions and their answers: the shapes of the API, usage that adds up,
 * hostile bodies.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "codec/event_stream.h"
#include "codec/text.h"
#include "compose/stub-provider/question.h"
#include "compose/stub-provider/reply.h"

struct fixture {
	struct synq_arena *arena;
	struct synq_buf out;
	struct question question;
};

static int
set_up(void **state)
{
	static struct fixture f;

	f.arena = synq_arena_new(4096, 1000000);
	synq_buf_init(&f.out, 1000000);
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	synq_arena_free(&f->arena);
	synq_buf_done(&f->out);
	synq_arena_trim();
	return 0;
}

static int
ask(struct fixture *f, enum question_kind kind, const char *body)
{
	struct synq_err err;

	return question_read(
	    &f->question, kind, synq_slice_text(body), f->arena, &err);
}

/* The answer to ${body}, which must be right, as JSON. */
static struct synq_json
reply_to(struct fixture *f, enum question_kind kind, const char *body)
{
	struct synq_json json;

	assert_int_equal(ask(f, kind, body), 0);
	synq_buf_clear(&f->out);
	reply_write(&f->question, 0, 1000, f->arena, &f->out);
	assert_int_equal(
	    synq_json_parse(synq_buf_view(&f->out), &json, NULL), 0);
	return json;
}

static void
assert_text(struct synq_json json, const char *path, const char *text)
{
	if (!synq_json_is(synq_json_path(json, path), text))
		print_error("%s is not %s in %.*s\n", path, text,
		    (int)json.raw.bytes, json.raw.data);
	assert_true(synq_json_is(synq_json_path(json, path), text));
}

static void
assert_number(struct synq_json json, const char *path, int64_t wanted)
{
	int64_t number = -1;

	assert_int_equal(synq_json_int(synq_json_path(json, path), &number), 0);
	assert_int_equal(number, wanted);
}

static void
test_chat_answers_the_last_user_message(void **state)
{
	struct synq_json json = reply_to(*state, QUESTION_CHAT,
	    "{\"model\":\"stub\",\"messages\":["
	    "{\"role\":\"user\",\"content\":\"first\"},"
	    "{\"role\":\"user\",\"content\":\"a\\u00e9\\\"b\"},"
	    "{\"role\":\"assistant\",\"content\":null}]}");

	assert_text(json, "object", "chat.completion");
	assert_text(json, "model", "stub");
	assert_text(json, "choices.0.message.content", "stub:a\xc3\xa9\"b");
	assert_text(json, "choices.0.finish_reason", "stop");
	assert_number(json, "created", 1000);
	assert_number(json, "usage.prompt_tokens", 2 + 2 + 1);
	assert_number(json, "usage.completion_tokens", 3);
	assert_number(json, "usage.total_tokens", 8);
}

static void
test_excerpt_counts_characters_not_bytes(void **state)
{
	struct fixture *f = *state;
	struct synq_json json;
	struct synq_json content;
	struct synq_buf body;

	synq_buf_init(&body, 10000);
	synq_buf_text(&body, "{\"model\":\"m\",\"messages\":[{\"role\":"
			     "\"user\",\"content\":[{\"type\":\"text\","
			     "\"text\":\"");
	for (int i = 0; i < 50; i++)
		synq_buf_text(&body, "\xe2\x82\xac");
	synq_buf_text(&body, "\"},{\"type\":\"text\",\"text\":\"x\"}]}]}");
	json = reply_to(f, QUESTION_CHAT, body.data);
	content = synq_json_path(json, "choices.0.message.content");
	synq_buf_done(&body);

	assert_int_equal(content.raw.bytes, 2 + 5 + 40 * 3);
	assert_number(json, "usage.prompt_tokens", (151 + 3) / 4);
}

static void
test_max_tokens_cuts_and_says_so(void **state)
{
	struct synq_json json = reply_to(*state, QUESTION_COMPLETION,
	    "{\"model\":\"m\",\"prompt\":[\"\xe2\x82\xac\xe2\x82\xac\",\"b\"],"
	    "\"n\":2,\"max_tokens\":2}");

	/* The second euro would begin at byte 8 and is cut in front. */
	assert_text(json, "choices.0.text", "stub:\xe2\x82\xac");
	assert_text(json, "choices.0.finish_reason", "length");
	assert_text(json, "choices.2.text", "stub:b");
	assert_text(json, "choices.3.finish_reason", "stop");
	assert_number(json, "choices.3.index", 3);
	assert_number(json, "usage.completion_tokens", 8);
	assert_int_equal(reply_tokens(&((struct fixture *)*state)->question, 0,
			     ((struct fixture *)*state)->arena),
	    8);
}

static void
test_embedding_is_the_same_in_both_forms(void **state)
{
	struct fixture *f = *state;
	struct synq_json json;
	struct synq_slice text;
	struct synq_buf raw;
	float numbers[3];
	double number, sum = 0;

	json = reply_to(f, QUESTION_EMBEDDING,
	    "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":3,"
	    "\"encoding_format\":\"base64\"}");
	synq_buf_init(&raw, 100);
	assert_int_equal(
	    synq_json_plain(synq_json_path(json, "data.1.embedding"), &text),
	    0);
	assert_int_equal(synq_base64_decode(&raw, text), 0);
	assert_int_equal(raw.bytes, sizeof(numbers));
	memcpy(numbers, raw.data, sizeof(numbers));
	synq_buf_done(&raw);

	json = reply_to(f, QUESTION_EMBEDDING,
	    "{\"model\":\"m\",\"input\":\"b\",\"dimensions\":3}");
	for (int i = 0; i < 3; i++) {
		char path[32];

		snprintf(path, sizeof(path), "data.0.embedding.%d", i);
		assert_int_equal(
		    synq_json_double(synq_json_path(json, path), &number), 0);
		assert_float_equal(number, numbers[i], 0.00000001);
		sum += number * number;
	}
	assert_float_equal(sum, 1.0, 0.00001);
	assert_number(json, "usage.prompt_tokens", 1);
	assert_number(json, "usage.total_tokens", 1);
}

static void
test_tokens_are_inputs_too(void **state)
{
	struct synq_json json = reply_to(*state, QUESTION_COMPLETION,
	    "{\"model\":\"m\",\"prompt\":[1,2,3]}");

	assert_number(json, "usage.prompt_tokens", 3);
	assert_text(json, "choices.0.text", "stub:[1,2,3]");
	json = reply_to(*state, QUESTION_EMBEDDING,
	    "{\"model\":\"m\",\"input\":[[1,2],[3]]}");
	assert_number(json, "usage.prompt_tokens", 3);
	assert_number(json, "data.1.index", 1);
}

/* What a client gathers from the stream in ${f}->out, in pieces of ${step}. */
static void
read_stream(struct fixture *f, size_t step, struct synq_buf *text)
{
	static const struct synq_event_limits limits = { 4096, 4096 };
	struct synq_event_reader *reader = synq_event_reader_new(&limits);
	struct synq_event event;
	struct synq_json json;
	int is_done = 0;

	for (size_t at = 0; at < f->out.bytes; at += step) {
		size_t n = f->out.bytes - at < step ? f->out.bytes - at : step;
		struct synq_slice piece = synq_slice_of(f->out.data + at, n);

		while (synq_event_read(reader, &piece, &event) ==
		       SYNQ_EVENT_READY) {
			assert_int_equal(is_done, 0);
			assert_true(synq_slice_is(event.type, "message"));
			is_done = synq_slice_is(event.data, "[DONE]");
			if (is_done)
				continue;
			assert_int_equal(
			    synq_json_parse(event.data, &json, NULL), 0);
			json = synq_json_path(json, "choices.0.delta.content");
			if (json.type != SYNQ_JSON_NONE)
				assert_int_equal(
				    synq_json_string(json, text), 0);
		}
	}
	assert_null(synq_event_reason(reader));
	assert_int_equal(is_done, 1);
	synq_event_reader_free(&reader);
}

static void
test_stream_is_one_of_events(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
	    ask(f, QUESTION_CHAT,
		"{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":"
		"\"user\",\"content\":\"a\\nb and some more, \\u00e9\"}]}"),
	    0);
	reply_stream(&f->question, 0, 1000, f->arena, &f->out);
	for (size_t step = 1; step < 100; step += 7) {
		struct synq_buf text;

		synq_buf_init(&text, 4096);
		read_stream(f, step, &text);
		assert_non_null(
		    strstr(text.data, "a\nb and some more, \xc3\xa9"));
		synq_buf_done(&text);
	}
}

static void
test_stream_ends_with_usage_and_done(void **state)
{
	struct fixture *f = *state;
	const char *text;

	assert_int_equal(
	    ask(f, QUESTION_CHAT,
		"{\"model\":\"m\",\"stream\":true,\"stream_options\":"
		"{\"include_usage\":true},\"messages\":[{\"role\":\"user\","
		"\"content\":\"0123456789012345\"}]}"),
	    0);
	assert_int_equal(f->question.is_stream, 1);
	reply_stream(&f->question, 0, 1000, f->arena, &f->out);
	text = f->out.data;

	text =
	    strstr(text, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"}");
	assert_non_null(text);
	text = strstr(text, "\"delta\":{\"content\":\"stub:01234567890\"}");
	assert_non_null(text);
	text = strstr(text, "\"delta\":{\"content\":\"12345\"}");
	assert_non_null(text);
	text = strstr(text, "\"delta\":{},\"logprobs\":null,"
			    "\"finish_reason\":\"stop\"");
	assert_non_null(text);
	text = strstr(text, "\"choices\":[],\"usage\":{\"prompt_tokens\":4,"
			    "\"completion_tokens\":6,\"total_tokens\":10}}");
	assert_non_null(text);
	assert_string_equal(strstr(text, "\n\n"), "\n\ndata: [DONE]\n\n");
}

static void
test_model_carries_a_plan(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
	    ask(f, QUESTION_COMPLETION,
		"{\"model\":\"stub:lat=1:err=1\",\"prompt\":\"a\"}"),
	    0);
	assert_true(synq_slice_is(f->question.model, "stub"));
	assert_true(synq_slice_is(f->question.plan, "lat=1:err=1"));
}

static void
test_wrong_questions_are_refused(void **state)
{
	static const struct {
		enum question_kind kind;
		const char *body;
	} wrong[] = {
		{ QUESTION_CHAT, "" },
		{ QUESTION_CHAT, "[]" },
		{ QUESTION_CHAT, "{\"messages\":[{}]}" },
		{ QUESTION_CHAT, "{\"model\":1,\"messages\":[{}]}" },
		{ QUESTION_CHAT, "{\"model\":\"\",\"messages\":[{}]}" },
		{ QUESTION_CHAT, "{\"model\":\"m\"}" },
		{ QUESTION_CHAT, "{\"model\":\"m\",\"messages\":[]}" },
		{ QUESTION_CHAT, "{\"model\":\"m\",\"messages\":\"x\"}" },
		{ QUESTION_CHAT,
		    "{\"model\":\"m\",\"messages\":[{}],\"n\":0}" },
		{ QUESTION_CHAT,
		    "{\"model\":\"m\",\"messages\":[{}],\"n\":129}" },
		{ QUESTION_CHAT,
		    "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":-1}" },
		{ QUESTION_COMPLETION, "{\"model\":\"m\"}" },
		{ QUESTION_COMPLETION, "{\"model\":\"m\",\"prompt\":[]}" },
		{ QUESTION_COMPLETION, "{\"model\":\"m\",\"prompt\":[null]}" },
		{ QUESTION_COMPLETION, "{\"model\":\"m\",\"prompt\":5}" },
		{ QUESTION_EMBEDDING, "{\"model\":\"m\",\"input\":{}}" },
		{ QUESTION_EMBEDDING,
		    "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":5000}" },
	};

	for (size_t i = 0; i < SYNQ_COUNT(wrong); i++) {
		if (ask(*state, wrong[i].kind, wrong[i].body) == 0)
			print_error("accepted: row %zu\n", i);
		assert_int_equal(
		    ask(*state, wrong[i].kind, wrong[i].body), -SYNQ_E_INVALID);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_chat_answers_the_last_user_message, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_excerpt_counts_characters_not_bytes, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_max_tokens_cuts_and_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_embedding_is_the_same_in_both_forms, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_tokens_are_inputs_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_stream_is_one_of_events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_stream_ends_with_usage_and_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_model_carries_a_plan, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_wrong_questions_are_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
