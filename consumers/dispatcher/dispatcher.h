#ifndef SYNQ_DISPATCHER_DISPATCHER_H
#define SYNQ_DISPATCHER_DISPATCHER_H

/*
 * The program around the core: Kafka in (assign.c), Kafka out (results.c),
 * providers (call.c), providers and models (catalog.c), who lives (announce.c),
 * what it shows (figures.c), time and the program's life (dispatcher.c).
 */

#include "base/slice.h"
#include "core.h"

struct figures;
struct partition;
struct synq_consumer;
struct synq_http;
struct synq_loop;
struct synq_pg;
struct synq_producer;
struct synq_reader;
struct synq_reader_stream;
struct synq_redis;
struct synq_secret;
struct synq_service;
struct synq_timer;
struct work;

/*
 * A source topic.  Each has a group of its own: the assignor shares out the sum
 * of a group's partitions, and a member that joins could get all of one topic
 * and none of another, which may be the busy one.
 */
struct source {
	struct dispatcher *dispatcher;
	enum synq_source_topic topic;
	struct synq_consumer *consumer; /* NULL until the catalog is there */
	int members_asked;
};

#define DISPATCHER_SOURCES 2

struct dispatcher {
	struct synq_service *service; /* borrowed */
	struct synq_loop *loop;       /* borrowed */
	struct core *core;
	struct figures *figures;
	struct source sources[DISPATCHER_SOURCES];
	struct synq_producer *producer;
	struct synq_reader *reader;
	struct synq_reader_stream *control;
	struct synq_redis *redis;
	struct synq_pg *pg;
	struct synq_http *http;
	struct synq_secret *kek;
	struct synq_timer *tick;    /* while anything waits in the core */
	struct synq_timer *commit;  /* repeating */
	struct synq_timer *refresh; /* of the catalog; repeating */
	struct synq_timer *members; /* while attempts are held; repeating */
	struct synq_buf scratch;    /* one encoded record */
	int64_t clock_us;           /* wall clock ahead of the monotonic */
	int catalog_loading;
	int catalog_again; /* it changed while it was loaded */
	int announced;     /* this life is on synq.control, or on its way */
	int joined;        /* the groups of the sources */
	int draining;
};

/* Where dispatcher_start and its reverse stand: see struct synq_program. */
int dispatcher_start(
    struct synq_service *service, void **ret_ctx, struct synq_err *err);
/* Begin no attempt any more; drained when nothing is under way. */
void dispatcher_drain(void *ctx);
/* Free everything. */
void dispatcher_stop(void *ctx);
/* Take live options over. */
void dispatcher_reload(void *ctx);
/* Say what works and what does not. */
void dispatcher_health(void *ctx, struct synq_service *service);
/* Bring the metrics up to date that are not kept as things happen. */
void dispatcher_measure(void *ctx);

/* Something may wait in the core now: let time pass for it. */
void dispatcher_wake(struct dispatcher *dispatcher);

/* The consumer that ${partition} was assigned to. */
struct synq_consumer *dispatcher_consumer(
    const struct dispatcher *dispatcher, const struct partition *partition);

/* Join the groups and start to read, once providers and models are known. */
int dispatcher_join(struct dispatcher *dispatcher, struct synq_err *err);

#endif
