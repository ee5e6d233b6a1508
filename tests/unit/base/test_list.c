#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/mem.h"

struct item {
	int number;
	struct synq_link link;
};

static int
number_of(struct synq_link *link)
{
	return SYNQ_CONTAINER(link, struct item, link)->number;
}

static void
test_list_keeps_order(void **state)
{
	(void)state;
	struct item items[3] = { { .number = 1 }, { .number = 2 },
		{ .number = 3 } };
	struct synq_list list;

	synq_list_init(&list);
	synq_list_push(&list, &items[1].link);
	synq_list_push(&list, &items[2].link);
	synq_list_unshift(&list, &items[0].link);

	assert_int_equal(list.count, 3);
	for (int want = 1; want <= 3; want++)
		assert_int_equal(number_of(synq_list_shift(&list)), want);
	assert_null(synq_list_shift(&list));
	assert_null(synq_list_first(&list));
	assert_int_equal(list.count, 0);
}

static void
test_list_remove_twice_is_harmless(void **state)
{
	(void)state;
	struct item items[2] = { 0 };
	struct synq_list list;

	synq_list_init(&list);
	synq_list_push(&list, &items[0].link);
	synq_list_push(&list, &items[1].link);
	assert_true(synq_link_used(&items[0].link));
	synq_list_remove(&list, &items[0].link);
	synq_list_remove(&list, &items[0].link);

	assert_false(synq_link_used(&items[0].link));
	assert_int_equal(list.count, 1);
	assert_ptr_equal(synq_list_first(&list), &items[1].link);
}

static void
test_list_foreach_survives_freeing_its_element(void **state)
{
	(void)state;
	struct synq_list list;
	struct synq_link *link;
	struct synq_link *after;
	int sum = 0;

	synq_list_init(&list);
	for (int i = 1; i <= 4; i++) {
		struct item *item = synq_mem_new(sizeof(*item));

		item->number = i;
		synq_list_push(&list, &item->link);
	}
	synq_list_foreach (&list, link, after) {
		sum = sum * 10 + number_of(link);
		synq_list_remove(&list, link);
		synq_mem_free(SYNQ_CONTAINER(link, struct item, link));
	}

	assert_int_equal(sum, 1234);
	assert_int_equal(list.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_keeps_order),
		cmocka_unit_test(test_list_remove_twice_is_harmless),
		cmocka_unit_test(
		    test_list_foreach_survives_freeing_its_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
