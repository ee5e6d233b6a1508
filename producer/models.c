/*
 * GET /v1/models: what an organization may name in "model".  A model that
 * several providers offer stands there once.
 */

#include <string.h>

#include "handlers.h"
#include "intake.h"
#include "store/catalog.h"
#include "json/write.h"

/* Some ten thousand models. */
#define LIST_MAX_BYTES (4U << 20)

static void
models_write(
    struct synq_json_writer *json, const struct synq_catalog_model *model)
{
	synq_json_open(json, '{');
	synq_json_key(json, "id");
	synq_json_text(json, model->name);
	synq_json_key(json, "object");
	synq_json_text(json, "model");
	synq_json_key(json, "created");
	synq_json_i64(json, model->created_at / 1000000);
	synq_json_key(json, "owned_by");
	synq_json_text(json, model->provider->name);
	synq_json_close(json, '}');
}

void
models_list(struct api_call *call)
{
	const struct synq_catalog *catalog = call->intake->catalog;
	const struct synq_catalog_model *model;
	const char *last = "";
	struct synq_json_writer json;
	struct synq_buf body;
	size_t i;

	synq_buf_init(&body, LIST_MAX_BYTES);
	synq_json_start(&json, &body);
	synq_json_open(&json, '{');
	synq_json_key(&json, "object");
	synq_json_text(&json, "list");
	synq_json_key(&json, "data");
	synq_json_open(&json, '[');
	for (i = 0; (model = synq_catalog_at(catalog, i)) != NULL; i++) {
		if (strcmp(model->name, last) != 0)
			models_write(&json, model);
		last = model->name;
	}
	synq_json_close(&json, ']');
	synq_json_close(&json, '}');
	api_answer(call, 200, synq_buf_view(&body));
	synq_buf_done(&body);
}

void
models_get(struct api_call *call)
{
	const struct api_error unknown = {
		.status = 404, .code = "model_not_found", .param = "model"
	};
	const struct synq_catalog_model *model =
	    synq_catalog_find(call->intake->catalog, call->segment);
	struct synq_json_writer json;
	struct synq_buf body;

	if (model == NULL) {
		api_refuse(call, &unknown,
		    "The model '%.*s' does not exist. GET /v1/models lists "
		    "those that do.",
		    (int)(call->segment.bytes > 256 ? 256
						    : call->segment.bytes),
		    call->segment.data);
		return;
	}
	synq_buf_init(&body, 4096);
	synq_json_start(&json, &body);
	models_write(&json, model);
	api_answer(call, 200, synq_buf_view(&body));
	synq_buf_done(&body);
}
