/*
 * The cache in front of the keys, over a store, a pool and a clock that this
 * file plays: a question stays open until a test answers it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "crypto/secret.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "store/keys.h"
#include "tenant/auth.h"
#include "tenant/key.h"

#define MAX_QUESTIONS 8
#define SECOND_US UINT64_C(1000000)

struct question {
	char key_id[17];
	synq_key_found_fn *fn;
	void *ctx;
};

/* What the fakes show and what they were asked. */
static uint64_t now_us;
static int64_t wall_us;
static int healthy;
static int busy;
static struct question questions[MAX_QUESTIONS];
static size_t asked;    /* questions so far */
static size_t answered; /* of them */

static struct synq_auth *auth;
static struct synq_secret *pepper;
static struct synq_secret *key;
static struct synq_key_parts parts;
static char header[128];

uint64_t
synq_loop_now_us(const struct synq_loop *loop)
{
	(void)loop;
	return now_us;
}

int64_t
synq_loop_wall_us(const struct synq_loop *loop)
{
	(void)loop;
	return wall_us;
}

/* The one timer that can run at a time here. */
struct synq_timer {
	synq_loop_fn *fn;
	void *ctx;
	uint64_t due_us; /* 0 = stopped */
};
static struct synq_timer timer;

struct synq_timer *
synq_timer_new(struct synq_loop *loop, synq_loop_fn *fn, void *ctx)
{
	(void)loop;
	assert_null(timer.fn);
	timer.fn = fn;
	timer.ctx = ctx;
	return &timer;
}

void
synq_timer_start(struct synq_timer *at, uint64_t delay_us)
{
	at->due_us = now_us + delay_us;
}

void
synq_timer_free(struct synq_timer **at)
{
	if (*at != NULL)
		**at = (struct synq_timer){ .due_us = 0 };
	*at = NULL;
}

/* Let ${us} pass. */
static void
pass(uint64_t us)
{
	now_us += us;
	if (timer.due_us != 0 && timer.due_us <= now_us) {
		timer.due_us = 0;
		timer.fn(timer.ctx);
	}
}

int
synq_pg_healthy(const struct synq_pg *pg)
{
	(void)pg;
	return healthy;
}

int
synq_store_find_key(struct synq_pg *pg, struct synq_slice key_id,
    synq_key_found_fn *fn, void *ctx)
{
	struct question *question = &questions[asked % MAX_QUESTIONS];

	(void)pg;
	if (busy)
		return -SYNQ_E_BUSY;
	(void)snprintf(question->key_id, sizeof(question->key_id), "%.*s",
	    (int)key_id.bytes, key_id.data);
	question->fn = fn;
	question->ctx = ctx;
	asked++;
	return 0;
}

/* Answer the oldest open question. */
static void
answer(int rc, const struct synq_key_row *row)
{
	const struct question question = questions[answered % MAX_QUESTIONS];

	assert_true(answered < asked);
	answered++;
	question.fn(question.ctx, rc, row);
}

/* What a check that waited was told. */
struct told {
	int count;
	enum synq_auth_answer answer;
	struct synq_principal principal;
	int has_principal;
};

static void
on_told(
    void *ctx, enum synq_auth_answer is, const struct synq_principal *principal)
{
	struct told *told = ctx;

	told->count++;
	told->answer = is;
	told->has_principal = principal != NULL;
	if (principal != NULL)
		told->principal = *principal;
}

static struct synq_key_row
row(void)
{
	struct synq_key_row ret = { .pepper_id = 1, .live = 1 };

	memset(ret.id.bytes, 7, 16);
	memset(ret.organization_id.bytes, 8, 16);
	synq_key_hash(pepper, parts.secret, ret.hash);
	return ret;
}

/* Check ${text}; -1 if it waits, else the answer. */
static int
check(const char *text, struct told *told)
{
	struct synq_auth_result result;

	if (synq_auth_check(
		auth, synq_slice_text(text), &result, on_told, told))
		return (int)result.answer;
	return -1;
}

/* Put the key into the cache. */
static void
load(void)
{
	const struct synq_key_row found = row();
	struct told told = { 0 };

	assert_int_equal(check(header, &told), -1);
	answer(0, &found);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.answer, SYNQ_AUTH_OK);
}

static int
set_up(void **state)
{
	const struct synq_auth_config config = {
		.pepper_id = 1, .refresh_s = 30, .pepper = pepper
	};

	(void)state;
	now_us = 1000 * SECOND_US;
	wall_us = 1000;
	healthy = 1;
	busy = 0;
	asked = 0;
	answered = 0;
	auth = synq_auth_new(NULL, NULL, &config);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	synq_auth_free(&auth);
	/* The store still knows these. */
	while (answered < asked)
		answer(0, NULL);
	return 0;
}

static void
test_headers_that_hold_no_key_cost_no_query(void **state)
{
	struct told told = { 0 };
	char broken[128];

	(void)state;
	memcpy(broken, header, sizeof(broken));
	broken[40] = broken[40] == 'a' ? 'b' : 'a';
	assert_int_equal(check("", &told), SYNQ_AUTH_MISSING);
	assert_int_equal(check("  ", &told), SYNQ_AUTH_MISSING);
	assert_int_equal(check("Bearer", &told), SYNQ_AUTH_MALFORMED);
	assert_int_equal(check("Bearer ", &told), SYNQ_AUTH_MALFORMED);
	assert_int_equal(check("Basic abc", &told), SYNQ_AUTH_MALFORMED);
	assert_int_equal(check("Bearer sk-abc", &told), SYNQ_AUTH_MALFORMED);
	assert_int_equal(check(header + 7, &told), SYNQ_AUTH_MALFORMED);
	assert_int_equal(check(broken, &told), SYNQ_AUTH_MALFORMED);
	assert_int_equal(asked, 0);
}

static void
test_key_is_loaded_once_and_kept(void **state)
{
	const struct synq_key_row found = row();
	struct told first = { 0 };
	struct told second = { 0 };

	(void)state;
	assert_int_equal(check(header, &first), -1);
	assert_int_equal(check(header, &second), -1);
	assert_int_equal(asked, 1);
	assert_memory_equal(questions[0].key_id, parts.key_id.data, 16);
	answer(0, &found);
	assert_int_equal(first.count, 1);
	assert_int_equal(second.count, 1);
	assert_int_equal(first.answer, SYNQ_AUTH_OK);
	assert_true(synq_uuid_equal(
	    &first.principal.organization_id, &found.organization_id));
	assert_true(synq_uuid_equal(&first.principal.key_row_id, &found.id));
	assert_int_equal(check(header, &first), SYNQ_AUTH_OK);
	assert_int_equal(asked, 1);
}

static void
test_key_is_read_again_after_its_age(void **state)
{
	struct told told = { 0 };

	(void)state;
	load();
	now_us += 30 * SECOND_US - 1;
	assert_int_equal(check(header, &told), SYNQ_AUTH_OK);
	now_us += 1;
	assert_int_equal(check(header, &told), -1);
	answer(0, NULL);
	assert_int_equal(told.answer, SYNQ_AUTH_UNKNOWN);
	assert_false(told.has_principal);
}

static void
test_unknown_key_is_kept_for_five_seconds(void **state)
{
	struct told told = { 0 };

	(void)state;
	assert_int_equal(check(header, &told), -1);
	answer(0, NULL);
	assert_int_equal(told.answer, SYNQ_AUTH_UNKNOWN);
	now_us += 5 * SECOND_US - 1;
	assert_int_equal(check(header, &told), SYNQ_AUTH_UNKNOWN);
	now_us += 1;
	assert_int_equal(check(header, &told), -1);
}

/* Whoever guesses sees the same as for a key that is not there. */
static void
test_wrong_secret_mode_or_pepper_is_unknown(void **state)
{
	struct synq_key_row found = row();
	struct told told = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		found = row();
		found.hash[31] ^= i == 0;
		found.live ^= i == 1;
		found.pepper_id += i == 2;
		now_us += 60 * SECOND_US;
		assert_int_equal(check(header, &told), -1);
		answer(0, &found);
		assert_int_equal(told.answer, SYNQ_AUTH_UNKNOWN);
		assert_false(told.has_principal);
	}
}

static void
test_revoked_and_expired_keys_are_refused(void **state)
{
	struct synq_key_row found = row();
	struct told told = { 0 };

	(void)state;
	found.revoked = 1;
	assert_int_equal(check(header, &told), -1);
	answer(0, &found);
	assert_int_equal(told.answer, SYNQ_AUTH_REVOKED);

	found.revoked = 0;
	found.expires_at = wall_us + 1;
	now_us += 60 * SECOND_US;
	assert_int_equal(check(header, &told), -1);
	answer(0, &found);
	assert_int_equal(told.answer, SYNQ_AUTH_OK);
	wall_us++;
	assert_int_equal(check(header, &told), SYNQ_AUTH_REVOKED);
}

static void
test_revocation_holds_at_once(void **state)
{
	struct told told = { 0 };

	(void)state;
	load();
	synq_auth_changed(auth, parts.key_id, 1);
	assert_int_equal(check(header, &told), SYNQ_AUTH_REVOKED);
	assert_int_equal(asked, 1);
}

/* What is on its way may be older than the revocation. */
static void
test_revocation_outdates_a_load(void **state)
{
	struct synq_key_row found = row();
	struct told told = { 0 };

	(void)state;
	assert_int_equal(check(header, &told), -1);
	synq_auth_changed(auth, parts.key_id, 1);
	answer(0, &found);
	assert_int_equal(told.count, 0);
	assert_int_equal(asked, 2);
	found.revoked = 1;
	answer(0, &found);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.answer, SYNQ_AUTH_REVOKED);
}

static void
test_flush_forgets_all(void **state)
{
	struct told told = { 0 };

	(void)state;
	load();
	assert_int_equal(synq_auth_entries(auth), 1);
	synq_auth_flush(auth);
	assert_int_equal(synq_auth_entries(auth), 0);
	assert_int_equal(check(header, &told), -1);
	assert_int_equal(asked, 2);
}

static void
test_old_key_is_used_while_the_database_is_away(void **state)
{
	struct told told = { 0 };

	(void)state;
	load();
	healthy = 0;
	now_us += 3600 * SECOND_US - 1;
	assert_int_equal(check(header, &told), SYNQ_AUTH_OK);
	assert_int_equal(asked, 1);
	now_us += 1;
	assert_int_equal(check(header, &told), -1);
	answer(-SYNQ_E_UNAVAILABLE, NULL);
	assert_int_equal(told.answer, SYNQ_AUTH_UNABLE);
}

/* A load that fails lets the old entry serve, and is not repeated at once. */
static void
test_failed_load_falls_back(void **state)
{
	struct told told = { 0 };

	(void)state;
	load();
	now_us += 60 * SECOND_US;
	assert_int_equal(check(header, &told), -1);
	answer(-SYNQ_E_TIMEOUT, NULL);
	assert_int_equal(told.answer, SYNQ_AUTH_OK);
	assert_int_equal(check(header, &told), SYNQ_AUTH_OK);
	assert_int_equal(asked, 2);
	now_us += SECOND_US;
	assert_int_equal(check(header, &told), SYNQ_AUTH_OK);
	assert_int_equal(asked, 3);
}

/*
 * A database that is silent holds nobody up for long: who waits is served from
 * the old entry, whoever comes then does not wait at all, and when it answers
 * again all is as before.
 */
static void
test_silent_database_is_not_waited_for(void **state)
{
	const struct synq_key_row row_now = row();
	struct told told = { 0 };

	(void)state;
	load();
	now_us += 60 * SECOND_US;
	assert_int_equal(check(header, &told), -1);
	pass(SECOND_US / 2 - 1);
	assert_int_equal(told.count, 0);
	pass(1);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.answer, SYNQ_AUTH_OK);
	assert_int_equal(check(header, &told), SYNQ_AUTH_OK);
	pass(5 * SECOND_US);
	answer(-SYNQ_E_UNCERTAIN, NULL);

	/* It is asked again, in the background. */
	pass(SECOND_US);
	assert_int_equal(check(header, &told), SYNQ_AUTH_OK);
	assert_int_equal(asked, 3);
	answer(0, &row_now);
	assert_int_equal(told.count, 1);
	now_us += 60 * SECOND_US;
	assert_int_equal(check(header, &told), -1);
	answer(0, &row_now);
	assert_int_equal(told.count, 2);
}

/* Without an entry that will do there is nothing to serve. */
static void
test_silent_database_is_waited_for_without_an_entry(void **state)
{
	const struct synq_key_row row_now = row();
	struct told told = { 0 };

	(void)state;
	assert_int_equal(check(header, &told), -1);
	pass(4 * SECOND_US);
	assert_int_equal(told.count, 0);
	answer(0, &row_now);
	assert_int_equal(told.answer, SYNQ_AUTH_OK);
}

static void
test_without_an_entry_nobody_can_say(void **state)
{
	struct told told = { 0 };

	(void)state;
	busy = 1;
	assert_int_equal(check(header, &told), SYNQ_AUTH_UNABLE);
	busy = 0;
	assert_int_equal(check(header, &told), -1);
	answer(-SYNQ_E_UNCERTAIN, NULL);
	assert_int_equal(told.answer, SYNQ_AUTH_UNABLE);
	assert_false(told.has_principal);
}

static void
test_forgotten_check_is_not_told(void **state)
{
	const struct synq_key_row found = row();
	struct told gone = { 0 };
	struct told stays = { 0 };

	(void)state;
	assert_int_equal(check(header, &gone), -1);
	assert_int_equal(check(header, &stays), -1);
	synq_auth_forget(auth, &gone);
	answer(0, &found);
	assert_int_equal(gone.count, 0);
	assert_int_equal(stays.count, 1);
}

static void
test_nobody_is_told_after_free(void **state)
{
	const struct synq_key_row found = row();
	struct told told = { 0 };

	(void)state;
	assert_int_equal(check(header, &told), -1);
	synq_auth_free(&auth);
	answer(0, &found);
	assert_int_equal(told.count, 0);
}

/* A callback that frees the authenticator ends the telling. */
static void
on_told_free(
    void *ctx, enum synq_auth_answer is, const struct synq_principal *principal)
{
	on_told(ctx, is, principal);
	synq_auth_free(&auth);
}

static void
test_callback_may_free(void **state)
{
	const struct synq_key_row found = row();
	struct synq_auth_result result;
	struct told first = { 0 };
	struct told second = { 0 };

	(void)state;
	assert_int_equal(synq_auth_check(auth, synq_slice_text(header), &result,
			     on_told_free, &first),
	    0);
	assert_int_equal(check(header, &second), -1);
	answer(0, &found);
	assert_int_equal(first.count, 1);
	assert_int_equal(second.count, 0);
}

static int
set_up_all(void **state)
{
	struct synq_err err;
	struct synq_slice text;

	(void)state;
	if (synq_crypto_init(&err) != 0)
		return -1;
	pepper = synq_secret_random(32);
	synq_key_make(1, &key);
	text = synq_secret_view(key);
	(void)snprintf(
	    header, sizeof(header), "Bearer %.*s", (int)text.bytes, text.data);
	return synq_key_parse(text, &parts);
}

static int
tear_down_all(void **state)
{
	(void)state;
	synq_secret_free(&pepper);
	synq_secret_free(&key);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_headers_that_hold_no_key_cost_no_query),
		TEST(test_key_is_loaded_once_and_kept),
		TEST(test_key_is_read_again_after_its_age),
		TEST(test_unknown_key_is_kept_for_five_seconds),
		TEST(test_wrong_secret_mode_or_pepper_is_unknown),
		TEST(test_revoked_and_expired_keys_are_refused),
		TEST(test_revocation_holds_at_once),
		TEST(test_revocation_outdates_a_load),
		TEST(test_flush_forgets_all),
		TEST(test_old_key_is_used_while_the_database_is_away),
		TEST(test_failed_load_falls_back),
		TEST(test_silent_database_is_not_waited_for),
		TEST(test_silent_database_is_waited_for_without_an_entry),
		TEST(test_without_an_entry_nobody_can_say),
		TEST(test_forgotten_check_is_not_told),
		TEST(test_nobody_is_told_after_free),
		TEST(test_callback_may_free),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
