#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "crypto/secret.h"
#include "service/install.h"

/*
 * Where things lie, and what is said when they do not.
 */

struct fixture {
	char dir[64];
	char secrets[80];
	struct synq_config *config;
};

static void
remove_file(const struct fixture *fixture, const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", fixture->secrets, name);
	unlink(path);
}

static void
write_secret(const struct fixture *fixture, const char *name, const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", fixture->secrets, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
}

static int
set_up(void **state)
{
	static const char *const none[] = { NULL };
	static const char *const settings[] = {
		"pg.url=host=127.0.0.1 port=5 dbname=synq", NULL
	};
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));
	struct synq_conf_sources sources = { .settings = settings,
		.environment = none };
	struct synq_buf out;
	struct synq_err err;

	assert_int_equal(synq_crypto_init(&err), 0);
	synq_buf_init(&out, 4096);
	snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/install-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	snprintf(fixture->secrets, sizeof(fixture->secrets), "%s/secrets",
	    fixture->dir);
	assert_int_equal(mkdir(fixture->secrets, 0700), 0);
	sources.dir = fixture->dir;
	assert_int_equal(synq_conf_load(&sources, &fixture->config, &out), 0);
	synq_buf_done(&out);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;

	remove_file(fixture, "pg.synq_app");
	remove_file(fixture, "file");
	rmdir(fixture->secrets);
	rmdir(fixture->dir);
	synq_conf_free(&fixture->config);
	test_free(fixture);
	return 0;
}

static void
test_install_dir_prefers_flag_then_variable_then_var(void **state)
{
	struct fixture *fixture = *state;
	char expected[256];
	char here[128];
	char *dir;

	assert_non_null(getcwd(here, sizeof(here)));
	setenv("SYNQ_DIR", fixture->secrets, 1);
	dir = synq_install_dir(fixture->dir);
	assert_string_equal(dir, fixture->dir);
	synq_mem_free(dir);

	dir = synq_install_dir(NULL);
	assert_string_equal(dir, fixture->secrets);
	synq_mem_free(dir);

	unsetenv("SYNQ_DIR");
	snprintf(expected, sizeof(expected), "%s/no-such-folder", here);
	dir = synq_install_dir("no-such-folder");
	assert_string_equal(dir, expected);
	synq_mem_free(dir);

	dir = synq_install_dir(NULL);
	assert_int_equal(dir[0], '/');
	assert_string_equal(strrchr(dir, '/'), "/var");
	synq_mem_free(dir);
}

static void
test_install_pg_url_adds_role_and_password(void **state)
{
	struct fixture *fixture = *state;
	struct synq_err err = { 0 };
	struct synq_buf url;

	synq_buf_init(&url, 4096);
	write_secret(fixture, "pg.synq_app", "a'b\\c\n");

	assert_int_equal(synq_install_pg_url(fixture->dir, fixture->config,
			     "synq_app", &url, &err),
	    0);

	assert_string_equal(url.data,
	    "host=127.0.0.1 port=5 dbname=synq user='synq_app' "
	    "password='a\\'b\\\\c'");
	synq_buf_done(&url);
}

static void
test_install_pg_url_without_secret_says_what_to_do(void **state)
{
	struct fixture *fixture = *state;
	struct synq_err err = { 0 };
	struct synq_buf url;

	synq_buf_init(&url, 4096);
	assert_int_equal(synq_install_pg_url(fixture->dir, fixture->config,
			     "synq_app", &url, &err),
	    -SYNQ_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "secrets/pg.synq_app"));
	assert_non_null(strstr(err.text, "synq up"));
	synq_buf_done(&url);
}

static void
test_install_secret_open_to_others_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct synq_secret *secret = NULL;
	struct synq_err err = { 0 };
	char path[160];

	write_secret(fixture, "file", "secret");
	snprintf(path, sizeof(path), "%s/file", fixture->secrets);
	assert_int_equal(chmod(path, 0640), 0);

	assert_int_equal(
	    synq_install_secret(fixture->dir, "file", &secret, &err),
	    -SYNQ_E_DENIED);

	assert_null(secret);
	assert_non_null(strstr(err.text, "chmod 600"));
}

static void
test_install_write_replaces_as_a_whole(void **state)
{
	struct fixture *fixture = *state;
	struct synq_err err = { 0 };
	struct stat status;
	char path[160];
	char text[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/file", fixture->secrets);
	assert_int_equal(
	    synq_install_write(path, synq_slice_text("first one"), &err), 0);
	assert_int_equal(
	    synq_install_write(path, synq_slice_text("second"), &err), 0);

	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text), file), 6);
	fclose(file);
	assert_memory_equal(text, "second", 6);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777U, 0600);
	assert_int_equal(stat(fixture->secrets, &status), 0);
	assert_int_equal(status.st_nlink, 2);
}

static void
test_install_write_says_where_it_failed(void **state)
{
	struct synq_err err = { 0 };

	(void)state;
	assert_int_equal(synq_install_write("/no/such/folder/file",
			     synq_slice_text("x"), &err),
	    -SYNQ_E_SYSTEM);
	assert_non_null(strstr(err.text, "/no/such/folder/file"));
}

static void
test_install_names_cannot_leave_their_folder(void **state)
{
	char lengthy[80];

	(void)state;
	assert_true(synq_install_is_name("dispatcher-2"));
	assert_true(synq_install_is_name("A_9"));
	assert_false(synq_install_is_name(""));
	assert_false(synq_install_is_name("../x"));
	assert_false(synq_install_is_name("a/b"));
	assert_false(synq_install_is_name("a.b"));
	assert_false(synq_install_is_name("-a"));
	memset(lengthy, 'a', sizeof(lengthy));
	lengthy[64] = '\0';
	assert_true(synq_install_is_name(lengthy));
	lengthy[64] = 'a';
	lengthy[65] = '\0';
	assert_false(synq_install_is_name(lengthy));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_install_dir_prefers_flag_then_variable_then_var),
		CASE(test_install_pg_url_adds_role_and_password),
		CASE(test_install_pg_url_without_secret_says_what_to_do),
		CASE(test_install_secret_open_to_others_is_refused),
		CASE(test_install_write_replaces_as_a_whole),
		CASE(test_install_write_says_where_it_failed),
		CASE(test_install_names_cannot_leave_their_folder),
	};

	return cmocka_run_group_tests_name("install", tests, NULL, NULL);
}
