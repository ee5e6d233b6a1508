#ifndef CTL_JOB_SUBMIT_H
#define CTL_JOB_SUBMIT_H

/*
 * The command "job submit".
 */

#include "ctl/cli.h"

/* Its flags. */
extern const struct cli_flag submit_flags[];

/* Do it; returns the exit code. */
int submit_run(struct cli *cli);

#endif
