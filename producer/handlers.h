#ifndef SYNQ_INTAKE_HANDLERS_H
#define SYNQ_INTAKE_HANDLERS_H

/*
 * The handlers that routes.def names; each answers its call, now or later.
 */

#include "api.h"

/* openai.c: answered synchronously, or 202 with Prefer: respond-async. */
void openai_chat(struct api_call *call);
/* POST /v1/completions. */
void openai_completions(struct api_call *call);
/* POST /v1/embeddings. */
void openai_embeddings(struct api_call *call);

/* models.c: GET /v1/models. */
void models_list(struct api_call *call);
/* GET /v1/models/{model}. */
void models_get(struct api_call *call);

/* submit.c: POST /v1/jobs. */
void jobs_submit(struct api_call *call);

/* jobs.c: GET /v1/jobs. */
void jobs_list(struct api_call *call);
/* GET /v1/jobs/{id}. */
void jobs_get(struct api_call *call);
/* GET /v1/jobs/{id}/result. */
void jobs_result(struct api_call *call);
/* POST /v1/jobs/{id}/cancel. */
void jobs_cancel(struct api_call *call);

/* probe.c: /livez, /readyz, /metrics. */
void probe_answer(struct api_call *call);

#endif
