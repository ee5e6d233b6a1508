/*
 * The dispatcher's core under a made-up log, provider and clock.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "consumers/dispatcher/core.h"
#include "consumers/dispatcher/partition.h"
#include "consumers/dispatcher/work.h"
#include "store/catalog.h"

#define SENT_MAX 64

/* What went out, in order. */
struct sent {
	struct work *work;
	enum synq_outcome_kind kind;
	enum synq_job_state state;
	uint32_t attempt;
	char code[32];
	int acked;
};

struct world {
	struct core *core;
	struct partition *partition;
	struct sent sent[SENT_MAX];
	size_t sent_count;
	struct work *called[SENT_MAX];
	size_t call_count;
	size_t aborted;
	size_t replies;
	size_t dead;
	int log_full;
	int64_t log_end; /* next results offset */
	int64_t acked;
	int64_t now_at;
	int64_t committed;
	char metadata[4096];
};

/* The catalog is the store's; here it is one model at one provider. */
static const struct synq_catalog_provider the_provider = {
	.name = "stub", .dialect = "openai", .base_url = "http://127.0.0.1/v1"
};
static const struct synq_catalog_model the_model = {
	.name = "m", .upstream_name = "m-upstream", .provider = &the_provider
};
static int model_gone;

const struct synq_catalog_model *
synq_catalog_find(const struct synq_catalog *catalog, struct synq_slice name)
{
	(void)catalog;
	return !model_gone && synq_slice_is(name, "m") ? &the_model : NULL;
}

void
synq_catalog_free(struct synq_catalog **catalog)
{
	*catalog = NULL;
}

static int
world_send(void *ctx, struct work *work, const struct synq_outcome *outcome)
{
	struct world *world = ctx;
	struct sent *sent = &world->sent[world->sent_count];

	if (world->log_full)
		return -SYNQ_E_BUSY;
	assert_true(world->sent_count < SENT_MAX);
	sent->work = work;
	sent->kind = outcome->kind;
	sent->state = outcome->state;
	sent->attempt = outcome->attempt;
	sent->acked = 0;
	(void)snprintf(sent->code, sizeof(sent->code), "%.*s",
	    (int)outcome->error_code.bytes,
	    outcome->error_code.data == NULL ? "" : outcome->error_code.data);
	world->sent_count++;
	return 0;
}

static void
world_call(void *ctx, struct work *work)
{
	struct world *world = ctx;

	world->called[world->call_count++] = work;
}

static void
world_abort(void *ctx, struct work *work)
{
	struct world *world = ctx;

	(void)work;
	world->aborted++;
}

static void
world_reply(void *ctx, struct work *work, const struct synq_outcome *outcome)
{
	struct world *world = ctx;

	(void)work;
	(void)outcome;
	world->replies++;
}

static void
world_commit(void *ctx, struct partition *partition, int64_t offset,
    struct synq_slice metadata)
{
	struct world *world = ctx;

	(void)partition;
	world->committed = offset;
	(void)snprintf(world->metadata, sizeof(world->metadata), "%.*s",
	    (int)metadata.bytes, metadata.data);
}

static void
world_resume(void *ctx, struct partition *partition)
{
	(void)ctx;
	(void)partition;
}

static int64_t
world_acked(void *ctx, int32_t partition)
{
	const struct world *world = ctx;

	(void)partition;
	return world->acked;
}

static int64_t
world_now(void *ctx)
{
	const struct world *world = ctx;

	return world->now_at;
}

static void
world_dead(void *ctx, const struct partition *partition, int64_t offset,
    struct synq_slice value)
{
	struct world *world = ctx;

	(void)partition;
	(void)offset;
	(void)value;
	world->dead++;
}

static struct core *
world_core(struct world *world, uint8_t boot)
{
	struct core_config config = {
		.io = { world_send, world_call, world_abort, world_reply,
		    world_commit, world_resume, world_acked, world_now,
		    world_dead },
		.io_ctx = world,
		.instance = "dispatcher-1",
		.max_in_flight = 10,
		.organization_in_flight = 10,
		.provider_in_flight = 10,
		.call_limit_us = 600000000,
		.backoff = { 1000000, 30000000 },
		.max_bytes = 1U << 26,
		.seed = 1,
	};
	struct core *core;

	memset(config.boot_id.bytes, boot, sizeof(config.boot_id.bytes));
	core = core_new(&config);
	/* Never looked into: synq_catalog_find above answers. */
	core_set_catalog(core, (struct synq_catalog *)(void *)world);
	return core;
}

static void
world_assign(struct world *world, int64_t offset, const char *metadata)
{
	world->partition =
	    partition_new(world->core, SYNQ_SOURCE_INTERACTIVE, 3);
	assert_int_equal(0, partition_restore(world->partition, offset,
				synq_slice_text(metadata), -1));
}

static int
setup(void **state)
{
	struct world *world = synq_mem_new(sizeof(*world));

	world->now_at = 1800000000LL * 1000000;
	world->acked = -1;
	world->log_end = 100;
	model_gone = 0;
	world->core = world_core(world, 1);
	world_assign(world, 0, "");
	partition_settle(world->partition);
	*state = world;
	return 0;
}

/* Acknowledge everything that is sent and not acknowledged yet. */
static void
world_ack(struct world *world)
{
	struct sent *sent;
	size_t i;

	for (i = 0; i < world->sent_count; i++) {
		sent = &world->sent[i];
		if (sent->acked)
			continue;
		sent->acked = 1;
		world->acked = world->log_end++;
		if (sent->kind == SYNQ_OUTCOME_STARTED)
			core_started(sent->work, 0, world->acked);
		else if (sent->kind == SYNQ_OUTCOME_FAILED)
			core_failed(sent->work, 0, world->acked);
		else
			core_ended(sent->work, 0, world->acked);
	}
}

static int
teardown(void **state)
{
	struct world *world = *state;
	size_t i;

	for (i = 0; i < 10; i++)
		world_ack(world);
	core_free(&world->core);
	synq_arena_trim();
	synq_mem_free(world);
	return 0;
}

static struct synq_uuid
id_of(uint8_t number)
{
	struct synq_uuid id = { { 0 } };

	id.bytes[15] = number;
	return id;
}

/* The record of job ${number}. */
static struct synq_request
request_of(const struct world *world, uint8_t number)
{
	return (struct synq_request){
		.job_id = id_of(number),
		.organization_id = id_of(200),
		.key_id = id_of(201),
		.endpoint = SYNQ_ENDPOINT_CHAT,
		.created_at = world->now_at,
		.deadline_at = world->now_at + 3600LL * 1000000,
		.max_attempts = 3,
		.model = synq_slice_text("m"),
		.body = synq_slice_text("{\"model\":\"m\"}"),
		.request_id = synq_slice_text("req_1"),
		.reply_to = synq_slice_text("c"),
	};
}

static void
world_put(
    struct world *world, int64_t offset, const struct synq_request *request)
{
	struct synq_buf value;

	synq_buf_init(&value, 65536);
	synq_request_encode(request, &value);
	(void)core_request(world->partition, offset, synq_buf_view(&value));
	synq_buf_done(&value);
}

static void
world_read(struct world *world, int64_t offset, uint8_t number)
{
	const struct synq_request request = request_of(world, number);

	world_put(world, offset, &request);
}

static void
world_answer(struct world *world, size_t call, enum synq_retry_class class,
    int succeeded)
{
	const struct core_answer answer = {
		.succeeded = succeeded,
		.class = class,
		.http_status = succeeded ? 200 : 500,
		.answer_status = succeeded ? 200 : 502,
		.body = synq_slice_text("{}"),
		.error_code = synq_slice_text(succeeded ? "" : "boom"),
		.retry_after_us = -1,
		.usage = { 1, 1, -1, -1 },
	};

	core_answered(world->called[call], &answer);
}

/* The kind of the last record that went out. */
static const struct sent *
last(const struct world *world)
{
	assert_true(world->sent_count > 0);
	return &world->sent[world->sent_count - 1];
}

static void
test_core_calls_only_after_the_attempt_is_acknowledged(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);

	assert_int_equal(1, world->sent_count);
	assert_int_equal(SYNQ_OUTCOME_STARTED, world->sent[0].kind);
	assert_int_equal(0, world->call_count);
	world_ack(world);
	assert_int_equal(1, world->call_count);
}

static void
test_core_commits_only_after_the_result_is_acknowledged(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	assert_int_equal(SYNQ_OUTCOME_RESULT, last(world)->kind);
	partition_commit(world->partition);
	assert_int_equal(0, world->committed);

	world_ack(world);
	partition_commit(world->partition);

	assert_int_equal(1, world->committed);
	assert_int_equal(1, world->replies);
	assert_int_equal(1, world->core->counts.succeeded);
}

static void
test_core_repeats_what_may_be_repeated_until_attempts_are_used(void **state)
{
	struct world *world = *state;
	size_t i;

	world_read(world, 0, 1);
	for (i = 0; i < 3; i++) {
		world_ack(world);
		assert_int_equal(i + 1, world->call_count);
		world_answer(world, i, SYNQ_RETRY_LATER, 0);
		world_ack(world);
		world->now_at += 60LL * 1000000;
		(void)core_tick(world->core);
	}

	assert_int_equal(SYNQ_OUTCOME_RESULT, last(world)->kind);
	assert_int_equal(SYNQ_JOB_FAILED, last(world)->state);
	assert_int_equal(3, last(world)->attempt);
	assert_int_equal(3, world->call_count);
}

static void
test_core_never_repeats_what_was_refused(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 0);

	assert_int_equal(SYNQ_JOB_FAILED, last(world)->state);
	assert_int_equal(1, world->call_count);
}

static void
test_core_waits_for_the_log_to_take_records_again(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	world->log_full = 1;
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_read(world, 1, 2); /* must not overtake the result */
	assert_int_equal(1, world->sent_count);

	world->log_full = 0;
	core_room(world->core);

	assert_int_equal(SYNQ_OUTCOME_RESULT, world->sent[1].kind);
	assert_int_equal(SYNQ_OUTCOME_STARTED, world->sent[2].kind);
}

static void
test_core_cancels_a_queued_job_without_a_call(void **state)
{
	struct world *world = *state;
	const struct synq_cancel cancel = { .job_id = id_of(1),
		.organization_id = id_of(200),
		.reason = SYNQ_CANCEL_GONE };

	core_cancel(world->core, &cancel); /* before it is read */
	world->log_full = 1;
	world_read(world, 0, 1);
	world->log_full = 0;
	core_room(world->core);

	assert_int_equal(SYNQ_JOB_CANCELLED, last(world)->state);
	assert_int_equal(0, world->call_count);
}

static void
test_core_aborts_a_running_call_when_asked_to(void **state)
{
	struct world *world = *state;
	struct synq_cancel cancel = { .job_id = id_of(1),
		.organization_id = id_of(200),
		.reason = SYNQ_CANCEL_GONE };

	world_read(world, 0, 1);
	world_ack(world);
	core_cancel(world->core, &cancel);
	assert_int_equal(0, world->aborted);
	cancel.reason = SYNQ_CANCEL_ASKED;
	core_cancel(world->core, &cancel);

	assert_int_equal(1, world->aborted);
	assert_int_equal(SYNQ_JOB_CANCELLED, last(world)->state);
}

static void
test_core_ignores_a_cancel_of_another_organization(void **state)
{
	struct world *world = *state;
	const struct synq_cancel cancel = { .job_id = id_of(1),
		.organization_id = id_of(99),
		.reason = SYNQ_CANCEL_ASKED };

	world_read(world, 0, 1);
	world_ack(world);
	core_cancel(world->core, &cancel);

	assert_int_equal(0, world->aborted);
}

static void
test_core_ends_a_job_whose_deadline_passed(void **state)
{
	struct world *world = *state;
	struct synq_request request = request_of(world, 1);

	request.deadline_at = world->now_at - 1;
	world_put(world, 0, &request);

	assert_int_equal(SYNQ_JOB_EXPIRED, last(world)->state);
	assert_int_equal(0, world->call_count);
}

static void
test_core_refuses_a_model_that_went_away(void **state)
{
	struct world *world = *state;

	model_gone = 1;
	world_read(world, 0, 1);

	assert_int_equal(SYNQ_JOB_FAILED, last(world)->state);
	assert_string_equal("model_not_found", last(world)->code);
}

static void
test_core_drops_a_second_record_of_a_job_in_hand(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_read(world, 1, 1);

	assert_int_equal(1, world->sent_count);
	assert_int_equal(1, world->core->counts.skipped_duplicate);
}

static void
test_core_puts_aside_what_does_not_decode(void **state)
{
	struct world *world = *state;

	(void)core_request(world->partition, 0, synq_slice_text("garbage"));
	partition_commit(world->partition);

	assert_int_equal(1, world->dead);
	assert_int_equal(1, world->committed);
}

static void
test_core_does_not_send_a_call_for_a_partition_that_moved(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	partition_free(&world->partition, 0);
	world_ack(world);

	assert_int_equal(0, world->call_count);
	assert_int_equal(SYNQ_OUTCOME_FAILED, last(world)->kind);
	assert_string_equal("not_sent", last(world)->code);
}

static void
test_core_publishes_the_result_of_a_call_whose_partition_moved(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	partition_free(&world->partition, 0);
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_int_equal(SYNQ_OUTCOME_RESULT, last(world)->kind);
	assert_int_equal(1, world->replies);
	assert_true(core_idle(world->core));
}

/* A started record of job 1 at source offset 0, made by ${instance}. */
static struct synq_outcome
started_by(const struct world *world, const char *instance, uint8_t boot)
{
	struct synq_outcome outcome = {
		.kind = SYNQ_OUTCOME_STARTED,
		.source = { SYNQ_SOURCE_INTERACTIVE, 3, 0 },
		.job_id = id_of(1),
		.organization_id = id_of(200),
		.attempt_id = id_of(50),
		.attempt = 1,
		.instance = synq_slice_text(instance),
		.started_at = world->now_at,
		.call_deadline_at = world->now_at + 600LL * 1000000,
	};

	memset(outcome.boot_id.bytes, boot, sizeof(outcome.boot_id.bytes));
	return outcome;
}

static void
world_take_over(struct world *world)
{
	partition_free(&world->partition, 0);
	world_assign(world, 0, "");
}

/* The life of ${instance} with the boot id of all ${boot}. */
static void
world_life(struct world *world, const char *instance, uint8_t boot)
{
	struct maker maker;

	memset(&maker, 0, sizeof(maker));
	(void)snprintf(maker.instance, sizeof(maker.instance), "%s", instance);
	memset(maker.boot_id.bytes, boot, sizeof(maker.boot_id.bytes));
	core_life(world->core, &maker);
}

static void
test_core_repeats_at_once_what_an_earlier_life_had_out(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = started_by(world, "dispatcher-1", 9);

	world_life(world, "dispatcher-1", 1);
	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);

	assert_int_equal(SYNQ_OUTCOME_STARTED, last(world)->kind);
	assert_int_equal(2, last(world)->attempt);
	assert_int_equal(1, world->core->counts.repeated);
}

static void
test_core_holds_what_a_live_member_has_out(void **state)
{
	static const char *const members[] = { "dispatcher-2" };
	struct world *world = *state;
	struct synq_outcome outcome = started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	core_members(world->core, members, 1);
	assert_int_equal(0, world->sent_count);

	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 8, &outcome);
	partition_commit(world->partition);

	assert_int_equal(0, world->sent_count);
	assert_int_equal(1, world->committed);
}

static void
test_core_repeats_what_a_member_that_died_had_out(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	assert_int_equal(0, world->sent_count);
	core_members(world->core, NULL, 0);

	assert_int_equal(SYNQ_OUTCOME_STARTED, last(world)->kind);
	assert_int_equal(2, last(world)->attempt);
}

/* The group still shows the old client id of a member that started again. */
static void
test_core_repeats_what_another_member_lost_when_it_began_anew(void **state)
{
	static const char *const members[] = { "dispatcher-2" };
	struct world *world = *state;
	struct synq_outcome outcome = started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	core_members(world->core, members, 1);
	assert_int_equal(0, world->sent_count);
	world_life(world, "dispatcher-2", 10);

	assert_int_equal(SYNQ_OUTCOME_STARTED, last(world)->kind);
}

static void
test_core_skips_what_has_its_result_but_no_commit(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 8, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);

	assert_int_equal(0, world->sent_count);
	assert_int_equal(1, world->core->counts.skipped_done);
}

static void
test_core_works_on_a_record_whose_result_is_of_another_job(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	outcome.kind = SYNQ_OUTCOME_RESULT;
	partition_outcome(world->partition, 8, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 2);

	assert_int_equal(1, world->sent_count);
}

static void
test_core_remembers_how_often_an_attempt_failed(void **state)
{
	struct world *world = *state;
	struct synq_outcome outcome = started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	outcome.kind = SYNQ_OUTCOME_FAILED;
	outcome.not_before_at = world->now_at + 5LL * 1000000;
	partition_outcome(world->partition, 8, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
	assert_int_equal(0, world->sent_count);
	world->now_at += 6LL * 1000000;
	(void)core_tick(world->core);

	assert_int_equal(SYNQ_OUTCOME_STARTED, last(world)->kind);
	assert_int_equal(2, last(world)->attempt);
}

/*
 * The map must not hide, from whoever takes over, the first record of a
 * request that is still open.
 */
static void
test_core_keeps_results_offset_below_open_requests(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world); /* started at 100 */
	world_read(world, 1, 2);
	world_ack(world); /* started at 101 */
	world_answer(world, 1, SYNQ_RETRY_NEVER, 1);
	world_ack(world); /* result at 102 */
	partition_commit(world->partition);
	partition_free(&world->partition, 1);

	world_assign(world, world->committed, world->metadata);

	assert_int_equal(0, world->committed);
	assert_int_equal(100, partition_reconcile_from(world->partition));
}

static void
test_core_drains_without_new_attempts(void **state)
{
	struct world *world = *state;

	world_read(world, 0, 1);
	world_ack(world);
	core_drain(world->core);
	world_read(world, 1, 2);
	assert_false(core_idle(world->core));
	world_answer(world, 0, SYNQ_RETRY_NEVER, 1);
	world_ack(world);

	assert_true(core_idle(world->core));
	assert_int_equal(1, world->call_count);
}

#define CORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(
		    test_core_calls_only_after_the_attempt_is_acknowledged),
		CORE_TEST(
		    test_core_commits_only_after_the_result_is_acknowledged),
		CORE_TEST(
		    test_core_repeats_what_may_be_repeated_until_attempts_are_used),
		CORE_TEST(test_core_never_repeats_what_was_refused),
		CORE_TEST(test_core_waits_for_the_log_to_take_records_again),
		CORE_TEST(test_core_cancels_a_queued_job_without_a_call),
		CORE_TEST(test_core_aborts_a_running_call_when_asked_to),
		CORE_TEST(test_core_ignores_a_cancel_of_another_organization),
		CORE_TEST(test_core_ends_a_job_whose_deadline_passed),
		CORE_TEST(test_core_refuses_a_model_that_went_away),
		CORE_TEST(test_core_drops_a_second_record_of_a_job_in_hand),
		CORE_TEST(test_core_puts_aside_what_does_not_decode),
		CORE_TEST(
		    test_core_does_not_send_a_call_for_a_partition_that_moved),
		CORE_TEST(
		    test_core_publishes_the_result_of_a_call_whose_partition_moved),
		CORE_TEST(
		    test_core_repeats_at_once_what_an_earlier_life_had_out),
		CORE_TEST(test_core_holds_what_a_live_member_has_out),
		CORE_TEST(test_core_repeats_what_a_member_that_died_had_out),
		CORE_TEST(
		    test_core_repeats_what_another_member_lost_when_it_began_anew),
		CORE_TEST(test_core_skips_what_has_its_result_but_no_commit),
		CORE_TEST(
		    test_core_works_on_a_record_whose_result_is_of_another_job),
		CORE_TEST(test_core_remembers_how_often_an_attempt_failed),
		CORE_TEST(test_core_keeps_results_offset_below_open_requests),
		CORE_TEST(test_core_drains_without_new_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
