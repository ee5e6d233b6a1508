/*
 * Answers that are kept for who asks next: bounded in number, bytes and age,
 * and shown to their organization only.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "producer/wait.h"
#include "world.h"

#define MS 1000ULL
#define SECOND 1000000ULL

/* One who waits and notes what came. */
struct listener {
	struct waiter waiter;
	size_t calls;
	char body[64];
};

static void
on_result(void *ctx, const struct wait_result *result)
{
	struct listener *listener = ctx;

	listener->calls++;
	assert_non_null(result);
	(void)snprintf(listener->body, sizeof(listener->body), "%.*s",
	    (int)result->body.bytes, result->body.data);
}

/* Waits for ${job} of the world's organization for ten seconds. */
static void
start(
    struct world *world, struct listener *listener, const struct synq_uuid *job)
{
	const struct wait_request request = {
		.organization_id = world->organization_id,
		.job_id = *job,
		.limit_us = synq_loop_now_us(world->intake.loop) + 10 * SECOND,
		.fn = on_result,
		.ctx = listener,
	};

	memset(listener, 0, sizeof(*listener));
	wait_start(world->intake.waits, &listener->waiter, &request);
}

static void
reply(struct world *world, const struct synq_uuid *job, const char *body)
{
	const struct synq_reply message = {
		.job_id = *job,
		.state = SYNQ_JOB_SUCCEEDED,
		.answer_status = 200,
		.has_body = 1,
		.body = synq_slice_text(body),
		.attempts = 1,
	};

	world_reply(world, &message);
}

static void
test_kept_is_the_answer_to_what_was_accepted_here(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_uuid other = world_id(2);
	struct wait_result kept;
	struct listener listener;

	wait_expect(world->intake.waits, &world->organization_id, &job);
	assert_false(wait_kept(
	    world->intake.waits, &world->organization_id, &job, &kept));
	reply(world, &job, "{\"a\":1}");
	reply(world, &other, "{}");

	assert_true(wait_kept(
	    world->intake.waits, &world->organization_id, &job, &kept));
	assert_int_equal(200, kept.answer_status);
	assert_true(synq_slice_is(kept.body, "{\"a\":1}"));
	assert_false(wait_kept(
	    world->intake.waits, &world->organization_id, &other, &kept));

	start(world, &listener, &job);
	assert_int_equal(0, listener.calls); /* never from inside */
	world_pass(world, 20 * MS);
	assert_int_equal(1, listener.calls);
	assert_string_equal("{\"a\":1}", listener.body);
}

static void
test_kept_is_shown_to_its_organization_only(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct synq_uuid foreign = world_id(99);
	struct wait_result kept;

	wait_expect(world->intake.waits, &world->organization_id, &job);
	reply(world, &job, "{}");

	assert_false(wait_kept(world->intake.waits, &foreign, &job, &kept));
}

/* The first answer is the answer (decisions 9). */
static void
test_kept_is_the_first_answer(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct wait_result kept;

	wait_expect(world->intake.waits, &world->organization_id, &job);
	reply(world, &job, "{\"n\":1}");
	reply(world, &job, "{\"n\":2}");

	assert_true(wait_kept(
	    world->intake.waits, &world->organization_id, &job, &kept));
	assert_true(synq_slice_is(kept.body, "{\"n\":1}"));
}

static void
test_kept_is_forgotten_by_age(void **state)
{
	struct world *world = *state;
	struct synq_uuid job = world_id(1);
	struct wait_result kept;

	wait_expect(world->intake.waits, &world->organization_id, &job);
	reply(world, &job, "{}");
	world_pass(world, 9 * SECOND);
	assert_true(wait_kept(
	    world->intake.waits, &world->organization_id, &job, &kept));
	world_pass(world, 2 * SECOND);

	assert_false(wait_kept(
	    world->intake.waits, &world->organization_id, &job, &kept));
}

static void
test_kept_is_forgotten_by_bytes(void **state)
{
	struct world *world = *state;
	char *body = synq_mem_new(65536);
	struct synq_uuid first = world_id(0);
	struct synq_uuid job = first;
	struct wait_result kept;
	size_t i;

	memset(body, ' ', 65535);
	memcpy(body, "{}", 2);
	for (i = 0; i < 600; i++) { /* 37 MiB */
		job.bytes[14] = (uint8_t)(i >> 8);
		job.bytes[15] = (uint8_t)i;
		wait_expect(world->intake.waits, &world->organization_id, &job);
		reply(world, &job, body);
	}
	world_pass(world, 20 * MS);

	first.bytes[14] = 0;
	first.bytes[15] = 0;
	assert_false(wait_kept(
	    world->intake.waits, &world->organization_id, &first, &kept));
	assert_true(wait_kept(
	    world->intake.waits, &world->organization_id, &job, &kept));
	synq_mem_free(body);
}

static void
test_kept_is_forgotten_by_number(void **state)
{
	struct world *world = *state;
	struct synq_uuid first = world_id(0);
	struct synq_uuid job = first;
	struct wait_result kept;
	size_t i;

	wait_expect(world->intake.waits, &world->organization_id, &first);
	reply(world, &first, "{}");
	for (i = 1; i < 20002; i++) {
		job.bytes[13] = (uint8_t)(i >> 16);
		job.bytes[14] = (uint8_t)(i >> 8);
		job.bytes[15] = (uint8_t)i;
		wait_expect(world->intake.waits, &world->organization_id, &job);
	}

	assert_false(wait_kept(
	    world->intake.waits, &world->organization_id, &first, &kept));
}

int
main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_kept_is_the_answer_to_what_was_accepted_here),
		TEST(test_kept_is_shown_to_its_organization_only),
		TEST(test_kept_is_the_first_answer),
		TEST(test_kept_is_forgotten_by_age),
		TEST(test_kept_is_forgotten_by_bytes),
		TEST(test_kept_is_forgotten_by_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
