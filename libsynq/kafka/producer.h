#ifndef SYNQ_KAFKA_PRODUCER_H
#define SYNQ_KAFKA_PRODUCER_H

/*
 * The idempotent producer (acks=all).  Every record gets exactly one answer:
 * acknowledged at an offset, or failed.
 *
 * The handle is rebuilt after a fatal error (kafka.md 3.5): the old one is
 * purged and destroyed first, then everything it left unacknowledged is sent
 * again in order.  A record may therefore be in the log twice; never lost.
 *
 * Ownership: key, value and headers are copied by synq_producer_send.
 */

#include "kafka/kafka.h"

struct synq_producer;

/*
 * The fate of one record: ${rc} is 0 and ${offset} where it lies (where the
 * broker does not say, because a batch was sent twice, a place that is not
 * beyond it), or
 * -SYNQ_E_UNCERTAIN (no acknowledgement in time: it may be in the log) or
 * -SYNQ_E_UNAVAILABLE or -SYNQ_E_TOO_LARGE (it is not).
 */
typedef void synq_producer_ack_fn(void *ctx, int rc, int64_t offset);

struct synq_producer_record {
	const char *topic; /* one of those given to synq_producer_new */
	int32_t partition;
	struct synq_slice key;
	struct synq_slice value;
	const struct synq_kafka_header *headers;
	size_t header_count;       /* <= SYNQ_KAFKA_MAX_HEADERS */
	int64_t time_us;           /* time stamp; 0 = now */
	synq_producer_ack_fn *ack; /* may be NULL */
	void *ctx;
};

/*
 * A producer on ${loop} for the NULL-terminated ${topics}, whose metadata it
 * fetches at once, so that the first record is not held up (kafka.md 3.5).
 * Does not wait for the broker.  Errors: CONFIG, SYSTEM.
 */
SYNQ_MUST_CHECK int synq_producer_new(struct synq_loop *loop,
    const struct synq_kafka_config *config, const char *const *topics,
    struct synq_producer **ret, struct synq_err *err);

/*
 * Hand over ${record}.  The acknowledgement comes later, from the loop.
 * Errors (then ack will not run): BUSY if the queue is full, TOO_LARGE,
 * UNAVAILABLE if the topic or partition is not known, or from an ack that runs
 * inside synq_producer_free when its time is over.
 */
SYNQ_MUST_CHECK int synq_producer_send(
    struct synq_producer *producer, const struct synq_producer_record *record);

/*
 * Let ${fn} run whenever ${producer} leaves a state in which sending is BUSY.
 */
void synq_producer_on_room(
    struct synq_producer *producer, void (*fn)(void *ctx), void *ctx);

/* 1 if a broker has answered and none of the last 3 s is all errors. */
int synq_producer_healthy(const struct synq_producer *producer);

/* How many records of ${producer} have no answer yet. */
size_t synq_producer_pending(const struct synq_producer *producer);

/*
 * How many partitions ${topic} has, from the metadata at hand; 0 = unknown.
 */
int32_t synq_producer_partitions(
    const struct synq_producer *producer, const char *topic);

/*
 * The last record of ${topic}, ${partition} acknowledged to this producer with
 * none before it unanswered: every offset up to it that this producer wrote is
 * answered.  -1 = none.  Frozen while a rebuild re-sends (decisions 10).
 */
int64_t synq_producer_acked(
    const struct synq_producer *producer, const char *topic, int32_t partition);

/*
 * Wait for pending records at most ${limit_ms} while the loop does not turn
 * (shutdown only), then destroy.  Acks run inside.  Sets *${producer} to NULL;
 * a handle that does not go within a second is left to the process's end.
 */
void synq_producer_free(struct synq_producer **producer, uint32_t limit_ms);

/* Act as if ${producer} had met a fatal error.  For tests. */
void synq_producer_break(struct synq_producer *producer);

#endif
