/*
 * The table of bytes, filled once from the grammar's own lists.
 */

#include "httpd/kind.h"

#include <string.h>

uint8_t synq_kinds[256];

void
synq_kind_init(void)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	static const char hosts[] = "-._~!$&'()*+;=";
	static int known;

	if (known)
		return;
	for (int c = 0; c < 256; c++) {
		int word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		           (c >= 'A' && c <= 'Z');

		if (word)
			synq_kinds[c] |= SYNQ_KIND_TOKEN | SYNQ_KIND_HOST;
		if (c > 0 && c < 128 && strchr(marks, c))
			synq_kinds[c] |= SYNQ_KIND_TOKEN;
		if (c > 0 && c < 128 && strchr(hosts, c))
			synq_kinds[c] |= SYNQ_KIND_HOST;
		if (c > ' ' && c < 127 && c != '#')
			synq_kinds[c] |= SYNQ_KIND_TARGET;
		if (c == '\t' || (c >= ' ' && c != 127))
			synq_kinds[c] |= SYNQ_KIND_VALUE;
	}
	known = 1;
}
