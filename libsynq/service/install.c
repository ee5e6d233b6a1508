#include "service/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "crypto/secret.h"

/*
 * Paths are put together here and nowhere else, so that a secret is looked for
 * where synq up has put it.
 */

#define MAX_NAME_CHARS 64

char *
synq_install_dir(const char *flag)
{
	const char *variable = getenv("SYNQ_DIR");
	char path[PATH_MAX];
	char here[PATH_MAX];
	struct synq_buf joined;
	char *ret;

	if (flag == NULL || flag[0] == '\0')
		flag =
		    variable == NULL || variable[0] == '\0' ? "var" : variable;
	if (realpath(flag, path) != NULL)
		return synq_mem_text(path);

	/* It need not be there yet. */
	if (flag[0] == '/' || getcwd(here, sizeof(here)) == NULL)
		return synq_mem_text(flag);
	synq_buf_init(&joined, 2 * PATH_MAX);
	synq_buf_printf(&joined, "%s/%s", here, flag);
	ret = synq_mem_text(joined.data);
	synq_buf_done(&joined);
	return ret;
}

int
synq_install_is_name(const char *name)
{
	size_t chars = strspn(name,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return chars > 0 && name[chars] == '\0' && name[0] != '-' &&
	       chars <= MAX_NAME_CHARS;
}

int
synq_install_secret(const char *dir, const char *name, struct synq_secret **ret,
    struct synq_err *err)
{
	struct synq_err below = { 0 };
	struct synq_buf path;
	int rc;

	synq_buf_init(&path, 2 * PATH_MAX);
	synq_buf_printf(&path, "%s/secrets/%s", dir, name);
	rc = synq_secret_load(path.data, ret, &below);
	if (rc == -SYNQ_E_NOT_FOUND)
		synq_fail(err, SYNQ_E_NOT_FOUND,
		    "%s; synq up makes the secrets of a new installation",
		    below.text);
	else if (rc == -SYNQ_E_DENIED)
		synq_fail(err, SYNQ_E_DENIED, "%s; mend it with: chmod 600 %s",
		    below.text, path.data);
	else if (rc != 0)
		synq_fail(err, (enum synq_code) - rc, "%s", below.text);
	synq_buf_done(&path);
	return rc;
}

/* Append ${value} in the quoting of a libpq connection string. */
static void
add_quoted(struct synq_buf *out, struct synq_slice value)
{
	size_t i;

	synq_buf_char(out, '\'');
	for (i = 0; i < value.bytes; i++) {
		if (value.data[i] == '\'' || value.data[i] == '\\')
			synq_buf_char(out, '\\');
		synq_buf_char(out, value.data[i]);
	}
	synq_buf_char(out, '\'');
}

int
synq_install_pg_url(const char *dir, const struct synq_config *config,
    const char *role, struct synq_buf *out, struct synq_err *err)
{
	struct synq_secret *password = NULL;
	char name[128];
	int rc;

	if (config->pg_url[0] == '\0')
		return synq_fail(err, SYNQ_E_CONFIG,
		    "pg.url is not set and there is no private server: run "
		    "synq up, or set pg.url in %s/synq.yaml",
		    dir);
	snprintf(name, sizeof(name), "pg.%s", role);
	rc = synq_install_secret(dir, name, &password, err);
	if (rc != 0)
		return rc;
	synq_buf_text(out, config->pg_url);
	synq_buf_text(out, " user=");
	add_quoted(out, synq_slice_text(role));
	synq_buf_text(out, " password=");
	add_quoted(out, synq_secret_view(password));
	synq_secret_free(&password);
	return 0;
}

static int
write_all(int fd, struct synq_slice content)
{
	while (content.bytes > 0) {
		ssize_t bytes = write(fd, content.data, content.bytes);

		if (bytes < 0 && errno != EINTR)
			return -1;
		if (bytes > 0) {
			content.data += bytes;
			content.bytes -= (size_t)bytes;
		}
	}
	return 0;
}

/* What was renamed is only there after a power loss if its folder is. */
static void
sync_folder_of(const char *path)
{
	char *folder = synq_mem_text(path);
	char *slash = strrchr(folder, '/');
	int fd;

	if (slash != NULL)
		*slash = '\0';
	fd = open(
	    slash == NULL ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	synq_mem_free(folder);
}

int
synq_install_write(
    const char *path, struct synq_slice content, struct synq_err *err)
{
	struct synq_buf fresh;
	int fd;
	int rc = 0;

	synq_buf_init(&fresh, 2 * PATH_MAX);
	synq_buf_printf(&fresh, "%s.%d.new", path, (int)getpid());
	fd = open(fresh.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, content) != 0 || fsync(fd) != 0 ||
	    rename(fresh.data, path) != 0) {
		rc = synq_fail(err, SYNQ_E_SYSTEM, "cannot write %s: %s", path,
		    strerror(errno));
		unlink(fresh.data);
	} else {
		sync_folder_of(path);
	}
	if (fd >= 0)
		close(fd);
	synq_buf_done(&fresh);
	return rc;
}

int
synq_install_folder(const char *path, struct synq_err *err)
{
	struct stat status;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno == EEXIST && stat(path, &status) == 0 &&
	    S_ISDIR(status.st_mode))
		return 0;
	return synq_fail(err, SYNQ_E_SYSTEM, "cannot make the folder %s: %s",
	    path, strerror(errno));
}
