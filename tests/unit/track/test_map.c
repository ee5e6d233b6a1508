#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "track/track.h"

static void
done(struct synq_track *track, int64_t offset)
{
	synq_track_mark(track, offset, SYNQ_TRACK_DONE);
}

/* The highest done offset of ${track}, plus 1; base if there is none. */
static int64_t
map_end(const struct synq_track *track)
{
	int64_t end = synq_track_next(track);

	while (end > synq_track_base(track) &&
	       synq_track_get(track, end - 1) != SYNQ_TRACK_DONE)
		end--;
	return end;
}

/* Encode ${track}, restore it and compare; returns the restored one. */
static struct synq_track *
round_trip(struct synq_track *track)
{
	struct synq_track *again = NULL;
	struct synq_buf out;
	int64_t base = synq_track_base(track);

	synq_buf_init(&out, 65536);
	synq_track_encode(track, &out);
	assert_false(out.overflow);
	assert_in_range(out.bytes, 1, SYNQ_TRACK_MAX_CHARS);

	assert_int_equal(synq_track_restore(base, synq_buf_view(&out),
			     synq_track_next(track), &again),
	    0);
	assert_int_equal(synq_track_base(again), base);
	assert_int_equal(synq_track_next(again), map_end(track));
	assert_int_equal(synq_track_open(again), 0);
	assert_int_equal(
	    synq_track_results_offset(again), synq_track_results_offset(track));
	assert_false(synq_track_dirty(again));
	for (int64_t i = base; i < synq_track_next(again); i++)
		if ((synq_track_get(again, i) == SYNQ_TRACK_DONE) !=
		    (synq_track_get(track, i) == SYNQ_TRACK_DONE))
			fail_msg("offset %lld differs", (long long)i);
	synq_buf_done(&out);
	return again;
}

static void
check_round_trip(struct synq_track *track)
{
	struct synq_track *again = round_trip(track);

	synq_track_free(&again);
}

static void
assert_encodes_as(struct synq_track *track, const char *text)
{
	struct synq_buf out;

	synq_buf_init(&out, 65536);
	synq_track_encode(track, &out);
	synq_buf_char(&out, '\0');
	assert_string_equal(out.data, text);
	synq_buf_done(&out);
}

/* The form is read by later versions: these strings never change. */
static void
test_map_gives_golden_text(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(5);

	assert_encodes_as(track, "S1:AAAAAMdLZ0g");
	synq_track_set_results_offset(track, 299);
	for (int64_t i = 5; i < 305; i++)
		synq_track_seen(track, i);
	for (int64_t i = 6; i < 300; i++)
		done(track, i);
	assert_encodes_as(track, "S1:AgCsAqcCAaYCREDmZQ");
	for (int64_t i = 300; i < 700; i++) {
		synq_track_seen(track, i + 5);
		if (i % 2)
			done(track, i);
	}
	check_round_trip(track);
	synq_track_free(&track);
}

static void
test_map_of_nothing_done_says_nothing(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(9);

	for (int64_t i = 9; i < 5000; i++)
		synq_track_seen(track, i);
	check_round_trip(track);
	synq_track_free(&track);
}

/*
 * The model: what is done, whatever the process that did it.  Random work with
 * restarts: after each one the map decides, results that came after the last
 * commit are reconciled or lost at random, and no record is ever skipped.
 */
enum { MODEL_OFFSETS = 60000 };

struct model {
	unsigned char done[MODEL_OFFSETS];
	struct synq_track *track;
	struct synq_rand rand;
	struct synq_buf committed;
	int64_t committed_base;
	int64_t read; /* next to be read from the log */
	unsigned restarts;
};

static struct model model;

static void
model_commit(void)
{
	synq_buf_clear(&model.committed);
	synq_track_encode(model.track, &model.committed);
	assert_in_range(model.committed.bytes, 1, SYNQ_TRACK_MAX_CHARS);
	model.committed_base = synq_track_base(model.track);
}

static void
model_restart(void)
{
	int reconcile = synq_rand_below(&model.rand, 2) != 0;

	synq_track_free(&model.track);
	assert_int_equal(
	    synq_track_restore(model.committed_base,
		synq_buf_view(&model.committed), MODEL_OFFSETS, &model.track),
	    0);
	model.restarts++;
	model.read = model.committed_base;

	/* Nothing is taken for done that is not. */
	for (int64_t i = 0; i < synq_track_next(model.track); i++)
		if (synq_track_get(model.track, i) == SYNQ_TRACK_DONE)
			assert_true(model.done[i]);
	if (!reconcile)
		return;
	for (int64_t i = model.committed_base; i < MODEL_OFFSETS; i++)
		if (model.done[i])
			done(model.track, i);
	for (int64_t i = 0; i < MODEL_OFFSETS; i++)
		if (model.done[i])
			assert_int_equal(
			    synq_track_get(model.track, i), SYNQ_TRACK_DONE);
}

static void
model_step(void)
{
	int64_t base = synq_track_base(model.track);
	uint64_t what = synq_rand_below(&model.rand, 1000);

	if (what < 500) {
		if (model.read == MODEL_OFFSETS ||
		    !synq_track_room(model.track))
			return;
		int rc = synq_track_seen(model.track, model.read);
		assert_true(rc >= 0);
		if (rc == 0)
			assert_true(model.done[model.read]);
		model.read++;
	} else if (what < 998) {
		/* Mostly near the front, so that base moves at all. */
		uint64_t span =
		    model.read > base ? (uint64_t)(model.read - base) : 0;
		int64_t at = base + (int64_t)synq_rand_below(&model.rand,
					what < 700 && span > 64 ? 64 : span);

		if (at >= model.read)
			return;
		model.done[at] = 1;
		done(model.track, at);
	} else if (what < 999) {
		model_commit();
	} else if (synq_rand_below(&model.rand, 5) == 0) {
		model_restart();
	}
}

static void
test_map_agrees_with_a_set_through_restarts(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		memset(&model, 0, sizeof(model));
		synq_rand_init(&model.rand, seed);
		synq_buf_init(&model.committed, 65536);
		model.track = synq_track_new(0);
		model_commit();

		for (long i = 0; i < 300000; i++)
			model_step();
		assert_true(model.restarts > 10);

		/* Every record gets its end. */
		while (synq_track_base(model.track) < MODEL_OFFSETS) {
			if (model.read < MODEL_OFFSETS &&
			    synq_track_room(model.track)) {
				synq_track_seen(model.track, model.read++);
				continue;
			}
			int64_t base = synq_track_base(model.track);
			model.done[base] = 1;
			done(model.track, base);
		}
		for (size_t i = 0; i < MODEL_OFFSETS; i++)
			assert_true(model.done[i]);
		synq_track_free(&model.track);
		synq_buf_done(&model.committed);
	}
}

/* ---- it always fits ------------------------------------------------------ */

/* 1 if the pattern ${pattern} finishes ${offset} early, else 0. */
static int
is_early(unsigned pattern, int64_t offset)
{
	static const int64_t period[] = { 2, 3, 4, 16, 128, 129, 256, 300 };

	if (pattern < 8)
		return offset % period[pattern] != 0;
	if (pattern < 16)
		return offset % period[pattern - 8] == 1;
	/* Runs of 128 and more take two bytes each: the worst for runs. */
	return offset / 128 % 2 == 1;
}

#define PATTERNS 17

/*
 * Read whatever there is room for, finish by a hostile pattern, again and
 * again, with stragglers left behind; the map must fit after every mark.
 */
static void
check_pattern(unsigned pattern, size_t open_max)
{
	struct synq_track *track = synq_track_new(12345);
	int64_t next = 12345;
	int64_t pending = next;
	unsigned checks = 0;

	for (int round = 0; round < 60000; round++) {
		while (
		    synq_track_open(track) < open_max && synq_track_room(track))
			assert_int_equal(synq_track_seen(track, next++), 1);
		if (pending == next)
			break;
		if (is_early(pattern, pending))
			done(track, pending);
		pending++;
		if (round % 512 == 0) {
			check_round_trip(track);
			checks++;
		}
	}
	check_round_trip(track);

	/* From the back to the front: base stays, holes appear everywhere. */
	for (int64_t i = next - 1; i > synq_track_base(track); i -= 2) {
		done(track, i);
		if (i % 1024 < 2)
			check_round_trip(track);
	}
	check_round_trip(track);
	assert_true(checks > 0);
	synq_track_free(&track);
}

static void
test_map_fits_whatever_the_pattern(void **state)
{
	(void)state;
	for (unsigned pattern = 0; pattern < PATTERNS; pattern++) {
		check_pattern(pattern, 300);
		check_pattern(pattern, 1000);
		check_pattern(pattern, 100000);
	}
}

static void
test_map_fits_at_random(void **state)
{
	(void)state;
	struct synq_rand rand;

	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct synq_track *track = synq_track_new(0);
		size_t open_max = seed % 3 == 0 ? 100000 : 200 * seed;
		int64_t next = 0;

		synq_rand_init(&rand, seed);
		for (int i = 0; i < 60000; i++) {
			while (synq_track_open(track) < open_max &&
			       synq_track_room(track))
				synq_track_seen(track, next++);
			int64_t base = synq_track_base(track);
			done(track, base + 1 +
					(int64_t)synq_rand_below(
					    &rand, (uint64_t)(next - base)));
			/* Stragglers end now and then. */
			if (synq_rand_below(&rand, 100) == 0)
				done(track, base);
			if (i % 1000 == 0)
				check_round_trip(track);
		}
		check_round_trip(track);
		synq_track_free(&track);
	}
}

/* Results of another owner may come in any order, far ahead, with holes. */
static void
test_map_fits_when_reconciling_nonsense(void **state)
{
	(void)state;
	struct synq_rand rand;
	struct synq_track *track = synq_track_new(0);

	synq_rand_init(&rand, 9);
	for (int i = 0; i < 100000; i++) {
		done(track, (int64_t)synq_rand_below(&rand, 200000));
		if (i % 1000 == 0)
			check_round_trip(track);
	}
	check_round_trip(track);
	synq_track_free(&track);
}

/* A full window must not keep its own records from being read again. */
static void
test_map_restored_full_can_be_read_through(void **state)
{
	(void)state;
	struct synq_track *track = synq_track_new(0);
	struct synq_track *again;
	int64_t next = 0;

	while (synq_track_room(track))
		synq_track_seen(track, next++);
	for (int64_t i = 1; i < next; i += 2)
		done(track, i);
	again = round_trip(track);
	for (int64_t i = 0; i < synq_track_next(again); i++) {
		assert_true(synq_track_room(again));
		assert_int_equal(synq_track_seen(again, i), i % 2 == 0);
	}
	assert_int_equal(synq_track_open(again), (next + 1) / 2);
	synq_track_free(&track);
	synq_track_free(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_gives_golden_text),
		cmocka_unit_test(test_map_of_nothing_done_says_nothing),
		cmocka_unit_test(test_map_agrees_with_a_set_through_restarts),
		cmocka_unit_test(test_map_fits_whatever_the_pattern),
		cmocka_unit_test(test_map_fits_at_random),
		cmocka_unit_test(test_map_fits_when_reconciling_nonsense),
		cmocka_unit_test(test_map_restored_full_can_be_read_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
