/*
 * The pool and the session against a real server: what is committed, what is
 * not, and what the owner is told.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fixture.h"
#include "pg/session.h"

static void
test_thousand_transactions_are_in_flight_at_once(void **state)
{
	(void)state;
	open_pool(url, 4, NULL);

	for (size_t i = 0; i < 1000; i++)
		start_insert(i, (int64_t)i);
	assert_int_equal(synq_pg_pending(fix->pg), 1000);
	assert_int_equal(fix->told, 0);
	wait_told(1000, 10000);

	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(fix->outcomes[i].rc, 0);
		assert_int_equal(fix->outcomes[i].told, 1);
		assert_int_equal(fix->outcomes[i].number, i);
	}
	assert_int_equal(synq_pg_pending(fix->pg), 0);
	assert_int_equal(ask_number("select count(*) from synq_t"), 1000);
}

static void
test_queue_is_bounded(void **state)
{
	struct synq_pg_statement statement = { "select 1::int8", NULL, 0 };
	struct synq_pg_transaction transaction = { .statements = &statement,
		.count = 1,
		.done = on_done,
		.ctx = &fix->outcomes[0] };

	(void)state;
	open_pool(url, 1, NULL);

	for (size_t i = 0; i < 2000; i++)
		start_sql(i, "select 1::int8");
	assert_int_equal(synq_pg_start(fix->pg, &transaction), -SYNQ_E_BUSY);

	wait_told(2000, 10000);
	assert_int_equal(fix->outcomes[1999].rc, 0);
}

static void
test_tenant_sees_its_rows_and_is_gone_afterwards(void **state)
{
	static const struct synq_uuid tenant_1 = { { 1 } };
	static const struct synq_uuid tenant_2 = { { 2 } };
	const struct synq_pg_param param_1 = synq_pg_uuid(&tenant_1);
	const struct synq_pg_param param_2 = synq_pg_uuid(&tenant_2);
	const struct synq_pg_statement statements[2] = {
		{ "insert into synq_rls select $1, g from generate_series(1, "
		  "3) g",
		    &param_1, 1 },
		{ "insert into synq_rls values ($1, 1)", &param_2, 1 },
	};

	(void)state;
	open_pool(url, 1, "synq_test_app");

	start(0, &statements[0], 1, &tenant_1);
	start(1, &statements[1], 1, &tenant_2);
	start(2, &statements[1], 1, &tenant_1); /* another one's row */
	start(3,
	    &(struct synq_pg_statement){
		"select count(*) from synq_rls", NULL, 0 },
	    1, &tenant_1);
	start_sql(4, "select count(*) from synq_rls");
	start_sql(5,
	    "select (coalesce(current_setting('synq.organization_id', true), "
	    "'') = '')::int::int8");
	wait_told(6, 5000);

	assert_int_equal(fix->outcomes[0].rc, 0);
	assert_int_equal(fix->outcomes[1].rc, 0);
	assert_int_equal(fix->outcomes[2].rc, -SYNQ_E_DENIED);
	assert_int_equal(fix->outcomes[3].number, 3);
	assert_int_equal(fix->outcomes[4].number, 0);
	assert_int_equal(fix->outcomes[5].number, 1);
}

static void
test_failed_statement_rolls_back_and_spares_its_neighbours(void **state)
{
	const struct synq_pg_param ids[3] = { synq_pg_int8(2), synq_pg_int8(1),
		synq_pg_int8(3) };
	const struct synq_pg_statement statements[3] = {
		{ "insert into synq_t (id) values ($1)", &ids[0], 1 },
		{ "insert into synq_t (id) values ($1)", &ids[1], 1 },
		{ "insert into synq_t (id) values ($1)", &ids[2], 1 },
	};

	(void)state;
	ask("insert into synq_t values (1)");
	open_pool(url, 1, NULL);

	for (int64_t i = 0; i < 30; i += 3) {
		start_insert((size_t)i, 100 + i);
		start((size_t)i + 1, statements, 3, NULL);
		start_insert((size_t)i + 2, 200 + i);
	}
	wait_told(30, 5000);

	for (size_t i = 0; i < 30; i += 3) {
		assert_int_equal(fix->outcomes[i].rc, 0);
		assert_int_equal(fix->outcomes[i + 1].rc, -SYNQ_E_CONFLICT);
		assert_int_equal(fix->outcomes[i + 2].rc, 0);
	}
	assert_int_equal(ask_number("select count(*) from synq_t"), 21);
	assert_null(strstr(fix->outcomes[1].text, "(1)"));
}

/* Prepared together with a failure, the statement is there for the next. */
static void
test_first_use_behind_an_error_prepares_all_the_same(void **state)
{
	const struct synq_pg_statement statements[2] = {
		{ "select 1 / 0", NULL, 0 },
		{ "select 42::int8", NULL, 0 },
	};

	(void)state;
	open_pool(url, 1, NULL);

	start(0, statements, 2, NULL);
	start(1, &statements[1], 1, NULL);
	wait_told(2, 5000);

	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_INVALID);
	assert_int_equal(fix->outcomes[1].rc, 0);
	assert_int_equal(fix->outcomes[1].number, 42);
}

static void
test_statement_that_cannot_be_prepared_says_why(void **state)
{
	(void)state;
	open_pool(url, 1, NULL);

	start_sql(0, "select nothing from nowhere");
	start_sql(1, "select nothing from nowhere");
	start_sql(2, "select 7::int8");
	wait_told(3, 5000);

	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_REFUSED);
	assert_non_null(strstr(fix->outcomes[0].text, "nowhere"));
	assert_int_equal(fix->outcomes[1].rc, -SYNQ_E_REFUSED);
	assert_non_null(strstr(fix->outcomes[1].text, "nowhere"));
	assert_int_equal(fix->outcomes[2].number, 7);
}

static void
test_statement_may_use_what_the_one_before_made(void **state)
{
	const struct synq_pg_statement statements[3] = {
		{ "create temp table synq_tmp (n int8) on commit drop", NULL,
		    0 },
		{ "insert into synq_tmp values (1)", NULL, 0 },
		{ "select n from synq_tmp", NULL, 0 },
	};

	(void)state;
	open_pool(url, 1, NULL);

	start(0, statements, 3, NULL);
	start(1, statements, 3, NULL);
	wait_told(2, 5000);

	assert_int_equal(fix->outcomes[0].rc, 0);
	assert_int_equal(fix->outcomes[1].rc, 0);
}

static void
test_changed_table_does_not_break_a_prepared_statement(void **state)
{
	(void)state;
	ask("insert into synq_t values (5)");
	open_pool(url, 1, NULL);
	start_sql(0, "select * from synq_t");
	wait_told(1, 5000);

	ask("alter table synq_t add column more int");
	start_sql(1, "select * from synq_t");
	wait_told(2, 5000);
	start_sql(2, "deallocate all");
	wait_told(3, 5000);
	start_sql(3, "select * from synq_t");
	wait_told(4, 5000);

	assert_int_equal(fix->outcomes[0].number, 5);
	assert_int_equal(fix->outcomes[1].number, 5);
	assert_int_equal(fix->outcomes[3].number, 5);
}

static void
test_refusal_at_commit_is_told(void **state)
{
	(void)state;
	ask("alter table synq_t add constraint twice unique (body) deferrable "
	    "initially deferred; insert into synq_t values (1, 'x')");
	open_pool(url, 1, NULL);

	start_sql(0, "insert into synq_t values (2, 'x')");
	start_sql(1, "select count(*) from synq_t");
	wait_told(2, 5000);

	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_CONFLICT);
	assert_int_equal(fix->outcomes[1].rc, 0);
	assert_int_equal(fix->outcomes[1].number, 1);
}

/* The text of class 22 quotes the input, and that may be a client's. */
static void
test_error_text_holds_no_values(void **state)
{
	const struct synq_pg_param param =
	    synq_pg_text(synq_slice_text("hush-hush"));
	const struct synq_pg_statement statement = { "select $1::int", &param,
		1 };

	(void)state;
	open_pool(url, 1, NULL);
	start(0, &statement, 1, NULL);
	wait_told(1, 5000);

	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_INVALID);
	assert_null(strstr(fix->outcomes[0].text, "hush"));
	assert_non_null(strstr(fix->outcomes[0].text, "22P02"));
}

static void
on_every_type(void *ctx, int rc, const struct synq_pg_rows *const *all,
    const struct synq_err *err)
{
	static const struct synq_uuid uuid = { { 1, 2, 3 } };
	const struct synq_pg_rows *rows;
	struct synq_uuid seen;

	(void)ctx;
	if (rc)
		fail_msg("%s", err->text);
	rows = all[0];
	assert_int_equal(synq_pg_get_int(rows, 0, 0), -7);
	assert_int_equal(synq_pg_get_int(rows, 0, 1), INT64_MIN);
	assert_int_equal(synq_pg_get_int(rows, 0, 2), 1);
	assert_true(synq_slice_is(synq_pg_get_slice(rows, 0, 3), "gr\xC3\xBC"));
	assert_int_equal(synq_pg_get_slice(rows, 0, 4).bytes, 3);
	assert_memory_equal(
	    synq_pg_get_slice(rows, 0, 4).data, "\0\xFF\x01", 3);
	seen = synq_pg_get_uuid(rows, 0, 5);
	assert_true(synq_uuid_equal(&seen, &uuid));
	assert_int_equal(synq_pg_get_time(rows, 0, 6), 1700000000123456);
	assert_true(synq_pg_is_null(rows, 0, 7));
	assert_int_equal(synq_pg_get_int(rows, 0, 8), 1700000000);
	assert_int_equal(synq_pg_get_int(rows, 0, 9), -3);
	assert_false(synq_pg_is_null(rows, 0, 3));
	assert_true(synq_pg_is_null(rows, 1, 0));
	assert_true(synq_pg_is_null(rows, 0, 99));
	fix->told++;
}

static void
test_every_type_comes_back_as_it_went(void **state)
{
	static const struct synq_uuid uuid = { { 1, 2, 3 } };
	const struct synq_pg_param params[] = { synq_pg_int4(-7),
		synq_pg_int8(INT64_MIN), synq_pg_bool(5),
		synq_pg_text(synq_slice_text("gr\xC3\xBC")),
		synq_pg_bytes(synq_slice_of("\0\xFF\x01", 3)),
		synq_pg_uuid(&uuid), synq_pg_time(1700000000123456),
		synq_pg_null() };
	const struct synq_pg_statement statement = {
		"select $1, $2, $3, $4, $5, $6, $7, $8::int, "
		"extract(epoch from $7)::int8, (-3)::int2",
		params, 8
	};
	const struct synq_pg_transaction transaction = {
		.statements = &statement, .count = 1, .done = on_every_type
	};

	(void)state;
	open_pool(url, 1, NULL);
	assert_int_equal(synq_pg_start(fix->pg, &transaction), 0);
	wait_told(1, 5000);
}

static void
on_arrays(void *ctx, int rc, const struct synq_pg_rows *const *all,
    const struct synq_err *err)
{
	const struct synq_pg_rows *rows;

	(void)ctx;
	if (rc)
		fail_msg("%s", err->text);
	rows = all[0];
	assert_int_equal(synq_pg_row_count(rows), 3);
	assert_int_equal(synq_pg_get_int(rows, 0, 0), 1);
	assert_true(synq_pg_is_null(rows, 1, 0));
	assert_int_equal(synq_pg_get_int(rows, 2, 0), 3);
	assert_true(synq_slice_is(synq_pg_get_slice(rows, 0, 1), "a"));
	assert_int_equal(synq_pg_get_slice(rows, 1, 1).bytes, 0);
	assert_false(synq_pg_is_null(rows, 1, 1));
	assert_true(synq_pg_is_null(rows, 2, 1));
	assert_int_equal(synq_pg_row_count(all[1]), 0);
	assert_int_equal(synq_pg_changed(all[2]), 3);
	fix->told++;
}

static void
test_arrays_with_nulls_unnest(void **state)
{
	struct synq_pg_array *ids = synq_pg_array_new(SYNQ_PG_INT8);
	struct synq_pg_array *texts = synq_pg_array_new(SYNQ_PG_TEXT);
	struct synq_pg_array *none = synq_pg_array_new(SYNQ_PG_UUID);
	struct synq_pg_param params[4];
	const struct synq_pg_statement statements[3] = {
		{ "select * from unnest($1, $2) as u(id, t)", params, 2 },
		{ "select * from unnest($1)", &params[2], 1 },
		{ "insert into synq_t (id) select g from unnest($1) g where "
		  "g is not null union values (77)",
		    params, 1 },
	};
	const struct synq_pg_transaction transaction = {
		.statements = statements, .count = 3, .done = on_arrays
	};

	(void)state;
	synq_pg_array_add(ids, synq_pg_int8(1));
	synq_pg_array_add(ids, synq_pg_null());
	synq_pg_array_add(ids, synq_pg_int8(3));
	synq_pg_array_add(texts, synq_pg_text(synq_slice_text("a")));
	synq_pg_array_add(texts, synq_pg_text(synq_slice_text("")));
	synq_pg_array_add(texts, synq_pg_text((struct synq_slice){ NULL, 0 }));
	params[0] = synq_pg_array(ids);
	params[1] = synq_pg_array(texts);
	params[2] = synq_pg_array(none);
	open_pool(url, 1, NULL);
	assert_int_equal(synq_pg_start(fix->pg, &transaction), 0);
	/* What was borrowed is the caller's again. */
	synq_pg_array_free(&ids);
	synq_pg_array_free(&texts);
	synq_pg_array_free(&none);
	wait_told(1, 5000);
}

#define LARGE_BYTES ((size_t)2 << 20)

static void
on_large(void *ctx, int rc, const struct synq_pg_rows *const *all,
    const struct synq_err *err)
{
	const char *sent = ctx;

	if (rc)
		fail_msg("%s", err->text);
	assert_int_equal(synq_pg_row_count(all[1]), 4);
	for (size_t i = 0; i < 4; i++) {
		struct synq_slice seen = synq_pg_get_slice(all[1], i, 0);

		assert_int_equal(seen.bytes, LARGE_BYTES);
		assert_memory_equal(seen.data, sent, LARGE_BYTES);
	}
	fix->told++;
}

static void
test_large_bodies_pass_without_blocking_the_loop(void **state)
{
	char *body = synq_mem_new(LARGE_BYTES);
	struct synq_pg_array *bodies = synq_pg_array_new(SYNQ_PG_BYTEA);
	struct synq_pg_param param;
	const struct synq_pg_statement statements[2] = {
		{ "insert into synq_t select ordinality, b from unnest($1) "
		  "with ordinality u(b)",
		    &param, 1 },
		{ "delete from synq_t returning body", NULL, 0 },
	};
	const struct synq_pg_transaction transaction = { .statements =
							     statements,
		.count = 2,
		.done = on_large,
		.ctx = body };
	uint64_t before_us;

	(void)state;
	for (size_t i = 0; i < LARGE_BYTES; i++)
		body[i] = (char)(i * 31 + i / 251);
	for (size_t i = 0; i < 4; i++)
		synq_pg_array_add(
		    bodies, synq_pg_bytes(synq_slice_of(body, LARGE_BYTES)));
	param = synq_pg_array(bodies);
	open_pool(url, 1, NULL);
	wait_healthy(1, 5000);

	before_us = synq_clock_mono_us();
	assert_int_equal(synq_pg_start(fix->pg, &transaction), 0);
	/* Copying 8 MB twice, even under a sanitizer; not sending it. */
	assert_true(synq_clock_mono_us() - before_us < 500000);
	start_sql(0, "select 1::int8");
	wait_told(2, 20000);

	assert_int_equal(fix->outcomes[0].rc, 0);
	synq_pg_array_free(&bodies);
	synq_mem_free(body);
}

static void
test_wrong_role_is_the_reason_in_the_error(void **state)
{
	(void)state;
	open_pool(url, 1, "synq_nobody");
	start_sql(0, "select 1::int8");
	wait_told(1, LIMIT_MS + 1000);

	assert_int_equal(fix->outcomes[0].rc, -SYNQ_E_TIMEOUT);
	assert_non_null(strstr(fix->outcomes[0].text, "synq_nobody"));
	assert_false(synq_pg_healthy(fix->pg));
}

static void
test_forgotten_owner_is_never_told(void **state)
{
	(void)state;
	open_pool(url, 1, NULL);
	wait_healthy(1, 5000);
	for (size_t i = 0; i < 100; i++)
		start_insert(i, (int64_t)i);
	/* Some are on their way, the others wait. */
	for (size_t i = 0; i < 100; i += 2)
		synq_pg_forget(fix->pg, &fix->outcomes[i]);
	assert_int_equal(synq_pg_pending(fix->pg), 50);
	wait_told(50, 5000);
	idle(100);

	for (size_t i = 0; i < 100; i++)
		assert_int_equal(fix->outcomes[i].told, i % 2);
}

static void
on_free(void *ctx, int rc, const struct synq_pg_rows *const *rows,
    const struct synq_err *err)
{
	(void)ctx;
	(void)rc;
	(void)rows;
	(void)err;
	fix->told++;
	synq_pg_free(&fix->pg);
}

static void
test_pool_may_be_freed_by_an_owner(void **state)
{
	const struct synq_pg_statement statement = { "select 1::int8", NULL,
		0 };
	const struct synq_pg_transaction transaction = {
		.statements = &statement, .count = 1, .done = on_free
	};

	(void)state;
	open_pool(url, 2, NULL);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(synq_pg_start(fix->pg, &transaction), 0);
	wait_told(1, 5000);
	idle(100);

	assert_int_equal(fix->told, 1);
	assert_null(fix->pg);
}

static void
test_session_names_the_line_of_an_error(void **state)
{
	struct synq_err err = { 0 };

	(void)state;
	assert_int_equal(synq_session_script(fix->session,
			     "select 1;\n\nselect 'a;b';\nselec 2;", &err),
	    -SYNQ_E_REFUSED);
	assert_non_null(strstr(err.text, "line 4"));
	assert_int_equal(synq_session_script(fix->session,
			     "insert into synq_t values (9);\n-- a ; comment\n"
			     "do $x$ begin perform 1; end $x$;\n"
			     "insert into synq_t\n values (9);",
			     &err),
	    -SYNQ_E_CONFLICT);
	assert_non_null(strstr(err.text, "line 4"));
	/* The script is one transaction. */
	assert_int_equal(ask_number("select count(*) from synq_t"), 0);
	assert_int_equal(
	    synq_session_script(fix->session, "copy synq_t from stdin;", &err),
	    -SYNQ_E_REFUSED);
	assert_int_equal(
	    synq_session_script(fix->session, "copy pg_class to stdout;", &err),
	    0);
	assert_int_equal(ask_number("select 5"), 5);
}

static void
test_session_is_denied_to_strangers(void **state)
{
	struct synq_session *session = NULL;
	struct synq_err err = { 0 };
	char stranger[600];

	(void)state;
	/* Whether the server asks for passwords or not. */
	(void)snprintf(stranger, sizeof(stranger),
	    "%s%suser=synq_stranger&password=hush", url,
	    strchr(url, '?') ? "&" : "?");
	assert_int_equal(
	    synq_session_new(stranger, 3000, &session, &err), -SYNQ_E_DENIED);
	assert_null(session);
	assert_null(strstr(err.text, "hush"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_thousand_transactions_are_in_flight_at_once, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_queue_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_tenant_sees_its_rows_and_is_gone_afterwards, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_failed_statement_rolls_back_and_spares_its_neighbours,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_first_use_behind_an_error_prepares_all_the_same,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_statement_that_cannot_be_prepared_says_why, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_statement_may_use_what_the_one_before_made, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_changed_table_does_not_break_a_prepared_statement,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_refusal_at_commit_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_error_text_holds_no_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_every_type_comes_back_as_it_went, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_arrays_with_nulls_unnest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_large_bodies_pass_without_blocking_the_loop, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_wrong_role_is_the_reason_in_the_error, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_forgotten_owner_is_never_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_pool_may_be_freed_by_an_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_session_names_the_line_of_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_session_is_denied_to_strangers, set_up, tear_down),
	};
	int rc = find_server();

	return rc ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
