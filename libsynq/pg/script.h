#ifndef SYNQ_PG_SCRIPT_H
#define SYNQ_PG_SCRIPT_H

/*
 * Where the statements of a script begin, as the server's lexer sees them:
 * quotes, dollar quotes and comments hide semicolons.  Internal to pg.
 */

#include <stddef.h>

/* The line, from 1, on which statement ${index}, from 0, of ${sql} begins. */
size_t synq_pg_script_line(const char *sql, size_t index);

/* The line, from 1, of the character ${position}, from 1, of ${sql}. */
size_t synq_pg_script_line_at(const char *sql, size_t position);

#endif
