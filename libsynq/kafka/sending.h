#ifndef SYNQ_KAFKA_SENDING_H
#define SYNQ_KAFKA_SENDING_H

/*
 * The producer from inside, shared by producer.c (records and their answers)
 * and sending.c (the handle and its rebuilding).
 */

#include "base/list.h"
#include "kafka/inner.h"
#include "kafka/producer.h"
#include "loop/loop.h"

/* Where a record is. */
enum record_state {
	RECORD_WAITING, /* with us: to be given to the handle */
	RECORD_SENT,    /* with the handle, which refers to our bytes */
	RECORD_DONE     /* acknowledged behind one that is not (lane only) */
};

/* The life of the handle. */
enum sending_state {
	SENDING_CONNECT, /* a task asks for the metadata of all topics */
	SENDING_OPEN,    /* records go out */
	SENDING_PURGE,   /* a fatal error: waiting for the last reports */
	SENDING_DESTROY  /* a task destroys the handle */
};

struct flight;

/* One partition: its unanswered records in the order of sending. */
struct synq_lane {
	struct synq_list records; /* struct synq_record */
	struct synq_list fresh;   /* of them, those never given to a handle */
	struct synq_link ready;   /* on the producer's: fresh, and none out */
	size_t out;               /* with the handle */
	uint64_t landed_us;       /* the handle's last acknowledged one; 0 */
	int64_t acked;
};

struct synq_producer_topic {
	char *name;
	rd_kafka_topic_t *rkt; /* NULL without a handle */
	struct synq_lane **lanes;
	int32_t partitions;           /* 0 = not known yet */
	struct synq_series *produced; /* NULL without metrics */
	struct synq_series *failed;
};

struct synq_record {
	struct synq_link all;   /* on order or orphans */
	struct synq_link lane;  /* on its lane */
	struct synq_link fresh; /* on its lane's, until it is given */
	struct synq_producer_topic *topic;
	int32_t partition;
	enum record_state state;
	int answered; /* ack was called; only the handle still needs us */
	int maybe;    /* an earlier try may be in the log */
	int64_t time_us;
	int64_t offset;
	uint64_t sent_us;
	synq_producer_ack_fn *ack;
	void *ctx;
	struct synq_slice key;
	struct synq_slice value;
	size_t bytes; /* of this allocation */
	size_t header_count;
	struct synq_kafka_header headers[]; /* then all the bytes */
};

struct synq_producer {
	struct synq_loop *loop;
	struct synq_kafka_config config;
	struct synq_kafka_pulse *pulse;
	struct synq_producer_topic *topics;
	size_t topic_count;
	enum sending_state state;
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue; /* of events */
	struct synq_wake *wake;
	struct synq_timer *tick;
	struct synq_timer *hold; /* gives what waited too long */
	struct flight *due;      /* at the end of this turn, or NULL */
	struct synq_list ready;  /* struct synq_lane that may go */
	size_t lanes_out;        /* of which the handle has records */
	size_t brokers;          /* at least 1 */
	struct synq_kafka_task *task;
	int task_rc;              /* of the metadata task, read at its end */
	int32_t *task_partitions; /* what it found, one per topic */
	size_t task_brokers;
	struct synq_list order;   /* unanswered records, oldest first */
	struct synq_list orphans; /* answered, still with the handle */
	size_t records;           /* that hold memory */
	size_t bytes;
	size_t unanswered;
	int closing; /* 1 = it is being freed and takes nothing more */
	int refused; /* 1 = a send was BUSY since there was room */
	void (*on_room)(void *ctx);
	void *on_room_ctx;
	int connected;     /* metadata has come once */
	uint64_t down_us;  /* when errors began; 0 = none */
	uint64_t state_us; /* when this state began */
	uint64_t again_us; /* when WAITING records are tried; 0 = none wait */
	struct synq_series *rebuilds; /* NULL without metrics */
};

/* Make the first handle of ${p}.  Errors: CONFIG, SYSTEM. */
SYNQ_MUST_CHECK int sending_start(
    struct synq_producer *p, struct synq_err *err);

/* Take whatever happened to the handle of ${p} and move on. */
void sending_serve(struct synq_producer *p);

/* Purge and rebuild the handle of ${p}; nothing if that is under way. */
void sending_break(struct synq_producer *p);

/* Give ${r} to the handle of ${p}.  Errors: those of synq_producer_send. */
SYNQ_MUST_CHECK int sending_give(
    struct synq_producer *p, struct synq_record *r);

/*
 * Give ${r} to the handle of ${p}; if that is not possible now it is tried
 * again, and answered if it never is.
 */
void sending_give_or_settle(struct synq_producer *p, struct synq_record *r);

/*
 * Let what may go of ${p} go: at the end of this turn, or when it was held too
 * long.  While some are tried again (again_us) nothing is planned: who ends
 * that calls this.
 */
void flow_plan(struct synq_producer *p);

/* ${r} is new: let it go with the next flight of ${p}. */
void flow_add(struct synq_producer *p, struct synq_record *r);

/* ${r} is not fresh any more. */
void flow_remove(struct synq_producer *p, struct synq_record *r);

/* 1 if the handle of ${p} may have ${r} now, 0 if one before it must land. */
int flow_may_go(const struct synq_producer *p, const struct synq_record *r);

/* ${r} was acknowledged to ${p}. */
void flow_landed(const struct synq_producer *p, const struct synq_record *r);

/* The handle of ${p} has ${r} now. */
void flow_out(struct synq_producer *p, struct synq_record *r);

/* The handle of ${p} has ${r} no more: a flight may have landed. */
void flow_back(struct synq_producer *p, struct synq_record *r);

/* No handle of ${p} has anything any more. */
void flow_reset(struct synq_producer *p);

/* Give what may go of ${ctx}, a producer, though flights are out. */
void flow_give_held(void *ctx);

/* Nothing of ${p} goes any more. */
void flow_end(struct synq_producer *p);

/* Let the handle of ${p} go in about a second; 1 if all of it is gone. */
int sending_end(struct synq_producer *p);

/* Answer ${r} with ${rc} and ${offset}, and free it unless it is needed. */
void record_settle(
    struct synq_producer *p, struct synq_record *r, int rc, int64_t offset);

/* Free ${r} of ${p}, to which no handle refers. */
void record_free(struct synq_producer *p, struct synq_record *r);

/* Take the delivery report ${message} for one of the records of ${p}. */
void record_report(struct synq_producer *p, const rd_kafka_message_t *message);

#endif
