#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "job/id.h"

static struct synq_secret *key;

static int
make_key(void **state)
{
	(void)state;
	uint8_t bytes[32];

	if (synq_crypto_init(NULL) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	key = synq_secret_new(synq_slice_of(bytes, sizeof(bytes)));
	return 0;
}

static int
free_key(void **state)
{
	(void)state;
	synq_secret_free(&key);
	return 0;
}

static struct synq_uuid
uuid_of(uint8_t n)
{
	struct synq_uuid id = { { 0x01, 0x90, 0xa0, 0xb1, 0xc2, 0xd3, 0x7e,
	    0x4f, 0x8a, 0x5b, 0, 0, 0, 0, 0, n } };

	return id;
}

static int
parse(uint8_t version, uint8_t organization, const char *text,
    struct synq_uuid *ret)
{
	struct synq_uuid org = uuid_of(organization);

	return synq_job_id_parse(
	    key, version, &org, synq_slice_text(text), ret);
}

/* Made with another implementation of BLAKE2b and base32. */
static const struct {
	uint8_t version;
	uint8_t organization;
	uint8_t job;
	const char *id;
} golden_ids[] = {
	{ 1, 2, 1, "job_068a1ce2tdz4z2jv00000000040hm31kjqddgdx1" },
	{ 2, 2, 1, "job_068a1ce2tdz4z2jv00000000041e5ea39gp852a1" },
	{ 1, 3, 1, "job_068a1ce2tdz4z2jv00000000040jn6kc633qas7g" },
	{ 255, 2, 9, "job_068a1ce2tdz4z2jv0000000017zx9fcpejmrznwx" },
};

static void
test_id_gives_golden_vectors_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(golden_ids); i++) {
		struct synq_uuid org = uuid_of(golden_ids[i].organization);
		struct synq_uuid job = uuid_of(golden_ids[i].job);
		struct synq_uuid got = { { 0 } };
		char text[SYNQ_JOB_ID_CHARS + 1];

		synq_job_id_format(
		    key, golden_ids[i].version, &org, &job, text);
		assert_string_equal(text, golden_ids[i].id);
		assert_int_equal(parse(golden_ids[i].version,
				     golden_ids[i].organization, text, &got),
		    0);
		assert_true(synq_uuid_equal(&got, &job));
	}
}

/* Any one character changed to any other makes an id unknown. */
static void
test_id_refuses_every_changed_character(void **state)
{
	(void)state;
	static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

	for (size_t i = 0; i < SYNQ_JOB_ID_CHARS; i++) {
		for (const char *c = alphabet; *c; c++) {
			char text[SYNQ_JOB_ID_CHARS + 1];
			struct synq_uuid got;

			memcpy(text, golden_ids[0].id, sizeof(text));
			if (text[i] == *c)
				continue;
			text[i] = *c;
			assert_int_equal(
			    parse(1, 2, text, &got), -SYNQ_E_NOT_FOUND);
		}
	}
}

static void
test_id_is_unknown_to_other_organizations_and_key_versions(void **state)
{
	(void)state;
	struct synq_uuid got;

	assert_int_equal(
	    parse(1, 3, golden_ids[0].id, &got), -SYNQ_E_NOT_FOUND);
	assert_int_equal(
	    parse(2, 2, golden_ids[0].id, &got), -SYNQ_E_NOT_FOUND);
}

static void
test_id_refuses_malformed_text(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"job_",
		"job_068a1ce2tdz4z2jv00000000040hm31kjqddgdx",
		"job_068a1ce2tdz4z2jv00000000040hm31kjqddgdx11",
		"JOB_068a1ce2tdz4z2jv00000000040hm31kjqddgdx1",
		"job_068A1CE2TDZ4Z2JV00000000040HM31KJQDDGDX1",
		"job-068a1ce2tdz4z2jv00000000040hm31kjqddgdx1",
		"job_068a1ce2tdz4z2jv00000000040hm31kjqddgdxu",
		"job_0000000000000000000000000000000000000000",
		"job_068a1ce2tdz4z2jv00000000040hm31kjqddg/..",
	};
	struct synq_uuid got;

	for (size_t i = 0; i < SYNQ_COUNT(texts); i++)
		assert_int_equal(
		    parse(1, 2, texts[i], &got), -SYNQ_E_NOT_FOUND);
}

/* Made with another implementation of SipHash; never to change. */
static void
test_partition_gives_golden_vectors(void **state)
{
	(void)state;
	static const struct {
		uint8_t organization;
		uint8_t job;
		int32_t partitions;
		int32_t shard;
		int32_t partition;
	} golden[] = {
		{ 1, 1, 16, 1, 3 },
		{ 2, 1, 16, 1, 13 },
		{ 3, 1, 16, 1, 5 },
		{ 4, 9, 16, 1, 14 },
		{ 1, 1, 64, 1, 57 },
		{ 1, 1, 64, 4, 57 },
		{ 1, 2, 64, 4, 36 },
		{ 1, 3, 64, 4, 57 },
		{ 1, 4, 64, 4, 43 },
		{ 1, 5, 16, 16, 6 },
		{ 7, 8, 1, 1, 0 },
		{ 7, 8, 3, 9, 1 },
	};

	for (size_t i = 0; i < SYNQ_COUNT(golden); i++) {
		struct synq_uuid org = uuid_of(golden[i].organization);
		struct synq_uuid job = uuid_of(golden[i].job);

		assert_int_equal(synq_job_partition(&org, &job,
				     golden[i].partitions, golden[i].shard),
		    golden[i].partition);
	}
}

static void
test_partition_of_one_organization_stays_within_its_shard(void **state)
{
	(void)state;
	struct synq_uuid org = uuid_of(42);
	uint64_t used = 0;
	int count = 0;

	for (int i = 0; i < 256; i++) {
		struct synq_uuid job = uuid_of((uint8_t)i);
		int32_t partition = synq_job_partition(&org, &job, 64, 4);

		assert_in_range(partition, 0, 63);
		used |= (uint64_t)1 << partition;
	}
	for (int i = 0; i < 64; i++)
		count += (int)(used >> i & 1);
	assert_int_equal(count, 4);
}

/* What an organization had stays its own when its shard grows. */
static void
test_partition_shards_grow_around_what_they_had(void **state)
{
	(void)state;
	struct synq_uuid org = uuid_of(77);
	uint64_t before = 0;

	for (int32_t shard = 1; shard <= 8; shard++) {
		uint64_t used = 0;

		for (int i = 0; i < 256; i++) {
			struct synq_uuid job = uuid_of((uint8_t)i);

			used |= (uint64_t)1
			        << synq_job_partition(&org, &job, 16, shard);
		}
		assert_true((used & before) == before);
		before = used;
	}
}

/* 4,096 organizations over 16 partitions: 256 each, within 6 deviations. */
static void
test_partition_spreads_organizations(void **state)
{
	(void)state;
	static struct synq_homes homes;
	int counts[16] = { 0 };

	for (int i = 0; i < 4096; i++) {
		struct synq_uuid org = uuid_of((uint8_t)i);
		struct synq_uuid job = uuid_of(1);

		org.bytes[0] = (uint8_t)(i >> 8);
		counts[synq_job_partition(&org, &job, 16, 1)]++;
		assert_int_equal(synq_job_home(&homes, &org, 16),
		    synq_job_partition(&org, &job, 16, 1));
		assert_int_equal(synq_job_home(&homes, &org, 3),
		    synq_job_partition(&org, &job, 3, 1));
	}
	for (int i = 0; i < 16; i++)
		assert_in_range(counts[i], 256 - 93, 256 + 93);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_id_gives_golden_vectors_both_ways),
		cmocka_unit_test(test_id_refuses_every_changed_character),
		cmocka_unit_test(
		    test_id_is_unknown_to_other_organizations_and_key_versions),
		cmocka_unit_test(test_id_refuses_malformed_text),
		cmocka_unit_test(test_partition_gives_golden_vectors),
		cmocka_unit_test(
		    test_partition_of_one_organization_stays_within_its_shard),
		cmocka_unit_test(
		    test_partition_shards_grow_around_what_they_had),
		cmocka_unit_test(test_partition_spreads_organizations),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
