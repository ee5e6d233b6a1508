/*
 * The reference for whatever produces: librdkafka and nothing else.  So many
 * records in flight as asked for, 2 KB values with different words, idempotent,
 * acks=all, lz4, as Synq's own producers are set up.
 *
 *   producer BROKERS TOPIC WINDOW SECONDS LINGER_MS
 *
 * After a second of warming up it measures, and prints one line of JSON.  The
 * topic is made if it is not there.  Exit codes: 2 wrong arguments, 1 Kafka
 * does not answer.
 */

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kafka/admin.h"
#include "tests/lib/load.h"
#include "tests/lib/texts.h"

#define BODIES 4096
#define BYTES 2048
#define PARTITIONS 16
#define WARMUP_NS 1000000000ULL

struct bare {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	char *bodies;
	uint64_t from_ns; /* of the window */
	uint64_t produced;
	uint64_t failed;
	unsigned window;
	unsigned out;
	uint64_t *sent_ns; /* by record, modulo the window's double */
	struct histogram seen;
};

static void
on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *ctx)
{
	struct bare *bare = ctx;
	const uint64_t *sent_ns = message->_private;
	uint64_t now_ns = load_now_ns();

	(void)rk;
	bare->out--;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		bare->failed++;
	else if (now_ns >= bare->from_ns)
		histogram_add(&bare->seen, now_ns - *sent_ns);
}

static int
set_up(struct bare *bare, char **argv)
{
	const char *const settings[][2] = { { "bootstrap.servers", argv[1] },
		{ "linger.ms", argv[5] }, { "enable.idempotence", "true" },
		{ "compression.codec", "lz4" } };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why,
			sizeof(why)) != RD_KAFKA_CONF_OK) {
			fprintf(stderr, "producer: %s\n", why);
			return 2;
		}
	rd_kafka_conf_set_opaque(conf, bare);
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	bare->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (bare->rk == NULL) {
		fprintf(stderr, "producer: %s\n", why);
		return 1;
	}
	bare->topic = rd_kafka_topic_new(bare->rk, argv[2], NULL);
	return 0;
}

static void
produce(struct bare *bare)
{
	uint64_t *sent_ns =
	    &bare->sent_ns[bare->produced % (bare->window * 2ULL)];
	size_t body = bare->produced % BODIES;

	*sent_ns = load_now_ns();
	if (rd_kafka_produce(bare->topic,
		(int32_t)(bare->produced % PARTITIONS), 0,
		bare->bodies + body * BYTES, BYTES, NULL, 0, sent_ns) == 0)
		bare->out++;
	else
		bare->failed++;
	bare->produced++;
}

static double
own_cpu_s(void)
{
	struct timespec at;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void
run(struct bare *bare, double seconds)
{
	uint64_t from_ns = load_now_ns() + WARMUP_NS;
	uint64_t until_ns = from_ns + (uint64_t)(seconds * 1e9);
	uint64_t now_ns;
	double cpu_s = -1;
	double window_s;

	bare->from_ns = from_ns;
	while ((now_ns = load_now_ns()) < until_ns) {
		if (cpu_s < 0 && now_ns >= from_ns)
			cpu_s = own_cpu_s();
		while (bare->out < bare->window)
			produce(bare);
		rd_kafka_poll(bare->rk, 10);
	}
	cpu_s = own_cpu_s() - cpu_s;
	window_s = (double)(load_now_ns() - from_ns) / 1e9;
	printf("{\"per_s\":%.1f,\"cpu_s\":%.4f,\"window_s\":%.4f,"
	       "\"measured\":%llu,\"failed\":%llu,\"p50_ms\":%.3f,"
	       "\"p99_ms\":%.3f}\n",
	    (double)bare->seen.count / window_s, cpu_s, window_s,
	    (unsigned long long)bare->seen.count,
	    (unsigned long long)bare->failed,
	    (double)histogram_at(&bare->seen, 0.5) / 1e6,
	    (double)histogram_at(&bare->seen, 0.99) / 1e6);
}

static int
make_topic(const char *brokers, const char *name)
{
	const struct synq_topic_spec spec = {
		.name = name, .partitions = PARTITIONS, .replicas = 1
	};
	struct synq_err err;
	int i;

	/* A busy broker may need longer than one call waits. */
	for (i = 0; i < 3; i++)
		if (synq_kafka_create_topics(brokers, &spec, 1, &err) == 0)
			return 0;
	fprintf(stderr, "producer: the topic %s: %s\n", name, err.text);
	return 1;
}

int
main(int argc, char **argv)
{
	static const struct texts_order order = {
		.count = BODIES, .bytes = BYTES, .model = "bench", .seed = 7
	};
	static struct bare bare;
	int rc;

	if (argc == 6)
		bare.window = (unsigned)strtoul(argv[3], NULL, 10);
	if (bare.window == 0) {
		fprintf(stderr, "usage: producer BROKERS TOPIC WINDOW SECONDS "
				"LINGER_MS\n");
		return 2;
	}
	bare.sent_ns = calloc(bare.window * 2ULL, sizeof(uint64_t));
	bare.bodies = texts_new(&order);
	if (bare.sent_ns == NULL || bare.bodies == NULL)
		return 1;
	rc = make_topic(argv[1], argv[2]);
	if (rc == 0)
		rc = set_up(&bare, argv);
	if (rc != 0)
		return rc;
	run(&bare, strtod(argv[4], NULL));
	rd_kafka_flush(bare.rk, 10000);
	rd_kafka_topic_destroy(bare.topic);
	rd_kafka_destroy(bare.rk);
	free(bare.sent_ns);
	free(bare.bodies);
	return 0;
}
