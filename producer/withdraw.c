/*
 * Happy path: encode, send, acknowledged, gone.  Failure modes: the log does
 * not take it or does not answer: tried again each second.
 */

#include "withdraw.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "intake.h"
#include "job/id.h"
#include "kafka/envelope.h"
#include "kafka/producer.h"
#include "loop/loop.h"
#include "proto/topics.h"
#include "service/service.h"

#define WITHDRAWALS_KEPT 10000
#define AGAIN_US 1000000

struct withdrawal {
	struct synq_link link; /* on one of its owner's lists */
	struct withdrawals *owner;
	struct synq_cancel cancel;
	withdraw_fn *fn;
	void *ctx;
};

struct withdrawals {
	struct intake *intake;
	struct synq_list refused; /* by the log, just now */
	struct synq_list unsent;  /* waits for the timer */
	struct synq_list sent;    /* waits for its acknowledgement */
	struct synq_timer *soon;  /* to tell about the refused ones */
	struct synq_timer *again;
};

static void
withdraw_answer(struct withdrawal *withdrawal, int rc)
{
	withdraw_fn *fn = withdrawal->fn;

	withdrawal->fn = NULL;
	if (fn != NULL)
		fn(withdrawal->ctx, rc);
}

/* Keep ${withdrawal} for later; the oldest goes if there are too many. */
static void
withdraw_keep(struct withdrawal *withdrawal)
{
	struct withdrawals *owner = withdrawal->owner;
	struct withdrawal *oldest;

	if (owner->unsent.count >= WITHDRAWALS_KEPT) {
		oldest = SYNQ_CONTAINER(
		    synq_list_shift(&owner->unsent), struct withdrawal, link);
		synq_log(SYNQ_LOG_ERROR, "cancel.dropped",
		    SYNQ_F_UUID("job_id", &oldest->cancel.job_id), SYNQ_F_END);
		synq_mem_free(oldest);
	}
	synq_list_push(&owner->unsent, &withdrawal->link);
	if (!synq_timer_active(owner->again))
		synq_timer_start(owner->again, AGAIN_US);
}

/* One try, of ${withdrawal} on no list, came to ${rc}. */
static void
withdraw_end_try(struct withdrawal *withdrawal, int rc)
{
	withdraw_answer(withdrawal, rc);
	if (rc == 0 || withdrawal->cancel.reason == SYNQ_CANCEL_ASKED)
		synq_mem_free(withdrawal);
	else
		withdraw_keep(withdrawal);
}

static void
withdraw_on_ack(void *ctx, int rc, int64_t offset)
{
	struct withdrawal *withdrawal = ctx;

	(void)offset;
	log_answered(withdrawal->owner->intake, rc);
	synq_list_remove(&withdrawal->owner->sent, &withdrawal->link);
	withdraw_end_try(withdrawal, rc);
}

/* Hand ${withdrawal}, which is on no list, to the producer. */
static int
withdraw_produce(struct withdrawal *withdrawal)
{
	struct withdrawals *owner = withdrawal->owner;
	struct intake *intake = owner->intake;
	const struct synq_cancel *cancel = &withdrawal->cancel;
	const struct synq_config *config = synq_service_config(intake->service);
	struct synq_envelope envelope;
	struct synq_producer_record record;
	int rc;

	synq_buf_clear(&intake->scratch);
	synq_cancel_encode(cancel, &intake->scratch);
	synq_envelope_init(
	    &envelope, "synq.cancel", "/synq-intake", &cancel->job_id);
	record = (struct synq_producer_record){
		.topic = SYNQ_TOPIC_CANCELS,
		.partition = synq_job_partition(&cancel->organization_id,
		    &cancel->job_id, (int32_t)config->kafka_partitions, 1),
		.key = synq_uuid_slice(&cancel->organization_id),
		.value = synq_buf_view(&intake->scratch),
		.headers = envelope.headers,
		.header_count = envelope.count,
		.ack = withdraw_on_ack,
		.ctx = withdrawal,
	};
	rc = log_send(intake, &record);
	if (rc == 0)
		synq_list_push(&owner->sent, &withdrawal->link);
	return rc;
}

static void
withdraw_on_again(void *ctx)
{
	struct withdrawals *self = ctx;
	struct synq_link *link;

	while ((link = synq_list_shift(&self->unsent)) != NULL) {
		if (withdraw_produce(
			SYNQ_CONTAINER(link, struct withdrawal, link)) == 0)
			continue;
		synq_list_unshift(&self->unsent, link);
		synq_timer_start(self->again, AGAIN_US);
		return;
	}
}

/* The first try failed: say so from the loop, never from withdraw_send. */
static void
withdraw_on_soon(void *ctx)
{
	struct withdrawals *self = ctx;
	struct synq_link *link;

	while ((link = synq_list_shift(&self->refused)) != NULL)
		withdraw_end_try(SYNQ_CONTAINER(link, struct withdrawal, link),
		    -SYNQ_E_UNAVAILABLE);
}

void
withdraw_send(struct withdrawals *withdrawals, const struct synq_cancel *cancel,
    withdraw_fn *fn, void *ctx)
{
	struct withdrawal *withdrawal = synq_mem_new(sizeof(*withdrawal));

	withdrawal->owner = withdrawals;
	withdrawal->cancel = *cancel;
	withdrawal->fn = fn;
	withdrawal->ctx = ctx;
	/* Somebody waits for what was asked for, and can ask again. */
	if ((cancel->reason != SYNQ_CANCEL_ASKED ||
		log_takes(withdrawals->intake)) &&
	    withdraw_produce(withdrawal) == 0)
		return;
	synq_list_push(&withdrawals->refused, &withdrawal->link);
	synq_timer_start(withdrawals->soon, 0);
}

struct withdrawals *
withdrawals_new(struct intake *intake)
{
	struct withdrawals *self = synq_mem_new(sizeof(*self));

	self->intake = intake;
	synq_list_init(&self->refused);
	synq_list_init(&self->unsent);
	synq_list_init(&self->sent);
	self->soon = synq_timer_new(intake->loop, withdraw_on_soon, self);
	self->again = synq_timer_new(intake->loop, withdraw_on_again, self);
	return self;
}

size_t
withdrawals_count(const struct withdrawals *withdrawals)
{
	return withdrawals->refused.count + withdrawals->unsent.count +
	       withdrawals->sent.count;
}

void
withdrawals_free(struct withdrawals **withdrawals)
{
	struct withdrawals *self = *withdrawals;
	struct synq_link *link;

	if (self == NULL)
		return;
	while ((link = synq_list_shift(&self->refused)) != NULL ||
	       (link = synq_list_shift(&self->unsent)) != NULL ||
	       (link = synq_list_shift(&self->sent)) != NULL)
		synq_mem_free(SYNQ_CONTAINER(link, struct withdrawal, link));
	synq_timer_free(&self->soon);
	synq_timer_free(&self->again);
	synq_mem_free(self);
	*withdrawals = NULL;
}
