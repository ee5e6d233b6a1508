#ifndef SYNQ_JSON_WRITE_H
#define SYNQ_JSON_WRITE_H

/*
 * A JSON writer into a buffer.  It puts the commas; the caller opens, names
 * and closes.  Errors are those of the buffer: check out->overflow at the end.
 *
 *	synq_json_open(&w, '{');
 *	synq_json_key(&w, "id");  synq_json_text(&w, "job_1");
 *	synq_json_close(&w, '}');
 */

#include <stdint.h>

#include "base/slice.h"

struct synq_json_writer {
	struct synq_buf *out; /* borrowed */
	int comma;            /* the next value needs a comma before it */
};

/* Let ${writer} append to ${out}. */
void synq_json_start(struct synq_json_writer *writer, struct synq_buf *out);

/* Open an object or array: ${bracket} is '{' or '['. */
void synq_json_open(struct synq_json_writer *writer, char bracket);

/* Close it: ${bracket} is '}' or ']'. */
void synq_json_close(struct synq_json_writer *writer, char bracket);

/* The name ${name} of the next value. */
void synq_json_key(struct synq_json_writer *writer, const char *name);

/* The string ${text}; NULL writes null. */
void synq_json_text(struct synq_json_writer *writer, const char *text);

/*
 * The string ${slice}, escaped; bytes that are not UTF-8 become U+FFFD, so
 * that what comes out is always valid.
 */
void synq_json_slice(struct synq_json_writer *writer, struct synq_slice slice);

/* The whole number ${number}. */
void synq_json_i64(struct synq_json_writer *writer, int64_t number);

/* The number ${number} with ${decimals} decimals; NaN and infinity give null.
 */
void synq_json_f64(
    struct synq_json_writer *writer, double number, int decimals);

/* true if ${truth} is not 0, else false. */
void synq_json_truth(struct synq_json_writer *writer, int truth);

/* null. */
void synq_json_null(struct synq_json_writer *writer);

/* ${json}, which is valid JSON already, as it stands. */
void synq_json_raw(struct synq_json_writer *writer, struct synq_slice json);

#endif
