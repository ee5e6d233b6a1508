#include "ctl/up/secrets.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"
#include "codec/text.h"
#include "crypto/secret.h"
#include "ctl/up/place.h"
#include "service/install.h"

/*
 * Keys for our own use are 32 random bytes; passwords, which go through
 * configuration files and connection strings, are the same as hex.  A file
 * that is there is only looked at: its content may protect what is stored.
 */

#define SECRET_BYTES 32

static const struct {
	const char *name;
	int is_text;
} secrets[] = {
	{ "pepper.1", 0 },
	{ "kek.1", 0 },
	{ "idkey.1", 0 },
	{ "redis.password", 1 },
	{ "pg.synq_super", 1 },
	{ "pg.synq_owner", 1 },
	{ "pg.synq_admin", 1 },
	{ "pg.synq_app", 1 },
	{ "pg.synq_recorder", 1 },
	{ "pg.synq_dispatcher", 1 },
};

const char *
secrets_name(size_t index)
{
	return index < SYNQ_COUNT(secrets) ? secrets[index].name : NULL;
}

static struct synq_secret *
random_text(void)
{
	struct synq_secret *random = synq_secret_random(SECRET_BYTES);
	struct synq_secret *ret;
	struct synq_buf text;

	synq_buf_init(&text, 256);
	synq_hex_encode(&text, synq_secret_view(random));
	ret = synq_secret_new(synq_buf_view(&text));
	synq_secret_erase(text.data, text.bytes);
	synq_buf_done(&text);
	synq_secret_free(&random);
	return ret;
}

static int
make(const char *dir, size_t index, struct synq_err *err)
{
	struct synq_secret *secret = NULL;
	char name[NAME_MAX];
	char *path;
	int rc;

	rc = synq_install_secret(dir, secrets[index].name, &secret, err);
	if (rc != -SYNQ_E_NOT_FOUND) {
		synq_secret_free(&secret);
		return rc;
	}
	snprintf(name, sizeof(name), "secrets/%s", secrets[index].name);
	path = place_path(dir, name);
	secret = secrets[index].is_text ? random_text()
	                                : synq_secret_random(SECRET_BYTES);
	/* What is empty protects nothing, and came from a full disk. */
	unlink(path);
	rc = synq_secret_save(path, secret, err);
	if (rc != 0)
		unlink(path);
	synq_secret_free(&secret);
	synq_mem_free(path);
	return rc;
}

int
secrets_make(const char *dir, struct synq_err *err)
{
	char *folder = place_path(dir, "secrets");
	int rc = synq_install_folder(folder, err);
	size_t i;

	if (rc == 0 && chmod(folder, 0700) != 0)
		rc = synq_fail(err, SYNQ_E_SYSTEM, "cannot use %s: %s", folder,
		    strerror(errno));
	for (i = 0; rc == 0 && i < SYNQ_COUNT(secrets); i++)
		rc = make(dir, i, err);
	synq_mem_free(folder);
	return rc;
}
