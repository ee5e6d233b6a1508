#ifndef SYNQ_BASE_LOG_H
#define SYNQ_BASE_LOG_H

/*
 * Log events: one JSON object a line on stderr, with an event name and typed
 * fields (ecosystem: ts, level, component, event, org_id, job_id, trace_id,
 * err).  On a terminal the same as readable text.  Bodies, keys and other
 * secrets are never fields.
 *
 *	synq_log(SYNQ_LOG_INFO, "job.retried",
 *	    SYNQ_F_TEXT("job_id", id), SYNQ_F_INT("attempt", n), SYNQ_F_END);
 *
 * A line is at most 4 KiB and written with one write; longer values are cut.
 * Thread: any, the level and component are set once at start.
 */

#include <stdint.h>

#include "base/slice.h"

struct synq_err;

enum synq_log_level {
	SYNQ_LOG_DEBUG,
	SYNQ_LOG_INFO,
	SYNQ_LOG_WARN,
	SYNQ_LOG_ERROR
};

enum synq_field_type {
	SYNQ_FIELD_END,
	SYNQ_FIELD_TEXT,
	SYNQ_FIELD_INT,
	SYNQ_FIELD_UINT,
	SYNQ_FIELD_UUID,
	SYNQ_FIELD_ERR
};

struct synq_field {
	enum synq_field_type type;
	const char *name;
	union {
		struct synq_slice text;
		int64_t i64;
		uint64_t u64;
		const void *ptr; /* struct synq_uuid or struct synq_err */
	} value;
};

/* Builders of one field each; ${name} is a literal. */
#define SYNQ_F_TEXT(field_name, c_text)                                        \
	((struct synq_field){ .type = SYNQ_FIELD_TEXT,                         \
	    .name = (field_name),                                              \
	    .value.text = synq_slice_text(c_text) })
#define SYNQ_F_SLICE(field_name, a_slice)                                      \
	((struct synq_field){ .type = SYNQ_FIELD_TEXT,                         \
	    .name = (field_name),                                              \
	    .value.text = (a_slice) })
#define SYNQ_F_INT(field_name, number)                                         \
	((struct synq_field){ .type = SYNQ_FIELD_INT,                          \
	    .name = (field_name),                                              \
	    .value.i64 = (number) })
#define SYNQ_F_UINT(field_name, number)                                        \
	((struct synq_field){ .type = SYNQ_FIELD_UINT,                         \
	    .name = (field_name),                                              \
	    .value.u64 = (number) })
#define SYNQ_F_UUID(field_name, id_ptr)                                        \
	((struct synq_field){ .type = SYNQ_FIELD_UUID,                         \
	    .name = (field_name),                                              \
	    .value.ptr = (id_ptr) })
#define SYNQ_F_ERR(err_ptr)                                                    \
	((struct synq_field){                                                  \
	    .type = SYNQ_FIELD_ERR, .name = "err", .value.ptr = (err_ptr) })
#define SYNQ_F_END ((struct synq_field){ .type = SYNQ_FIELD_END })

/* Name the program as ${component} (a literal) and drop below ${level}. */
void synq_log_setup(const char *component, enum synq_log_level level);

/* 1 if a line of ${level} would be written, else 0. */
int synq_log_wants(enum synq_log_level level);

/* Write ${fields}, ended by SYNQ_F_END, as the event ${event}. */
void synq_log_write(enum synq_log_level level, const char *event,
    const struct synq_field *fields);

/* Write one event; the fields end with SYNQ_F_END. */
#define synq_log(level, event, ...)                                            \
	synq_log_write(                                                        \
	    (level), (event), (const struct synq_field[]){ __VA_ARGS__ })

#endif
