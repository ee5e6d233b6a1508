/*
 * POST /v1/jobs: the envelope, whose members are ours, around a body.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "producer/check.h"

/* 2027-01-15T08:00:00Z. */
#define NOW_AT 1800000000000000LL
#define SECOND_US 1000000LL
#define DAY_US (86400 * SECOND_US)

#define CHAT_BODY "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}"
#define JOB "{\"endpoint\":\"/v1/chat/completions\",\"body\":" CHAT_BODY

static int
check(const char *text, struct check_job *job, struct check_fault *fault)
{
	memset(job, 0, sizeof(*job));
	memset(fault, 0, sizeof(*fault));
	return check_job(synq_slice_text(text), NOW_AT, job, fault);
}

/* The job that ${text} is; it must pass. */
static struct check_job
passes(const char *text)
{
	struct check_fault fault;
	struct check_job job;

	if (check(text, &job, &fault) != 0)
		fail_msg("%s: %s: %s", text, fault.param, fault.message);
	return job;
}

static void
refused(const char *text, const char *code, const char *param)
{
	struct check_fault fault;
	struct check_job job;

	if (check(text, &job, &fault) == 0)
		fail_msg("passed: %s", text);
	assert_int_equal(400, fault.status);
	if (strcmp(code, fault.code) != 0 || strcmp(param, fault.param) != 0)
		fail_msg("%s: %s of '%s': %s", text, fault.code, fault.param,
		    fault.message);
}

/* The job with ${name}: ${value} added. */
static const char *
with(const char *name, const char *value)
{
	static char text[65536];

	(void)snprintf(text, sizeof(text), JOB ",\"%s\":%s}", name, value);
	return text;
}

static void
test_job_has_defaults(void **state)
{
	struct check_job job = passes(JOB "}");

	(void)state;
	assert_int_equal(SYNQ_ENDPOINT_CHAT, job.endpoint);
	assert_int_equal(SYNQ_PRIORITY_INTERACTIVE, job.priority);
	assert_int_equal(0, job.deadline_at);
	assert_int_equal(0, job.max_attempts);
	assert_int_equal(0, job.metadata.bytes);
	assert_true(synq_slice_is(job.request.body.raw, CHAT_BODY));
	assert_true(synq_slice_is(job.request.model, "m"));
}

static void
test_job_names_one_of_three_endpoints(void **state)
{
	(void)state;
	assert_int_equal(SYNQ_ENDPOINT_COMPLETIONS,
	    passes("{\"endpoint\":\"/v1/completions\",\"body\":"
		   "{\"model\":\"m\",\"prompt\":\"\"}}")
		.endpoint);
	assert_int_equal(SYNQ_ENDPOINT_EMBEDDINGS,
	    passes("{\"body\":{\"model\":\"m\",\"input\":\"\"},"
		   "\"endpoint\":\"/v1/embeddings\"}")
		.endpoint);
	refused("{\"body\":{}}", "missing_required_parameter", "endpoint");
	refused("{\"endpoint\":\"/v1/images\",\"body\":{}}", "unknown_endpoint",
	    "endpoint");
	refused("{\"endpoint\":\"chat\",\"body\":{}}", "unknown_endpoint",
	    "endpoint");
	refused(
	    "{\"endpoint\":null,\"body\":{}}", "unknown_endpoint", "endpoint");
	refused("{\"endpoint\":1,\"body\":{}}", "unknown_endpoint", "endpoint");
	refused(
	    "{\"endpoint\":\"\",\"body\":{}}", "unknown_endpoint", "endpoint");
}

/* Some languages write "/" as "\/" in JSON. */
static void
test_job_reads_an_endpoint_with_escapes(void **state)
{
	(void)state;
	assert_int_equal(SYNQ_ENDPOINT_EMBEDDINGS,
	    passes("{\"endpoint\":\"\\/v1\\/embeddings\",\"body\":"
		   "{\"model\":\"m\",\"input\":\"\"}}")
		.endpoint);
}

static void
test_job_wants_a_body(void **state)
{
	(void)state;
	refused("{\"endpoint\":\"/v1/embeddings\"}",
	    "missing_required_parameter", "body");
	refused("{\"endpoint\":\"/v1/embeddings\",\"body\":null}",
	    "missing_required_parameter", "body");
	refused("{\"endpoint\":\"/v1/embeddings\",\"body\":[]}", "invalid_type",
	    "body");
	refused("{\"endpoint\":\"/v1/embeddings\",\"body\":\"{}\"}",
	    "invalid_type", "body");
}

static void
test_job_names_faults_of_its_body_from_the_top(void **state)
{
#define CHAT "{\"endpoint\":\"/v1/chat/completions\",\"body\":"
	(void)state;
	refused(CHAT "{}}", "missing_required_parameter", "body.model");
	refused(CHAT "{\"model\":\"m\"}}", "missing_required_parameter",
	    "body.messages");
	refused(CHAT "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"},"
		     "{\"role\":\"user\"},{\"role\":\"x\"}]}}",
	    "invalid_value", "body.messages[2].role");
	refused(CHAT "{\"model\":\"m\",\"n\":0,\"messages\":[]}}",
	    "invalid_value", "body.n");
	refused(CHAT "{\"model\":\"m\",\"stream\":true,"
		     "\"messages\":[{\"role\":\"user\"}]}}",
	    "unsupported_value", "body.stream");
#undef CHAT
}

static void
test_job_refuses_members_it_does_not_know(void **state)
{
	struct check_fault fault;
	struct check_job job;

	(void)state;
	refused(with("dead_line", "5"), "unknown_parameter", "dead_line");
	refused(with("model", "\"m\""), "unknown_parameter", "model");
	refused(with("Priority", "\"batch\""), "unknown_parameter", "Priority");
	refused(with("", "1"), "unknown_parameter", "");
	assert_int_equal(-1, check(with("ttl", "5"), &job, &fault));
	assert_non_null(strstr(fault.message, "ttl"));
	assert_non_null(strstr(fault.message, "max_attempts"));
	assert_non_null(strstr(fault.message, "deadline"));
}

/* A name of any length is cut, and what is cut stays text. */
static void
test_job_survives_an_unknown_member_with_a_long_name(void **state)
{
	struct check_fault fault;
	struct check_job job;
	char name[600];
	size_t i;

	(void)state;
	memset(name, 'a', sizeof(name));
	for (i = 1; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xa9", 2);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(-1, check(with(name, "1"), &job, &fault));
	assert_string_equal("unknown_parameter", fault.code);
	assert_true(strlen(fault.param) < sizeof(fault.param));
}

static void
test_job_has_two_priorities(void **state)
{
	(void)state;
	assert_int_equal(SYNQ_PRIORITY_BATCH,
	    passes(with("priority", "\"batch\"")).priority);
	assert_int_equal(SYNQ_PRIORITY_INTERACTIVE,
	    passes(with("priority", "\"interactive\"")).priority);
	refused(with("priority", "\"high\""), "invalid_value", "priority");
	refused(with("priority", "1"), "invalid_value", "priority");
	refused(with("priority", "null"), "invalid_value", "priority");
}

static void
test_job_takes_a_deadline_in_seconds(void **state)
{
	(void)state;
	assert_int_equal(
	    NOW_AT + SECOND_US, passes(with("deadline", "1")).deadline_at);
	assert_int_equal(NOW_AT + 6 * DAY_US,
	    passes(with("deadline", "518400")).deadline_at);
	refused(with("deadline", "0"), "invalid_value", "deadline");
	refused(with("deadline", "-5"), "invalid_value", "deadline");
	refused(with("deadline", "518401"), "invalid_value", "deadline");
	refused(with("deadline", "9223372036854775807"), "invalid_value",
	    "deadline");
	refused(with("deadline", "1e3"), "invalid_value", "deadline");
	refused(with("deadline", "1.5"), "invalid_value", "deadline");
	refused(with("deadline", "true"), "invalid_value", "deadline");
	refused(with("deadline", "null"), "invalid_value", "deadline");
}

static void
test_job_takes_a_deadline_as_a_time(void **state)
{
	(void)state;
	assert_int_equal(NOW_AT + 3600 * SECOND_US,
	    passes(with("deadline", "\"2027-01-15T09:00:00Z\"")).deadline_at);
	assert_int_equal(NOW_AT + 3600 * SECOND_US,
	    passes(with("deadline", "\"2027-01-15T11:00:00.000+02:00\""))
		.deadline_at);
	assert_int_equal(NOW_AT + 6 * DAY_US,
	    passes(with("deadline", "\"2027-01-21T08:00:00Z\"")).deadline_at);
	refused(with("deadline", "\"2027-01-21T08:00:01Z\""), "invalid_value",
	    "deadline");
	refused(with("deadline", "\"2027-01-15T08:00:00Z\""), "invalid_value",
	    "deadline"); /* now is too late */
	refused(with("deadline", "\"2026-01-15T08:00:00Z\""), "invalid_value",
	    "deadline");
	refused(
	    with("deadline", "\"2027-01-15\""), "invalid_value", "deadline");
	refused(with("deadline", "\"tomorrow\""), "invalid_value", "deadline");
	refused(with("deadline", "\"\""), "invalid_value", "deadline");
	refused(with("deadline", "\"9999-12-31T23:59:59Z\""), "invalid_value",
	    "deadline");
}

static void
test_job_takes_1_to_10_attempts(void **state)
{
	(void)state;
	assert_int_equal(1, passes(with("max_attempts", "1")).max_attempts);
	assert_int_equal(10, passes(with("max_attempts", "10")).max_attempts);
	refused(with("max_attempts", "0"), "invalid_value", "max_attempts");
	refused(with("max_attempts", "11"), "invalid_value", "max_attempts");
	refused(with("max_attempts", "4294967297"), "invalid_value",
	    "max_attempts");
	refused(with("max_attempts", "\"3\""), "invalid_value", "max_attempts");
	refused(with("max_attempts", "2.0"), "invalid_value", "max_attempts");
	refused(with("max_attempts", "null"), "invalid_value", "max_attempts");
}

static void
test_job_takes_metadata_of_texts(void **state)
{
	struct check_job job = passes(with("metadata", "{\"a\":\"b\"}"));

	(void)state;
	assert_true(synq_slice_is(job.metadata, "{\"a\":\"b\"}"));
	(void)passes(with("metadata", "{}"));
	(void)passes(with("metadata", "{\"\":\"\"}"));
	refused(with("metadata", "{\"a\":1}"), "invalid_value", "metadata");
	refused(with("metadata", "{\"a\":null}"), "invalid_value", "metadata");
	refused(with("metadata", "{\"a\":{}}"), "invalid_value", "metadata");
	refused(with("metadata", "[]"), "invalid_type", "metadata");
	refused(with("metadata", "\"a\""), "invalid_type", "metadata");
	refused(with("metadata", "null"), "invalid_type", "metadata");
}

/* Metadata of ${pairs} pairs. */
static const char *
pairs_of(int pairs)
{
	static char text[1024];
	size_t at = 0;
	int i;

	for (i = 0; i < pairs; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    "%c\"k%d\":\"v\"", i == 0 ? '{' : ',', i);
	(void)snprintf(text + at, sizeof(text) - at, "}");
	return text;
}

static void
test_job_takes_16_pairs_of_metadata(void **state)
{
	(void)state;
	(void)passes(with("metadata", pairs_of(16)));
	refused(with("metadata", pairs_of(17)), "invalid_value", "metadata");
}

/* Metadata with a name of ${name} times ${c} and a text of ${text} times. */
static const char *
metadata_of(const char *c, size_t name, size_t text)
{
	static char out[32768];
	size_t bytes = strlen(c);
	char *at = out;

	memcpy(at, "{\"", 2);
	for (at += 2; name > 0; name--, at += bytes)
		memcpy(at, c, bytes);
	memcpy(at, "\":\"", 3);
	for (at += 3; text > 0; text--, at += bytes)
		memcpy(at, c, bytes);
	memcpy(at, "\"}", 3);
	return out;
}

/* Limits count characters, however they are written. */
static void
test_job_counts_metadata_in_characters(void **state)
{
	static const char *const chars[] = { "a", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\\u00e9", "\\ud83d\\ude00", "\\n",
		"\\\"" };
	size_t i;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(chars); i++) {
		(void)passes(with("metadata", metadata_of(chars[i], 64, 512)));
		refused(with("metadata", metadata_of(chars[i], 65, 1)),
		    "invalid_value", "metadata");
		refused(with("metadata", metadata_of(chars[i], 1, 513)),
		    "invalid_value", "metadata");
	}
}

/* White space counts too: what goes on the log has a limit of its own. */
static void
test_job_refuses_metadata_that_no_message_takes(void **state)
{
	struct check_fault fault;
	struct check_job job;
	char *text = synq_mem_new(200000);

	(void)state;
	(void)snprintf(text, 200000, JOB ",\"metadata\":{%*s}}", 131068, "");
	assert_int_equal(0, check(text, &job, &fault));
	(void)snprintf(text, 200000, JOB ",\"metadata\":{%*s}}", 150000, "");
	assert_int_equal(-1, check(text, &job, &fault));
	assert_string_equal("metadata", fault.param);
	synq_mem_free(text);
}

static void
test_job_refuses_what_is_no_object(void **state)
{
	(void)state;
	refused("", "invalid_json", "");
	refused("[]", "invalid_type", "");
	refused("{\"endpoint\":", "invalid_json", "");
	refused("{\"body\":{},\"body\":{}}", "invalid_json", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_has_defaults),
		cmocka_unit_test(test_job_names_one_of_three_endpoints),
		cmocka_unit_test(test_job_reads_an_endpoint_with_escapes),
		cmocka_unit_test(test_job_wants_a_body),
		cmocka_unit_test(
		    test_job_names_faults_of_its_body_from_the_top),
		cmocka_unit_test(test_job_refuses_members_it_does_not_know),
		cmocka_unit_test(
		    test_job_survives_an_unknown_member_with_a_long_name),
		cmocka_unit_test(test_job_has_two_priorities),
		cmocka_unit_test(test_job_takes_a_deadline_in_seconds),
		cmocka_unit_test(test_job_takes_a_deadline_as_a_time),
		cmocka_unit_test(test_job_takes_1_to_10_attempts),
		cmocka_unit_test(test_job_takes_metadata_of_texts),
		cmocka_unit_test(test_job_takes_16_pairs_of_metadata),
		cmocka_unit_test(test_job_counts_metadata_in_characters),
		cmocka_unit_test(
		    test_job_refuses_metadata_that_no_message_takes),
		cmocka_unit_test(test_job_refuses_what_is_no_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
