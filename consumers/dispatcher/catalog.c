/*
 * The catalog: loaded once before anything is consumed, then every
 * catalog_refresh_s and whenever synq.control names it.  A load that fails
 * leaves the last copy in force and is tried again; one that was overtaken by a
 * change, of which it may know nothing, is followed by another.
 */

#include "catalog.h"

#include "announce.h"
#include "base/log.h"
#include "dispatcher.h"
#include "kafka/reader.h"
#include "loop/loop.h"
#include "service/service.h"
#include "store/catalog.h"

/* How soon to try again after a load that failed. */
#define CATALOG_AGAIN_US 500000

static void
catalog_on_loaded(void *ctx, int rc, struct synq_catalog *catalog)
{
	struct dispatcher *dispatcher = ctx;
	const struct synq_config *config =
	    synq_service_config(dispatcher->service);

	dispatcher->catalog_loading = 0;
	if (rc != 0) {
		synq_log(SYNQ_LOG_WARN, "catalog.not_loaded",
		    SYNQ_F_TEXT("reason", synq_err_text(rc)), SYNQ_F_END);
		synq_timer_start(dispatcher->refresh, CATALOG_AGAIN_US);
		return;
	}
	core_set_catalog(dispatcher->core, catalog);
	if (dispatcher->catalog_again)
		catalog_load(dispatcher);
	else
		synq_timer_start(dispatcher->refresh,
		    (uint64_t)config->dispatcher_catalog_refresh_s * 1000000);
	announce_life(dispatcher);
}

void
catalog_load(struct dispatcher *dispatcher)
{
	if (dispatcher->catalog_loading)
		return;
	dispatcher->catalog_again = 0;
	if (synq_catalog_load(dispatcher->pg, dispatcher->kek,
		catalog_on_loaded, dispatcher) == 0)
		dispatcher->catalog_loading = 1;
	else
		synq_timer_start(dispatcher->refresh, CATALOG_AGAIN_US);
}

static void
catalog_on_control(void *ctx, const struct synq_kafka_message *message)
{
	struct dispatcher *dispatcher = ctx;
	struct synq_control control;

	if (synq_control_decode(message->value, &control) != 0)
		return;
	if (control.kind == SYNQ_CONTROL_LIFE)
		announce_heard(dispatcher, control.object_id);
	else if (control.kind != SYNQ_CONTROL_CATALOG)
		return;
	else if (dispatcher->catalog_loading)
		dispatcher->catalog_again = 1;
	else if (dispatcher->joined)
		catalog_load(dispatcher);
}

static void
catalog_on_caught_up(void *ctx)
{
	catalog_load(ctx);
}

void
catalog_follow(struct dispatcher *dispatcher)
{
	const struct synq_reader_request request = {
		.topic = SYNQ_TOPIC_CONTROL,
		.partition = 0,
		.from = SYNQ_READ_FIRST,
		.events = { .on_message = catalog_on_control,
		    .on_caught_up = catalog_on_caught_up },
		.ctx = dispatcher,
	};

	dispatcher->control = synq_reader_open(dispatcher->reader, &request);
}
