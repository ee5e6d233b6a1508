/*
 * When fresh records go to the handle.  librdkafka sends a request as soon as
 * it sees a record, and a request costs it, and the broker, many times what a
 * record in it costs.  So records are given to it in flights: while none is
 * out, what this turn of the loop brought goes at its end; while one is out,
 * what comes waits until it has landed, at most HOLD_US.  An idle program
 * waits for nothing, a busy one sends fewer and larger requests the busier it
 * is (as group commit does, DeWitt et al. 1984).
 *
 * A flight goes partition by partition, because a request holds the records of
 * one.
 *
 * Failure modes: the handle takes no more (QUEUE_FULL) or does not know the
 * topic now: the rest waits with those that are tried again (give_waiting).
 */

#include "kafka/sending.h"

/* What a record waits at most for a flight that is out. */
#define HOLD_US 3000

void
flow_add(struct synq_producer *p, struct synq_record *r)
{
	struct synq_lane *lane = r->topic->lanes[r->partition];

	synq_list_push(&lane->fresh, &r->fresh);
	if (!synq_link_used(&lane->ready))
		synq_list_push(&p->ready, &lane->ready);
	flow_landed(p);
}

void
flow_remove(struct synq_producer *p, struct synq_record *r)
{
	struct synq_lane *lane = r->topic->lanes[r->partition];

	if (!synq_link_used(&r->fresh))
		return;
	synq_list_remove(&lane->fresh, &r->fresh);
	if (synq_list_first(&lane->fresh) == NULL)
		synq_list_remove(&p->ready, &lane->ready);
}

void
flow_landed(struct synq_producer *p)
{
	if (p->state != SENDING_OPEN || synq_list_first(&p->ready) == NULL)
		return;
	if (p->with_handle == 0 && !p->flight_due) {
		p->flight_due = 1;
		synq_timer_start(p->flight, 0);
	} else if (!synq_timer_active(p->flight)) {
		synq_timer_start(p->flight, HOLD_US);
	}
}

void
flow_give(void *ctx)
{
	struct synq_producer *p = ctx;
	struct synq_link *link;

	p->flight_due = 0;
	/* Those that are tried again come first. */
	while (p->state == SENDING_OPEN && p->again_us == 0 &&
	       (link = synq_list_first(&p->ready)) != NULL) {
		struct synq_lane *lane =
		    SYNQ_CONTAINER(link, struct synq_lane, ready);

		link = synq_list_first(&lane->fresh);
		sending_give_or_settle(
		    p, SYNQ_CONTAINER(link, struct synq_record, fresh));
	}
}
