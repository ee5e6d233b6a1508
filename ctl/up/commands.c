#include "ctl/cli.h"
#include "ctl/up/up.h"

/*
 * The commands that start, stop and show an installation.
 */

extern const struct cli_command cli_up_commands[];
const struct cli_command cli_up_commands[] = {
	{ .noun = "up",
	    .summary = "Start Kafka, PostgreSQL, Redis and Synq's programs",
	    .examples =
		"$ synq up\n"
		"$ synq --dir /srv/synq up\n"
		"$ synq -X kafka.brokers=10.0.0.5:9092 up   # an own Kafka\n",
	    .run = up_run },
	{ .noun = "down",
	    .summary = "Stop all of it, programs first",
	    .examples = "$ synq down\n",
	    .run = down_run },
	{ .noun = "status",
	    .summary = "Show every process, or addresses for a shell (-o env)",
	    .examples = "$ synq status\n"
			"$ synq status -o json\n"
			"$ eval \"$(synq status -o env)\"\n",
	    .takes_env = 1,
	    .run = status_run },
	{ .noun = "restart",
	    .args = "NAME",
	    .min_args = 1,
	    .max_args = 1,
	    .summary = "Restart one process that synq status shows",
	    .examples = "$ synq restart dispatcher-1\n"
			"$ synq restart kafka\n",
	    .run = restart_run },
	{ .noun = "scale",
	    .args = "PROGRAM N",
	    .min_args = 2,
	    .max_args = 2,
	    .summary = "Run N of intake, dispatcher or recorder",
	    .examples = "$ synq scale dispatcher 2\n",
	    .run = scale_run },
	{ .noun = "doctor",
	    .summary = "Check everything and say how to mend what is wrong",
	    .examples = "$ synq doctor\n",
	    .run = doctor_run },
	{ .noun = NULL },
};
