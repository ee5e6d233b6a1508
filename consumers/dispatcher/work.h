#ifndef SYNQ_DISPATCHER_WORK_H
#define SYNQ_DISPATCHER_WORK_H

/*
 * One request in the dispatcher's hands.
 */

#include "core.h"

/*
 * Where a work is, and on which list.  work_move makes every move.
 */
enum work_state {
	WORK_QUEUED,   /* in the fair queue */
	WORK_PARKED,   /* its provider's gate is closed; on the gate's list */
	WORK_STARTING, /* attempt.started sent, not acknowledged */
	WORK_CALLING,  /* its call is out */
	WORK_WAITING,  /* an attempt failed; waits for its time */
	WORK_HELD,     /* another live member's attempt may be out */
	WORK_ENDING, /* its result is sent, or waits to be, not acknowledged */
	WORK_STATES
};

struct work {
	struct synq_fair_item fair;
	struct synq_link place; /* on its partition's list or core->orphans */
	struct synq_link side;  /* on core->unsent or a gate's list */
	struct synq_heap_node timer;
	struct core *core;
	struct partition *partition; /* NULL = an orphan: revoked meanwhile */
	struct synq_arena *arena;
	struct synq_arena *call_arena; /* of the attempt: call and answer */
	struct synq_request request;   /* lies in the arena */
	struct synq_source source;
	size_t bytes;
	enum work_state state;
	int taken;     /* counted as in flight in the fair queue */
	int lost;      /* its partition was lost: we may be a zombie */
	int doubted;   /* an attempt of a life that is over may yet end it */
	int cancelled; /* a cancel came while it could not be stopped */
	int dead;      /* freed as soon as nothing of it is unacknowledged */
	uint32_t unacked;

	uint32_t attempt;      /* attempts on the log, whoever made them */
	uint32_t failures;     /* those that ended in attempt.failed */
	int64_t first_outcome; /* results offset of its first record; -1 */

	/* our attempt under way */
	struct synq_uuid attempt_id;
	int64_t started_at;
	int64_t call_deadline_at;
	struct opens *opens; /* HELD: the attempts of others; in the arena */
	struct provider_gate *gate; /* from begin to answer; else NULL */
	const char *provider;       /* names in the arena */
	const char *provider_model;

	struct synq_outcome outcome; /* ENDING: what is sent */
	void *io;                    /* the I/O side's own */
};

/* The work whose fair queue item ${item} is. */
struct work *work_of_fair(struct synq_fair_item *item);

/*
 * A new work of ${partition} for the record ${value} at ${offset}; NULL if it
 * does not decode.
 */
struct work *work_new(
    struct partition *partition, int64_t offset, struct synq_slice value);

/*
 * Take ${work} off every list and free it, as soon as nothing that it sent is
 * unacknowledged.
 */
void work_free(struct work *work);

/* Free the orphan ${work} at once: no acknowledgement comes any more. */
void work_destroy(struct work *work);

/* One record of ${work} was acknowledged or failed; 1 if it is freed now. */
int work_acked(struct work *work);

/*
 * Take ${work} from wherever it is; a call or a start under way is counted as
 * over, ${answer} (may be NULL) telling the gate how it went.
 */
void work_leave(struct work *work, const struct core_answer *answer);

/* It is ${state} now, on no list yet; the tracker is told. */
void work_move(struct work *work, enum work_state state);

/* Let ${work} wait for its turn, in front of its organization's others. */
void work_requeue(struct work *work);

/* Let ${work} wait for its turn, behind its organization's others. */
void work_queue(struct work *work);

/* Let ${work} wait until ${not_before_at}. */
void work_wait(struct work *work, int64_t not_before_at);

/* The clock was set by ${step_us}; ${work} was taken out of the timers. */
void work_stepped(struct work *work, int64_t step_us);

/* Let ${work} wait for the attempts in ${work}->opens. */
void work_hold(struct work *work);

/*
 * Nobody who lives has an attempt of the held ${work} out: begin it again, or
 * let it end if it was cancelled meanwhile.
 */
void work_unhold(struct work *work);

/*
 * Begin an attempt of ${work}, just popped from the fair queue.  Returns 0 if
 * the log takes no more records now; ${work} is queued again then.
 */
int work_begin(struct work *work);

/* End ${work} with ${state} and what ${answer} (may be NULL) says. */
void work_end(struct work *work, enum synq_job_state state,
    const struct core_answer *answer);

/* End ${work} as failed before any call, with ${status} and ${code}. */
void work_refuse(
    struct work *work, int32_t status, const char *code, const char *text);

/* A cancel for ${reason} reached ${work}. */
void work_cancel(struct work *work, enum synq_cancel_reason reason);

/* What is due for ${work} by its timer. */
void work_due(struct work *work);

/* Send the outcome that ${work} could not; 0 if it is still not taken. */
int work_resend(struct work *work);

/* Its partition is revoked (${lost}: without our say). */
void work_revoke(struct work *work, int lost);

#endif
