/* Secrets: their pages, their files, and that nothing of them stays behind. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rand.h"
#include "base/slice.h"
#include "crypto/hash.h"
#include "crypto/seal.h"
#include "crypto/secret.h"

static char folder[] = "/tmp/secret-test-XXXXXX";

/* A name in the test's folder, valid until the next call. */
static const char *
in_folder(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static const char *
make_file(const char *name, const void *data, size_t bytes, mode_t mode)
{
	const char *path = in_folder(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void
expect_secret(const struct synq_secret *secret, const char *text)
{
	assert_true(synq_slice_is(synq_secret_view(secret), text));
}

static void
test_secret_holds_a_copy(void **state)
{
	char text[] = "open sesame";
	struct synq_secret *secret = synq_secret_new(synq_slice_text(text));
	struct synq_secret *empty = synq_secret_new(synq_slice_text(""));

	(void)state;
	synq_secret_erase(text, sizeof(text));
	assert_int_equal(text[0], 0);
	assert_int_equal(text[10], 0);
	expect_secret(secret, "open sesame");
	assert_int_equal(synq_secret_view(empty).bytes, 0);

	synq_secret_free(&secret);
	synq_secret_free(&empty);
	assert_null(secret);
	synq_secret_free(&secret);
}

static void
test_secret_random_differs(void **state)
{
	struct synq_secret *a = synq_secret_random(32);
	struct synq_secret *b = synq_secret_random(32);
	struct synq_secret *none = synq_secret_random(0);

	(void)state;
	assert_int_equal(synq_secret_view(a).bytes, 32);
	assert_false(
	    synq_slice_equal(synq_secret_view(a), synq_secret_view(b)));
	assert_int_equal(synq_secret_view(none).bytes, 0);
	synq_secret_free(&a);
	synq_secret_free(&b);
	synq_secret_free(&none);
}

/* The last byte is never one that loading would cut off. */
static void
test_secret_random_does_not_end_in_space(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct synq_secret *secret = synq_secret_random(1);
		char c = synq_secret_view(secret).data[0];

		assert_null(memchr(" \t\n\v\f\r", c, 6));
		synq_secret_free(&secret);
	}
}

/* How a child that runs ${act} on ${secret} ends, as from waitpid. */
static int
fate_of(void (*act)(struct synq_secret *), struct synq_secret *secret)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		act(secret);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static volatile char taken;

static void
act_read(struct synq_secret *secret)
{
	taken = synq_secret_view(secret).data[0];
}

static void
act_read_behind(struct synq_secret *secret)
{
	struct synq_slice view = synq_secret_view(secret);

	taken = ((const volatile char *)view.data)[view.bytes];
}

static void
act_write(struct synq_secret *secret)
{
	*(volatile char *)(uintptr_t)synq_secret_view(secret).data = 1;
}

static void
act_read_freed(struct synq_secret *secret)
{
	const volatile char *data = synq_secret_view(secret).data;

	synq_secret_free(&secret);
	taken = *data;
}

static void
test_secret_is_guarded(void **state)
{
	struct synq_secret *secret =
	    synq_secret_new(synq_slice_text("0123456789abcdef"));

	(void)state;
	assert_int_equal(fate_of(act_read, secret), 0);
	assert_true(WIFSIGNALED(fate_of(act_read_behind, secret)));
	assert_true(WIFSIGNALED(fate_of(act_write, secret)));
	assert_true(WIFSIGNALED(fate_of(act_read_freed, secret)));
	synq_secret_free(&secret);
}

static void
act_harden(struct synq_secret *secret)
{
	struct rlimit limit;

	(void)secret;
	unsetenv("SYNQ_DUMPABLE");
	if (synq_crypto_init(NULL) != 0 || prctl(PR_GET_DUMPABLE) != 0 ||
	    getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0 ||
	    limit.rlim_max != 0)
		_exit(1);
}

static void
test_init_switches_dumps_and_tracing_off(void **state)
{
	struct rlimit limit;

	(void)state;
	assert_int_equal(fate_of(act_harden, NULL), 0);
	/* This process was started with SYNQ_DUMPABLE: dumps are off only. */
	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
	assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
	assert_int_equal(limit.rlim_cur, 0);
}

/* ---- files --------------------------------------------------------------- */

static void
test_load_cuts_white_space_at_the_end(void **state)
{
	struct synq_secret *secret;
	const char *path;

	(void)state;
	path = make_file("a", " key \t\r\n\n", 9, 0600);
	assert_int_equal(synq_secret_load(path, &secret, NULL), 0);
	expect_secret(secret, " key");
	synq_secret_free(&secret);

	path = make_file("b", "\0\xff\n\0", 4, 0400);
	assert_int_equal(synq_secret_load(path, &secret, NULL), 0);
	assert_int_equal(synq_secret_view(secret).bytes, 4);
	synq_secret_free(&secret);
}

static void
expect_load_error(const char *path, int code, const char *says)
{
	struct synq_secret *secret = NULL;
	struct synq_err err = { .code = 0 };

	assert_int_equal(synq_secret_load(path, &secret, &err), -code);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, says));
	assert_null(secret);
}

static void
test_load_refuses_a_file_open_to_others(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0610, 0601,
		0644, 0666 };

	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(modes); i++)
		expect_load_error(make_file("open", "canary", 6, modes[i]),
		    SYNQ_E_DENIED, "chmod 600");
}

static void
test_load_says_what_is_wrong(void **state)
{
	static char large[4097];

	(void)state;
	expect_load_error(in_folder("none"), SYNQ_E_NOT_FOUND, "No such file");
	expect_load_error(
	    in_folder("a/b"), SYNQ_E_NOT_FOUND, "Not a directory");
	expect_load_error(folder, SYNQ_E_DENIED, "not a regular file");
	expect_load_error(
	    make_file("empty", "", 0, 0600), SYNQ_E_NOT_FOUND, "is empty");
	expect_load_error(
	    make_file("blank", " \n", 2, 0600), SYNQ_E_NOT_FOUND, "is empty");

	memset(large, 'x', sizeof(large));
	expect_load_error(make_file("large", large, 4097, 0600),
	    SYNQ_E_TOO_LARGE, "larger than 4096");
}

static void
test_load_takes_the_largest(void **state)
{
	static char large[4096];
	struct synq_secret *secret;

	(void)state;
	memset(large, 'x', sizeof(large));
	assert_int_equal(synq_secret_load(make_file("full", large, 4096, 0600),
			     &secret, NULL),
	    0);
	assert_int_equal(synq_secret_view(secret).bytes, 4096);
	synq_secret_free(&secret);
}

/* Nobody writes to it: without O_NONBLOCK, open would wait for ever. */
static void
test_load_does_not_wait_for_a_fifo(void **state)
{
	const char *path = in_folder("fifo");

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_load_error(path, SYNQ_E_DENIED, "not a regular file");
	unlink(path);
}

static void
test_saved_secret_loads_again(void **state)
{
	struct synq_secret *secret = synq_secret_random(32);
	struct synq_secret *back;
	const char *path = in_folder("kek.1");
	struct stat st;

	(void)state;
	assert_int_equal(synq_secret_save(path, secret, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(synq_secret_load(path, &back, NULL), 0);
	assert_true(
	    synq_slice_equal(synq_secret_view(secret), synq_secret_view(back)));
	synq_secret_free(&secret);
	synq_secret_free(&back);
}

static void
test_save_never_replaces_a_file(void **state)
{
	struct synq_secret *first = synq_secret_new(synq_slice_text("first"));
	struct synq_secret *second = synq_secret_new(synq_slice_text("second"));
	struct synq_secret *back;
	struct synq_err err;
	const char *path = in_folder("pepper.1");

	(void)state;
	assert_int_equal(synq_secret_save(path, first, &err), 0);
	assert_int_equal(
	    synq_secret_save(path, second, &err), -SYNQ_E_CONFLICT);
	assert_null(strstr(err.text, "second"));
	assert_int_equal(synq_secret_load(path, &back, NULL), 0);
	expect_secret(back, "first");
	synq_secret_free(&first);
	synq_secret_free(&second);
	synq_secret_free(&back);
}

static void
test_save_refuses_what_would_not_load(void **state)
{
	static const char *const bad[] = { "", " ", "key\n", "key ", "key\t" };

	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(bad); i++) {
		struct synq_secret *secret =
		    synq_secret_new(synq_slice_text(bad[i]));

		assert_int_equal(
		    synq_secret_save(in_folder("bad"), secret, NULL),
		    -SYNQ_E_INVALID);
		assert_int_equal(access(in_folder("bad"), F_OK), -1);
		synq_secret_free(&secret);
	}
}

static void
test_save_says_where_it_failed(void **state)
{
	struct synq_secret *secret = synq_secret_new(synq_slice_text("key"));
	struct synq_err err;

	(void)state;
	assert_int_equal(
	    synq_secret_save(in_folder("no/such/key"), secret, &err),
	    -SYNQ_E_SYSTEM);
	assert_non_null(strstr(err.text, "no/such/key"));
	synq_secret_free(&secret);
}

/* ---- what stays behind ----------------------------------------------------
 */

#define MASK 0x5c
#define CANARY_BYTES 24

/* How often what ${masked} hides is in the ${bytes} at ${data}. */
static unsigned
count_in(const unsigned char *data, size_t bytes, const unsigned char *masked)
{
	unsigned found = 0;

	for (size_t i = 0; i + CANARY_BYTES <= bytes; i++) {
		size_t k = 0;

		while (k < CANARY_BYTES && (data[i + k] ^ MASK) == masked[k])
			k++;
		found += k == CANARY_BYTES;
	}
	return found;
}

/*
 * How often it is in the writable memory of this process.  Areas above 64 MB
 * are the sanitizer's own.
 */
static unsigned
count_in_process(const unsigned char *masked)
{
	static unsigned char page[65536 + CANARY_BYTES];
	FILE *maps = fopen("/proc/self/maps", "r");
	int memory = open("/proc/self/mem", O_RDONLY);
	unsigned long from;
	unsigned long to;
	unsigned found = 0;
	char line[400];
	char access[5];

	assert_non_null(maps);
	assert_true(memory >= 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %4s", &from, &to, access) != 3 ||
		    access[0] != 'r' || to - from > (64u << 20))
			continue;
		for (; from < to; from += 65536) {
			size_t room =
			    to - from < sizeof(page) ? to - from : sizeof(page);
			ssize_t got = pread(memory, page, room, (off_t)from);

			if (got > 0)
				found += count_in(page, (size_t)got, masked);
			/* Not to be found in the next turn. */
			synq_secret_erase(page, sizeof(page));
		}
	}
	fclose(maps);
	close(memory);
	return found;
}

static void
use_secret(const char *path, struct synq_secret **ret)
{
	struct synq_slice context = synq_slice_text("provider:1");
	struct synq_secret *kek = synq_secret_random(32);
	struct synq_secret *opened;
	struct synq_buf sealed;
	uint8_t hash[32];

	assert_int_equal(synq_secret_load(path, ret, NULL), 0);
	synq_buf_init(&sealed, 1000);
	assert_int_equal(
	    synq_seal(kek, 1, context, synq_secret_view(*ret), &sealed), 0);
	assert_int_equal(
	    synq_unseal(kek, context, synq_buf_view(&sealed), &opened), 0);
	synq_hash(opened, context, hash, sizeof(hash));
	synq_hmac_sha256(opened, context, hash);
	synq_secret_free(&opened);
	synq_secret_free(&kek);
	synq_buf_done(&sealed);
}

static void
test_freed_secret_is_nowhere_in_memory(void **state)
{
	unsigned char masked[CANARY_BYTES];
	unsigned char plain[CANARY_BYTES];
	struct synq_secret *secret;
	const char *path;

	(void)state;
	synq_rand_system(masked, sizeof(masked));
	masked[CANARY_BYTES - 1] = 'x';
	for (size_t i = 0; i < CANARY_BYTES; i++)
		plain[i] = masked[i] ^ MASK;
	path = in_folder("canary");
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, plain, sizeof(plain)), sizeof(plain));
	close(fd);
	synq_secret_erase(plain, sizeof(plain));
	assert_int_equal(count_in_process(masked), 0);

	use_secret(path, &secret);
	/* Once, in its guarded pages: the search does find things. */
	assert_int_equal(count_in_process(masked), 1);
	synq_secret_free(&secret);
	assert_int_equal(count_in_process(masked), 0);
}

static int
setup(void **state)
{
	(void)state;
	setenv("SYNQ_DUMPABLE", "1", 1);
	return synq_crypto_init(NULL) != 0 || mkdtemp(folder) == NULL;
}

/* The folder must be emptied by name: a draft left behind shows here. */
static int
teardown(void **state)
{
	static const char *const names[] = { "a", "b", "open", "empty", "blank",
		"large", "full", "kek.1", "pepper.1", "canary" };

	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(names); i++)
		unlink(in_folder(names[i]));
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret_holds_a_copy),
		cmocka_unit_test(test_secret_random_differs),
		cmocka_unit_test(test_secret_random_does_not_end_in_space),
		cmocka_unit_test(test_secret_is_guarded),
		cmocka_unit_test(test_init_switches_dumps_and_tracing_off),
		cmocka_unit_test(test_load_cuts_white_space_at_the_end),
		cmocka_unit_test(test_load_refuses_a_file_open_to_others),
		cmocka_unit_test(test_load_says_what_is_wrong),
		cmocka_unit_test(test_load_takes_the_largest),
		cmocka_unit_test(test_load_does_not_wait_for_a_fifo),
		cmocka_unit_test(test_saved_secret_loads_again),
		cmocka_unit_test(test_save_never_replaces_a_file),
		cmocka_unit_test(test_save_refuses_what_would_not_load),
		cmocka_unit_test(test_save_says_where_it_failed),
		cmocka_unit_test(test_freed_secret_is_nowhere_in_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
