/*
 * What intake and dispatcher read: jobs and results of one organization,
 * providers and models, keys.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "crypto/seal.h"
#include "crypto/secret.h"
#include "fixture.h"
#include "loop/loop.h"
#include "store/catalog.h"
#include "store/jobs.h"
#include "store/keys.h"

#define MINE 0x11
#define THEIRS 0x12
#define MAX_ROWS 100

/* ---- jobs ---- */

struct listed {
	int told;
	int rc;
	size_t count;
	int64_t as_of;
	struct synq_job_row rows[MAX_ROWS]; /* without their slices */
	char body[64];
	char metadata[64];
};

static void
on_jobs(void *ctx, int rc, const struct synq_job_row *rows, size_t count,
    int64_t as_of)
{
	struct listed *listed = ctx;

	listed->told++;
	listed->rc = rc;
	listed->count = count;
	listed->as_of = as_of;
	assert_true(count <= MAX_ROWS);
	if (count == 0)
		return;
	memcpy(listed->rows, rows, count * sizeof(*rows));
	(void)snprintf(listed->body, sizeof(listed->body), "%.*s",
	    (int)rows[0].body.bytes,
	    rows[0].body.bytes > 0 ? rows[0].body.data : "");
	(void)snprintf(listed->metadata, sizeof(listed->metadata), "%.*s",
	    (int)rows[0].metadata.bytes,
	    rows[0].metadata.bytes > 0 ? rows[0].metadata.data : "");
}

/* The id of job ${n}: made in second ${n}. */
static struct synq_uuid
job_id(int n)
{
	struct synq_uuid id = id_of(0);
	const uint64_t ms = (uint64_t)n * 1000;
	int i;

	for (i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(ms >> (8 * (5 - i)));
	id.bytes[6] = 0x70;
	id.bytes[15] = 1;
	return id;
}

/* Put job ${n} of ${organization}, created in second ${n}. */
static void
put_job(uint8_t organization, int n, const char *state, const char *model)
{
	const struct synq_uuid owner = id_of(organization);
	const struct synq_uuid id = job_id(n);
	char owner_text[SYNQ_UUID_CHARS + 1];
	char id_text[SYNQ_UUID_CHARS + 1];
	char sql[1024];

	synq_uuid_format(&owner, owner_text);
	synq_uuid_format(&id, id_text);
	(void)snprintf(sql, sizeof(sql),
	    "INSERT INTO operations.job (organization_id, id, state,"
	    " state_rank, key_id, endpoint, model, priority, metadata,"
	    " created_at, deadline_at, input_tokens) VALUES ('%s', '%s', '%s',"
	    " CASE '%s' WHEN 'succeeded' THEN 9 ELSE 1 END, '%s', '/v1/x',"
	    " '%s', 0, '{\"n\": %d}', to_timestamp(%d), to_timestamp(%d), 7)",
	    owner_text, id_text, state, state, owner_text, model, n, n, n + 9);
	ask(sql);
}

static struct listed
list(uint8_t organization, struct synq_job_filter filter)
{
	const struct synq_uuid owner = id_of(organization);
	struct listed listed = { 0 };

	if (filter.limit == 0)
		filter.limit = MAX_ROWS;
	assert_int_equal(
	    synq_store_list_jobs(fix->app, &owner, &filter, on_jobs, &listed),
	    0);
	wait_for(&listed.told);
	assert_int_equal(listed.rc, 0);
	return listed;
}

/* The seconds of the rows of ${listed}, as "5 4 3". */
static const char *
seconds(const struct listed *listed)
{
	static char text[512];
	size_t used = 0;
	size_t i;

	text[0] = '\0';
	for (i = 0; i < listed->count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%lld", i > 0 ? " " : "",
		    (long long)(listed->rows[i].created_at / 1000000));
	return text;
}

static void
put_ten(void)
{
	int n;

	for (n = 101; n <= 110; n++)
		put_job(MINE, n, n % 2 ? "queued" : "succeeded",
		    n < 106 ? "small" : "large");
	put_job(THEIRS, 105, "queued", "small");
}

static void
test_list_is_newest_first_and_pages(void **state)
{
	struct synq_job_filter filter = { .limit = 4 };
	struct listed listed;

	(void)state;
	put_ten();
	listed = list(MINE, filter);
	assert_string_equal(seconds(&listed), "110 109 108 107");
	filter.after = listed.rows[3].id;
	listed = list(MINE, filter);
	assert_string_equal(seconds(&listed), "106 105 104 103");
	filter.after = listed.rows[3].id;
	listed = list(MINE, filter);
	assert_string_equal(seconds(&listed), "102 101");
	filter.after = listed.rows[1].id;
	listed = list(MINE, filter);
	assert_int_equal(listed.count, 0);
}

static void
test_list_filters(void **state)
{
	struct listed listed;

	(void)state;
	put_ten();
	listed = list(MINE,
	    (struct synq_job_filter){ .state = synq_slice_text("queued") });
	assert_string_equal(seconds(&listed), "109 107 105 103 101");
	listed = list(MINE,
	    (struct synq_job_filter){ .state = synq_slice_text("succeeded"),
		.model = synq_slice_text("large") });
	assert_string_equal(seconds(&listed), "110 108 106");
	listed = list(MINE, (struct synq_job_filter){ .created_from = 103000000,
				.created_to = 106000000 });
	assert_string_equal(seconds(&listed), "105 104 103");
	listed = list(MINE, (struct synq_job_filter){
				.metadata = synq_slice_text("{\"n\":104}") });
	assert_string_equal(seconds(&listed), "104");
	listed = list(MINE, (struct synq_job_filter){
				.model = synq_slice_text("small' OR ''='") });
	assert_int_equal(listed.count, 0);
}

static void
test_list_shows_only_one_organization(void **state)
{
	struct listed listed;

	(void)state;
	put_ten();
	listed = list(THEIRS, (struct synq_job_filter){ 0 });
	assert_string_equal(seconds(&listed), "105");
	listed = list(0x13, (struct synq_job_filter){ 0 });
	assert_int_equal(listed.count, 0);
}

static struct listed
get(uint8_t organization, int n, enum synq_job_part part)
{
	const struct synq_uuid id = job_id(n);
	const struct synq_jobs_request request = { .organization_id =
						       id_of(organization),
		.ids = &id,
		.count = 1,
		.part = part };
	struct listed listed = { 0 };

	assert_int_equal(
	    synq_store_jobs(fix->app, &request, on_jobs, &listed), 0);
	wait_for(&listed.told);
	assert_int_equal(listed.rc, 0);
	return listed;
}

static void
test_job_is_found_with_its_result(void **state)
{
	struct listed listed;

	(void)state;
	put_ten();
	ask("INSERT INTO operations.result SELECT organization_id, id, 200,"
	    " 'answer' FROM operations.job");
	listed = get(MINE, 102, SYNQ_JOB_WITH_RESULT);
	assert_int_equal(listed.count, 1);
	assert_int_equal(listed.rows[0].state, SYNQ_JOB_SUCCEEDED);
	assert_int_equal(listed.rows[0].has_body, 1);
	assert_string_equal(listed.body, "answer");
	assert_string_equal(listed.metadata, "{\"n\": 102}");
	assert_int_equal(listed.rows[0].input_tokens, 7);
	assert_int_equal(listed.rows[0].output_tokens, -1);
	assert_int_equal(listed.rows[0].started_at, 0);

	listed = get(MINE, 102, SYNQ_JOB_ROW_ONLY);
	assert_int_equal(listed.rows[0].has_body, 0);
	/* Not final: whatever lies there is not its result. */
	listed = get(MINE, 101, SYNQ_JOB_WITH_RESULT);
	assert_int_equal(listed.rows[0].has_body, 0);
}

static void
test_job_of_another_organization_is_not_found(void **state)
{
	(void)state;
	put_ten();
	assert_int_equal(get(THEIRS, 102, SYNQ_JOB_ROW_ONLY).count, 0);
	assert_int_equal(get(MINE, 111, SYNQ_JOB_ROW_ONLY).count, 0);
}

/* Until its request is recorded, a job shows only as not yet there. */
static void
test_job_without_its_request_is_not_shown(void **state)
{
	(void)state;
	ask("INSERT INTO operations.job (organization_id, id, state,"
	    " state_rank) VALUES ('11111111-1111-1111-1111-111111111111',"
	    " '00000001-8a88-7000-0000-000000000001', 'running', 2)");
	assert_int_equal(get(MINE, 101, SYNQ_JOB_ROW_ONLY).count, 0);
	assert_int_equal(list(MINE, (struct synq_job_filter){ 0 }).count, 0);
}

static void
test_as_of_is_the_least_of_the_recorder(void **state)
{
	(void)state;
	assert_int_equal(get(MINE, 1, SYNQ_JOB_ROW_ONLY).as_of, 0);
	ask("INSERT INTO platform.consumer_offset VALUES"
	    " ('recorder', 't', 0, 1, to_timestamp(20)),"
	    " ('recorder', 't', 1, 1, to_timestamp(10)),"
	    " ('another', 't', 0, 1, to_timestamp(5))");
	assert_int_equal(get(MINE, 1, SYNQ_JOB_ROW_ONLY).as_of, 10000000);
}

/* ---- keys ---- */

struct found {
	int told;
	int rc;
	int has_row;
	struct synq_key_row row;
};

static void
on_key(void *ctx, int rc, const struct synq_key_row *row)
{
	struct found *found = ctx;

	found->told++;
	found->rc = rc;
	found->has_row = row != NULL;
	if (row != NULL)
		found->row = *row;
}

static struct found
find_key(const char *key_id)
{
	struct found found = { 0 };

	assert_int_equal(synq_store_find_key(
			     fix->app, synq_slice_text(key_id), on_key, &found),
	    0);
	wait_for(&found.told);
	assert_int_equal(found.rc, 0);
	return found;
}

static void
test_key_is_found_before_its_tenant_is_known(void **state)
{
	struct found found;

	(void)state;
	ask("INSERT INTO identity.organization (id, name) VALUES"
	    " ('11111111-1111-1111-1111-111111111111', 'one');"
	    "INSERT INTO identity.api_key (organization_id, id, key_id, hash,"
	    " pepper_id, mode, expires_at) VALUES"
	    " ('11111111-1111-1111-1111-111111111111',"
	    " '22222222-2222-2222-2222-222222222222', 'aaaaaaaaaaaaaaaa',"
	    " decode(repeat('ab', 32), 'hex'), 1, 'test', to_timestamp(9))");
	found = find_key("aaaaaaaaaaaaaaaa");
	assert_int_equal(found.has_row, 1);
	assert_int_equal(found.row.organization_id.bytes[0], 0x11);
	assert_int_equal(found.row.id.bytes[0], 0x22);
	assert_int_equal(found.row.hash[31], 0xab);
	assert_int_equal(found.row.live, 0);
	assert_int_equal(found.row.expires_at, 9000000);
	assert_int_equal(found.row.revoked, 0);

	ask("UPDATE identity.organization SET deleted_at = now()");
	assert_int_equal(find_key("aaaaaaaaaaaaaaaa").row.revoked, 1);
	assert_int_equal(find_key("aaaaaaaaaaaaaaab").has_row, 0);
	assert_int_equal(find_key("' OR true --").has_row, 0);
}

/* ---- catalog ---- */

struct loaded {
	int told;
	int rc;
	struct synq_catalog *catalog;
};

static void
on_catalog(void *ctx, int rc, struct synq_catalog *catalog)
{
	struct loaded *loaded = ctx;

	loaded->told++;
	loaded->rc = rc;
	loaded->catalog = catalog;
}

static struct loaded
load(struct synq_pg *pg, const struct synq_secret *kek)
{
	struct loaded loaded = { 0 };

	assert_int_equal(synq_catalog_load(pg, kek, on_catalog, &loaded), 0);
	wait_for(&loaded.told);
	return loaded;
}

/* Two providers, of which the first has a key sealed with ${kek}. */
static void
put_catalog(const struct synq_secret *kek)
{
	struct synq_buf sql;

	synq_buf_init(&sql, 16384);
	synq_buf_text(&sql,
	    "INSERT INTO platform.provider (id, name, dialect, base_url,"
	    " enabled, sealed_key) VALUES"
	    " ('22222222-2222-2222-2222-222222222222', 'b', 'openai',"
	    " 'http://b/v1', true, NULL),"
	    " ('33333333-3333-3333-3333-333333333333', 'off', 'openai',"
	    " 'http://off/v1', false, NULL),"
	    " ('11111111-1111-1111-1111-111111111111', 'a', 'openai',"
	    " 'http://a/v1', true, '");
	assert_int_equal(
	    synq_seal(kek, 1,
		synq_slice_text(
		    "provider:11111111-1111-1111-1111-111111111111"),
		synq_slice_text("sk-secret"), &sql),
	    0);
	synq_buf_text(&sql,
	    "');"
	    "INSERT INTO platform.model (id, name, provider_id, upstream_name,"
	    " enabled) SELECT gen_random_uuid(), m.name, p.id, m.upstream,"
	    " m.enabled FROM (VALUES ('small', 'b', 'small-b', true),"
	    " ('small', 'a', 'small-a', true), ('Zed', 'a', 'zed', true),"
	    " ('gone', 'a', 'gone', false), ('off', 'off', 'off', true))"
	    " AS m (name, provider, upstream, enabled)"
	    " JOIN platform.provider p ON p.name = m.provider");
	ask(sql.data);
	synq_buf_done(&sql);
}

static void
test_catalog_has_models_in_order_with_credentials(void **state)
{
	struct synq_secret *kek = synq_secret_random(32);
	const struct synq_catalog_model *model;
	struct loaded loaded;

	(void)state;
	put_catalog(kek);
	loaded = load(fix->dispatcher, kek);
	assert_int_equal(loaded.rc, 0);
	assert_string_equal(synq_catalog_at(loaded.catalog, 0)->name, "Zed");
	assert_string_equal(synq_catalog_at(loaded.catalog, 1)->name, "small");
	assert_null(synq_catalog_at(loaded.catalog, 3));
	model = synq_catalog_find(loaded.catalog, synq_slice_text("small"));
	assert_string_equal(model->upstream_name, "small-a");
	assert_string_equal(model->provider->base_url, "http://a/v1");
	assert_true(synq_slice_is(
	    synq_secret_view(model->provider->credential), "sk-secret"));
	assert_null(synq_catalog_find(loaded.catalog, synq_slice_text("smal")));
	assert_null(
	    synq_catalog_find(loaded.catalog, synq_slice_text("smalll")));
	assert_null(synq_catalog_find(loaded.catalog, synq_slice_text("")));
	assert_null(synq_catalog_find(loaded.catalog, synq_slice_text("off")));
	synq_catalog_free(&loaded.catalog);
	synq_secret_free(&kek);
}

static void
test_intake_gets_no_credentials(void **state)
{
	struct synq_secret *kek = synq_secret_random(32);
	struct loaded loaded;

	(void)state;
	put_catalog(kek);
	loaded = load(fix->app, NULL);
	assert_int_equal(loaded.rc, 0);
	assert_null(synq_catalog_at(loaded.catalog, 0)->provider->credential);
	synq_catalog_free(&loaded.catalog);
	/* It could not even ask for them. */
	loaded = load(fix->app, kek);
	assert_int_equal(loaded.rc, -SYNQ_E_DENIED);
	assert_null(loaded.catalog);
	synq_secret_free(&kek);
}

static void
test_credential_of_another_row_does_not_open(void **state)
{
	struct synq_secret *kek = synq_secret_random(32);
	struct loaded loaded;

	(void)state;
	put_catalog(kek);
	ask("UPDATE platform.provider SET sealed_key = (SELECT sealed_key FROM"
	    " platform.provider WHERE name = 'a') WHERE name = 'b'");
	loaded = load(fix->dispatcher, kek);
	assert_int_equal(loaded.rc, -SYNQ_E_CORRUPT);
	assert_null(loaded.catalog);
	synq_secret_free(&kek);
}

static int
begin_all(void **state)
{
	struct synq_err err;

	return synq_crypto_init(&err) != 0 ? -1 : set_up(state);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up_test)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_list_is_newest_first_and_pages),
		TEST(test_list_filters),
		TEST(test_list_shows_only_one_organization),
		TEST(test_job_is_found_with_its_result),
		TEST(test_job_of_another_organization_is_not_found),
		TEST(test_job_without_its_request_is_not_shown),
		TEST(test_as_of_is_the_least_of_the_recorder),
		TEST(test_key_is_found_before_its_tenant_is_known),
		TEST(test_catalog_has_models_in_order_with_credentials),
		TEST(test_intake_gets_no_credentials),
		TEST(test_credential_of_another_row_does_not_open),
	};

	if (find_server() != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, begin_all, tear_down);
}
