/*
 * The first of these that says something counts: flags, environment, what runs
 * in the installation's folder.
 */

#include "ctl/job/target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/url.h"
#include "crypto/secret.h"
#include "ctl/up/file.h"
#include "service/install.h"
#include "json/scan.h"

#define MAX_PATH_BYTES 4096

/* Take ${url} as one more address.  Error: INVALID, TOO_LARGE. */
static int
add_address(struct target *target, const char *url, struct synq_err *err)
{
	struct synq_slice text = synq_slice_trim(synq_slice_text(url));
	struct synq_url parts;
	int rc;

	rc = synq_url_parse(text, &parts, err);
	if (rc != 0)
		return synq_wrap(err, rc, "the address \"%s\"", url);
	if (target->count == TARGET_MAX_ADDRESSES)
		return synq_fail(err, SYNQ_E_INVALID,
		    "more than %d addresses are given", TARGET_MAX_ADDRESSES);
	while (text.bytes > 0 && text.data[text.bytes - 1] == '/')
		text.bytes--;
	/* The form that the OpenAI SDKs take. */
	if (text.bytes > 3 && memcmp(text.data + text.bytes - 3, "/v1", 3) == 0)
		text.bytes -= 3;
	target->bases[target->count++] = synq_mem_copy(text.data, text.bytes);
	return 0;
}

static int
addresses_from_flags(
    struct target *target, const struct cli *cli, struct synq_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < cli->given_count && rc == 0; i++) {
		if (strcmp(cli->given[i].name, "url") == 0)
			rc = add_address(target, cli->given[i].value, err);
	}
	return rc;
}

/* SYNQ_URL, SYNQ_URL_2 and so on. */
static int
addresses_from_environment(struct target *target, struct synq_err *err)
{
	char name[24] = "SYNQ_URL";
	const char *value;
	int number = 1;
	int rc = 0;

	while (rc == 0 && number <= TARGET_MAX_ADDRESSES &&
	       (value = getenv(name)) != NULL && value[0] != '\0') {
		rc = add_address(target, value, err);
		(void)snprintf(name, sizeof(name), "SYNQ_URL_%d", ++number);
	}
	return rc;
}

/* Take over the note ${path} if it is that of an intake. */
static void
address_from_note(struct target *target, const char *path)
{
	struct synq_json note;
	struct synq_buf text;
	int64_t port = 0;
	char url[64];

	synq_buf_init(&text, 65536);
	if (file_read_json(path, &text, &note, NULL) == 0 &&
	    synq_json_is(synq_json_member(note, "program"), "synq-intake") &&
	    synq_json_int(synq_json_member(note, "port"), &port) == 0 &&
	    port > 0 && port <= 65535 && target->count < TARGET_MAX_ADDRESSES) {
		(void)snprintf(
		    url, sizeof(url), "http://127.0.0.1:%d", (int)port);
		(void)add_address(target, url, NULL);
	}
	synq_buf_done(&text);
}

/* What the programs in <dir>/run have noted. */
static void
addresses_from_notes(struct target *target, const char *dir)
{
	struct dirent **entries = NULL;
	struct synq_buf path;
	int count;
	int i;

	synq_buf_init(&path, MAX_PATH_BYTES);
	synq_buf_printf(&path, "%s/run", dir);
	count =
	    path.overflow ? -1 : scandir(path.data, &entries, NULL, alphasort);
	for (i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		size_t chars = strlen(name);

		synq_buf_clear(&path);
		synq_buf_printf(&path, "%s/run/%s", dir, name);
		if (chars > 5 && strcmp(name + chars - 5, ".json") == 0 &&
		    !path.overflow)
			address_from_note(target, path.data);
		/* glibc allocated it. */
		synq_mem_free(entries[i]);
	}
	synq_mem_free(entries);
	synq_buf_done(&path);
}

static int
find_addresses(
    struct target *target, const struct cli *cli, struct synq_err *err)
{
	int rc = addresses_from_flags(target, cli, err);

	if (rc == 0 && target->count == 0)
		rc = addresses_from_environment(target, err);
	if (rc != 0)
		return rc;
	if (target->count == 0)
		addresses_from_notes(target, cli->dir);
	if (target->count > 0)
		return 0;
	return synq_fail(err, SYNQ_E_UNAVAILABLE,
	    "no address of the API: nothing runs in %s, and neither --url nor "
	    "SYNQ_URL is given; start it with: synq up",
	    cli->dir);
}

/* The header of the credential ${key}.  Error: INVALID. */
static int
take_key(struct target *target, struct synq_slice key, struct synq_err *err)
{
	struct synq_slice text = synq_slice_trim(key);
	size_t i;

	for (i = 0; i < text.bytes; i++) {
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return synq_fail(err, SYNQ_E_INVALID,
			    "the API key holds a character that no key has");
	}
	if (text.bytes == 0 || text.bytes > 1024)
		return synq_fail(err, SYNQ_E_INVALID, "the API key is %s",
		    text.bytes == 0 ? "empty" : "too long");
	target->authorization = synq_mem_new(text.bytes + 32);
	(void)snprintf(target->authorization, text.bytes + 32,
	    "Authorization: Bearer %.*s", (int)text.bytes, text.data);
	return 0;
}

static int
find_key(struct target *target, const struct cli *cli, struct synq_err *err)
{
	const char *path = cli_flag(cli, "key-file");
	const char *variable = getenv("SYNQ_KEY");
	struct synq_secret *secret = NULL;
	int rc;

	if (path == NULL && variable != NULL && variable[0] != '\0')
		return take_key(target, synq_slice_text(variable), err);
	if (path != NULL)
		rc = synq_secret_load(path, &secret, err);
	else
		rc = synq_install_secret(cli->dir, "key.default", &secret, err);
	if (rc == -SYNQ_E_NOT_FOUND && path == NULL)
		return synq_fail(err, SYNQ_E_DENIED,
		    "no API key: give --key-file or SYNQ_KEY, or make one "
		    "with: "
		    "synq key create --org NAME");
	if (rc == 0)
		rc = take_key(target, synq_secret_view(secret), err);
	synq_secret_free(&secret);
	return rc;
}

int
target_find(const struct cli *cli, struct target *ret, struct synq_err *err)
{
	int rc;

	*ret = (struct target){ .count = 0 };
	rc = find_addresses(ret, cli, err);
	if (rc == 0)
		rc = find_key(ret, cli, err);
	if (rc != 0)
		target_done(ret);
	return rc;
}

void
target_done(struct target *target)
{
	size_t i;

	for (i = 0; i < target->count; i++)
		synq_mem_free(target->bases[i]);
	if (target->authorization != NULL)
		synq_secret_erase(
		    target->authorization, strlen(target->authorization));
	synq_mem_free(target->authorization);
	*target = (struct target){ .count = 0 };
}
