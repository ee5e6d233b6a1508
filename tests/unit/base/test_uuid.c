#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/map.h"
#include "base/uuid.h"

#define NOW_US INT64_C(1763716800123456)
#define MANY 2000

static void
test_uuid_has_time_version_and_variant(void **state)
{
	(void)state;

	for (int i = 0; i < MANY; i++) {
		struct synq_uuid id = synq_uuid_new(NOW_US);

		assert_true(synq_uuid_time_us(&id) == NOW_US / 1000 * 1000);
		assert_int_equal(id.bytes[6] >> 4, 7);
		assert_int_equal(id.bytes[8] >> 6, 2);
	}
}

/* Over many fillings of the pool, and in several threads. */
static void *
make_many(void *ctx)
{
	struct synq_uuid *ids = ctx;

	for (size_t i = 0; i < MANY; i++)
		ids[i] = synq_uuid_new(NOW_US);
	return NULL;
}

static void
test_uuid_never_repeats(void **state)
{
	(void)state;
	static struct synq_uuid ids[3][MANY];
	struct synq_map *seen = synq_map_new();
	pthread_t threads[2];

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, make_many, ids[i]), 0);
	make_many(ids[2]);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);

	for (size_t i = 0; i < 3 * (size_t)MANY; i++) {
		struct synq_uuid *id = &ids[i / MANY][i % MANY];

		assert_null(synq_map_set(seen, synq_uuid_slice(id), id));
	}
	synq_map_free(&seen);
}

static void
test_uuid_child_does_not_repeat_the_parents(void **state)
{
	(void)state;
	struct synq_uuid theirs;
	int ends[2];
	int status;

	synq_uuid_new(NOW_US);
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		theirs = synq_uuid_new(NOW_US);
		_exit(
		    write(ends[1], &theirs, sizeof(theirs)) != sizeof(theirs));
	}
	assert_int_equal(
	    read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ends[0]);
	close(ends[1]);

	struct synq_uuid ours = synq_uuid_new(NOW_US);
	assert_false(synq_uuid_equal(&ours, &theirs));
}

static void
test_uuid_text_goes_both_ways(void **state)
{
	(void)state;
	const char *text = "0198f3a2-7bcd-7e01-8f23-456789abcdef";
	const char *upper = "0198F3A2-7BCD-7E01-8F23-456789ABCDEF";
	struct synq_uuid id;
	struct synq_uuid same;
	char back[37];

	assert_int_equal(synq_uuid_parse(synq_slice_text(text), &id), 0);
	synq_uuid_format(&id, back);
	assert_string_equal(back, text);
	assert_int_equal(synq_uuid_parse(synq_slice_text(upper), &same), 0);
	assert_true(synq_uuid_equal(&id, &same));
	assert_int_equal(id.bytes[0], 0x01);
	assert_int_equal(id.bytes[15], 0xef);
	assert_false(synq_uuid_is_nil(&id));
	memset(&id, 0, sizeof(id));
	assert_true(synq_uuid_is_nil(&id));
}

static void
test_uuid_parse_refuses_other_forms(void **state)
{
	(void)state;
	static const char *const wrong[] = { "",
		"0198f3a2-7bcd-7e01-8f23-456789abcde",
		"0198f3a2-7bcd-7e01-8f23-456789abcdef0",
		"0198f3a27bcd7e018f23456789abcdef",
		"0198f3a2-7bcd-7e01-8f23-456789abcdeg",
		"0198f3a2-7bcd-7e01-8f234-56789abcdef",
		"{198f3a2-7bcd-7e01-8f23-456789abcde}",
		"0198f3a2 7bcd 7e01 8f23 456789abcdef" };
	struct synq_uuid id;

	for (size_t i = 0; i < SYNQ_COUNT(wrong); i++)
		assert_int_equal(
		    synq_uuid_parse(synq_slice_text(wrong[i]), &id),
		    -SYNQ_E_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uuid_has_time_version_and_variant),
		cmocka_unit_test(test_uuid_never_repeats),
		cmocka_unit_test(test_uuid_child_does_not_repeat_the_parents),
		cmocka_unit_test(test_uuid_text_goes_both_ways),
		cmocka_unit_test(test_uuid_parse_refuses_other_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
