#ifndef SYNQ_JOB_ID_H
#define SYNQ_JOB_ID_H

/*
 * The public job id: "job_" + base32 of (uuid v7, 16 bytes || version of the
 * tag key, 1 byte || keyed tag over organization and uuid, 8 bytes): 40
 * characters (decisions 16).  The tag lets any intake tell an id that was
 * given out, to this organization, from a made-up one, without a query.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "base/uuid.h"

struct synq_secret;

/* Characters of an id: "job_" and 40 of base32. */
#define SYNQ_JOB_ID_CHARS 44

/*
 * Write the public id of job ${job} of ${organization} and a NUL to ${ret},
 * tagged with ${key} of version ${version}.
 */
void synq_job_id_format(const struct synq_secret *key, uint8_t version,
    const struct synq_uuid *organization, const struct synq_uuid *job,
    char ret[SYNQ_JOB_ID_CHARS + 1]);

/*
 * Read the public id ${text} for ${organization} into ${ret}.  NOT_FOUND if it
 * is malformed, its tag is wrong or it belongs to another organization: one
 * answer for all, in the same time.
 */
SYNQ_MUST_CHECK int synq_job_id_parse(const struct synq_secret *key,
    uint8_t version, const struct synq_uuid *organization,
    struct synq_slice text, struct synq_uuid *ret);

/*
 * The partition of job ${job} of ${organization} among ${partitions}: the
 * organization's shard of ${shard} partitions by SipHash-2-4 with a fixed key,
 * within it by the job (decisions 2).  Golden vectors stand in the tests.
 */
int32_t synq_job_partition(const struct synq_uuid *organization,
    const struct synq_uuid *job, int32_t partitions, int32_t shard);

#define SYNQ_HOMES 256

/*
 * Where organizations with a shard of one partition lie, as far as it was
 * asked lately: the choice among all partitions costs more than the rest of
 * placing a record.  All zeros is empty.
 */
struct synq_homes {
	struct {
		struct synq_uuid organization;
		int32_t partitions; /* among how many; 0 = a free place */
		int32_t home;
	} places[SYNQ_HOMES];
};

/*
 * As synq_job_partition with a shard of one, for ${organization} among
 * ${partitions}, with the memory ${homes}.
 */
int32_t synq_job_home(struct synq_homes *homes,
    const struct synq_uuid *organization, int32_t partitions);

#endif
