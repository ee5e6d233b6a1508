/*
 * When the wire is ready every channel is subscribed to; when Redis has
 * confirmed them all the subscriptions stand and the owner hears of it, since
 * what was published in between is lost.  Adding a channel later makes them
 * not stand until it is confirmed too.
 *
 * A connection that is dead without a sign is found by PING: nothing heard
 * from one beat to the next after it gives the connection up.
 */

#include "redis/subscriber.h"

#include "base/list.h"
#include "base/mem.h"
#include "redis/wire.h"

struct subscription {
	struct synq_link link;
	char *channel;
	synq_redis_message_fn *fn;
	void *ctx;
};

struct synq_redis_subscriber {
	struct synq_loop *loop;
	const struct synq_redis_config *config; /* borrowed */
	struct synq_redis_wire *wire;           /* NULL = nothing to hear */
	struct synq_list subscriptions;
	size_t unconfirmed; /* of those sent */
	int stands;
	int asked; /* PING is on its way */
	int closed;
	void (*fn)(void *ctx); /* may be NULL */
	void *ctx;
};

static struct subscription *
subscription_of(struct synq_link *link)
{
	return SYNQ_CONTAINER(link, struct subscription, link);
}

static int
send_subscribe(struct synq_redis_subscriber *subscriber,
    const struct subscription *subscription)
{
	const struct synq_slice words[2] = { synq_slice_text("SUBSCRIBE"),
		synq_slice_text(subscription->channel) };
	uint64_t end;

	subscriber->stands = 0;
	subscriber->unconfirmed++;
	return synq_redis_wire_send(subscriber->wire, words, 2, &end);
}

static void
on_ready(void *ctx)
{
	struct synq_redis_subscriber *subscriber = ctx;
	struct synq_link *link;
	struct synq_link *after;

	subscriber->asked = 0;
	/* What does not fit is not confirmed, and the beat finds that. */
	synq_list_foreach (&subscriber->subscriptions, link, after) {
		(void)!send_subscribe(subscriber, subscription_of(link));
	}
}

static void
on_message(struct synq_redis_subscriber *subscriber, const redisReply *channel,
    const redisReply *payload)
{
	struct synq_slice name = synq_slice_of(channel->str, channel->len);
	struct synq_slice body = synq_slice_of(payload->str, payload->len);
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&subscriber->subscriptions, link, after) {
		const struct subscription *at = subscription_of(link);

		if (synq_slice_is(name, at->channel))
			at->fn(at->ctx, body);
		if (subscriber->closed)
			return;
	}
}

static void
on_confirmed(struct synq_redis_subscriber *subscriber)
{
	if (!subscriber->unconfirmed || --subscriber->unconfirmed)
		return;
	subscriber->stands = 1;
	if (subscriber->fn)
		subscriber->fn(subscriber->ctx);
}

static int
on_reply(void *ctx, const redisReply *reply)
{
	struct synq_redis_subscriber *subscriber = ctx;
	struct synq_slice kind = { NULL, 0 };

	subscriber->asked = 0;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 &&
	    reply->element[0]->type == REDIS_REPLY_STRING)
		kind = synq_slice_of(
		    reply->element[0]->str, reply->element[0]->len);
	if (synq_slice_is(kind, "message") && reply->elements == 3 &&
	    reply->element[1]->type == REDIS_REPLY_STRING &&
	    reply->element[2]->type == REDIS_REPLY_STRING)
		on_message(subscriber, reply->element[1], reply->element[2]);
	else if (synq_slice_is(kind, "subscribe"))
		on_confirmed(subscriber);
	else if (!synq_slice_is(kind, "pong") &&
		 reply->type != REDIS_REPLY_STATUS)
		return -SYNQ_E_UNAVAILABLE;
	return 0;
}

static void
on_lost(void *ctx)
{
	struct synq_redis_subscriber *subscriber = ctx;

	subscriber->stands = 0;
	subscriber->unconfirmed = 0;
}

static void
on_beat(void *ctx)
{
	struct synq_redis_subscriber *subscriber = ctx;
	const struct synq_slice ping = synq_slice_text("PING");
	uint64_t end;

	if (subscriber->asked ||
	    synq_redis_wire_send(subscriber->wire, &ping, 1, &end)) {
		synq_redis_wire_drop(subscriber->wire);
		return;
	}
	subscriber->asked = 1;
}

struct synq_redis_subscriber *
synq_redis_subscriber_new(
    struct synq_loop *loop, const struct synq_redis_config *config)
{
	struct synq_redis_subscriber *subscriber =
	    synq_mem_new(sizeof(*subscriber));

	subscriber->loop = loop;
	subscriber->config = config;
	synq_list_init(&subscriber->subscriptions);
	return subscriber;
}

void
synq_redis_subscriber_add(struct synq_redis_subscriber *subscriber,
    const char *channel, synq_redis_message_fn *fn, void *ctx)
{
	struct subscription *added = synq_mem_new(sizeof(*added));
	const struct synq_redis_hooks hooks = { on_ready, on_reply, on_lost,
		on_beat, subscriber };

	added->channel = synq_mem_text(channel);
	added->fn = fn;
	added->ctx = ctx;
	synq_list_push(&subscriber->subscriptions, &added->link);
	if (!subscriber->wire)
		subscriber->wire = synq_redis_wire_new(
		    subscriber->loop, subscriber->config, &hooks);
	else if (synq_redis_wire_ready(subscriber->wire))
		(void)!send_subscribe(subscriber, added);
}

void
synq_redis_subscriber_notify(
    struct synq_redis_subscriber *subscriber, void (*fn)(void *ctx), void *ctx)
{
	subscriber->fn = fn;
	subscriber->ctx = ctx;
}

int
synq_redis_subscriber_stands(const struct synq_redis_subscriber *subscriber)
{
	return subscriber->stands;
}

void
synq_redis_subscriber_close(struct synq_redis_subscriber *subscriber)
{
	subscriber->closed = 1;
	synq_redis_wire_close(subscriber->wire);
}

void
synq_redis_subscriber_free(struct synq_redis_subscriber **subscriber)
{
	struct synq_link *link;

	if (!*subscriber)
		return;
	while ((link = synq_list_shift(&(*subscriber)->subscriptions))) {
		synq_mem_free(subscription_of(link)->channel);
		synq_mem_free(subscription_of(link));
	}
	synq_redis_wire_free(&(*subscriber)->wire);
	synq_mem_free(*subscriber);
	*subscriber = NULL;
}
