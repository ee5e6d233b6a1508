#ifndef SYNQ_KAFKA_INNER_H
#define SYNQ_KAFKA_INNER_H

/*
 * What the files of this folder share: building a handle, what librdkafka's
 * threads note about a connection, calls that block, and letting a handle go.
 */

#include <stdatomic.h>

#include <librdkafka/rdkafka.h>

#include "kafka/kafka.h"
#include "metric/metric.h"

struct synq_wake;

/*
 * What an interceptor, on librdkafka's threads, writes down; read by the loop.
 * It must outlive the handle, so it is left alone when a handle does not go.
 */
struct synq_kafka_pulse {
	atomic_llong answered_us;  /* a broker answered last; 0 = never */
	atomic_llong group_us;     /* the coordinator answered last */
	atomic_llong gate_shut_us; /* no commit before this time */
	/* JoinGroup went out at -join_us; or was answered then, and SyncGroup
	 * has not gone out since; 0 = neither. */
	atomic_llong join_us;
	atomic_llong sync_us;    /* SyncGroup went out last; 0 = never */
	atomic_llong fetch_us;   /* the last fetch went out; 0 = never */
	atomic_llong fetched_us; /* the last that was answered had */
};

/* A configuration in the making; the first failure sticks. */
struct synq_kafka_build {
	rd_kafka_conf_t *conf;
	int rc;
	struct synq_err *err; /* may be NULL */
};

/* Begin ${build} with what all clients share; ${pulse} may be NULL. */
void synq_kafka_build_start(struct synq_kafka_build *build,
    const struct synq_kafka_config *config, struct synq_kafka_pulse *pulse,
    struct synq_err *err);

/* Set the option ${name} of ${build} to ${value}. */
void synq_kafka_set(
    struct synq_kafka_build *build, const char *name, const char *value);

/* Set the option ${name} of ${build} to ${number}. */
void synq_kafka_set_number(
    struct synq_kafka_build *build, const char *name, uint64_t number);

/*
 * Make the handle of ${type} from ${build}, whose memory is gone afterwards.
 * Errors: CONFIG, SYSTEM.
 */
SYNQ_MUST_CHECK int synq_kafka_build_end(
    struct synq_kafka_build *build, rd_kafka_type_t type, rd_kafka_t **ret);

/* Copy ${from} and the texts it names into ${ret}. */
void synq_kafka_config_copy(
    struct synq_kafka_config *ret, const struct synq_kafka_config *from);

/* Free the texts of ${config}, made by synq_kafka_config_copy. */
void synq_kafka_config_done(struct synq_kafka_config *config);

/*
 * ${data} as librdkafka and free take it: without const, though the first does
 * not write to it.
 */
void *synq_kafka_unconst(const void *data);

/* Let ${queue} wake ${wake} when it is no longer empty, and once now. */
void synq_kafka_listen(rd_kafka_queue_t *queue, struct synq_wake *wake);

/* Stop *${queue} from waking anything, then drop it; sets it to NULL. */
void synq_kafka_deafen(rd_kafka_queue_t **queue);

/*
 * Destroy *${rk} in a thread and wait for at most ${limit_ms}; sets it to NULL.
 * ${pulse}, which may be NULL, is freed when it is gone.  Returns 1 if it is, 0
 * if it is left to itself, at most until the process's end.
 */
int synq_kafka_destroy(
    rd_kafka_t **rk, struct synq_kafka_pulse *pulse, uint32_t limit_ms);

/*
 * The series ${id} of the metrics in ${config} with the ${labels} of its row;
 * NULL if there are no metrics.
 */
struct synq_series *synq_kafka_series(const struct synq_kafka_config *config,
    enum synq_metric_id id, const char *const *labels);

/* Add one to ${series}, which may be NULL. */
void synq_kafka_count(struct synq_series *series);

/* Fill ${ret} with what the consumed ${from} says. */
void synq_kafka_read_message(
    const rd_kafka_message_t *from, struct synq_kafka_message *ret);

/*
 * A call that blocks, on a thread of its own.  The owner looks whether it has
 * ended when its wake-up comes.
 */
struct synq_kafka_task;

/* Run ${run} with ${ctx} on a thread, then send ${wake} (may be NULL). */
struct synq_kafka_task *synq_kafka_task_start(
    const struct synq_wake *wake, void (*run)(void *ctx), void *ctx);

/*
 * Wait at most ${limit_ms} for *${task}.  1: it has ended, *${task} is freed
 * and NULL; 0: it still runs.
 */
int synq_kafka_task_end(struct synq_kafka_task **task, uint32_t limit_ms);

/* Let *${task} run to its end alone; ${ctx} stays its own.  Sets it to NULL. */
void synq_kafka_task_leave(struct synq_kafka_task **task);

#endif
