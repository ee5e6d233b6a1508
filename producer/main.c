/*
 * synq-intake: HTTP requests onto the log, results back.
 */

#include "intake.h"
#include "service/service.h"

static const struct synq_program intake = {
	.name = "synq-intake",
	.summary = "accept requests over HTTP",
	.start = intake_start,
	.drain = intake_drain,
	.stop = intake_stop,
	.reload = intake_reload,
	.health = intake_health,
	.measure = intake_measure,
};

int
main(int argc, char **argv)
{
	return synq_service_main(&intake, argc, argv);
}
