/*
 * The recorder's small questions on a real server: where it stands, going back
 * where its log was cut, and what has expired.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/err.h"
#include "fixture.h"
#include "loop/loop.h"
#include "store/record.h"

#define TOPIC "synq.results"

/* What an answer said. */
struct told {
	int told;
	int rc;
	int64_t next;
	int64_t as_of_at;
};

static void
on_offset(void *ctx, int rc, int64_t next, int64_t as_of_at)
{
	*(struct told *)ctx = (struct told){ 1, rc, next, as_of_at };
}

static struct told
place_of(int32_t partition)
{
	struct told told = { .told = 0 };

	assert_int_equal(synq_store_offset(
			     fix->recorder, TOPIC, partition, on_offset, &told),
	    0);
	wait_for(&told.told);
	assert_int_equal(told.rc, 0);
	return told;
}

static void
on_rewound(void *ctx, int rc)
{
	*(struct told *)ctx = (struct told){ .told = 1, .rc = rc };
}

static int
rewind_from(int64_t from, int64_t next)
{
	const struct synq_rewind rewind = { TOPIC, 3, from, next };
	struct told told = { .told = 0 };

	assert_int_equal(
	    synq_store_rewind(fix->recorder, &rewind, on_rewound, &told), 0);
	wait_for(&told.told);
	return told.rc;
}

static void
add_places(void)
{
	ask("INSERT INTO platform.consumer_offset VALUES"
	    " ('recorder', '" TOPIC "', 3, 42, to_timestamp(7)),"
	    " ('recorder', '" TOPIC "', 4, 42, to_timestamp(7)),"
	    " ('another', '" TOPIC "', 3, 42, to_timestamp(7))");
}

static void
test_place_is_found(SYNQ_UNUSED void **state)
{
	assert_int_equal(place_of(3).next, -1);
	assert_int_equal(place_of(3).as_of_at, 0);
	add_places();
	assert_int_equal(place_of(3).next, 42);
	assert_int_equal(place_of(3).as_of_at, 7000000);
}

/* From where it stands, and from nowhere else; nobody else with it. */
static void
test_place_goes_back(SYNQ_UNUSED void **state)
{
	add_places();
	assert_int_equal(rewind_from(41, 30), -SYNQ_E_FENCED);
	assert_int_equal(place_of(3).next, 42);
	assert_int_equal(rewind_from(42, 30), 0);
	assert_int_equal(place_of(3).next, 30);
	assert_int_equal(place_of(3).as_of_at, 7000000);
	assert_int_equal(place_of(4).next, 42);
	assert_int_equal(ask_number("SELECT next FROM platform.consumer_offset"
				    " WHERE consumer = 'another'"),
	    42);
}

static void
test_sweep_deletes_what_has_expired(SYNQ_UNUSED void **state)
{
	int waited = 0;

	ask("INSERT INTO operations.idempotency (organization_id, key_hash,"
	    " body_hash, job_id, expires_at) SELECT gen_random_uuid(), '\\x01',"
	    " '\\x02', gen_random_uuid(), now() + d * interval '1 hour'"
	    " FROM unnest(ARRAY[-1, -2, 3]) d");
	synq_store_sweep(fix->recorder);
	while (ask_number("SELECT count(*) FROM operations.idempotency") != 1 &&
	       waited++ < 200)
		synq_loop_turn(fix->loop, 20);
	assert_int_equal(
	    ask_number("SELECT count(*) FROM operations.idempotency"
		       " WHERE expires_at > now()"),
	    1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_place_is_found, set_up_test),
		cmocka_unit_test_setup(test_place_goes_back, set_up_test),
		cmocka_unit_test_setup(
		    test_sweep_deletes_what_has_expired, set_up_test),
	};

	if (find_server() != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
