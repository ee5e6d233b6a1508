/*
 * A call, with an HTTP client that only notes what it is asked.
 */

#include "consumers/dispatcher/call.h"

#include <stdio.h>

#include "conf/conf.h"
#include "consumers/dispatcher/dispatcher.h"
#include "consumers/dispatcher/figures.h"
#include "consumers/dispatcher/work.h"
#include "http/http.h"
#include "loop/loop.h"
#include "metric/metric.h"
#include "service/service.h"
#include "world.h"

static size_t started;
static size_t cancelled;
static char url[128];
static struct synq_http_request asked;
static struct synq_metrics *metrics;

int
synq_http_start(struct synq_http *client, const struct synq_http_request *req,
    struct synq_http_call **ret_call, struct synq_err *err)
{
	(void)client;
	(void)err;
	started++;
	asked = *req;
	(void)snprintf(url, sizeof(url), "%s", req->url);
	*ret_call = (struct synq_http_call *)(void *)&asked;
	return 0;
}

void
synq_http_cancel(struct synq_http_call **call)
{
	cancelled += *call != NULL;
	*call = NULL;
}

struct synq_slice
synq_http_header(const struct synq_http_result *result, const char *name)
{
	(void)result;
	(void)name;
	return synq_slice_text(NULL);
}

const struct synq_config *
synq_service_config(const struct synq_service *service)
{
	static const struct synq_config config;

	(void)service;
	return &config;
}

void
dispatcher_wake(struct dispatcher *dispatcher)
{
	(void)dispatcher;
}

/* A dispatcher whose core has job 1 ready to be called. */
static void
begin(struct world *world, struct dispatcher *dispatcher)
{
	started = cancelled = 0;
	metrics = synq_metrics_new();
	*dispatcher = (struct dispatcher){ .core = world->core,
		.figures = figures_new(metrics) };
	assert_int_equal(0, synq_loop_new(&dispatcher->loop, NULL));
	world_read(world, 0, 1);
	world_ack(world);
}

static void
end(struct dispatcher *dispatcher)
{
	synq_loop_free(&dispatcher->loop);
	figures_free(&dispatcher->figures);
	synq_metrics_free(&metrics);
}

/* The calls of the provider of job 1 that were timed. */
static struct synq_series *
timed(void)
{
	return synq_metric_series(metrics,
	    SYNQ_M_PROVIDER_REQUEST_DURATION_SECONDS,
	    (const char *const[]){ "stub" });
}

static void
test_call_goes_to_the_provider_that_is_on_record(void **state)
{
	struct world *world = *state;
	struct dispatcher dispatcher;
	const struct synq_http_result result = { .status = 200,
		.body = synq_slice_text("{\"id\":\"x\",\"usage\":"
					"{\"prompt_tokens\":5,"
					"\"completion_tokens\":7}}"),
		.total_us = 250000 };

	begin(world, &dispatcher);
	call_start(&dispatcher, world->called[0]);
	assert_int_equal(1, started);
	assert_string_equal("http://127.0.0.1/v1/chat/completions", url);
	asked.done(asked.ctx, &result);

	assert_int_equal(SYNQ_JOB_SUCCEEDED, world_last(world)->state);
	assert_int_equal(1, synq_series_count(timed()));
	assert_float_equal(0.25, synq_series_value(timed()), 0.001);
	assert_int_equal(
	    5, synq_series_count(synq_metric_series(metrics,
		   SYNQ_M_TOKENS_TOTAL, (const char *const[]){ "input" })));
	assert_int_equal(
	    7, synq_series_count(synq_metric_series(metrics,
		   SYNQ_M_TOKENS_TOTAL, (const char *const[]){ "output" })));
	end(&dispatcher);
}

/* The catalog changed between attempt.started and the call. */
static void
test_call_is_not_made_to_another_provider_than_on_record(void **state)
{
	struct world *world = *state;
	struct dispatcher dispatcher;

	begin(world, &dispatcher);
	world_model_moved = 1;
	call_start(&dispatcher, world->called[0]);
	assert_int_equal(0, started);
	synq_loop_turn(dispatcher.loop, 10);

	assert_int_equal(SYNQ_OUTCOME_FAILED, world_last(world)->kind);
	assert_int_equal(0, synq_series_count(timed()));
	end(&dispatcher);
}

/* It is abandoned before the loop came to say that it was not made. */
static void
test_call_that_was_not_made_can_be_aborted(void **state)
{
	struct world *world = *state;
	struct dispatcher dispatcher;
	struct work *work;

	begin(world, &dispatcher);
	work = world->called[0];
	world_model_gone = 1;
	call_start(&dispatcher, work);
	call_abort(&dispatcher, work);
	assert_int_equal(0, cancelled);
	synq_loop_turn(dispatcher.loop, 10);

	assert_int_equal(SYNQ_OUTCOME_STARTED, world_last(world)->kind);
	work_end(work, SYNQ_JOB_CANCELLED, NULL);
	end(&dispatcher);
}

#define CALL_TEST(name)                                                        \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CALL_TEST(test_call_goes_to_the_provider_that_is_on_record),
		CALL_TEST(
		    test_call_is_not_made_to_another_provider_than_on_record),
		CALL_TEST(test_call_that_was_not_made_can_be_aborted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
