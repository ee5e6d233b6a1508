/*
 * Loaded in front of the C library (LD_PRELOAD) by the fault tests.  In one of
 * Synq's programs it lets the harness, without root and while they run,
 *
 * - fill the disk: what is written to a regular file fails with ENOSPC;
 * - step the wall clock: every way to ask for it tells another time;
 * - lead connections through a proxy: connect() to a server's port goes to the
 *   proxy's, so that no server need know of it (Kafka tells its clients its
 *   own address).
 *
 * The file named by SYNQ_FAULT_SWITCHES says what is on.  A process without
 * that file, or whose --name is not in it, is left alone: servers and the
 * supervisor inherit the environment too.
 *
 * A wait until a time of the wall clock is told in stepped time, so it is
 * translated back: the kernel's own clock does not step.
 */

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "tests/fault/switches.h"

/* A wall clock is past this, the clock since the start of a machine is not. */
#define WALL_MIN_S 1000000000

/* NULL = not one of the programs that are watched. */
static const volatile struct switches_program *ours;

/* The next definition of ${name}, once found kept in ${place}. */
#define REAL(place, name)                                                      \
	do {                                                                   \
		if ((place) == NULL)                                           \
			*(void **)&(place) = dlsym(RTLD_NEXT, (name));         \
	} while (0)

static size_t
read_command_line(char *text, size_t room)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : read(fd, text, room - 1);

	if (fd >= 0)
		close(fd);
	if (bytes < 0)
		bytes = 0;
	text[bytes] = '\0';
	return (size_t)bytes;
}

/* The word behind --name on the command line ${text}, or NULL. */
static const char *
find_name(const char *text, size_t bytes)
{
	const char *word = text;

	while (word < text + bytes) {
		const char *after = word + strlen(word) + 1;

		if (strcmp(word, "--name") == 0 && after < text + bytes)
			return after;
		word = after;
	}
	return NULL;
}

__attribute__((constructor)) static void
find_ourselves(void)
{
	const char *path = getenv("SYNQ_FAULT_SWITCHES");
	const struct switches *all;
	char text[4096];
	const char *name;
	int fd;

	if (path == NULL)
		return;
	name = find_name(text, read_command_line(text, sizeof(text)));
	fd = name == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	all = mmap(NULL, sizeof(*all), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (all == MAP_FAILED || all->magic != SWITCHES_MAGIC)
		return;
	for (size_t i = 0; i < SWITCHES_PROGRAMS; i++) {
		if (strcmp(all->programs[i].name, name) == 0)
			ours = &all->programs[i];
	}
}

/* ---- the disk ---- */

/* 1 and ENOSPC if writing to ${fd} must fail. */
static int
is_full(int fd)
{
	struct stat status;

	if (ours == NULL || !ours->disk_full)
		return 0;
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		return 0;
	errno = ENOSPC;
	return 1;
}

ssize_t
write(int fd, const void *data, size_t bytes)
{
	static ssize_t (*real)(int, const void *, size_t);

	REAL(real, "write");
	return is_full(fd) ? -1 : real(fd, data, bytes);
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
	static ssize_t (*real)(int, const struct iovec *, int);

	REAL(real, "writev");
	return is_full(fd) ? -1 : real(fd, parts, count);
}

/* Which of the two the header calls pwrite depends on how we are compiled. */
ssize_t interpose_pwrite(
    int fd, const void *data, size_t bytes, off64_t offset) __asm__("pwrite");
ssize_t interpose_pwrite64(
    int fd, const void *data, size_t bytes, off64_t offset) __asm__("pwrite64");

ssize_t
interpose_pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
	static ssize_t (*real)(int, const void *, size_t, off64_t);

	REAL(real, "pwrite64");
	return is_full(fd) ? -1 : real(fd, data, bytes, offset);
}

ssize_t
interpose_pwrite(int fd, const void *data, size_t bytes, off64_t offset)
{
	return interpose_pwrite64(fd, data, bytes, offset);
}

int
fsync(int fd)
{
	static int (*real)(int);

	REAL(real, "fsync");
	return is_full(fd) ? -1 : real(fd);
}

int
fdatasync(int fd)
{
	static int (*real)(int);

	REAL(real, "fdatasync");
	return is_full(fd) ? -1 : real(fd);
}

/* ---- the clock ---- */

static int64_t
step_us(void)
{
	return ours == NULL ? 0 : ours->clock_step_us;
}

/* ${at} and ${us} more, which may be negative. */
static struct timespec
moved(struct timespec at, int64_t us)
{
	int64_t ns = at.tv_nsec + us % 1000000 * 1000;

	at.tv_sec += us / 1000000;
	if (ns < 0) {
		ns += 1000000000;
		at.tv_sec--;
	} else if (ns >= 1000000000) {
		ns -= 1000000000;
		at.tv_sec++;
	}
	at.tv_nsec = ns;
	return at;
}

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	int rc;

	REAL(real, "clock_gettime");
	rc = real(clock, ret);
	if (rc == 0 &&
	    (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		*ret = moved(*ret, step_us());
	return rc;
}

int
gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now;
	int rc = clock_gettime(CLOCK_REALTIME, &now);

	(void)zone;
	ret->tv_sec = now.tv_sec;
	ret->tv_usec = now.tv_nsec / 1000;
	return rc;
}

time_t
time(time_t *ret)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return (time_t)-1;
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int
timespec_get(struct timespec *ret, int base)
{
	if (base != TIME_UTC || clock_gettime(CLOCK_REALTIME, ret) != 0)
		return 0;
	return base;
}

/* ${until} in the kernel's time, if it is one of the wall clock. */
static struct timespec
kernel_time(const struct timespec *until)
{
	return until->tv_sec < WALL_MIN_S ? *until : moved(*until, -step_us());
}

int
pthread_cond_timedwait(pthread_cond_t *restrict cond,
    pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
	static int (*real)(
	    pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
	const struct timespec at = kernel_time(until);

	/* Without its version the name stands for an older kind of cond. */
	if (real == NULL)
		*(void **)&real =
		    dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	REAL(real, "pthread_cond_timedwait");
	return real(cond, mutex, &at);
}

/* librdkafka's way; the C library does not go through the one above. */
int
cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
    const struct timespec *restrict until)
{
	static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
	const struct timespec at = kernel_time(until);

	REAL(real, "cnd_timedwait");
	return real(cond, mutex, &at);
}

/* ---- the network ---- */

/* ${address} as the routes have it; 1 if it is another one. */
static int
reroute(struct sockaddr_in *address)
{
	if (ours == NULL || address->sin_family != AF_INET ||
	    address->sin_addr.s_addr != htonl(INADDR_LOOPBACK))
		return 0;
	for (size_t i = 0; i < SWITCHES_ROUTES; i++) {
		if (ours->routes[i].from_port != 0 &&
		    ours->routes[i].from_port == ntohs(address->sin_port)) {
			address->sin_port = htons(ours->routes[i].to_port);
			return 1;
		}
	}
	return 0;
}

/* The C library's header declares connect() with a type that is only gcc's. */
int interpose_connect(
    int fd, const struct sockaddr *address, socklen_t bytes) __asm__("connect");

int
interpose_connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	static int (*real)(int, const struct sockaddr *, socklen_t);
	struct sockaddr_in there;

	REAL(real, "connect");
	if (bytes < sizeof(there))
		return real(fd, address, bytes);
	memcpy(&there, address, sizeof(there));
	if (!reroute(&there))
		return real(fd, address, bytes);
	return real(fd, (const struct sockaddr *)&there, sizeof(there));
}
