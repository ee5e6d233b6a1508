#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rand.h"
#include "track/track.h"

static void
done(struct synq_track *track, int64_t offset)
{
	synq_track_mark(track, offset, SYNQ_TRACK_DONE);
}

static void
test_track_commits_the_lowest_that_is_not_done(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(100);

	for (int64_t i = 100; i < 105; i++)
		assert_int_equal(synq_track_seen(track, i), 1);
	done(track, 101);
	done(track, 102);
	assert_int_equal(synq_track_base(track), 100);
	assert_int_equal(synq_track_open(track), 3);

	done(track, 100);
	assert_int_equal(synq_track_base(track), 103);
	done(track, 104);
	done(track, 103);
	assert_int_equal(synq_track_base(track), 105);
	assert_int_equal(synq_track_next(track), 105);
	assert_int_equal(synq_track_open(track), 0);
	synq_track_free(&track);
	assert_null(track);
	synq_track_free(&track);
}

/* What is read last is not done: nothing above it is committed. */
static void
test_track_never_commits_what_was_only_read(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(7);

	synq_track_seen(track, 7);
	synq_track_mark(track, 7, SYNQ_TRACK_RUNNING);
	synq_track_seen(track, 8);
	assert_int_equal(synq_track_base(track), 7);
	done(track, 8);
	assert_int_equal(synq_track_base(track), 7);
	synq_track_free(&track);
}

static void
test_track_counts_gaps_as_done(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	assert_int_equal(synq_track_seen(track, 5), 1);
	assert_int_equal(synq_track_base(track), 5);
	assert_int_equal(synq_track_seen(track, 9), 1);
	assert_int_equal(synq_track_get(track, 7), SYNQ_TRACK_DONE);
	done(track, 5);
	assert_int_equal(synq_track_base(track), 9);
	synq_track_free(&track);
}

static void
test_track_done_is_final(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	synq_track_seen(track, 0);
	synq_track_seen(track, 1);
	done(track, 1);
	synq_track_mark(track, 1, SYNQ_TRACK_RUNNING);
	assert_int_equal(synq_track_get(track, 1), SYNQ_TRACK_DONE);
	done(track, 1);
	assert_int_equal(synq_track_open(track), 1);
	synq_track_free(&track);
}

static void
test_track_keeps_the_state_of_what_is_open(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	synq_track_seen(track, 0);
	assert_int_equal(synq_track_get(track, 0), SYNQ_TRACK_QUEUED);
	synq_track_mark(track, 0, SYNQ_TRACK_RUNNING);
	assert_int_equal(synq_track_get(track, 0), SYNQ_TRACK_RUNNING);
	synq_track_mark(track, 0, SYNQ_TRACK_WAITING);
	assert_int_equal(synq_track_get(track, 0), SYNQ_TRACK_WAITING);
	assert_int_equal(synq_track_get(track, 1), SYNQ_TRACK_QUEUED);
	assert_int_equal(synq_track_get(track, -1), SYNQ_TRACK_DONE);
	synq_track_free(&track);
}

static void
test_track_does_not_give_a_record_out_twice(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	assert_int_equal(synq_track_seen(track, 3), 1);
	assert_int_equal(synq_track_seen(track, 3), 0);
	assert_int_equal(synq_track_seen(track, 2), 0);
	synq_track_mark(track, 3, SYNQ_TRACK_RUNNING);
	assert_int_equal(synq_track_seen(track, 3), 0);
	assert_int_equal(synq_track_get(track, 3), SYNQ_TRACK_RUNNING);
	assert_int_equal(synq_track_open(track), 1);
	synq_track_free(&track);
}

static void
test_track_knows_a_reconciled_result_before_its_record(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(10);

	done(track, 12);
	done(track, 10);
	assert_int_equal(synq_track_base(track), 11);
	assert_int_equal(synq_track_next(track), 13);
	assert_int_equal(synq_track_open(track), 0);
	assert_int_equal(synq_track_seen(track, 10), 0);
	assert_int_equal(synq_track_seen(track, 11), 1);
	assert_int_equal(synq_track_seen(track, 12), 0);
	assert_int_equal(synq_track_seen(track, 13), 1);
	assert_int_equal(synq_track_open(track), 2);
	synq_track_free(&track);
}

/* An offset below a reconciled one that never comes was no record. */
static void
test_track_forgets_unknown_offsets_that_are_passed(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	done(track, 5);
	assert_int_equal(synq_track_base(track), 0);
	assert_int_equal(synq_track_seen(track, 3), 1);
	assert_int_equal(synq_track_base(track), 3);
	assert_int_equal(synq_track_seen(track, 8), 1);
	assert_int_equal(synq_track_get(track, 4), SYNQ_TRACK_DONE);
	done(track, 3);
	assert_int_equal(synq_track_base(track), 8);
	synq_track_free(&track);
}

static void
test_track_ignores_other_marks_of_unseen_offsets(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	synq_track_mark(track, 3, SYNQ_TRACK_RUNNING);
	assert_int_equal(synq_track_next(track), 0);
	done(track, 2);
	synq_track_mark(track, 1, SYNQ_TRACK_WAITING);
	assert_int_equal(synq_track_get(track, 1), SYNQ_TRACK_QUEUED);
	assert_int_equal(synq_track_open(track), 0);
	synq_track_free(&track);
}

static void
test_track_is_dirty_only_when_a_commit_would_say_more(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);
	struct synq_buf out;

	synq_buf_init(&out, 8192);
	assert_false(synq_track_dirty(track));
	synq_track_seen(track, 0);
	synq_track_seen(track, 1);
	assert_false(synq_track_dirty(track));
	synq_track_mark(track, 1, SYNQ_TRACK_RUNNING);
	assert_false(synq_track_dirty(track));

	done(track, 1);
	assert_true(synq_track_dirty(track));
	synq_track_encode(track, &out);
	assert_false(synq_track_dirty(track));
	done(track, 1);
	assert_false(synq_track_dirty(track));
	done(track, 0);
	assert_true(synq_track_dirty(track));
	synq_track_encode(track, &out);

	synq_track_set_results_offset(track, 5);
	assert_true(synq_track_dirty(track));
	synq_track_encode(track, &out);
	synq_track_set_results_offset(track, 5);
	assert_false(synq_track_dirty(track));
	synq_buf_done(&out);
	synq_track_free(&track);
}

static void
test_track_results_offset_never_goes_back(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	assert_int_equal(synq_track_results_offset(track), -1);
	synq_track_set_results_offset(track, 10);
	synq_track_set_results_offset(track, 9);
	assert_int_equal(synq_track_results_offset(track), 10);
	synq_track_free(&track);
}

/* A result that the map cannot hold must be read again by the next owner. */
static void
test_track_results_offset_goes_back_to_where_results_end(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	synq_track_set_results_offset(track, 10);
	synq_track_cut_results(track, 11);
	assert_int_equal(synq_track_results_offset(track), 10);
	synq_track_cut_results(track, 4);
	assert_int_equal(synq_track_results_offset(track), 3);
	assert_true(synq_track_dirty(track));
	synq_track_set_results_offset(track, 5);
	assert_int_equal(synq_track_results_offset(track), 5);
	synq_track_free(&track);
}

static void
test_track_results_offset_waits_for_a_mark_that_did_not_fit(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	synq_track_set_results_offset(track, 3);
	done(track, SYNQ_TRACK_MAX_WINDOW);
	assert_int_equal(synq_track_next(track), 0);
	synq_track_set_results_offset(track, 90);
	assert_int_equal(synq_track_results_offset(track), 3);

	synq_track_seen(track, SYNQ_TRACK_MAX_WINDOW - 1);
	assert_int_equal(synq_track_results_offset(track), 3);
	done(track, SYNQ_TRACK_MAX_WINDOW - 1);
	assert_int_equal(synq_track_seen(track, SYNQ_TRACK_MAX_WINDOW), 1);
	assert_int_equal(synq_track_results_offset(track), 3);
	done(track, SYNQ_TRACK_MAX_WINDOW);
	assert_int_equal(synq_track_results_offset(track), 90);
	synq_track_free(&track);
}

/* A bad record may name any offset. */
static void
test_track_survives_absurd_offsets(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	done(track, INT64_MAX);
	done(track, INT64_MAX - 1);
	done(track, -1);
	done(track, INT64_MIN);
	assert_int_equal(synq_track_base(track), 0);
	assert_int_equal(synq_track_seen(track, -1), 0);
	assert_int_equal(synq_track_seen(track, INT64_MAX), 0);
	assert_int_equal(synq_track_seen(track, INT64_MAX - 1), 0);

	/* The highest that counts. */
	int64_t last = INT64_MAX - SYNQ_TRACK_MAX_WINDOW;
	assert_int_equal(synq_track_seen(track, last), 1);
	assert_int_equal(synq_track_base(track), last);
	done(track, last);
	assert_int_equal(synq_track_base(track), last + 1);
	synq_track_free(&track);
}

/* The record stays with the caller until base has moved; nothing is lost. */
static void
test_track_refuses_a_record_behind_too_wide_a_gap(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);

	synq_track_seen(track, 0);
	assert_int_equal(synq_track_seen(track, 100000), -SYNQ_E_LIMIT);
	assert_int_equal(synq_track_base(track), 0);
	assert_int_equal(synq_track_next(track), 1);
	done(track, 0);
	assert_int_equal(synq_track_base(track), 1);
	assert_int_equal(synq_track_seen(track, 100000), 1);
	assert_int_equal(synq_track_base(track), 100000);
	synq_track_free(&track);
}

/* One straggler at the head, everything behind it fast. */
static void
test_track_holds_a_window_of_65000_behind_one_straggler(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);
	struct synq_buf out;
	int64_t next = 0;

	synq_buf_init(&out, 8192);
	synq_track_seen(track, next++);
	while (synq_track_room(track)) {
		assert_int_equal(synq_track_seen(track, next), 1);
		done(track, next++);
	}
	assert_in_range(next, 64000, SYNQ_TRACK_MAX_WINDOW);
	synq_track_encode(track, &out);
	assert_in_range(out.bytes, 10, 30);
	done(track, 0);
	assert_int_equal(synq_track_base(track), next);
	assert_true(synq_track_room(track));
	synq_buf_done(&out);
	synq_track_free(&track);
}

static void
test_track_stops_reading_at_about_20000_when_all_are_open(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(1000000);
	int64_t next = 1000000;

	while (synq_track_room(track))
		assert_int_equal(synq_track_seen(track, next++), 1);
	assert_in_range(next - 1000000, 19000, 21000);

	/* Whoever reads on is refused before the map could burst. */
	while (synq_track_seen(track, next) == 1)
		next++;
	assert_in_range(next - 1000000, 20000, 21000);
	assert_int_equal(synq_track_seen(track, next), -SYNQ_E_LIMIT);
	synq_track_free(&track);
}

/* 20,000 offsets in a mess of orders, against an array of flags. */
static void
test_track_agrees_with_an_array_of_flags(void **state)
{
	(void)state;
	enum { OFFSETS = 20000 };
	static unsigned char flags[OFFSETS]; /* 0 unknown, 1 open, 2 done */
	struct synq_track *track = synq_track_new(0);
	struct synq_rand rand;
	int64_t next = 0;
	int64_t base = 0;
	size_t open = 0;

	synq_rand_init(&rand, 5);
	memset(flags, 0, sizeof(flags));
	while (base < OFFSETS - 64) {
		int64_t at = base + (int64_t)synq_rand_below(
					&rand, (uint64_t)(next - base));

		if (next < OFFSETS - 64 && synq_rand_below(&rand, 2)) {
			int64_t gap = synq_rand_below(&rand, 50) == 0
			                  ? (int64_t)synq_rand_below(&rand, 60)
			                  : 0;
			while (gap-- > 0)
				flags[next++] = 2;
			flags[next] = 1;
			open++;
			assert_int_equal(synq_track_seen(track, next++), 1);
		} else if (next > base && flags[at] == 1) {
			flags[at] = 2;
			open--;
			done(track, at);
		} else if (next >= OFFSETS - 64) {
			/* No more comes: finish from the front. */
			if (flags[base] == 1)
				open--;
			flags[base] = 2;
			done(track, base);
			if (base + 1 == next)
				break;
		}
		while (base < next && flags[base] == 2)
			base++;
		assert_int_equal(synq_track_base(track), base);
		assert_int_equal(synq_track_next(track), next);
		assert_int_equal(synq_track_open(track), open);
		if (next > base)
			assert_int_equal(
			    synq_track_get(track, at) == SYNQ_TRACK_DONE,
			    at < base || flags[at] == 2);
	}
	synq_track_free(&track);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_track_commits_the_lowest_that_is_not_done),
		cmocka_unit_test(test_track_never_commits_what_was_only_read),
		cmocka_unit_test(test_track_counts_gaps_as_done),
		cmocka_unit_test(test_track_done_is_final),
		cmocka_unit_test(test_track_keeps_the_state_of_what_is_open),
		cmocka_unit_test(test_track_does_not_give_a_record_out_twice),
		cmocka_unit_test(
		    test_track_knows_a_reconciled_result_before_its_record),
		cmocka_unit_test(
		    test_track_forgets_unknown_offsets_that_are_passed),
		cmocka_unit_test(
		    test_track_ignores_other_marks_of_unseen_offsets),
		cmocka_unit_test(
		    test_track_is_dirty_only_when_a_commit_would_say_more),
		cmocka_unit_test(test_track_results_offset_never_goes_back),
		cmocka_unit_test(
		    test_track_results_offset_goes_back_to_where_results_end),
		cmocka_unit_test(
		    test_track_results_offset_waits_for_a_mark_that_did_not_fit),
		cmocka_unit_test(test_track_survives_absurd_offsets),
		cmocka_unit_test(
		    test_track_refuses_a_record_behind_too_wide_a_gap),
		cmocka_unit_test(
		    test_track_holds_a_window_of_65000_behind_one_straggler),
		cmocka_unit_test(
		    test_track_stops_reading_at_about_20000_when_all_are_open),
		cmocka_unit_test(test_track_agrees_with_an_array_of_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
