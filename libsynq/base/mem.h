#ifndef SYNQ_BASE_MEM_H
#define SYNQ_BASE_MEM_H

/*
 * The heap.  Nothing outside base calls malloc or free.
 *
 * Allocation never returns NULL: when memory runs out the process writes one
 * line and ends with exit code 70 (decisions 36); what it had accepted is in
 * the log.  So every size that comes from outside is checked before it gets
 * here.  Zero bytes are allowed and give a pointer that may be freed.
 */

#include <stddef.h>

/* The exit code of a process that ran out of memory (EX_SOFTWARE). */
#define SYNQ_EXIT_NO_MEMORY 70

/* ${bytes} zeroed bytes; the caller frees them with synq_mem_free. */
void *synq_mem_new(size_t bytes);

/* An array of ${count} zeroed elements of ${bytes}; overflow is no memory. */
void *synq_mem_array(size_t count, size_t bytes);

/* Resize ${ptr} (or NULL) to ${bytes}; new bytes are not zeroed. */
void *synq_mem_resize(void *ptr, size_t bytes);

/* A copy of the C string ${text}; NULL gives NULL. */
char *synq_mem_text(const char *text);

/* A NUL-terminated copy of ${bytes} bytes at ${data}. */
char *synq_mem_copy(const void *data, size_t bytes);

/* Free ${ptr}; NULL is fine. */
void synq_mem_free(void *ptr);

/*
 * Make the ${nth} allocation from now end the process as if memory had run
 * out (1 = the next); 0 switches it off.  For tests.
 */
void synq_mem_fail_at(size_t nth);

#endif
