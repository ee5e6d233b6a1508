#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/up/ports.h"

/*
 * Ports that are chosen once and kept.
 */

struct fixture {
	char dir[64];
	char file[96];
	struct ports *ports;
};

static int
set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));
	char run[80];

	snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/ports-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	snprintf(run, sizeof(run), "%s/run", fixture->dir);
	assert_int_equal(mkdir(run, 0700), 0);
	snprintf(fixture->file, sizeof(fixture->file), "%s/run/ports.json",
	    fixture->dir);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;
	char run[80];

	ports_free(&fixture->ports);
	unlink(fixture->file);
	snprintf(run, sizeof(run), "%s/run", fixture->dir);
	rmdir(run);
	rmdir(fixture->dir);
	test_free(fixture);
	return 0;
}

static int
listen_on(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
test_ports_are_kept(void **state)
{
	struct fixture *fixture = *state;
	struct synq_err err = { 0 };
	uint16_t first;
	uint16_t second;
	uint16_t again;

	assert_int_equal(ports_load(fixture->dir, &fixture->ports, &err), 0);
	assert_int_equal(ports_take(fixture->ports, "kafka", &first, &err), 0);
	assert_int_equal(ports_take(fixture->ports, "pg", &second, &err), 0);
	assert_int_equal(ports_save(fixture->ports, &err), 0);
	ports_free(&fixture->ports);

	assert_int_equal(ports_load(fixture->dir, &fixture->ports, &err), 0);
	assert_int_equal(ports_take(fixture->ports, "kafka", &again, &err), 0);

	assert_int_equal(again, first);
	assert_int_not_equal(first, second);
	assert_in_range(first, 20000, 25999);
	assert_int_equal(ports_find(fixture->ports, "pg"), second);
	assert_int_equal(ports_find(fixture->ports, "other"), 0);
}

static void
test_ports_in_use_are_refused_with_their_owner(void **state)
{
	struct fixture *fixture = *state;
	struct synq_err err = { 0 };
	char expected[64];
	uint16_t port;
	int fd;

	assert_int_equal(ports_load(fixture->dir, &fixture->ports, &err), 0);
	assert_int_equal(ports_take(fixture->ports, "redis", &port, &err), 0);
	assert_true(ports_is_free(port));
	fd = listen_on(port);

	assert_false(ports_is_free(port));
	assert_int_equal(
	    ports_take(fixture->ports, "redis", &port, &err), -SYNQ_E_CONFLICT);

	snprintf(expected, sizeof(expected), "(pid %d, ", (int)getpid());
	assert_non_null(strstr(err.text, expected));
	assert_non_null(strstr(err.text, "kept for redis"));
	assert_non_null(strstr(err.text, "run/ports.json"));
	close(fd);
}

static void
test_ports_file_that_is_none_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct synq_err err = { 0 };
	FILE *file = fopen(fixture->file, "w");

	assert_non_null(file);
	fputs("{\"kafka\":", file);
	fclose(file);

	assert_int_equal(
	    ports_load(fixture->dir, &fixture->ports, &err), -SYNQ_E_CORRUPT);

	assert_null(fixture->ports);
	assert_non_null(strstr(err.text, "remove it"));
}

static void
test_ports_that_are_no_ports_are_passed_over(void **state)
{
	struct fixture *fixture = *state;
	struct synq_err err = { 0 };
	FILE *file = fopen(fixture->file, "w");

	assert_non_null(file);
	fputs("{\"a\":0,\"b\":70000,\"c\":\"20001\",\"d\":-1,\"\":20002,"
	      "\"e\":20003}",
	    file);
	fclose(file);

	assert_int_equal(ports_load(fixture->dir, &fixture->ports, &err), 0);

	assert_int_equal(ports_find(fixture->ports, "a"), 0);
	assert_int_equal(ports_find(fixture->ports, "b"), 0);
	assert_int_equal(ports_find(fixture->ports, "c"), 0);
	assert_int_equal(ports_find(fixture->ports, "d"), 0);
	assert_int_equal(ports_find(fixture->ports, "e"), 20003);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_ports_are_kept),
		CASE(test_ports_in_use_are_refused_with_their_owner),
		CASE(test_ports_file_that_is_none_is_refused),
		CASE(test_ports_that_are_no_ports_are_passed_over),
	};

	return cmocka_run_group_tests_name("ports", tests, NULL, NULL);
}
