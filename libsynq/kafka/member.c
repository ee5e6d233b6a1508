/*
 * Joining a group, leaving it, and joining it anew.
 *
 * Fenced: the broker knows another member of our name.  That is another process
 * (fatal), or ourselves: when the broker was away for longer than a session,
 * librdkafka joins anew, and may then repeat a request of the member that it
 * was, which ends its handle for good (seen with 2.0.2).  So if we were
 * expelled a short while before: drop what there is → close the handle → join
 * with a new one, which has no such past.  Of two processes that fence each
 * other in turn, one was not expelled and ends.
 *
 * Left outside: a broker that is back may say for a moment that it does not
 * coordinate the group, and librdkafka 2.0.2 asks to join again two seconds
 * later; or it has asked who does on a connection that it then took the address
 * from, and waits for that answer for a minute.  A member that was expelled,
 * and to which the broker speaks, joins with a new handle instead, once.
 *
 * Failure modes: the handle does not close (left alone after a while).
 */

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kafka/group.h"

/* An empty fetch waits so long, and what was assigned meanwhile with it. */
#define FETCH_WAIT_MS 100
#define GATHER_BYTES 524288
#define CLOSE_LIMIT_US 3000000
/* The same for a member that is outside and has nobody to say it to. */
#define OUTSIDE_LIMIT_US 300000
/* Before it was expelled an answer is no older, unless the broker is away. */
#define SPEAKS_US 2000000
/* JoinGroup was answered, and so long after it SyncGroup did not go out. */
#define REFUSED_US 500000
/* So long after the broker is back JoinGroup did not go out. */
#define SILENT_US 1500000
/* A JoinGroup that is under way for longer is taken for lost. */
#define JOIN_LIMIT_US 10000000
/* So long after it a request of the former member may be answered. */
#define EXPELLED_LIMIT_US 60000000
/* The first librdkafka that destroys a member which was never assigned. */
#define DESTROYS_ANY 0x020300ff

static void
set_up(struct synq_kafka_build *build, const struct synq_consumer *c)
{
	synq_kafka_set(build, "group.id", c->group);
	if (c->instance != NULL)
		synq_kafka_set(build, "group.instance.id", c->instance);
	synq_kafka_set(
	    build, "partition.assignment.strategy", "cooperative-sticky");
	synq_kafka_set_number(build, "session.timeout.ms", SYNQ_SESSION_MS);
	synq_kafka_set(build, "heartbeat.interval.ms", "500");
	synq_kafka_set(build, "max.poll.interval.ms", "120000");
	synq_kafka_set(build, "enable.auto.commit", "false");
	synq_kafka_set(build, "enable.auto.offset.store", "false");
	synq_kafka_set(build, "auto.offset.reset", "error");
	synq_kafka_set(build, "enable.partition.eof",
	    c->events.on_end != NULL ? "true" : "false");
	synq_kafka_set_number(build, "fetch.wait.max.ms",
	    c->gather_ms > 0 ? c->gather_ms : FETCH_WAIT_MS);
	synq_kafka_set_number(
	    build, "fetch.min.bytes", c->gather_ms > 0 ? GATHER_BYTES : 1);
	synq_kafka_set(build, "fetch.error.backoff.ms", "100");
	synq_kafka_set(build, "queued.min.messages", "4000");
	synq_kafka_set(build, "queued.max.messages.kbytes", "4096");
	synq_kafka_set(build, "fetch.message.max.bytes", "1048576");
	synq_kafka_set(build, "allow.auto.create.topics", "false");
	rd_kafka_conf_set_events(build->conf,
	    RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_FETCH |
		RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_OFFSET_COMMIT);
}

int
member_join(struct synq_consumer *c, struct synq_err *err)
{
	struct synq_kafka_build build;
	rd_kafka_resp_err_t code;
	int rc;

	c->pulse = synq_mem_new(sizeof(*c->pulse));
	synq_kafka_build_start(&build, &c->config, c->pulse, err);
	set_up(&build, c);
	rc = synq_kafka_build_end(&build, RD_KAFKA_CONSUMER, &c->rk);
	if (rc != 0)
		return rc;
	rd_kafka_poll_set_consumer(c->rk);
	c->queue = rd_kafka_queue_get_consumer(c->rk);
	c->answers = rd_kafka_queue_new(c->rk);
	synq_kafka_listen(c->queue, c->wake);
	synq_kafka_listen(c->answers, c->wake);
	code = rd_kafka_subscribe(c->rk, c->topics);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	return synq_fail(
	    err, SYNQ_E_CONFIG, "subscribe: %s", rd_kafka_err2str(code));
}

int
member_close(struct synq_consumer *c)
{
	rd_kafka_error_t *error;

	c->closing = 1;
	consumer_drain(c, c->queue, 0);
	error = rd_kafka_consumer_close_queue(c->rk, c->answers);
	if (error == NULL)
		return 1;
	rd_kafka_error_destroy(error);
	return 0;
}

void
member_destroy(struct synq_consumer *c, uint32_t limit_ms)
{
	synq_kafka_deafen(&c->queue);
	synq_kafka_deafen(&c->answers);
	if (c->rk != NULL && !c->was_assigned &&
	    rd_kafka_version() < DESTROYS_ANY)
		c->rk = NULL;
	else
		synq_kafka_destroy(&c->rk, c->pulse, limit_ms);
	c->pulse = NULL;
}

/* ---- anew ---------------------------------------------------------------- */

/* Close the handle, and begin anew when it is or ${limit_us} have passed. */
static void
give_up(struct synq_consumer *c, uint64_t limit_us)
{
	group_drop_all(c);
	c->rejoining = 1;
	c->close_until_us = synq_clock_mono_us() + limit_us;
	if (!member_close(c))
		c->close_until_us = 0;
}

void
member_fenced(struct synq_consumer *c, const char *text)
{
	if (c->closing)
		return;
	if (c->expelled_us == 0 ||
	    synq_clock_mono_us() > c->expelled_us + EXPELLED_LIMIT_US) {
		group_fatal(c, SYNQ_E_FENCED, text);
		return;
	}
	give_up(c, CLOSE_LIMIT_US);
}

/* Begin anew: nothing of the old handle is known to the new one. */
static void
join_anew(struct synq_consumer *c)
{
	struct synq_err err = { 0 };

	group_drop_all(c);
	member_destroy(c, 0);
	offsets_restart(c);
	c->rejoining = 0;
	c->closing = 0;
	c->expelled_us = 0;
	c->back_us = 0;
	c->was_assigned = 0;
	c->delivered_us = 0;
	synq_log(SYNQ_LOG_WARN, "group.joined_anew",
	    SYNQ_F_TEXT("group", c->group), SYNQ_F_END);
	if (member_join(c, &err) != 0)
		group_fatal(c, SYNQ_E_SYSTEM, err.text);
}

/* 1 if the broker has spoken to the expelled ${c}, which notes since when. */
static int
is_back(struct synq_consumer *c)
{
	const uint64_t answered_us =
	    (uint64_t)atomic_load(&c->pulse->answered_us);

	if (c->back_us == 0 && answered_us + SPEAKS_US > c->expelled_us)
		c->back_us = synq_clock_mono_us();
	return c->back_us != 0;
}

/* 1 if ${c} was expelled and is not let in again, though it could be. */
static int
is_outside(struct synq_consumer *c)
{
	const long long join_us = atomic_load(&c->pulse->join_us);
	const uint64_t now_us = synq_clock_mono_us();
	uint64_t asked_us;

	if (c->expelled_us == 0 || c->closing || !is_back(c))
		return 0;
	if (join_us > 0)
		return now_us > (uint64_t)join_us + REFUSED_US;
	if (join_us == 0 &&
	    (uint64_t)atomic_load(&c->pulse->sync_us) > c->expelled_us)
		return 0;
	asked_us = (uint64_t)-join_us;
	if (asked_us > c->expelled_us && now_us < asked_us + JOIN_LIMIT_US)
		return 0;
	return now_us > c->back_us + SILENT_US;
}

int
member_serve(struct synq_consumer *c)
{
	if (!c->rejoining && is_outside(c))
		give_up(c, OUTSIDE_LIMIT_US);
	if (!c->rejoining)
		return 0;
	group_serve(c);
	if (rd_kafka_consumer_closed(c->rk) ||
	    synq_clock_mono_us() >= c->close_until_us)
		join_anew(c);
	return 1;
}
