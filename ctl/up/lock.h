#ifndef CTL_UP_LOCK_H
#define CTL_UP_LOCK_H

/*
 * One supervisor per installation: run/lock, held by flock as long as it
 * lives; the pid that stands in it is the holder's.  A pid file alone would
 * outlive a crash.
 */

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

/*
 * Take the lock of ${dir}, whose descriptor goes into ${ret_fd}.  Errors: BUSY
 * if a supervisor holds it, NOT_FOUND without an installation, SYSTEM.
 */
SYNQ_MUST_CHECK int lock_take(
    const char *dir, int *ret_fd, struct synq_err *err);

/* Note ${pid} as the holder of the lock ${fd}.  Error: SYSTEM. */
SYNQ_MUST_CHECK int lock_sign(int fd, pid_t pid, struct synq_err *err);

/* The pid of the supervisor of ${dir}; 0 if none runs. */
pid_t lock_holder(const char *dir);

/*
 * End what a supervisor of ${dir} that is no more has left running: it was
 * told to end when the supervisor died, so it is given some time first.
 * Their names are appended to ${out} as "kafka (pid 12), ...".
 */
void lock_end_remains(const char *dir, struct synq_buf *out);

/* Kill and reap every child of this process. */
void lock_end_children(void);

#endif
