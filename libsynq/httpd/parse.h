#ifndef SYNQ_HTTPD_PARSE_H
#define SYNQ_HTTPD_PARSE_H

/*
 * A strict, incremental parser of HTTP/1.1 request heads (RFC 9112).  Pure:
 * no input or output, no allocation, no time.
 *
 * How the bytes are cut into pieces never changes the outcome: fed one by one
 * or all at once, they give the same head, the same data, the same refusal.
 *
 * What the standard leaves open is decided for refusal, because two parsers
 * that read one text differently are how requests are smuggled: see the table
 * in parse.c.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

#define SYNQ_PARSE_MAX_FIELDS 100
#define SYNQ_PARSE_MAX_LINE_BYTES 8192 /* of the request line */
#define SYNQ_PARSE_MAX_METHOD_BYTES 32

enum synq_parse_verdict {
	SYNQ_PARSE_MORE,   /* right so far, not complete */
	SYNQ_PARSE_DONE,   /* complete */
	SYNQ_PARSE_REFUSED /* see status and reason */
};

/* How the length of the body is told. */
enum synq_parse_framing {
	SYNQ_PARSE_NO_BODY,
	SYNQ_PARSE_LENGTH,
	SYNQ_PARSE_CHUNKED
};

/* A part of the head, counted from its first byte. */
struct synq_parse_span {
	uint32_t at;
	uint32_t bytes;
};

struct synq_parse_field {
	struct synq_parse_span name;
	struct synq_parse_span value; /* without white space at both ends */
};

struct synq_parse_head {
	size_t max_bytes;
	size_t line_at; /* where the line begins that is not complete */
	size_t seen;    /* up to here there is no further line end */
	size_t bytes;   /* of the whole head, once done */
	struct synq_parse_span method;
	struct synq_parse_span path;  /* of the target, still encoded */
	struct synq_parse_span query; /* without '?' */
	int minor;                    /* of HTTP/1.x */
	enum synq_parse_framing framing;
	uint64_t length;    /* of the body, with framing LENGTH */
	int has_line;       /* the request line is complete */
	int has_blank;      /* an empty line stood before it */
	int is_head;        /* the method is HEAD */
	int wants_close;    /* "Connection: close" */
	int wants_expect;   /* "Expect: 100-continue" */
	uint32_t hosts;     /* how many Host fields */
	uint32_t lengths;   /* how many Content-Length fields */
	uint32_t codings;   /* how many Transfer-Encoding fields */
	uint32_t count;     /* of fields */
	int status;         /* with which to refuse */
	const char *reason; /* why, a literal; NULL unless refused */
	struct synq_parse_field fields[SYNQ_PARSE_MAX_FIELDS];
};

/* Begin a head of at most ${max_bytes} in ${head}. */
void synq_parse_head_init(struct synq_parse_head *head, size_t max_bytes);

/*
 * Go on with ${text}, which holds all bytes of the head that have arrived, the
 * earlier ones again.  DONE: the head is its first ${head}->bytes bytes.
 */
enum synq_parse_verdict synq_parse_head_feed(
    struct synq_parse_head *head, struct synq_slice text);

/* The part ${span} of the head that stands in ${text}. */
struct synq_slice synq_parse_part(
    struct synq_slice text, struct synq_parse_span span);

#endif
