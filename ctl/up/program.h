#ifndef CTL_UP_PROGRAM_H
#define CTL_UP_PROGRAM_H

/*
 * Synq's own programs, and the notes that they leave in run/NAME.json.
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

/* What a program has noted about itself. */
struct program_note {
	pid_t pid;
	uint16_t port; /* 0 = none */
	uint16_t health_port;
};

/*
 * The note of the instance ${name} of the installation ${dir}, into ${ret}.
 * Errors: NOT_FOUND, CORRUPT, SYSTEM.
 */
SYNQ_MUST_CHECK int program_read_note(
    const char *dir, const char *name, struct program_note *ret);

/*
 * Is the instance ${name} of ${dir}, which runs as ${pid}, ready?  What it
 * waits for, or does without, is appended to ${why} as one line.  1 or 0.
 */
int program_is_ready(
    const char *dir, const char *name, pid_t pid, struct synq_buf *why);

#endif
