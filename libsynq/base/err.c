/*
 * A failing function fills the error where it happens (synq_fail); each
 * caller on the way up may say what it was doing (synq_wrap).  What results
 * reads from the outside in: "load tenant acme: connect db: refused".
 *
 * Text that does not fit is cut at the end of a character, so that it stays
 * valid UTF-8 if its parts were.
 */

#include "base/err.h"

#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES sizeof((struct synq_err){ 0 }.text)

struct row {
	const char *name; /* upper case, as in err.def */
	const char *text;
	int http;
	enum synq_retry_class retry;
};

static const struct row rows[SYNQ_E_COUNT] = {
	{ "OK", "no error", 200, SYNQ_RETRY_NEVER },
#define SYNQ_ERR(name, http, retry, text)                                      \
	{ #name, text, http, SYNQ_RETRY_##retry },
#include "base/err.def"
#undef SYNQ_ERR
};

static const struct row unknown = {
	"UNKNOWN",
	"an error without a name",
	500,
	SYNQ_RETRY_NEVER,
};

/* The rows' names in lower case, the unknown's last; filled once. */
static char names[SYNQ_E_COUNT + 1][24];
static pthread_once_t names_once = PTHREAD_ONCE_INIT;

static int
place_of(int rc)
{
	if (rc <= -SYNQ_E_COUNT || rc >= SYNQ_E_COUNT)
		return SYNQ_E_COUNT;
	return rc < 0 ? -rc : rc;
}

static const struct row *
row_of(int rc)
{
	int place = place_of(rc);

	return place == SYNQ_E_COUNT ? &unknown : &rows[place];
}

static void
fill_names(void)
{
	for (size_t i = 0; i <= SYNQ_E_COUNT; i++) {
		const char *from = row_of((int)i)->name;

		for (size_t k = 0; from[k] && k + 1 < sizeof(names[i]); k++)
			names[i][k] = (char)tolower((unsigned char)from[k]);
	}
}

/* Put the NUL of a full ${text} of ${room} bytes behind a whole character. */
static void
cut_at_character(char *text, size_t room)
{
	size_t end = room - 1;
	size_t start = end;

	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0 || (unsigned char)text[start - 1] < 0xc0)
		return;

	unsigned char lead = (unsigned char)text[start - 1];
	size_t wants = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (end - (start - 1) < wants)
		text[start - 1] = '\0';
}

SYNQ_PRINTF(3, 0)
static void
print_cut(char *ret, size_t room, const char *fmt, va_list args)
{
	int wanted = vsnprintf(ret, room, fmt, args);

	if (wanted < 0)
		ret[0] = '\0';
	else if ((size_t)wanted >= room)
		cut_at_character(ret, room);
}

int
synq_fail(struct synq_err *err, enum synq_code code, const char *fmt, ...)
{
	char text[TEXT_BYTES]; /* the arguments may lie in err */
	va_list args;

	if (!err)
		return -(int)code;
	va_start(args, fmt);
	print_cut(text, sizeof(text), fmt, args);
	va_end(args);
	err->code = (int)code;
	snprintf(err->text, sizeof(err->text), "%s", text);
	return -(int)code;
}

int
synq_wrap(struct synq_err *err, int rc, const char *fmt, ...)
{
	char below[TEXT_BYTES];
	char doing[TEXT_BYTES];
	va_list args;

	if (!err)
		return rc;
	if (err->code)
		memcpy(below, err->text, sizeof(below));
	else
		snprintf(below, sizeof(below), "%s", synq_err_text(rc));
	below[sizeof(below) - 1] = '\0';

	va_start(args, fmt);
	print_cut(doing, sizeof(doing), fmt, args);
	va_end(args);

	err->code = rc < 0 ? -rc : rc;
	int wanted =
	    snprintf(err->text, sizeof(err->text), "%s: %s", doing, below);
	if (wanted >= (int)sizeof(err->text))
		cut_at_character(err->text, sizeof(err->text));
	return rc;
}

const char *
synq_err_name(int rc)
{
	pthread_once(&names_once, fill_names);
	return names[place_of(rc)];
}

const char *
synq_err_text(int rc)
{
	return row_of(rc)->text;
}

int
synq_err_http(int rc)
{
	return row_of(rc)->http;
}

enum synq_retry_class
synq_err_retry(int rc)
{
	return row_of(rc)->retry;
}
