/*
 * What the intake counts, and under which labels.
 */

#include "metric/metric.h"
#include "producer/api.h"
#include "producer/figures.h"
#include "producer/route.h"
#include "world.h"

#define CHAT_PATH "/v1/chat/completions"
#define CHAT "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}"

/* How many requests of ${route}, ${method} were answered ${code}. */
static uint64_t
requests(const struct world *world, const char *route, const char *method,
    const char *code)
{
	return synq_series_count(
	    synq_metric_series(world->metrics, SYNQ_M_HTTP_REQUESTS_TOTAL,
		(const char *const[]){ route, method, code }));
}

static uint64_t
accepted(const struct world *world, const char *endpoint)
{
	return synq_series_count(synq_metric_series(world->metrics,
	    SYNQ_M_JOBS_TOTAL, (const char *const[]){ endpoint, "accepted" }));
}

static struct synq_series *
duration(const struct world *world, const char *route)
{
	return synq_metric_series(world->metrics,
	    SYNQ_M_HTTP_REQUEST_DURATION_SECONDS,
	    (const char *const[]){ route });
}

static void
test_figures_count_requests_by_route_method_and_code(void **state)
{
	struct world *world = *state;

	world_sent(world_send(world, "GET", "/v1/models", NULL, NULL));
	world_sent(world_send(world, "GET", "/v1/models/m", NULL, NULL));
	world_sent(world_send(world, "GET", "/v1/models/org/m", NULL, NULL));
	world_sent(world_send(world, "HEAD", "/v1/models", NULL, NULL));
	world->auth = SYNQ_AUTH_UNKNOWN;
	world_sent(world_send(world, "GET", "/v1/models", NULL, NULL));

	assert_int_equal(1, requests(world, "/v1/models", "GET", "200"));
	assert_int_equal(1, requests(world, "/v1/models", "HEAD", "200"));
	assert_int_equal(1, requests(world, "/v1/models", "GET", "401"));
	assert_int_equal(
	    2, requests(world, "/v1/models/{model}", "GET", "200"));
	assert_int_equal(3, synq_series_count(duration(world, "/v1/models")));
}

/* What clients invent makes no series. */
static void
test_figures_have_one_name_for_what_is_unknown(void **state)
{
	struct world *world = *state;

	world_sent(world_send(world, "GET", "/a", NULL, NULL));
	world_sent(world_send(world, "GET", "/b", NULL, NULL));
	world_sent(world_send(world, "BREW", "/v1/jobs", NULL, NULL));
	world_sent(world_send(world, "BOIL", "/v1/jobs", NULL, NULL));
	world_sent(world_send(world, "DELETE", "/v1/jobs", NULL, NULL));

	assert_int_equal(2, requests(world, "none", "GET", "404"));
	assert_int_equal(2, requests(world, "none", "other", "501"));
	assert_int_equal(1, requests(world, "none", "DELETE", "405"));
}

static void
test_figures_time_a_request_to_the_end_of_its_answer(void **state)
{
	struct world *world = *state;
	struct synq_exchange *exchange =
	    world_send(world, "POST", CHAT_PATH, NULL, CHAT);

	world_pass(world, 1500000);
	world_ack(world, 0, -SYNQ_E_UNAVAILABLE);
	world_pass(world, 500000);
	world_sent(exchange);

	assert_int_equal(1, requests(world, CHAT_PATH, "POST", "503"));
	assert_float_equal(
	    2.0, synq_series_value(duration(world, CHAT_PATH)), 0.001);
}

static void
test_figures_do_not_count_whom_nobody_answered(void **state)
{
	struct world *world = *state;

	world_leave(world_send(world, "POST", CHAT_PATH, NULL, CHAT));

	assert_int_equal(0, synq_series_count(duration(world, CHAT_PATH)));
}

/* A head that is none was refused by the server. */
static void
test_figures_count_what_the_server_refused(void **state)
{
	struct world *world = *state;
	const struct figures_answer answer = {
		.method = synq_slice_text(""), .status = 400, .took_us = -1
	};

	figures_answered(world->intake.figures, &answer);

	assert_int_equal(1, requests(world, "none", "other", "400"));
	assert_int_equal(0, synq_series_count(duration(world, "none")));
}

static void
test_figures_count_a_job_when_it_is_acknowledged(void **state)
{
	struct world *world = *state;

	(void)world_send(world, "POST", CHAT_PATH, NULL, CHAT);
	(void)world_send(world, "POST", CHAT_PATH, NULL, CHAT);
	assert_int_equal(0, accepted(world, CHAT_PATH));
	world_ack(world, 0, 0);
	world_ack(world, 1, -SYNQ_E_UNAVAILABLE);

	assert_int_equal(1, accepted(world, CHAT_PATH));
}

/* With a key the claim decides whether the job is promised. */
static void
test_figures_count_a_keyed_job_when_its_claim_is_settled(void **state)
{
	static const char *const keyed[] = { "idempotency-key: k1", NULL };
	struct world *world = *state;

	(void)world_send(world, "POST", CHAT_PATH, keyed, CHAT);
	world_claim(world, SYNQ_CLAIM_MINE, NULL, 0);
	world_ack(world, 0, 0);
	assert_int_equal(0, accepted(world, CHAT_PATH));
	world_settle(world, WORLD_ACCEPTS, SYNQ_SETTLED_DONE);

	assert_int_equal(1, accepted(world, CHAT_PATH));
}

static void
test_figures_show_connections_and_keys(void **state)
{
	struct world *world = *state;

	figures_show(world->intake.figures, 3, 7);
	figures_show(world->intake.figures, 2, 8);

	assert_float_equal(2,
	    synq_series_value(synq_metric_series(
		world->metrics, SYNQ_M_HTTP_CONNECTIONS, NULL)),
	    0);
	assert_float_equal(8,
	    synq_series_value(synq_metric_series(world->metrics,
		SYNQ_M_CACHE_ENTRIES, (const char *const[]){ "keys" })),
	    0);
}

/* Each route has a place of its own. */
static void
test_figures_have_room_for_every_route(void **state)
{
	struct world *world = *state;
	struct figures_answer answer = {
		.method = synq_slice_text("GET"), .status = 200, .took_us = 1
	};
	size_t i;

	for (i = 0; (answer.route = route_at(i)) != NULL; i++)
		figures_answered(world->intake.figures, &answer);
	for (i = 0; route_at(i) != NULL; i++)
		assert_true(
		    requests(world, route_at(i)->path, "GET", "200") > 0);
	assert_int_equal(0, requests(world, "none", "GET", "200"));
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_figures_count_requests_by_route_method_and_code),
		TEST(test_figures_have_one_name_for_what_is_unknown),
		TEST(test_figures_time_a_request_to_the_end_of_its_answer),
		TEST(test_figures_do_not_count_whom_nobody_answered),
		TEST(test_figures_count_what_the_server_refused),
		TEST(test_figures_count_a_job_when_it_is_acknowledged),
		TEST(test_figures_count_a_keyed_job_when_its_claim_is_settled),
		TEST(test_figures_show_connections_and_keys),
		TEST(test_figures_have_room_for_every_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
