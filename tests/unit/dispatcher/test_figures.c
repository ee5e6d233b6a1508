/*
 * What the dispatcher shows of itself: the core of the made-up world with the
 * real way out (results.c) to a log that acknowledges when the test says so.
 */

#include "consumers/dispatcher/figures.h"

#include <string.h>

#include "consumers/dispatcher/dispatcher.h"
#include "consumers/dispatcher/results.h"
#include "consumers/dispatcher/work.h"
#include "kafka/producer.h"
#include "metric/metric.h"
#include "world.h"

#define CHAT "/v1/chat/completions"
#define SECOND_US 1000000

static struct dispatcher dispatcher;
static struct synq_metrics *metrics;
static struct world *world;
static struct core_io of_world;
static struct {
	synq_producer_ack_fn *ack; /* NULL = acknowledged */
	void *ctx;
} records[SENT_MAX];
static size_t record_count;

int
synq_producer_send(
    struct synq_producer *producer, const struct synq_producer_record *record)
{
	(void)producer;
	assert_true(record_count < SENT_MAX);
	records[record_count].ack = record->ack;
	records[record_count++].ctx = record->ctx;
	return 0;
}

int64_t
synq_producer_acked(
    const struct synq_producer *producer, const char *topic, int32_t partition)
{
	(void)producer;
	(void)topic;
	(void)partition;
	return -1;
}

static void
on_call(void *ctx, struct work *work)
{
	(void)ctx;
	of_world.call(world, work);
}

static void
on_abort(void *ctx, struct work *work)
{
	(void)ctx;
	of_world.abort(world, work);
}

static void
on_reply(void *ctx, struct work *work, const struct synq_outcome *outcome)
{
	(void)ctx;
	of_world.reply(world, work, outcome);
}

static void
on_dead(void *ctx, const struct partition *partition, int64_t offset,
    struct synq_slice value)
{
	(void)ctx;
	of_world.dead(world, partition, offset, value);
}

static void
on_commit(void *ctx, struct partition *partition, int64_t offset,
    struct synq_slice metadata)
{
	(void)ctx;
	of_world.commit(world, partition, offset, metadata);
}

static int64_t
on_now(void *ctx)
{
	(void)ctx;
	return world->now_at;
}

static int
begin(void **state)
{
	struct core_config *config;

	(void)world_setup(state);
	world = *state;
	record_count = 0;
	metrics = synq_metrics_new();
	dispatcher = (struct dispatcher){ .core = world->core,
		.figures = figures_new(metrics) };
	synq_buf_init(&dispatcher.scratch, 65536);
	config = &world->core->config;
	of_world = config->io;
	config->io.send = results_send;
	config->io.acked = results_acked;
	config->io.call = on_call;
	config->io.abort = on_abort;
	config->io.reply = on_reply;
	config->io.dead = on_dead;
	config->io.commit = on_commit;
	config->io.now = on_now;
	config->io_ctx = &dispatcher;
	return 0;
}

static int
end(void **state)
{
	const int rc = world_teardown(state);

	figures_free(&dispatcher.figures);
	assert_null(dispatcher.figures);
	synq_metrics_free(&metrics);
	synq_buf_done(&dispatcher.scratch);
	return rc;
}

/* The log says ${rc} to all that it was given and has not answered. */
static void
answer_log(int rc)
{
	const size_t count = record_count;
	synq_producer_ack_fn *ack;
	size_t i;

	for (i = 0; i < count; i++) {
		ack = records[i].ack;
		records[i].ack = NULL;
		if (ack != NULL)
			ack(records[i].ctx, rc,
			    rc == 0 ? 100 + (int64_t)i : -1);
	}
}

static struct synq_series *
one(enum synq_metric_id id, const char *first, const char *second)
{
	return synq_metric_series(
	    metrics, id, (const char *const[]){ first, second });
}

static uint64_t
jobs(const char *outcome)
{
	return synq_series_count(one(SYNQ_M_JOBS_TOTAL, CHAT, outcome));
}

static uint64_t
attempts(const char *outcome)
{
	return synq_series_count(one(SYNQ_M_ATTEMPTS_TOTAL, "stub", outcome));
}

static uint64_t
skipped(const char *reason)
{
	return synq_series_count(
	    one(SYNQ_M_RECORDS_SKIPPED_TOTAL, reason, NULL));
}

static size_t
gauge(enum synq_metric_id id)
{
	figures_show(dispatcher.figures, world->core);
	return (size_t)synq_series_value(synq_metric_series(metrics, id, NULL));
}

static void
test_figures_count_a_job_when_its_end_is_on_the_log(void **state)
{
	struct synq_series *queue =
	    synq_metric_series(metrics, SYNQ_M_JOB_QUEUE_SECONDS, NULL);
	struct synq_series *duration =
	    one(SYNQ_M_JOB_DURATION_SECONDS, "stub", "m");
	struct synq_request request = world_request(world, 1);

	(void)state;
	request.created_at -= 2 * SECOND_US;
	(void)world_put(world, 0, &request);
	assert_int_equal(0, synq_series_count(queue));
	answer_log(0);
	assert_int_equal(1, synq_series_count(queue));
	assert_float_equal(2.0, synq_series_value(queue), 0.001);
	world->now_at += 3 * SECOND_US;
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	assert_int_equal(0, jobs("succeeded"));
	answer_log(-SYNQ_E_UNAVAILABLE); /* it goes again */
	assert_int_equal(0, jobs("succeeded"));
	core_room(world->core);
	answer_log(0);

	assert_int_equal(1, jobs("succeeded"));
	assert_int_equal(1, attempts("succeeded"));
	assert_int_equal(1, synq_series_count(duration));
	assert_float_equal(5.0, synq_series_value(duration), 0.001);
}

static void
test_figures_count_each_attempt(void **state)
{
	struct synq_series *queue =
	    synq_metric_series(metrics, SYNQ_M_JOB_QUEUE_SECONDS, NULL);

	(void)state;
	world_read(world, 0, 1);
	answer_log(0);
	assert_int_equal(1, gauge(SYNQ_M_JOBS_IN_FLIGHT));
	world_answer(world, 0, SYNQ_RETRY_LATER, 0);
	answer_log(0);
	assert_int_equal(0, gauge(SYNQ_M_JOBS_IN_FLIGHT));
	assert_int_equal(1, gauge(SYNQ_M_JOBS_WAITING_RETRY));
	assert_int_equal(1, attempts("failed"));
	assert_int_equal(0, jobs("failed"));
	world->now_at += 60LL * SECOND_US;
	(void)core_tick(world->core);
	answer_log(0);
	assert_int_equal(0, gauge(SYNQ_M_JOBS_WAITING_RETRY));
	world_answer(world, 1, SYNQ_RETRY_NEVER, 0);
	answer_log(0);

	assert_int_equal(2, attempts("failed"));
	assert_int_equal(1, jobs("failed"));
	assert_int_equal(1, synq_series_count(queue)); /* the first only */
}

/* No attempt of it was made, no provider chosen. */
static void
test_figures_count_a_job_that_nobody_tried(void **state)
{
	struct synq_request request = world_request(world, 1);

	(void)state;
	request.deadline_at = world->now_at;
	(void)world_put(world, 0, &request);
	answer_log(0);

	assert_int_equal(1, jobs("expired"));
	assert_int_equal(0, attempts("expired"));
	assert_int_equal(1, synq_series_count(one(
				SYNQ_M_JOB_DURATION_SECONDS, "none", "none")));
}

static void
test_figures_count_the_cancelled(void **state)
{
	(void)state;
	world_read(world, 0, 1);
	answer_log(0);
	(void)world_cancel(world, world->partition, world_id(1));
	answer_log(0);

	assert_int_equal(1, jobs("cancelled"));
	assert_int_equal(1, attempts("cancelled"));
}

/* The catalog moves the model to another provider. */
static void
test_figures_follow_a_model_to_another_provider(void **state)
{
	(void)state;
	world_read(world, 0, 1);
	answer_log(0);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	answer_log(0);
	world_model_moved = 1;
	world_read(world, 1, 2);
	answer_log(0);
	world_answer(world, 1, SYNQ_RETRY_NEVER, 1);
	answer_log(0);

	assert_int_equal(1, attempts("succeeded"));
	assert_int_equal(1, synq_series_count(one(
				SYNQ_M_ATTEMPTS_TOTAL, "other", "succeeded")));
	assert_int_equal(1,
	    synq_series_count(one(SYNQ_M_JOB_DURATION_SECONDS, "other", "m")));
}

/* Let jobs 1 to 13 be read, of which ${calls} can be out. */
static void
read_many(size_t calls)
{
	uint8_t number;

	for (number = 1; number <= 13; number++)
		world_read(world, number, number);
	answer_log(0);
	answer_log(0);
	assert_int_equal(calls, world->call_count);
	assert_int_equal(calls, gauge(SYNQ_M_JOBS_IN_FLIGHT));
	assert_int_equal(13 - calls, gauge(SYNQ_M_JOBS_QUEUED));
}

/* All calls fail; then the partition goes, and with it all that waits. */
static void
fail_all(void)
{
	size_t i;

	for (i = 0; i < world->call_count; i++) {
		world_answer(world, i, SYNQ_RETRY_LATER, 0);
		answer_log(0);
	}
	assert_int_equal(13, world->call_count);
	assert_int_equal(0, gauge(SYNQ_M_JOBS_IN_FLIGHT));
	assert_int_equal(0, gauge(SYNQ_M_JOBS_QUEUED));
	assert_int_equal(13, gauge(SYNQ_M_JOBS_WAITING_RETRY));
	partition_free(&world->partition, 0);
	answer_log(0);
	assert_int_equal(0, gauge(SYNQ_M_JOBS_WAITING_RETRY));
}

static void
test_figures_show_what_waits_for_its_turn(void **state)
{
	(void)state;
	read_many(10);
	assert_int_equal(0, world->core->parked);
	fail_all();
}

static void
test_figures_show_what_waits_for_its_provider(void **state)
{
	(void)state;
	world->core->config.provider_in_flight = 4;
	read_many(4);
	assert_int_equal(9, world->core->parked);
	fail_all();
	assert_int_equal(0, world->core->parked);
}

static void
test_figures_copy_why_records_were_skipped(void **state)
{
	(void)state;
	world_read(world, 0, 1);
	world_read(world, 1, 1);
	(void)core_request(world->partition, 2, synq_slice_text("?"));
	(void)core_request(world->partition, 2, synq_slice_text("?"));
	answer_log(0);
	figures_show(dispatcher.figures, world->core);
	figures_show(dispatcher.figures, world->core);

	assert_int_equal(1, skipped("duplicate"));
	assert_int_equal(1, skipped("corrupt"));
	assert_int_equal(1, skipped("done"));
}

/* 1 if the exposition names the gauge of the window. */
static int
shows_window(void)
{
	struct synq_buf out;
	int shown;

	synq_buf_init(&out, 1U << 20);
	synq_metrics_write(metrics, &out);
	(void)synq_buf_char(&out, '\0');
	shown = strstr(out.data, "synq_track_window_offsets{") != NULL;
	synq_buf_done(&out);
	return shown;
}

static void
test_figures_show_a_partition_while_it_is_ours(void **state)
{
	struct figures_track *track =
	    figures_track_new(dispatcher.figures, "t", 3);

	(void)state;
	assert_false(shows_window());
	figures_committed(track, 17, 40);
	assert_true(shows_window());
	assert_float_equal(17,
	    synq_series_value(one(SYNQ_M_TRACK_WINDOW_OFFSETS, "t", "3")), 0);
	assert_float_equal(
	    40, synq_series_value(one(SYNQ_M_TRACK_MAP_CHARS, "t", "3")), 0);
	figures_track_free(&track);
	assert_null(track);
	assert_false(shows_window());
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_figures_count_a_job_when_its_end_is_on_the_log),
		TEST(test_figures_count_each_attempt),
		TEST(test_figures_count_a_job_that_nobody_tried),
		TEST(test_figures_count_the_cancelled),
		TEST(test_figures_follow_a_model_to_another_provider),
		TEST(test_figures_show_what_waits_for_its_turn),
		TEST(test_figures_show_what_waits_for_its_provider),
		TEST(test_figures_copy_why_records_were_skipped),
		TEST(test_figures_show_a_partition_while_it_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
