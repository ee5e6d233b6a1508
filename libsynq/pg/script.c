/*
 * Steps over one token at a time and counts the semicolons between statements
 * that are not empty, because the server answers nothing to an empty one.
 *
 * What does not end (a quote, a comment) reaches to the end of the script; the
 * server has said so before anybody asks for a line.
 */

#include "pg/script.h"

#include <ctype.h>
#include <string.h>

/* The end of what ${quote} opens at ${at}; with ${escape} 1, \ escapes. */
static const char *
skip_quoted(const char *at, char quote, int escape)
{
	for (at++; *at; at++) {
		if (escape && *at == '\\' && at[1])
			at++;
		else if (*at == quote && at[1] == quote)
			at++;
		else if (*at == quote)
			return at + 1;
	}
	return at;
}

/* The end of the comment at ${at}, which may hold comments. */
static const char *
skip_comment(const char *at)
{
	size_t depth = 0;

	do {
		if (at[0] == '/' && at[1] == '*') {
			depth++;
			at += 2;
		} else if (at[0] == '*' && at[1] == '/') {
			depth--;
			at += 2;
		} else {
			at++;
		}
	} while (depth && *at);
	return at;
}

static int
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (c & 0x80);
}

/* The end of the dollar quote at ${at}, or behind the $ if it is none. */
static const char *
skip_dollar(const char *at)
{
	const char *tag = at + 1;
	size_t chars = 0;

	while (is_word(tag[chars]))
		chars++;
	if (tag[chars] != '$' || isdigit((unsigned char)tag[0]))
		return tag;
	for (const char *end = tag + chars + 1; *end; end++) {
		if (!strncmp(end, at, chars + 2))
			return end + chars + 2;
	}
	return at + strlen(at);
}

/* The end of the word at ${at}, with the string of an E'...'. */
static const char *
skip_word(const char *at)
{
	const char *end = at;

	while (is_word(*end) || *end == '$')
		end++;
	if (end == at + 1 && (*at == 'e' || *at == 'E') && *end == '\'')
		return skip_quoted(end, '\'', 1);
	return end;
}

/* The end of spaces and comments at ${at}; ${at} if there are none. */
static const char *
skip_blank(const char *at)
{
	if (at[0] == '-' && at[1] == '-')
		return at + strcspn(at, "\n");
	if (at[0] == '/' && at[1] == '*')
		return skip_comment(at);
	return isspace((unsigned char)*at) ? at + 1 : at;
}

/* The end of the token at ${at}, which is not blank and not the end. */
static const char *
skip_token(const char *at)
{
	if (*at == '\'' || *at == '"')
		return skip_quoted(at, *at, 0);
	if (*at == '$')
		return skip_dollar(at);
	return is_word(*at) ? skip_word(at) : at + 1;
}

/* The line of ${at} in ${sql}. */
static size_t
line_of(const char *sql, const char *at)
{
	size_t line = 1;

	for (; sql < at; sql++)
		line += *sql == '\n';
	return line;
}

size_t
synq_pg_script_line(const char *sql, size_t index)
{
	const char *at = sql;
	const char *begin = NULL; /* of the statement, once it has a token */

	while (*at) {
		const char *next = skip_blank(at);

		if (next != at) {
			at = next;
			continue;
		}
		if (*at == ';') {
			index -= begin ? 1 : 0;
			begin = NULL;
			at++;
			continue;
		}
		if (!begin && !index)
			return line_of(sql, at);
		begin = begin ? begin : at;
		at = skip_token(at);
	}
	return line_of(sql, at);
}

size_t
synq_pg_script_line_at(const char *sql, size_t position)
{
	const char *at = sql;

	/* Positions count characters of UTF-8, not bytes. */
	while (*at && position > 1) {
		at++;
		if ((*at & 0xC0) != 0x80)
			position--;
	}
	return line_of(sql, at);
}
