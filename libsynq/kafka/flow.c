/*
 * When fresh records go to the handle.  librdkafka sends a request as soon as
 * it sees a record, a request holds the records of one partition only, and it
 * costs it, and the broker, many times what a record in it costs.  So records
 * are given to it in flights: what one turn of the loop brought for a partition
 * goes at its end; while a flight of that partition is out, what comes for it
 * waits until it has landed.  An idle program waits for nothing, a busy one
 * sends fewer and larger requests the busier it is (as group commit does,
 * DeWitt et al. 1984).
 *
 * For each broker no more than OUT_PER_BROKER partitions have a flight out.  A
 * broker answers the requests of a connection one after another, so more than
 * two gain nothing there; and an idempotent handle has at most five in the air:
 * while a record waits for a sixth, the thread of librdkafka 2.0.2 polls
 * without a pause.  A flight that has not landed after HOLD_US may be one to a
 * broker that is gone; then as many more go, for the others may be well.
 *
 * The first record of a partition goes alone, and nothing follows until it is
 * acknowledged.  A broker takes any sequence number from a producer that it
 * does not know there (also one that it forgot, after producer.id.expiration.ms
 * of silence, a day by default).  When the first of two requests fails and the
 * second is taken, librdkafka 2.0.2 reports the first as taken too, although it
 * is in no log.
 *
 * Failure modes: the handle takes no more (QUEUE_FULL) or does not know the
 * topic now: the rest waits with those that are tried again (give_waiting).
 */

#include "base/mem.h"
#include "kafka/sending.h"

#define OUT_PER_BROKER 2
#define HOLD_US 20000
/* After so long a silence the broker may not know us any more. */
#define KNOWN_US 3600000000ULL

/* A call that the loop will make; the producer may be gone by then. */
struct flight {
	struct synq_producer *p; /* NULL: it is */
};

static void on_turn_end(void *ctx);

void
flow_plan(struct synq_producer *p)
{
	/* Nothing is given while some are tried again: no turn for nothing. */
	if (p->state != SENDING_OPEN || p->again_us != 0 || p->due != NULL ||
	    p->closing || synq_list_first(&p->ready) == NULL)
		return;
	if (p->lanes_out < OUT_PER_BROKER * p->brokers) {
		synq_timer_stop(p->hold);
		p->due = synq_mem_new(sizeof(*p->due));
		p->due->p = p;
		/* No timer: that would be a millisecond. */
		synq_loop_defer(p->loop, on_turn_end, p->due);
	} else if (!synq_timer_active(p->hold)) {
		synq_timer_start(p->hold, HOLD_US);
	}
}

static void
make_ready(struct synq_producer *p, struct synq_lane *lane)
{
	if (lane->out == 0 && synq_list_first(&lane->fresh) != NULL &&
	    !synq_link_used(&lane->ready))
		synq_list_push(&p->ready, &lane->ready);
	flow_plan(p);
}

void
flow_add(struct synq_producer *p, struct synq_record *r)
{
	struct synq_lane *lane = r->topic->lanes[r->partition];

	synq_list_push(&lane->fresh, &r->fresh);
	make_ready(p, lane);
}

void
flow_remove(struct synq_producer *p, struct synq_record *r)
{
	struct synq_lane *lane = r->topic->lanes[r->partition];

	if (!synq_link_used(&r->fresh))
		return;
	synq_list_remove(&lane->fresh, &r->fresh);
	if (synq_list_first(&lane->fresh) == NULL &&
	    synq_link_used(&lane->ready))
		synq_list_remove(&p->ready, &lane->ready);
}

int
flow_may_go(const struct synq_producer *p, const struct synq_record *r)
{
	const struct synq_lane *lane = r->topic->lanes[r->partition];

	return lane->out == 0 ||
	       (lane->landed_us != 0 &&
		   synq_loop_now_us(p->loop) < lane->landed_us + KNOWN_US);
}

void
flow_landed(const struct synq_producer *p, const struct synq_record *r)
{
	r->topic->lanes[r->partition]->landed_us = synq_loop_now_us(p->loop);
}

void
flow_out(struct synq_producer *p, struct synq_record *r)
{
	struct synq_lane *lane = r->topic->lanes[r->partition];

	flow_remove(p, r);
	if (lane->out++ == 0)
		p->lanes_out++;
}

void
flow_back(struct synq_producer *p, struct synq_record *r)
{
	struct synq_lane *lane = r->topic->lanes[r->partition];

	if (--lane->out > 0)
		return;
	p->lanes_out--;
	make_ready(p, lane);
}

static void
reset_lane(struct synq_lane *lane)
{
	lane->out = 0;
	lane->landed_us = 0;
}

void
flow_reset(struct synq_producer *p)
{
	for (size_t i = 0; i < p->topic_count; i++)
		for (int32_t k = 0; k < p->topics[i].partitions; k++)
			reset_lane(p->topics[i].lanes[k]);
	p->lanes_out = 0;
}

/* Give what is fresh on ${lane} and may go; it is not ready any more. */
static void
give_lane(struct synq_producer *p, struct synq_lane *lane)
{
	struct synq_link *link;
	struct synq_record *r;

	synq_list_remove(&p->ready, &lane->ready);
	/* Those that are tried again come first. */
	while (p->state == SENDING_OPEN && p->again_us == 0 &&
	       (link = synq_list_first(&lane->fresh)) != NULL) {
		r = SYNQ_CONTAINER(link, struct synq_record, fresh);
		if (!flow_may_go(p, r))
			break;
		sending_give_or_settle(p, r);
	}
}

/* Give until ${most} partitions have a flight out. */
static void
give(struct synq_producer *p, size_t most)
{
	struct synq_link *link;

	while (p->state == SENDING_OPEN && p->again_us == 0 &&
	       p->lanes_out < most &&
	       (link = synq_list_first(&p->ready)) != NULL)
		give_lane(p, SYNQ_CONTAINER(link, struct synq_lane, ready));
	flow_plan(p);
}

static void
on_turn_end(void *ctx)
{
	struct flight *flight = ctx;
	struct synq_producer *p = flight->p;

	synq_mem_free(flight);
	if (p == NULL)
		return;
	p->due = NULL;
	give(p, OUT_PER_BROKER * p->brokers);
}

void
flow_give_held(void *ctx)
{
	struct synq_producer *p = ctx;

	give(p, p->lanes_out + OUT_PER_BROKER * p->brokers);
}

void
flow_end(struct synq_producer *p)
{
	if (p->due != NULL)
		p->due->p = NULL;
	p->due = NULL;
}
