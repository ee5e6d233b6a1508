#include "ctl/up/setup.h"

#include "conf/conf.h"
#include "ctl/bootstrap.h"
#include "ctl/migrate.h"
#include "ctl/up/place.h"
#include "ctl/up/site.h"
#include "proto/topics.h"

/*
 * The order matters: the partitions of the topics are checked against those in
 * the database before topics are made, so that a changed configuration is
 * refused before it has done anything.
 */

#define DAYS_7_MS "604800000"
#define DAYS_30_MS "2592000000"
/* A record holds a body of at most 1 MB and its envelope. */
#define MESSAGE_BYTES "2097152"
#define DEAD_PARTITIONS 16

static const char *const week[] = { "retention.ms", DAYS_7_MS,
	"max.message.bytes", MESSAGE_BYTES, NULL };
static const char *const month[] = { "retention.ms", DAYS_30_MS,
	"max.message.bytes", MESSAGE_BYTES, NULL };
static const char *const compacted[] = { "cleanup.policy", "compact",
	"max.message.bytes", MESSAGE_BYTES, NULL };

void
setup_topics(
    const struct synq_config *config, struct synq_topic_spec ret[SETUP_TOPICS])
{
	static const char *const numbered[] = { SYNQ_TOPIC_INTERACTIVE,
		SYNQ_TOPIC_BATCH, SYNQ_TOPIC_RESULTS, SYNQ_TOPIC_CANCELS };
	int16_t replicas = (int16_t)config->kafka_replicas;
	size_t i;

	for (i = 0; i < SYNQ_COUNT(numbered); i++)
		ret[i] = (struct synq_topic_spec){ .name = numbered[i],
			.partitions = (int32_t)config->kafka_partitions,
			.replicas = replicas,
			.settings = week };
	ret[i++] = (struct synq_topic_spec){ .name = SYNQ_TOPIC_EVENTS,
		.partitions =
		    synq_event_partitions((int32_t)config->kafka_partitions),
		.replicas = replicas,
		.settings = week };
	ret[i++] = (struct synq_topic_spec){ .name = SYNQ_TOPIC_CONTROL,
		.partitions = 1,
		.replicas = replicas,
		.settings = compacted };
	ret[i] = (struct synq_topic_spec){ .name = SYNQ_TOPIC_DEAD,
		.partitions = DEAD_PARTITIONS,
		.replicas = replicas,
		.settings = month };
}

int
setup_apply(const struct site *site, struct synq_err *err)
{
	const struct synq_config *config = site->config;
	const char *dir = site->place->dir;
	struct synq_topic_spec topics[SETUP_TOPICS];
	int rc;

	rc = migrate_apply(dir, config, err);
	if (rc != 0)
		return synq_wrap(err, rc, "the database");
	setup_topics(config, topics);
	rc = synq_kafka_create_topics(
	    config->kafka_brokers, topics, SETUP_TOPICS, err);
	if (rc != 0)
		return synq_wrap(err, rc, "Kafka's topics");
	rc = bootstrap_first(dir, config, err);
	if (rc != 0)
		return synq_wrap(err, rc, "the first organization");
	return 0;
}
