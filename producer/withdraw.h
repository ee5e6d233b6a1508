#ifndef SYNQ_INTAKE_WITHDRAW_H
#define SYNQ_INTAKE_WITHDRAW_H

/*
 * Cancels onto synq.cancels, kept and sent again until they are acknowledged:
 * a client was told 503 and must not pay for what it believes lost.
 *
 * Limits: 10,000 wait at once; above that the oldest is dropped and logged.
 */

#include <stddef.h>

#include "base/uuid.h"
#include "proto/signal.h"

struct intake;
struct withdrawals;

/* An empty set; the caller frees it. */
struct withdrawals *withdrawals_new(struct intake *intake);

/* Free *${withdrawals}, sent or not; sets it to NULL. */
void withdrawals_free(struct withdrawals **withdrawals);

/* How many are not acknowledged. */
size_t withdrawals_count(const struct withdrawals *withdrawals);

/* ${rc} 0: the cancel is on the log. */
typedef void withdraw_fn(void *ctx, int rc);

/*
 * Put ${cancel} on the log.  ${fn} (may be NULL) runs once: with 0, or with
 * the error of the first try, which goes on all the same if ${cancel} is
 * UNSURE or GONE, and is given up if it is ASKED, because the client is told.
 */
void withdraw_send(struct withdrawals *withdrawals,
    const struct synq_cancel *cancel, withdraw_fn *fn, void *ctx);

#endif
