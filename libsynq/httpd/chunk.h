#ifndef SYNQ_HTTPD_CHUNK_H
#define SYNQ_HTTPD_CHUNK_H

/*
 * A strict, incremental parser of chunked bodies (RFC 9112, 7.1).  Pure, and
 * as with heads the cut into pieces never changes the outcome.  Trailers are
 * checked as far as framing goes and dropped.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "httpd/parse.h"

#define SYNQ_PARSE_MAX_EXTENSION_BYTES 256 /* behind one chunk size */
#define SYNQ_PARSE_MAX_TRAILER_BYTES 8192  /* in all */

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
