#ifndef CTL_JOB_SHOW_H
#define CTL_JOB_SHOW_H

/*
 * Jobs as the API sends them, on the standard output.
 */

#include "base/attr.h"
#include "base/slice.h"
#include "ctl/cli.h"
#include "json/scan.h"

struct show_list;

/* Write the job object ${job} in the format of ${cli}; returns the exit code.
 */
int show_job(const struct cli *cli, struct synq_json job);

/* An empty list of jobs in the format of ${cli}; the caller frees it. */
struct show_list *show_list_new(const struct cli *cli);

/*
 * Add the page ${body} of GET /v1/jobs to ${list}; the id behind which the next
 * page begins replaces what is in ${after}, nothing if there is none.  Returns
 * the exit code.
 */
SYNQ_MUST_CHECK int show_list_add(
    struct show_list *list, struct synq_slice body, struct synq_buf *after);

/* Write what is left of ${list}; returns the exit code. */
int show_list_end(struct show_list *list);

/* Free *${list}; sets it to NULL. */
void show_list_free(struct show_list **list);

#endif
