#ifndef CTL_UP_SETUP_H
#define CTL_UP_SETUP_H

/*
 * What is made in the servers once they answer: roles and tables, topics, and
 * at the first start an organization with a key.  Blocking.
 */

#include "base/attr.h"
#include "base/err.h"
#include "kafka/admin.h"

struct site;
struct synq_config;

/* How many topics there are. */
#define SETUP_TOPICS 7

/*
 * Make all of it for ${site}; what is there stays.  Errors: CONFLICT if what
 * is there contradicts the configuration, UNAVAILABLE, CONFIG, SYSTEM.
 */
SYNQ_MUST_CHECK int setup_apply(const struct site *site, struct synq_err *err);

/* The topics that ${config} asks for, into ${ret}. */
void setup_topics(
    const struct synq_config *config, struct synq_topic_spec ret[SETUP_TOPICS]);

#endif
