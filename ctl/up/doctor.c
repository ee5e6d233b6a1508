#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/print.h"
#include "ctl/up/check.h"
#include "ctl/up/place.h"
#include "ctl/up/secrets.h"
#include "ctl/up/tools.h"
#include "ctl/up/up.h"

/*
 * One line per check, "OK" or "FAIL", and under what fails how to mend it.
 * Nothing is changed, and a check that cannot be made because an earlier one
 * failed fails as well, saying so.
 */

#define WANTED_FILES 20000

static void
check_tools(struct check *check)
{
	struct place place = { 0 };
	const struct synq_config *config = check->cli->config;
	char self[4096];
	ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct synq_err err;

	if (bytes <= 0)
		return;
	self[bytes] = '\0';
	*strrchr(self, '/') = '\0';
	place.programs = self;
	place.data = self;
	if (check_is_external(config, "kafka", "brokers"))
		check_ok(check, "java", "not needed");
	else if (tools_kafka(&place, &err) != 0)
		check_fail(check, "java", "%s", err.text);
	else
		check_ok(
		    check, "java", "%s, jars in %s", place.java, place.jars);
	if (check_is_external(config, "pg", "url"))
		check_ok(check, "postgresql", "not needed");
	else if (tools_pg(&place, &err) != 0)
		check_fail(check, "postgresql", "%s", err.text);
	else
		check_ok(check, "postgresql", "%s", place.pg_bin);
	if (check_is_external(config, "redis", "address"))
		check_ok(check, "redis-server", "not needed");
	else if (tools_redis(&place, &err) != 0)
		check_fail(check, "redis-server", "%s", err.text);
	else
		check_ok(check, "redis-server", "%s", place.redis);
	synq_mem_free(place.jars);
	synq_mem_free(place.java);
	synq_mem_free(place.pg_bin);
	synq_mem_free(place.redis);
}

static void
check_room(struct check *check)
{
	struct synq_err err;

	if (place_check_room(check->cli->dir, &err) != 0)
		check_fail(check, "disk", "%s", err.text);
	else
		check_ok(check, "disk", "there is room");
}

static void
check_files(struct check *check)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	if (files.rlim_max < WANTED_FILES)
		check_fail(check, "descriptors",
		    "a process may open %llu files, %d connections need as "
		    "many: raise it with \"ulimit -Hn %d\" as root, or lower "
		    "intake.max_connections",
		    (unsigned long long)files.rlim_max, WANTED_FILES,
		    WANTED_FILES);
	else
		check_ok(check, "descriptors", "%llu for each process",
		    (unsigned long long)files.rlim_max);
}

static void
check_clock(struct check *check)
{
	struct timex state = { 0 };
	int rc = ntp_adjtime(&state);

	/* Deadlines and ids carry wall time; keys sort by it. */
	if (time(NULL) < 1700000000)
		check_fail(check, "clock",
		    "the clock is years behind: set it, as with "
		    "\"timedatectl set-ntp true\"");
	else if (rc == TIME_ERROR && (state.status & STA_UNSYNC) != 0)
		check_ok(
		    check, "clock", "set, but not known to be synchronized");
	else
		check_ok(check, "clock", "synchronized");
}

static void
check_secrets(struct check *check)
{
	char *folder = place_path(check->cli->dir, "secrets");
	struct stat status;
	const char *name;
	size_t i;
	int bad = 0;

	if (stat(folder, &status) != 0) {
		check_fail(check, "secrets",
		    "there is no %s: \"synq up\" makes a new installation",
		    folder);
		synq_mem_free(folder);
		return;
	}
	if ((status.st_mode & 077U) != 0) {
		check_fail(check, "secrets",
		    "%s is open to others: chmod 700 %s", folder, folder);
		bad = 1;
	}
	for (i = 0; (name = secrets_name(i)) != NULL; i++) {
		char *path = place_path(folder, name);

		if (stat(path, &status) != 0) {
			check_fail(check, "secrets",
			    "%s is missing: \"synq up\" makes it, but what "
			    "was protected by an old one is lost",
			    path);
			bad = 1;
		} else if ((status.st_mode & 077U) != 0) {
			check_fail(check, "secrets",
			    "%s is open to others: chmod 600 %s", path, path);
			bad = 1;
		}
		synq_mem_free(path);
	}
	if (!bad)
		check_ok(check, "secrets", "private");
	synq_mem_free(folder);
}

int
doctor_run(struct cli *cli)
{
	struct check check = { .cli = cli };
	int code = cli_config(cli);

	if (code != 0)
		return code;
	check_begin(&check);
	check_ok(&check, "configuration", "valid");
	check_tools(&check);
	check_room(&check);
	check_files(&check);
	check_clock(&check);
	check_secrets(&check);
	check_processes(&check);
	check_database(&check);
	check_topics(&check);
	return check_end(&check);
}
