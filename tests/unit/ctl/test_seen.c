#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/attr.h"
#include "crypto/secret.h"
#include "ctl/job/seen.h"

/*
 * The set of names that a batch has met.
 */

static int
start_crypto(SYNQ_UNUSED void **state)
{
	return synq_crypto_init(NULL);
}

static void
test_flags_add_up(SYNQ_UNUSED void **state)
{
	struct seen *seen = seen_new();
	struct synq_slice name = synq_slice_text("a");

	assert_int_equal(seen_add(seen, 'c', name, SEEN_OUTPUT), 0);
	assert_int_equal(seen_add(seen, 'c', name, SEEN_INPUT), SEEN_OUTPUT);
	assert_int_equal(
	    seen_add(seen, 'c', name, SEEN_INPUT), SEEN_OUTPUT | SEEN_INPUT);
	seen_free(&seen);
	assert_null(seen);
}

static void
test_kinds_are_apart(SYNQ_UNUSED void **state)
{
	struct seen *seen = seen_new();

	(void)seen_add(seen, 'c', synq_slice_text("a"), SEEN_INPUT);
	assert_int_equal(
	    seen_add(seen, 'i', synq_slice_text("a"), SEEN_INPUT), 0);
	seen_free(&seen);
}

static void
test_many_names_are_all_kept(SYNQ_UNUSED void **state)
{
	struct seen *seen = seen_new();
	char name[16];
	int round;
	int i;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < 20000; i++) {
			(void)snprintf(name, sizeof(name), "r%d", i);
			assert_int_equal(seen_add(seen, 'c',
					     synq_slice_text(name), SEEN_INPUT),
			    round == 0 ? 0 : SEEN_INPUT);
		}
	}
	seen_free(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags_add_up),
		cmocka_unit_test(test_kinds_are_apart),
		cmocka_unit_test(test_many_names_are_all_kept),
	};

	return cmocka_run_group_tests(tests, start_crypto, NULL);
}
