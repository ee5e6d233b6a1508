/*
 * The clock, the log and the stores.
 */

#include "world.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "job/id.h"
#include "kafka/producer.h"
#include "metric/metric.h"
#include "producer/figures.h"
#include "producer/wait.h"
#include "producer/withdraw.h"
#include "redis/redis.h"
#include "service/service.h"
#include "store/catalog.h"

struct synq_timer {
	struct synq_link link;
	synq_loop_fn *fn;
	void *ctx;
	uint64_t due_us; /* 0 = stopped */
	uint64_t period_us;
};

struct synq_loop {
	uint64_t now_us;
	struct synq_list timers;
	struct {
		synq_loop_fn *fn;
		void *ctx;
	} deferred[WORLD_MAX];
	size_t deferred_count;
};

static struct synq_loop the_loop;
static struct world *the_world;
static synq_redis_message_fn *message_fn;
static void (*subscribed_fn)(void *ctx);
static void *redis_ctx;

uint64_t
synq_loop_now_us(const struct synq_loop *loop)
{
	return loop->now_us;
}

int64_t
synq_loop_wall_us(const struct synq_loop *loop)
{
	return WORLD_BEGIN_AT + (int64_t)loop->now_us;
}

void
synq_loop_defer(struct synq_loop *loop, synq_loop_fn *fn, void *ctx)
{
	assert_true(loop->deferred_count < WORLD_MAX);
	loop->deferred[loop->deferred_count].fn = fn;
	loop->deferred[loop->deferred_count].ctx = ctx;
	loop->deferred_count++;
}

struct synq_timer *
synq_timer_new(struct synq_loop *loop, synq_loop_fn *fn, void *ctx)
{
	struct synq_timer *timer = synq_mem_new(sizeof(*timer));

	timer->fn = fn;
	timer->ctx = ctx;
	synq_list_push(&loop->timers, &timer->link);
	return timer;
}

void
synq_timer_start(struct synq_timer *timer, uint64_t delay_us)
{
	timer->due_us = the_loop.now_us + (delay_us == 0 ? 1 : delay_us);
	timer->period_us = 0;
}

void
synq_timer_repeat(struct synq_timer *timer, uint64_t period_us)
{
	synq_timer_start(timer, period_us);
	timer->period_us = period_us;
}

void
synq_timer_stop(struct synq_timer *timer)
{
	if (timer != NULL)
		timer->due_us = 0;
}

int
synq_timer_active(const struct synq_timer *timer)
{
	return timer->due_us != 0;
}

void
synq_timer_free(struct synq_timer **timer)
{
	if (*timer == NULL)
		return;
	synq_list_remove(&the_loop.timers, &(*timer)->link);
	synq_mem_free(*timer);
	*timer = NULL;
}

static void
run_deferred(void)
{
	size_t i;

	for (i = 0; i < the_loop.deferred_count; i++)
		the_loop.deferred[i].fn(the_loop.deferred[i].ctx);
	the_loop.deferred_count = 0;
}

/* The timer that is due next, at ${limit_us} at the latest; or NULL. */
static struct synq_timer *
next_timer(uint64_t limit_us)
{
	struct synq_timer *next = NULL;
	struct synq_timer *timer;
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&the_loop.timers, link, after) {
		timer = SYNQ_CONTAINER(link, struct synq_timer, link);
		if (timer->due_us == 0 || timer->due_us > limit_us)
			continue;
		if (next == NULL || timer->due_us < next->due_us)
			next = timer;
	}
	return next;
}

void
world_pass(struct world *world, uint64_t us)
{
	const uint64_t until_us = the_loop.now_us + us;
	struct synq_timer *timer;

	(void)world;
	run_deferred();
	while ((timer = next_timer(until_us)) != NULL) {
		the_loop.now_us = timer->due_us;
		timer->due_us = timer->period_us == 0
		                    ? 0
		                    : timer->due_us + timer->period_us;
		timer->fn(timer->ctx);
		run_deferred();
	}
	the_loop.now_us = until_us;
}

const struct synq_config *
synq_service_config(const struct synq_service *service)
{
	(void)service;
	return &the_world->config;
}

int
synq_service_draining(const struct synq_service *service)
{
	(void)service;
	return the_world->draining;
}

int
synq_auth_check(struct synq_auth *auth, struct synq_slice header,
    struct synq_auth_result *ret, synq_auth_fn *fn, void *ctx)
{
	(void)auth;
	(void)header;
	the_world->auth_asked++;
	if (the_world->auth_later) {
		the_world->auth_fn = fn;
		the_world->auth_ctx = ctx;
		return 0;
	}
	ret->answer = the_world->auth;
	if (the_world->auth == SYNQ_AUTH_OK)
		ret->principal.organization_id = the_world->organization_id;
	return 1;
}

/* Each model is its own static row. */
const struct synq_catalog_model *
synq_catalog_at(const struct synq_catalog *catalog, size_t index)
{
	static const struct synq_catalog_provider provider = { .name = "stub" };
	static struct synq_catalog_model rows[8];

	(void)catalog;
	if (index >= 8 || the_world->models[index] == NULL)
		return NULL;
	rows[index].name = the_world->models[index];
	rows[index].provider = &provider;
	rows[index].created_at = WORLD_BEGIN_AT;
	return &rows[index];
}

const struct synq_catalog_model *
synq_catalog_find(const struct synq_catalog *catalog, struct synq_slice name)
{
	const struct synq_catalog_model *model;
	size_t i;

	for (i = 0; (model = synq_catalog_at(catalog, i)) != NULL; i++) {
		if (synq_slice_is(name, model->name))
			return model;
	}
	return NULL;
}

int
synq_producer_send(
    struct synq_producer *producer, const struct synq_producer_record *record)
{
	struct world_record *kept =
	    &the_world->records[the_world->record_count];
	size_t i;

	(void)producer;
	if (the_world->log_rc != 0)
		return the_world->log_rc;
	assert_true(the_world->record_count < WORLD_MAX);
	the_world->record_count++;
	(void)snprintf(kept->topic, sizeof(kept->topic), "%s", record->topic);
	kept->partition = record->partition;
	kept->ack = record->ack;
	kept->ctx = record->ctx;
	synq_buf_init(&kept->value, 4U << 20);
	synq_buf_init(&kept->trace, 4096);
	(void)synq_buf_slice(&kept->value, record->value);
	for (i = 0; i < record->header_count; i++) {
		if (strcmp(record->headers[i].name, "traceparent") == 0)
			(void)synq_buf_slice(
			    &kept->trace, record->headers[i].value);
	}
	return 0;
}

int
synq_producer_healthy(const struct synq_producer *producer)
{
	(void)producer;
	return !the_world->log_away;
}

void
world_ack(struct world *world, size_t index, int rc)
{
	struct world_record *record = &world->records[index];
	void (*ack)(void *ctx, int rc, int64_t offset) = record->ack;

	assert_true(index < world->record_count && ack != NULL);
	record->ack = NULL;
	ack(record->ctx, rc, rc == 0 ? 1 : -1);
}

static struct world_query *
new_query(const struct synq_uuid *organization_id, synq_jobs_fn *fn, void *ctx)
{
	struct world_query *query = &the_world->queries[the_world->query_count];

	assert_true(the_world->query_count < WORLD_QUERIES_MAX);
	the_world->query_count++;
	query->organization_id = *organization_id;
	query->asked_us = the_loop.now_us;
	query->fn = fn;
	query->ctx = ctx;
	return query;
}

int
synq_store_jobs(struct synq_pg *pg, const struct synq_jobs_request *request,
    synq_jobs_fn *fn, void *ctx)
{
	struct world_query *query;

	(void)pg;
	if (the_world->pg_busy)
		return -SYNQ_E_BUSY;
	assert_in_range(request->count, 1, 500);
	query = new_query(&request->organization_id, fn, ctx);
	query->part = request->part;
	query->count = request->count;
	memcpy(query->ids, request->ids,
	    (query->count < 8 ? query->count : 8) * sizeof(*query->ids));
	return 0;
}

int
synq_store_list_jobs(struct synq_pg *pg,
    const struct synq_uuid *organization_id,
    const struct synq_job_filter *filter, synq_jobs_fn *fn, void *ctx)
{
	struct world_query *query;

	(void)pg;
	if (the_world->pg_busy)
		return -SYNQ_E_BUSY;
	query = new_query(organization_id, fn, ctx);
	query->is_list = 1;
	query->limit = filter->limit;
	return 0;
}

static void
answer(struct world_query *query, int rc, const struct synq_job_row *rows,
    size_t count, int64_t as_of)
{
	synq_jobs_fn *fn = query->fn;

	assert_non_null(fn);
	query->fn = NULL;
	fn(query->ctx, rc, rows, count, as_of);
}

void
world_answer(struct world *world, size_t index, const struct synq_job_row *rows,
    size_t count, int64_t as_of)
{
	assert_true(index < world->query_count);
	answer(&world->queries[index], 0, rows, count, as_of);
}

void
world_answer_error(struct world *world, size_t index, int rc)
{
	assert_true(index < world->query_count);
	answer(&world->queries[index], rc, NULL, 0, 0);
}

void
synq_store_claim(
    const struct synq_claim_request *request, synq_claim_fn *fn, void *ctx)
{
	the_world->claims++;
	the_world->claim = *request;
	the_world->claim_fn = fn;
	the_world->claim_ctx = ctx;
}

void
synq_store_take_claim(const struct synq_claim_request *request,
    const struct synq_uuid *from, synq_claim_fn *fn, void *ctx)
{
	the_world->takes++;
	the_world->taken_from = *from;
	the_world->claim = *request;
	the_world->claim_fn = fn;
	the_world->claim_ctx = ctx;
}

void
synq_store_free_claim(const struct synq_claim_request *request)
{
	assert_true(request->key.bytes > 0);
	the_world->settled = 0;
}

static void
settle(enum world_settle kind, const struct synq_uuid *job_id,
    synq_settle_fn *fn, void *ctx)
{
	assert_null(the_world->settle_fn);
	the_world->settling = kind;
	the_world->settle_id = *job_id;
	the_world->settle_fn = fn;
	the_world->settle_ctx = ctx;
}

void
synq_store_accept_claim(const struct synq_claim_request *request,
    const struct synq_uuid *job_id, synq_settle_fn *fn, void *ctx)
{
	assert_true(request->key.bytes > 0);
	settle(WORLD_ACCEPTS, job_id, fn, ctx);
}

void
synq_store_drop_claim(const struct synq_claim_request *request,
    const struct synq_uuid *job_id, synq_settle_fn *fn, void *ctx)
{
	assert_true(request->key.bytes > 0);
	settle(WORLD_DROPS, job_id, fn, ctx);
}

void
world_settle(
    struct world *world, enum world_settle kind, enum synq_settled settled)
{
	synq_settle_fn *fn = world->settle_fn;

	assert_non_null(fn);
	assert_int_equal(kind, world->settling);
	world->settle_fn = NULL;
	if (settled == SYNQ_SETTLED_DONE)
		world->settled = kind == WORLD_ACCEPTS;
	fn(world->settle_ctx, settled);
}

void
world_claim(struct world *world, enum synq_claim claim,
    const struct synq_uuid *job_id, int accepted)
{
	synq_claim_fn *fn = world->claim_fn;

	assert_non_null(fn);
	world->claim_fn = NULL;
	fn(world->claim_ctx, claim, job_id, accepted);
}

void
synq_redis_subscribe(struct synq_redis *redis, const char *channel,
    synq_redis_message_fn *fn, void *ctx)
{
	(void)redis;
	assert_string_equal("synq:reply:test", channel);
	message_fn = fn;
	redis_ctx = ctx;
}

void
synq_redis_on_subscribed(
    struct synq_redis *redis, void (*fn)(void *ctx), void *ctx)
{
	(void)redis;
	assert_ptr_equal(redis_ctx, ctx);
	subscribed_fn = fn;
}

void
world_resubscribe(struct world *world)
{
	(void)world;
	subscribed_fn(redis_ctx);
}

void
world_reply(struct world *world, const struct synq_reply *reply)
{
	struct synq_buf message;

	(void)world;
	synq_buf_init(&message, 1U << 20);
	synq_reply_encode(reply, &message);
	assert_false(message.overflow);
	message_fn(redis_ctx, synq_buf_view(&message));
	synq_buf_done(&message);
}

void
world_noise(struct world *world, struct synq_slice payload)
{
	(void)world;
	message_fn(redis_ctx, payload);
}

size_t
world_active_timers(void)
{
	struct synq_link *link;
	struct synq_link *after;
	size_t count = 0;

	synq_list_foreach (&the_loop.timers, link, after)
		count +=
		    SYNQ_CONTAINER(link, struct synq_timer, link)->due_us != 0;
	return count;
}

struct synq_uuid
world_id(uint8_t number)
{
	struct synq_uuid id = synq_uuid_new(synq_loop_wall_us(&the_loop));

	id.bytes[15] = number;
	return id;
}

const char *
world_public_id(const struct world *world, const struct synq_uuid *organization,
    const struct synq_uuid *job)
{
	static char text[SYNQ_JOB_ID_CHARS + 1];

	synq_job_id_format(
	    world->intake.idkey, INTAKE_IDKEY_VERSION, organization, job, text);
	return text;
}

int
world_setup(void **state)
{
	struct world *world = synq_mem_new(sizeof(*world));
	struct intake *intake = &world->intake;
	static int started;
	struct synq_err err;

	if (!started)
		assert_int_equal(0, synq_crypto_init(&err));
	started = 1;
	the_world = world;
	the_loop = (struct synq_loop){ .now_us = 1000000 };
	synq_list_init(&the_loop.timers);
	world->config.kafka_partitions = 16;
	world->config.intake_max_pending = 1000;
	world->config.intake_sync_limit_ms = 280000;
	world->config.intake_wait_default_ms = 2000;
	world->config.job_deadline_s = 86400;
	world->config.job_max_attempts = 3;
	world->organization_id = world_id(200);
	world->settled = -1;
	world->models[0] = "m";
	world->models[1] = "org/m";
	intake->loop = &the_loop;
	world->metrics = synq_metrics_new();
	intake->figures = figures_new(world->metrics);
	intake->idkey = synq_secret_new(
	    synq_slice_text("0123456789abcdef0123456789abcdef"));
	synq_buf_init(&intake->scratch, 2U << 20);
	synq_buf_init(&intake->reply_to, 256);
	(void)synq_buf_text(&intake->reply_to, "synq:reply:test");
	intake->waits = waits_new(intake);
	intake->withdrawals = withdrawals_new(intake);
	*state = world;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *world = *state;
	struct intake *intake = &world->intake;
	size_t i;

	for (i = 0; i < world->query_count; i++) {
		if (world->queries[i].fn != NULL)
			answer(&world->queries[i], -SYNQ_E_UNAVAILABLE, NULL, 0,
			    0);
	}
	if (world->claim_fn != NULL)
		world_claim(world, SYNQ_CLAIM_UNKNOWN, NULL, 0);
	for (i = 0; i < world->record_count; i++) {
		if (world->records[i].ack != NULL)
			world_ack(world, i, 0);
	}
	if (world->settle_fn != NULL)
		world_settle(world, world->settling, SYNQ_SETTLED_DONE);
	world_end_exchanges();
	run_deferred();
	assert_int_equal(0, intake->calls);
	withdrawals_free(&intake->withdrawals);
	waits_free(&intake->waits);
	assert_int_equal(0, the_loop.timers.count);
	for (i = 0; i < world->record_count; i++) {
		synq_buf_done(&world->records[i].value);
		synq_buf_done(&world->records[i].trace);
	}
	figures_free(&intake->figures);
	synq_metrics_free(&world->metrics);
	synq_secret_free(&intake->idkey);
	synq_buf_done(&intake->scratch);
	synq_buf_done(&intake->reply_to);
	synq_mem_free(world);
	return 0;
}

struct synq_job_row
world_row(const struct synq_uuid *job, enum synq_job_state state)
{
	return (struct synq_job_row){
		.id = *job,
		.state = state,
		.endpoint = synq_slice_text("/v1/embeddings"),
		.model = synq_slice_text("m"),
		.priority = 1,
		.created_at = WORLD_BEGIN_AT,
		.deadline_at = WORLD_BEGIN_AT + 60000000LL,
		.input_tokens = -1,
		.output_tokens = -1,
		.cached_tokens = -1,
		.reasoning_tokens = -1,
	};
}
