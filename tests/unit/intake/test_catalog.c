/*
 * When the models are loaded.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "loop/loop.h"
#include "producer/catalog.h"
#include "producer/intake.h"
#include "service/service.h"
#include "store/catalog.h"

static struct intake intake;
static synq_catalog_fn *loaded; /* of the load that runs; NULL = none */
static size_t loads;
static size_t listens;

int
synq_catalog_load(struct synq_pg *pg, const struct synq_secret *kek,
    synq_catalog_fn *fn, void *ctx)
{
	(void)pg;
	(void)kek;
	assert_null(loaded); /* one at a time */
	assert_ptr_equal(&intake, ctx);
	loaded = fn;
	loads++;
	return 0;
}

void
synq_catalog_free(struct synq_catalog **catalog)
{
	*catalog = NULL;
}

int
synq_service_draining(const struct synq_service *service)
{
	(void)service;
	return 0;
}

void
synq_service_fail(struct synq_service *service, const struct synq_err *err)
{
	(void)service;
	(void)err;
	fail();
}

int
intake_listen(struct intake *of, struct synq_err *err)
{
	static char httpd;

	(void)err;
	of->httpd = (struct synq_httpd *)(void *)&httpd;
	listens++;
	return 0;
}

static void
end_load(int rc)
{
	synq_catalog_fn *fn = loaded;

	assert_non_null(fn);
	loaded = NULL;
	fn(&intake, rc, NULL);
}

static void
nothing(void *ctx)
{
	(void)ctx;
}

static int
setup(void **state)
{
	(void)state;
	memset(&intake, 0, sizeof(intake));
	loaded = NULL;
	loads = listens = 0;
	assert_int_equal(0, synq_loop_new(&intake.loop, NULL));
	intake.refresh = synq_timer_new(intake.loop, nothing, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	synq_timer_free(&intake.refresh);
	synq_loop_free(&intake.loop);
	return 0;
}

static void
test_clients_are_listened_for_once_models_are_known(void **state)
{
	(void)state;
	catalog_changed(&intake); /* of the log's past */
	assert_int_equal(0, loads);
	catalog_load(&intake);
	end_load(-SYNQ_E_UNAVAILABLE);
	assert_int_equal(0, listens);
	catalog_load(&intake);
	end_load(0);
	catalog_changed(&intake);
	end_load(0);
	assert_int_equal(3, loads);
	assert_int_equal(1, listens);
}

static void
test_models_that_changed_meanwhile_are_loaded_again(void **state)
{
	(void)state;
	catalog_load(&intake);
	catalog_changed(&intake);
	catalog_changed(&intake);
	assert_int_equal(1, loads);
	end_load(0);
	assert_int_equal(2, loads);
	end_load(0);
	assert_int_equal(2, loads);
	assert_true(synq_timer_active(intake.refresh));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_clients_are_listened_for_once_models_are_known),
		TEST(test_models_that_changed_meanwhile_are_loaded_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
