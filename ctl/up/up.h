#ifndef CTL_UP_UP_H
#define CTL_UP_UP_H

/*
 * The commands of this folder, one function each; they are in the table of
 * commands.c.
 */

#include "ctl/cli.h"

/* synq up: start everything, or find it running. */
int up_run(struct cli *cli);

/* synq down: stop everything. */
int down_run(struct cli *cli);

/* synq restart NAME */
int restart_run(struct cli *cli);

/* synq scale PROGRAM N */
int scale_run(struct cli *cli);

/* synq status */
int status_run(struct cli *cli);

/* synq doctor */
int doctor_run(struct cli *cli);

/* Tell people where the running installation of ${cli} is reached. */
void status_tell_addresses(struct cli *cli);

#endif
