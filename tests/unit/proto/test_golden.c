/*
 * The pages and the bytes in schema/messages against the code, both ways.
 * Runs in the root of the repository.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/text.h"
#include "tests/unit/proto/messages.h"

static struct sample samples[SAMPLES];

static int
setup(void **state)
{
	(void)state;
	make_samples(samples);
	return 0;
}

/* The bytes of schema/messages/golden/${name}.hex, appended to ${out}. */
static void
read_golden(const char *name, struct synq_buf *out)
{
	char path[128];
	char line[256];
	FILE *file;

	snprintf(path, sizeof(path), "schema/messages/golden/%s.hex", name);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		assert_int_equal(
		    synq_hex_decode(out, synq_slice_text(line)), 0);
	}
	fclose(file);
}

static void
test_messages_encode_to_the_golden_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		struct synq_buf golden;
		struct synq_buf made;

		synq_buf_init(&golden, 65536);
		synq_buf_init(&made, 65536);
		read_golden(samples[i].golden, &golden);
		sample_encode(&samples[i], &made);

		assert_false(made.overflow);
		assert_int_equal(made.bytes, golden.bytes);
		assert_memory_equal(made.data, golden.data, made.bytes);
		synq_buf_done(&golden);
		synq_buf_done(&made);
	}
}

static void
assert_field_equal(const struct synq_proto_field *field, const struct sample *a,
    const struct sample *b)
{
	const char *at_a = (const char *)&a->content + field->at;
	const char *at_b = (const char *)&b->content + field->at;
	struct synq_slice text_a;
	struct synq_slice text_b;

	if (field->type == SYNQ_PROTO_UUID ||
	    field->type == SYNQ_PROTO_NUMBER) {
		assert_memory_equal(at_a, at_b, field->bytes);
		return;
	}
	memcpy(&text_a, at_a, sizeof(text_a));
	memcpy(&text_b, at_b, sizeof(text_b));
	assert_true(synq_slice_equal(text_a, text_b));
}

static void
test_golden_bytes_decode_to_the_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		const struct synq_proto_message *message = samples[i].message;
		struct synq_buf golden;
		struct sample made;

		synq_buf_init(&golden, 65536);
		read_golden(samples[i].golden, &golden);
		assert_int_equal(
		    sample_decode(&samples[i], synq_buf_view(&golden), &made),
		    0);
		for (size_t j = 0; j < message->count; j++)
			assert_field_equal(
			    &message->fields[j], &samples[i], &made);
		synq_buf_done(&golden);
	}
}

/* ---- pages -------------------------------------------------------------- */

static const char *
type_name(enum synq_proto_type type)
{
	static const char *const names[] = { "uuid", "number", "text",
		"bytes" };

	return names[type];
}

/* The row of the page's table for ${field} must be in ${page}. */
static void
assert_row(const char *page, const struct synq_proto_field *field)
{
	char row[256];

	snprintf(row, sizeof(row), "\n| %u | %s | %s | %s |",
	    (unsigned)field->key, field->name, type_name(field->type),
	    field->required ? "yes" : "no");
	if (!strstr(page, row))
		fail_msg("no row:%s", row);
}

/* How many rows of ${page} begin with a key. */
static size_t
count_rows(const char *page)
{
	size_t rows = 0;

	while ((page = strstr(page, "\n| "))) {
		page += 3;
		rows += *page >= '0' && *page <= '9';
	}
	return rows;
}

static void
read_page(const char *name, char *ret, size_t room)
{
	char path[128];
	FILE *file;
	size_t bytes;

	snprintf(path, sizeof(path), "schema/%s.md", name);
	file = fopen(path, "r");
	assert_non_null(file);
	bytes = fread(ret, 1, room - 1, file);
	assert_true(bytes > 0 && bytes < room - 1);
	ret[bytes] = '\0';
	fclose(file);
}

/* Key, name, type and "required" of every field, and no row too many. */
static void
test_pages_agree_with_the_tables(void **state)
{
	(void)state;
	char page[16384];
	char name[64];

	for (size_t i = 0; i < SAMPLES; i++) {
		const struct synq_proto_message *message = samples[i].message;

		snprintf(name, sizeof(name), "messages/%s", message->name);
		read_page(name, page, sizeof(page));
		for (size_t j = 0; j < message->count; j++)
			assert_row(page, &message->fields[j]);
		assert_int_equal(count_rows(page), message->count + 1);
	}
}

static void
test_keys_are_unique_and_leave_room_for_the_version(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		uint64_t used = 1;

		for (size_t j = 0; j < samples[i].message->count; j++) {
			uint32_t key = samples[i].message->fields[j].key;

			assert_true(key < 64);
			assert_false(used >> key & 1);
			used |= (uint64_t)1 << key;
		}
	}
}

static void
test_topics_page_names_each_topic(void **state)
{
	(void)state;
	static const char *const topics[] = { SYNQ_TOPIC_INTERACTIVE,
		SYNQ_TOPIC_BATCH, SYNQ_TOPIC_RESULTS, SYNQ_TOPIC_CANCELS,
		SYNQ_TOPIC_EVENTS, SYNQ_TOPIC_CONTROL, SYNQ_TOPIC_DEAD };
	char page[16384];
	char row[128];
	size_t rows = 0;

	read_page("kafka/topics", page, sizeof(page));
	for (size_t i = 0; i < SYNQ_COUNT(topics); i++) {
		enum synq_source_topic code = synq_source_code(topics[i]);

		if (code == SYNQ_SOURCE_NONE)
			snprintf(row, sizeof(row), "\n| `%s` | - |", topics[i]);
		else
			snprintf(row, sizeof(row), "\n| `%s` | %d |", topics[i],
			    (int)code);
		if (!strstr(page, row))
			fail_msg("no row:%s", row);
	}
	for (const char *at = page; (at = strstr(at, "\n| `synq.")); at++)
		rows++;
	assert_int_equal(rows, SYNQ_COUNT(topics));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_encode_to_the_golden_bytes),
		cmocka_unit_test(test_golden_bytes_decode_to_the_messages),
		cmocka_unit_test(test_pages_agree_with_the_tables),
		cmocka_unit_test(
		    test_keys_are_unique_and_leave_room_for_the_version),
		cmocka_unit_test(test_topics_page_names_each_topic),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
