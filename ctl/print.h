#ifndef CTL_PRINT_H
#define CTL_PRINT_H

/*
 * Data on the standard output: rows of named cells as a table, as one JSON
 * array, as JSON lines, or (one row) as NAME='value' lines for a shell.
 */

#include <stddef.h>

#include "base/slice.h"
#include "ctl/cli.h"

enum print_type {
	PRINT_TEXT,
	PRINT_NUMBER, /* the cell is a JSON number */
	PRINT_TRUTH,  /* the cell is "true" or "false" */
	PRINT_RAW     /* the cell is valid JSON */
};

struct print_column {
	const char *name; /* lower case, as in JSON; upper case in a table */
	enum print_type type;
	int only_json; /* 1 = left out of tables */
};

struct print_table;

/*
 * An empty table of ${count} columns ${columns}, which must outlive it.  The
 * caller frees it.
 */
struct print_table *print_table_new(
    const struct print_column *columns, size_t count);

/*
 * Add a row: one cell per column from ${cells}, copied; NULL is shown as "-"
 * and written as null.
 */
void print_table_add(struct print_table *table, const char *const *cells);

/* How many rows ${table} has. */
size_t print_table_rows(const struct print_table *table);

/*
 * Write ${table} in the format of ${cli}: a list.  Returns the exit code.
 */
int print_table_list(const struct cli *cli, const struct print_table *table);

/*
 * Write the only row of ${table} in the format of ${cli}: JSON as an object, a
 * table as lines "name  value".  Returns the exit code.
 */
int print_table_one(const struct cli *cli, const struct print_table *table);

/* Free *${table}; sets it to NULL. */
void print_table_free(struct print_table **table);

/* Write the line ${name}='${value}' with the quoting of a POSIX shell. */
void print_env(const char *name, const char *value);

/*
 * Write all of ${text}.  Returns 0, or CLI_FAILED if the standard output takes
 * no more (a full disk); a reader that has left ends the program quietly.
 */
int print_all(struct synq_slice text);

#endif
