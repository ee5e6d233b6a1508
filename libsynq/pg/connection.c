/*
 * One connection's life:
 *
 *	WAITING     until the backoff is over; the timer runs
 *	CONNECTING  libpq is shaking hands; the timer limits it
 *	SETUP       the session's settings are on their way; the same limit
 *	READY       transactions go and come; the timer watches for silence
 *
 * Any error leads back to WAITING by the way of lost(), which ends what was
 * sent.  An error inside a call from above only sets broken and lets the timer
 * do it, because hooks run from the loop alone.
 *
 * A server that is there but does not answer: statement_timeout makes an
 * honest one give up after limit_ms.  After limit_ms without any result the
 * connection gets nothing new, after twice that it is given up.  An idle
 * connection asks for nothing once a second, so that silence is found without
 * traffic too.
 */

#include "pg/connection.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "loop/loop.h"
#include "pg/connect.h"
#include "pg/fault.h"
#include "pg/pipeline.h"
#include "pg/work.h"

/* Enough to hide a round trip of a millisecond at 0.1 ms a transaction. */
#define MAX_FLIGHTS 32
#define BACKOFF_FIRST_US 50000
#define BACKOFF_LAST_US 1000000
#define CONNECT_LIMIT_US 5000000
#define BEAT_US 1000000

enum state { WAITING, CONNECTING, SETUP, READY };

struct synq_pg_connection {
	struct synq_loop *loop;
	const struct synq_pg_config *config; /* borrowed */
	struct synq_pg_hooks hooks;
	enum state state;
	PGconn *handle;
	struct synq_watch *watch;
	struct synq_timer *timer;
	struct synq_pg_pipeline *pipeline;
	struct synq_pg_work *own; /* setup or beat, while it is on its way */
	struct synq_rand rand;
	uint64_t backoff_us;
	uint64_t progress_us; /* the last result, or the start of waiting */
	int blocked;          /* libpq holds bytes that the socket refused */
	int broken;           /* to be given up by the timer */
	struct synq_err err;
};

static void connection_event(void *ctx, unsigned events);

static uint64_t
limit_us(const struct synq_pg_connection *connection)
{
	return (uint64_t)connection->config->limit_ms * 1000;
}

static void
close_handle(struct synq_pg_connection *connection)
{
	synq_pg_pipeline_free(&connection->pipeline);
	synq_watch_free(&connection->watch);
	PQfinish(connection->handle);
	connection->handle = NULL;
	synq_pg_work_free(&connection->own);
	connection->blocked = 0;
	connection->broken = 0;
}

/* Give the connection up because of ${connection}->err and try again later. */
static void
lost(struct synq_pg_connection *connection)
{
	uint64_t half_us = connection->backoff_us / 2;

	/* That it has no answer is not the reason. */
	if (connection->own)
		synq_pg_pipeline_abandon(connection->own);
	if (connection->pipeline)
		synq_pg_pipeline_break(connection->pipeline);
	close_handle(connection);
	connection->state = WAITING;
	synq_timer_start(connection->timer,
	    half_us + synq_rand_below(&connection->rand, half_us + 1));
	connection->backoff_us *= 2;
	if (connection->backoff_us > BACKOFF_LAST_US)
		connection->backoff_us = BACKOFF_LAST_US;
	connection->hooks.changed(connection->hooks.ctx);
}

/* As lost(), for the reason that libpq has. */
static void
lost_by_libpq(struct synq_pg_connection *connection)
{
	(void)synq_pg_fault_connection(&connection->err, connection->handle);
	lost(connection);
}

/*
 * Watch the socket of libpq anew: while it connects it may change its socket
 * for another with the same number.
 */
static int
watch(struct synq_pg_connection *connection, unsigned events)
{
	int fd = PQsocket(connection->handle);
	int rc = -SYNQ_E_SYSTEM;

	synq_watch_free(&connection->watch);
	if (fd >= 0)
		rc = synq_watch_new(connection->loop, fd, connection_event,
		    connection, &connection->watch);
	if (!rc)
		synq_watch_set(connection->watch, events);
	return rc;
}

/* Write what libpq holds, and watch for room if not all of it went. */
static int
flush(struct synq_pg_connection *connection)
{
	int left;

	if (connection->watch == NULL)
		return -SYNQ_E_UNAVAILABLE;
	left = PQflush(connection->handle);
	if (left < 0)
		return -SYNQ_E_UNAVAILABLE;
	if (left != connection->blocked)
		synq_watch_set(connection->watch,
		    left ? SYNQ_READABLE | SYNQ_WRITABLE : SYNQ_READABLE);
	connection->blocked = left;
	return 0;
}

static void
start_connecting(struct synq_pg_connection *connection)
{
	connection->handle = synq_pg_connect(connection->config->url);
	if (PQstatus(connection->handle) == CONNECTION_BAD ||
	    watch(connection, SYNQ_WRITABLE)) {
		lost_by_libpq(connection);
		return;
	}
	connection->state = CONNECTING;
	synq_timer_start(connection->timer, CONNECT_LIMIT_US);
}

static void
setup_ended(struct synq_pg_connection *connection)
{
	const struct synq_pg_work *setup = connection->own;
	const char *role = connection->config->role;

	if (setup->rc) {
		connection->err = setup->err;
		if (role)
			(void)synq_wrap(
			    &connection->err, setup->rc, "role %s", role);
		connection->broken = 1;
		return;
	}
	synq_pg_work_free(&connection->own);
	connection->state = READY;
	connection->backoff_us = BACKOFF_FIRST_US;
	connection->err = (struct synq_err){ 0 };
	synq_timer_repeat(connection->timer, BEAT_US);
}

static void
work_ended(void *ctx, struct synq_pg_work *work)
{
	struct synq_pg_connection *connection = ctx;

	if (work != connection->own)
		connection->hooks.ended(connection->hooks.ctx, work);
	else if (connection->state == SETUP)
		setup_ended(connection);
	else
		synq_pg_work_free(&connection->own);
}

static void
work_again(void *ctx, struct synq_pg_work *work)
{
	struct synq_pg_connection *connection = ctx;

	if (work != connection->own)
		connection->hooks.again(connection->hooks.ctx, work);
	else if (connection->state == SETUP)
		connection->broken = 1;
	else
		synq_pg_work_free(&connection->own);
}

/* The role and the limit of the session. */
static int
send_setup(struct synq_pg_connection *connection)
{
	char limit[16];
	const char *role = connection->config->role;
	struct synq_pg_param params[2] = {
		synq_pg_text(synq_slice_text(limit)),
		synq_pg_text(synq_slice_text(role)),
	};
	const struct synq_pg_statement statements[2] = {
		{ "select set_config('statement_timeout', $1, false)",
		    &params[0], 1 },
		{ "select set_config('role', $1, false)", &params[1], 1 },
	};
	const struct synq_pg_transaction transaction = {
		.statements = statements,
		.count = role ? 2 : 1,
	};

	(void)snprintf(
	    limit, sizeof(limit), "%u", connection->config->limit_ms);
	params[0].slice = synq_slice_text(limit);
	if (synq_pg_work_new(&transaction, &connection->own) ||
	    synq_pg_pipeline_send(connection->pipeline, connection->own))
		return -SYNQ_E_UNAVAILABLE;
	return flush(connection);
}

/* Ask for nothing; whatever comes is a sign of life. */
static void
beat(struct synq_pg_connection *connection)
{
	static const struct synq_pg_statement statement = { "select 1", NULL,
		0 };
	const struct synq_pg_transaction transaction = {
		.statements = &statement,
		.count = 1,
	};

	/* On failure break_off has told the timer. */
	if (!synq_pg_work_new(&transaction, &connection->own) &&
	    synq_pg_connection_send(connection, connection->own))
		synq_pg_work_free(&connection->own);
}

static void
start_setup(struct synq_pg_connection *connection)
{
	const struct synq_pg_pipeline_hooks hooks = { work_ended, work_again,
		connection };

	connection->state = SETUP;
	connection->pipeline = synq_pg_pipeline_new(connection->handle, &hooks);
	if (!connection->pipeline || watch(connection, SYNQ_READABLE) ||
	    send_setup(connection))
		lost_by_libpq(connection);
}

static void
go_on_connecting(struct synq_pg_connection *connection)
{
	PostgresPollingStatusType status;

	/* The socket may be closed in there. */
	synq_watch_free(&connection->watch);
	status = PQconnectPoll(connection->handle);
	if (status == PGRES_POLLING_OK)
		start_setup(connection);
	else if (status == PGRES_POLLING_FAILED ||
		 watch(connection, status == PGRES_POLLING_READING
				       ? SYNQ_READABLE
				       : SYNQ_WRITABLE))
		lost_by_libpq(connection);
}

static void
go_on_talking(struct synq_pg_connection *connection, unsigned events)
{
	size_t results = 0;
	int bad = 0;

	if (events & SYNQ_READABLE)
		bad = !PQconsumeInput(connection->handle);
	if (bad)
		synq_watch_free(&connection->watch);
	/* What came before the end of a connection still counts. */
	if (synq_pg_pipeline_take(connection->pipeline, &results))
		bad = 1;
	if (results)
		connection->progress_us = synq_loop_now_us(connection->loop);
	if (connection->broken) {
		lost(connection);
		return;
	}
	if (bad || PQstatus(connection->handle) == CONNECTION_BAD ||
	    flush(connection)) {
		lost_by_libpq(connection);
		return;
	}
	connection->hooks.changed(connection->hooks.ctx);
}

static void
connection_event(void *ctx, unsigned events)
{
	struct synq_pg_connection *connection = ctx;

	if (connection->state == CONNECTING)
		go_on_connecting(connection);
	else
		go_on_talking(connection, events);
}

/* How long the server has owed an answer. */
static uint64_t
silence_us(const struct synq_pg_connection *connection)
{
	uint64_t now_us = synq_loop_now_us(connection->loop);

	if (!synq_pg_pipeline_count(connection->pipeline) ||
	    now_us < connection->progress_us)
		return 0;
	return now_us - connection->progress_us;
}

static void
connection_timer(void *ctx)
{
	struct synq_pg_connection *connection = ctx;

	if (connection->state == WAITING) {
		start_connecting(connection);
		return;
	}
	if (connection->broken) {
		lost_by_libpq(connection);
		return;
	}
	if (connection->state == READY &&
	    silence_us(connection) < 2 * limit_us(connection)) {
		/* What is under way will tell as much. */
		if (!synq_pg_pipeline_count(connection->pipeline))
			beat(connection);
		return;
	}
	(void)synq_fail(
	    &connection->err, SYNQ_E_UNAVAILABLE, "PostgreSQL does not answer");
	lost(connection);
}

struct synq_pg_connection *
synq_pg_connection_new(struct synq_loop *loop,
    const struct synq_pg_config *config, const struct synq_pg_hooks *hooks)
{
	struct synq_pg_connection *connection =
	    synq_mem_new(sizeof(*connection));
	uint64_t seed;

	connection->loop = loop;
	connection->config = config;
	connection->hooks = *hooks;
	connection->state = WAITING;
	connection->backoff_us = BACKOFF_FIRST_US;
	synq_rand_system(&seed, sizeof(seed));
	synq_rand_init(&connection->rand, seed);
	connection->timer = synq_timer_new(loop, connection_timer, connection);
	synq_timer_start(connection->timer, 0);
	return connection;
}

void
synq_pg_connection_free(struct synq_pg_connection **connection)
{
	if (!*connection)
		return;
	close_handle(*connection);
	synq_timer_free(&(*connection)->timer);
	synq_mem_free(*connection);
	*connection = NULL;
}

int
synq_pg_connection_works(const struct synq_pg_connection *connection)
{
	return connection->state == READY && !connection->broken &&
	       silence_us(connection) < limit_us(connection);
}

size_t
synq_pg_connection_room(const struct synq_pg_connection *connection)
{
	size_t count;

	/* While the socket is full more would only fill our memory. */
	if (!synq_pg_connection_works(connection) || connection->blocked)
		return 0;
	count = synq_pg_pipeline_count(connection->pipeline);
	return count < MAX_FLIGHTS ? MAX_FLIGHTS - count : 0;
}

/*
 * Sending failed: the end follows from the timer.  libpq may have closed the
 * descriptor by now, so it must not be watched for a moment longer.
 */
static void
break_off(struct synq_pg_connection *connection)
{
	synq_watch_free(&connection->watch);
	connection->broken = 1;
	synq_timer_start(connection->timer, 0);
}

int
synq_pg_connection_send(
    struct synq_pg_connection *connection, struct synq_pg_work *work)
{
	int rc;

	if (!synq_pg_pipeline_count(connection->pipeline))
		connection->progress_us = synq_loop_now_us(connection->loop);
	rc = synq_pg_pipeline_send(connection->pipeline, work);
	/* A work that libpq has taken has been sent, whatever follows. */
	if (rc || flush(connection))
		break_off(connection);
	return rc;
}

void
synq_pg_connection_abandon(struct synq_pg_work *work)
{
	synq_pg_pipeline_abandon(work);
}

const struct synq_err *
synq_pg_connection_err(const struct synq_pg_connection *connection)
{
	return &connection->err;
}
