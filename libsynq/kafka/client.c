/*
 * Making a handle: start a build with the settings that all clients share, add
 * one's own, end it.  The interceptors note which requests are under way; they
 * run on librdkafka's threads and touch atomics only.
 *
 * The gate: a commit that lies behind a JoinGroup on the coordinator's
 * connection is read after the generation changed, and librdkafka 2.0.2 then
 * drops the whole assignment.  So the gate shuts when JoinGroup or SyncGroup
 * is sent and opens with the answer to SyncGroup.  The answer to JoinGroup
 * keeps it shut for the moment until SyncGroup goes out.  Answers are reported
 * twice by this version, hence times to set and not counts.
 *
 * Failure modes: an answer that is never reported would keep the gate shut for
 * ever; it opens by itself GATE_LIMIT_US after the request.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/inner.h"
#include "loop/loop.h"

#define API_FETCH 1
#define API_HEARTBEAT 12
#define API_JOIN 11
#define API_SYNC 14
#define API_COMMIT 8
#define GATE_LIMIT_US (130LL * 1000000)
#define GATE_BETWEEN_US (200LL * 1000)

/* JoinGroup was answered, unless that was reported before. */
static void
note_joined(struct synq_kafka_pulse *pulse, long long now_us)
{
	long long asked = atomic_load(&pulse->join_us);

	atomic_store(&pulse->gate_shut_us, now_us + GATE_BETWEEN_US);
	if (asked < 0)
		atomic_compare_exchange_strong(&pulse->join_us, &asked, now_us);
}

/* NOLINTBEGIN(readability-function-size): the signatures are librdkafka's */

static rd_kafka_resp_err_t
on_request_sent(SYNQ_UNUSED rd_kafka_t *rk, SYNQ_UNUSED int sockfd,
    SYNQ_UNUSED const char *brokername, SYNQ_UNUSED int32_t brokerid,
    int16_t api_key, SYNQ_UNUSED int16_t api_version,
    SYNQ_UNUSED int32_t corrid, SYNQ_UNUSED size_t size, void *opaque)
{
	struct synq_kafka_pulse *pulse = opaque;
	const long long now_us = (long long)synq_clock_mono_us();

	if (api_key == API_FETCH)
		atomic_store(&pulse->fetch_us, now_us);
	if (api_key == API_JOIN || api_key == API_SYNC)
		atomic_store(&pulse->gate_shut_us, now_us + GATE_LIMIT_US);
	if (api_key == API_JOIN)
		atomic_store(&pulse->join_us, -now_us);
	if (api_key == API_SYNC) {
		atomic_store(&pulse->sync_us, now_us);
		atomic_store(&pulse->join_us, 0);
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
on_response_received(SYNQ_UNUSED rd_kafka_t *rk, SYNQ_UNUSED int sockfd,
    SYNQ_UNUSED const char *brokername, SYNQ_UNUSED int32_t brokerid,
    int16_t api_key, SYNQ_UNUSED int16_t api_version,
    SYNQ_UNUSED int32_t corrid, SYNQ_UNUSED size_t size,
    SYNQ_UNUSED int64_t rtt, rd_kafka_resp_err_t err, void *opaque)
{
	struct synq_kafka_pulse *pulse = opaque;
	long long now_us = (long long)synq_clock_mono_us();

	if (api_key == API_JOIN)
		note_joined(pulse, now_us);
	if (api_key == API_SYNC)
		atomic_store(&pulse->gate_shut_us, 0);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	atomic_store(&pulse->answered_us, now_us);
	if (api_key == API_FETCH)
		atomic_store(&pulse->fetched_us, atomic_load(&pulse->fetch_us));
	if (api_key == API_HEARTBEAT || api_key == API_COMMIT ||
	    api_key == API_JOIN || api_key == API_SYNC)
		atomic_store(&pulse->group_us, now_us);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* NOLINTEND(readability-function-size) */

static rd_kafka_resp_err_t
on_new(rd_kafka_t *rk, SYNQ_UNUSED const rd_kafka_conf_t *conf, void *opaque,
    SYNQ_UNUSED char *text, SYNQ_UNUSED size_t bytes)
{
	rd_kafka_interceptor_add_on_request_sent(
	    rk, "synq", on_request_sent, opaque);
	rd_kafka_interceptor_add_on_response_received(
	    rk, "synq", on_response_received, opaque);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void
synq_kafka_set(
    struct synq_kafka_build *build, const char *name, const char *value)
{
	char text[200];

	if (build->rc != 0)
		return;
	if (rd_kafka_conf_set(build->conf, name, value, text, sizeof(text)) !=
	    RD_KAFKA_CONF_OK)
		build->rc = synq_fail(
		    build->err, SYNQ_E_CONFIG, "kafka %s: %s", name, text);
}

void
synq_kafka_set_number(
    struct synq_kafka_build *build, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	synq_kafka_set(build, name, text);
}

void
synq_kafka_build_start(struct synq_kafka_build *build,
    const struct synq_kafka_config *config, struct synq_kafka_pulse *pulse,
    struct synq_err *err)
{
	size_t message_bytes = config->max_message_bytes;

	*build = (struct synq_kafka_build){
		.conf = rd_kafka_conf_new(),
		.err = err,
	};
	if (config->brokers == NULL || config->brokers[0] == '\0') {
		build->rc = synq_fail(err, SYNQ_E_CONFIG, "no kafka brokers");
		return;
	}
	/* Its log lines would mix with ours; errors come as events. */
	rd_kafka_conf_set_log_cb(build->conf, NULL);
	synq_kafka_set(build, "bootstrap.servers", config->brokers);
	if (config->client_id != NULL)
		synq_kafka_set(build, "client.id", config->client_id);
	synq_kafka_set(build, "socket.nagle.disable", "true");
	synq_kafka_set(build, "socket.keepalive.enable", "true");
	synq_kafka_set(build, "reconnect.backoff.ms", "50");
	synq_kafka_set(build, "reconnect.backoff.max.ms", "200");
	synq_kafka_set(build, "topic.metadata.refresh.interval.ms", "60000");
	if (message_bytes != 0)
		synq_kafka_set_number(build, "message.max.bytes",
		    message_bytes < 1000 ? 1000 : message_bytes);
	if (pulse != NULL)
		rd_kafka_conf_interceptor_add_on_new(
		    build->conf, "synq", on_new, pulse);
}

int
synq_kafka_build_end(
    struct synq_kafka_build *build, rd_kafka_type_t type, rd_kafka_t **ret)
{
	char text[200];

	if (build->rc == 0) {
		*ret = rd_kafka_new(type, build->conf, text, sizeof(text));
		if (*ret != NULL)
			return 0;
		build->rc = synq_fail(build->err,
		    rd_kafka_last_error() == RD_KAFKA_RESP_ERR__INVALID_ARG
			? SYNQ_E_CONFIG
			: SYNQ_E_SYSTEM,
		    "kafka: %s", text);
	}
	rd_kafka_conf_destroy(build->conf);
	return build->rc;
}

void
synq_kafka_config_copy(
    struct synq_kafka_config *ret, const struct synq_kafka_config *from)
{
	*ret = *from;
	ret->brokers = synq_mem_text(from->brokers);
	ret->client_id = synq_mem_text(from->client_id);
	ret->compression = synq_mem_text(from->compression);
}

void *
synq_kafka_unconst(const void *data)
{
	union {
		const void *read;
		void *write;
	} both = { .read = data };

	return both.write;
}

void
synq_kafka_config_done(struct synq_kafka_config *config)
{
	synq_mem_free(synq_kafka_unconst(config->brokers));
	synq_mem_free(synq_kafka_unconst(config->client_id));
	config->brokers = NULL;
	synq_mem_free(synq_kafka_unconst(config->compression));
	config->client_id = NULL;
	config->compression = NULL;
}

void
synq_kafka_listen(rd_kafka_queue_t *queue, struct synq_wake *wake)
{
	static const uint64_t one = 1;

	rd_kafka_queue_io_event_enable(
	    queue, synq_wake_fd(wake), &one, sizeof(one));
	synq_wake_send(wake);
}

void
synq_kafka_deafen(rd_kafka_queue_t **queue)
{
	if (*queue == NULL)
		return;
	rd_kafka_queue_io_event_enable(*queue, -1, NULL, 0);
	rd_kafka_queue_destroy(*queue);
	*queue = NULL;
}

struct leaving {
	rd_kafka_t *rk;
	struct synq_kafka_pulse *pulse;
};

static void
run_destroy(void *ctx)
{
	struct leaving *leaving = ctx;

	rd_kafka_destroy_flags(
	    leaving->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	synq_mem_free(leaving->pulse);
	synq_mem_free(leaving);
}

int
synq_kafka_destroy(
    rd_kafka_t **rk, struct synq_kafka_pulse *pulse, uint32_t limit_ms)
{
	struct synq_kafka_task *task;
	struct leaving *leaving;
	int gone;

	if (*rk == NULL) {
		synq_mem_free(pulse);
		return 1;
	}
	leaving = synq_mem_new(sizeof(*leaving));
	*leaving = (struct leaving){ .rk = *rk, .pulse = pulse };
	task = synq_kafka_task_start(NULL, run_destroy, leaving);
	gone = synq_kafka_task_end(&task, limit_ms);
	if (!gone)
		synq_kafka_task_leave(&task);
	*rk = NULL;
	return gone;
}

struct synq_series *
synq_kafka_series(const struct synq_kafka_config *config,
    enum synq_metric_id id, const char *const *labels)
{
	if (config->metrics == NULL)
		return NULL;
	return synq_metric_series(config->metrics, id, labels);
}

void
synq_kafka_count(struct synq_series *series)
{
	if (series != NULL)
		synq_series_add(series, 1);
}

void
synq_kafka_read_message(
    const rd_kafka_message_t *from, struct synq_kafka_message *ret)
{
	rd_kafka_timestamp_type_t type;

	ret->topic = rd_kafka_topic_name(from->rkt);
	ret->partition = from->partition;
	ret->offset = from->offset;
	ret->time_us = rd_kafka_message_timestamp(from, &type) * 1000;
	ret->key = synq_slice_of(from->key, from->key_len);
	ret->value = synq_slice_of(from->payload, from->len);
	ret->handle = from;
}

struct synq_slice
synq_kafka_message_header(
    const struct synq_kafka_message *message, const char *name)
{
	const rd_kafka_message_t *from = message->handle;
	rd_kafka_headers_t *headers;
	const void *value;
	size_t bytes;

	if (rd_kafka_message_headers(from, &headers) != 0 ||
	    rd_kafka_header_get_last(headers, name, &value, &bytes) != 0)
		return synq_slice_of(NULL, 0);
	return synq_slice_of(value, bytes);
}
