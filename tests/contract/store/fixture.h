#ifndef SYNQ_TEST_STORE_FIXTURE_H
#define SYNQ_TEST_STORE_FIXTURE_H

/*
 * What the tests of the stores share: a database of their own with the tables
 * of schema/sql, pools that act as Synq's roles, a superuser to look with.
 *
 * SYNQ_TEST_PG is the URL of a superuser, as postgresql://.../DATABASE.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

/* The exit code of a program that could not test anything. */
#define SKIPPED 77
#define LIMIT_MS 5000

struct synq_loop;
struct synq_pg;
struct synq_session;

struct fixture {
	struct synq_loop *loop;
	struct synq_session *super; /* in the database of the test */
	struct synq_pg *app;
	struct synq_pg *recorder;
	struct synq_pg *dispatcher;
	char url[512]; /* of the database of the test, as superuser */
};

/* The one of the program that runs. */
extern struct fixture *fix;

/* 0 if there is a server to test with, else SKIPPED after saying why. */
int find_server(void);

/* Make the database and the pools; ${state} is cmocka's, for a group. */
int set_up(void **state);

/* Drop them. */
int tear_down(void **state);

/* Empty all tables that the tests fill; ${state} is cmocka's, for a test. */
int set_up_test(void **state);

/* Run the script ${sql} as superuser. */
void ask(const char *sql);

/* Run the script ${sql} as superuser; its return code. */
int try_sql(const char *sql);

/* The number that ${sql} gives to the superuser; -1 for NULL or no row. */
int64_t ask_number(const char *sql);

/* 1 if ${sql} gives the superuser the text ${expected}, else 0 and says so. */
int asks(const char *sql, const char *expected);

/* Turn the loop until *${flag} is not 0, at most LIMIT_MS. */
void wait_for(const int *flag);

/* A uuid whose bytes all are ${byte}. */
struct synq_uuid id_of(uint8_t byte);

#endif
