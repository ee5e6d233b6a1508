#ifndef SYNQ_DISPATCHER_CORE_H
#define SYNQ_DISPATCHER_CORE_H

/*
 * The dispatcher's core: which request runs next, what is on the log about it,
 * what may be committed.  It knows neither Kafka nor HTTP nor a clock: events
 * come in through the functions below, actions go out through struct core_io.
 * The same code therefore runs in tests under virtual time.
 *
 * The life of one request here (work.h has the states):
 *
 *	core_request → queued → core_pump → attempt.started sent →
 *	core_started → call out → core_answered → result sent →
 *	core_ended → its source offset is done
 *
 * What keeps the promises:
 * - a call goes out only after its attempt.started is acknowledged;
 * - an offset is done only after its result is acknowledged;
 * - on assignment the map, then results from results_offset to the end, tell
 *   what is done, how often it failed, and which attempts may still be out;
 * - an attempt of a live member is held, never repeated, until it ends.
 *
 * Limits: calls in flight in all, per organization and per provider; bytes and
 * offsets per partition (then reading stops).
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "ended.h"
#include "limit/fair.h"
#include "proto/attempt.h"
#include "proto/request.h"
#include "proto/signal.h"
#include "retry/backoff.h"

struct core;
struct partition;
struct work;
struct synq_arena;
struct synq_catalog;
struct synq_track;

/* Who made an attempt: an instance in one of its lives. */
struct maker {
	char instance[64];
	struct synq_uuid boot_id;
};

/* The actions.  None of them calls back into the core before it returns. */
struct core_io {
	/*
	 * Put ${outcome} of ${work} on the results partition of its source; the
	 * answer comes as core_started, core_failed or core_ended by its kind.
	 * BUSY or UNAVAILABLE: not taken, core_room tells when to try again.
	 * TOO_LARGE: never taken, the outcome is made small and given once
	 * more.
	 */
	int (*send)(
	    void *ctx, struct work *work, const struct synq_outcome *outcome);
	/* Call the provider of ${work}; the answer comes as core_answered. */
	void (*call)(void *ctx, struct work *work);
	/* Abandon the call of ${work}: core_answered will not come. */
	void (*abort)(void *ctx, struct work *work);
	/* Tell whoever waits that ${work} ended with ${outcome}. */
	void (*reply)(
	    void *ctx, struct work *work, const struct synq_outcome *outcome);
	/* Commit ${offset} with ${metadata} for ${partition}. */
	void (*commit)(void *ctx, struct partition *partition, int64_t offset,
	    struct synq_slice metadata);
	/* Read on: ${partition} has room again. */
	void (*resume)(void *ctx, struct partition *partition);
	/*
	 * Every result of this process in results partition ${partition} up to
	 * the returned offset is acknowledged; -1 = none yet.
	 */
	int64_t (*acked)(void *ctx, int32_t partition);
	/* Wall-clock time, microseconds. */
	int64_t (*now)(void *ctx);
	/*
	 * The record ${value} of ${partition} at ${offset} does not decode:
	 * put it aside for the operator.  It stays in its topic as well, so
	 * nobody waits for the acknowledgement.
	 */
	void (*dead)(void *ctx, const struct partition *partition,
	    int64_t offset, struct synq_slice value);
	/* Read providers and models again: core_set_catalog follows. */
	void (*reload)(void *ctx);
};

struct core_config {
	struct core_io io;
	void *io_ctx;
	const char *instance; /* our name in the group; borrowed */
	struct synq_uuid boot_id;
	uint32_t max_in_flight;
	uint32_t organization_in_flight;
	uint32_t provider_in_flight;
	uint64_t call_limit_us;
	/* An intake writes a record again after so long at most. */
	uint64_t rewrite_limit_us;
	struct synq_backoff backoff;
	size_t max_bytes; /* of requests held, all partitions together */
	uint64_t seed;    /* of the jitter */
};

/* What the core has counted since its start. */
struct core_counts {
	uint64_t started;   /* attempts acknowledged */
	uint64_t succeeded; /* jobs */
	uint64_t failed;
	uint64_t cancelled;
	uint64_t expired;
	uint64_t retried;
	uint64_t held;     /* attempts of live members that were waited for */
	uint64_t repeated; /* attempts of dead members that were begun again */
	uint64_t skipped_done;      /* records known to be done */
	uint64_t skipped_duplicate; /* records of a job that is already here */
	uint64_t skipped_corrupt;   /* records that do not decode */
};

struct core {
	struct core_config config;
	struct synq_list partitions;
	struct synq_list orphans; /* works whose partition is gone */
	struct synq_map *jobs;    /* job id => struct work, all but orphans */
	struct ended ended;       /* jobs that this process ended */
	struct synq_fair *fair;
	struct synq_heap timers; /* works by when they want attention */
	struct synq_list unsent; /* works whose outcome was not taken */
	struct synq_map *gates;  /* provider name => struct provider_gate */
	struct synq_map *lives;  /* instance => struct life, its latest */
	struct synq_catalog *catalog; /* owned; NULL until the first load */
	int64_t catalog_at;           /* when it was taken over, wall us */
	struct synq_rand rand;
	struct core_counts counts;
	size_t bytes;   /* of all works */
	size_t unacked; /* records sent and not acknowledged */
	size_t calling; /* calls out */
	size_t parked;  /* works before the gate of their provider */
	size_t waiting; /* works whose next attempt is not due */
	int draining;
};

/* A core as ${config} says; the caller frees it. */
struct core *core_new(const struct core_config *config);

/* Free *${core} and everything in it; sets it to NULL. */
void core_free(struct core **core);

/* Take ${catalog} over as the providers and models in force. */
void core_set_catalog(struct core *core, struct synq_catalog *catalog);

/* Begin to drain: no new attempt is started. */
void core_drain(struct core *core);

/* 1 if nothing of this process is under way: no attempt, no result. */
int core_idle(const struct core *core);

/* Start what may start now. */
void core_pump(struct core *core);

/* The log takes records again. */
void core_room(struct core *core);

/*
 * Do what is due by now: retries, deadlines, holds.  Returns when to come
 * again, wall us; 0 = nothing is planned.
 */
int64_t core_tick(struct core *core);

/*
 * A record of ${partition} at ${offset}.  Returns 1 if no further one may be
 * read for now (core_io.resume tells when), else 0.
 */
int core_request(
    struct partition *partition, int64_t offset, struct synq_slice value);

/*
 * Take the record of ${partition} that the tracker could not take before: 1 if
 * there is none any more, else 0.
 */
int core_late(struct partition *partition);

/*
 * The process stood still, or heard nothing of the group, for so long that it
 * may have been expelled: what was revoked from it may be with others again.
 */
void core_slept(struct core *core);

/*
 * The wall clock was set by ${step_us}, not by the passing of time: what waits
 * goes on to do so for as long as it would have.  Deadlines of jobs stay.
 */
void core_stepped(struct core *core, int64_t step_us);

/*
 * ${cancel} was read for ${partition}.  Returns 1 if an older one, whose
 * request is not read yet, had to be forgotten for it, else 0.
 */
int core_cancel(struct partition *partition, const struct synq_cancel *cancel);

/* attempt.started of ${work} lies at ${offset} of results, or ${rc}. */
void core_started(struct work *work, int rc, int64_t offset);

/* attempt.failed of ${work} lies at ${offset} of results, or ${rc}. */
void core_failed(struct work *work, int rc, int64_t offset);

/* The final result of ${work} lies at ${offset} of results, or ${rc}. */
void core_ended(struct work *work, int rc, int64_t offset);

/* What a call came to. */
struct core_answer {
	int succeeded;
	int overload; /* the provider is too busy: its gate narrows */
	enum synq_retry_class class;
	int32_t http_status;   /* of the provider; 0 = no answer */
	int32_t answer_status; /* for the client */
	struct synq_slice body;
	struct synq_slice error_code;
	struct synq_slice error;
	struct synq_usage usage;
	int64_t retry_after_us; /* -1 = the provider did not ask */
	uint64_t took_us;
};

/* The call of ${work} came to ${answer}, whose bytes lie in its call_arena. */
void core_answered(struct work *work, const struct core_answer *answer);

/*
 * The instance ${maker} names lives with that boot id now: whatever an earlier
 * life of it had out is over.
 */
void core_life(struct core *core, const struct maker *maker);

/*
 * The members now of the group that shares ${topic}: the instance names
 * ${names}.  What instances that are not among them had out of it is over.
 */
void core_members(struct core *core, enum synq_source_topic topic,
    const char *const *names, size_t count);

#endif
