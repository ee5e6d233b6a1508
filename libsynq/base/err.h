#ifndef SYNQ_BASE_ERR_H
#define SYNQ_BASE_ERR_H

/*
 * Errors: a code from err.def and a sentence for the person who reads it.
 *
 * Functions return 0 or -SYNQ_E_*.  One that can fail in more than one way
 * takes a struct synq_err last and fills it; NULL there is always allowed.
 */

#include "base/attr.h"

enum synq_code {
	SYNQ_E_OK = 0,
#define SYNQ_ERR(name, http, retry, text) SYNQ_E_##name,
#include "base/err.def"
#undef SYNQ_ERR
	SYNQ_E_COUNT
};

/* What a repeat of the failed thing would do. */
enum synq_retry_class {
	SYNQ_RETRY_NEVER, /* it would fail again */
	SYNQ_RETRY_LATER, /* it may succeed, and nothing has happened yet */
	SYNQ_RETRY_ASK    /* it may have happened already */
};

struct synq_err {
	int code;       /* SYNQ_E_*, positive; 0 = none */
	char text[248]; /* UTF-8, cut where it does not fit, never secret */
};

/* Fill ${err} with ${code} and the text of ${fmt}; returns -${code}. */
int synq_fail(struct synq_err *err, enum synq_code code, const char *fmt, ...)
    SYNQ_PRINTF(3, 4);

/*
 * Put the text of ${fmt} and ": " before what ${err} says; returns ${rc}, the
 * negative code that came from below, unchanged.
 */
int synq_wrap(struct synq_err *err, int rc, const char *fmt, ...)
    SYNQ_PRINTF(3, 4);

/* The name of ${rc} (of either sign) as in err.def in lower case: "limit". */
const char *synq_err_name(int rc);

/* The text of ${rc} (of either sign) as in err.def. */
const char *synq_err_text(int rc);

/* The HTTP status of ${rc} (of either sign). */
int synq_err_http(int rc);

/* What a repeat would do after ${rc} (of either sign). */
enum synq_retry_class synq_err_retry(int rc);

#endif
