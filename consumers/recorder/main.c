/*
 * synq-recorder: requests and results from the log to PostgreSQL.
 */

#include "recorder.h"
#include "service/service.h"

static const struct synq_program recorder = {
	.name = "synq-recorder",
	.summary = "record jobs, attempts and results",
	.start = recorder_start,
	.drain = recorder_drain,
	.stop = recorder_stop,
	.health = recorder_health,
};

int
main(int argc, char **argv)
{
	return synq_service_main(&recorder, argc, argv);
}
