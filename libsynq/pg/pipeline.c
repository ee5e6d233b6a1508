/*
 * A work is sent as its calls and one Sync.  Without BEGIN the server takes
 * all between two Syncs for one transaction: it commits at the Sync, so a work
 * has ended when the Sync is answered and not before.  (With BEGIN an error
 * would leave the session inside a failed transaction, and every neighbour
 * behind it in the pipeline would fail too.)
 *
 * A statement is prepared the first time it is used, in front of the work and
 * with a Sync of its own, so that neither's failure reaches the other: works
 * that are sent later rely on it.
 *
 * Failure modes:
 *  - A call fails: the server skips the rest up to the Sync and rolls back.
 *  - The statement could not be prepared (its table is made by a call in front
 *    of it), or its result has other columns now: nothing has happened; the
 *    work goes once more with its texts in full, which also gives the error
 *    that matters.
 *  - The connection breaks: what the server refused stays refused, everything
 *    else that was sent is uncertain.
 */

#include "pg/pipeline.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "pg/fault.h"
#include "pg/work.h"

/* A server keeps each for the life of the connection. */
#define MAX_PREPARED 512

struct prepared {
	char name[16];
	char *key; /* owned */
	size_t key_bytes;
	int settled; /* 1: the server has it */
};

/* All up to one Sync: a work, or what prepares a statement. */
struct synq_pg_flight {
	struct synq_link link;
	struct synq_pg_work *work; /* NULL = abandoned, or none */
	struct prepared *prepared; /* NULL = a work's */
	int failed;                /* the statement is not prepared */
	int again;                 /* the work is to be sent again */
};

struct synq_pg_pipeline {
	PGconn *handle; /* borrowed */
	struct synq_pg_pipeline_hooks hooks;
	struct synq_list flights;
	struct synq_map *prepared; /* key of a call => struct prepared */
	uint32_t names;            /* given so far */
};

static void
free_prepared(struct prepared *prepared)
{
	synq_mem_free(prepared->key);
	synq_mem_free(prepared);
}

static struct synq_pg_flight *
flight_of(struct synq_link *link)
{
	return SYNQ_CONTAINER(link, struct synq_pg_flight, link);
}

struct synq_pg_pipeline *
synq_pg_pipeline_new(PGconn *handle, const struct synq_pg_pipeline_hooks *hooks)
{
	struct synq_pg_pipeline *pipeline;

	if (PQsetnonblocking(handle, 1) || !PQenterPipelineMode(handle))
		return NULL;
	pipeline = synq_mem_new(sizeof(*pipeline));
	pipeline->handle = handle;
	pipeline->hooks = *hooks;
	pipeline->prepared = synq_map_new();
	synq_list_init(&pipeline->flights);
	return pipeline;
}

void
synq_pg_pipeline_free(struct synq_pg_pipeline **pipeline)
{
	struct synq_link *link;
	struct prepared *prepared;
	size_t cursor = 0;

	if (!*pipeline)
		return;
	while ((link = synq_list_shift(&(*pipeline)->flights)))
		synq_mem_free(flight_of(link));
	while ((prepared = synq_map_next((*pipeline)->prepared, &cursor)))
		free_prepared(prepared);
	synq_map_free(&(*pipeline)->prepared);
	synq_mem_free(*pipeline);
	*pipeline = NULL;
}

size_t
synq_pg_pipeline_count(const struct synq_pg_pipeline *pipeline)
{
	return pipeline->flights.count;
}

static struct synq_pg_flight *
add_flight(struct synq_pg_pipeline *pipeline)
{
	struct synq_pg_flight *flight = synq_mem_new(sizeof(*flight));

	synq_list_push(&pipeline->flights, &flight->link);
	return flight;
}

/* Prepare ${call} under a new name. */
static int
prepare(struct synq_pg_pipeline *pipeline, struct synq_pg_call *call)
{
	struct prepared *prepared = synq_mem_new(sizeof(*prepared));

	(void)snprintf(
	    prepared->name, sizeof(prepared->name), "s%u", pipeline->names++);
	if (!PQsendPrepare(pipeline->handle, prepared->name, call->sql,
		call->count, call->types) ||
	    !PQpipelineSync(pipeline->handle)) {
		free_prepared(prepared);
		return -SYNQ_E_UNAVAILABLE;
	}
	prepared->key = synq_mem_copy(call->key.data, call->key.bytes);
	prepared->key_bytes = call->key.bytes;
	(void)synq_map_set(pipeline->prepared,
	    synq_slice_of(prepared->key, prepared->key_bytes), prepared);
	add_flight(pipeline)->prepared = prepared;
	call->name = prepared->name;
	return 0;
}

/* Find the prepared statement of ${call}, or prepare it if there is room. */
static int
name_call(struct synq_pg_pipeline *pipeline, struct synq_pg_call *call)
{
	const struct prepared *prepared =
	    synq_map_get(pipeline->prepared, call->key);

	call->name = prepared ? prepared->name : NULL;
	if (prepared || synq_map_count(pipeline->prepared) >= MAX_PREPARED)
		return 0;
	return prepare(pipeline, call);
}

static int
send_call(PGconn *handle, const struct synq_pg_call *call)
{
	if (call->name)
		return PQsendQueryPrepared(handle, call->name, call->count,
		    call->values, call->lengths, call->formats, 1);
	return PQsendQueryParams(handle, call->sql, call->count, call->types,
	    call->values, call->lengths, call->formats, 1);
}

int
synq_pg_pipeline_send(
    struct synq_pg_pipeline *pipeline, struct synq_pg_work *work)
{
	struct synq_pg_flight *flight;

	for (size_t i = 0; i < work->count; i++) {
		work->calls[i].name = NULL;
		if (!work->unprepared && name_call(pipeline, &work->calls[i]))
			return -SYNQ_E_UNAVAILABLE;
	}
	for (size_t i = 0; i < work->count; i++) {
		if (!send_call(pipeline->handle, &work->calls[i]))
			return -SYNQ_E_UNAVAILABLE;
	}
	/* Nothing is committed as long as the Sync has not left whole. */
	if (!PQpipelineSync(pipeline->handle))
		return -SYNQ_E_UNAVAILABLE;

	flight = add_flight(pipeline);
	flight->work = work;
	work->flight = flight;
	return 0;
}

void
synq_pg_pipeline_abandon(struct synq_pg_work *work)
{
	if (!work->flight)
		return;
	work->flight->work = NULL;
	work->flight = NULL;
}

/* Keep ${result} as the rows of the next call of ${work}. */
static void
take_rows(struct synq_pg_work *work, PGresult *result)
{
	if (!work || work->rc || work->answered == work->count) {
		PQclear(result);
		return;
	}
	work->rows[work->answered++].result = result;
}

/* 1 if the error ${result} only means that a prepared statement is unfit. */
static int
is_stale(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return !strcmp(state, "26000") || !strcmp(state, "0A000");
}

static int
take_error(struct synq_pg_flight *flight, const PGresult *result)
{
	struct synq_pg_work *work = flight->work;

	/* libpq's own, when the connection broke. */
	if (!PQresultErrorField(result, PG_DIAG_SQLSTATE))
		return -SYNQ_E_UNAVAILABLE;
	if (flight->prepared)
		flight->failed = 1;
	else if (work && !work->unprepared && is_stale(result))
		flight->again = 1;
	else if (work && !work->rc)
		work->rc = synq_pg_fault_result(&work->err, result);
	return 0;
}

/* Forget the statements of ${work} that the server was thought to have. */
static void
forget_prepared(
    struct synq_pg_pipeline *pipeline, const struct synq_pg_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		struct prepared *prepared =
		    synq_map_get(pipeline->prepared, work->calls[i].key);

		if (!prepared || !prepared->settled)
			continue;
		(void)synq_map_remove(pipeline->prepared, work->calls[i].key);
		free_prepared(prepared);
	}
}

static void
end_prepare(struct synq_pg_pipeline *pipeline, struct synq_pg_flight *flight)
{
	struct prepared *prepared = flight->prepared;

	prepared->settled = 1;
	if (!flight->failed)
		return;
	(void)synq_map_remove(pipeline->prepared,
	    synq_slice_of(prepared->key, prepared->key_bytes));
	free_prepared(prepared);
}

static void
end_work(struct synq_pg_pipeline *pipeline, struct synq_pg_flight *flight)
{
	struct synq_pg_work *work = flight->work;

	if (!work)
		return;
	if (flight->again) {
		forget_prepared(pipeline, work);
		synq_pg_work_reset(work);
		work->unprepared = 1;
		pipeline->hooks.again(pipeline->hooks.ctx, work);
		return;
	}
	work->flight = NULL;
	if (!work->rc && work->answered != work->count)
		work->rc = synq_fail(&work->err, SYNQ_E_UNCERTAIN,
		    "PostgreSQL did not answer every statement");
	pipeline->hooks.ended(pipeline->hooks.ctx, work);
}

/* The Sync behind ${flight} was answered. */
static void
end_flight(struct synq_pg_pipeline *pipeline, struct synq_pg_flight *flight)
{
	synq_list_remove(&pipeline->flights, &flight->link);
	if (flight->prepared)
		end_prepare(pipeline, flight);
	else
		end_work(pipeline, flight);
	synq_mem_free(flight);
}

/* Owns ${result} from here. */
static int
take_result(struct synq_pg_pipeline *pipeline, PGresult *result)
{
	struct synq_pg_flight *flight =
	    flight_of(synq_list_first(&pipeline->flights));
	ExecStatusType status = PQresultStatus(result);
	int rc = 0;

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
	    status == PGRES_EMPTY_QUERY) {
		take_rows(flight->work, result);
		return 0;
	}
	if (status == PGRES_PIPELINE_SYNC)
		end_flight(pipeline, flight);
	else if (status == PGRES_FATAL_ERROR)
		rc = take_error(flight, result);
	else if (status != PGRES_PIPELINE_ABORTED)
		rc = -SYNQ_E_UNAVAILABLE; /* COPY and its kind */
	PQclear(result);
	return rc;
}

int
synq_pg_pipeline_take(struct synq_pg_pipeline *pipeline, size_t *ret_results)
{
	size_t results = 0;
	int empty = 0;
	int rc = 0;

	/* NULL ends the results of one call; two of them end all there is. */
	while (!rc && pipeline->flights.count && empty < 2 &&
	       !PQisBusy(pipeline->handle)) {
		PGresult *result = PQgetResult(pipeline->handle);

		empty = result ? 0 : empty + 1;
		results += result ? 1 : 0;
		if (result)
			rc = take_result(pipeline, result);
	}
	*ret_results = results;
	return rc;
}

void
synq_pg_pipeline_break(struct synq_pg_pipeline *pipeline)
{
	struct synq_link *link;

	while ((link = synq_list_shift(&pipeline->flights))) {
		struct synq_pg_flight *flight = flight_of(link);
		struct synq_pg_work *work = flight->work;
		int again = flight->again;

		synq_mem_free(flight);
		if (!work)
			continue;
		work->flight = NULL;
		if (!work->rc && !again)
			work->rc = synq_fail(&work->err, SYNQ_E_UNCERTAIN,
			    "the connection to PostgreSQL broke before the "
			    "answer");
		if (again) {
			synq_pg_work_reset(work);
			pipeline->hooks.again(pipeline->hooks.ctx, work);
		} else {
			pipeline->hooks.ended(pipeline->hooks.ctx, work);
		}
	}
}
