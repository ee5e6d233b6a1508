#ifndef SYNQ_TEST_PRODUCER_WORLD_H
#define SYNQ_TEST_PRODUCER_WORLD_H

/*
 * The intake in a made-up world: a clock that moves when it is told to, and in
 * place of the server, the log and the stores some that note what they were
 * asked and answer when the test says so.  World.c and exchange.c define the
 * functions of those modules, so that the linker takes them from there.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "httpd/httpd.h"
#include "kafka/kafka.h"
#include "loop/loop.h"
#include "producer/intake.h"
#include "proto/signal.h"
#include "store/jobs.h"
#include "store/keys.h"
#include "tenant/auth.h"

#define WORLD_MAX 64
#define WORLD_QUERIES_MAX 512
/* 2027-01-15T08:00:00Z, when each test begins. */
#define WORLD_BEGIN_AT 1800000000000000LL

/* A query of rows, for one or more jobs or a page of them. */
struct world_query {
	struct synq_uuid organization_id;
	struct synq_uuid ids[8];
	size_t count;
	enum synq_job_part part;
	int is_list;
	uint32_t limit;
	uint64_t asked_us;
	synq_jobs_fn *fn; /* NULL = answered */
	void *ctx;
};

/* A record that went to the log. */
struct world_record {
	char topic[64];
	int32_t partition;
	struct synq_buf value;
	struct synq_buf trace;                          /* header traceparent */
	void (*ack)(void *ctx, int rc, int64_t offset); /* NULL = answered */
	void *ctx;
};

/* How a claim is to be ended. */
enum world_settle { WORLD_ACCEPTS, WORLD_DROPS };

struct world {
	int draining; /* the intake ends */
	struct intake intake;
	struct synq_metrics *metrics;
	struct synq_config config;
	struct synq_uuid organization_id;

	struct world_query queries[WORLD_QUERIES_MAX];
	size_t query_count;
	int pg_busy; /* queries are refused */

	struct world_record records[WORLD_MAX];
	size_t record_count;
	int log_rc;   /* what handing over a record gives */
	int log_away; /* the producer knows of no broker that answers */

	synq_claim_fn *claim_fn; /* the claim that is open */
	void *claim_ctx;
	struct synq_claim_request claim;
	size_t claims;
	size_t takes;
	struct synq_uuid taken_from;

	synq_settle_fn *settle_fn; /* the end of a claim that is open */
	void *settle_ctx;
	enum world_settle settling;
	struct synq_uuid settle_id;
	int settled; /* -1 = not, 1 = accepted, 0 = given up */

	enum synq_auth_answer auth;
	int auth_later; /* 1 = PostgreSQL must be asked */
	synq_auth_fn *auth_fn;
	void *auth_ctx;
	size_t auth_asked;

	const char *models[8]; /* in order of name */
};

/* cmocka's setup: a new world in *${state}. */
int world_setup(void **state);

/* Its teardown: everything open is answered; fails if a call is left over. */
int world_teardown(void **state);

/* Let ${us} microseconds pass; timers fire on the way. */
void world_pass(struct world *world, uint64_t us);

/* The uuid ${number} of a job made just now. */
struct synq_uuid world_id(uint8_t number);

/* The public id of ${job} of ${organization}. */
const char *world_public_id(const struct world *world,
    const struct synq_uuid *organization, const struct synq_uuid *job);

/* The dispatcher tells what became of a job. */
void world_reply(struct world *world, const struct synq_reply *reply);

/* Something else arrives on the channel of replies. */
void world_noise(struct world *world, struct synq_slice payload);

/* How many timers will fire. */
size_t world_active_timers(void);

/* Redis came back. */
void world_resubscribe(struct world *world);

/* Answer query ${index} with ${rows}, the projection being at ${as_of}. */
void world_answer(struct world *world, size_t index,
    const struct synq_job_row *rows, size_t count, int64_t as_of);

/* Answer query ${index} with the error ${rc}. */
void world_answer_error(struct world *world, size_t index, int rc);

/* The log says ${rc} to record ${index}. */
void world_ack(struct world *world, size_t index, int rc);

/* Answer the claim that is open. */
void world_claim(struct world *world, enum synq_claim claim,
    const struct synq_uuid *job_id, int accepted);

/* Answer the end of a claim, which is of ${kind}, with ${settled}. */
void world_settle(
    struct world *world, enum world_settle kind, enum synq_settled settled);

/* One request and its answer. */
struct synq_exchange;

/*
 * Send ${method} ${target} with ${headers} ("name: value" lines with lower
 * case names, NULL-terminated; may be NULL) and ${body} (NULL = none).  With
 * "expect: 100-continue" the body does not come before world_come.
 */
struct synq_exchange *world_send(struct world *world, const char *method,
    const char *target, const char *const *headers, const char *body);

/* How often the client of ${exchange} was told to send its body. */
int world_continued(const struct synq_exchange *exchange);

/* The body of ${exchange}, sent with "expect: 100-continue", comes. */
void world_come(struct synq_exchange *exchange);

/* A GET of ${target} that nobody handles: the test does. */
struct synq_exchange *world_open(struct world *world, const char *target);

/* The answer to ${exchange} is sent. */
void world_sent(struct synq_exchange *exchange);

/* The client of ${exchange} leaves without an answer. */
void world_leave(struct synq_exchange *exchange);

/* The status answered to ${exchange}; 0 = no answer yet. */
int world_status(const struct synq_exchange *exchange);

/* The body answered to ${exchange}. */
const char *world_body(const struct synq_exchange *exchange);

/* The header ${name} of the answer to ${exchange}; NULL if there is none. */
const char *world_header(
    const struct synq_exchange *exchange, const char *name);

/* The text at ${path} in the answer's JSON; "" for null, fails if absent. */
const char *world_text(const struct synq_exchange *exchange, const char *path);

/* The answer is ${status} with an error of ${type}, ${code}, ${param}. */
void world_expect_error(const struct synq_exchange *exchange, int status,
    const char *type, const char *code, const char *param);

/* Of exchange.c, for world.c: end every exchange that is open. */
void world_end_exchanges(void);

/* The row of ${job} in ${state}, nothing known beyond what all rows have. */
struct synq_job_row world_row(
    const struct synq_uuid *job, enum synq_job_state state);

#endif
