#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/text.h"
#include "codec/varint.h"
#include "track/track.h"

static void
done(struct synq_track *track, int64_t offset)
{
	synq_track_mark(track, offset, SYNQ_TRACK_DONE);
}

static void
assert_knows_nothing(struct synq_slice metadata, int64_t high_watermark)
{
	struct synq_track *track = NULL;

	assert_int_equal(
	    synq_track_restore(100, metadata, high_watermark, &track),
	    -SYNQ_E_CORRUPT);
	assert_non_null(track);
	assert_int_equal(synq_track_base(track), 100);
	assert_int_equal(synq_track_next(track), 100);
	assert_int_equal(synq_track_results_offset(track), -1);
	assert_true(synq_track_dirty(track));
	/* The record at base is work, not done. */
	assert_int_equal(synq_track_seen(track, 100), 1);
	synq_track_free(&track);
}

/* A tracker from 100 with a map of ${pattern}, encoded into ${out}. */
static void
encode_sample(int64_t pattern, struct synq_buf *out)
{
	struct synq_track *track = synq_track_new(100);

	synq_track_set_results_offset(track, 4711);
	for (int64_t i = 100; i < 1100; i++)
		synq_track_seen(track, i);
	for (int64_t i = 101; i < 1000; i++)
		if (i % pattern)
			done(track, i);
	synq_track_encode(track, out);
	synq_track_free(&track);
}

static void
test_map_cut_anywhere_means_nothing_known(void **state)
{
	(void)state;
	for (int64_t pattern = 2; pattern < 1000; pattern += 400) {
		struct synq_buf out;

		synq_buf_init(&out, 65536);
		encode_sample(pattern, &out);
		for (size_t i = 1; i < out.bytes; i++)
			assert_knows_nothing(synq_slice_of(out.data, i), 1100);
		synq_buf_char(&out, 'A');
		assert_knows_nothing(synq_buf_view(&out), 1100);
		synq_buf_done(&out);
	}
}

static void
test_map_with_a_flipped_bit_means_nothing_known(void **state)
{
	(void)state;
	for (int64_t pattern = 2; pattern < 1000; pattern += 400) {
		struct synq_buf out;

		synq_buf_init(&out, 65536);
		encode_sample(pattern, &out);
		for (size_t i = 0; i < 8 * out.bytes; i++) {
			char bit = (char)(1 << i % 8);

			out.data[i / 8] = (char)(out.data[i / 8] ^ bit);
			assert_knows_nothing(synq_buf_view(&out), 1100);
			out.data[i / 8] = (char)(out.data[i / 8] ^ bit);
		}
		synq_buf_done(&out);
	}
}

static void
test_map_past_the_high_watermark_means_nothing_known(void **state)
{
	(void)state;
	struct synq_track *track = NULL;
	struct synq_buf out;

	synq_buf_init(&out, 65536);
	encode_sample(7, &out);
	/* It covers 100 up to 999. */
	assert_knows_nothing(synq_buf_view(&out), 999);
	assert_int_equal(
	    synq_track_restore(100, synq_buf_view(&out), 1000, &track), 0);
	synq_track_free(&track);
	assert_int_equal(
	    synq_track_restore(100, synq_buf_view(&out), -1, &track), 0);
	synq_track_free(&track);
	synq_buf_done(&out);
}

/* Wrap ${raw} as the encoder does, with a checksum that is right. */
static void
wrap(const char *raw, size_t bytes, struct synq_buf *out)
{
	struct synq_buf whole;
	uint32_t crc = synq_crc32c(synq_slice_of(raw, bytes));

	synq_buf_init(&whole, 65536);
	synq_buf_add(&whole, raw, bytes);
	for (int i = 0; i < 4; i++)
		synq_buf_char(&whole, (char)(crc >> (8 * i) & 0xff));
	synq_buf_clear(out);
	synq_buf_text(out, "S1:");
	synq_base64url_encode(out, synq_buf_view(&whole));
	synq_buf_done(&whole);
}

/* The checksum is right, what it covers is not. */
static void
test_map_with_a_valid_checksum_is_still_checked(void **state)
{
	(void)state;
	static const struct {
		const char *raw;
		size_t bytes;
	} bad[] = {
		{ "", 0 },
		{ "\0", 1 },
		{ "\0\0", 2 },
		{ "\0\0\0", 3 },
		{ "\0\0\0\1", 4 },         /* count without map */
		{ "\0\0\0\0\0", 5 },       /* bytes behind it */
		{ "\0\1\0\0", 4 },         /* unknown flag */
		{ "\3\0\0\0", 4 },         /* unknown type */
		{ "\x80\0\0\0", 4 },       /* reserved bit of type */
		{ "\1\0\0\0", 4 },         /* empty bits */
		{ "\2\0\0\0", 4 },         /* empty runs */
		{ "\1\0\0\2\3", 5 },       /* base is done */
		{ "\1\0\0\2\1", 5 },       /* last is not done */
		{ "\1\0\0\2\6", 5 },       /* a bit behind the last */
		{ "\1\0\0\2\2\0", 6 },     /* a byte too many */
		{ "\1\0\0\x09\2", 5 },     /* a byte too few */
		{ "\2\0\0\2\1", 5 },       /* run missing */
		{ "\2\0\0\2\2", 5 },       /* ends not done */
		{ "\2\0\0\2\0\2", 6 },     /* base is done */
		{ "\2\0\0\3\1\1\1", 7 },   /* ends not done */
		{ "\2\0\0\2\1\2", 6 },     /* longer than count */
		{ "\2\0\0\4\1\1\0\2", 8 }, /* empty run */
		{ "\2\0\0\2\1\x80", 6 },   /* half a varint */
		{ "\2\0\0\2\1\x81\0", 7 }, /* varint not shortest */
		{ "\2\0\0\xff\xff\xff\xff\x0f\1\1", 10 },   /* count 2^32 */
		{ "\2\0\0\x81\x80\x04\1\x80\x80\x04", 10 }, /* 65,537 */
		/* one run of 2^31 done, as a parallel-consumer map had */
		{ "\2\0\0\x80\x80\x80\x80\x08\1\xff\xff\xff\xff\x07", 14 },
		/* results offset of 2^64 - 1 */
		{ "\2\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\2\1\1", 15 },
	};
	struct synq_track *track = NULL;
	struct synq_buf out;

	synq_buf_init(&out, 65536);
	for (size_t i = 0; i < SYNQ_COUNT(bad); i++) {
		wrap(bad[i].raw, bad[i].bytes, &out);
		assert_knows_nothing(synq_buf_view(&out), -1);
	}
	/* To be sure that wrap makes good ones, too. */
	wrap("\2\0\0\2\1\1", 6, &out);
	assert_int_equal(
	    synq_track_restore(100, synq_buf_view(&out), 102, &track), 0);
	assert_int_equal(synq_track_get(track, 101), SYNQ_TRACK_DONE);
	synq_track_free(&track);
	synq_buf_done(&out);
}

/* 65,535 not done, 1 done: short as runs, but it could not stay so. */
static void
test_map_that_could_outgrow_its_limit_means_nothing_known(void **state)
{
	(void)state;
	struct synq_buf out;

	synq_buf_init(&out, 65536);
	wrap("\2\0\0\x80\x80\x04\xff\xff\x03\1", 10, &out);
	assert_knows_nothing(synq_buf_view(&out), -1);
	synq_buf_done(&out);
}

static void
test_map_of_other_text_means_nothing_known(void **state)
{
	(void)state;
	static char big[40000];
	static const char *const texts[] = { "S", "S1", "S1:", "S2:AAAAAMdLZ0g",
		"s1:AAAAAMdLZ0g", "S1:AAAAAMdLZ0g=", "S1:AAAA AMdLZ0g",
		" S1:AAAAAMdLZ0g", "hello" };

	for (size_t i = 0; i < SYNQ_COUNT(texts); i++)
		assert_knows_nothing(synq_slice_text(texts[i]), -1);
	memset(big, 'A', sizeof(big));
	memcpy(big, "S1:", 3);
	assert_knows_nothing(synq_slice_of(big, sizeof(big)), -1);
	assert_knows_nothing(synq_slice_of(big, SYNQ_TRACK_MAX_CHARS + 1), -1);
}

static void
test_map_absent_is_no_error(void **state)
{
	(void)state;
	struct synq_track *track = NULL;

	assert_int_equal(
	    synq_track_restore(8, synq_slice_text(""), 50, &track), 0);
	assert_int_equal(synq_track_base(track), 8);
	assert_int_equal(synq_track_results_offset(track), -1);
	synq_track_free(&track);
}

/* What did not go out whole must go out again. */
static void
test_map_without_room_stays_to_be_committed(void **state)
{
	struct synq_track *track = synq_track_new(100);
	struct synq_buf out;

	(void)state;
	synq_track_seen(track, 100);
	done(track, 100);
	synq_buf_init(&out, 4);
	synq_track_encode(track, &out);
	assert_true(out.overflow);
	assert_true(synq_track_dirty(track));
	synq_buf_done(&out);

	synq_buf_init(&out, SYNQ_TRACK_MAX_CHARS + 1);
	synq_track_encode(track, &out);
	assert_false(synq_track_dirty(track));

	synq_buf_done(&out);
	synq_track_free(&track);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_cut_anywhere_means_nothing_known),
		cmocka_unit_test(
		    test_map_with_a_flipped_bit_means_nothing_known),
		cmocka_unit_test(
		    test_map_past_the_high_watermark_means_nothing_known),
		cmocka_unit_test(
		    test_map_with_a_valid_checksum_is_still_checked),
		cmocka_unit_test(
		    test_map_that_could_outgrow_its_limit_means_nothing_known),
		cmocka_unit_test(test_map_of_other_text_means_nothing_known),
		cmocka_unit_test(test_map_absent_is_no_error),
		cmocka_unit_test(test_map_without_room_stays_to_be_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
