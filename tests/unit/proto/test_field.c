#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rand.h"
#include "codec/msgpack.h"
#include "tests/unit/proto/messages.h"

static struct sample samples[SAMPLES];

static int
setup(void **state)
{
	(void)state;
	make_samples(samples);
	return 0;
}

static struct synq_buf
encoded(const struct sample *sample)
{
	struct synq_buf out;

	synq_buf_init(&out, 65536);
	sample_encode(sample, &out);
	assert_false(out.overflow);
	return out;
}

/* 1 if the message ${sample} has the member ${key}, else 0. */
static int
has_member(const struct sample *sample, uint32_t key)
{
	struct synq_buf bytes = encoded(sample);
	int64_t number = synq_proto_peek(synq_buf_view(&bytes), key);
	struct synq_mp_member members[64];
	size_t count = 0;
	int found = 0;

	assert_int_equal(
	    synq_mp_read(synq_buf_view(&bytes), members, 64, &count), 0);
	for (size_t i = 0; i < count; i++)
		found |= members[i].key == key;
	assert_true(found || number == -1);
	synq_buf_done(&bytes);
	return found;
}

/* Append ${member} to ${out}. */
static void
put_member(struct synq_buf *out, const struct synq_mp_member *member)
{
	switch (member->type) {
	case SYNQ_MP_INT:
		synq_mp_int(out, member->key, member->number);
		break;
	case SYNQ_MP_TEXT:
		synq_mp_text(out, member->key, member->slice);
		break;
	case SYNQ_MP_BYTES:
		synq_mp_bytes(out, member->key, member->slice);
		break;
	case SYNQ_MP_OTHER:
		fail();
	}
}

/* ${sample} decoded after its member ${key} was changed by ${change}. */
static int
decode_changed(const struct sample *sample, uint32_t key,
    void (*change)(struct synq_mp_member *member))
{
	struct synq_buf before = encoded(sample);
	struct synq_buf after;
	struct synq_mp_member members[64];
	struct sample made;
	size_t count = 0;
	int rc;

	assert_int_equal(
	    synq_mp_read(synq_buf_view(&before), members, 64, &count), 0);
	synq_buf_init(&after, 1 << 22);
	synq_mp_map(&after, (uint32_t)(count - (change == NULL)));
	for (size_t i = 0; i < count; i++) {
		if (members[i].key == key && !change)
			continue;
		if (members[i].key == key)
			change(&members[i]);
		put_member(&after, &members[i]);
	}
	assert_false(after.overflow);
	rc = sample_decode(sample, synq_buf_view(&after), &made);
	synq_buf_done(&before);
	synq_buf_done(&after);
	return rc;
}

static void
change_type(struct synq_mp_member *member)
{
	if (member->type == SYNQ_MP_INT) {
		member->type = SYNQ_MP_TEXT;
		member->slice = synq_slice_text("1");
	} else {
		member->type = SYNQ_MP_INT;
		member->number = 1;
	}
}

static void
change_to_next_version(struct synq_mp_member *member)
{
	member->number = 2;
}

static void
change_to_other_slice(struct synq_mp_member *member)
{
	member->type =
	    member->type == SYNQ_MP_TEXT ? SYNQ_MP_BYTES : SYNQ_MP_TEXT;
}

static void
change_to_nil_uuid(struct synq_mp_member *member)
{
	static const char nil[16];

	member->slice = synq_slice_of(nil, sizeof(nil));
}

static void
change_to_short_uuid(struct synq_mp_member *member)
{
	member->slice.bytes--;
}

static void
change_to_minus_two(struct synq_mp_member *member)
{
	member->number = -2;
}

static int64_t out_of_range;

static void
change_to_out_of_range(struct synq_mp_member *member)
{
	member->number = out_of_range;
}

static char huge[SYNQ_PROTO_MAX_BODY + 1];

static size_t too_long;

static void
change_to_too_long(struct synq_mp_member *member)
{
	member->slice = synq_slice_of(huge, too_long);
}

/* Every hostile change to every field of every message. */
static void
test_decode_refuses_what_a_row_forbids(void **state)
{
	(void)state;
	memset(huge, 'x', sizeof(huge));
	for (size_t i = 0; i < SAMPLES; i++) {
		const struct sample *sample = &samples[i];

		for (size_t j = 0; j < sample->message->count; j++) {
			const struct synq_proto_field *field =
			    &sample->message->fields[j];

			if (!has_member(sample, field->key))
				continue;
			int rc = decode_changed(sample, field->key, NULL);
			assert_int_equal(
			    rc, field->required ? -SYNQ_E_CORRUPT : 0);
			rc = decode_changed(sample, field->key, change_type);
			assert_int_equal(rc, -SYNQ_E_CORRUPT);
		}
	}
}

static void
test_decode_refuses_numbers_out_of_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		const struct sample *sample = &samples[i];

		for (size_t j = 0; j < sample->message->count; j++) {
			const struct synq_proto_field *field =
			    &sample->message->fields[j];

			if (field->type != SYNQ_PROTO_NUMBER ||
			    !field->required)
				continue;
			assert_int_equal(decode_changed(sample, field->key,
					     change_to_minus_two),
			    -SYNQ_E_CORRUPT);
			if (field->max == INT64_MAX)
				continue;
			out_of_range = field->max + 1;
			assert_int_equal(decode_changed(sample, field->key,
					     change_to_out_of_range),
			    -SYNQ_E_CORRUPT);
		}
	}
}

static void
test_decode_refuses_slices_of_wrong_kind_or_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		const struct sample *sample = &samples[i];

		for (size_t j = 0; j < sample->message->count; j++) {
			const struct synq_proto_field *field =
			    &sample->message->fields[j];

			if (field->type == SYNQ_PROTO_NUMBER ||
			    !field->required)
				continue;
			if (field->type == SYNQ_PROTO_UUID) {
				assert_int_equal(
				    decode_changed(
					sample, field->key, change_to_nil_uuid),
				    -SYNQ_E_CORRUPT);
				assert_int_equal(
				    decode_changed(sample, field->key,
					change_to_short_uuid),
				    -SYNQ_E_CORRUPT);
				continue;
			}
			assert_int_equal(decode_changed(sample, field->key,
					     change_to_other_slice),
			    -SYNQ_E_CORRUPT);
			too_long = (size_t)field->max + 1;
			assert_int_equal(decode_changed(sample, field->key,
					     change_to_too_long),
			    -SYNQ_E_CORRUPT);
			too_long = (size_t)field->max;
			assert_int_equal(decode_changed(sample, field->key,
					     change_to_too_long),
			    0);
		}
	}
}

static void
test_decode_refuses_other_versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		assert_int_equal(
		    decode_changed(&samples[i], 0, change_to_next_version),
		    -SYNQ_E_CORRUPT);
		assert_int_equal(
		    decode_changed(&samples[i], 0, NULL), -SYNQ_E_CORRUPT);
	}
}

/* A later writer's member is skipped, low and high. */
static void
test_decode_skips_unknown_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		struct synq_buf before = encoded(&samples[i]);
		struct synq_buf after;
		struct synq_mp_member members[64];
		struct sample made;
		size_t count = 0;

		assert_int_equal(
		    synq_mp_read(synq_buf_view(&before), members, 64, &count),
		    0);
		synq_buf_init(&after, 65536);
		synq_mp_map(&after, (uint32_t)count + 3);
		synq_mp_text(&after, 60, synq_slice_text("later"));
		for (size_t j = 0; j < count; j++)
			put_member(&after, &members[j]);
		synq_mp_uint(&after, 64, 7);
		synq_mp_bytes(&after, 4000000, synq_slice_text("later still"));
		assert_int_equal(
		    sample_decode(&samples[i], synq_buf_view(&after), &made),
		    0);
		synq_buf_done(&before);
		synq_buf_done(&after);
	}
}

static void
test_decode_refuses_every_cut_and_leaves_the_result_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		struct synq_buf whole = encoded(&samples[i]);

		for (size_t bytes = 0; bytes < whole.bytes; bytes++) {
			struct sample made;
			struct sample untouched;

			memset(&untouched.content, 0xee,
			    sizeof(untouched.content));
			assert_int_equal(
			    sample_decode(&samples[i],
				synq_slice_of(whole.data, bytes), &made),
			    -SYNQ_E_CORRUPT);
			assert_memory_equal(&made.content, &untouched.content,
			    samples[i].message->struct_bytes);
		}
		synq_buf_done(&whole);
	}
}

/* Whatever still decodes after a flip encodes again. */
static void
test_decode_survives_flipped_bits(void **state)
{
	(void)state;
	struct synq_rand rand;

	synq_rand_init(&rand, 17);
	for (size_t i = 0; i < SAMPLES; i++) {
		struct synq_buf bytes = encoded(&samples[i]);

		for (int round = 0; round < 2000; round++) {
			size_t at = synq_rand_below(&rand, bytes.bytes);
			char bit = (char)(1 << synq_rand_below(&rand, 8));
			struct sample made;

			bytes.data[at] = (char)(bytes.data[at] ^ bit);
			if (sample_decode(&samples[i], synq_buf_view(&bytes),
				&made) == 0) {
				struct synq_buf again = encoded(&made);
				synq_buf_done(&again);
			}
			bytes.data[at] = (char)(bytes.data[at] ^ bit);
		}
		synq_buf_done(&bytes);
	}
}

static void
assert_not_encoded(const struct sample *sample)
{
	struct synq_buf out;

	synq_buf_init(&out, 1 << 22);
	sample_encode(sample, &out);
	assert_true(out.overflow);
	assert_int_equal(out.bytes, 0);
	synq_buf_done(&out);
}

/* A record that nobody can read would be an accepted job that cannot run. */
static void
test_encode_refuses_what_no_reader_takes(void **state)
{
	(void)state;
	struct sample sample = samples[0];
	struct synq_request *request = &sample.content.request;

	memset(huge, 'x', sizeof(huge));
	request->request_id = synq_slice_text("\xff");
	assert_not_encoded(&sample);
	*request = full_request();
	memset(&request->organization_id, 0, sizeof(request->organization_id));
	assert_not_encoded(&sample);
	*request = full_request();
	request->max_attempts = 0;
	assert_not_encoded(&sample);
	*request = full_request();
	request->max_attempts = UINT32_MAX;
	assert_not_encoded(&sample);
	*request = full_request();
	request->created_at = -1;
	assert_not_encoded(&sample);
	*request = full_request();
	request->body = synq_slice_of(huge, sizeof(huge));
	assert_not_encoded(&sample);

	sample = samples[2];
	sample.content.outcome.kind = (enum synq_outcome_kind)4;
	assert_not_encoded(&sample);
}

static void
test_encode_keeps_the_largest_numbers(void **state)
{
	(void)state;
	struct sample sample = samples[2];
	struct sample made;
	struct synq_buf bytes;

	sample.content.outcome.attempt = UINT32_MAX;
	sample.content.outcome.source.offset = INT64_MAX;
	sample.content.outcome.source.partition = INT32_MAX;
	bytes = encoded(&sample);

	assert_int_equal(
	    sample_decode(&sample, synq_buf_view(&bytes), &made), 0);
	assert_true(made.content.outcome.attempt == UINT32_MAX);
	assert_true(made.content.outcome.source.offset == INT64_MAX);
	assert_true(made.content.outcome.source.partition == INT32_MAX);
	synq_buf_done(&bytes);
}

static void
test_outcome_usage_is_minus_one_when_not_reported(void **state)
{
	(void)state;
	struct sample made;

	for (size_t i = 2; i < 6; i++) {
		struct synq_buf bytes = encoded(&samples[i]);
		const struct synq_usage *usage = &made.content.outcome.usage;

		assert_int_equal(
		    sample_decode(&samples[i], synq_buf_view(&bytes), &made),
		    0);
		/* Only the full result has them; 0 is not "not reported". */
		assert_int_equal(usage->input_tokens, i == 4 ? 12 : -1);
		assert_int_equal(usage->output_tokens, i == 4 ? 34 : -1);
		assert_int_equal(usage->cached_tokens, i == 4 ? 0 : -1);
		assert_int_equal(usage->reasoning_tokens, i == 4 ? 7 : -1);
		synq_buf_done(&bytes);
	}
}

static void
test_reply_leaves_a_large_body_to_the_row(void **state)
{
	(void)state;
	struct sample sample = samples[9];
	struct sample made;
	struct synq_buf bytes;

	memset(huge, 'x', sizeof(huge));
	sample.content.reply.body = synq_slice_of(huge, SYNQ_REPLY_MAX_BODY);
	synq_buf_init(&bytes, 1 << 20);
	sample_encode(&sample, &bytes);
	assert_int_equal(
	    sample_decode(&sample, synq_buf_view(&bytes), &made), 0);
	assert_int_equal(made.content.reply.has_body, 1);
	assert_int_equal(made.content.reply.body.bytes, SYNQ_REPLY_MAX_BODY);

	sample.content.reply.body.bytes++;
	synq_buf_clear(&bytes);
	sample_encode(&sample, &bytes);
	assert_int_equal(
	    sample_decode(&sample, synq_buf_view(&bytes), &made), 0);
	assert_int_equal(made.content.reply.has_body, 0);
	assert_int_equal(made.content.reply.body.bytes, 0);
	synq_buf_done(&bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_refuses_what_a_row_forbids),
		cmocka_unit_test(test_decode_refuses_numbers_out_of_range),
		cmocka_unit_test(
		    test_decode_refuses_slices_of_wrong_kind_or_length),
		cmocka_unit_test(test_decode_refuses_other_versions),
		cmocka_unit_test(test_decode_skips_unknown_keys),
		cmocka_unit_test(
		    test_decode_refuses_every_cut_and_leaves_the_result_alone),
		cmocka_unit_test(test_decode_survives_flipped_bits),
		cmocka_unit_test(test_encode_refuses_what_no_reader_takes),
		cmocka_unit_test(test_encode_keeps_the_largest_numbers),
		cmocka_unit_test(
		    test_outcome_usage_is_minus_one_when_not_reported),
		cmocka_unit_test(test_reply_leaves_a_large_body_to_the_row),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
