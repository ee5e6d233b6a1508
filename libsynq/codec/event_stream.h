#ifndef SYNQ_CODEC_EVENT_STREAM_H
#define SYNQ_CODEC_EVENT_STREAM_H

/*
 * Server-sent events: text/event-stream as the WHATWG HTML standard has it
 * (section 9.2), read piece by piece and written.
 *
 * A line ends with CR, LF or CR LF; a BOM in front is dropped; a line that
 * begins with a colon is a comment; fields are data, event, id and retry, any
 * other is ignored; an id with a NUL is ignored, and so is a retry that is not
 * all digits; an empty line dispatches.  An event without data is none, and
 * what is not finished at the end of the stream is dropped.  How the bytes are
 * cut into pieces never changes what comes out.
 *
 * Stricter than the standard: bytes that are not UTF-8 are refused, where a
 * browser would replace them.
 *
 * Limits: given at creation.  A line or an event above its limit is refused,
 * and a refused reader stays so.  Comments count as lines.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

struct synq_event_reader;

struct synq_event_limits {
	size_t max_line_bytes; /* a line without its end */
	size_t max_data_bytes; /* the data of one event */
};

/* Everything is lent until the next call with the same reader. */
struct synq_event {
	struct synq_slice type; /* "message" if the stream names none */
	struct synq_slice data; /* its lines, joined with LF */
	struct synq_slice id;   /* the last one of the stream so far */
	int64_t retry_ms;       /* the last one of the stream; -1 = none */
};

/* What one call came to. */
enum synq_event_verdict {
	SYNQ_EVENT_MORE,   /* all input is used up, no event is complete */
	SYNQ_EVENT_READY,  /* an event; call again, there may be more */
	SYNQ_EVENT_REFUSED /* not valid or too large */
};

/* A reader at the front of a stream, as ${limits} say; the caller frees it. */
struct synq_event_reader *synq_event_reader_new(
    const struct synq_event_limits *limits);

/* Free *${reader}; sets it to NULL. */
void synq_event_reader_free(struct synq_event_reader **reader);

/*
 * Take bytes from the front of *${input}, up to the end of the first event,
 * which then goes to ${ret}.  MORE: *${input} is empty.
 */
enum synq_event_verdict synq_event_read(struct synq_event_reader *reader,
    struct synq_slice *input, struct synq_event *ret);

/* Why ${reader} refused, a literal; NULL unless it did. */
const char *synq_event_reason(const struct synq_event_reader *reader);

/*
 * Append ${event} to ${out}: type and id unless empty (the type "message" is
 * not written either), retry unless it is negative, a line for each of the
 * data's.  A CR or a CR LF in the data comes back as LF.  Errors: INVALID
 * where type or id hold a line end, the id a NUL, or anything is not UTF-8:
 * nothing is appended; TOO_LARGE as synq_buf_add, ${out}->overflow is set.
 */
SYNQ_MUST_CHECK int synq_event_write(
    const struct synq_event *event, struct synq_buf *out);

/*
 * Append the comment ${text} to ${out}, for a stream that would be silent.
 * Errors: as synq_event_write.
 */
SYNQ_MUST_CHECK int synq_event_write_comment(
    struct synq_slice text, struct synq_buf *out);

#endif
