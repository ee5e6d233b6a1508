/*
 * Making an id: uuid, version and tag in base32 behind "job_".
 *
 * Reading one: the text is decoded, the tag made again for the organization
 * that asks and compared in constant time.  An id that does not even decode
 * goes the same way with zeros, so that the time of the answer does not tell
 * a malformed id from a wrong one.
 *
 * The partition: every partition of the topic has a score, the hash of the
 * organization and its number; the organization's shard is those with the
 * highest scores (rendezvous hashing, Thaler and Ravishankar 1998).  Two
 * organizations rarely share a whole shard, and growing the shard keeps what
 * it had.  Within the shard the job's hash chooses, so that a repeat of the
 * same job meets its first record.
 */

#include "job/id.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "codec/text.h"
#include "crypto/hash.h"

#define PREFIX "job_"
#define PREFIX_CHARS (sizeof(PREFIX) - 1)

#define TAG_BYTES 8
/* BLAKE2b gives no less; the tag is its front. */
#define HASH_BYTES 16

/* What an id holds. */
struct content {
	struct synq_uuid job;
	uint8_t version;
	uint8_t tag[TAG_BYTES];
};

_Static_assert(sizeof(struct content) == 25, "40 characters hold 25 bytes");

static void
make_tag(const struct synq_secret *key, uint8_t version,
    const struct synq_uuid *organization, const struct synq_uuid *job,
    uint8_t ret[TAG_BYTES])
{
	uint8_t text[sizeof(*organization) + sizeof(*job) + 1];
	uint8_t hash[HASH_BYTES];

	memcpy(text, organization->bytes, sizeof(*organization));
	memcpy(text + sizeof(*organization), job->bytes, sizeof(*job));
	text[sizeof(text) - 1] = version;
	synq_hash(key, synq_slice_of(text, sizeof(text)), hash, sizeof(hash));
	memcpy(ret, hash, TAG_BYTES);
}

void
synq_job_id_format(const struct synq_secret *key, uint8_t version,
    const struct synq_uuid *organization, const struct synq_uuid *job,
    char ret[SYNQ_JOB_ID_CHARS + 1])
{
	struct content content = { .job = *job, .version = version };
	struct synq_buf text;

	make_tag(key, version, organization, job, content.tag);
	synq_buf_init(&text, SYNQ_JOB_ID_CHARS);
	synq_buf_text(&text, PREFIX);
	synq_base32_encode(&text, synq_slice_of(&content, sizeof(content)));
	assert(text.bytes == SYNQ_JOB_ID_CHARS);
	memcpy(ret, text.data, SYNQ_JOB_ID_CHARS + 1);
	synq_buf_done(&text);
}

/* What the id ${text} holds; zeros and 0 if it is none, else 1. */
static int
read_content(struct synq_slice text, struct content *ret)
{
	struct synq_buf bytes;
	int good = 0;

	memset(ret, 0, sizeof(*ret));
	if (text.bytes != SYNQ_JOB_ID_CHARS || !synq_slice_starts(text, PREFIX))
		return 0;
	text.data += PREFIX_CHARS;
	text.bytes -= PREFIX_CHARS;

	synq_buf_init(&bytes, sizeof(*ret));
	if (synq_base32_decode(&bytes, text) == 0 &&
	    bytes.bytes == sizeof(*ret)) {
		memcpy(ret, bytes.data, sizeof(*ret));
		good = 1;
	}
	synq_buf_done(&bytes);
	return good;
}

int
synq_job_id_parse(const struct synq_secret *key, uint8_t version,
    const struct synq_uuid *organization, struct synq_slice text,
    struct synq_uuid *ret)
{
	struct content content;
	uint8_t tag[TAG_BYTES];
	int good = read_content(text, &content);

	make_tag(key, version, organization, &content.job, tag);
	good &= synq_hash_equal(tag, content.tag, sizeof(tag));
	good &= content.version == version;
	if (!good)
		return -SYNQ_E_NOT_FOUND;
	*ret = content.job;
	return 0;
}

/* ---- partitions --------------------------------------------------------- */

/*
 * No secret: every intake must choose alike, for ever.  A client cannot choose
 * its organization's id, so it cannot aim.
 */
static const uint8_t partition_key[16] = { 's', 'y', 'n', 'q', '.', 'p', 'a',
	'r', 't', 'i', 't', 'i', 'o', 'n', '.', '1' };

static uint64_t
score_of(const struct synq_uuid *organization, int32_t partition)
{
	uint8_t text[sizeof(*organization) + 4];

	memcpy(text, organization->bytes, sizeof(*organization));
	for (int i = 0; i < 4; i++)
		text[sizeof(*organization) + (size_t)i] =
		    (uint8_t)((uint32_t)partition >> (8 * i));
	return synq_siphash(text, sizeof(text), partition_key);
}

/* The partition whose score is the next one below ${last}'s; -1 = the top. */
static int32_t
next_by_score(
    const struct synq_uuid *organization, int32_t partitions, int32_t last)
{
	uint64_t limit = last < 0 ? UINT64_MAX : score_of(organization, last);
	uint64_t best_score = 0;
	int32_t best = -1;

	for (int32_t i = 0; i < partitions; i++) {
		uint64_t score = score_of(organization, i);

		/* Equal scores: the lower number comes first. */
		if (last >= 0 &&
		    (score > limit || (score == limit && i <= last)))
			continue;
		if (best < 0 || score > best_score) {
			best = i;
			best_score = score;
		}
	}
	return best;
}

int32_t
synq_job_partition(const struct synq_uuid *organization,
    const struct synq_uuid *job, int32_t partitions, int32_t shard)
{
	int32_t partition = -1;
	uint64_t place;

	assert(partitions >= 1 && shard >= 1);
	if (shard > partitions)
		shard = partitions;

	place = synq_siphash(job->bytes, sizeof(job->bytes), partition_key) %
	        (uint64_t)shard;
	do {
		partition = next_by_score(organization, partitions, partition);
	} while (place-- > 0);
	return partition;
}

int32_t
synq_job_home(struct synq_homes *homes, const struct synq_uuid *organization,
    int32_t partitions)
{
	/* The end of a uuid is random. */
	const size_t at = organization->bytes[15] % SYNQ_HOMES;

	if (homes->places[at].partitions != partitions ||
	    !synq_uuid_equal(&homes->places[at].organization, organization)) {
		homes->places[at].organization = *organization;
		homes->places[at].partitions = partitions;
		homes->places[at].home = synq_job_partition(
		    organization, organization, partitions, 1);
	}
	return homes->places[at].home;
}
