/*
 * Commands wait in the order in which they were sent, which is the order of
 * the replies and, as all have the same limit, of their deadlines.  A reply
 * ends the first.
 *
 * Failure modes: when the connection breaks all end at once; those that had
 * left whole may have been carried out (UNCERTAIN), the others cannot have
 * been (UNAVAILABLE).  When the first is overdue, Redis is as good as gone for
 * those behind it: the connection is given up.  An idle connection is asked by
 * PING once a second, so that health does not depend on traffic.
 *
 * Freeing closes everything at once; the memory goes at the end of the turn,
 * because the owner may do it from one of our callbacks.
 */

#include "redis/redis.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/slab.h"
#include "loop/loop.h"
#include "redis/subscriber.h"
#include "redis/wire.h"

struct command {
	struct synq_link link;
	uint64_t deadline_us;
	uint64_t end;             /* in the stream of the connection */
	synq_redis_done_fn *done; /* may be NULL */
	void *ctx;
};

struct synq_redis {
	struct synq_loop *loop;
	struct synq_redis_config config; /* its texts are the two below */
	char *host;
	char *password;
	struct synq_redis_wire *wire;
	struct synq_redis_subscriber *subscriber;
	struct synq_timer *timer;
	struct synq_slab *commands;
	struct synq_list waiting; /* for their answers */
	int closed;
};

static struct command *
command_of(struct synq_link *link)
{
	return SYNQ_CONTAINER(link, struct command, link);
}

static struct synq_redis_reply
make_reply(const redisReply *from)
{
	struct synq_redis_reply reply = { .type = SYNQ_REPLY_NIL,
		.handle = from };

	switch (from->type) {
	case REDIS_REPLY_INTEGER:
		reply.type = SYNQ_REPLY_INT;
		reply.number = from->integer;
		break;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
	case REDIS_REPLY_ERROR:
		reply.type = SYNQ_REPLY_TEXT;
		reply.text = synq_slice_of(from->str, from->len);
		break;
	case REDIS_REPLY_ARRAY:
		reply.type = SYNQ_REPLY_ARRAY;
		reply.count = from->elements;
		break;
	default:
		break;
	}
	return reply;
}

struct synq_redis_reply
synq_redis_element(const struct synq_redis_reply *reply, size_t index)
{
	const redisReply *from = reply->handle;

	if (reply->type != SYNQ_REPLY_ARRAY || index >= reply->count)
		return (struct synq_redis_reply){ .type = SYNQ_REPLY_NIL };
	return make_reply(from->element[index]);
}

/* End the first command that waits. */
static void
end_first(struct synq_redis *redis, int rc, const redisReply *from)
{
	struct command *first = command_of(synq_list_shift(&redis->waiting));
	struct command ended = *first;
	struct synq_redis_reply reply;

	synq_slab_give(redis->commands, first);
	if (from)
		reply = make_reply(from);
	if (ended.done)
		ended.done(ended.ctx, rc, from ? &reply : NULL);
}

/* Let the timer fire when the first is overdue. */
static void
arm(struct synq_redis *redis)
{
	struct synq_link *first = synq_list_first(&redis->waiting);
	uint64_t now_us = synq_loop_now_us(redis->loop);
	uint64_t due_us;

	if (!first)
		return;
	due_us = command_of(first)->deadline_us;
	synq_timer_start(redis->timer, due_us > now_us ? due_us - now_us : 0);
}

static void
redis_timer(void *ctx)
{
	struct synq_redis *redis = ctx;
	struct synq_link *first = synq_list_first(&redis->waiting);

	if (first &&
	    command_of(first)->deadline_us <= synq_loop_now_us(redis->loop))
		synq_redis_wire_drop(redis->wire);
	else
		arm(redis);
}

static void
on_ready(void *ctx)
{
	/* Nothing waits for the connection. */
	(void)ctx;
}

static int
on_reply(void *ctx, const redisReply *reply)
{
	struct synq_redis *redis = ctx;

	if (!redis->waiting.count)
		return -SYNQ_E_UNAVAILABLE;
	end_first(redis, reply->type == REDIS_REPLY_ERROR ? -SYNQ_E_REFUSED : 0,
	    reply);
	return 0;
}

static void
on_lost(void *ctx)
{
	struct synq_redis *redis = ctx;
	uint64_t written = synq_redis_wire_written(redis->wire);
	struct synq_link *first;

	while (!redis->closed && (first = synq_list_first(&redis->waiting)))
		end_first(redis,
		    command_of(first)->end <= written ? -SYNQ_E_UNCERTAIN
						      : -SYNQ_E_UNAVAILABLE,
		    NULL);
}

static void
on_beat(void *ctx)
{
	struct synq_redis *redis = ctx;
	const struct synq_slice ping = synq_slice_text("PING");

	if (!redis->waiting.count &&
	    synq_redis_command(redis, &ping, 1, NULL, NULL))
		synq_redis_wire_drop(redis->wire);
}

static int
check_config(const struct synq_redis_config *config, struct synq_err *err)
{
	unsigned char address[16];

	if (!config->host ||
	    (inet_pton(AF_INET, config->host, address) != 1 &&
		inet_pton(AF_INET6, config->host, address) != 1))
		return synq_fail(err, SYNQ_E_CONFIG,
		    "the Redis host is not a numeric address");
	if (!config->port)
		return synq_fail(err, SYNQ_E_CONFIG, "the Redis port is 0");
	if (!config->limit_ms || !config->max_queued)
		return synq_fail(err, SYNQ_E_CONFIG,
		    "the Redis queue and time limit must be above 0");
	return 0;
}

int
synq_redis_new(struct synq_loop *loop, const struct synq_redis_config *config,
    struct synq_redis **ret, struct synq_err *err)
{
	struct synq_redis_hooks hooks = { on_ready, on_reply, on_lost, on_beat,
		NULL };
	struct synq_redis *redis;
	int rc = check_config(config, err);

	if (rc)
		return rc;
	redis = synq_mem_new(sizeof(*redis));
	redis->loop = loop;
	redis->config = *config;
	redis->host = synq_mem_text(config->host);
	redis->password = synq_mem_text(config->password);
	redis->config.host = redis->host;
	redis->config.password = redis->password;
	redis->commands = synq_slab_new(
	    "redis commands", sizeof(struct command), config->max_queued);
	synq_list_init(&redis->waiting);
	redis->timer = synq_timer_new(loop, redis_timer, redis);
	hooks.ctx = redis;
	redis->wire = synq_redis_wire_new(loop, &redis->config, &hooks);
	redis->subscriber = synq_redis_subscriber_new(loop, &redis->config);
	*ret = redis;
	return 0;
}

int
synq_redis_command(struct synq_redis *redis, const struct synq_slice *words,
    size_t count, synq_redis_done_fn *done, void *ctx)
{
	struct command *command;
	int rc;

	assert(count);

	if (!synq_redis_wire_ready(redis->wire))
		return -SYNQ_E_UNAVAILABLE;
	command = synq_slab_take(redis->commands);
	if (!command)
		return -SYNQ_E_BUSY;
	rc = synq_redis_wire_send(redis->wire, words, count, &command->end);
	if (rc) {
		synq_slab_give(redis->commands, command);
		return rc;
	}
	command->done = done;
	command->ctx = ctx;
	command->deadline_us = synq_loop_now_us(redis->loop) +
	                       (uint64_t)redis->config.limit_ms * 1000;
	synq_list_push(&redis->waiting, &command->link);
	if (!synq_timer_active(redis->timer))
		arm(redis);
	return 0;
}

void
synq_redis_subscribe(struct synq_redis *redis, const char *channel,
    synq_redis_message_fn *fn, void *ctx)
{
	synq_redis_subscriber_add(redis->subscriber, channel, fn, ctx);
}

void
synq_redis_on_subscribed(
    struct synq_redis *redis, void (*fn)(void *ctx), void *ctx)
{
	synq_redis_subscriber_notify(redis->subscriber, fn, ctx);
}

int
synq_redis_healthy(const struct synq_redis *redis)
{
	return synq_redis_wire_ready(redis->wire);
}

int
synq_redis_subscribed(const struct synq_redis *redis)
{
	return synq_redis_subscriber_stands(redis->subscriber);
}

static void
destroy(void *ctx)
{
	struct synq_redis *redis = ctx;

	synq_redis_wire_free(&redis->wire);
	synq_redis_subscriber_free(&redis->subscriber);
	synq_slab_free(&redis->commands);
	synq_mem_free(redis->host);
	synq_mem_free(redis->password);
	synq_mem_free(redis);
}

void
synq_redis_free(struct synq_redis **redis)
{
	if (!*redis)
		return;
	(*redis)->closed = 1;
	synq_redis_wire_close((*redis)->wire);
	synq_redis_subscriber_close((*redis)->subscriber);
	synq_timer_free(&(*redis)->timer);
	synq_loop_defer((*redis)->loop, destroy, *redis);
	*redis = NULL;
}
