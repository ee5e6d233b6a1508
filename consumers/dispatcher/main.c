/*
 * synq-dispatcher: requests from the log to the providers, results to the log.
 */

#include "dispatcher.h"
#include "service/service.h"

static const struct synq_program dispatcher = {
	.name = "synq-dispatcher",
	.summary = "call providers for accepted requests",
	.calls_providers = 1,
	.start = dispatcher_start,
	.drain = dispatcher_drain,
	.stop = dispatcher_stop,
	.reload = dispatcher_reload,
	.health = dispatcher_health,
	.measure = dispatcher_measure,
};

int
main(int argc, char **argv)
{
	return synq_service_main(&dispatcher, argc, argv);
}
