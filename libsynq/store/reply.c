#include "store/reply.h"

#include "redis/redis.h"

/*
 * A reply is one PUBLISH.  Redis away, or nobody listens: nothing is lost, the
 * row says the same a little later.
 */

/* The body, and room for all else that a reply holds. */
#define MAX_REPLY_BYTES (SYNQ_REPLY_MAX_BODY + 4096)

void
synq_reply_channel(const struct synq_uuid *boot_id, struct synq_buf *out)
{
	char id[SYNQ_UUID_CHARS + 1];

	synq_uuid_format(boot_id, id);
	synq_buf_printf(out, "synq:reply:%s", id);
}

void
synq_reply_publish(struct synq_redis *redis, struct synq_slice channel,
    const struct synq_reply *reply)
{
	struct synq_reply small = *reply;
	struct synq_slice words[3];
	struct synq_buf message;

	if (small.body.bytes > SYNQ_REPLY_MAX_BODY || !small.has_body) {
		small.body = synq_slice_of(NULL, 0);
		small.has_body = 0;
	}
	synq_buf_init(&message, MAX_REPLY_BYTES);
	synq_reply_encode(&small, &message);
	words[0] = synq_slice_text("PUBLISH");
	words[1] = channel;
	words[2] = synq_buf_view(&message);
	if (!message.overflow)
		(void)!synq_redis_command(
		    redis, words, SYNQ_COUNT(words), NULL, NULL);
	synq_buf_done(&message);
}
