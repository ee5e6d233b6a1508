#ifndef CTL_UP_MEMORY_H
#define CTL_UP_MEMORY_H

/*
 * The memory that a process has for itself.
 */

#include <stdint.h>
#include <sys/types.h>

/*
 * The private memory of ${pid} and of its children, in bytes; 0 if there is no
 * such process.  Where the kernel does not tell (processes that protect
 * themselves), what is resident and not shared with files.
 */
uint64_t memory_private_bytes(pid_t pid);

#endif
