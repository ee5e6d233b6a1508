/*
 * Faults for any test program, which links this whether it asks or not:
 *
 *	SYNQ_TEST_FAIL_ALLOCATION=n  the n-th allocation finds no memory
 *	SYNQ_TEST_SHORT_EVERY=n      every n-th read, recv and send of our own
 *	                             code moves one byte, or is interrupted
 *
 * The linker sends the calls of our objects here (--wrap); libraries keep
 * theirs.  Only non-blocking descriptors suffer: those are the loop's, while a
 * test's own client blocks.  A flood that waits is read as always: a byte at a
 * time it would outlast the turns that tests wait.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

ssize_t __real_recv(int fd, void *to, size_t bytes, int flags);
ssize_t __real_send(int fd, const void *from, size_t bytes, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t bytes, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t bytes, int flags);
void inject_begin(void);

#define FLOOD_BYTES 4096

static unsigned long short_every;
static atomic_ulong calls;

__attribute__((constructor)) void
inject_begin(void)
{
	const char *allocation = getenv("SYNQ_TEST_FAIL_ALLOCATION");
	const char *every = getenv("SYNQ_TEST_SHORT_EVERY");

	if (allocation != NULL)
		synq_mem_fail_at(strtoul(allocation, NULL, 10));
	if (every != NULL)
		short_every = strtoul(every, NULL, 10);
}

/* Does this call on ${fd} suffer?  Every other one that does is interrupted. */
static int
inject_now(int fd, int *ret_interrupt)
{
	unsigned long nth;
	int waiting = 0;

	if (short_every == 0 || !(fcntl(fd, F_GETFL) & O_NONBLOCK) ||
	    (ioctl(fd, FIONREAD, &waiting) == 0 && waiting > FLOOD_BYTES))
		return 0;
	nth = atomic_fetch_add(&calls, 1) + 1;
	*ret_interrupt = nth / short_every % 2 == 0;
	return nth % short_every == 0;
}

ssize_t
__wrap_recv(int fd, void *to, size_t bytes, int flags)
{
	int interrupt;

	if (!inject_now(fd, &interrupt))
		return __real_recv(fd, to, bytes, flags);
	if (interrupt) {
		errno = EINTR;
		return -1;
	}
	return __real_recv(fd, to, bytes > 0 ? 1 : 0, flags);
}

ssize_t
__wrap_send(int fd, const void *from, size_t bytes, int flags)
{
	int interrupt;

	if (!inject_now(fd, &interrupt))
		return __real_send(fd, from, bytes, flags);
	if (interrupt) {
		errno = EINTR;
		return -1;
	}
	return __real_send(fd, from, bytes > 0 ? 1 : 0, flags);
}
