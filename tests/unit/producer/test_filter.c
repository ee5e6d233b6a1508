/*
 * The query of GET /v1/jobs.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "producer/filter.h"
#include "world.h"

/* Calls filter_read on a call of its own and shows what came of it. */
struct read {
	struct api_call call;
	struct synq_job_filter filter;
	struct synq_exchange *exchange;
	int rc;
};

static struct read
read_query(struct world *world, const char *query)
{
	struct read read = { .rc = 0 };
	char target[8192];

	(void)snprintf(target, sizeof(target), "/v1/jobs?%s", query);
	read.exchange = world_open(world, target);
	read.call.intake = &world->intake;
	read.call.exchange = read.exchange;
	read.call.principal.organization_id = world->organization_id;
	read.rc = filter_read(&read.call, &read.filter);
	return read;
}

/* ${query} passes; the filter lives as long as the world. */
static struct synq_job_filter
passes(struct world *world, const char *query)
{
	struct read read = read_query(world, query);

	if (read.rc != 0)
		fail_msg("%s: %s", query, world_body(read.exchange));
	assert_int_equal(0, world_status(read.exchange));
	return read.filter;
}

static void
refused(
    struct world *world, const char *query, const char *code, const char *param)
{
	struct read read = read_query(world, query);

	if (read.rc == 0)
		fail_msg("passed: %s", query);
	world_expect_error(
	    read.exchange, 400, "invalid_request_error", code, param);
}

static void
test_filter_has_defaults(void **state)
{
	struct synq_job_filter filter = passes(*state, "");

	assert_int_equal(20, filter.limit);
	assert_true(synq_uuid_is_nil(&filter.after));
	assert_int_equal(0, filter.state.bytes);
	assert_int_equal(0, filter.model.bytes);
	assert_int_equal(0, filter.created_from);
	assert_int_equal(0, filter.created_to);
	assert_int_equal(0, filter.metadata.bytes);
}

static void
test_filter_takes_a_limit_of_1_to_100(void **state)
{
	assert_int_equal(1, passes(*state, "limit=1").limit);
	assert_int_equal(100, passes(*state, "limit=100").limit);
	refused(*state, "limit=0", "invalid_value", "limit");
	refused(*state, "limit=101", "invalid_value", "limit");
	refused(*state, "limit=-1", "invalid_value", "limit");
	refused(*state, "limit=", "invalid_value", "limit");
	refused(*state, "limit", "invalid_value", "limit");
	refused(*state, "limit=ten", "invalid_value", "limit");
	refused(*state, "limit=18446744073709551617", "invalid_value", "limit");
}

static void
test_filter_takes_own_ids_only_as_cursor(void **state)
{
	struct world *world = *state;
	const struct synq_uuid job = world_id(1);
	const struct synq_uuid other = world_id(99);
	struct synq_job_filter filter;
	char query[128];

	(void)snprintf(query, sizeof(query), "after=%s",
	    world_public_id(world, &world->organization_id, &job));
	filter = passes(world, query);
	assert_true(synq_uuid_equal(&job, &filter.after));

	(void)snprintf(query, sizeof(query), "after=%s",
	    world_public_id(world, &other, &job));
	refused(world, query, "invalid_value", "after");
	refused(world, "after=job_1", "invalid_value", "after");
	refused(world, "after=", "invalid_value", "after");
}

static void
test_filter_knows_the_seven_states(void **state)
{
	static const char *const names[] = { "queued", "running", "retrying",
		"succeeded", "failed", "cancelled", "expired" };
	char query[64];
	size_t i;

	for (i = 0; i < SYNQ_COUNT(names); i++) {
		(void)snprintf(query, sizeof(query), "state=%s", names[i]);
		assert_true(
		    synq_slice_is(passes(*state, query).state, names[i]));
		(void)snprintf(query, sizeof(query), "status=%s", names[i]);
		assert_true(
		    synq_slice_is(passes(*state, query).state, names[i]));
	}
	refused(*state, "state=accepted", "invalid_value", "state");
	refused(*state, "state=done", "invalid_value", "state");
	refused(*state, "state=", "invalid_value", "state");
	refused(*state, "state=QUEUED", "invalid_value", "state");
	refused(*state, "status=x", "invalid_value", "status");
}

static void
test_filter_takes_a_model(void **state)
{
	char query[600] = "model=";

	assert_true(
	    synq_slice_is(passes(*state, "model=org%2Fm").model, "org/m"));
	assert_true(
	    synq_slice_is(passes(*state, "model=org/m").model, "org/m"));
	refused(*state, "model=", "invalid_value", "model");
	memset(query + 6, 'm', 257);
	refused(*state, query, "invalid_value", "model");
}

static void
test_filter_takes_times_in_both_forms(void **state)
{
	struct synq_job_filter filter = passes(*state,
	    "created_after=2027-01-15T08:00:00Z&created_before=1800003600");

	assert_int_equal(WORLD_BEGIN_AT, filter.created_from);
	assert_int_equal(WORLD_BEGIN_AT + 3600LL * 1000000, filter.created_to);
	filter =
	    passes(*state, "created_after=2027-01-15T10%3A00%3A00%2B02%3A00");
	assert_int_equal(WORLD_BEGIN_AT, filter.created_from);
	refused(*state, "created_after=yesterday", "invalid_value",
	    "created_after");
	refused(*state, "created_before=2027-01-15", "invalid_value",
	    "created_before");
	refused(*state, "created_before=", "invalid_value", "created_before");
}

static void
test_filter_makes_an_object_of_metadata(void **state)
{
	assert_true(
	    synq_slice_is(passes(*state, "metadata[a]=b&metadata[c]=").metadata,
		"{\"a\":\"b\",\"c\":\"\"}"));
	assert_true(
	    synq_slice_is(passes(*state, "metadata%5Ba%5D=%22%5C").metadata,
		"{\"a\":\"\\\"\\\\\"}"));
	assert_true(synq_slice_is(
	    passes(*state, "metadata[a[b]]=1").metadata, "{\"a[b]\":\"1\"}"));
	assert_true(synq_slice_is(
	    passes(*state, "metadata[caf%C3%A9]=%F0%9F%98%80").metadata,
	    "{\"caf\xc3\xa9\":\"\xf0\x9f\x98\x80\"}"));
}

/* Forms, and most libraries, write a space as "+". */
static void
test_filter_reads_plus_as_a_space(void **state)
{
	assert_true(
	    synq_slice_is(passes(*state, "metadata[my+team]=a+b%2Bc").metadata,
		"{\"my team\":\"a b+c\"}"));
}

static void
test_filter_refuses_metadata_that_no_job_has(void **state)
{
	char query[4096] = "metadata[a]=";

	refused(*state, "metadata[]=x", "invalid_value", "metadata[]");
	refused(*state, "metadata=x", "unknown_parameter", "metadata");
	refused(*state, "metadata[a=x", "unknown_parameter", "metadata[a");
	refused(*state, "metadata[a]=%ff", "invalid_value", "metadata[a]");
	memset(query + 12, 'a', 2049);
	refused(*state, query, "invalid_value", "metadata[a]");
}

static void
test_filter_refuses_what_it_does_not_know(void **state)
{
	refused(*state, "limits=5", "unknown_parameter", "limits");
	refused(*state, "Limit=5", "unknown_parameter", "Limit");
	refused(*state, "=5", "unknown_parameter", "");
	refused(*state, "order=asc", "unknown_parameter", "order");
}

static void
test_filter_takes_each_parameter_once(void **state)
{
	refused(*state, "limit=1&limit=2", "invalid_value", "limit");
	refused(
	    *state, "state=queued&status=failed", "invalid_value", "status");
	refused(*state, "metadata[a]=1&metadata[a]=2", "invalid_value",
	    "metadata[a]");
	(void)passes(*state, "metadata[a]=1&metadata[aa]=1&metadata[b]=1");
}

static void
test_filter_survives_hostile_encoding(void **state)
{
	char query[8000];

	refused(*state, "%zz=1", "invalid_value", NULL);
	refused(*state, "limit=%", "invalid_value", "limit");
	refused(*state, "limit=%00", "invalid_value", "limit");
	refused(*state, "model=%ff%fe", "invalid_value", "model");
	refused(*state, "%ff=1", "invalid_value", NULL);
	memset(query, 'n', sizeof(query) - 1);
	query[sizeof(query) - 1] = '\0';
	refused(*state, query, "invalid_value", NULL);
	memset(query, '&', sizeof(query) - 1);
	(void)passes(*state, query);
}

static void
test_filter_takes_32_parameters(void **state)
{
	char query[2048] = "limit=5";
	size_t i;

	for (i = 1; i < 32; i++)
		(void)snprintf(query + strlen(query),
		    sizeof(query) - strlen(query), "&metadata[k%zu]=v", i);
	(void)passes(*state, query);
	(void)snprintf(
	    query + strlen(query), sizeof(query) - strlen(query), "&model=m");
	assert_int_equal(-1, read_query(*state, query).rc);
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_filter_has_defaults),
		TEST(test_filter_takes_a_limit_of_1_to_100),
		TEST(test_filter_takes_own_ids_only_as_cursor),
		TEST(test_filter_knows_the_seven_states),
		TEST(test_filter_takes_a_model),
		TEST(test_filter_takes_times_in_both_forms),
		TEST(test_filter_makes_an_object_of_metadata),
		TEST(test_filter_reads_plus_as_a_space),
		TEST(test_filter_refuses_metadata_that_no_job_has),
		TEST(test_filter_refuses_what_it_does_not_know),
		TEST(test_filter_takes_each_parameter_once),
		TEST(test_filter_survives_hostile_encoding),
		TEST(test_filter_takes_32_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
