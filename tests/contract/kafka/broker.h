#ifndef SYNQ_TEST_BROKER_H
#define SYNQ_TEST_BROKER_H

/*
 * What the tests on a real broker share.  They need SYNQ_TEST_KAFKA, a
 * bootstrap list; SYNQ_TEST_KAFKA_RESTART is a command that kills the broker
 * and starts it again, without waiting for it.
 */

#include <stdint.h>

#include "kafka/kafka.h"

struct synq_loop;

/* The exit code of a program that could not test anything. */
#define TEST_SKIPPED 77

/* The brokers, or NULL after saying that the test is skipped. */
const char *broker_list(void);

/* A new loop; ends the test if that fails. */
struct synq_loop *broker_loop(void);

/* Make a topic with ${partitions}, its name unique and begun with ${stem}. */
void broker_topic(const char *stem, int32_t partitions, char ret[64]);

/* The settings of a client in these tests. */
struct synq_kafka_config broker_config(void);

/* Turn ${loop} until ${done} returns 1 or ${limit_ms} passed; 1 if it did. */
int broker_turn(struct synq_loop *loop, int (*done)(void *ctx), void *ctx,
    uint32_t limit_ms);

/* Turn ${loop} for ${time_ms}. */
void broker_idle(struct synq_loop *loop, uint32_t time_ms);

/* Run the restart command; 0 if there is none. */
int broker_restart(void);

#endif
