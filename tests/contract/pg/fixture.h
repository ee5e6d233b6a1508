#ifndef SYNQ_TEST_FIXTURE_H
#define SYNQ_TEST_FIXTURE_H

/*
 * What the tests on a real PostgreSQL share: a loop, a pool on it, a session
 * beside it to look with, and what the owners of transactions were told.
 *
 * SYNQ_TEST_PG is the URL of a superuser, in the form postgresql://...;
 * SYNQ_TEST_PG_RESTART, if set, is a command that restarts the server.
 */

#include <stddef.h>
#include <stdint.h>

#include "pg/pg.h"

/* The exit code of a program that could not test anything. */
#define SKIPPED 77
#define LIMIT_MS 3000
#define MAX_OUTCOMES 4000

struct synq_loop;
struct synq_session;

/* What one owner was told. */
struct outcome {
	int rc;
	int told;
	size_t rows; /* of the first statement */
	int64_t number;
	char text[248];
};

struct fixture {
	struct synq_loop *loop;
	struct synq_pg *pg;
	struct synq_session *session;
	size_t told;
	struct outcome outcomes[MAX_OUTCOMES];
};

/* The one of the test that runs. */
extern struct fixture *fix;
/* Of the server; NULL = none to test with. */
extern const char *url;

/* Set url; 0, or SKIPPED after saying why. */
int find_server(void);

/* Begin a test with an empty schema and no pool; ${state} is cmocka's. */
int set_up(void **state);

/* End it. */
int tear_down(void **state);

/* Run the script ${sql} in the session. */
void ask(const char *sql);

/* The number that ${sql} gives in the session. */
int64_t ask_number(const char *sql);

/* Open the pool of ${connections} to ${to} as ${role}, or NULL. */
void open_pool(const char *to, uint32_t connections, const char *role);

/* Turn the loop until ${count} owners were told, at most ${limit_ms}. */
void wait_told(size_t count, uint32_t limit_ms);

/* Turn the loop until the pool's health is ${healthy}, at most ${limit_ms}. */
void wait_healthy(int healthy, uint32_t limit_ms);

/* Turn the loop for ${time_ms}. */
void idle(uint32_t time_ms);

/* Note the end of a transaction in the outcome ${ctx}. */
synq_pg_done_fn on_done;

/* Start ${count} ${statements} of ${organization_id} as outcome ${slot}. */
void start(size_t slot, const struct synq_pg_statement *statements,
    size_t count, const struct synq_uuid *organization_id);

/* Start the one statement ${sql} as outcome ${slot}. */
void start_sql(size_t slot, const char *sql);

/* Start the insertion of ${id} as outcome ${slot}. */
void start_insert(size_t slot, int64_t id);

#endif
