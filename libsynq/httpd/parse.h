#ifndef SYNQ_HTTPD_PARSE_H
#define SYNQ_HTTPD_PARSE_H

/*
 * A strict, incremental parser of HTTP/1.1 request heads and chunked bodies
 * (RFC 9112).  Pure: no input or output, no allocation, no time.
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
#define SYNQ_PARSE_MAX_EXTENSION_BYTES 256 /* behind one chunk size */
#define SYNQ_PARSE_MAX_TRAILER_BYTES 8192  /* in all */

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

/* The state between two bytes of a chunked body, and what it expects. */
enum synq_parse_chunk_state {
	SYNQ_CHUNK_SIZE,          /* a digit of the size, ';' or CR */
	SYNQ_CHUNK_EXTENSION,     /* more of the extension, or CR */
	SYNQ_CHUNK_SIZE_LF,       /* the LF behind the size */
	SYNQ_CHUNK_DATA,          /* data */
	SYNQ_CHUNK_DATA_CR,       /* the CR behind the data */
	SYNQ_CHUNK_DATA_LF,       /* the LF behind that */
	SYNQ_CHUNK_TRAILER,       /* the first byte of a trailer, or CR */
	SYNQ_CHUNK_TRAILER_NAME,  /* more of its name, or ':' */
	SYNQ_CHUNK_TRAILER_VALUE, /* more of its value, or CR */
	SYNQ_CHUNK_TRAILER_LF,    /* the LF behind it */
	SYNQ_CHUNK_END_LF,        /* the very last LF */
	SYNQ_CHUNK_END            /* nothing */
};

struct synq_parse_chunks {
	enum synq_parse_chunk_state state;
	uint64_t left;     /* of the size so far, or of the data to come */
	uint32_t digits;   /* of the size so far */
	uint32_t extras;   /* bytes of extension so far */
	uint32_t trailers; /* bytes of trailers so far */
	const char *reason;
};

/* Begin a chunked body in ${chunks}. */
void synq_parse_chunks_init(struct synq_parse_chunks *chunks);

/*
 * Take bytes from the front of ${text}, up to and including one run of data,
 * which ${ret_data} then lends (it may be empty).  MORE: call again as long as
 * ${text} is not empty.  DONE: the body is complete, what is left in ${text}
 * is behind it.  REFUSED is always a 400.
 */
enum synq_parse_verdict synq_parse_chunks_feed(struct synq_parse_chunks *chunks,
    struct synq_slice *text, struct synq_slice *ret_data);

#endif
