#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "proto/request.h"
#include "proto/topics.h"

static void
test_source_codes_and_names_agree(void **state)
{
	(void)state;
	assert_int_equal(synq_source_code(SYNQ_TOPIC_INTERACTIVE), 1);
	assert_int_equal(synq_source_code(SYNQ_TOPIC_BATCH), 2);
	assert_int_equal(
	    synq_source_code(SYNQ_TOPIC_RESULTS), SYNQ_SOURCE_NONE);
	assert_int_equal(synq_source_code(""), SYNQ_SOURCE_NONE);
	assert_string_equal(
	    synq_source_name(SYNQ_SOURCE_INTERACTIVE), SYNQ_TOPIC_INTERACTIVE);
	assert_string_equal(
	    synq_source_name(SYNQ_SOURCE_BATCH), SYNQ_TOPIC_BATCH);
	assert_null(synq_source_name(SYNQ_SOURCE_NONE));
	assert_null(synq_source_name((enum synq_source_topic)200));
}

static void
test_source_is_equal_only_in_all_three(void **state)
{
	(void)state;
	struct synq_source a = { SYNQ_SOURCE_BATCH, 3, 7 };
	struct synq_source topic = { SYNQ_SOURCE_INTERACTIVE, 3, 7 };
	struct synq_source partition = { SYNQ_SOURCE_BATCH, 4, 7 };
	struct synq_source offset = { SYNQ_SOURCE_BATCH, 3, 8 };
	struct synq_source same = a;

	assert_true(synq_source_equal(&a, &same));
	assert_false(synq_source_equal(&a, &topic));
	assert_false(synq_source_equal(&a, &partition));
	assert_false(synq_source_equal(&a, &offset));
}

static void
test_endpoint_paths_lead_back(void **state)
{
	(void)state;
	for (int i = SYNQ_ENDPOINT_CHAT; i <= SYNQ_ENDPOINT_EMBEDDINGS; i++) {
		const char *path = synq_endpoint_path((enum synq_endpoint)i);
		enum synq_endpoint endpoint = SYNQ_ENDPOINT_CHAT;

		assert_non_null(path);
		assert_int_equal(
		    synq_endpoint_parse(synq_slice_text(path), &endpoint), 0);
		assert_int_equal((int)endpoint, i);
	}
	assert_null(synq_endpoint_path((enum synq_endpoint)0));
	assert_null(synq_endpoint_path((enum synq_endpoint)4));
}

static void
test_endpoint_refuses_other_paths(void **state)
{
	(void)state;
	enum synq_endpoint endpoint;

	assert_int_equal(
	    synq_endpoint_parse(synq_slice_text("/v1/chat"), &endpoint),
	    -SYNQ_E_NOT_FOUND);
	assert_int_equal(
	    synq_endpoint_parse(
		synq_slice_text("/v1/chat/completions/"), &endpoint),
	    -SYNQ_E_NOT_FOUND);
	assert_int_equal(synq_endpoint_parse(synq_slice_text(""), &endpoint),
	    -SYNQ_E_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source_codes_and_names_agree),
		cmocka_unit_test(test_source_is_equal_only_in_all_three),
		cmocka_unit_test(test_endpoint_paths_lead_back),
		cmocka_unit_test(test_endpoint_refuses_other_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
