/*
 * The pool.  A transaction is copied, put on the queue and at once given to
 * the connection with the most room, as long as one has room.  Its answer, or
 * its end, puts it among the ended, from where its owner is told.
 *
 *	queue   waits for room            due
 *	flight  on a connection           due
 *	ended   its owner is told next    (not due any more)
 *
 * Owners are told in one place only, deliver(), which always comes last in a
 * turn of ours: they may start, forget and even free from there.
 *
 * Failure modes: the deadline finds a transaction on the queue (TIMEOUT:
 * nothing was sent) or in flight (UNCERTAIN: its slot stays taken until the
 * answer comes, and the answer is dropped).
 */

#include "pg/pg.h"

#include <assert.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "pg/connect.h"
#include "pg/connection.h"
#include "pg/work.h"

/* More would not help a server and would cost it memory. */
#define MAX_CONNECTIONS 256
#define MAX_ROLE_CHARS 63

struct synq_pg {
	struct synq_loop *loop;
	struct synq_pg_config config; /* its texts are the two below */
	char *url;
	char *role;
	struct synq_pg_connection **connections;
	struct synq_list queue;
	struct synq_list due;   /* all that have not ended, oldest first */
	struct synq_list ended; /* their owners are not told yet */
	struct synq_timer *timer;
	int delivering;
	int closing; /* freed by an owner who was just told something */
};

static struct synq_pg_work *
work_at(struct synq_link *place)
{
	return SYNQ_CONTAINER(place, struct synq_pg_work, place);
}

static struct synq_pg_work *
work_due(struct synq_link *due)
{
	return SYNQ_CONTAINER(due, struct synq_pg_work, due);
}

static void
destroy(struct synq_pg *pg)
{
	struct synq_link *link;
	struct synq_pg_work *work;

	for (uint32_t i = 0; pg->connections && i < pg->config.connections; i++)
		synq_pg_connection_free(&pg->connections[i]);
	while ((link = synq_list_shift(&pg->due))) {
		work = work_due(link);
		synq_pg_work_free(&work);
	}
	while ((link = synq_list_shift(&pg->ended))) {
		work = work_at(link);
		synq_pg_work_free(&work);
	}
	synq_timer_free(&pg->timer);
	synq_mem_free(pg->connections);
	synq_mem_free(pg->url);
	synq_mem_free(pg->role);
	synq_mem_free(pg);
}

/* The connection with the most room; NULL if none has any. */
static struct synq_pg_connection *
pick(const struct synq_pg *pg)
{
	struct synq_pg_connection *best = NULL;
	size_t most = 0;

	for (uint32_t i = 0; i < pg->config.connections; i++) {
		size_t room = synq_pg_connection_room(pg->connections[i]);

		if (room > most) {
			most = room;
			best = pg->connections[i];
		}
	}
	return best;
}

/* Send what waits while there is room. */
static void
dispatch(struct synq_pg *pg)
{
	struct synq_pg_connection *connection;

	while (pg->queue.count && (connection = pick(pg))) {
		struct synq_link *place = synq_list_shift(&pg->queue);

		if (synq_pg_connection_send(connection, work_at(place)))
			synq_list_unshift(&pg->queue, place);
	}
}

/* Let the timer fire when the oldest is due, or at once for the ended. */
static void
arm(struct synq_pg *pg)
{
	struct synq_link *first = synq_list_first(&pg->due);
	uint64_t now_us = synq_loop_now_us(pg->loop);
	uint64_t at_us = now_us;

	if (!first && !pg->ended.count) {
		synq_timer_stop(pg->timer);
		return;
	}
	if (!pg->ended.count)
		at_us = work_due(first)->deadline_us;
	synq_timer_start(pg->timer, at_us > now_us ? at_us - now_us : 0);
}

/* Tell the owners of the ended.  ${pg} may be gone afterwards. */
static void
deliver(struct synq_pg *pg)
{
	struct synq_link *place;

	assert(!pg->delivering);
	pg->delivering = 1;
	while (!pg->closing && (place = synq_list_shift(&pg->ended))) {
		struct synq_pg_work *work = work_at(place);

		work->done(work->ctx, work->rc,
		    work->rc ? NULL : work->views + work->tenant_calls,
		    work->rc ? &work->err : NULL);
		synq_pg_work_free(&work);
	}
	pg->delivering = 0;
	if (pg->closing)
		destroy(pg);
	else
		arm(pg);
}

static void
ended(void *ctx, struct synq_pg_work *work)
{
	struct synq_pg *pg = ctx;

	synq_list_remove(&pg->due, &work->due);
	synq_list_push(&pg->ended, &work->place);
}

static void
again(void *ctx, struct synq_pg_work *work)
{
	struct synq_pg *pg = ctx;

	synq_list_unshift(&pg->queue, &work->place);
}

static void
changed(void *ctx)
{
	struct synq_pg *pg = ctx;

	dispatch(pg);
	deliver(pg);
}

/* Why nothing could be sent; NULL if some connection works. */
static const char *
reason(const struct synq_pg *pg)
{
	const char *text = "not connected yet";

	for (uint32_t i = 0; i < pg->config.connections; i++) {
		const struct synq_err *err =
		    synq_pg_connection_err(pg->connections[i]);

		if (synq_pg_connection_works(pg->connections[i]))
			return NULL;
		if (err->code)
			text = err->text;
	}
	return text;
}

static void
expire(struct synq_pg *pg, struct synq_pg_work *work)
{
	const char *why = reason(pg);

	if (work->flight) {
		synq_pg_connection_abandon(work);
		work->rc = synq_fail(&work->err, SYNQ_E_UNCERTAIN,
		    "no answer from PostgreSQL within %u ms",
		    pg->config.limit_ms);
	} else {
		synq_list_remove(&pg->queue, &work->place);
		work->rc = synq_fail(&work->err, SYNQ_E_TIMEOUT,
		    "not sent to PostgreSQL within %u ms: %s",
		    pg->config.limit_ms,
		    why ? why : "all connections are busy");
	}
	ended(pg, work);
}

static void
pool_timer(void *ctx)
{
	struct synq_pg *pg = ctx;
	uint64_t now_us = synq_loop_now_us(pg->loop);
	struct synq_link *link;

	/* All have the same limit, so the oldest is due first. */
	while ((link = synq_list_first(&pg->due)) &&
	       work_due(link)->deadline_us <= now_us)
		expire(pg, work_due(link));
	deliver(pg);
}

/* 1 if ${role} is a name that needs no quotes, else 0. */
static int
is_name(const char *role)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz_";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
	size_t chars = strlen(role);

	return chars && chars <= MAX_ROLE_CHARS && strchr(first, role[0]) &&
	       strspn(role, rest) == chars;
}

static int
check_config(const struct synq_pg_config *config, struct synq_err *err)
{
	if (!config->url)
		return synq_fail(err, SYNQ_E_CONFIG, "no PostgreSQL URL");
	if (!config->connections || config->connections > MAX_CONNECTIONS)
		return synq_fail(err, SYNQ_E_CONFIG,
		    "PostgreSQL connections: %u is not from 1 to %d",
		    config->connections, MAX_CONNECTIONS);
	if (!config->max_queued || !config->limit_ms)
		return synq_fail(err, SYNQ_E_CONFIG,
		    "the PostgreSQL queue and time limit must be above 0");
	if (config->role && !is_name(config->role))
		return synq_fail(err, SYNQ_E_CONFIG,
		    "the PostgreSQL role is not a plain name");
	return synq_pg_url_numeric(config->url, err);
}

int
synq_pg_new(struct synq_loop *loop, const struct synq_pg_config *config,
    struct synq_pg **ret, struct synq_err *err)
{
	struct synq_pg *pg;
	struct synq_pg_hooks hooks = { ended, again, changed, NULL };
	int rc = check_config(config, err);

	if (rc)
		return rc;
	pg = synq_mem_new(sizeof(*pg));
	pg->loop = loop;
	pg->config = *config;
	pg->url = synq_mem_text(config->url);
	pg->role = synq_mem_text(config->role);
	pg->config.url = pg->url;
	pg->config.role = pg->role;
	synq_list_init(&pg->queue);
	synq_list_init(&pg->due);
	synq_list_init(&pg->ended);
	pg->timer = synq_timer_new(loop, pool_timer, pg);
	hooks.ctx = pg;
	pg->connections = synq_mem_array(
	    config->connections, sizeof(struct synq_pg_connection *));
	for (uint32_t i = 0; i < config->connections; i++)
		pg->connections[i] =
		    synq_pg_connection_new(loop, &pg->config, &hooks);
	*ret = pg;
	return 0;
}

int
synq_pg_start(struct synq_pg *pg, const struct synq_pg_transaction *transaction)
{
	struct synq_pg_work *work;
	int rc;

	assert(transaction->count && transaction->done);

	if (pg->closing || pg->queue.count >= pg->config.max_queued)
		return -SYNQ_E_BUSY;
	rc = synq_pg_work_new(transaction, &work);
	if (rc)
		return rc;
	work->deadline_us =
	    synq_loop_now_us(pg->loop) + (uint64_t)pg->config.limit_ms * 1000;
	synq_list_push(&pg->due, &work->due);
	synq_list_push(&pg->queue, &work->place);
	dispatch(pg);
	if (!synq_timer_active(pg->timer))
		arm(pg);
	return 0;
}

void
synq_pg_forget(struct synq_pg *pg, const void *ctx)
{
	struct synq_link *link;
	struct synq_link *after;
	struct synq_pg_work *work;

	synq_list_foreach (&pg->due, link, after) {
		work = work_due(link);
		if (work->ctx != ctx)
			continue;
		synq_list_remove(&pg->due, link);
		if (work->flight)
			synq_pg_connection_abandon(work);
		else
			synq_list_remove(&pg->queue, &work->place);
		synq_pg_work_free(&work);
	}
	synq_list_foreach (&pg->ended, link, after) {
		work = work_at(link);
		if (work->ctx != ctx)
			continue;
		synq_list_remove(&pg->ended, link);
		synq_pg_work_free(&work);
	}
}

struct synq_loop *
synq_pg_loop(const struct synq_pg *pg)
{
	return pg->loop;
}

int
synq_pg_healthy(const struct synq_pg *pg)
{
	for (uint32_t i = 0; i < pg->config.connections; i++) {
		if (synq_pg_connection_works(pg->connections[i]))
			return 1;
	}
	return 0;
}

size_t
synq_pg_pending(const struct synq_pg *pg)
{
	return pg->due.count + pg->ended.count;
}

void
synq_pg_free(struct synq_pg **pg)
{
	if (!*pg)
		return;
	if ((*pg)->delivering)
		(*pg)->closing = 1;
	else
		destroy(*pg);
	*pg = NULL;
}
