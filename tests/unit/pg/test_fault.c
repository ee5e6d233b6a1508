/* What SQLSTATEs mean, and where a script's statements begin. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pg/fault.h"
#include "pg/script.h"

static void
test_states_have_their_codes(void **state)
{
	(void)state;
	assert_int_equal(synq_pg_fault_code("23505"), SYNQ_E_CONFLICT);
	assert_int_equal(synq_pg_fault_code("40001"), SYNQ_E_CONFLICT);
	assert_int_equal(synq_pg_fault_code("40P01"), SYNQ_E_CONFLICT);
	assert_int_equal(synq_pg_fault_code("40003"), SYNQ_E_UNCERTAIN);
	assert_int_equal(synq_pg_fault_code("42501"), SYNQ_E_DENIED);
	assert_int_equal(synq_pg_fault_code("28P01"), SYNQ_E_DENIED);
	assert_int_equal(synq_pg_fault_code("57P01"), SYNQ_E_UNAVAILABLE);
	assert_int_equal(synq_pg_fault_code("57P03"), SYNQ_E_UNAVAILABLE);
	assert_int_equal(synq_pg_fault_code("08006"), SYNQ_E_UNAVAILABLE);
	assert_int_equal(synq_pg_fault_code("53100"), SYNQ_E_UNAVAILABLE);
	assert_int_equal(synq_pg_fault_code("57014"), SYNQ_E_TIMEOUT);
	assert_int_equal(synq_pg_fault_code("23503"), SYNQ_E_INVALID);
	assert_int_equal(synq_pg_fault_code("23514"), SYNQ_E_INVALID);
	assert_int_equal(synq_pg_fault_code("22P05"), SYNQ_E_INVALID);
	assert_int_equal(synq_pg_fault_code("54000"), SYNQ_E_INVALID);
	assert_int_equal(synq_pg_fault_code("42P01"), SYNQ_E_REFUSED);
	assert_int_equal(synq_pg_fault_code("P0001"), SYNQ_E_REFUSED);
	assert_int_equal(synq_pg_fault_code(""), SYNQ_E_REFUSED);
	assert_int_equal(synq_pg_fault_code(NULL), SYNQ_E_UNCERTAIN);
}

static void
test_statements_are_found_behind_what_hides_semicolons(void **state)
{
	static const char sql[] =
	    "select ';';\n" /* 0: line 1 */
	    ";; -- nothing; here\n"
	    "/* a /* nested; */ one; */\n"
	    "do $a$ begin; $b$;$b$; end $a$;\n" /* 1: line 4 */
	    "select \"a;\"\"b\", 'it''s;',\n"   /* 2: line 5 */
	    "  E'\\';', $1, a$b$c;\n"
	    "select 1; select 2;\n" /* 3, 4: line 7 */
	    "\n"
	    "select 3"; /* 5: line 9 */
	static const size_t lines[] = { 1, 4, 5, 7, 7, 9 };

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(synq_pg_script_line(sql, i), lines[i]);
	/* Beyond the last, the last line. */
	assert_int_equal(synq_pg_script_line(sql, 99), 9);
}

static void
test_unfinished_quotes_end_with_the_script(void **state)
{
	(void)state;
	assert_int_equal(synq_pg_script_line("select 'abc\n;\n", 1), 3);
	assert_int_equal(synq_pg_script_line("select $x$ \n; $x", 1), 2);
	assert_int_equal(synq_pg_script_line("/* \n ; /* */", 0), 2);
	assert_int_equal(synq_pg_script_line("select E'\\", 1), 1);
	assert_int_equal(synq_pg_script_line("$", 1), 1);
	assert_int_equal(synq_pg_script_line("", 0), 1);
	assert_int_equal(synq_pg_script_line("/", 1), 1);
	assert_int_equal(synq_pg_script_line("/*", 1), 1);
	assert_int_equal(synq_pg_script_line("-", 1), 1);
	assert_int_equal(synq_pg_script_line("--", 0), 1);
}

static void
test_positions_count_characters(void **state)
{
	static const char sql[] = "a\xC3\xBC\n\xE2\x82\xAC\nx";

	(void)state;
	assert_int_equal(synq_pg_script_line_at(sql, 1), 1);
	assert_int_equal(synq_pg_script_line_at(sql, 2), 1);
	assert_int_equal(synq_pg_script_line_at(sql, 3), 1);
	assert_int_equal(synq_pg_script_line_at(sql, 4), 2);
	assert_int_equal(synq_pg_script_line_at(sql, 6), 3);
	assert_int_equal(synq_pg_script_line_at(sql, 1000), 3);
	assert_int_equal(synq_pg_script_line_at(sql, 0), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_have_their_codes),
		cmocka_unit_test(
		    test_statements_are_found_behind_what_hides_semicolons),
		cmocka_unit_test(test_unfinished_quotes_end_with_the_script),
		cmocka_unit_test(test_positions_count_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
