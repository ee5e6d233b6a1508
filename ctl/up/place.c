#include "ctl/up/place.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "service/install.h"

#define NEEDED_BYTES (200ULL * 1024 * 1024)
#define MB (1024ULL * 1024)
/* For installations that the servers' account cannot reach. */
#define ELSEWHERE "/var/lib/synq"

char *
place_path(const char *folder, const char *name)
{
	struct synq_buf path;
	char *ret;

	synq_buf_init(&path, 2 * PATH_MAX);
	synq_buf_printf(&path, "%s/%s", folder, name);
	ret = synq_mem_copy(path.data, path.bytes);
	synq_buf_done(&path);
	return ret;
}

int
place_drop(const struct place *place)
{
	if (!place->drops)
		return 0;
	if (setgroups(0, NULL) != 0 || setgid(place->gid) != 0 ||
	    setuid(place->uid) != 0)
		return -1;
	return 0;
}

int
place_account_can(const struct place *place, const char *path, int mode)
{
	int status = 1;
	pid_t pid;

	if (!place->drops)
		return access(path, mode) == 0;
	pid = fork();
	if (pid == 0)
		_exit(place_drop(place) != 0 || access(path, mode) != 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 0;
	return status == 0;
}

static void
choose_account(struct place *place)
{
	const struct passwd *account = NULL;

	if (geteuid() != 0)
		return;
	account = getpwnam("postgres");
	if (account == NULL)
		account = getpwnam("nobody");
	place->drops = 1;
	place->uid = account == NULL ? 65534 : account->pw_uid;
	place->gid = account == NULL ? 65534 : account->pw_gid;
	snprintf(place->account, sizeof(place->account), "%s",
	    account == NULL ? "nobody" : account->pw_name);
}

int
place_check_room(const char *path, struct synq_err *err)
{
	char *folder = synq_mem_text(path);
	unsigned long long bytes;
	struct statvfs disk;
	char *slash;
	int rc = 0;

	/* What is not there yet will be on the disk of what is above it. */
	while (access(folder, F_OK) != 0 &&
	       (slash = strrchr(folder, '/')) != NULL && slash != folder)
		*slash = '\0';
	if (statvfs(folder, &disk) != 0) {
		rc = synq_fail(err, SYNQ_E_SYSTEM,
		    "cannot ask for the room at %s: %s", folder,
		    strerror(errno));
		goto out;
	}
	bytes = (unsigned long long)disk.f_bavail * disk.f_frsize;
	if (bytes < NEEDED_BYTES)
		rc = synq_fail(err, SYNQ_E_SYSTEM,
		    "the disk of %s is full: %llu MB are free, Synq needs "
		    "%llu MB; make room there, or use another folder with "
		    "--dir",
		    path, bytes / MB, NEEDED_BYTES / MB);

out:
	synq_mem_free(folder);
	return rc;
}

int
place_make_folder(const char *path, mode_t mode, struct synq_err *err)
{
	int rc = synq_install_folder(path, err);

	if (rc == 0 && chmod(path, mode) != 0)
		rc = synq_fail(err, SYNQ_E_SYSTEM, "cannot use %s: %s", path,
		    strerror(errno));
	return rc;
}

static int
make_under_dir(
    const struct place *place, const char *name, struct synq_err *err)
{
	char *path = place_path(place->dir, name);
	int rc = place_make_folder(path, 0700, err);

	synq_mem_free(path);
	return rc;
}

/* The installation's folder and, where it is missing, those above it. */
static int
make_dir(const struct place *place, struct synq_err *err)
{
	/* The servers' account must be able to pass, not to look. */
	mode_t mode = place->drops ? 0711 : 0700;
	char *path = synq_mem_text(place->dir);
	char *slash = path;
	int rc = 0;

	if (access(path, F_OK) == 0)
		goto out;
	while (rc == 0 && (slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		if (access(path, F_OK) != 0 && mkdir(path, 0755) != 0)
			rc = synq_fail(err, SYNQ_E_SYSTEM,
			    "cannot make the folder %s: %s", path,
			    strerror(errno));
		*slash = '/';
	}
	if (rc == 0)
		rc = place_make_folder(path, mode, err);

out:
	synq_mem_free(path);
	return rc;
}

/* The place of data that is not under ${place}->dir. */
static int
choose_elsewhere(struct place *place, struct synq_err *err)
{
	struct synq_buf name;
	uint8_t hash[16];
	int rc;

	synq_hash(NULL, synq_slice_text(place->dir), hash, sizeof(hash));
	synq_buf_init(&name, 256);
	synq_hex_encode(&name, synq_slice_of(hash, 8));
	rc = place_make_folder(ELSEWHERE, 0711, err);
	if (rc == 0)
		place->data = place_path(ELSEWHERE, name.data);
	synq_buf_done(&name);
	return rc;
}

static int
choose_data(struct place *place, struct synq_err *err)
{
	char *note = place_path(place->dir, "run/data");
	struct synq_buf line;
	int rc = 0;

	if (place_account_can(place, place->dir, X_OK))
		place->data = place_path(place->dir, "data");
	else
		rc = choose_elsewhere(place, err);
	if (rc == 0)
		rc = place_make_folder(
		    place->data, place->drops ? 0711 : 0700, err);
	if (rc == 0) {
		synq_buf_init(&line, 2 * PATH_MAX);
		synq_buf_printf(&line, "%s\n", place->data);
		rc = synq_install_write(note, synq_buf_view(&line), err);
		synq_buf_done(&line);
	}
	synq_mem_free(note);
	return rc;
}

static int
find_self(struct place *place, struct synq_err *err)
{
	char path[PATH_MAX];
	ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (bytes <= 0)
		return synq_fail(
		    err, SYNQ_E_SYSTEM, "/proc/self/exe: %s", strerror(errno));
	path[bytes] = '\0';
	*strrchr(path, '/') = '\0';
	place->programs = synq_mem_text(path);
	return 0;
}

int
place_new(const char *dir, struct place **ret, struct synq_err *err)
{
	struct place *place = synq_mem_new(sizeof(*place));
	int rc;

	place->dir = synq_mem_text(dir);
	choose_account(place);
	rc = find_self(place, err);
	if (rc == 0)
		rc = place_check_room(dir, err);
	if (rc == 0)
		rc = make_dir(place, err);
	if (rc == 0)
		rc = make_under_dir(place, "run", err);
	if (rc == 0)
		rc = make_under_dir(place, "log", err);
	if (rc == 0)
		rc = make_under_dir(place, "secrets", err);
	if (rc == 0)
		rc = choose_data(place, err);
	if (rc != 0) {
		place_free(&place);
		return rc;
	}
	*ret = place;
	return 0;
}

void
place_free(struct place **place_ptr)
{
	struct place *place = *place_ptr;

	if (place == NULL)
		return;
	synq_mem_free(place->dir);
	synq_mem_free(place->data);
	synq_mem_free(place->programs);
	synq_mem_free(place->jars);
	synq_mem_free(place->java);
	synq_mem_free(place->pg_bin);
	synq_mem_free(place->redis);
	synq_mem_free(place);
	*place_ptr = NULL;
}

int
place_data_folder(const struct place *place, const char *name, char **ret,
    struct synq_err *err)
{
	char *path = place_path(place->data, name);
	int rc = synq_install_folder(path, err);

	if (rc == 0 && place->drops &&
	    (chown(path, place->uid, place->gid) != 0 ||
		chmod(path, 0700) != 0))
		rc = synq_fail(err, SYNQ_E_SYSTEM,
		    "cannot give %s to the account %s: %s", path,
		    place->account, strerror(errno));
	if (rc == 0)
		*ret = path;
	else
		synq_mem_free(path);
	return rc;
}

int
place_write(const struct place *place, const char *path,
    struct synq_slice content, struct synq_err *err)
{
	int rc = synq_install_write(path, content, err);

	if (rc == 0 && place->drops && chown(path, place->uid, place->gid) != 0)
		rc = synq_fail(err, SYNQ_E_SYSTEM,
		    "cannot give %s to the account %s: %s", path,
		    place->account, strerror(errno));
	return rc;
}
