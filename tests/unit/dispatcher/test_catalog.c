/*
 * When the catalog is loaded.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "consumers/dispatcher/announce.h"
#include "consumers/dispatcher/catalog.h"
#include "consumers/dispatcher/dispatcher.h"
#include "kafka/reader.h"
#include "loop/loop.h"
#include "proto/signal.h"
#include "service/service.h"
#include "store/catalog.h"
#include "world.h"

static struct dispatcher dispatcher;
static struct synq_reader_request control;
static synq_catalog_fn *loaded; /* of the load that runs; NULL = none */
static size_t loads;
static struct synq_config config = { .dispatcher_catalog_refresh_s = 30 };

int
synq_catalog_load(struct synq_pg *pg, const struct synq_secret *kek,
    synq_catalog_fn *fn, void *ctx)
{
	(void)pg;
	(void)kek;
	assert_null(loaded); /* one at a time */
	assert_ptr_equal(&dispatcher, ctx);
	loaded = fn;
	loads++;
	return 0;
}

void
announce_life(struct dispatcher *of)
{
	(void)of;
}

void
announce_heard(struct dispatcher *of, struct synq_slice text)
{
	(void)of;
	(void)text;
}

struct synq_reader_stream *
synq_reader_open(
    struct synq_reader *reader, const struct synq_reader_request *request)
{
	(void)reader;
	control = *request;
	return NULL;
}

const struct synq_config *
synq_service_config(const struct synq_service *service)
{
	(void)service;
	return &config;
}

static void
end_load(int rc)
{
	synq_catalog_fn *fn = loaded;

	assert_non_null(fn);
	loaded = NULL;
	fn(&dispatcher, rc, NULL);
}

/* synq.control says that the catalog changed. */
static void
change(void)
{
	const struct synq_control said = { .kind = SYNQ_CONTROL_CATALOG,
		.object_id = synq_slice_text("stub"),
		.changed_at = 1 };
	struct synq_kafka_message message = { .topic = "synq.control" };
	struct synq_buf value;

	synq_buf_init(&value, 4096);
	synq_control_encode(&said, &value);
	message.value = synq_buf_view(&value);
	control.events.on_message(control.ctx, &message);
	synq_buf_done(&value);
}

static void
nothing(void *ctx)
{
	(void)ctx;
}

static int
setup(void **state)
{
	const struct world *world;

	if (world_setup(state) != 0)
		return -1;
	world = *state;
	memset(&dispatcher, 0, sizeof(dispatcher));
	dispatcher.core = world->core;
	loaded = NULL;
	loads = 0;
	assert_int_equal(0, synq_loop_new(&dispatcher.loop, NULL));
	dispatcher.refresh = synq_timer_new(dispatcher.loop, nothing, NULL);
	catalog_follow(&dispatcher);
	return 0;
}

static int
teardown(void **state)
{
	synq_timer_free(&dispatcher.refresh);
	synq_loop_free(&dispatcher.loop);
	return world_teardown(state);
}

/* What is read from the log's past asks for nothing. */
static void
test_catalog_is_loaded_at_the_end_of_the_log(void **state)
{
	(void)state;
	change();
	assert_int_equal(0, loads);
	control.events.on_caught_up(control.ctx);
	assert_int_equal(1, loads);
	end_load(0);
	assert_true(synq_timer_active(dispatcher.refresh));
	assert_int_equal(1, loads);
}

static void
test_catalog_that_changed_meanwhile_is_loaded_again(void **state)
{
	(void)state;
	catalog_load(&dispatcher);
	change();
	change();
	assert_int_equal(1, loads);
	end_load(0);
	assert_int_equal(2, loads);
	end_load(0);
	assert_int_equal(2, loads);
	assert_true(synq_timer_active(dispatcher.refresh));
}

static void
test_catalog_that_could_not_be_loaded_is_tried_later(void **state)
{
	(void)state;
	catalog_load(&dispatcher);
	change();
	end_load(-SYNQ_E_UNAVAILABLE);
	assert_int_equal(1, loads);
	assert_true(synq_timer_active(dispatcher.refresh));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_catalog_is_loaded_at_the_end_of_the_log),
		TEST(test_catalog_that_changed_meanwhile_is_loaded_again),
		TEST(test_catalog_that_could_not_be_loaded_is_tried_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
