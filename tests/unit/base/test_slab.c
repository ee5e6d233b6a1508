#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/slab.h"

static void
test_slab_refuses_above_its_maximum(void **state)
{
	(void)state;
	struct synq_slab *slab = synq_slab_new("jobs", 40, 3);
	void *objects[3];

	for (size_t i = 0; i < 3; i++) {
		objects[i] = synq_slab_take(slab);
		assert_non_null(objects[i]);
	}

	assert_null(synq_slab_take(slab));
	assert_int_equal(synq_slab_used(slab), 3);
	synq_slab_give(slab, objects[1]);
	assert_ptr_equal(synq_slab_take(slab), objects[1]);
	assert_string_equal(synq_slab_name(slab), "jobs");
	synq_slab_free(&slab);
	assert_null(slab);
	synq_slab_free(&slab);
}

static void
test_slab_gives_zeroed_objects_again(void **state)
{
	(void)state;
	static const char zeros[24];
	struct synq_slab *slab = synq_slab_new("calls", sizeof(zeros), 1);

	for (int round = 0; round < 3; round++) {
		char *object = synq_slab_take(slab);

		assert_memory_equal(object, zeros, sizeof(zeros));
		memset(object, 0xff, sizeof(zeros));
		synq_slab_give(slab, object);
	}
	synq_slab_give(slab, NULL);
	assert_int_equal(synq_slab_used(slab), 0);
	synq_slab_free(&slab);
}

/* Several blocks, and objects both smaller than a link and over a block. */
static void
test_slab_keeps_objects_apart(void **state)
{
	(void)state;
	static const size_t sizes[] = { 1, 24, 1000, 70000 };

	for (size_t s = 0; s < 4; s++) {
		struct synq_slab *slab = synq_slab_new("x", sizes[s], 300);
		unsigned char *objects[300];

		for (size_t i = 0; i < 300; i++) {
			objects[i] = synq_slab_take(slab);
			memset(objects[i], (int)(i & 0xff), sizes[s]);
		}
		for (size_t i = 0; i < 300; i++) {
			assert_int_equal(objects[i][0], i & 0xff);
			assert_int_equal(objects[i][sizes[s] - 1], i & 0xff);
			assert_int_equal((uintptr_t)objects[i] % 16, 0);
		}
		synq_slab_free(&slab);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slab_refuses_above_its_maximum),
		cmocka_unit_test(test_slab_gives_zeroed_objects_again),
		cmocka_unit_test(test_slab_keeps_objects_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
