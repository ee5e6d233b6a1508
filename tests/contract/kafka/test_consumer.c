/*
 * The consumer against a real broker: members come and go under load with a
 * commit per partition every 100 ms; nothing is missing and no member loses
 * its assignment.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker.h"
#include "kafka/consumer.h"
#include "kafka/producer.h"
#include "loop/loop.h"

#define PARTITIONS 8
#define MEMBERS 3
#define COMMIT_US 100000
#define SEND_US 10000
#define MAX_RECORDS 20000

struct world;

struct member;

/* The question for what is committed; its answer may never come. */
struct asked {
	struct member *member;
	int32_t partition;
};

struct member {
	struct world *world;
	struct synq_consumer *consumer;
	struct synq_timer *commits;
	struct asked asked[PARTITIONS];
	int owns[PARTITIONS];
	int64_t next[PARTITIONS];
	char text[PARTITIONS][64]; /* the metadata that was found */
	size_t ends;
	size_t members_seen;
	int fatal;
};

struct world {
	struct synq_loop *loop;
	struct synq_producer *producer;
	struct synq_timer *sends;
	char topic[64];
	char group[80];
	struct member members[MEMBERS];
	size_t sent, acked, received, twice, lost, wanted;
	unsigned char seen[MAX_RECORDS];
	size_t per_tick; /* records every SEND_US */
	int64_t start;   /* where partitions without a commit start */
	int stop_after;  /* on_message says full after each record */
	int autostart;
};

static void
on_ack(void *ctx, int rc, SYNQ_UNUSED int64_t offset)
{
	struct world *world = ctx;

	assert_int_equal(rc, 0);
	world->acked++;
}

static int
send_one(struct world *world)
{
	char value[32];
	struct synq_producer_record record = {
		.topic = world->topic,
		.partition = (int32_t)(world->sent % PARTITIONS),
		.ack = on_ack,
		.ctx = world,
	};
	int rc;

	snprintf(value, sizeof(value), "%zu", world->sent);
	record.value = synq_slice_text(value);
	record.value.bytes++;
	rc = synq_producer_send(world->producer, &record);
	world->sent += rc == 0;
	return rc;
}

static void
on_send_time(void *ctx)
{
	struct world *world = ctx;

	for (size_t i = 0; i < world->per_tick; i++)
		if (world->sent < MAX_RECORDS)
			assert_int_equal(send_one(world), 0);
}

static void
commit_one(struct member *member, int32_t partition)
{
	char text[64];

	if (member->next[partition] < 0)
		return;
	snprintf(text, sizeof(text), "S1:map-of-%d-%lld", (int)partition,
	    (long long)member->next[partition]);
	synq_consumer_commit(member->consumer, member->world->topic, partition,
	    member->next[partition], synq_slice_text(text));
}

static void
on_commit_time(void *ctx)
{
	struct member *member = ctx;

	for (int32_t i = 0; i < PARTITIONS; i++)
		if (member->owns[i])
			commit_one(member, i);
}

static void
on_committed(void *ctx, int rc, int64_t offset, struct synq_slice metadata)
{
	const struct asked *asked = ctx;
	struct member *member = asked->member;
	int32_t partition = asked->partition;

	assert_int_equal(rc, 0);
	assert_true(metadata.bytes < sizeof(member->text[0]));
	if (metadata.bytes > 0)
		memcpy(member->text[partition], metadata.data, metadata.bytes);
	member->text[partition][metadata.bytes] = '\0';
	member->next[partition] = offset;
	synq_consumer_start(member->consumer, member->world->topic, partition,
	    offset < 0 ? member->world->start : offset);
}

static void
on_assign(void *ctx, const char *topic, int32_t partition)
{
	struct member *member = ctx;
	struct asked *asked = &member->asked[partition];

	assert_false(member->owns[partition]);
	member->owns[partition] = 1;
	member->next[partition] = -1;
	asked->member = member;
	asked->partition = partition;
	synq_consumer_committed(
	    member->consumer, topic, partition, on_committed, asked);
}

static void
on_revoke(void *ctx, SYNQ_UNUSED const char *topic, int32_t partition, int lost)
{
	struct member *member = ctx;

	assert_true(member->owns[partition]);
	member->owns[partition] = 0;
	if (lost)
		member->world->lost++;
	else
		commit_one(member, partition);
}

static int
on_message(void *ctx, const struct synq_kafka_message *message)
{
	struct member *member = ctx;
	struct world *world = member->world;
	size_t number = strtoul(message->value.data, NULL, 10);

	assert_true(member->owns[message->partition]);
	assert_true(number < MAX_RECORDS);
	world->received += world->seen[number] == 0;
	world->twice += world->seen[number] != 0;
	world->seen[number] = 1;
	member->next[message->partition] = message->offset + 1;
	return world->stop_after;
}

static void
on_end(void *ctx, SYNQ_UNUSED const char *topic, SYNQ_UNUSED int32_t partition)
{
	struct member *member = ctx;

	member->ends++;
}

static void
on_fatal(void *ctx, const struct synq_err *err)
{
	struct member *member = ctx;

	printf("# fatal: %s\n", err->text);
	member->fatal = err->code;
}

static void
join(struct world *world, int which, const char *instance)
{
	struct member *member = &world->members[which];
	const char *topics[2] = { world->topic, NULL };
	struct synq_consumer_config config = {
		.kafka = broker_config(),
		.group = world->group,
		.instance = instance,
		.topics = topics,
		.events = { on_assign, on_revoke, on_message, on_end,
		    on_fatal },
		.ctx = member,
	};
	struct synq_err err = { 0 };
	char client_id[32];

	memset(member, 0, sizeof(*member));
	member->world = world;
	snprintf(client_id, sizeof(client_id), "dispatcher:%d:b", which);
	config.kafka.client_id = client_id;
	assert_int_equal(
	    synq_consumer_new(world->loop, &config, &member->consumer, &err),
	    0);
	member->commits = synq_timer_new(world->loop, on_commit_time, member);
	synq_timer_repeat(member->commits, COMMIT_US);
}

static void
quit(struct world *world, int which)
{
	struct member *member = &world->members[which];

	synq_timer_free(&member->commits);
	synq_consumer_free(&member->consumer, 5000);
	assert_null(member->consumer);
	for (int i = 0; i < PARTITIONS; i++)
		assert_false(member->owns[i]);
}

static int
is_open(void *ctx)
{
	struct world *world = ctx;

	return synq_producer_partitions(world->producer, world->topic) > 0;
}

static int
has_all(void *ctx)
{
	struct world *world = ctx;

	return world->received >= world->wanted && world->acked == world->sent;
}

/* 1 if every partition has one owner and each member has some. */
static int
is_shared(void *ctx)
{
	struct world *world = ctx;
	int owned = 0;

	for (int i = 0; i < MEMBERS; i++) {
		int own = 0;

		for (int k = 0; k < PARTITIONS; k++)
			own += world->members[i].owns[k];
		if (world->members[i].consumer != NULL && own == 0)
			return 0;
		owned += own;
	}
	return owned == PARTITIONS;
}

static struct world *
begin(const char *stem)
{
	struct world *world = synq_mem_new(sizeof(*world));
	struct synq_kafka_config config = broker_config();
	const char *topics[2] = { world->topic, NULL };

	world->loop = broker_loop();
	world->start = -1;
	config.rebuild_forever = 1;
	broker_topic(stem, PARTITIONS, world->topic);
	snprintf(world->group, sizeof(world->group), "g-%s", world->topic);
	assert_int_equal(synq_producer_new(world->loop, &config, topics,
			     &world->producer, NULL),
	    0);
	assert_true(broker_turn(world->loop, is_open, world, 10000));
	world->sends = synq_timer_new(world->loop, on_send_time, world);
	return world;
}

static void
finish(struct world *world)
{
	for (int i = 0; i < MEMBERS; i++)
		if (world->members[i].consumer != NULL)
			quit(world, i);
	synq_timer_free(&world->sends);
	synq_producer_free(&world->producer, 2000);
	synq_loop_free(&world->loop);
	synq_mem_free(world);
}

static void
produce(struct world *world, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(send_one(world), 0);
	world->wanted = world->sent;
}

static void
test_consumer_goes_on_where_it_committed(SYNQ_UNUSED void **state)
{
	struct world *world = begin("resume");
	char expected[64];

	produce(world, 800);
	join(world, 0, NULL);
	assert_true(broker_turn(world->loop, has_all, world, 20000));
	for (int i = 0; i < PARTITIONS; i++)
		assert_string_equal(world->members[0].text[i], "");
	quit(world, 0);

	produce(world, 800);
	join(world, 1, NULL);
	assert_true(broker_turn(world->loop, has_all, world, 20000));

	assert_int_equal(world->twice, 0);
	for (int i = 0; i < PARTITIONS; i++) {
		snprintf(expected, sizeof(expected), "S1:map-of-%d-100", i);
		assert_string_equal(world->members[1].text[i], expected);
	}
	assert_true(synq_consumer_healthy(world->members[1].consumer));
	finish(world);
}

static int
has_some(void *ctx)
{
	struct world *world = ctx;

	return world->received >= PARTITIONS;
}

static int
has_ends(void *ctx)
{
	struct member *member = ctx;

	return member->ends >= PARTITIONS;
}

/* 1 once all that came until a moment ago was delivered. */
static int
is_near(void *ctx)
{
	struct member *member = ctx;

	return synq_consumer_behind_us(member->consumer) < 2000000;
}

static void
test_consumer_stops_while_there_is_no_room(SYNQ_UNUSED void **state)
{
	struct world *world = begin("room");
	int64_t low, high;

	produce(world, 8000);
	world->stop_after = 1;
	join(world, 0, NULL);
	assert_true(broker_turn(world->loop, has_some, world, 20000));
	broker_idle(world->loop, 300);
	assert_int_equal(world->received, PARTITIONS);

	world->stop_after = 0;
	for (int i = 0; i < PARTITIONS; i++)
		synq_consumer_resume(
		    world->members[0].consumer, world->topic, i);
	assert_int_equal(world->received, PARTITIONS);
	assert_true(broker_turn(world->loop, has_all, world, 20000));

	assert_true(
	    broker_turn(world->loop, has_ends, &world->members[0], 5000));
	broker_idle(world->loop, 2000);
	assert_true(
	    broker_turn(world->loop, is_near, &world->members[0], 5000));
	synq_consumer_watermarks(
	    world->members[0].consumer, world->topic, 0, &low, &high);
	assert_int_equal(high, 1000);
	finish(world);
}

static void
test_rebalances_lose_no_assignment_and_no_record(SYNQ_UNUSED void **state)
{
	struct world *world = begin("rebalance");

	world->per_tick = 6;
	synq_timer_repeat(world->sends, SEND_US);
	join(world, 0, NULL);
	assert_true(broker_turn(world->loop, is_shared, world, 10000));
	broker_idle(world->loop, 2000);
	join(world, 1, NULL);
	assert_true(broker_turn(world->loop, is_shared, world, 15000));
	broker_idle(world->loop, 2000);
	join(world, 2, NULL);
	assert_true(broker_turn(world->loop, is_shared, world, 15000));
	broker_idle(world->loop, 2000);
	quit(world, 0);
	assert_true(broker_turn(world->loop, is_shared, world, 15000));
	broker_idle(world->loop, 2000);
	quit(world, 1);
	assert_true(broker_turn(world->loop, is_shared, world, 15000));
	broker_idle(world->loop, 2000);
	synq_timer_stop(world->sends);
	world->wanted = world->sent;
	assert_true(broker_turn(world->loop, has_all, world, 15000));

	printf("# %zu sent, %zu twice, %zu lost assignments\n", world->sent,
	    world->twice, world->lost);
	assert_int_equal(world->lost, 0);
	assert_int_equal(world->received, world->sent);
	assert_true(world->twice < 200);
	finish(world);
}

static void
on_members(void *ctx, int rc, const char *const *client_ids, size_t count)
{
	struct member *member = ctx;

	assert_int_equal(rc, 0);
	for (size_t i = 0; i < count; i++)
		assert_memory_equal(client_ids[i], "dispatcher:", 11);
	member->members_seen = count;
}

static int
has_members(void *ctx)
{
	struct member *member = ctx;

	return member->members_seen > 0;
}

static void
test_consumer_names_the_members(SYNQ_UNUSED void **state)
{
	struct world *world = begin("members");

	join(world, 0, NULL);
	join(world, 1, NULL);
	assert_true(broker_turn(world->loop, is_shared, world, 15000));

	synq_consumer_members(
	    world->members[0].consumer, on_members, &world->members[0]);
	assert_true(
	    broker_turn(world->loop, has_members, &world->members[0], 5000));
	assert_int_equal(world->members[0].members_seen, 2);
	finish(world);
}

static int
is_fatal(void *ctx)
{
	struct member *member = ctx;

	return member->fatal != 0;
}

static void
test_second_process_of_a_name_fences_the_first(SYNQ_UNUSED void **state)
{
	struct world *world = begin("fence");

	join(world, 0, "dispatcher-1");
	assert_true(broker_turn(world->loop, is_shared, world, 15000));
	join(world, 1, "dispatcher-1");

	assert_true(
	    broker_turn(world->loop, is_fatal, &world->members[0], 15000));
	assert_int_equal(world->members[0].fatal, SYNQ_E_FENCED);
	finish(world);
}

static void
test_offset_that_is_gone_is_fatal(SYNQ_UNUSED void **state)
{
	struct world *world = begin("gone");

	world->start = 1000000;
	join(world, 0, NULL);
	assert_true(
	    broker_turn(world->loop, is_fatal, &world->members[0], 15000));
	assert_int_equal(world->members[0].fatal, SYNQ_E_NOT_FOUND);
	finish(world);
}

static void
test_consumer_survives_death_of_broker(SYNQ_UNUSED void **state)
{
	struct world *world;

	if (getenv("SYNQ_TEST_KAFKA_RESTART") == NULL) {
		puts("# skipped: SYNQ_TEST_KAFKA_RESTART is not set");
		skip();
	}
	world = begin("kill");
	world->per_tick = 5;
	synq_timer_repeat(world->sends, SEND_US);
	join(world, 0, NULL);
	assert_true(broker_turn(world->loop, is_shared, world, 10000));
	broker_idle(world->loop, 1000);
	assert_true(broker_restart());
	broker_idle(world->loop, 8000);
	synq_timer_stop(world->sends);
	world->wanted = world->sent;
	assert_true(broker_turn(world->loop, has_all, world, 30000));

	printf("# %zu sent, %zu twice, %zu lost assignments\n", world->sent,
	    world->twice, world->lost);
	assert_int_equal(world->received, world->sent);
	finish(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consumer_goes_on_where_it_committed),
		cmocka_unit_test(test_consumer_stops_while_there_is_no_room),
		cmocka_unit_test(
		    test_rebalances_lose_no_assignment_and_no_record),
		cmocka_unit_test(test_consumer_names_the_members),
		cmocka_unit_test(
		    test_second_process_of_a_name_fences_the_first),
		cmocka_unit_test(test_offset_that_is_gone_is_fatal),
		cmocka_unit_test(test_consumer_survives_death_of_broker),
	};

	if (broker_list() == NULL)
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
