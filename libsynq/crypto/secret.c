/*
 * A secret lives in pages of its own between two that may not be touched,
 * locked into memory, left out of core dumps, and read-only once it is filled.
 * Freeing it overwrites it first.
 *
 * Loading reads a file into the stack, copies it into such pages and erases
 * the stack.  Saving writes a second file beside the first name, syncs it and
 * links it to that name, which fails if something is there: a crash leaves
 * the whole secret or none.
 *
 * What fails: a lock on memory, silently, where RLIMIT_MEMLOCK is small (then
 * a secret may reach swap space); memory for the pages, which ends the process
 * like any other lack of memory; files, with what the system said.
 */

#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* The largest file that can be a secret, white space at its end included. */
#define MAX_FILE_BYTES 4096

struct synq_secret {
	unsigned char *data; /* owned, from sodium_malloc */
	size_t bytes;
};

int
synq_crypto_init(struct synq_err *err)
{
	static const struct rlimit no_core = { 0, 0 };

	if (sodium_init() < 0)
		return synq_fail(err, SYNQ_E_SYSTEM, "start libsodium");
	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		return synq_fail(err, SYNQ_E_SYSTEM,
		    "switch core dumps off: %s", strerror(errno));

	/* A debugger, or a test that reads /proc/PID, asks for access. */
	if (getenv("SYNQ_DUMPABLE") != NULL)
		return 0;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return synq_fail(err, SYNQ_E_SYSTEM, "switch tracing off: %s",
		    strerror(errno));
	return 0;
}

SYNQ_NORETURN static void
out_of_memory(void)
{
	fputs("out of memory for secrets\n", stderr);
	_exit(SYNQ_EXIT_NO_MEMORY);
}

/* A secret of ${bytes} that are not set yet and may be written. */
static struct synq_secret *
secret_open(size_t bytes)
{
	struct synq_secret *secret = synq_mem_new(sizeof(*secret));

	secret->data = sodium_malloc(bytes);
	if (secret->data == NULL)
		out_of_memory();
	secret->bytes = bytes;
	return secret;
}

/* ${secret}, from now on read-only. */
static struct synq_secret *
secret_close(struct synq_secret *secret)
{
	/* Only pages that are not ours could refuse. */
	if (sodium_mprotect_readonly(secret->data) != 0)
		abort();
	return secret;
}

struct synq_secret *
synq_secret_new(struct synq_slice bytes)
{
	struct synq_secret *secret = secret_open(bytes.bytes);

	if (bytes.bytes > 0)
		memcpy(secret->data, bytes.data, bytes.bytes);
	return secret_close(secret);
}

static int
is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct synq_secret *
synq_secret_random(size_t bytes)
{
	struct synq_secret *secret = secret_open(bytes);

	/* White space at the end would not survive save and load. */
	do {
		randombytes_buf(secret->data, bytes);
	} while (bytes > 0 && is_space(secret->data[bytes - 1]));
	return secret_close(secret);
}

void
synq_secret_free(struct synq_secret **secret)
{
	if (*secret == NULL)
		return;
	sodium_free((*secret)->data);
	synq_mem_free(*secret);
	*secret = NULL;
}

struct synq_slice
synq_secret_view(const struct synq_secret *secret)
{
	return synq_slice_of(secret->data, secret->bytes);
}

void
synq_secret_erase(void *data, size_t bytes)
{
	sodium_memzero(data, bytes);
}

/* ---- files --------------------------------------------------------------- */

/* Say what errno says about ${path}. */
static int
file_fail(struct synq_err *err, const char *doing, const char *path)
{
	enum synq_code code = SYNQ_E_SYSTEM;

	if (errno == ENOENT || errno == ENOTDIR)
		code = SYNQ_E_NOT_FOUND;
	else if (errno == EACCES || errno == EPERM)
		code = SYNQ_E_DENIED;
	return synq_fail(err, code, "%s %s: %s", doing, path, strerror(errno));
}

/* Refuse an open file that is no file or that others may read. */
static int
file_check(int fd, const char *path, struct synq_err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return file_fail(err, "look at", path);
	if (!S_ISREG(st.st_mode))
		return synq_fail(
		    err, SYNQ_E_DENIED, "%s is not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return synq_fail(err, SYNQ_E_DENIED,
		    "%s is open to others (mode %03o); chmod 600 %s", path,
		    (unsigned)st.st_mode & 0777, path);
	return 0;
}

/*
 * Read ${fd} to its end into the ${room} bytes at ${to}.  Returns the number
 * of bytes, ${room} if there may be more, or -1 and errno.
 */
static ssize_t
file_read(int fd, unsigned char *to, size_t room)
{
	size_t bytes = 0;

	while (bytes < room) {
		ssize_t got = read(fd, to + bytes, room - bytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		bytes += (size_t)got;
	}
	return (ssize_t)bytes;
}

int
synq_secret_load(
    const char *path, struct synq_secret **ret, struct synq_err *err)
{
	unsigned char content[MAX_FILE_BYTES + 1];
	ssize_t bytes;
	int rc;

	/* Without O_NONBLOCK, a fifo would hold us here. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return file_fail(err, "open", path);
	rc = file_check(fd, path, err);
	if (rc != 0)
		goto out;

	bytes = file_read(fd, content, sizeof(content));
	if (bytes < 0) {
		rc = file_fail(err, "read", path);
		goto out;
	}
	if (bytes > MAX_FILE_BYTES) {
		rc = synq_fail(err, SYNQ_E_TOO_LARGE,
		    "%s is larger than %d bytes", path, MAX_FILE_BYTES);
		goto out;
	}
	while (bytes > 0 && is_space(content[bytes - 1]))
		bytes--;
	if (bytes == 0) {
		rc = synq_fail(err, SYNQ_E_NOT_FOUND, "%s is empty", path);
		goto out;
	}
	*ret = synq_secret_new(synq_slice_of(content, (size_t)bytes));

out:
	synq_secret_erase(content, sizeof(content));
	close(fd);
	return rc;
}

/* 0, or -1 and errno. */
static int
file_write(int fd, struct synq_slice bytes)
{
	while (bytes.bytes > 0) {
		ssize_t put = write(fd, bytes.data, bytes.bytes);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		bytes.data += put;
		bytes.bytes -= (size_t)put;
	}
	return fsync(fd);
}

/* Make the name of ${path} in its folder durable; 0, or -1 and errno. */
static int
folder_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	int rc;

	if (slash == NULL)
		folder = synq_mem_text(".");
	else
		folder = synq_mem_copy(path, (size_t)(slash - path) + 1);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	synq_mem_free(folder);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* Save ${secret} through a new file whose name is made from ${draft}. */
static int
secret_save_by(char *draft, const char *path, const struct synq_secret *secret,
    struct synq_err *err)
{
	int rc = 0;

	int fd = mkostemp(draft, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return synq_fail(err, SYNQ_E_SYSTEM, "create %s: %s", draft,
		    strerror(errno));

	if (file_write(fd, synq_secret_view(secret)) != 0)
		rc = synq_fail(
		    err, SYNQ_E_SYSTEM, "write %s: %s", draft, strerror(errno));
	else if (link(draft, path) != 0)
		rc = synq_fail(err,
		    errno == EEXIST ? SYNQ_E_CONFLICT : SYNQ_E_SYSTEM,
		    "create %s: %s", path, strerror(errno));
	unlink(draft);
	close(fd);
	if (rc == 0 && folder_sync(path) != 0)
		rc = synq_fail(err, SYNQ_E_SYSTEM, "sync the folder of %s: %s",
		    path, strerror(errno));
	return rc;
}

int
synq_secret_save(
    const char *path, const struct synq_secret *secret, struct synq_err *err)
{
	struct synq_buf draft;
	int rc;

	/* What load would cut off or refuse is not written. */
	if (secret->bytes == 0 || secret->bytes > MAX_FILE_BYTES ||
	    is_space(secret->data[secret->bytes - 1]))
		return synq_fail(err, SYNQ_E_INVALID,
		    "a secret in a file has 1 to %d bytes and no white space "
		    "at its end",
		    MAX_FILE_BYTES);

	synq_buf_init(&draft, strlen(path) + 8);
	synq_buf_printf(&draft, "%s.XXXXXX", path);
	rc = secret_save_by(draft.data, path, secret, err);
	synq_buf_done(&draft);
	return rc;
}
