/*
 * The log, the providers and the clock that the core sees in its tests.
 */

#include "world.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "consumers/dispatcher/work.h"
#include "store/catalog.h"

/* The catalog is the store's; here it is one model at one provider. */
static const struct synq_catalog_provider the_provider = {
	.name = "stub", .dialect = "openai", .base_url = "http://127.0.0.1/v1"
};
static const struct synq_catalog_model the_model = {
	.name = "m", .upstream_name = "m-upstream", .provider = &the_provider
};
static const struct synq_catalog_provider another_provider = {
	.name = "other", .dialect = "openai", .base_url = "http://127.0.0.2/v1"
};
static const struct synq_catalog_model moved_model = { .name = "m",
	.upstream_name = "m-upstream",
	.provider = &another_provider };
int world_model_gone;
int world_model_moved;

const struct synq_catalog_model *
synq_catalog_find(const struct synq_catalog *catalog, struct synq_slice name)
{
	(void)catalog;
	if (world_model_gone || !synq_slice_is(name, "m"))
		return NULL;
	return world_model_moved ? &moved_model : &the_model;
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
		return world->log_rc != 0 ? world->log_rc : -SYNQ_E_BUSY;
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
	struct world *world = ctx;

	(void)partition;
	world->resumed++;
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
world_reload(void *ctx)
{
	struct world *world = ctx;

	world->reloads++;
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
		    world_dead, world_reload },
		.io_ctx = world,
		.instance = "dispatcher-1",
		.max_in_flight = 10,
		.organization_in_flight = 10,
		.provider_in_flight = 10,
		.call_limit_us = 600000000,
		.rewrite_limit_us = 10000000,
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

void
world_assign(struct world *world, int64_t offset, const char *metadata)
{
	assert_int_equal(
	    0, world_assign_cut(world, offset, metadata, INT64_MAX));
}

int
world_assign_cut(
    struct world *world, int64_t offset, const char *metadata, int64_t cut)
{
	world->partition =
	    partition_new(world->core, SYNQ_SOURCE_INTERACTIVE, 3);
	return partition_restore(
	    world->partition, offset, synq_slice_text(metadata), cut);
}

int
world_setup(void **state)
{
	struct world *world = synq_mem_new(sizeof(*world));

	world->now_at = 1800000000LL * 1000000;
	world->acked = -1;
	world->log_end = 100;
	world_model_gone = 0;
	world_model_moved = 0;
	world->core = world_core(world, 1);
	world_assign(world, 0, "");
	partition_settle(world->partition);
	*state = world;
	return 0;
}

void
world_ack_one(struct world *world, size_t index, int rc)
{
	struct sent *sent = &world->sent[index];
	int64_t offset = -1;

	if (sent->acked)
		return;
	sent->acked = 1;
	if (rc == 0)
		offset = world->acked = world->log_end++;
	if (sent->kind == SYNQ_OUTCOME_STARTED)
		core_started(sent->work, rc, offset);
	else if (sent->kind == SYNQ_OUTCOME_FAILED)
		core_failed(sent->work, rc, offset);
	else
		core_ended(sent->work, rc, offset);
}

void
world_ack(struct world *world)
{
	size_t i;

	for (i = 0; i < world->sent_count; i++)
		world_ack_one(world, i, 0);
}

int
world_teardown(void **state)
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

struct synq_uuid
world_id(uint8_t number)
{
	struct synq_uuid id = { { 0 } };

	id.bytes[15] = number;
	return id;
}

/* The record of job ${number}. */
struct synq_request
world_request(const struct world *world, uint8_t number)
{
	return (struct synq_request){
		.job_id = world_id(number),
		.organization_id = world_id(200),
		.key_id = world_id(201),
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

int
world_put(
    struct world *world, int64_t offset, const struct synq_request *request)
{
	struct synq_buf value;
	int full;

	synq_buf_init(&value, 65536);
	synq_request_encode(request, &value);
	full = core_request(world->partition, offset, synq_buf_view(&value));
	synq_buf_done(&value);
	return full;
}

void
world_read(struct world *world, int64_t offset, uint8_t number)
{
	const struct synq_request request = world_request(world, number);

	(void)world_put(world, offset, &request);
}

void
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
const struct sent *
world_last(const struct world *world)
{
	assert_true(world->sent_count > 0);
	return &world->sent[world->sent_count - 1];
}

/* A started record of job 1 at source offset 0, made by ${instance}. */
struct synq_outcome
world_started_by(const struct world *world, const char *instance, uint8_t boot)
{
	struct synq_outcome outcome = {
		.kind = SYNQ_OUTCOME_STARTED,
		.source = { SYNQ_SOURCE_INTERACTIVE, 3, 0 },
		.job_id = world_id(1),
		.organization_id = world_id(200),
		.attempt_id = world_id(50),
		.attempt = 1,
		.instance = synq_slice_text(instance),
		.started_at = world->now_at,
		.call_deadline_at = world->now_at + 600LL * 1000000,
	};

	memset(outcome.boot_id.bytes, boot, sizeof(outcome.boot_id.bytes));
	return outcome;
}

struct synq_outcome
world_ended(const struct world *world)
{
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	outcome.kind = SYNQ_OUTCOME_RESULT;
	return outcome;
}

int
world_cancel(
    const struct world *world, struct partition *partition, struct synq_uuid id)
{
	const struct synq_cancel cancel = { .job_id = id,
		.organization_id = world_id(200),
		.reason = SYNQ_CANCEL_ASKED,
		.asked_at = world->now_at };

	return core_cancel(partition, &cancel);
}

void
world_take_over(struct world *world)
{
	partition_free(&world->partition, 0);
	world_assign(world, 0, "");
}

void
world_settle(struct world *world)
{
	const uint64_t limit_us = world->core->config.rewrite_limit_us;
	int i;

	for (i = 0; i < 2; i++) {
		world->now_at += (int64_t)limit_us;
		partition_commit(world->partition);
	}
}

void
world_read_failed(struct world *world, int64_t ended_at)
{
	struct synq_outcome outcome =
	    world_started_by(world, "dispatcher-2", 9);

	world_take_over(world);
	partition_outcome(world->partition, 7, &outcome);
	outcome.kind = SYNQ_OUTCOME_FAILED;
	outcome.ended_at = ended_at;
	outcome.not_before_at = ended_at + 5LL * 1000000;
	partition_outcome(world->partition, 8, &outcome);
	partition_settle(world->partition);
	world_read(world, 0, 1);
}

/* The life of ${instance} with the boot id of all ${boot}. */
void
world_life(struct world *world, const char *instance, uint8_t boot)
{
	struct maker maker;

	memset(&maker, 0, sizeof(maker));
	(void)snprintf(maker.instance, sizeof(maker.instance), "%s", instance);
	memset(maker.boot_id.bytes, boot, sizeof(maker.boot_id.bytes));
	core_life(world->core, &maker);
}
