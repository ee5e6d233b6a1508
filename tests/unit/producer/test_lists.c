/*
 * Pages of jobs.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "world.h"

#define INVALID "invalid_request_error"

static void
test_list_shows_a_page(void **state)
{
	struct world *world = *state;
	struct synq_job_row rows[3];
	struct synq_exchange *exchange =
	    world_send(world, "GET", "/v1/jobs?limit=2", NULL, NULL);
	struct synq_uuid ids[3];
	size_t i;

	for (i = 0; i < 3; i++) {
		ids[i] = world_id((uint8_t)i);
		rows[i] = world_row(&ids[i], SYNQ_JOB_QUEUED);
	}
	assert_true(world->queries[0].is_list);
	assert_int_equal(3, world->queries[0].limit); /* one to look ahead */
	world_answer(world, 0, rows, 3, WORLD_BEGIN_AT + 5000000);

	assert_int_equal(200, world_status(exchange));
	assert_string_equal("list", world_text(exchange, "object"));
	assert_string_equal("true", world_text(exchange, "has_more"));
	assert_string_equal("1800000005", world_text(exchange, "as_of"));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &ids[0]),
	    world_text(exchange, "first_id"));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &ids[1]),
	    world_text(exchange, "last_id"));
	assert_string_equal(
	    world_public_id(world, &world->organization_id, &ids[1]),
	    world_text(exchange, "data.1.id"));
	assert_null(strstr(world_body(exchange),
	    world_public_id(world, &world->organization_id, &ids[2])));
}

static void
test_list_shows_an_empty_page(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange =
	    world_send(world, "GET", "/v1/jobs", NULL, NULL);

	world_answer(world, 0, NULL, 0, 0);
	assert_string_equal(
	    "{\"object\":\"list\",\"data\":[],\"first_id\":null,"
	    "\"last_id\":null,\"has_more\":false,\"as_of\":null}",
	    world_body(exchange));
}

static void
test_list_refuses_a_query_that_is_wrong(void **state)
{
	struct world *world = *state;

	world_expect_error(
	    world_send(world, "GET", "/v1/jobs?limit=1000", NULL, NULL), 400,
	    INVALID, "invalid_value", "limit");
	assert_int_equal(0, world->query_count);
}

/* As large as jobs may be, a page of them is still JSON. */
static void
test_list_shows_the_largest_jobs(void **state)
{
	struct world *world = *state;
	struct synq_job_row rows[100];
	struct synq_uuid job = world_id(1);
	char *metadata = synq_mem_new(120000);
	char *error = synq_mem_new(4097);
	struct synq_exchange *exchange =
	    world_send(world, "GET", "/v1/jobs?limit=100", NULL, NULL);
	size_t i;

	(void)snprintf(metadata, 120000, "{\"a\":\"%0110000d\"}", 0);
	memset(error, 1, 4096);
	for (i = 0; i < 100; i++) {
		rows[i] = world_row(&job, SYNQ_JOB_FAILED);
		rows[i].metadata = synq_slice_text(metadata);
		rows[i].error_code = synq_slice_text("c");
		rows[i].error = synq_slice_text(error);
	}
	world_answer(world, 0, rows, 100, 0);

	assert_int_equal(200, world_status(exchange));
	assert_string_equal("failed", world_text(exchange, "data.99.status"));
	synq_mem_free(metadata);
	synq_mem_free(error);
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_list_shows_a_page),
		TEST(test_list_shows_an_empty_page),
		TEST(test_list_refuses_a_query_that_is_wrong),
		TEST(test_list_shows_the_largest_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
