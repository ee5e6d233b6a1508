/*
 * The operational paths on the clients' port too, for load balancers.
 */

#include "handlers.h"
#include "intake.h"
#include "service/service.h"

/* A thousand series of a hundred bytes each, ten times over. */
#define PROBE_MAX_BYTES (1U << 20)

void
probe_answer(struct api_call *call)
{
	const char *type = NULL;
	struct synq_buf body;
	int status;

	synq_buf_init(&body, PROBE_MAX_BYTES);
	status = synq_service_probe(call->intake->service,
	    synq_exchange_path(call->exchange),
	    synq_exchange_query(call->exchange), &type, &body);
	call->stage = API_ANSWERED;
	synq_exchange_answer(
	    call->exchange, status, type, synq_buf_view(&body));
	synq_buf_done(&body);
}
