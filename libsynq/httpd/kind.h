#ifndef SYNQ_HTTPD_KIND_H
#define SYNQ_HTTPD_KIND_H

/*
 * Which bytes may stand where in a request: one table, so that each byte costs
 * one look.
 */

#include <stdint.h>

enum synq_kind {
	SYNQ_KIND_TOKEN = 1,  /* of a name or method (RFC 9110, 5.6.2) */
	SYNQ_KIND_TARGET = 2, /* of a target: visible ASCII except '#' */
	SYNQ_KIND_VALUE = 4,  /* of a value: visible, space, tab, above 127 */
	SYNQ_KIND_HOST = 8    /* of a host's name; no '%': none has it */
};

/* byte => its kinds; see synq_kind_init. */
extern uint8_t synq_kinds[256];

/* Fill the table; every time but the first costs nothing. */
void synq_kind_init(void);

/* Not 0 if ${c} is of ${kind}. */
static inline int
synq_kind_is(char c, enum synq_kind kind)
{
	return synq_kinds[(uint8_t)c] & (int)kind;
}

#endif
