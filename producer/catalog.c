/*
 * Happy path: load, listen for clients if that was the first time, load again
 * after a while.
 *
 * Failure modes: a load that fails leaves the last copy in force and is tried
 * again; one that was overtaken by a change, of which it may know nothing, is
 * followed by another.
 */

#include "catalog.h"

#include "intake.h"
#include "loop/loop.h"
#include "service/service.h"
#include "store/catalog.h"

#define CATALOG_AGAIN_US 500000
#define CATALOG_REFRESH_US 30000000ULL

static void
catalog_on_loaded(void *ctx, int rc, struct synq_catalog *catalog)
{
	struct intake *intake = ctx;
	struct synq_err err;

	intake->catalog_loading = 0;
	if (rc != 0) {
		synq_timer_start(intake->refresh, CATALOG_AGAIN_US);
		return;
	}
	synq_catalog_free(&intake->catalog);
	intake->catalog = catalog;
	if (intake->catalog_again)
		catalog_load(intake);
	else
		synq_timer_start(intake->refresh, CATALOG_REFRESH_US);
	if (intake->httpd == NULL && !synq_service_draining(intake->service) &&
	    intake_listen(intake, &err) != 0)
		synq_service_fail(intake->service, &err);
}

void
catalog_load(struct intake *intake)
{
	if (intake->catalog_loading)
		return;
	intake->catalog_again = 0;
	if (synq_catalog_load(intake->pg, NULL, catalog_on_loaded, intake) == 0)
		intake->catalog_loading = 1;
	else
		synq_timer_start(intake->refresh, CATALOG_AGAIN_US);
}

void
catalog_changed(struct intake *intake)
{
	if (intake->catalog_loading)
		intake->catalog_again = 1;
	else if (intake->httpd != NULL) /* else the first load is to come */
		catalog_load(intake);
}
